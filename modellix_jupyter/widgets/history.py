"""Everything in the ledger, a page at a time; what is not settled stands at the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from modellix_jupyter.api.parsing import usable_task_id
from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.markup import html
from modellix_jupyter.widgets.fields import LABEL, WIDE
from modellix_jupyter.widgets.filters import Filters
from modellix_jupyter.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from modellix_jupyter.values import Task
    from modellix_jupyter.widgets.card_controller import CardController
    from modellix_jupyter.widgets.panel_context import PanelContext

PAGE = 24
"""Tasks of a page."""
MODELS = 200
"""Models that the filter offers, those used last first."""


class History:
    """Pages of cards, above them what is unfinished or of unknown outcome.

    Parameters
    ----------
    context, controller
        See `PanelContext` and `CardController`.

    """

    def __init__(self, context: PanelContext, controller: CardController) -> None:
        self._context = context
        self._offset = self._count = 0
        self._open: list[Task] = []
        self.status = StatusLine()
        self.filters = Filters(self._anew)
        self.open_line = widgets.HTML()
        self.open_gallery = controller.gallery(label="Unfinished and unknown tasks", height=410)
        self.unknown = widgets.Dropdown(
            description="Unknown task", options=[("choose", None)], layout=WIDE, style=LABEL
        )
        self.task_id = widgets.Text(
            description="Its task id", placeholder="from the console", layout=WIDE, style=LABEL,
            continuous_update=False,
        )  # fmt: skip
        self.take = widgets.Button(description="Take up by this id", layout={"width": "auto"})
        self.settle = widgets.VBox(
            [self.unknown, self.task_id, widgets.HBox([self.take])],
            layout={"display": "none", "width": "100%"},
        )
        self.all_open = widgets.Button(description="Take up all", layout={"width": "auto"})
        self.open_box = widgets.VBox(
            [self.open_line, widgets.HBox([self.all_open]), self.open_gallery, self.settle],
            layout={"display": "none", "width": "100%"},
        )
        self.gallery = controller.gallery(label="History", empty="No task fits.")
        self.previous = widgets.Button(
            description="Previous", disabled=True, layout={"width": "auto"}
        )
        self.next = widgets.Button(description="Next", disabled=True, layout={"width": "auto"})
        self.again = widgets.Button(description="Refresh", layout={"width": "auto"})
        self.place = widgets.HTML()
        pager = widgets.HBox(
            [self.previous, self.next, self.again, self.place],
            layout={"flex_flow": "row wrap", "align_items": "center"},
        )
        self.view = widgets.VBox(
            [self.status.view, self.open_box, self.filters.view, pager, self.gallery], layout=WIDE
        )
        self.previous.on_click(lambda _: self._turn(-PAGE))
        self.next.on_click(lambda _: self._turn(PAGE))
        self.again.on_click(lambda _: self.refresh())
        self.take.on_click(lambda _: self._take_up())
        self.all_open.on_click(lambda _: self._resume())

    def refresh(self) -> None:
        """Read the ledger again, off this thread."""
        session = self._context.session
        search = self.filters.search(
            sort=self.filters.sort.value, descending=self.filters.descending.value
        )
        offset, origin = self._offset, session.settings.base_url

        def read() -> tuple[list[Task], int, list[Task], list[str]]:
            tasks, count = session.ledger.search(search, offset, PAGE)
            open_ = [*session.unknown(), *session.unfinished()]
            return tasks, count, open_, session.ledger.recent_models(origin, MODELS)

        self._context.do(read, self._show, self.status.error)

    def _show(self, read: tuple[list[Task], int, list[Task], list[str]]) -> None:
        tasks, self._count, self._open, models = read
        self.status.clear()
        self.filters.offer(models)
        self.gallery.show([task.uid for task in tasks])
        self.gallery.paint({task.uid for task in tasks})
        first, last = self._offset + 1, self._offset + len(tasks)
        self.place.value = html(f"{first} to {last} of {self._count}" if tasks else "")
        self.previous.disabled = self._offset == 0
        self.next.disabled = last >= self._count
        self._show_open()

    def _show_open(self) -> None:
        unknown = [task for task in self._open if task.status == "unknown"]
        rest = len(self._open) - len(unknown)
        self.open_box.layout.display = "" if self._open else "none"
        self.settle.layout.display = "" if unknown else "none"
        self.all_open.layout.display = "" if rest else "none"
        self.open_gallery.show([task.uid for task in self._open])
        self.open_gallery.paint({task.uid for task in self._open})
        self.unknown.options = [("choose", None), *((_line(t), t.uid) for t in unknown)]
        parts = [f"{rest} unfinished." if rest else ""]
        if unknown:
            parts.append(
                f"{len(unknown)} sent with no readable answer: each may have been accepted and "
                "charged, so none is sent again by itself. Look for it in the console; if it is "
                "there, take it up by its id."
            )
        self.open_line.value = (
            f'<div style="line-height:1.5">{html(" ".join(filter(None, parts)))}</div>'
        )

    def paint(self, changed: set[str]) -> None:
        """Show what changed of the tasks on this page."""
        self.gallery.paint(changed)
        self.open_gallery.paint(changed)
        if any(task.uid in changed for task in self._open):
            watches = self._context.session.engine
            over = [t for t in self._open if t.uid in changed and watches.get(t.uid).is_final]
            if over:
                self.refresh()

    def _anew(self) -> None:
        self._offset = 0
        self.refresh()

    def _turn(self, by: int) -> None:
        self._offset = max(0, min(self._offset + by, max(self._count - 1, 0)))
        self.refresh()

    def _resume(self) -> None:
        session = self._context.session
        self._context.do(session.resume, lambda _: self.refresh(), self.status.error)

    def _take_up(self) -> None:
        uid, task_id = self.unknown.value, self.task_id.value.strip()
        if uid is None or not usable_task_id(task_id):
            self.status.error(
                InvalidRequest("Choose the unknown task and give its id.", "The console has it.")
            )
            return
        session = self._context.session
        task = session.engine.get(uid)

        def over(_: object) -> None:
            self.task_id.value = ""
            self.refresh()

        self._context.do(
            lambda: session.engine.resolve_unknown(task, task_id), over, self.status.error
        )


def _line(task: Task) -> str:
    prompt = " ".join((task.request.prompt or "").split())[:50]
    return f"{task.request.model}: {prompt}"
