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
from modellix_jupyter.widgets.status_line import Said

if TYPE_CHECKING:
    import pandas as pd

    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.widgets.card_controller import Deck
    from modellix_jupyter.widgets.panel_context import Board

VIEWS = ("Grid", "Cards", "Summary", "Table", "Plot")
EMPTY = "Tick Compare on two or more tasks, then look at them here."
FIRST_SORT = "submitted_at"
_INK = "#808080"
"""Of a plot: grey is read on a light page and on a dark one."""


class Compare:
    """Several looks at the ticked tasks.

    Parameters
    ----------
    board, deck
        See `Board` and `Deck`.

    """

    def __init__(self, board: Board, deck: Deck) -> None:
        self._board = board
        self._run = 0
        self.said = Said()
        self.filters = Filters(self.refresh, [FIRST_SORT], descending=False)
        self.looks = widgets.ToggleButtons(options=list(VIEWS), value="Grid", tooltips=_TIPS)
        self.looks.style.button_width = "auto"
        self.all = widgets.Button(description="Tick all of this kernel", layout={"width": "auto"})
        self.none = widgets.Button(description="Untick all", layout={"width": "auto"})
        self.html = widgets.HTML(layout={"width": "100%", "overflow": "auto"})
        self.feed = deck.feed(label="Ticked tasks")
        self.feed.layout.display = "none"
        self.view = widgets.VBox(
            [
                widgets.HBox(
                    [self.looks, self.all, self.none],
                    layout={"flex_flow": "row wrap", "align_items": "center"},
                ),
                self.filters.view,
                self.said.view,
                self.html,
                self.feed,
            ],
            layout=WIDE,
        )
        self.looks.observe(lambda _: self.refresh(), "value")
        self.all.on_click(lambda _: self._tick_all())
        self.none.on_click(lambda _: self._untick())
        deck.on_tick.append(self.refresh)
        self._paint = deck.paint

    def _tick_all(self) -> None:
        with self._board.lock:
            uids = self._board.session.engine.watched()
            self._board.ticked.update(dict.fromkeys(uids))
            self._paint(set(uids))
            self.refresh()

    def _untick(self) -> None:
        with self._board.lock:
            gone = set(self._board.ticked)
            self._board.ticked.clear()
            self._paint(gone)
            self.refresh()

    def refresh(self) -> None:
        """Look again, off this thread; of several looks in a row only the last is shown."""
        with self._board.lock:
            self._run += 1
            run, look, session = self._run, self.looks.value, self._board.session
            ticked = tuple(self._board.ticked)
            search = self.filters.search(uids=ticked)
            by, ascending = self.filters.sort.value, not self.filters.descending.value
        if not ticked:
            self._show(run, ([], [FIRST_SORT], [], f"<div>{html(EMPTY)}</div>"))
            return
        self._board.do(
            lambda: _look(session, search, look, by, ascending=ascending),
            lambda seen: self._show(run, seen),
            self._fail,
        )

    def _fail(self, error: ModellixError) -> None:
        self.html.value = ""
        self.said.error(error)

    def _show(self, run: int, seen: tuple[list[str], list[str], list[str], str]) -> None:
        if run != self._run:
            return
        uids, columns, models, markup = seen
        cards = self.looks.value == "Cards" and bool(uids)
        self.said.clear()
        self.filters.offer(models, columns)
        self.html.value = "" if cards else markup
        self.html.layout.display = "none" if cards else ""
        self.feed.layout.display = "" if cards else "none"
        self.feed.show(uids)

    def results(self) -> Results:
        """Return the ticked tasks, in the order in which they were ticked."""
        session = self._board.session
        return session.results([session.engine.get(uid) for uid in self._board.ticked])

    def paint(self, changed: set[str]) -> None:
        """Look again where a ticked task has ended."""
        engine = self._board.session.engine
        ended = changed & set(self._board.ticked)
        if any(engine.get(uid).settled for uid in ended):
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
