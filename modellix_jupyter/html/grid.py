"""A comparison as a grid of two axes: models across and prompts down, or others.

The heading of a row is above its pictures, not beside them, so that the pictures have the whole
width of a phone. If there is only one column, the pictures flow instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from modellix_jupyter.html import elements, formatting
from modellix_jupyter.html.elements import figure, fit, media_html, media_of, shown_of
from modellix_jupyter.html.formatting import WIDTH, fit_line, wrap_lines
from modellix_jupyter.html.markup import NOTHING, Html, el, html
from modellix_jupyter.html.table import table_text
from modellix_jupyter.values import Card, Media, Status

# Pixels of a picture by the number of pictures in a line; `THUMB` if there are more.
BOXES = {1: 512, 2: 512, 3: 360}
THUMB = 320
# Minimal width of a column in pixels; on a narrower page, the grid scrolls in its own box.
MIN_COLUMN = 124
GAP = 12
# Maximal number of pictures of one cell in a line.
MAX_ABREAST = 4
# With more rows than this, each picture names its column: the heading may be out of sight.
LONG = 4
# Prefix of an axis that is a parameter, as in the frame's columns.
PARAM = "param."


@dataclass(frozen=True, slots=True)
class Grid:
    """Cards arranged in columns, rows and sections."""

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: Mapping[tuple[int, int], tuple[Card, ...]]  # by row and column, from 0
    # The axes of columns, rows and sections: model, prompt, repeat or param.NAME.
    axes: tuple[str, str, str] = ("model", "prompt", "")
    sections: tuple[str, ...] = ()  # the heading of the section of each row
    captions: tuple[str, ...] = ()  # axes whose values are shown below each picture
    common: tuple[tuple[str, str], ...] = ()  # axes with one value for all cards
    facts: str = ""  # about all cards; a part keeps those of the whole grid
    note: str = ""  # below the grid

    def cards(self) -> list[Card]:
        """Return every card, row after row."""
        positions = [(r, c) for r in range(len(self.rows)) for c in range(len(self.columns))]
        return [card for at in positions for card in self.cells.get(at, ())]

    @property
    def abreast(self) -> int:
        """The number of pictures in the fullest cell."""
        return max((len(self.entries(*at)) for at in self.cells), default=1)

    @property
    def flows(self) -> bool:
        """Whether rows of one picture each are shown side by side."""
        return len(self.columns) == 1 and self.abreast <= 1 < len(self.rows)

    def entries(self, r: int, c: int) -> list[Entry]:
        """Return the pictures of a cell, and one entry for each card without any."""
        cards = self.cells.get((r, c), ())
        return [entry for card in cards for entry in _entries_of(card, self.captions)]

    def begins(self, r: int) -> bool:
        """Whether a section begins with this row."""
        return bool(self.sections) and (r == 0 or self.sections[r] != self.sections[r - 1])

    def section_ranges(self) -> list[range]:
        """Return the rows of each section; one range if there are no sections."""
        starts = [r for r in range(len(self.rows)) if r == 0 or self.begins(r)]
        return [range(start, end) for start, end in pairwise([*starts, len(self.rows)])]

    def part(self, rows: Iterable[int]) -> Grid:
        """Return some of the rows, by their indexes."""
        kept = list(rows)
        return replace(
            self,
            rows=tuple(self.rows[r] for r in kept),
            sections=tuple(self.sections[r] for r in kept) if self.sections else (),
            cells={
                (at, c): self.cells[r, c]
                for at, r in enumerate(kept)
                for c in range(len(self.columns))
                if (r, c) in self.cells
            },
        )

    def mapped(self, change: Callable[[Card], Card]) -> Grid:
        """Return the grid with `change` applied to each card."""
        cells = {at: tuple(map(change, cards)) for at, cards in self.cells.items()}
        return replace(self, cells=cells)


def label(axis: str, value: str) -> str:
    """Return a value of an axis with its name, as in ``seed 7``; models and prompts have none."""
    return f"{noun} {value}" if (noun := _noun(axis)) else value


def _noun(axis: str) -> str:
    return "" if axis in {"model", "prompt"} else axis.removeprefix(PARAM)


class Entry(NamedTuple):
    """A picture of a card, or None if it has none, and the facts of its caption."""

    card: Card
    media: Media | None
    facts: list[str]
    key: str = ""  # identifies the original for the viewer


def _entries_of(card: Card, axes: Sequence[str]) -> list[Entry]:
    shown = shown_of(card) if card.task.status is Status.SUCCESS else []
    facts = _facts(card, axes)
    return [
        Entry(card, item, [*([] if i else facts), *filter(None, [number])], key)
        for i, (key, item, number) in enumerate(shown)
    ] or [Entry(card, None, facts)]


def _facts(card: Card, axes: Sequence[str]) -> list[str]:
    """Return the caption of a card: its values of the axes, seconds and price."""
    task = card.task
    names = [axis.removeprefix(PARAM) for axis in axes if axis.startswith(PARAM)]
    model = [task.request.model] if "model" in axes else []
    prompt = [formatting.clip(formatting.alternative(task), 60)] if "prompt" in axes else []
    known = (formatting.seconds(task.elapsed_s), *formatting.settings_of(task, names))
    return [*model, *(part for part in (*known, formatting.price(task)) if part), *prompt]


def entry_problem(card: Card) -> str:
    """Return why a card has no picture; empty for a task that is still open."""
    task = card.task
    if task.status is Status.SUCCESS:
        return "" if media_of(card) else "No files came with it."
    return task.error_message or formatting.reason(task)[0]


def grid_html(grid: Grid) -> Html:
    """Return the comparison with inline styles; the fewer pictures in a line, the larger."""
    if not grid.rows:
        return el("div", html("no tasks"), style=f"{elements.ROOT};{elements.DIM}")
    flows, abreast = grid.flows, min(max(grid.abreast, 1), MAX_ABREAST)
    box = BOXES.get(len(grid.rows) if flows else len(grid.columns) * abreast, THUMB)
    if flows:
        grid = replace(grid, common=((grid.axes[0], grid.columns[0]), *grid.common))
    lead = (el("div", _named(*pair), style=_LINE) for pair in grid.common)
    return el(
        "div",
        el("div", *lead, elements.dim(grid.facts), style="margin-bottom:8px"),
        _flow(grid, box) if flows else _table(grid, box, abreast),
        elements.note(grid.note),
        data_mx_group=True,
        style=elements.ROOT,
    )


def _named(axis: str, value: str, limit: int = 400) -> Html:
    if axis == "model":
        return elements.model_name(value)
    text = el("bdi", html(formatting.clip(value, limit)))
    if axis == "prompt":
        return text
    return el("span", elements.dim(f"{_noun(axis)} "), el("strong", text))


def _flow(grid: Grid, box: int) -> Html:
    parts: list[Html] = []
    for r, heading in enumerate(grid.rows):
        if grid.begins(r):
            parts.append(_section(grid, r))
        name = _named(grid.axes[1], heading, 90)
        shown = grid.entries(r, 0)
        tiles = [_tile(entry, box, name) for entry in shown]
        # Two in a row on a phone; if calc() is not allowed, the width still applies.
        css = f"width:{box}px;max-width:calc(50% - {GAP // 2}px)"
        parts.append(el("div", *tiles, style=css))
    return el(
        "div", *parts, style=f"display:flex;flex-wrap:wrap;align-items:flex-start;gap:{GAP}px"
    )


def _section(grid: Grid, r: int) -> Html:
    heading = el("div", _named(grid.axes[2], grid.sections[r]), style=_STAYS)
    css = f"width:100%;font-size:15px;padding:14px 0 4px 0;border-bottom:2px solid {elements.LINE}"
    return el("div", heading, style=css)


_PLAIN_ROW = "background-color:transparent"
_CELL = "text-align:left;vertical-align:top;border:0;white-space:normal"
_LINE = "max-width:640px;max-width:min(640px,85vw)"
# Keep a heading in sight while the grid scrolls sideways.
_STAYS = f"display:inline-block;position:sticky;left:0;{_LINE}"
_CELL_STYLE = f"{_CELL};padding:0 {GAP}px 14px 0"


def _table(grid: Grid, box: int, abreast: int) -> Html:
    names = (_named(grid.axes[0], name, 120) for name in grid.columns)
    style = f"{_CELL_STYLE};padding-bottom:4px;font-weight:400"
    heads = (el("th", name, scope="col", style=style) for name in names)
    body = [part for r in range(len(grid.rows)) for part in _row(grid, r, box, abreast)]
    count = len(grid.columns)
    # Equal columns shrink with the page to their minimal width; then the box around them scrolls.
    css = (
        "border-collapse:collapse;border:0;margin:0;table-layout:fixed;font-size:13px;width:100%;"
        f"min-width:{count * (MIN_COLUMN + GAP)}px;max-width:{count * abreast * (box + GAP)}px"
    )
    table = el(
        "table", el("thead", el("tr", *heads, style=_PLAIN_ROW)), el("tbody", *body), style=css
    )
    return el("div", table, style="overflow-x:auto;max-width:100%")


def _row(grid: Grid, r: int, box: int, abreast: int) -> list[Html]:
    span = len(grid.columns)
    parts = [_span(_section(grid, r), span, "0")] if grid.begins(r) else []
    heading = el("div", _named(grid.axes[1], grid.rows[r]), style=_STAYS)
    parts.append(_span(heading, span, "0" if parts else f"1px solid {elements.LINE}"))
    cells = [_cell(grid, r, c, box, abreast) for c in range(span)]
    return [*parts, el("tr", *cells, style=_PLAIN_ROW)]


def _span(content: Html, span: int, line: str) -> Html:
    css = f"{_CELL};border-top:{line};padding:8px 0;font-weight:400"
    cell = el("th", content, scope="rowgroup", colspan=span, style=css)
    return el("tr", cell, style=_PLAIN_ROW)


def _cell(grid: Grid, r: int, c: int, box: int, abreast: int) -> Html:
    shown = grid.entries(r, c)
    if not shown:
        return el("td", elements.dim("not run"), style=_CELL_STYLE)
    long = len(grid.rows) > LONG
    name = elements.dim(_short(grid.axes[0], grid.columns[c])) if long else NOTHING
    tiles = [_tile(entry, box, name) for entry in shown]
    if abreast == 1:
        return el("td", el("div", *tiles, style=f"max-width:{box}px"), style=_CELL_STYLE)
    # As many pictures in a line as fit, none wider than its box, the same in every cell.
    track = f"repeat(auto-fit,minmax(min(100%,{box * 3 // 4}px),1fr))"
    css = f"display:grid;gap:{GAP}px;grid-template-columns:{track}"
    return el("td", el("div", *tiles, style=css), style=_CELL_STYLE)


def _short(axis: str, name: str) -> str:
    if axis == "model":
        return name.rpartition("/")[2]
    return label(axis, formatting.clip(name, 40))


def _tile(entry: Entry, box: int, name: Html) -> Html:
    card, media, facts, key = entry
    shown = _reason(card) if media is None else _picture(card, media, box, key)
    return figure(card.task, shown, [name, elements.dotted(facts)], f"max-width:{box}px")


def _picture(card: Card, item: Media, box: int, key: str) -> Html:
    alt = f"{formatting.alternative(card.task)} ({card.task.request.model})"
    width, _ = fit(item, box)
    # per cent of the column, not pixels, so that a tall picture shrinks with the column
    css = f"max-width:{100 * width / box:.0f}%" if width and item.src else None
    return el("div", media_html(item, alt, box, key), style=css)


def _reason(card: Card) -> Html:
    why = entry_problem(card)
    state = el("strong", html(formatting.state(card)))
    lines = [
        el("div", elements.dot(elements.colour_of(card)), state),
        el("div", html(formatting.clip(why, 240)), style=elements.DIM) if why else NOTHING,
    ]
    return elements.frame(formatting.shape(card.task.request), lines)


def grid_text(grid: Grid, *, width: int = WIDTH) -> str:
    """Return the comparison for a terminal: state, seconds and price in each cell."""
    if not grid.rows:
        return "no tasks"
    names = [label(grid.axes[0], name) for name in grid.columns]
    tables = [
        table_text(
            [_noun(grid.axes[1]) or grid.axes[1], *names],
            [
                [grid.rows[r], *(_cell_text(grid.cells.get((r, c), ())) for c in range(len(names)))]
                for r in rows
            ],
            caption=label(grid.axes[2], grid.sections[rows[0]]) if grid.sections else None,
            width=width,
        )
        for rows in grid.section_ranges()
    ]
    above = [fit_line(label(*pair), width) for pair in grid.common]
    return "\n".join([*above, "\n\n".join(tables), *wrap_lines(grid.note, width=width)])


def _cell_text(cards: Sequence[Card]) -> str:
    if not cards:
        return "not run"
    states = [", ".join([formatting.state(card), *formatting.facts(card)]) for card in cards]
    return "; ".join(states)
