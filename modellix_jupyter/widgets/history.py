"""Everything in the ledger, a page at a time; what is not final stands at the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from modellix_jupyter.api.parsing import usable_task_id
from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.markup import el, html
from modellix_jupyter.widgets.controls import (
    Filters,
    StatusLine,
    button,
    column,
    field,
    row,
    set_visible,
    title,
)

if TYPE_CHECKING:
    from modellix_jupyter.values import Task
    from modellix_jupyter.widgets.card_controller import CardController
    from modellix_jupyter.widgets.panel_context import PanelContext

    # The tasks of a page, how many there are, those not final, and the models to filter by.
    Page = tuple[list[Task], int, list[Task], list[str]]

# Tasks of a page.
PAGE = 24
# Models that the filter offers, those used last first.
MODELS = 200
UNKNOWN = (
    "sent with no readable answer: each may have been accepted and charged, so none is sent again "
    "by itself. Look for it in the console; if it is there, take it up by its id."
)


class History:
    """Pages of cards, above them the unfinished tasks and those of unknown outcome."""

    def __init__(self, context: PanelContext, controller: CardController) -> None:
        self._context = context
        self._offset = self._count = 0
        self._open: list[Task] = []
        self.status = StatusLine()
        self.filters = Filters(self._restart)
        self.gallery = controller.gallery(label="History", empty="No task fits.")
        self.previous = button("Previous", lambda: self._turn(-PAGE), disabled=True)
        self.next = button("Next", lambda: self._turn(PAGE), disabled=True)
        self.position = widgets.HTML()
        pager = row(self.previous, self.next, button("Refresh", self.refresh), self.position)
        self.open_box = self._make_open_box(controller)
        self.view = column(self.status.view, self.open_box, self.filters.view, pager, self.gallery)

    def _make_open_box(self, controller: CardController) -> widgets.VBox:
        """Return the part that shows what is not final, and has the controls for it."""
        self.open_line = widgets.HTML()
        self.open_gallery = controller.gallery(label="Unfinished and unknown tasks", max_height=410)
        self.take_up_all = button("Take up all", self._take_up_all)
        self.unknown = field(widgets.Dropdown, "Unknown task", options=[("choose", None)])
        self.task_id = field(widgets.Text, "Its task id", placeholder="from the console")
        self.take_up = button("Take up by this id", self._take_up)
        self.resolve = column(self.unknown, self.task_id, row(self.take_up), width="100%")
        parts = (self.open_line, row(self.take_up_all), self.open_gallery, self.resolve)
        return column(*parts, width="100%", display="none")

    def refresh(self) -> None:
        """Read the ledger again, off this thread."""
        session, offset = self._context.session, self._offset
        search = self.filters.search(
            sort=self.filters.sort.value, descending=self.filters.descending.value
        )

        def read() -> Page:
            tasks, count = session.ledger.search(search, offset, PAGE)
            open_ = [*session.unknown(), *session.unfinished()]
            models = session.ledger.recent_models(session.settings.base_url, MODELS)
            return tasks, count, open_, models

        self._context.do(read, self._show, self.status.error)

    def _show(self, page: Page) -> None:
        tasks, self._count, self._open, models = page
        self.status.clear()
        self.filters.offer(models)
        self.gallery.show([task.uid for task in tasks])
        self.gallery.paint({task.uid for task in tasks})
        first, last = self._offset + 1, self._offset + len(tasks)
        self.position.value = html(f"{first} to {last} of {self._count}" if tasks else "")
        self.previous.disabled = self._offset == 0
        self.next.disabled = last >= self._count
        self._show_open()

    def _show_open(self) -> None:
        unknown = [task for task in self._open if task.status == "unknown"]
        unfinished = len(self._open) - len(unknown)
        set_visible(self.open_box, visible=bool(self._open))
        set_visible(self.resolve, visible=bool(unknown))
        set_visible(self.take_up_all, visible=unfinished > 0)
        self.open_gallery.show([task.uid for task in self._open])
        self.open_gallery.paint({task.uid for task in self._open})
        self.unknown.options = [("choose", None), *((title(t), t.uid) for t in unknown)]
        parts = [f"{unfinished} unfinished."] if unfinished else []
        parts += [f"{len(unknown)} {UNKNOWN}"] if unknown else []
        self.open_line.value = el("div", html(" ".join(parts)), style="line-height:1.5")

    def paint(self, changed: set[str]) -> None:
        """Draw what changed of the tasks on this page."""
        self.gallery.paint(changed)
        self.open_gallery.paint(changed)
        get = self._context.session.engine.get
        if any(task.uid in changed and get(task.uid).is_final for task in self._open):
            self.refresh()

    def _restart(self) -> None:
        self._offset = 0
        self.refresh()

    def _turn(self, by: int) -> None:
        self._offset = max(0, min(self._offset + by, max(self._count - 1, 0)))
        self.refresh()

    def _take_up_all(self) -> None:
        self._context.do(self._context.session.resume, lambda _: self.refresh(), self.status.error)

    def _take_up(self) -> None:
        uid, task_id = self.unknown.value, self.task_id.value.strip()
        if uid is None or not usable_task_id(task_id):
            hint = "The console has it."
            self.status.error(InvalidRequest("Choose the unknown task and give its id.", hint))
            return
        engine = self._context.session.engine
        task = engine.get(uid)

        def show(_: object) -> None:
            self.task_id.value = ""
            self.refresh()

        self._context.do(lambda: engine.resolve_unknown(task, task_id), show, self.status.error)
