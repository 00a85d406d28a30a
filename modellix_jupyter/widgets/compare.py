"""The ticked tasks side by side: cards to rate, the grid, the numbers, the table and the plot."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import ipywidgets as widgets

from modellix_jupyter.html.markup import html
from modellix_jupyter.html.table import table_html
from modellix_jupyter.ledger.search import Search
from modellix_jupyter.widgets.fields import WIDE
from modellix_jupyter.widgets.filters import Filters
from modellix_jupyter.widgets.status_line import StatusLine

if TYPE_CHECKING:
    import pandas as pd

    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.widgets.card_controller import CardController
    from modellix_jupyter.widgets.panel_context import PanelContext

MODES = ("Grid", "Cards", "Summary", "Table", "Plot")
EMPTY = "Tick Compare on two or more tasks, then look at them here."
FIRST_SORT = "submitted_at"
_INK = "#808080"
"""Of a plot: grey is read on a light page and on a dark one."""


class Compare:
    """Several looks at the ticked tasks.

    Parameters
    ----------
    context, controller
        See `PanelContext` and `CardController`.

    """

    def __init__(self, context: PanelContext, controller: CardController) -> None:
        self._context = context
        self._run = 0
        self.status = StatusLine()
        self.filters = Filters(self.refresh, [FIRST_SORT], descending=False)
        self.mode = widgets.ToggleButtons(options=list(MODES), value="Grid", tooltips=_TIPS)
        self.mode.style.button_width = "auto"
        self.all = widgets.Button(description="Tick all of this kernel", layout={"width": "auto"})
        self.none = widgets.Button(description="Untick all", layout={"width": "auto"})
        self.html = widgets.HTML(layout={"width": "100%", "overflow": "auto"})
        self.gallery = controller.gallery(label="Ticked tasks")
        self.gallery.layout.display = "none"
        self.view = widgets.VBox(
            [
                widgets.HBox(
                    [self.mode, self.all, self.none],
                    layout={"flex_flow": "row wrap", "align_items": "center"},
                ),
                self.filters.view,
                self.status.view,
                self.html,
                self.gallery,
            ],
            layout=WIDE,
        )
        self.mode.observe(lambda _: self.refresh(), "value")
        self.all.on_click(lambda _: self._tick_all())
        self.none.on_click(lambda _: self._untick())
        controller.on_tick.append(self.refresh)
        self._paint = controller.paint

    def _tick_all(self) -> None:
        with self._context.lock:
            uids = self._context.session.engine.watched()
            self._context.ticked.update(dict.fromkeys(uids))
            self._paint(set(uids))
            self.refresh()

    def _untick(self) -> None:
        with self._context.lock:
            gone = set(self._context.ticked)
            self._context.ticked.clear()
            self._paint(gone)
            self.refresh()

    def refresh(self) -> None:
        """Look again, off this thread; of several looks in a row only the last is shown."""
        with self._context.lock:
            self._run += 1
            run, look, session = self._run, self.mode.value, self._context.session
            ticked = tuple(self._context.ticked)
            search = self.filters.search(uids=ticked)
            by, ascending = self.filters.sort.value, not self.filters.descending.value
        if not ticked:
            self._show(run, ([], [FIRST_SORT], [], f"<div>{html(EMPTY)}</div>"))
            return
        self._context.do(
            lambda: _look(session, search, look, by, ascending=ascending),
            lambda seen: self._show(run, seen),
            self._fail,
        )

    def _fail(self, error: ModellixError) -> None:
        self.html.value = ""
        self.status.error(error)

    def _show(self, run: int, seen: tuple[list[str], list[str], list[str], str]) -> None:
        if run != self._run:
            return
        uids, columns, models, markup = seen
        cards = self.mode.value == "Cards" and bool(uids)
        self.status.clear()
        self.filters.offer(models, columns)
        self.html.value = "" if cards else markup
        self.html.layout.display = "none" if cards else ""
        self.gallery.layout.display = "" if cards else "none"
        self.gallery.show(uids)

    def results(self) -> Results:
        """Return the ticked tasks, in the order in which they were ticked."""
        session = self._context.session
        return session.results([session.engine.get(uid) for uid in self._context.ticked])

    def paint(self, changed: set[str]) -> None:
        """Look again where a ticked task has ended."""
        engine = self._context.session.engine
        ended = changed & set(self._context.ticked)
        if any(engine.get(uid).is_final for uid in ended):
            self.refresh()


_TIPS = [
    "Models across, prompts down",
    "To rate, enlarge and run again",
    "Count, success, seconds and price by model",
    "Every column",
    "Seconds by model",
]


def _look(
    session: Session, search: Search, look: str, by: str, *, ascending: bool
) -> tuple[list[str], list[str], list[str], str]:
    """Return the tasks in order, the columns to sort by, the models, and what is to be seen."""
    every, _ = session.ledger.search(Search(uids=search.uids), 0, len(search.uids))
    models = list(dict.fromkeys(task.request.model for task in every))
    tasks, _ = session.ledger.search(search, 0, len(search.uids))
    results = session.results(tasks)
    frame = results.frame()
    columns = [FIRST_SORT, *(name for name in frame.columns if name not in {FIRST_SORT, "path"})]
    if not tasks:
        return [], columns, models, f"<div>{html('No ticked task fits the filter.')}</div>"
    frame = frame.reset_index(drop=True)
    frame = _sorted(frame, by if by in columns else FIRST_SORT, ascending=ascending)
    ordered = session.results([tasks[place] for place in frame.index])
    uids = [task.uid for task in ordered]
    return uids, columns, models, "" if look == "Cards" else _LOOKS[look](ordered, frame)


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
    from modellix_jupyter.results.plots import plot_png

    data = base64.b64encode(plot_png(frame, "seconds", ink=_INK)).decode()
    return (
        '<img alt="Seconds by model, a point for each task" style="max-width:100%" '
        f'src="data:image/png;base64,{data}">'
    )


_LOOKS = {"Grid": _grid, "Summary": _summary, "Table": _table, "Plot": _plot}
