"""A grid as a contact sheet: the same places, with the originals and plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modellix_jupyter.html.formatting import clip, dimensions, is_problem, state
from modellix_jupyter.html.grid import entry_facts, entry_problem, label
from modellix_jupyter.html.markup import plain
from modellix_jupyter.results.sheet import Entry, Row, Sheet
from modellix_jupyter.values import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modellix_jupyter.html.grid import Grid
    from modellix_jupyter.values import Card, Resource

_MOST = 400
"""Characters of a heading or a reason."""


def sheet_of(grid: Grid) -> Sheet:
    """Return what stands on the contact sheet of a grid."""
    title = (grid.counted(), *(label(*pair) for pair in grid.common))
    columns = tuple(_clean(label(grid.axes[0], name)) for name in grid.columns)
    rows = _flowing(grid) if grid.flows else _rows(grid)
    return Sheet(tuple(map(_clean, reversed(title))), columns, tuple(rows))


def _clean(text: str) -> str:
    return plain(clip(text, _MOST))


def _rows(grid: Grid) -> list[Row]:
    return [
        Row(
            _clean(label(grid.axes[1], heading)),
            tuple(
                _entries(grid, grid.cells.get((r, c), ()), heading="")
                for c in range(len(grid.columns))
            ),
            _section(grid, r),
        )
        for r, heading in enumerate(grid.rows)
    ]


def _flowing(grid: Grid) -> list[Row]:
    """Return the rows of a single column side by side, each with its heading below."""
    starts = [r for r in range(len(grid.rows)) if r == 0 or _section(grid, r)]
    ends = [*starts[1:], len(grid.rows)]
    return [
        Row(
            "",
            (
                tuple(
                    entry
                    for r in range(start, end)
                    for entry in _entries(
                        grid, grid.cells.get((r, 0), ()), label(grid.axes[1], grid.rows[r])
                    )
                ),
            ),
            _section(grid, start),
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def _section(grid: Grid, r: int) -> str:
    return _clean(label(grid.axes[2], grid.sections[r])) if grid.begins(r) else ""


def _entries(grid: Grid, cards: Sequence[Card], heading: str) -> tuple[Entry, ...]:
    axes = grid.caption_axes()
    made = tuple(entry for card in cards for entry in _of_card(card, axes, heading))
    return made or (Entry(None, (), "not run"),)


def _of_card(card: Card, axes: Sequence[str], heading: str) -> list[Entry]:
    facts = " · ".join(entry_facts(card, axes))
    lines = tuple(_clean(line) for line in (clip(heading, 90), facts) if line)
    resources = card.task.resources if card.task.status is Status.SUCCESS else ()
    if not resources:
        why = _clean(entry_problem(card))
        return [Entry(None, lines, state(card), why, failed=is_problem(card))]
    several = len(resources)
    return [
        _of_resource(one, lines if several == 1 else (*lines, f"{i} of {several}"))
        for i, one in enumerate(resources, start=1)
    ]


def _of_resource(resource: Resource, lines: tuple[str, ...]) -> Entry:
    kind = resource.type or "file"
    if resource.path is None:
        return Entry(None, lines, kind, _clean(resource.problem or "It is not on this disk."))
    if kind == "image":
        return Entry(resource.path, lines, "no picture")
    name = resource.path.replace("\\", "/").rpartition("/")[2]
    about = " ".join(part for part in (dimensions(resource.width, resource.height), name) if part)
    return Entry(None, lines, kind, _clean(about), plays=kind in {"video", "audio"})
