"""The ledger as a table of pictures; above it are the controls for tasks that are not final."""

from __future__ import annotations

import time

import ipywidgets as widgets

from modellix_jupyter.api.parsing import usable_task_id
from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.markup import el, html
from modellix_jupyter.ledger.history import SORTS, Search, Sort
from modellix_jupyter.values import Task, service_of
from modellix_jupyter.widgets.actions import Actions
from modellix_jupyter.widgets.cards import Item, Listing, title_of
from modellix_jupyter.widgets.controls import (
    Markup,
    StatusLine,
    box,
    button,
    checkbox,
    field,
    fields,
    row,
    set_visible,
)
from modellix_jupyter.widgets.panel_context import PanelContext

# The uids that match, the tasks that are not final, and the models to filter by.
Read = tuple[list[str], list[Task], list[str]]
# The most models that the filter offers; the recently used ones are kept.
MODELS = 200
ANY_MODEL, ANY_STATE, ANY_TIME = "any model", "any state", "any time"
STATES: dict[str, tuple[str, ...]] = {
    ANY_STATE: (),
    "running": ("submitting", "pending", "processing"),
    "success": ("success",),
    "failed": ("failed", "rejected", "expired"),
    "unknown": ("unknown",),
}
HOUR_US = 3_600_000_000
TIMES: dict[str, int | None] = {
    ANY_TIME: None,
    "the last hour": HOUR_US,
    "the last day": 24 * HOUR_US,
    "the last week": 7 * 24 * HOUR_US,
    "the last month": 30 * 24 * HOUR_US,
}
EMPTY = {"title": "No task yet", "text": "What you generate, here or in a cell, is listed here."}
NONE_FITS = {"title": "No task fits", "text": "Try another model, state or time."}
UNKNOWN = (
    "sent with no readable answer: each may have been accepted and charged, so none is sent again "
    "by itself. Look for it in the console; if it is there, take it up by its id."
)


