"""The ticked tasks side by side: cards to rate, the grid, the numbers, the table and the plot."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NamedTuple

import ipywidgets as widgets

from modellix_jupyter.html.markup import el, html
from modellix_jupyter.html.table import table_html
from modellix_jupyter.ledger.search import Search
from modellix_jupyter.widgets.controls import Filters, StatusLine, button, column, row, set_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.widgets.card_controller import CardController
    from modellix_jupyter.widgets.panel_context import PanelContext

# The ways to look at tasks, and what each is for.
MODES = {
    "Grid": "Models across, prompts down",
    "Cards": "To rate, enlarge and run again",
    "Summary": "Count, success, seconds and price by model",
    "Table": "Every column",
    "Plot": "Seconds by model",
}
EMPTY = "Tick Compare on two or more tasks, then look at them here."
FIRST_SORT = "submitted_at"
# Of a plot: grey is read on a light page and on a dark one.
_INK = "#808080"


class _Shown(NamedTuple):
    """What is shown: tasks in order, columns to sort by, models to filter by, and HTML."""

    uids: list[str]
    columns: list[str]
    models: list[str]
    markup: str


class Compare:
    """Several ways to look at the ticked tasks."""

    def __init__(self, context: PanelContext, controller: CardController) -> None:
        self._context = context
        self._controller = controller
        self._run = 0
        self.status = StatusLine()
        self.filters = Filters(self.refresh, [FIRST_SORT], descending=False)
        self.mode = widgets.ToggleButtons(options=list(MODES), tooltips=list(MODES.values()))
        self.mode.style.button_width = "auto"
        self.html = widgets.HTML(layout={"width": "100%", "overflow": "auto"})
        self.gallery = controller.gallery(label="Ticked tasks")
        set_visible(self.gallery, visible=False)
        buttons = row(
            self.mode,
            button(
                "Tick all of this kernel", lambda: self._tick([*context.ticked, *context.uids()])
            ),
            button("Untick all", lambda: self._tick([])),
        )
        self.view = column(buttons, self.filters.view, self.status.view, self.html, self.gallery)
        self.mode.observe(lambda _: self.refresh(), "value")
        controller.on_tick.append(self.refresh)

    def _tick(self, uids: Iterable[str]) -> None:
        """Have these tasks ticked and no others."""
        with self._context.lock:
            before = self._context.ticked
            self._context.ticked = dict.fromkeys(uids)
            self._controller.paint({*before, *self._context.ticked})
            self.refresh()

    def refresh(self) -> None:
        """Show it anew, off this thread; of several calls in a row only the last is shown."""
        with self._context.lock:
            self._run += 1
            run, mode, session = self._run, self.mode.value, self._context.session
            ticked = tuple(self._context.ticked)
            search = self.filters.search(uids=ticked)
            by, ascending = self.filters.sort.value, not self.filters.descending.value
        if not ticked:
            self._show(run, _Shown([], [FIRST_SORT], [], el("div", html(EMPTY))))
            return
        self._context.do(
            lambda: _read(session, search, mode, by, ascending=ascending),
            lambda shown: self._show(run, shown),
            self._fail,
        )

    def _fail(self, error: ModellixError) -> None:
        self.html.value = ""
        self.status.error(error)

    def _show(self, run: int, shown: _Shown) -> None:
        if run != self._run:
            return
        cards = self.mode.value == "Cards" and bool(shown.uids)
        self.status.clear()
        self.filters.offer(shown.models, shown.columns)
        self.html.value = "" if cards else shown.markup
        set_visible(self.html, visible=not cards)
        set_visible(self.gallery, visible=cards)
        self.gallery.show(shown.uids)

    def results(self) -> Results:
        """Return the ticked tasks, in the order in which they were ticked."""
        session = self._context.session
        return session.results(map(session.engine.get, self._context.ticked))

    def paint(self, changed: set[str]) -> None:
        """Show it anew where a ticked task has ended."""
        get = self._context.session.engine.get
        if any(get(uid).is_final for uid in changed & set(self._context.ticked)):
            self.refresh()


def _read(session: Session, search: Search, mode: str, by: str, *, ascending: bool) -> _Shown:
    """Read what is shown of the ticked tasks."""
    every, _ = session.ledger.search(Search(uids=search.uids), 0, len(search.uids))
    models = list(dict.fromkeys(task.request.model for task in every))
    tasks, _ = session.ledger.search(search, 0, len(search.uids))
    frame = session.results(tasks).frame()
    columns = [FIRST_SORT, *(name for name in frame.columns if name not in {FIRST_SORT, "path"})]
    if not tasks:
        nothing = el("div", html("No ticked task fits the filter."))
        return _Shown([], columns, models, nothing)
    frame = frame.reset_index(drop=True)
    frame = _sorted(frame, by if by in columns else FIRST_SORT, ascending=ascending)
    results = session.results([tasks[index] for index in frame.index])
    markup = "" if mode == "Cards" else _RENDERERS[mode](results, frame)
    return _Shown([task.uid for task in results], columns, models, markup)


def _sorted(frame: pd.DataFrame, by: str, *, ascending: bool) -> pd.DataFrame:
    """Sort by any column; what cannot be compared with each other is compared as text."""
    try:
        return frame.sort_values(by, ascending=ascending, kind="stable", na_position="last")
    except TypeError:
        return frame.sort_values(
            by, ascending=ascending, kind="stable", key=lambda column: column.astype("string")
        )


def _grid(results: Results, _: pd.DataFrame) -> str:
    grid = results.grid()
    return "".join(grid.page(number)._repr_html_() for number in range(1, grid.count + 1))


def _summary(results: Results, _: pd.DataFrame) -> str:
    table = results.summary().reset_index()
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    return table_html([str(name) for name in table.columns], rows)


def _table(_: Results, frame: pd.DataFrame) -> str:
    from modellix_jupyter.results.show import ShownFrame

    return ShownFrame(frame)._repr_html_()


def _plot(_: Results, frame: pd.DataFrame) -> str:
    from modellix_jupyter.results.summary import plot_png

    data = base64.b64encode(plot_png(frame, "seconds", ink=_INK)).decode()
    return el(
        "img",
        alt="Seconds by model, a point for each task",
        src=f"data:image/png;base64,{data}",
        style="max-width:100%",
    )


_RENDERERS = {"Grid": _grid, "Summary": _summary, "Table": _table, "Plot": _plot}
