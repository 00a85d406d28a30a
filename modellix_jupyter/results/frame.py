"""The DataFrame that users, exports and plots share: a typed read of the view `history`."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from modellix_jupyter.errors import InvalidRequest, MissingExtra, did_you_mean
from modellix_jupyter.values import TEXTS, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import pandas as pd

    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.values import Task

By = Literal["task", "resource"]
# Columns of the view that are last in the frame, and only if a row has a rating or a note.
REMARKS = ("rating", "note")


def ledger_frame(
    ledger: Ledger, uids: Sequence[str] | None = None, by: By = "task", service: str | None = None
) -> pd.DataFrame:
    """Return the tasks of a ledger or a service, oldest first, or of `uids` in their order."""
    _check_by(by)
    read = ledger.history(uids, by, service)
    try:
        return _frame(read)
    except (ValueError, TypeError, AttributeError):
        ledger.tasks()  # reports the rows with broken JSON; the frame contains them too
        return _frame(read, [text if _is_object(text) else "{}" for text in read["params"]])


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def task_frame(tasks: Iterable[Task], by: By = "task") -> pd.DataFrame:
    """Return the same table of tasks that may be in no ledger, without ratings and notes."""
    from modellix_jupyter.ledger.ledger import columns_of

    _check_by(by)
    return _frame(columns_of(list(tasks), by))


def _check_by(by: str) -> None:
    if by not in {"task", "resource"}:
        raise InvalidRequest(f"There is no table by {by!r}.", "Say by='task' or by='resource'.")


def _frame(read: Mapping[str, list[Any]], params: list[str] | None = None) -> pd.DataFrame:
    import pandas as pd

    from modellix_jupyter.ledger.history import KINDS

    arrays = {name: typed(read[name], kind) for name, kind in KINDS.items()}
    remarks = {name: arrays.pop(name) for name in REMARKS}
    remarked = any(not column.isna().all() for column in remarks.values())
    spread = _spread(read["params"] if params is None else params)
    read_out = _texts_of(read["type"], read["path"])
    users = {"user": typed(read["user"], "text")} if "user" in read else {}
    return pd.DataFrame(arrays | spread | read_out | (remarks if remarked else {}) | users)


def _texts_of(types: Sequence[str | None], paths: Sequence[str | None]) -> dict[str, Array]:
    """Return a column ``text`` with the content of text results, if there are any."""
    pairs = zip(types, paths, strict=True)
    texts = [text_of(path) if path and kind in TEXTS else None for kind, path in pairs]
    return {"text": typed(texts, "text")} if any(text is not None for text in texts) else {}


def _spread(texts: list[str]) -> dict[str, Array]:
    """Return a column ``param.NAME`` for each parameter that any row has, sorted by name."""
    unique = list(dict.fromkeys(texts))
    # parsing all of them joined takes half the time of parsing each
    known = dict(zip(unique, json.loads(f"[{','.join(unique)}]"), strict=True))
    rows = [known[text] for text in texts]
    names = sorted({name for params in known.values() for name in params})
    return {storable(f"param.{name}"): infer([row.get(name) for row in rows]) for name in names}


Array: TypeAlias = "pd.api.extensions.ExtensionArray"

# The integers that a nullable integer column can hold.
INT64 = range(-(2**63), 2**63)

# The range in which a 64-bit float holds every integer exactly.
EXACT = range(-(2**53), 2**53 + 1)

# The pandas type of each kind of column; ``text`` is ``string``, ``time`` ``datetime64[us, UTC]``.
DTYPES: dict[str, Literal["Int64", "Float64", "boolean"]] = {
    "integer": "Int64",
    "float": "Float64",
    "boolean": "boolean",
}

# Microseconds since the epoch from the year 1 to 9999; beyond them `datetime` fails.
_CALENDAR = (-62_135_596_800_000_000, 253_402_300_799_999_999)

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str)


def storable(text: str) -> str:
    r"""Return the text with U+FFFD for each lone surrogate (``"\ud800"``, which JSON allows)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def typed(values: Sequence[Any], kind: str) -> Array:
    """Return a column of a kind; times are in microseconds, a missing one the lowest integer."""
    import pandas as pd

    if kind == "time":
        return _times(values)
    if kind == "text":
        return _texts(values)
    return pd.array(values, dtype=DTYPES[kind])


