"""Lists: the models, the plan of a dry run, what the doctor found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from numbers import Real
from typing import NamedTuple

from modellix_jupyter.html.elements import DIM, FILLED, LINE, media_html, opens
from modellix_jupyter.html.formatting import (
    GAP,
    WIDTH,
    file_size,
    fit_line,
    terminal_width,
    value_of,
)
from modellix_jupyter.html.markup import NOTHING, Html, el, html
from modellix_jupyter.values import Media

THUMB = 72
MIN_COLUMN = 6
# Characters of a cell that stay on one line; a longer one wraps, in a column of some width.
SHORT = 26
MAX_DECIMALS = 4

Columns = Sequence[str]
Rows = Sequence[Sequence[object]]


def cell_text(value: object) -> str:
    """Return a cell as text: nothing for None and not-a-number, yes and no for truth values."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Media):
        return " ".join(part for part in (value.kind, file_size(value.size)) if part)
    return value_of(value) if isinstance(value, Mapping | list | tuple) else str(value)


def numeric_columns(count: int, rows: Rows) -> list[bool]:
    """Return for each column whether all that it holds are numbers."""
    return [_all_numbers([row[i] for row in rows if i < len(row)]) for i in range(count)]


def _all_numbers(values: Sequence[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, Real) and not isinstance(value, bool) for value in known
    )


def aligned(count: int, rows: Rows) -> list[list[object]]:
    """Return full rows in which the numbers of a column have as many decimals each."""
    full = [[row[i] if i < len(row) else None for i in range(count)] for row in rows]
    for i, numeric in enumerate(numeric_columns(count, rows)):
        decimals = max((_decimals(row[i]) for row in full), default=0) if numeric else 0
        for row in full if decimals else []:
            value = row[i]
            if isinstance(value, Real) and math.isfinite(value):
                row[i] = f"{value:.{decimals}f}"
    return full


def _decimals(value: object) -> int:
    if not isinstance(value, float) or not math.isfinite(value):
        return 0
    return len(f"{value:.{MAX_DECIMALS}f}".rstrip("0").partition(".")[2])


def table_html(columns: Columns, rows: Rows, *, caption: str | None = None) -> Html:
    """Return a table; a wide one scrolls within its own box."""
    right = numeric_columns(len(columns), rows)
    head = _row(_head(name, right=right[i]) for i, name in enumerate(columns))
    body = [
        _row(_cell(value, right=right[i]) for i, value in enumerate(row))
        for row in aligned(len(columns), rows)
    ]
    table = el(
        "table",
        el("caption", html(caption), style=_CAPTION) if caption else NOTHING,
        el("thead", head),
        el("tbody", *body),
        style="border-collapse:collapse;border:0;margin:0;table-layout:auto;font-size:13px;"
        "line-height:1.45",
    )
    nothing = NOTHING if rows else el("div", html("nothing to show"), style=f"{DIM};padding:6px 0")
    return el("div", table, nothing, style="overflow-x:auto;max-width:100%;padding:4px 0")


_CAPTION = "caption-side:top;text-align:left;font-weight:600;padding:0 0 4px 0"


def _row(cells: Iterable[Html]) -> Html:
    # The row's own background takes the stripes of the notebook's style sheet away.
    return el("tr", *cells, style="background-color:transparent")


def _cell_style(*, right: bool, long: bool = False) -> str:
    wide = "min-width:200px;max-width:420px;overflow-wrap:anywhere"
    wrap = wide if long else "white-space:nowrap"
    align = f"text-align:{'right' if right else 'left'};{wrap}"
    return (
        f"{align};vertical-align:top;padding:4px 14px 4px 0;border:0;border-bottom:1px solid {LINE}"
    )


def _head(name: str, *, right: bool) -> Html:
    return el("th", html(name), scope="col", style=f"{_cell_style(right=right)};font-weight:600")


def _cell(value: object, *, right: bool) -> Html:
    if isinstance(value, Media) and value.src and value.kind == "image":
        return el("td", thumbnail(value, "thumbnail"), style=_cell_style(right=False))
    text = cell_text(value)
    return el("td", html(text), style=_cell_style(right=right, long=len(text) > SHORT))


class Cell(NamedTuple):
    """What a cell of a table of media shows, and what else it is sorted by."""

    content: Html
    key: str | float | None = None
    right: bool = False


def media_table(columns: Columns, rows: Sequence[Sequence[Cell]], caption: str = "") -> Html:
    """Return a table for people: lines of one height, pictures of one size, a wide one scrolls."""
    head = _row(_media_head(name) for name in columns)
    body = [_row(map(_media_cell, row)) for row in rows]
    table = el(
        "table",
        el("thead", head),
        el("tbody", *body),
        data_mx_table=True,
        style="border-collapse:collapse;border:0;margin:0;font-size:13px;line-height:1.45",
    )
    box = el("div", table, data_mx_box=True, style="overflow-x:auto;max-width:100%")
    note = el("div", html(caption), style=f"{DIM};padding:6px 0") if caption else NOTHING
    return el("div", box, note, data_mx_group=True, style="padding:4px 0")


_MEDIA_CELL = (
    f"vertical-align:middle;padding:6px 16px 6px 0;border:0;border-bottom:1px solid {LINE}"
)


def _media_head(name: str) -> Html:
    css = f"{_MEDIA_CELL};text-align:left;font-weight:600;white-space:nowrap"
    return el("th", html(name), scope="col", style=css)


def _media_cell(cell: Cell) -> Html:
    align = "right;font-variant-numeric:tabular-nums;white-space:nowrap" if cell.right else "left"
    return el("td", cell.content, data_v=cell.key, style=f"{_MEDIA_CELL};text-align:{align}")


def thumbnail(media: Media, alt: str, key: str = "") -> Html:
    """Return a picture in a square of one size for all; of what is no picture, its sign."""
    shown = media.kind == "image" and media.src
    mark = html("▶" if media.kind in {"video", "audio"} else "-")
    inner = media_html(media, alt, THUMB, key) if shown else el("span", mark)
    if key and not shown:
        inner = opens(inner, media, key, "padding:20px")
    return el(
        "div",
        inner,
        style=f"width:{THUMB}px;height:{THUMB}px;display:flex;align-items:center;"
        f"justify-content:center;{FILLED};border-radius:6px;overflow:hidden",
    )


def table_text(
    columns: Columns, rows: Rows, *, caption: str | None = None, width: int = WIDTH
) -> str:
    """Return a table for a terminal, its widest columns cut until it fits."""
    right = numeric_columns(len(columns), rows)
    cells = [
        [fit_line(cell_text(value), 10 * width) for value in row]
        for row in aligned(len(columns), rows)
    ]
    heads = [fit_line(name, width) for name in columns]
    wide = _narrowed(
        [max(map(terminal_width, column)) for column in zip(heads, *cells, strict=True)], width
    )
    lines = [_line(one, wide, right) for one in [heads, ["-" * size for size in wide], *cells]]
    return "\n".join(([fit_line(caption, width)] if caption else []) + lines)


def _narrowed(wide: list[int], width: int) -> list[int]:
    """Return the sizes with the widest cut until all fit, or until none can be cut."""
    remaining = width - len(GAP) * (len(wide) - 1)
    while sum(wide) > remaining and max(wide) > MIN_COLUMN:
        wide[wide.index(max(wide))] -= 1
    return wide


def _line(cells: Sequence[str], wide: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, size, numeric in zip(cells, wide, right, strict=True):
        text = fit_line(cell, size)
        space = " " * (size - terminal_width(text))
        padded.append(space + text if numeric else text + space)
    return GAP.join(padded).rstrip()
