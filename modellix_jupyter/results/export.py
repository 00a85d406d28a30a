"""Write results to files: copies with readable names, a table, a page, or a folder of these."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.elements import shown_of
from modellix_jupyter.results.frame import (
    cells,
    columns_of,
    is_time,
    labels,
    naive_utc,
    optional,
    task_frame,
)
from modellix_jupyter.results.report import report_html
from modellix_jupyter.storage.files import local_copy
from modellix_jupyter.storage.thumbnails import jpeg_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from modellix_jupyter.values import Card, Task

# Limits of the parts of a file name, in characters and in bytes: a name may have 255 bytes, which
# are only 63 characters in some scripts.
_MAX_PART, _MAX_PROMPT_BYTES, _MAX_BYTES = 48, 120, 40
# The columns that differ between the rows of a task with several files.
_FROM_RESOURCE = ("type", "width", "height", "format", "url", "path")


def save_files(tasks: Iterable[Task], folder: str | Path) -> list[Path]:
    """Copy the files of tasks to a folder, named by prompt, model and seed."""
    _check_named(folder, "Write save('pictures'), or save('.') for here.")
    return list(_copy_all(tasks, Path(folder).expanduser()).values())


def _copy_all(tasks: Iterable[Task], folder: Path) -> dict[str, Path]:
    """Copy every file; return the paths of the copies by the keys that a page uses."""
    return {
        f"{task.uid}/{index}": _copy(resource.path, folder, _name(task, index))
        for task in tasks
        for index, resource in enumerate(task.resources)
        if resource.path
    }


def _copy(path: str, folder: Path, name: str) -> Path:
    source = local_copy(path)
    target = folder / f"{name}{source.suffix}"
    with replacing(target) as part:
        shutil.copyfile(source, part)
    return target


def _name(task: Task, index: int) -> str:
    """Return the name of a copy: unique by the uid, and the same whenever it is saved."""
    seed = task.request.params.get("seed")
    parts = [
        _plain(task.request.prompt or "no prompt", _MAX_PROMPT_BYTES),
        _plain(task.request.model.partition("/")[2]),
        f"seed{_plain(str(seed))}" if seed is not None else "",
        f"{task.uid[:8]}-{index + 1}",
    ]
    return "_".join(part for part in parts if part)


def _plain(text: str, max_bytes: int = _MAX_BYTES) -> str:
    parts = "".join(c if c.isalnum() or c in "._" else " " for c in text).split()
    plain = "-".join(parts)[:_MAX_PART].encode()[:max_bytes].decode(errors="ignore")
    return plain.strip("-._")


def export(
    cards: Callable[[], Sequence[Card]],
    frame: pd.DataFrame,
    path: str | Path,
    *,
    format: Literal["folder"] | None = None,  # noqa: A002 - the word that users know for it
) -> Path:
    """Write tasks as a table, as a page if the path ends in html, or as a folder."""
    if format not in {None, "folder"}:
        raise InvalidRequest(
            f"There is no format {format!r}.", "Say format='folder', or let the ending choose."
        )
    _check_named(path, "As in export('tasks.csv'), or export('name/') for a folder.")
    target = Path(path).expanduser()
    if format == "folder" or str(path).endswith(("/", os.sep)):
        return _write_folder(cards(), frame, target)
    if target.is_dir():  # its content may not be ours
        raise InvalidRequest(
            f"{target} is a folder that is there already.",
            f"End it with a slash, {target}{os.sep}, or say format='folder', to write into it; "
            "or name a file.",
        )
    ending = target.suffix.lower()
    if ending in {".html", ".htm"}:
        # without links: the page may be sent on, without the files beside the notebook
        page = report_html([_beside(card, {}) for card in cards()], frame)
        return _write(page.encode(), target)
    thumbnails = _thumbnails(cards()) if ending == ".xlsx" else None
    return write_table(frame, target, thumbnails=thumbnails)


def is_there(path: str | Path) -> bool:
    """Whether an export to this path replaces a file, or an earlier export in a folder."""
    target = Path(path).expanduser()
    return (target / "index.csv" if target.is_dir() else target).exists()


def _check_named(path: str | Path, hint: str) -> None:
    """Refuse an empty path, which Python takes for the working directory."""
    if not str(path).strip():
        raise InvalidRequest("There is no name to write to.", hint)


def _thumbnails(cards: Sequence[Card]) -> dict[int, bytes]:
    found = {row: jpeg_of(card.media[0]) for row, card in enumerate(cards) if card.media}
    return {row: jpeg for row, jpeg in found.items() if jpeg is not None}


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path to write to; the file replaces `target` once it is complete."""
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
        with suppress(OSError):  # raise the error of the write, not this one
            part.unlink(missing_ok=True)


def _write(content: bytes, target: Path) -> Path:
    with replacing(target) as part:
        part.write_bytes(content)
    return target


def _write_folder(cards: Sequence[Card], frame: pd.DataFrame, target: Path) -> Path:
    """Write the originals, a table of them, and a page that shows and links to them."""
    copies = _copy_all((card.task for card in cards), target)
    names = {key: path.name for key, path in copies.items()}
    index = _index([card.task for card in cards], frame, names)
    write_table(index, target / "index.csv")
    page = report_html([_beside(card, names) for card in cards], frame, names)
    _write(page.encode(), target / "index.html")
    return target


