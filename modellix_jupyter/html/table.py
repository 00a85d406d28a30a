"""Tables as HTML and as text: models, the plan of a dry run, the doctor's findings, frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from numbers import Real
from typing import NamedTuple

from modellix_jupyter.html.elements import DIM, FILLED, LINE, media_html, opens
from modellix_jupyter.html.formatting import GAP, WIDTH, fit_line, terminal_width, value_of
from modellix_jupyter.html.markup import NOTHING, Html, el, html
from modellix_jupyter.values import Media

THUMB = 72
MIN_COLUMN = 6
# Characters of a cell that stay on one line; a longer cell wraps in a column of limited width.
SHORT = 26
MAX_DECIMALS = 4

Columns = Sequence[str]
Rows = Sequence[Sequence[object]]


def cell_text(value: object) -> str:
    """Return a cell as text: empty for None and NaN, yes or no for a bool."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return value_of(value) if isinstance(value, Mapping | list | tuple) else str(value)


def aligned(count: int, rows: Rows) -> tuple[list[bool], list[list[object]]]:
    """Return which columns are numeric, and full rows with equal decimals in those columns."""
    full = [[row[i] if i < len(row) else None for i in range(count)] for row in rows]
    numeric = [_all_numbers([row[i] for row in full]) for i in range(count)]
    for i in range(count):
        decimals = max((_decimals(row[i]) for row in full), default=0) if numeric[i] else 0
        for row in full if decimals else []:
            value = row[i]
            if isinstance(value, Real) and math.isfinite(value):
                row[i] = f"{value:.{decimals}f}"
    return numeric, full


def _all_numbers(values: Sequence[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, Real) and not isinstance(value, bool) for value in known
    )


def _decimals(value: object) -> int:
    if not isinstance(value, float) or not math.isfinite(value):
        return 0
    return len(f"{value:.{MAX_DECIMALS}f}".rstrip("0").partition(".")[2])


def table_html(columns: Columns, rows: Rows, *, caption: str | None = None) -> Html:
    """Return a table; a wide one scrolls within its own box."""
    numeric, full = aligned(len(columns), rows)
    css = [f"{_CELL};padding:4px 14px 4px 0;text-align:{'right' if n else 'left'}" for n in numeric]
    head = [
        el("th", html(name), scope="col", style=f"{style};{_LINE};font-weight:600")
        for name, style in zip(columns, css, strict=True)
    ]
    body = [
        [_text_cell(cell_text(v), style) for v, style in zip(row, css, strict=True)] for row in full
    ]
    style = "caption-side:top;text-align:left;font-weight:600;padding:0 0 4px 0"
    above = el("caption", html(caption), style=style) if caption else NOTHING
    nothing = NOTHING if rows else el("div", html("nothing to show"), style=f"{DIM};padding:6px 0")
    return el("div", _table(head, body, above), nothing, style=f"{_BOX};padding:4px 0")


_BOX = "overflow-x:auto;max-width:100%"
_CELL = f"border:0;border-bottom:1px solid {LINE};vertical-align:top"
_LINE = "white-space:nowrap"


def _text_cell(text: str, style: str) -> Html:
    wide = "min-width:200px;max-width:420px;overflow-wrap:anywhere"
    return el("td", html(text), style=f"{style};{wide if len(text) > SHORT else _LINE}")


def _table(
    head: Iterable[Html],
    rows: Iterable[Iterable[Html]],
    above: Html = NOTHING,
    *,
    sorts: bool = False,
) -> Html:
    # A background of its own removes the stripes that the notebook's style sheet gives a row.
    plain = "background-color:transparent"
    return el(
        "table",
        above,
        el("thead", el("tr", *head, style=plain)),
        el("tbody", *(el("tr", *row, style=plain) for row in rows)),
        data_mx_table=sorts,
        style="border-collapse:collapse;border:0;margin:0;font-size:13px;line-height:1.45",
    )


class Cell(NamedTuple):
    """Content of a cell in a media table, and its sort key if that is not its text."""

    content: Html
    key: str | float | None = None
    right: bool = False


def media_table(columns: Columns, rows: Sequence[Sequence[Cell]], caption: str = "") -> Html:
    """Return a table that can be sorted and contain thumbnails; a wide one scrolls in its box."""
    css = f"{_CELL};vertical-align:middle;padding:6px 16px 6px 0;text-align:"
    heading = f"{css}left;font-weight:600;{_LINE}"
    head = [el("th", html(name), scope="col", style=heading) for name in columns]
    number = f"right;font-variant-numeric:tabular-nums;{_LINE}"
    body = [
        [
            el("td", c.content, data_v=c.key, style=css + (number if c.right else "left"))
            for c in row
        ]
        for row in rows
    ]
    box = el("div", _table(head, body, sorts=True), data_mx_box=True, style=_BOX)
    note = el("div", html(caption), style=f"{DIM};padding:6px 0") if caption else NOTHING
    return el("div", box, note, data_mx_group=True, style="padding:4px 0")


_MARKS = {"video": "▶", "audio": "♪"}
_SMALL = f"font-size:9px;line-height:1.3;padding:6px;max-height:{THUMB}px;box-sizing:border-box"


def thumbnail(media: Media | None, alt: str, key: str = "") -> Html:
    """Return a picture in a square of fixed size; of a text its beginning, else a sign."""
    if media is None:
        inner = NOTHING
    elif media.text is not None:
        inner = el("div", html(media.text[:100]), style=f"{_SMALL};overflow-wrap:anywhere")
    elif media.kind == "image" and media.src:
        inner = media_html(media, alt, THUMB, key)
    else:
        inner = el("span", html(_MARKS.get(media.kind, "-")), style="font-size:18px")
        inner = opens(inner, media, key, "padding:20px") if key else inner
    return el(
        "div",
        inner,
        style=f"width:{THUMB}px;height:{THUMB}px;display:flex;align-items:center;"
        f"justify-content:center;{FILLED};border-radius:6px;overflow:hidden",
    )


def table_text(
    columns: Columns, rows: Rows, *, caption: str | None = None, width: int = WIDTH
) -> str:
    """Return a table for a terminal; its widest columns are cut until it fits."""
    numeric, full = aligned(len(columns), rows)
    cells = [[fit_line(cell_text(value), 10 * width) for value in row] for row in full]
    heads = [fit_line(name, width) for name in columns]
    wide = _narrowed(
        [max(map(terminal_width, column)) for column in zip(heads, *cells, strict=True)], width
    )
    lines = [_line(one, wide, numeric) for one in [heads, ["-" * size for size in wide], *cells]]
    return "\n".join(([fit_line(caption, width)] if caption else []) + lines)


def _narrowed(wide: list[int], width: int) -> list[int]:
    """Return the widths after cutting the widest until all fit, or until none can be cut."""
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
