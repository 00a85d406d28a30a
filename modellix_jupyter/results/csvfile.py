"""CSV that a spreadsheet cannot be tricked by, and that reads back exactly as it was.

A prompt may begin with ``=``, and a spreadsheet would run it. So a text that begins with ``=``,
``+``, ``-``, ``@``, a tab, a line break or a full-width form of these gets an apostrophe in
front, which spreadsheets take for "this is text". The same mark goes before whatever else would
not read back as the text it is: an empty text (a missing one is an empty cell), a text that
begins with an apostrophe, and, in columns outside the contract, a text that looks like a number,
a boolean or a time. Cells of numeric columns are never marked: ``-1`` stays a number.
"""

from __future__ import annotations

import csv
import re
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.columns import (
    BUILDERS,
    INT64,
    cells,
    columns_of,
    is_time,
    labels,
    naive_utc,
    texts,
    utc,
)
from modellix_jupyter.results.frame import CONTRACT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd

    from modellix_jupyter.results.columns import Array

MARK = "'"

_MARKED = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", MARK)  # noqa: RUF001 - the full-width forms are meant

_FORMS = {
    "boolean": re.compile(r"True|False"),
    "integer": re.compile(r"-?[0-9]+"),
    "float": re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf)"),
    "time": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"),
}
"""How each kind is written. Every integer has the form of a float too, so its own goes first."""

_AMBIGUOUS = re.compile("|".join(f"(?:{form.pattern})" for form in _FORMS.values()))

_FIELD_LIMIT = 2**31 - 1
"""In characters, and the most that any C long holds; the `csv` module's own is 131,072."""


def to_csv(frame: pd.DataFrame) -> bytes:
    """Return a table as CSV in UTF-8: times as ISO 8601 in UTC, missing values as empty cells."""
    out = StringIO(newline="")
    # With CRLF between the rows, as RFC 4180 has it, a lone CR inside a text is quoted too.
    writer = csv.writer(out, lineterminator="\r\n")
    names = labels(frame)
    writer.writerow([_marked(name) for name in names])
    columns = [_fields(c, name) for c, name in zip(columns_of(frame), names, strict=True)]
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode()


def iso(column: pd.Series[Any]) -> list[str | None]:
    """Return a time column as ISO 8601 texts in UTC, to the microsecond."""
    import numpy as np

    stamps = naive_utc(column)
    known: list[str] = np.datetime_as_string(stamps, unit="us").tolist()
    gone: list[bool] = np.isnat(stamps).tolist()
    return [None if absent else f"{text}Z" for text, absent in zip(known, gone, strict=True)]


def _fields(column: pd.Series[Any], name: str) -> list[str]:
    if is_time(column):
        return [text or "" for text in iso(column)]
    known = CONTRACT.get(name) == "text"
    return [_field(value, known=known) for value in cells(column)]


def _field(value: Any, *, known: bool) -> str:  # noqa: ANN401 - a cell of any column
    """Return one cell; `known` is whether the reader will know that the column is text."""
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return repr(value)
    text = str(value)
    if not known and _AMBIGUOUS.fullmatch(text):
        return MARK + text
    return _marked(text)


def _marked(text: str) -> str:
    return MARK + text if not text or text.startswith(_MARKED) else text


def _unmarked(text: str) -> str | None:
    return text.removeprefix(MARK) if text else None


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table back from a CSV file that `write_table` wrote, every type as it was.

    The marks before texts are taken off. A column outside the contract that has no value at all
    reads as text, since nothing in the file says what it was.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    DataFrame
        With the types that `task_frame` gives.

    Raises
    ------
    InvalidRequest
        Where the file cannot be read, or is not of this form.

    """
    import pandas as pd

    names, rows = _parse(Path(path))
    width = len(names)
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            told = f"Row {number} of {path} has {len(row)} cells, and there are {width} columns."
            raise InvalidRequest(told, "Export the table again; the file was changed.")
    columns = [[row[i] for row in rows] for i in range(width)]
    arrays = [_typed(n, column, path) for n, column in zip(names, columns, strict=True)]
    frame = pd.DataFrame(dict(enumerate(arrays)))  # by position, since two may share a name
    return frame.set_axis(names, axis="columns")


def _parse(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file, _wide_fields():
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
    except (OSError, ValueError, csv.Error) as reason:
        hint = "Give a CSV file in UTF-8 that this package wrote."
        raise InvalidRequest(f"{path} cannot be read: {reason}.", hint) from reason
    return [_unmarked(name) or "" for name in header], rows


@contextmanager
def _wide_fields() -> Iterator[None]:
    """Lift the module's limit for a moment; it is global, and other code may count on it."""
    before = csv.field_size_limit(_FIELD_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _typed(name: str, column: list[str], path: str | Path) -> Array:
    kind = CONTRACT.get(name) or _kind(column)
    try:
        return _PARSERS[kind](column)
    except ValueError as reason:
        message = f"The column {name!r} of {path} is not of the kind {kind}: {reason}."
        raise InvalidRequest(message, "Export the table again; the file was changed.") from reason


def _kind(column: list[str]) -> str:
    """Return the kind that every value of a column has the form of."""
    present = [text for text in column if text]
    for kind, form in _FORMS.items():
        if present and all(map(form.fullmatch, present)):
            return "text" if kind == "integer" and not _all_fit(present) else kind
    return "text"


def _all_fit(present: list[str]) -> bool:
    # The length first: `int` refuses a text of thousands of digits.
    return all(len(text) <= len(str(INT64.start)) and int(text) in INT64 for text in present)


def _booleans(column: list[str]) -> Array:
    return BUILDERS["boolean"]([text == "True" if text else None for text in column])


def _integers(column: list[str]) -> Array:
    return BUILDERS["integer"]([int(text) if text else None for text in column])


def _floats(column: list[str]) -> Array:
    return BUILDERS["float"]([float(text) if text else None for text in column])


def _times(column: list[str]) -> Array:
    import numpy as np

    stamps: np.ndarray[Any, Any] = np.array(
        [text.removesuffix("Z") or "NaT" for text in column], dtype="datetime64[us]"
    )
    return utc(stamps)


def _texts(column: list[str]) -> Array:
    return texts([_unmarked(text) for text in column])


_PARSERS = {
    "boolean": _booleans,
    "integer": _integers,
    "float": _floats,
    "time": _times,
    "text": _texts,
}
