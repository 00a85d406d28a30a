"""A table to a file, in the format that the file's ending says."""

from __future__ import annotations

import csv
import json
import math
import re
from contextlib import contextmanager, suppress
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.columns import (
    cells,
    columns_of,
    is_time,
    labels,
    naive_utc,
    optional,
)
from modellix_jupyter.results.xlsxfile import to_xlsx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

ENDINGS = (".csv", ".json", ".jsonl", ".parquet", ".xlsx")
"""The endings that `write_table` knows."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - the full-width forms are meant
"""What a spreadsheet takes for the beginning of a formula."""

_LATER_FORMULA = re.compile('([;\t\r\n][\\s"]*)(?=[=+@＝＋－＠-])')  # noqa: RUF001 - the full-width forms are meant
"""Where a cell would begin, if the file were read with another separator."""

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
    no text is a formula or a link. `thumbnails` are pictures by the row's position, for xlsx only.
    """
    target = Path(path).expanduser()
    content = _content(frame, target.suffix.lower(), thumbnails or {})
    with replacing(target) as part:
        part.write_bytes(content)
    return target


def _content(frame: pd.DataFrame, ending: str, thumbnails: Mapping[int, bytes]) -> bytes:
    match ending:
        case ".csv":
            return _to_csv(frame)
        case ".json":
            return "[\n{}\n]\n".format(",\n".join(_records(frame))).encode()
        case ".jsonl":
            return "".join(f"{record}\n" for record in _records(frame)).encode()
        case ".parquet":
            return _to_parquet(frame)
        case ".xlsx":
            return to_xlsx(frame, thumbnails)
    raise unknown_ending(ending)


def unknown_ending(ending: str, *more: str) -> InvalidRequest:
    """Return the error that lists what can be written: `ENDINGS`, and what the caller adds."""
    known = ", ".join((*ENDINGS, *more))
    shown = f"the ending {ending!r}" if ending else "no ending"
    return InvalidRequest(f"Nothing can be written to a file with {shown}.", f"Known: {known}.")


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

    stamps = naive_utc(column)
    known: list[str] = np.datetime_as_string(stamps, unit="us").tolist()
    gone: list[bool] = np.isnat(stamps).tolist()
    return [None if absent else f"{text}Z" for text, absent in zip(known, gone, strict=True)]


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
