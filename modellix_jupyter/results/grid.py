"""Arrange tasks in a grid, and show it within the maximal bytes of an output."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cached_property, partial
from itertools import accumulate, chain, count, islice
from typing import TYPE_CHECKING, NamedTuple

from modellix_jupyter.errors import InvalidRequest, did_you_mean
from modellix_jupyter.html.formatting import MAX_SETTINGS, counts, total_price, value_of
from modellix_jupyter.html.grid import PARAM, Grid, grid_html, grid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from modellix_jupyter.values import Card, Media, Task

# The axes that are not parameters.
FIXED = ("model", "prompt", "repeat")
_NO_PROMPT = "(no prompt)"
_NOT_SET = "not set"
# Places of a grid for each task at most, with columns that nobody asked for.
MAX_PLACES = 4

# For each axis, the value of every card, in the order of the cards.
Values = dict[str, list[str]]

# Bytes in the notebook to which a picture shrinks before the grid gets several pages.
MIN_BYTES = 6_000
# The best size of a picture in pixels, by its minimal bytes; with fewer bytes, `MIN_PIXELS`.
STEPS = ((40_000, 384), (24_000, 320), (14_000, 256), (9_000, 208))
MIN_PIXELS = 160
HEAD = len("data:image/jpeg;base64,")
# Bytes reserved for the note about other pages.
NOTE = 400
# Replaces each thumbnail to measure only the rest of the page.
_PLACEHOLDER = "data:image/jpeg;base64,AAAA"


class Budget(NamedTuple):
    """Maximal bytes of an output and of one picture."""

    output: int  # bytes in the notebook, where base64 makes four of three
    picture: int


class ResultsGrid:
    """A comparison that shows itself in a notebook and in a terminal.

    Parameters
    ----------
    grid
        The whole grid.
    budget
        The maximal bytes of one page and of one picture.
    number
        The page to show, from 1.

    """

    def __init__(self, grid: Grid, budget: Budget, number: int = 1) -> None:
        self.grid = grid
        self._budget = budget
        self._number = number

    def page(self, number: int) -> ResultsGrid:
        """Return the same grid, which shows another page.

        Parameters
        ----------
        number
            From 1 to `count`.

        Raises
        ------
        InvalidRequest
            There is no such page.

        """
        if type(number) is not int or not 1 <= number <= self.count:
            known = "only page 1" if self.count == 1 else f"the pages 1 to {self.count}"
            raise InvalidRequest(f"The grid has no page {number!r}.", f"It has {known}.")
        other = ResultsGrid(self.grid, self._budget, number)
        other._pages = self._pages
        return other

    @property
    def count(self) -> int:
        """The number of pages; more than one only if the grid exceeds its budget."""
        return len(self._pages)

    def save(self, path: str | Path) -> Path:
        """Write the whole grid as a contact sheet, one PNG or a PDF of several pages by the ending.

        The pictures are drawn from the downloaded originals, not from the thumbnails.

        Raises
        ------
        InvalidRequest
            The ending is neither, the folder cannot be written, or the grid is too large for a PNG.

        """
        from modellix_jupyter.results.contact_sheet import save_sheet

        return save_sheet(self.grid, path)

    @cached_property
    def _pages(self) -> list[range]:
        return paginate(self.grid, self._budget)

    @property
    def _shown(self) -> Grid:
        """The current page, with its pictures not shrunk yet."""
        rows = self._pages[self._number - 1]
        return replace(self.grid.part(rows), note=self._note(rows))

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
        return grid_html(fitted(self._shown, self._budget))

    def __repr__(self) -> str:
        return grid_text(self._shown)


def arrange(
    cards: Sequence[Card],
    *,
    columns: str | None = None,
    rows: str | None = None,
    pages: str | None = None,
) -> Grid:
    """Place cards by two or three axes; values keep the order in which they first occur."""
    values = _values(cards)
    axes = _axes(values, (columns, rows, pages))
    across, down, paged = (values.get(axis, [""] * len(cards)) for axis in axes)
    names = list(dict.fromkeys(across))
    lines = _lines(paged, down)
    cells: dict[tuple[int, int], tuple[Card, ...]] = {}
    for card, column, line in zip(cards, across, zip(paged, down, strict=True), strict=True):
        at = (lines[line], names.index(column))
        cells[at] = (*cells.get(at, ()), card)
    return Grid(
        tuple(names),
        tuple(row for _, row in lines),
        cells,
        axes=axes,
        sections=tuple(page for page, _ in lines) if pages else (),
        captions=_captions(values, axes),
        common=_common(values, axes),
        facts=" · ".join(part for part in (counts(cards), total_price(cards)) if part),
    )


def _lines(paged: Sequence[str], down: Sequence[str]) -> dict[tuple[str, str], int]:
    """Return the index of each row: section by section, with only the rows that each has."""
    sections, order = list(dict.fromkeys(paged)), list(dict.fromkeys(down))
    found = set(zip(paged, down, strict=True))
    lines = [(page, row) for page in sections for row in order if (page, row) in found]
    return {line: index for index, line in enumerate(lines)}


def _values(cards: Sequence[Card]) -> Values:
    requests = [card.task.request for card in cards]
    values = {
        "model": [request.model for request in requests],
        "prompt": [request.prompt or _NO_PROMPT for request in requests],
        "repeat": _repeats([card.task for card in cards]),
    }
    for name in dict.fromkeys(name for request in requests for name in request.params):
        values[f"{PARAM}{name}"] = [
            value_of(request.params[name]) if name in request.params else _NOT_SET
            for request in requests
        ]
    return values


def _repeats(tasks: Sequence[Task]) -> list[str]:
    """Return the number of each task among the tasks with the same request, from 1."""
    counters: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
    same = (f"{task.request.model} {value_of(task.request.body())}" for task in tasks)
    return [str(next(counters[request])) for request in same]


def _varies(values: Values, axis: str) -> bool:
    return len(set(values[axis])) > 1


def _axes(values: Values, asked: tuple[str | None, ...]) -> tuple[str, str, str]:
    """Return the axes of columns, rows and sections; the last is empty without sections."""
    given = [None if axis is None else _known(axis, values) for axis in asked]
    named = [axis for axis in given if axis is not None]
    twice = next((axis for i, axis in enumerate(named) if axis in named[:i]), None)
    if twice is not None:
        hint = "Columns, rows and pages each take one of their own."
        raise InvalidRequest(f"`{twice}` is asked for twice in one grid.", hint)
    columns, rows, pages = given
    rows = rows or _free(values, [*named, "model"], ("prompt",), named)
    taken = [*named, rows]
    columns = columns or _free(values, [*taken, *_sparse(values, rows)], ("model",), taken)
    return columns, rows, pages or ""


def _sparse(values: Values, rows: str) -> list[str]:
    """Return the axes that would leave most of a grid empty, as a seed for each prompt would."""
    places = MAX_PLACES * len(values[rows]) // max(1, len(set(values[rows])))
    return [axis for axis in values if len(set(values[axis])) > places]


def _free(values: Values, taken: Sequence[str], first: Sequence[str], never: Sequence[str]) -> str:
    """Return the first axis that varies and is not taken, or else the first not in `never`."""
    order = [*first, *(axis for axis in values if axis not in FIXED), "prompt", "model"]
    varied = (axis for axis in order if axis not in taken and _varies(values, axis))
    return next(varied, None) or next(axis for axis in [*order, "repeat"] if axis not in never)


def _known(axis: object, values: Values) -> str:
    """Return the axis of a name, which may lack the prefix of a parameter."""
    for name in (axis, f"{PARAM}{axis}"):
        if isinstance(name, str) and name in values:
            return name
    known = [name.removeprefix(PARAM) for name in values]
    hint = did_you_mean(str(axis).removeprefix(PARAM), known) or f"It has: {', '.join(known)}."
    raise InvalidRequest(f"The grid has no axis {axis!r}.", hint)


def _captions(values: Values, axes: Sequence[str]) -> tuple[str, ...]:
    """Return the axes below each picture: the seed, and those that vary and are no headings."""
    varied = [axis for axis in values if axis != "repeat" and _varies(values, axis)]
    seed = [axis for axis in values if axis == f"{PARAM}seed"]
    captions = [axis for axis in dict.fromkeys([*seed, *varied]) if axis not in axes]
    return tuple(captions[:MAX_SETTINGS])


def _common(values: Values, axes: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the model and the prompt, each if it is the only one and no heading."""
    single = [a for a in ("model", "prompt") if a not in axes and not _varies(values, a)]
    return tuple((axis, values[axis][0]) for axis in single if values[axis])


