"""The panel: create, tasks_view, compare, look back, take away; the whole product by clicking.

Each tab is a view with its own controls, a `refresh` that reads what it shows and a `paint` that
draws what changed; `PanelContext` is what they share.
"""

from __future__ import annotations

import uuid
import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.markup import html
from modellix_jupyter.html.style import AMBER
from modellix_jupyter.results.output_budget import budget_of
from modellix_jupyter.widgets.card_controller import CardController
from modellix_jupyter.widgets.compare import Compare
from modellix_jupyter.widgets.connection import Connection
from modellix_jupyter.widgets.create import Create
from modellix_jupyter.widgets.export import Export
from modellix_jupyter.widgets.form import close_all
from modellix_jupyter.widgets.history import History
from modellix_jupyter.widgets.inputs import PageParts
from modellix_jupyter.widgets.panel_context import PanelContext
from modellix_jupyter.widgets.snapshot import MOST, Snapshot
from modellix_jupyter.widgets.status_line import StatusLine
from modellix_jupyter.widgets.tasks_view import TasksView

if TYPE_CHECKING:
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.values import Task

TABS = ("Compose", "Compare", "History", "Export", "Connection")
_TWO_COLUMNS = "repeat(auto-fit, minmax(min(100%, 370px), 1fr))"
"""The form and the tasks side by side where there is room, else below each other."""
CLOSED = "This panel is closed.\n`mx.panel()` makes another."

_living: weakref.WeakSet[Panel] = weakref.WeakSet()


class Panel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The panel; it shows itself where it is a cell's value.

    Parameters
    ----------
    session
        Which it uses; where it is not given, whatever session is in use, also later.

    """

    def __init__(self, session: Session | None = None) -> None:
        self._status = StatusLine()
        self._ended = True  # until there is something to end
        self._seen = self._stale = False
        self.context = PanelContext(session, self._status.error)
        self.controller = CardController(self.context, self._use)
        self.tasks_view = TasksView(self.context, self.controller)
        self.create = Create(self.context, lambda _: self.tasks_view.refresh())
        self.compare = Compare(self.context, self.controller)
        self.history = History(self.context, self.controller)
        self.export = Export(self.context, self.create, self.tasks_view, self.compare)
        self.connection = Connection(self.context, self.close)
        name = f"mx-still-{uuid.uuid4().hex[:8]}"
        self._snapshot = Snapshot(name, budget_of(self.context.session.settings).output)
        self._head = widgets.HTML()
        making = widgets.GridBox(
            [self.create.view, self.tasks_view.view],
            layout={"grid_template_columns": _TWO_COLUMNS, "grid_gap": "8px 20px", "width": "100%"},
        )
        views = [
            making,
            self.compare.view,
            self.history.view,
            self.export.view,
            self.connection.view,
        ]
        self.tabs = widgets.Tab(views, titles=TABS)
        super().__init__(
            [
                self._head,
                self._status.view,
                self.tabs,
                PageParts(scope="mx-panel", target="mx-generate", still=name),
            ]
        )
        self.add_class("mx-panel")
        self.tabs.observe(self._turned, "selected_index")
        for gallery in self.controller.galleries:
            gallery.on_presence = self._presence
        self.context.on_session.append(self._new_session)
        self.context.on_change.append(self._paint)
        self.context.on_tick.append(self._keep_still)
        _living.add(self)
        self._ended = False
        self.context.wake()

    # -- what the context tells

    def _new_session(self) -> None:
        """Begin anew with a session that has just been taken up."""
        with self.context.lock:
            session = self.context.session
            where = "the sandbox: no key, no cost" if session.sandbox else session.settings.base_url
            dot = f'<span style="color:{AMBER}">●</span> ' if session.sandbox else ""
            self._head.value = f"<div>{dot}<b>Modellix</b> · {html(where)}</div>"
            for view in (self.create, self.controller, self.tasks_view, self._tab()):
                if view is not None:
                    view.refresh()
            if self._key_is_missing():
                self.tabs.selected_index = TABS.index("Connection")

    def _key_is_missing(self) -> bool:
        try:
            self.context.session.key()
        except ModellixError:
            return True
        return False

    def _paint(self, changed: set[str]) -> None:
        """Draw what changed; on the painter's thread."""
        with self.context.lock:
            self.tasks_view.paint(changed)
            for view in (self.compare, self.history):
                if self._tab() is view:
                    view.paint(changed)
        self._stale = True

    def _keep_still(self) -> None:
        """Write the still picture anew where something ended since, but not too often."""
        if self._stale and self._snapshot.due:
            self._stale = False
            self._write_snapshot()

    def _write_snapshot(self) -> None:
        ended = [task.uid for task in self.tasks_view.tasks() if task.is_final]
        self._snapshot.write([self.context.session.card(uid) for uid in ended[:MOST]])

    # -- what the user does

    def _tab(self) -> Any:  # noqa: ANN401 - the views have refresh and paint in common
        views = (None, self.compare, self.history, None, self.connection)
        return views[self.tabs.selected_index or 0]

    def _turned(self, _: object) -> None:
        view = self._tab()
        if view is not None:
            view.refresh()

    def _use(self, task: Task) -> None:
        self.create.use(task)
        self.tabs.selected_index = TABS.index("Compose")

    def _presence(self) -> None:
        """Rest while no page shows the panel, and go on when one does."""
        here = any(gallery.views for gallery in self.controller.galleries)
        if here:
            self._seen = True
            self.context.wake()
        elif self._seen:
            self.context.rest()

    # -- showing and ending

    @property
    def resting(self) -> bool:
        """Whether it was shown once and no page shows it any more."""
        return self._seen and not any(gallery.views for gallery in self.controller.galleries)

    def _ipython_display_(self) -> None:
        if self._ended:  # ipywidgets has taken its own ways to be shown from it
            print(CLOSED)  # noqa: T201 - this is IPython's hook for showing a value
            return
        from IPython.display import display

        display(self._repr_mimebundle_(), raw=True)  # type: ignore[no-untyped-call]  # IPython has no types here
        self._snapshot.show()
        if self.tasks_view.uids():
            self._write_snapshot()

    def close(self) -> None:
        """Free everything: threads, listeners and widgets. The tasks go on."""
        if self._ended:
            return
        self._ended = True
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
    for each in tuple(_living):
        if each.resting:
            each.close()
    return Panel()
