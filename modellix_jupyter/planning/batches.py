"""A DataFrame of prompts as requests, and which of them the ledger has already."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.planning.plan import DEFAULT_CAP, make_plan
from modellix_jupyter.planning.suggestions import did_you_mean
from modellix_jupyter.values import Request, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from modellix_jupyter.values import Json, Task

GONE = frozenset({Status.REJECTED, Status.FAILED, Status.EXPIRED})
"""Ends after which a row of a batch is sent again: nothing of them is left to use."""


def requests_of(frame: pd.DataFrame, model: str | None = None) -> list[Request]:
    """Return one request for each row.

    Parameters
    ----------
    frame
        A column ``prompt``, optionally ``model``, and any other column a parameter.
    model
        The slug for every row, where there is no such column.

    Raises
    ------
    InvalidRequest
        It names the row and the column that cannot be sent.

    """
    if not hasattr(frame, "columns"):
        raise InvalidRequest(
            f"The prompts are of type {type(frame).__name__}, not a DataFrame.",
            'Write pd.DataFrame({"prompt": [...]}) around them.',
        )
    columns = _columns(frame, model)
    if len(frame) > DEFAULT_CAP:
        raise InvalidRequest(
            f"The frame has {len(frame):,} rows; one batch holds {DEFAULT_CAP:,} at most.",
            "Send it in parts.",
        )
    values = {name: frame[name].tolist() for name in columns}
    return [
        _request({name: values[name][place] for name in columns}, label, model)
        for place, label in enumerate(frame.index)
    ]


def _columns(frame: pd.DataFrame, model: str | None) -> list[str]:
    names = [str(name) for name in frame.columns]
    if "prompt" not in names:
        hint = f"{did_you_mean('prompt', names)} Rename the column of texts to `prompt`.".strip()
        raise InvalidRequest("The frame has no column `prompt`.", hint)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidRequest(f"The frame has two columns `{twice}`.", "Rename or drop one.")
    if not len(frame):
        raise InvalidRequest("The frame has no rows.", "Nothing was sent.")
    if ("model" in names) == (model is not None):
        what = "and model= is given as well" if model else "and model= is not given"
        column = "a" if model else "no"
        raise InvalidRequest(f"The frame has {column} column `model`, {what}.", "Use one of them.")
    return names


def _request(row: dict[str, Any], label: object, model: str | None) -> Request:
    for name, value in row.items():
        if _is_missing(value):
            raise InvalidRequest(
                f"Row {label!r} has no value in column `{name}`.", "Fill it, or drop the row."
            )
        row[name] = value.item() if hasattr(value, "item") else value
    slug, prompt = row.pop("model", model), row.pop("prompt")
    try:
        return make_plan([prompt], [slug], params=row).requests[0]
    except InvalidRequest as error:
        raise InvalidRequest(f"Row {label!r}: {error.message}", error.hint) from None


def _is_missing(value: object) -> bool:
    """Whether a cell of a frame is empty: None, NaN, NaT, NA; a list or an array never is."""
    import pandas as pd

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))  # type: ignore[call-overload]


def matched(requests: Sequence[Request], tasks: Iterable[Task]) -> list[str | None]:
    """Return, for each request, the task of the batch that is it, or None where there is none.

    Parameters
    ----------
    requests
        In the order of the frame.
    tasks
        What the ledger has of the batch; those that came to nothing do not count.

    """
    known: dict[str, list[str]] = defaultdict(list)
    for task in tasks:
        if task.status not in GONE:
            known[_identity(task.request)].append(task.uid)
    found = (known[_identity(request)] for request in requests)
    return [uids.pop(0) if uids else None for uids in found]


def _identity(request: Request) -> str:
    import json

    body: dict[str, Json] = request.body()
    return f"{request.model}\n{json.dumps(body, sort_keys=True)}"