def paginate(grid: Grid, budget: Budget) -> list[range]:
    """Return the rows of each page: as many as fit with the smallest pictures."""
    if weight(grid) <= budget.output:
        return [range(len(grid.rows))]
    frame = weight(grid.part([])) + NOTE
    pages, start, remaining = [], 0, budget.output - frame
    for r in range(len(grid.rows)):
        row = grid.part([r])
        pictures = sum(_min_size(item) for card in row.cards() for item in card.media)
        needed = markup_bytes(row) - frame + NOTE + pictures
        if needed > remaining and r > start:
            pages.append(range(start, r))
            start, remaining = r, budget.output - frame
        remaining -= needed
    return [*pages, range(start, len(grid.rows))]


def fitted(grid: Grid, budget: Budget) -> Grid:
    """Return the grid with its media shrunk, or left out if that is not enough."""
    remaining = budget.output - markup_bytes(grid)
    return grid.mapped(lighter(grid.cards(), remaining, budget.picture))


def lighter(cards: Sequence[Card], remaining: int, max_bytes: int) -> Callable[[Card], Card]:
    """Return a function that shrinks the media of a card, so that all the cards fit."""
    media = iter(_made_to_fit([item for c in cards for item in c.media], remaining, max_bytes))
    made = {c.task.uid: replace(c, media=tuple(islice(media, len(c.media)))) for c in cards}
    return lambda card: made[card.task.uid]