def _index(tasks: Sequence[Task], frame: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Return the frame with one row for each file and the name of its copy."""
    rows = [(at, i) for at, task in enumerate(tasks) for i in range(max(len(task.resources), 1))]
    index = frame.iloc[[at for at, _ in rows]].reset_index(drop=True)
    one_each = task_frame(tasks, by="resource")
    for name in _FROM_RESOURCE:
        index[name] = one_each[name]
    index.insert(0, "file", [names.get(f"{tasks[at].uid}/{i}") for at, i in rows])
    return index.astype({"file": "string"})


def _beside(card: Card, names: dict[str, str]) -> Card:
    """Return the card with links to its copies, or without links if there are none."""
    files = (names.get(shown.key) for shown in shown_of(card))
    media = tuple(replace(item, file=next(files)) for item in card.media)
    return replace(card, media=media)


# -- a table

# The endings that `write_table` knows.
ENDINGS = (".csv", ".json", ".jsonl", ".parquet", ".xlsx")

# The characters with which a formula begins in a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - the full-width forms are meant

# Where a cell would begin, if the file were read with another separator.
_LATER_FORMULA = re.compile('([;\t\r\n][\\s"]*)(?=[=+@＝＋－＠-])')  # noqa: RUF001 - the full-width forms are meant

_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


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
    return _write(content, target)


def _to_csv(frame: pd.DataFrame) -> bytes:
    """Return CSV in UTF-8, with times as ISO 8601 in UTC and missing values as empty cells."""
    out = StringIO(newline="")
    # CRLF between the rows, as in RFC 4180: then a lone CR inside a text is quoted too.
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(map(_guarded, labels(frame)))
    columns = [_iso(c) if is_time(c) else map(_guarded, cells(c)) for c in columns_of(frame)]
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode()


def _guarded(value: Any) -> Any:  # noqa: ANN401 - a cell of any column
    """Return a cell that no spreadsheet takes for a formula; a negative number is unchanged."""
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
    """Return a cell with None for infinity: a file with ``Infinity`` in it is not JSON."""
    return None if isinstance(value, float) and math.isinf(value) else value


def _to_parquet(frame: pd.DataFrame) -> bytes:
    optional("pyarrow", "Parquet export", "parquet")
    out = BytesIO()
    frame.set_axis(labels(frame), axis="columns").to_parquet(out, engine="pyarrow", index=False)
    return out.getvalue()


MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
# Excel's limit of the text in a cell, in UTF-16 units.
MAX_TEXT = 32_767

# Excel keeps 15 digits of a number; a longer seed is written as text, which keeps all digits.
EXACT = 10**15 - 1

_TIME_FORMAT = 'yyyy-mm-dd hh:mm:ss.000 "UTC"'
_FIRST_YEAR = 1900  # a workbook's calendar begins here

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # not allowed in XML 1.0

_PICTURE_BOX = (160, 96)  # in pixels: the column's width and the row's height
_SAMPLE = 200  # rows that determine the widths of the columns


def _to_xlsx(frame: pd.DataFrame, thumbnails: Mapping[int, bytes]) -> bytes:
    """Return a table as a workbook of one sheet, with the thumbnails in their rows."""
    writer = optional("xlsxwriter", "Excel export", "xlsx")
    rows, columns = frame.shape
    if rows >= MAX_ROWS or columns >= MAX_COLUMNS:
        message = f"{rows:,} rows and {columns:,} columns are more than a workbook takes."
        raise InvalidRequest(message, "Write a .parquet or .csv file, or fewer rows.")
    out = BytesIO()
    with writer.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet("tasks")
        sheet.add_write_handler(str, lambda sheet, *cell: sheet.write_string(*cell))  # {=1+1} too
        left = 1 if thumbnails else 0
        middle = book.add_format({"valign": "vcenter"})
        stamp = book.add_format({"valign": "vcenter", "num_format": _TIME_FORMAT})
        for at, column in enumerate(columns_of(frame), start=left):
            values = map(_excel_value, cells(column))
            sheet.write_column(1, at, values, stamp if is_time(column) else None)
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


def _excel_value(value: Any) -> Any:  # noqa: ANN401 - a cell of any column
    """Return a value unchanged if a workbook can hold it, or else its text."""
    if isinstance(value, datetime):
        fits = value.year >= _FIRST_YEAR
    elif isinstance(value, float):
        fits = math.isfinite(value)
    else:
        fits = value is None or (isinstance(value, int) and abs(value) <= EXACT)
    return value if fits else _cell_text(str(value))


def _cell_text(text: str) -> str:
    """Return a text that a cell can hold: LF as line break, no illegal character, not too long."""
    clean = _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", re.sub("\r\n?", "\n", text))
    units = clean.encode("utf-16-le")
    if len(units) <= 2 * MAX_TEXT:
        return clean
    return units[: 2 * (MAX_TEXT - 1)].decode("utf-16-le", "ignore") + "…"


def _width(column: pd.Series[Any]) -> float:
    """Return a width in characters that shows the name and most values."""
    if is_time(column):
        return len("2026-01-01 00:00:00.000 UTC")
    shown = [str(column.name), *(str(v) for v in cells(column.head(_SAMPLE)) if v is not None)]
    longest = max(len(text.partition("\n")[0]) for text in shown)
    return min(max(longest + 3, 8), 48)  # the filter's arrow takes about 3


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
