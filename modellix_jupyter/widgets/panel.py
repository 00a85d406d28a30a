"""The panel: the whole product by clicking.

Each tab is a view with its own controls, a `refresh` that reads its data and a `paint` that draws
changes. The tabs share a `PanelContext` and the `Actions`.
"""

from __future__ import annotations

import sys
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.cards import gallery, problems_html, tiles_of
from modellix_jupyter.html.elements import ROOT
from modellix_jupyter.html.formatting import is_problem
from modellix_jupyter.html.markup import el, html
from modellix_jupyter.notebook.display import NotebookScreen
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.notebook.spending import standing_of
from modellix_jupyter.values import Card, Task
from modellix_jupyter.widgets.actions import Actions
from modellix_jupyter.widgets.connection import Connection
from modellix_jupyter.widgets.controls import Markup, StatusLine, box, close_all
from modellix_jupyter.widgets.create import Create
from modellix_jupyter.widgets.history import History
from modellix_jupyter.widgets.panel_context import PanelContext, new_pool
from modellix_jupyter.widgets.picks import Compare, Export

TABS = ("Create", "Compare", "History", "Connection")
CLOSED = "This panel is closed.\n`mx.panel()` makes another."
NOTE = "The panel as it was{what}. Run its cell again to use it."
# The most tasks in a snapshot, which shows the newest.
MAX_SNAPSHOT_TASKS = 24
# The least seconds between two snapshots.
SNAPSHOT_EVERY_S = 2.0
# The most bytes a second for snapshots: nobody sees them while the panel is open.
SNAPSHOT_BYTES_S = 50_000
_open_panels: weakref.WeakSet[Panel] = weakref.WeakSet()


class Snapshot:
    """An output with the last results, for a notebook without a kernel, where widgets are empty."""

    def __init__(self, budget: int) -> None:
        self.class_name = f"mx-snapshot-{uuid.uuid4().hex[:8]}"
        self.shown = False
        self._budget = budget
        self._screen = NotebookScreen()
        self._size = 0
        self._written_at = 0.0

    def show(self) -> None:
        """Show it below the present outputs of the cell."""
        self.shown, self._screen = True, NotebookScreen()
        self.write(lambda: ((), 0))

    @property
    def due(self) -> bool:
        """Whether it may be written again now."""
        pause = max(SNAPSHOT_EVERY_S, self._size / SNAPSHOT_BYTES_S)
        return time.monotonic() - self._written_at >= pause

    def write(self, read: Callable[[], tuple[Sequence[Card], int]]) -> None:
        """Write it again where it is shown, if it has changed: the newest of the ended tasks."""
        self._written_at = time.monotonic()
        if not self.shown:
            return
        cards, count = read()
        what = f", with the newest {len(cards)} of {count} tasks" if count > len(cards) else ""
        note = NOTE.format(what=what)
        page = el(
            "div",
            gallery(tiles_of(cards), time.time(), self._budget, moving=False),
            *problems_html([card for card in cards if is_problem(card)]),
            el("div", html(note), style=ROOT),
            data_mx_group=True,
            class_=self.class_name,
        )
        self._screen.draw({"text/html": page, "text/plain": note}, last=False)
        self._size = len(page)


