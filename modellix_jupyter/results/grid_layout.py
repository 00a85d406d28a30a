"""What a comparison is laid out by: each axis is a model, a prompt, a repeat or a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.formatting import MAX_SETTINGS, value_of
from modellix_jupyter.html.grid import PARAM, Grid
from modellix_jupyter.planning.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modellix_jupyter.values import Card, Task

FIXED = ("model", "prompt", "repeat")
"""The axes that are no parameters."""
_NO_PROMPT = "(no prompt)"
_NOT_SET = "not set"

Values = dict[str, list[str]]
"""For each axis what each card has of it, in the cards' order."""


def arrange(
    cards: Sequence[Card],
    *,
    columns: str | None = None,
    rows: str | None = None,
    pages: str | None = None,
) -> Grid:
    """Place cards by two or three axes, whose values keep the order in which they first come.

    Parameters
    ----------
    cards
        What is compared, in its order.
    columns, rows
        ``model``, ``prompt``, ``repeat`` or a parameter, with ``param.`` before it or not. Where
        they are not given, models stand across and prompts down; an axis that has only one value
        leaves its place to a parameter that varies.
    pages
        One more, whose values head sections; none where it is not given.

    Raises
    ------
    InvalidRequest
        There is no such axis, or one is asked for twice.

    """
    values = _values(cards)
    axes = _axes(values, (columns, rows, pages))
    across, down, paged = (values.get(axis, [""] * len(cards)) for axis in axes)
    names = list(dict.fromkeys(across))
    lines = _lines(paged, down)
    cells: dict[tuple[int, int], tuple[Card, ...]] = {}
    for card, column, line in zip(cards, across, zip(paged, down, strict=True), strict=True):
        place = (lines[line], names.index(column))
        cells[place] = (*cells.get(place, ()), card)
    return Grid(
        tuple(names),
        tuple(row for _, row in lines),
        cells,
        axes=axes,
        sections=tuple(page for page, _ in lines) if pages else (),
        captions=_captions(values, axes),
        common=_common(values, axes),
    )


def _lines(paged: Sequence[str], down: Sequence[str]) -> dict[tuple[str, str], int]:
    """Return the place of each row: section after section, in each only what it has."""
    sections, order = list(dict.fromkeys(paged)), list(dict.fromkeys(down))
    found = set(zip(paged, down, strict=True))
    lines = [(page, row) for page in sections for row in order if (page, row) in found]
    return {line: place for place, line in enumerate(lines)}


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
    """Return which of the tasks with one and the same request each is, from 1."""
    counts: dict[str, int] = {}
    out = []
    for task in tasks:
        same = f"{task.request.model} {value_of(task.request.body())}"
        counts[same] = counts.get(same, 0) + 1
        out.append(str(counts[same]))
    return out


def _varies(values: Values, axis: str) -> bool:
    return len(set(values[axis])) > 1


def _axes(values: Values, asked: tuple[str | None, ...]) -> tuple[str, str, str]:
    """Return the axes of the columns, the rows and the sections; no section is an empty text."""
    given = [None if axis is None else _known(axis, values) for axis in asked]
    named = [axis for axis in given if axis is not None]
    twice = next((axis for i, axis in enumerate(named) if axis in named[:i]), None)
    if twice is not None:
        hint = "Columns, rows and pages each take one of their own."
        raise InvalidRequest(f"`{twice}` is asked for twice in one grid.", hint)
    columns, rows, pages = given
    rows = rows or _free(values, [*named, "model"], ("prompt",), named)
    columns = columns or _free(values, [*named, rows], ("model",), [*named, rows])
    return columns, rows, pages or ""


def _free(values: Values, taken: Sequence[str], first: Sequence[str], never: Sequence[str]) -> str:
    """Return the first axis that is not taken and varies, or else the first that may be.

    Repeats of one request are not spread over an axis by themselves: they stand side by side.
    """
    order = [*first, *(axis for axis in values if axis not in FIXED), "prompt", "model"]
    varied = (axis for axis in order if axis not in taken and _varies(values, axis))
    return next(varied, None) or next(axis for axis in [*order, "repeat"] if axis not in never)


def _known(axis: object, values: Values) -> str:
    """Return the axis that a name means."""
    for name in (axis, f"{PARAM}{axis}"):
        if isinstance(name, str) and name in values:
            return name
    known = [name.removeprefix(PARAM) for name in values]
    hint = did_you_mean(str(axis).removeprefix(PARAM), known) or f"It has: {', '.join(known)}."
    raise InvalidRequest(f"The grid has no axis {axis!r}.", hint)


def _captions(values: Values, axes: Sequence[str]) -> tuple[str, ...]:
    """Return what stands below each picture: the seed, and what varies and is no heading."""
    varied = [axis for axis in values if axis != "repeat" and _varies(values, axis)]
    seed = [axis for axis in values if axis == f"{PARAM}seed"]
    told = [axis for axis in dict.fromkeys([*seed, *varied]) if axis not in axes]
    return tuple(told[:MAX_SETTINGS])


def _common(values: Values, axes: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the only model and the only prompt, where they are no headings."""
    single = [a for a in ("model", "prompt") if a not in axes and not _varies(values, a)]
    return tuple((axis, values[axis][0]) for axis in single if values[axis])
