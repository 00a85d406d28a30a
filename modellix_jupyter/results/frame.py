"""The DataFrame that users, exports and plots share: a typed read of the view `history`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from modellix_jupyter.errors import InvalidRequest, LedgerError
from modellix_jupyter.results.columns import infer, storable, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.results.columns import Array
    from modellix_jupyter.values import Task

By = Literal["task", "resource"]
REMARKS = ("rating", "note")
"""Columns of the view that stand last, and only where a row has one."""


def ledger_frame(
    ledger: Ledger, uids: Sequence[str] | None = None, by: By = "task"
) -> pd.DataFrame:
    """Return every task of a ledger, oldest first, or those with these uids in their order."""
    _check_by(by)
    return _frame(ledger.history(uids, by))


def task_frame(tasks: Iterable[Task], by: By = "task") -> pd.DataFrame:
    """Return tasks that may be in no ledger as the same table, without what they were rated."""
    from modellix_jupyter.ledger.ledger import columns_of

    _check_by(by)
    return _frame(columns_of(list(tasks), by))


def _check_by(by: str) -> None:
    if by not in {"task", "resource"}:
        raise InvalidRequest(f"There is no table by {by!r}.", "Say by='task' or by='resource'.")


def _frame(read: Mapping[str, list[Any]]) -> pd.DataFrame:
    import pandas as pd

    from modellix_jupyter.ledger.history import KINDS

    arrays = {name: typed(read[name], kind) for name, kind in KINDS.items()}
    remarks = {name: arrays.pop(name) for name in REMARKS}
    remarked = any(not column.isna().all() for column in remarks.values())
    return pd.DataFrame(arrays | _spread(read["params"]) | (remarks if remarked else {}))


def _spread(texts: list[str]) -> dict[str, Array]:
    """Return a column ``param.NAME`` for each parameter that any row has, sorted by name."""
    unique = list(dict.fromkeys(texts))
    try:  # one text of all of them is read in half the time of each by itself
        known = dict(zip(unique, json.loads(f"[{','.join(unique)}]"), strict=True))
    except ValueError as error:
        raise LedgerError("The ledger has parameters that cannot be read as JSON.") from error
    rows = [known[text] for text in texts]
    names = sorted({name for params in known.values() for name in params})
    return {storable(f"param.{name}"): infer([row.get(name) for row in rows]) for name in names}