class History:
    """The table, and above it the unfinished tasks and those of unknown outcome."""

    def __init__(self, context: PanelContext, actions: Actions) -> None:
        self._context = context
        self._actions = actions
        self._open: list[Task] = []
        self.status = StatusLine()
        self.model = field(widgets.Dropdown, "Of model", options=[ANY_MODEL])
        self.state = field(widgets.Dropdown, "State", options=list(STATES))
        self.time = field(widgets.Dropdown, "Made in", options=list(TIMES))
        self.everywhere = checkbox("Every service")
        self.gallery = actions.gallery(
            mode="table", label="History", search_label="Search the history", empty=EMPTY
        )
        refresh = button("Refresh", self.refresh)
        filters = fields(self.model, self.state, self.time, self.everywhere, refresh)
        self.open_box = self._make_open_box()
        self.delete_box = self._make_delete_box()
        self.top = box("mx-history-top", self.status.view, self.open_box, self.delete_box, filters)
        for control in (self.model, self.state, self.time, self.everywhere):
            control.observe(lambda _: self.refresh(), "value")
        self.gallery.observe(lambda _: self.refresh(), ["search", "sort", "descending"])
        actions.delete = self.ask_to_delete
        actions.on_picks.append(lambda: set_visible(self.delete_box, visible=False))

    # -- the table

    def refresh(self) -> None:
        """Read the ledger again, off this thread; of several calls only the last counts."""
        session = self._context.session
        self.status.clear()

        def read() -> Read:
            session.end_ended()
            models = session.ledger.recent_models(session.settings.base_url, MODELS)
            open_ = [*session.unknown(), *session.unfinished()]
            return session.ledger.found(self._search()), open_, models

        self._context.do(read, self._show, self.status.error, last_of=self)

    def _search(self) -> Search:
        gallery, model, span = self.gallery, self.model.value, TIMES[self.time.value]
        sort: Sort = next((name for name in SORTS if name == gallery.sort), "created")
        in_use = service_of(self._context.session.settings.base_url)
        return Search(
            service=None if self.everywhere.value else in_use,
            model=None if model == ANY_MODEL else model,
            states=STATES[self.state.value],
            text=gallery.search,
            since=None if span is None else int(time.time() * 1e6) - span,
            sort=sort,
            descending=gallery.descending,
        )

    def _show(self, read: Read) -> None:
        uids, self._open, models = read
        options = [ANY_MODEL, *models]
        if self.model.value in options and list(self.model.options) != options:
            chosen = self.model.value
            with self.model.hold_trait_notifications():
                self.model.options = options
                self.model.value = chosen
        filters = self.model, self.state, self.time
        any_ = all(each.value.startswith("any ") for each in filters)
        self.gallery.empty = EMPTY if any_ else NONE_FITS
        self.gallery.show(Listing(tuple(map(Item, uids))))
        self.gallery.paint(set(uids))
        self._show_open()

    def paint(self, changed: set[str]) -> None:
        """Draw the changed tasks; read the ledger again if one that was not final has ended."""
        self.gallery.paint(changed)
        get = self._context.session.engine.get
        if any(task.uid in changed and get(task.uid).is_final for task in self._open):
            self.refresh()

    # -- tasks that are not final

    def _make_open_box(self) -> widgets.VBox:
        self.open_line = Markup()
        self.take_up_all = button("Take up all", self._take_up_all)
        self.unknown = field(widgets.Dropdown, "Unknown task", options=[("choose", None)])
        self.task_id = field(widgets.Text, "Its task id", placeholder="from the console")
        take_up = button("Take up by this id", self._take_up)
        self.resolve = fields(self.unknown, self.task_id, take_up)
        made = box("mx-open", self.open_line, row(self.take_up_all), self.resolve)
        set_visible(made, visible=False)
        return made

    def _show_open(self) -> None:
        unknown = [task for task in self._open if task.status == "unknown"]
        unfinished = len(self._open) - len(unknown)
        set_visible(self.open_box, visible=bool(self._open))
        set_visible(self.resolve, visible=bool(unknown))
        set_visible(self.take_up_all, visible=unfinished > 0)
        self.unknown.options = [("choose", None), *((title_of(t), t.uid) for t in unknown)]
        parts = [f"{unfinished} unfinished."] if unfinished else []
        parts += [f"{len(unknown)} {UNKNOWN}"] if unknown else []
        self.open_line.value = el("div", html(" ".join(parts)))

    def _take_up_all(self) -> None:
        self._context.do(self._context.session.resume, lambda _: self.refresh(), self.status.error)

    def _take_up(self) -> None:
        uid, task_id = self.unknown.value, self.task_id.value.strip()
        if uid is None or not usable_task_id(task_id):
            hint = "The console has it."
            self.status.error(InvalidRequest("Choose the unknown task and give its id.", hint))
            return
        engine = self._context.session.engine

        def show(_: object) -> None:
            self.task_id.value = ""
            self.refresh()

        self._context.do(
            lambda: engine.resolve_unknown(engine.get(uid), task_id), show, self.status.error
        )

    # -- deleting

    def _make_delete_box(self) -> widgets.VBox:
        self.delete_line = Markup()
        self.files = checkbox("Delete their files too")
        self.delete = button("Delete", self._delete, button_style="danger")
        keep = button("Keep", lambda: set_visible(self.delete_box, visible=False))
        made = box("mx-open", self.delete_line, self.files, row(self.delete, keep))
        set_visible(made, visible=False)
        return made

    def ask_to_delete(self) -> None:
        """Ask whether to delete the picked tasks."""
        count = len({item.uid for item in self._actions.picked})
        if count:
            what = "1 task" if count == 1 else f"{count} tasks"
            self.files.value = False
            self.delete.description = f"Delete {what}"
            question = f"Delete {what} from the history? What was spent for it still counts."
            self.delete_line.value = el("div", html(question), role="alert")
            set_visible(self.delete_box, visible=True)

    def _delete(self) -> None:
        uids = {item.uid for item in self._actions.picked}
        session, files = self._context.session, self.files.value

        def show(gone: list[str]) -> None:
            self._context.forget(gone)
            self._actions.pick(())
            self.refresh()
            kept = len(uids) - len(gone)
            more = f" Not over, or another user's, so kept: {kept}." if kept else ""
            self.status.message(f"Deleted: {len(gone)}.{more}")

        set_visible(self.delete_box, visible=False)
        self._context.do(lambda: session.delete(uids, files=files), show, self.status.error)