def weight(grid: Grid) -> int:
    """Return the bytes of a grid in the notebook."""
    return len(grid_html(grid).encode())


def markup_bytes(grid: Grid) -> int:
    """Return the bytes without the media: the maximum of media shown and media left out."""
    return max(weight(grid.mapped(partial(_stripped, src=src))) for src in (_PLACEHOLDER, None))


def _stripped(card: Card, src: str | None) -> Card:
    media = (replace(item, src=item.src and src) for item in card.media)
    return replace(card, media=tuple(media))


def _size(media: Media) -> int:
    return len(media.src or "")


def _min_size(media: Media, max_bytes: int = MIN_BYTES) -> int:
    return min(_size(media), MIN_BYTES, max_bytes) if media.kind == "image" else _size(media)


def _made_to_fit(media: Sequence[Media], remaining: int, max_bytes: int) -> list[Media]:
    """Return the media in `remaining` bytes: pictures shrink; what does not fit loses its `src`."""
    pictures = [item for item in media if item.kind == "image"]
    # A video cannot shrink: it gets the bytes that the pictures leave at their smallest sizes.
    sizes = [_min_size(item, max_bytes) for item in pictures]
    reserved = sum(sizes)
    others: dict[int, Media] = {}
    for i, item in enumerate(media):
        if item.kind != "image":
            fits = _size(item) <= remaining - reserved
            others[i] = item if fits else replace(item, src=None)
            remaining -= _size(others[i])
    count = sum(total <= remaining for total in accumulate(sizes))
    kept, left_out = pictures[:count], pictures[count:]
    limit = min(level(map(_size, kept), remaining), max_bytes)
    made = chain(_shrunk(kept, limit), (replace(item, src=None) for item in left_out))
    return [others[i] if i in others else next(made) for i in range(len(media))]


def _shrunk(pictures: Sequence[Media], limit: int) -> Iterable[Media]:
    from concurrent.futures import ThreadPoolExecutor

    from modellix_jupyter.storage.thumbnails import smaller

    pixels = next((px for min_bytes, px in STEPS if limit >= min_bytes), MIN_PIXELS)
    shrunk = partial(smaller, pixels=pixels, picture_bytes=(limit - HEAD) // 4 * 3)
    # Pillow releases the GIL while it decodes, scales and encodes
    with ThreadPoolExecutor() as pool:
        return list(pool.map(shrunk, pictures))


def level(sizes: Iterable[int], remaining: int) -> int:
    """Return the size to which larger ones must shrink, so that all of them fit."""
    ordered = sorted(sizes)
    for i, size in enumerate(ordered):
        share = remaining // (len(ordered) - i)
        if size > share:
            return share
        remaining -= size
    return ordered[-1] if ordered else remaining