class Panel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The panel of a session, or of the session in use; a notebook shows it as a cell's value."""

    new_pool = staticmethod(new_pool)

    def __init__(self, session: Session | None = None) -> None:
        self._closed = True  # until there is something to close
        self._seen = self._stale = False
        self._status = StatusLine()
        self._head = Markup()
        self.context = PanelContext(session, self._status.error, self.new_pool)
        self.actions = Actions(self.context)
        self.create = Create(self.context, self.actions)
        self.compare = Compare(self.context, self.actions)
        self.history = History(self.context, self.actions)
        self.export = Export(self.context, self.actions)
        self.create.results.view.children = (self.export.view, self.create.results.gallery)
        self.connection = Connection(self.context, self.close)
        self._snapshot = Snapshot(self.context.session.settings.output_kb * 1000)
        self.create.button.snapshot = self._snapshot.class_name
        self.tabs = self._make_tabs()
        super().__init__([self._head, self._status.view, self.tabs, self.actions.viewer])
        self.add_class("mx-panel")
        self._closed = False
        _open_panels.add(self)
        self._start()

    def _make_tabs(self) -> widgets.Tab:
        views = (
            self.create.view,
            box("mx-tab", self.export.view, self.compare.view),
            box("mx-tab", self.history.top, self.export.view, self.history.gallery),
            box("mx-tab", self.connection.view),
        )
        tabs = widgets.Tab(views)
        for index, name in enumerate(TABS):
            tabs.set_title(index, name)
        return tabs

    def _start(self) -> None:
        self.tabs.observe(lambda _: self._refresh_tab(), "selected_index")
        self.actions.use = self._use
        self.actions.again, self.actions.send = self.create.send_again, self.create.send_held
        self.create.on_question = lambda: self._turn_to("Create")
        self.actions.as_input = self._use_as_input
        self.actions.stopped = self.create.stopped
        self.create.on_spent = self.connection.on_limit = self._show_head
        for each in self.actions.galleries:
            each.on_presence = self._on_presence
        self.context.on_session = self._on_session
        self.context.on_tick = self._on_tick
        self.context.start()

    # -- calls of the context

    def _on_session(self) -> None:
        """Show a session that the context has just begun to follow."""
        session = self.context.session
        try:
            session.key()
            has_key = True
        except ModellixError:
            has_key = False
        with self.context.lock:
            self._show_head()
            for view in (self.create, self.actions, self.create.results):
                view.refresh()
            self._refresh_tab()
            if not has_key:
                self._turn_to("Connection")

    def _show_head(self) -> None:
        """Show the service in use and what was spent, which is read off this thread."""
        session = self.context.session

        def show(spent: str) -> None:
            self._head.value = _head(session, spent)

        self.context.do(lambda: standing_of(session).words, show, lambda _: show(""))

    def _on_tick(self, changed: set[str]) -> None:
        """Draw the changed tasks, and the snapshot if it is due; on the painter's thread."""
        if changed:
            self.create.paint(changed)
            with self.context.lock:
                view = self._tab_view()
                if isinstance(view, Compare | History):
                    view.paint(changed)
            self._stale = True
        if self._stale and self._snapshot.due:
            self._stale = False
            self._write_snapshot()
            self._show_head()

    def _write_snapshot(self) -> None:
        self._snapshot.write(self._ended)

    def _ended(self) -> tuple[list[Card], int]:
        session = self.context.session
        ended = [uid for uid in self.context.uids()[::-1] if session.engine.get(uid).is_final]
        newest = [session.card(uid) for uid in ended[:MAX_SNAPSHOT_TASKS]]
        return newest, len(ended)

    # -- actions of the user

    def _tab_view(self) -> Compare | History | Connection | None:
        """Return the view of the open tab, if it reads anything of its own."""
        views = (None, self.compare, self.history, self.connection)
        return views[self.tabs.selected_index or 0]

    def _turn_to(self, tab: str) -> None:
        self.tabs.selected_index = TABS.index(tab)

    def _refresh_tab(self) -> None:
        view = self._tab_view()
        if view is not None:
            view.refresh()

    def _use(self, task: Task) -> None:
        self.create.use(task)
        self._turn_to("Create")

    def _use_as_input(self, task: Task, place: int) -> None:
        self.create.use_as_input(task, place)
        self._turn_to("Create")

    def _on_presence(self) -> None:
        """Stop while no page shows the panel, and start when one does."""
        self._seen = True
        if self.abandoned:
            self.context.stop()
        else:
            self.context.start()

    # -- showing and closing

    @property
    def abandoned(self) -> bool:
        """Whether it was shown, and no page shows it now."""
        return self._seen and not any(gallery.views for gallery in self.actions.galleries)

    def _ipython_display_(self) -> None:
        if self._closed:  # ipywidgets has removed the methods that display it
            print(CLOSED)  # noqa: T201 - this is IPython's hook for showing a value
            return
        if hasattr(widgets.VBox, "_ipython_display_"):  # ipywidgets 7
            super()._ipython_display_()
        else:
            from IPython.display import display

            display(self._repr_mimebundle_(), raw=True)  # type: ignore[no-untyped-call]  # IPython has no types here
        self._snapshot.show()
        if self.context.uids():
            self._write_snapshot()

    def close(self) -> None:
        """Free everything: threads, listeners and widgets. The tasks go on."""
        if self._closed:
            return
        self._closed = True
        if self._snapshot.shown:
            self._write_snapshot()
        self.context.close()
        for child in self.children:
            close_all(child)
        self.layout.close()
        super().close()
        self.__dict__.pop("_ipython_display_", None)  # ipywidgets 7 has set it to None


def _head(session: Session, spent: str) -> str:
    sandbox = session.sandbox is not None
    text = "Sandbox: no key, no cost" if sandbox else session.settings.base_url
    where = el("span", html(text), class_="mx-sandbox" if sandbox else "mx-dim")
    money = el("span", html(spent), class_="mx-dim mx-spent")
    return el("div", el("b", html("Modellix")), where, money, class_="mx-head")


def panel() -> Panel:
    """Return a new panel, which is shown if it is the value of a cell.

    Panels that were shown before and that no page shows now are closed.
    """
    for each in tuple(_open_panels):
        if each.abandoned:
            each.close()
    return _class()()


def _class() -> type[Panel]:
    """Return the panel's class for this front end."""
    marimo: Any = sys.modules.get("marimo")
    if marimo is None or not marimo.running_in_notebook():
        return Panel
    from modellix_jupyter.widgets.marimo_panel import MarimoPanel

    return MarimoPanel
