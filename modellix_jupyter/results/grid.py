"""Results as a comparison that shows itself, within the bytes that an output may have."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.grid import grid_html, grid_text
from modellix_jupyter.results.output_budget import fitted, paginate

if TYPE_CHECKING:
    from pathlib import Path

    from modellix_jupyter.html.grid import Grid
    from modellix_jupyter.results.output_budget import Budget


class ResultsGrid:
    """A comparison that shows itself in a notebook and in a terminal.

    Parameters
    ----------
    grid
        The whole of it.
    budget
        What one page of it may weigh.
    number
        The page that it shows, from 1.

    """

    def __init__(self, grid: Grid, budget: Budget, number: int = 1) -> None:
        self.grid = grid
        self._budget = budget
        self._number = number

    def page(self, number: int) -> ResultsGrid:
        """Return the same grid with another page of it shown.

        Parameters
        ----------
        number
            From 1 to `count`.

        Raises
        ------
        InvalidRequest
            There is no such page.

        """
        if not isinstance(number, int) or isinstance(number, bool) or number not in self._numbers:
            known = "only page 1" if self.count == 1 else f"the pages 1 to {self.count}"
            raise InvalidRequest(f"The grid has no page {number!r}.", f"It has {known}.")
        other = ResultsGrid(self.grid, self._budget, number)
        other._pages = self._pages
        return other

    @property
    def count(self) -> int:
        """How many pages there are; more than one only where the grid is over its budget."""
        return len(self._pages)

    @property
    def _numbers(self) -> range:
        return range(1, self.count + 1)

    def save(self, path: str | Path) -> Path:
        """Write all of it as a contact sheet: one PNG, or a PDF of several pages, by the ending.

        The pictures are drawn from the downloaded originals, not from the thumbnails.

        Raises
        ------
        InvalidRequest
            The ending is neither, the folder cannot be written, or it is too much for one PNG.

        """
        from modellix_jupyter.results.contact_sheet import save_sheet

        return save_sheet(self.grid, path)

    @cached_property
    def _pages(self) -> list[range]:
        return paginate(self.grid, self._budget)

    @cached_property
    def _shown(self) -> Grid:
        """The page, with its pictures small enough."""
        rows = self._pages[self._number - 1]
        return replace(fitted(self.grid.part(rows), self._budget), note=self._note(rows))

    def _note(self, rows: range) -> str:
        if self.count == 1:
            return ""
        last = self._number == self.count
        which = f"Row {rows.stop}" if len(rows) == 1 else f"Rows {rows.start + 1} to {rows.stop}"
        other = "`.page(1)` is the first" if last else f"`.page({self._number + 1})` has the next"
        return (
            f"{which} of {len(self.grid.rows)}: page {self._number} of "
            f"{self.count}, to keep the notebook small. On this grid {other}, and "
            '`.save("grid.pdf")` writes them all.'
        )

    def _repr_html_(self) -> str:
        return grid_html(self._shown)

    def __repr__(self) -> str:
        rows = self._pages[self._number - 1]
        return grid_text(replace(self.grid.part(rows), note=self._note(rows)))
