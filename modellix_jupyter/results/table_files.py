"""A table to a file, in the format that the file's ending says."""

from __future__ import annotations

import csv
import json
import math
import re
from contextlib import contextmanager, suppress
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.frame import cells, columns_of, is_time, labels, naive_utc, optional

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd


# The endings that `write_table` knows.
ENDINGS = (".csv", ".json", ".jsonl", ".parquet", ".xlsx")

# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - the full-width forms are meant

# Where a cell would begin, if the file were read with another separator.
_LATER_FORMULA = re.compile('([;\t\r\n][\\s"]*)(?=[=+@＝＋－＠-])')  # noqa: RUF001 - the full-width forms are meant

_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path to write to; the file replaces `target` once it is whole."""
    part = target.with_name(f".{uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(target)
    except (OSError, ValueError) as error:  # a full disk, a NUL in the path
        message = getattr(error, "strerror", None) or str(error)
        hint = "Choose a folder that can be written and has room."
        raise InvalidRequest(f"{target} cannot be written: {message}.", hint) from error
    finally:
        with suppress(OSError):  # the error of the write itself is the one to raise
            part.unlink(missing_ok=True)


def write_table(
    frame: pd.DataFrame, path: str | Path, *, thumbnails: Mapping[int, bytes] | None = None
) -> Path:
    """Write a table in the format of the path's ending, whole or not at all.

    In csv, a text that a spreadsheet would run as a formula gets an apostrophe in front; in xlsx,
    no text is a formula or a link. `thumbnails` are JPEGs by the row's position, for xlsx only.
    """
    target = Path(path).expanduser()
    match target.suffix.lower():
        case ".csv":
            content = _to_csv(frame)
        case ".json":
            content = "[\n{}\n]\n".format(",\n".join(_records(frame))).encode()
        case ".jsonl":
            content = "".join(f"{record}\n" for record in _records(frame)).encode()
        case ".parquet":
            content = _to_parquet(frame)
        case ".xlsx":
            content = _to_xlsx(frame, thumbnails or {})
        case ending:
            shown = f"the ending {ending!r}" if ending else "no ending"
            hint = f"Known: {', '.join(ENDINGS)}, .html, and a folder: name/."
            raise InvalidRequest(f"Nothing can be written to a file with {shown}.", hint)
    with replacing(target) as part:
        part.write_bytes(content)
    return target


def _to_csv(frame: pd.DataFrame) -> bytes:
    """Return UTF-8 with times as ISO 8601 in UTC, and missing values as empty cells."""
    out = StringIO(newline="")
    # With CRLF between the rows, as RFC 4180 has it, a lone CR inside a text is quoted too.
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(map(_guarded, labels(frame)))
    columns = [_iso(c) if is_time(c) else map(_guarded, cells(c)) for c in columns_of(frame)]
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode()


def _guarded(value: Any) -> Any:  # noqa: ANN401 - a cell of any column
    """Return a cell that no spreadsheet takes for a formula; a negative number stays one."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = _LATER_FORMULA.sub(r"\1'", str(value))
    return f"'{text}" if text.startswith(_FORMULA) else text


def _iso(column: pd.Series[Any]) -> list[str | None]:
    """Return a time column as ISO 8601 texts in UTC, to the microsecond."""
    import numpy as np

    texts: list[str] = np.datetime_as_string(naive_utc(column), "us", timezone="UTC").tolist()
    return [None if text == "NaT" else text for text in texts]


def _records(frame: pd.DataFrame) -> Iterator[str]:
    names = labels(frame)
    columns = [_iso(c) if is_time(c) else map(_finite, cells(c)) for c in columns_of(frame)]
    for row in zip(*columns, strict=True):
        yield _ENCODER.encode(dict(zip(names, row, strict=True)))


def _finite(value: Any) -> Any:  # noqa: ANN401 - a cell of any column
    """JSON has no infinity, and a file with ``Infinity`` in it is not JSON."""
    return None if isinstance(value, float) and math.isinf(value) else value


def _to_parquet(frame: pd.DataFrame) -> bytes:
    optional("pyarrow", "Parquet export", "parquet")
    out = BytesIO()
    frame.set_axis(labels(frame), axis="columns").to_parquet(out, engine="pyarrow", index=False)
    return out.getvalue()


MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
# Excel's own limits; the text's is in UTF-16 units.
MAX_TEXT = 32_767

# Excel keeps 15 digits of a number; a longer seed must be a text to survive.
EXACT = 10**15 - 1

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
_SAMPLE = 200  # rows that the widths are taken from
_WIDTHS = (8, 48)  # in characters


def _to_xlsx(frame: pd.DataFrame, thumbnails: Mapping[int, bytes]) -> bytes:
    """Return a table as a workbook of one sheet, with pictures by row where there are any."""
    writer = optional("xlsxwriter", "Excel export", "xlsx")
    rows, columns = frame.shape
    if rows >= MAX_ROWS or columns >= MAX_COLUMNS:
        message = f"{rows:,} rows and {columns:,} columns are more than a workbook takes."
        raise InvalidRequest(message, "Write a .parquet or .csv file, or fewer rows.")
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
        bold = book.add_format({"bold": True, "bottom": 1})
        for at, name in enumerate(names):
            sheet.write_string(0, at, _cell_text(name), bold)
        if names:
            sheet.autofilter(0, 0, rows, len(names) - 1)
        sheet.freeze_panes(1, left)
        _write_pictures(sheet, thumbnails)
    return out.getvalue()


def _write_column(sheet: Any, at: int, values: list[Any], stamp: Any) -> None:  # noqa: ANN401 - no stubs
    """Write each value by its own type; `sheet.write` would guess."""
    for row, value in enumerate(values, start=1):
        if value is None:
            continue
        if isinstance(value, bool):
            sheet.write_boolean(row, at, value)
        elif isinstance(value, int | float) and (
            abs(value) <= EXACT if isinstance(value, int) else math.isfinite(value)
        ):
            sheet.write_number(row, at, value)
        elif isinstance(value, datetime) and value.year >= _FIRST_YEAR:
            sheet.write_datetime(row, at, value, stamp)
        else:
            sheet.write_string(row, at, _cell_text(str(value)))


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


def _write_pictures(sheet: Any, thumbnails: Mapping[int, bytes]) -> None:  # noqa: ANN401 - no stubs
    from PIL import Image

    width, height = _PICTURE_BOX
    if thumbnails:
        sheet.set_column_pixels(0, 0, width + 4)
    for position, jpeg in thumbnails.items():
        with Image.open(BytesIO(jpeg)) as image:
            scale = min(width / image.width, height / image.height, 1)
        sheet.set_row_pixels(position + 1, height + 4)
        options = {
            "image_data": BytesIO(jpeg),
            "x_scale": scale,
            "y_scale": scale,
            "x_offset": 2,
            "y_offset": 2,
            "object_position": 1,  # moves with its row when the sheet is sorted or filtered
        }
        sheet.insert_image(position + 1, 0, f"picture-{position}.jpg", options)
