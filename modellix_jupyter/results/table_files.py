"""A table to a file, in the format that the file's ending says."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.columns import cells, columns_of, is_time, labels, optional
from modellix_jupyter.results.csvfile import iso, to_csv
from modellix_jupyter.results.xlsxfile import to_xlsx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

ENDINGS = (".csv", ".json", ".jsonl", ".parquet", ".xlsx")
"""The endings that `write_table` knows."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


def write_table(
    frame: pd.DataFrame, path: str | Path, *, thumbnails: Mapping[int, bytes] | None = None
) -> Path:
    """Write a table in the format of the path's ending, whole or not at all.

    A reader never sees half a file: the bytes go to a temporary name in the same folder, which
    then takes the file's place. Folders that are missing are made.

    Parameters
    ----------
    frame
        The table; its index is not written.
    path
        Where to; ``~`` is the home folder. The ending chooses:

        - ``.csv``: UTF-8, times as ISO 8601. A text that a spreadsheet would run as a formula
          gets an apostrophe in front; `read_csv` takes it off again.
        - ``.json``, ``.jsonl``: records, in an array or one a line; times as ISO 8601 and the
          infinite as null.
        - ``.parquet``: with every type as it is; needs pyarrow.
        - ``.xlsx``: real numbers, times (UTC, to the millisecond) and texts, never a formula or
          a link; needs xlsxwriter. Texts are cut at 32,767 characters, Excel's limit.
    thumbnails
        For ``.xlsx`` only: pictures (JPEG or PNG bytes) by the row's position from 0, which are
        embedded in a first column named ``picture``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidRequest
        For an unknown ending, a place that cannot be written, or more rows than Excel takes.
    MissingExtra
        Where the format's library is not installed.

    """
    content = _content(frame, Path(path).suffix.lower(), thumbnails or {})
    try:
        return _replace(Path(path).expanduser(), content)
    except (OSError, ValueError, RuntimeError) as reason:  # a full disk, a NUL, no home folder
        told = getattr(reason, "strerror", None) or str(reason)
        hint = "Choose a folder that can be written and has room."
        raise InvalidRequest(f"{path} cannot be written: {told}.", hint) from reason


def _content(frame: pd.DataFrame, ending: str, thumbnails: Mapping[int, bytes]) -> bytes:
    match ending:
        case ".csv":
            return to_csv(frame)
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
    """Return the error that lists what there is.

    Parameters
    ----------
    ending
        The one that is not known.
    more
        What the caller writes besides the endings of `write_table`.

    """
    known = ", ".join((*ENDINGS, *more))
    shown = f"the ending {ending!r}" if ending else "no ending"
    return InvalidRequest(f"Nothing can be written to a file with {shown}.", f"Known: {known}.")


def _replace(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{uuid4().hex}.part"
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        with suppress(OSError):  # the write's own error is the one to tell
            part.unlink(missing_ok=True)
    return path


def _records(frame: pd.DataFrame) -> Iterator[str]:
    names = labels(frame)
    columns = [iso(c) if is_time(c) else map(_finite, cells(c)) for c in columns_of(frame)]
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
