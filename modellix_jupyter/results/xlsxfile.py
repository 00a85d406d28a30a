"""A table to a workbook: what Excel would run, mangle or refuse goes in as plain text."""

from __future__ import annotations

import math
import re
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.columns import cells, columns_of, is_time, labels, optional

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
MAX_TEXT = 32_767
"""Excel's own limits; the text's is in UTF-16 units."""

EXACT = 10**15 - 1
"""Excel keeps 15 digits of a number; a longer seed must be a text to survive."""

_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_TIME_FORMAT = 'yyyy-mm-dd hh:mm:ss.000 "UTC"'
_FIRST_YEAR = 1900  # a workbook's calendar begins here

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # not allowed in XML 1.0

_PICTURE_BOX = (160, 96)  # in pixels: the column's width and the row's height
_MAX_PIXELS = 50_000_000  # a thumbnail is far smaller; a bomb is larger
_SAMPLE = 200  # rows that the widths are taken from
_WIDTHS = (8, 48)  # in characters


def to_xlsx(frame: pd.DataFrame, thumbnails: Mapping[int, bytes]) -> bytes:
    """Return a table as a workbook of one sheet, with pictures by row where there are any."""
    writer = optional("xlsxwriter", "Excel export", "xlsx")
    _check_size(frame)
    out = BytesIO()
    with writer.Workbook(out, _OPTIONS) as book:
        sheet = book.add_worksheet("tasks")
        left = 1 if thumbnails else 0
        middle = book.add_format({"valign": "vcenter"})
        stamp = book.add_format({"valign": "vcenter", "num_format": _TIME_FORMAT})
        for at, column in enumerate(columns_of(frame), start=left):
            _write_column(sheet, at, cells(column), stamp)
            sheet.set_column(at, at, _width(column), middle)
        names = ["picture", *labels(frame)] if thumbnails else labels(frame)
        _write_header(sheet, names, book.add_format({"bold": True, "bottom": 1}))
        if names:
            sheet.autofilter(0, 0, len(frame), len(names) - 1)
        sheet.freeze_panes(1, left)
        _write_pictures(sheet, thumbnails, len(frame))
    return out.getvalue()


def _check_size(frame: pd.DataFrame) -> None:
    rows, columns = frame.shape
    if rows >= MAX_ROWS or columns >= MAX_COLUMNS:
        message = f"{rows:,} rows and {columns:,} columns are more than a workbook takes."
        raise InvalidRequest(message, "Write a .parquet or .csv file, or fewer rows.")


def _write_header(sheet: Any, names: Sequence[str], bold: Any) -> None:  # noqa: ANN401 - no stubs
    for at, name in enumerate(names):
        sheet.write_string(0, at, _cell_text(name), bold)


def _write_column(sheet: Any, at: int, values: list[Any], stamp: Any) -> None:  # noqa: ANN401 - no stubs
    """Write each value by its own type; `sheet.write` would guess."""
    for row, value in enumerate(values, start=1):
        if value is None:
            continue
        if isinstance(value, bool):
            sheet.write_boolean(row, at, value)
        elif isinstance(value, (int, float)) and _is_exact(value):
            sheet.write_number(row, at, value)
        elif isinstance(value, datetime) and value.year >= _FIRST_YEAR:
            sheet.write_datetime(row, at, value, stamp)
        else:
            sheet.write_string(row, at, _cell_text(str(value)))


def _is_exact(value: float) -> bool:
    return abs(value) <= EXACT if isinstance(value, int) else math.isfinite(value)


def _cell_text(text: str) -> str:
    """Return what a cell can hold: LF for line breaks, nothing illegal, and not too much."""
    clean = _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", re.sub("\r\n?", "\n", text))
    units = clean.encode("utf-16-le")
    if len(units) <= 2 * MAX_TEXT:
        return clean
    return units[: 2 * (MAX_TEXT - 1)].decode("utf-16-le", "ignore") + "…"


def _width(column: pd.Series[Any]) -> float:
    """Return a width in characters that shows the name and most values."""
    narrowest, widest = _WIDTHS
    if is_time(column):
        return len("2026-01-01 00:00:00.000 UTC")
    shown = [str(column.name), *(str(v) for v in cells(column.head(_SAMPLE)) if v is not None)]
    longest = max(len(text.partition("\n")[0]) for text in shown)
    return min(max(longest + 3, narrowest), widest)  # the filter's arrow takes about 3


def _write_pictures(sheet: Any, thumbnails: Mapping[int, bytes], rows: int) -> None:  # noqa: ANN401 - no stubs
    if not thumbnails:
        return
    width, height = _PICTURE_BOX
    sheet.set_column_pixels(0, 0, width + 4)
    for position, data in thumbnails.items():
        picture = _picture(data) if 0 <= position < rows else None
        if picture is None:
            continue
        content, scale = picture
        sheet.set_row_pixels(position + 1, height + 4)
        options = {
            "image_data": BytesIO(content),
            "x_scale": scale,
            "y_scale": scale,
            "x_offset": 2,
            "y_offset": 2,
            "object_position": 1,  # moves with its row when the sheet is sorted or filtered
        }
        sheet.insert_image(position + 1, 0, f"picture-{position}.png", options)


def _picture(data: bytes) -> tuple[bytes, float] | None:
    """Return PNG bytes and the scale that fits the cell, or None for what is no picture.

    It is drawn anew, since a resolution written in the file would change its size in Excel.
    """
    from PIL import Image, UnidentifiedImageError

    width, height = _PICTURE_BOX
    out = BytesIO()
    try:
        with Image.open(BytesIO(data)) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            small = image.convert("RGBA" if image.has_transparency_data else "RGB")
        small.thumbnail((2 * width, 2 * height))  # twice the box, for sharp screens
        small.save(out, "PNG")
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
    ):  # all that PIL's readers raise
        return None
    return out.getvalue(), min(width / small.width, height / small.height, 1)
