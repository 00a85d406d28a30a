"""Lists of Python values to typed columns and back; nothing here is ever of dtype ``object``."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

from modellix_jupyter.errors import InvalidRequest, MissingExtra
from modellix_jupyter.planning.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    import pandas as pd

Array: TypeAlias = "pd.api.extensions.ExtensionArray"

INT64 = range(-(2**63), 2**63)
"""What a nullable integer column holds."""

EXACT = range(-(2**53), 2**53 + 1)
"""The integers that a 64-bit float holds, every one of them, exactly."""

TIMES = range(-62_135_596_800_000_000, 253_402_300_800_000_000)
"""Microseconds since the epoch from the year 1 to 9999; beyond them `datetime` fails."""

_SAMPLE = 1000
"""How many texts of a column show whether it is one of few, which are then converted once each."""

_NOT_A_TIME = -(2**63)

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str)


def dump(value: Any) -> str:  # noqa: ANN401 - any JSON value is what it is for
    """Return the JSON text of a value, the same for equal values."""
    return _ENCODER.encode(value)


def dump_all(values: Sequence[Any]) -> list[str]:
    """Return what `dump` returns for each value, in a third of the time.

    The encoder is called once for all of them, and its text cut at a mark that none can have.
    """
    if not values:
        return []
    mark = uuid4().hex
    listed = [item for value in values for item in (value, mark)]
    return dump(listed)[1:-1].removesuffix(f', "{mark}"').split(f', "{mark}", ')


def storable(text: str) -> str:
    r"""Return the text with what UTF-8 cannot hold replaced.

    Two halves of one character are joined; a half on its own (``"\ud800"``, which JSON allows)
    becomes U+FFFD.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def texts(values: Sequence[str | None]) -> Array:
    """Return a ``string`` column."""
    import numpy as np

    if not _repeats(values[:_SAMPLE]) or not _repeats(values):
        return _texts(values)
    places = {text: place for place, text in enumerate(dict.fromkeys(values))}
    taken = np.fromiter(map(places.__getitem__, values), dtype=np.intp, count=len(values))
    return _texts(list(places)).take(taken)


def _repeats(values: Sequence[str | None]) -> bool:
    return len(set(values)) <= len(values) // 2


def _texts(values: Sequence[str | None]) -> Array:
    import pandas as pd

    wide = [v for v in values if v is not None and not v.isascii()]
    try:  # one pass in C for the usual case, that every text is sound
        "".join(wide).encode()
    except UnicodeEncodeError:
        values = [v if v is None else storable(v) for v in values]
    return pd.array(values, dtype="string")


def integers(values: Sequence[int | None]) -> Array:
    """Return an ``Int64`` column; what does not fit it is missing."""
    import numpy as np
    import pandas as pd

    try:
        known = np.array([0 if v is None else v for v in values], dtype="int64")
    except OverflowError:
        return integers([v if v is not None and v in INT64 else None for v in values])
    return pd.arrays.IntegerArray(known, _gone(values))


def floats(values: Sequence[float | None]) -> Array:
    """Return a ``Float64`` column; NaN is missing."""
    import numpy as np
    import pandas as pd

    known = np.array([0.0 if v is None or v != v else v for v in values], dtype="float64")  # noqa: PLR0124 - NaN
    return pd.arrays.FloatingArray(known, _gone([None if v != v else v for v in values]))  # noqa: PLR0124 - NaN


def _gone(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.array([v is None for v in values], dtype=bool)


def booleans(values: Sequence[bool | None]) -> Array:
    """Return a ``boolean`` column."""
    import pandas as pd

    return pd.array(values, dtype="boolean")


def times(values: Sequence[int | None]) -> Array:
    """Return a ``datetime64[us, UTC]`` column from microseconds since the epoch.

    No float and no parser comes between, so every microsecond is kept.
    """
    import numpy as np

    known = [v if v is not None and v in TIMES else _NOT_A_TIME for v in values]
    return utc(np.array(known, dtype="int64").view("datetime64[us]"))


def utc(stamps: np.ndarray[Any, Any]) -> Array:
    """Return a ``datetime64[us, UTC]`` column of naive stamps that are in UTC."""
    import pandas as pd

    return pd.DatetimeIndex(stamps).tz_localize("UTC").array


BUILDERS: dict[str, Callable[[Sequence[Any]], Array]] = {
    "text": texts,
    "integer": integers,
    "float": floats,
    "boolean": booleans,
    "time": times,
}
"""The kinds of column, by the names that `frame.CONTRACT` uses."""


def infer(values: Sequence[Any]) -> Array:
    """Return the narrowest column that holds JSON values without loss.

    All booleans, all integers, all numbers or all texts keep their type. Anything else (lists,
    objects, texts among numbers, integers beyond 64 bits) becomes a text of JSON, in which
    ``7`` and ``"7"`` still differ.
    """
    present = [v for v in values if v is not None]
    kinds = set(map(type, present))
    if kinds <= {str}:
        return texts(values)
    if kinds == {bool}:
        return booleans(values)
    if kinds == {int} and all(v in INT64 for v in present):
        return integers(values)
    if _are_numbers(kinds, present):
        return floats(values)
    return texts([v if v is None else dump(v) for v in values])


def _are_numbers(kinds: set[type], present: list[Any]) -> bool:
    """Whether a float column holds them all exactly."""
    if float not in kinds or not kinds <= {int, float}:
        return False
    return all(type(v) is float or v in EXACT for v in present)


def naive_utc(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Return a time column as ``datetime64[us]`` in UTC, without its zone."""
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy(dtype="datetime64[us]")


def is_time(column: pd.Series[Any]) -> bool:
    """Whether a column holds moments."""
    import pandas as pd

    return pd.api.types.is_datetime64_any_dtype(column.dtype)


def cells(column: pd.Series[Any]) -> list[Any]:
    """Return a column as plain Python values: None where missing, sound texts, naive UTC times."""
    if is_time(column):
        return list(naive_utc(column).tolist())
    missing = column.isna().tolist()
    values = column.tolist()
    return [None if gone else _plain(v) for v, gone in zip(values, missing, strict=True)]


def _plain(value: Any) -> Any:  # noqa: ANN401 - a frame of the user's own may hold anything
    if isinstance(value, str):
        return storable(value)
    # A Float64 column can hold NaN beside its missing values; no file format tells them apart.
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN


def labels(frame: pd.DataFrame) -> list[str]:
    """Return the names of the columns as sound texts."""
    return [storable(str(name)) for name in frame.columns]


def columns_of(frame: pd.DataFrame) -> list[pd.Series[Any]]:
    """Return the columns by position, since two may share a name."""
    return [frame.iloc[:, i] for i in range(frame.shape[1])]


def check_columns(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Raise `InvalidRequest`, with the nearest name, for a column that is not there."""
    known = labels(frame)
    for name in names:
        if name not in known:
            hint = did_you_mean(str(name), known) or f"It has: {', '.join(known)}."
            raise InvalidRequest(f"The table has no column {name!r}.", hint)


def optional(library: str, purpose: str, extra: str) -> Any:  # noqa: ANN401 - a module without stubs
    """Import a library that the user may not have, or say how to get it."""
    try:
        return importlib.import_module(library)
    except ImportError as missing:
        raise MissingExtra(purpose, library.partition(".")[0], extra) from missing
