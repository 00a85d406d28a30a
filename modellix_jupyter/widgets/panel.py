"""The panel: create, compare, look back and export; the whole product by clicking.

Each tab is a view with its own controls, a `refresh` that reads what it shows and a `paint` that
draws what changed; `PanelContext` is what they share.
"""

from __future__ import annotations

import time
import uuid
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets as widgets
import traitlets

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.cards import cards_html
from modellix_jupyter.html.elements import AMBER, dot
from modellix_jupyter.html.markup import el, html
from modellix_jupyter.notebook.display import NotebookScreen
from modellix_jupyter.results.output_budget import budget_of
from modellix_jupyter.widgets.card_controller import CardController, TasksView
from modellix_jupyter.widgets.compare import Compare
from modellix_jupyter.widgets.connection import Connection
from modellix_jupyter.widgets.controls import StatusLine, close_all
from modellix_jupyter.widgets.create import Create
from modellix_jupyter.widgets.export import Export
from modellix_jupyter.widgets.history import History
from modellix_jupyter.widgets.panel_context import PanelContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.values import Card, Task

TABS = ("Compose", "Compare", "History", "Export", "Connection")
CLOSED = "This panel is closed.\n`mx.panel()` makes another."
NOTE = "The panel as it was. Run its cell again to use it."
# Tasks that a snapshot shows, the newest.
MAX_SNAPSHOT_TASKS = 24
# How often a snapshot is written at most, in seconds.
SNAPSHOT_EVERY_S = 2.0
# What a snapshot may cost at most, in bytes a second: nobody sees it while the panel lives.
SNAPSHOT_BYTES_S = 50_000
# The form and the tasks side by side where there is room, else below each other.
_TWO_COLUMNS = "repeat(auto-fit, minmax(min(100%, 370px), 1fr))"
_HERE = Path(__file__).parent

_open_panels: weakref.WeakSet[Panel] = weakref.WeakSet()


class PageParts(anywidget.AnyWidget):
    """What concerns a panel's page: Ctrl+Enter, its style, and the hiding of its snapshot."""

    _esm = _HERE / "page.js"
    _css = _HERE / "page.css"
    snapshot = traitlets.Unicode().tag(sync=True)

    def __init__(self, snapshot: str) -> None:
        super().__init__(snapshot=snapshot)
        self.on_msg(self._on_message)

    def _on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        if message == {"hello": True}:
            self.send({"alive": True})


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
        """Put it below what the cell has shown so far."""
        self.shown, self._screen = True, NotebookScreen()
        self.write(())

    @property
    def due(self) -> bool:
        """Whether it may be written again by now."""
        pause = max(SNAPSHOT_EVERY_S, self._size / SNAPSHOT_BYTES_S)
        return self.shown and time.monotonic() - self._written_at >= pause

    def write(self, cards: Sequence[Card]) -> None:
        """Write it anew, if it says something else now."""
        note = html(NOTE)
        shown = cards_html(cards, time.time(), stopped=NOTE, budget=self._budget) if cards else note
        page = el("div", shown, class_=self.class_name)
        self._screen.draw({"text/html": page, "text/plain": NOTE}, last=False)
        self._size, self._written_at = len(page), time.monotonic()


class Panel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The panel of a session, or of whatever session is in use; it shows itself in a notebook."""

    def __init__(self, session: Session | None = None) -> None:
        self._closed = True  # until there is something to close
        self._seen = self._stale = False
        self._status = StatusLine()
        self._head = widgets.HTML()
        self.context = PanelContext(session, self._status.error)
        self.controller = CardController(self.context, self._use)
        self.tasks_view = TasksView(self.context, self.controller)
        self.create = Create(self.context, lambda _: self.tasks_view.refresh())
        self.compare = Compare(self.context, self.controller)
        self.history = History(self.context, self.controller)
        self.export = Export(self.context, self.create, self.compare)
        self.connection = Connection(self.context, self.close)
        self._snapshot = Snapshot(budget_of(self.context.session.settings).output)
        self.tabs = self._make_tabs()
        page = PageParts(self._snapshot.class_name)
        super().__init__([self._head, self._status.view, self.tabs, page])
        self.add_class("mx-panel")
        self._closed = False
        _open_panels.add(self)
        self._start()

    def _make_tabs(self) -> widgets.Tab:
        two_columns = widgets.GridBox(
            [self.create.view, self.tasks_view.view],
            layout={"grid_template_columns": _TWO_COLUMNS, "grid_gap": "8px 20px", "width": "100%"},
        )
        others = (self.compare, self.history, self.export, self.connection)
        return widgets.Tab([two_columns, *(each.view for each in others)], titles=TABS)

    def _start(self) -> None:
        self.tabs.observe(lambda _: self._refresh_tab(), "selected_index")
        for gallery in self.controller.galleries:
            gallery.on_presence = self._on_presence
        self.context.on_session = self._on_session
        self.context.on_tick = self._on_tick
        self.context.start()

    # -- what the context tells

    def _on_session(self) -> None:
        """Begin anew with a session that has just been taken up."""
        with self.context.lock:
            session = self.context.session
            where = "the sandbox: no key, no cost" if session.sandbox else session.settings.base_url
            name = el("b", html("Modellix"))
            mark = dot(AMBER) if session.sandbox else html("")
            self._head.value = el("div", mark, name, html(f" · {where}"))
            for view in (self.create, self.controller, self.tasks_view):
                view.refresh()
            self._refresh_tab()
            try:
                session.key()
            except ModellixError:
                self.tabs.selected_index = TABS.index("Connection")

    def _on_tick(self, changed: set[str]) -> None:
        """Draw what changed, and the snapshot not too often; on the painter's thread."""
        if changed:
            with self.context.lock:
                self.tasks_view.paint(changed)
                view = self._tab_view()
                if isinstance(view, Compare | History):
                    view.paint(changed)
            self._stale = True
        if self._stale and self._snapshot.due:
            self._stale = False
            self._write_snapshot()

    def _write_snapshot(self) -> None:
        session = self.context.session
        ended = [uid for uid in self.context.uids()[::-1] if session.engine.get(uid).is_final]
        self._snapshot.write([session.card(uid) for uid in ended[:MAX_SNAPSHOT_TASKS]])

    # -- what the user does

    def _tab_view(self) -> Compare | History | Connection | None:
        """Return the view of the open tab, if it reads anything of its own."""
        views = (None, self.compare, self.history, None, self.connection)
        return views[self.tabs.selected_index or 0]

    def _refresh_tab(self) -> None:
        view = self._tab_view()
        if view is not None:
            view.refresh()

    def _use(self, task: Task) -> None:
        self.create.use(task)
        self.tabs.selected_index = TABS.index("Compose")

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
        """Whether it was shown once and no page shows it any more."""
        return self._seen and not any(gallery.views for gallery in self.controller.galleries)

    def _ipython_display_(self) -> None:
        if self._closed:  # ipywidgets has taken its own ways to be shown from it
            print(CLOSED)  # noqa: T201 - this is IPython's hook for showing a value
            return
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


def panel() -> Panel:
    """Return the panel, which shows itself where it is a cell's value.

    Panels that were shown before and that no page shows any more are closed.
    """
    for each in tuple(_open_panels):
        if each.abandoned:
            each.close()
    return Panel()