def _texts(values: Sequence[str | None]) -> Array:
    import pandas as pd

    dtype = pd.StringDtype()
    if dtype.storage == "pyarrow":  # a third of the time of pandas' own conversion
        import pyarrow as pa

        values = pa.array(values, type=pa.large_string())
    return pd.array(values, dtype=dtype)


def _times(values: Sequence[int]) -> Array:
    """Return a time column, made without floats and parsers, so that every microsecond is kept."""
    import numpy as np
    import pandas as pd

    known = np.array(values, dtype="int64")
    known[(known < _CALENDAR[0]) | (known > _CALENDAR[1])] = INT64.start  # NumPy's NaT
    return pd.DatetimeIndex(known.view("datetime64[us]")).tz_localize("UTC").array


def infer(values: Sequence[Any]) -> Array:
    """Return the narrowest column that holds JSON values without loss.

    All booleans, all integers, all numbers or all texts keep their type. Anything else (lists,
    objects, texts among numbers, integers beyond 64 bits) becomes a text of JSON, in which
    ``7`` and ``"7"`` still differ.
    """
    present = [v for v in values if v is not None]
    kinds = set(map(type, present))
    if kinds == {bool}:
        return typed(values, "boolean")
    if kinds == {int} and all(v in INT64 for v in present):
        return typed(values, "integer")
    if kinds in ({float}, {int, float}) and all(type(v) is float or v in EXACT for v in present):
        return typed(values, "float")
    write = str if kinds <= {str} else _ENCODER.encode
    return typed([v if v is None else storable(write(v)) for v in values], "text")


def naive_utc(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Return a time column as ``datetime64[us]`` in UTC, without its zone."""
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy(dtype="datetime64[us]")


def is_time(column: pd.Series[Any]) -> bool:
    """Whether a column holds times."""
    import pandas as pd

    return pd.api.types.is_datetime64_any_dtype(column.dtype)


def cells(column: pd.Series[Any]) -> list[Any]:
    """Return a column as plain Python values: None if missing, valid texts, naive UTC times."""
    if is_time(column):
        return list(naive_utc(column).tolist())
    missing = column.isna().tolist()
    values = column.tolist()
    return [None if gone else _plain(v) for v, gone in zip(values, missing, strict=True)]


def _plain(value: Any) -> Any:  # noqa: ANN401 - a frame of the user's own may hold anything
    if isinstance(value, str):
        return storable(value)
    # A Float64 column can hold NaN beside its missing values; no file format distinguishes them.
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN


def rows_of(frame: pd.DataFrame) -> list[list[object]]:
    """Return the rows as lists, with None where a value is missing."""
    rows: list[list[object]] = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return rows


def labels(frame: pd.DataFrame) -> list[str]:
    """Return the names of the columns as valid texts."""
    return [storable(str(name)) for name in frame.columns]


def columns_of(frame: pd.DataFrame) -> list[pd.Series[Any]]:
    """Return the columns by position, since two may share a name."""
    return [frame.iloc[:, i] for i in range(frame.shape[1])]


def check_columns(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Raise `InvalidRequest` for an unknown column, with the nearest name."""
    known = labels(frame)
    for name in names:
        if name not in known:
            hint = did_you_mean(str(name), known) or f"It has: {', '.join(known)}."
            raise InvalidRequest(f"The table has no column {name!r}.", hint)


def optional(library: str, purpose: str, extra: str) -> Any:  # noqa: ANN401 - a module without stubs
    """Import an optional library, or raise an error that says how to install it."""
    try:
        return importlib.import_module(library)
    except ImportError as missing:
        raise MissingExtra(purpose, library.partition(".")[0], extra) from missing
