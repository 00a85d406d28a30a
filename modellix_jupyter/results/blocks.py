"""The same frame from the columns of a ledger, with no task for a row: a million rows are many."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modellix_jupyter.results.columns import BUILDERS, dump_all
from modellix_jupyter.results.frame import CONTRACT, Spread, framed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from modellix_jupyter.results.columns import Array

_OF_RESOURCE = ("type", "width", "height", "format", "url", "path")
_MADE = frozenset({"provider", "params", "elapsed_s", "n_resources", *_OF_RESOURCE})
"""The columns of the contract that a block does not have as they are."""


def block_frame(
    blocks: Iterable[Mapping[str, list[Any]]],
    *,
    extra: Mapping[str, Mapping[str, Any]] | None = None,
) -> pd.DataFrame:
    """Return the frame that `task_frame` would of the tasks that these columns are of.

    Parameters
    ----------
    blocks
        Columns by the names of a task's fields, and of its request's, each a list. `params` has
        JSON objects, and `resources` a list of JSON objects for each row.
    extra
        As of `task_frame`.

    """
    parts: dict[str, list[Array]] = {name: [] for name in CONTRACT}
    params, uids = Spread(), list[str]()
    with _no_collection():
        for block in blocks:
            made = _made(block)
            for name, kind in CONTRACT.items():
                parts[name].append(BUILDERS[kind](made[name] if name in _MADE else block[name]))
            params.add(block["params"])
            uids += block["uid"] if extra else ()
    data = {name: _joined(parts.pop(name), kind) for name, kind in CONTRACT.items()}
    return framed(data, params, uids, extra)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Look for no cycles meanwhile: JSON has none, and its many objects provoke a look at all else.

    Without it a third of the time goes there.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _joined(parts: list[Array], kind: str) -> Array:
    import pandas as pd

    if len(parts) > 1:
        whole: Array = pd.concat(list(map(pd.Series, parts)), ignore_index=True).array
        return whole
    return parts[0] if parts else BUILDERS[kind]([])


def _made(block: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the columns that are made of others."""
    shown = [_first(resources) for resources in block["resources"]]
    spans = zip(block["submitted_at"], block["completed_at"], strict=True)
    return {
        "provider": [model.partition("/")[0] for model in block["model"]],
        "params": _dumped(block["params"]),
        "elapsed_s": [None if s is None or e is None else (e - s) / 1e6 for s, e in spans],
        "n_resources": [len(resources) for resources in block["resources"]],
        **{name: [one.get(name) for one in shown] for name in _OF_RESOURCE},
    }


def _first(resources: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the resource that stands for its task, or one of which nothing is known."""
    if len(resources) <= 1:  # nearly always: without a generator for each
        return resources[0] if resources else {}
    primary = (one for one in resources if one.get("role") == "primary")
    return next(primary, resources[0])


def _dumped(params: Sequence[Any]) -> list[str]:
    """Return each as JSON text; what several rows share is written once."""
    unique = {id(one): one for one in params}
    texts = dict(zip(unique, dump_all(list(unique.values())), strict=True))
    return [texts[id(one)] for one in params]
