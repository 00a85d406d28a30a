"""Tasks to the DataFrame that users, exports and plots share."""

from __future__ import annotations

from itertools import chain, repeat
from operator import attrgetter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.columns import BUILDERS, dump, infer, storable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from modellix_jupyter.results.columns import Array
    from modellix_jupyter.values import Resource, Task


_NOTHING = SimpleNamespace(type=None, width=None, height=None, format=None, url=None, path=None)
"""Stands for the resource of a task that has none, so that every column reads alike."""


class _Column(NamedTuple):
    kind: str
    of: Literal["task", "resource"]
    read: Callable[[Any], Any]


def _task(kind: str, attribute: str) -> _Column:
    return _Column(kind, "task", attrgetter(attribute))


def _resource(kind: str, attribute: str) -> _Column:
    return _Column(kind, "resource", attrgetter(attribute))


_COLUMNS: dict[str, _Column] = {
    "task_id": _task("text", "task_id"),
    "status": _task("text", "status.value"),
    "model": _task("text", "request.model"),
    "provider": _task("text", "request.provider"),
    "model_id": _task("text", "model_id"),
    "prompt": _task("text", "request.prompt"),
    "params": _Column("text", "task", lambda task: dump(dict(task.request.params))),
    "submitted_at": _task("time", "submitted_at"),
    "completed_at": _task("time", "completed_at"),
    "elapsed_s": _task("float", "elapsed_s"),
    "duration_ms": _task("integer", "duration_ms"),
    "n_resources": _Column("integer", "task", lambda task: len(task.resources)),
    "type": _resource("text", "type"),
    "width": _resource("integer", "width"),
    "height": _resource("integer", "height"),
    "format": _resource("text", "format"),
    "url": _resource("text", "url"),
    "expires_at": _task("time", "expires_at"),
    "path": _resource("text", "path"),
    "attempts": _task("integer", "attempts"),
    "price": _task("float", "price"),
    "request_id": _task("text", "request_id"),
    "error_code": _task("integer", "error_code"),
    "error_message": _task("text", "error_message"),
}

CONTRACT: dict[str, str] = {name: column.kind for name, column in _COLUMNS.items()}
"""The columns that every frame has, in order, and the kind of each (a key of `BUILDERS`)."""


def task_frame(
    tasks: Iterable[Task],
    *,
    by: Literal["task", "resource"] = "task",
    extra: Mapping[str, Mapping[str, Any]] | None = None,
) -> pd.DataFrame:
    """Return tasks as a table in which every column has a type, also where it is empty.

    Parameters
    ----------
    tasks
        In the order of the rows.
    by
        ``task``: one row a task, which shows its primary resource, or else its first.
        ``resource``: one row a resource, and one for a task that has none; `n_resources` stays
        the task's count.
    extra
        More columns, such as ``{uid: {"rating": 4, "note": "soft"}}``, by the task's uid. They
        come last, and only those that a row of this table has.

    Returns
    -------
    DataFrame
        First the columns of `CONTRACT`, then one ``param.NAME`` for each parameter that any row
        has, sorted by name, then the extra ones. Times are ``datetime64[us, UTC]``, texts
        ``string``, counts ``Int64``, `elapsed_s` (seconds) and `price` (USD) ``Float64``.
        `params` is JSON text with sorted keys. A parameter's column is ``boolean``, ``Int64``,
        ``Float64`` or ``string`` by its values, and a text of JSON where they are mixed or
        nested.

    Raises
    ------
    InvalidRequest
        For another `by`, or an extra column whose name is taken.

    """
    rows = _rows(tasks, by)
    owners = [task for task, _ in rows]
    things = {"task": owners, "resource": [resource for _, resource in rows]}
    data: dict[str, Array] = {
        name: BUILDERS[kind](list(map(read, things[of])))
        for name, (kind, of, read) in _COLUMNS.items()
    }
    params = Spread()
    params.add([task.request.params for task in owners])
    return framed(data, params, [task.uid for task in owners], extra)


def framed(
    data: dict[str, Array],
    params: Spread,
    uids: Sequence[str],
    extra: Mapping[str, Mapping[str, Any]] | None,
) -> pd.DataFrame:
    """Return the frame of the contract's columns, with the parameters and the extra columns."""
    import pandas as pd

    data |= params.columns("param.", ordered=True)
    marks: dict[str, Array] = {}
    if extra:
        spread = Spread()
        spread.add([extra.get(uid, {}) for uid in uids])
        marks = spread.columns()
    if taken := sorted(marks.keys() & data.keys()):
        raise InvalidRequest(f"The column {taken[0]!r} is taken.", "Give it another name.")
    return pd.DataFrame(data | marks)


def _rows(tasks: Iterable[Task], by: str) -> list[tuple[Task, Any]]:
    if by == "task":
        return [(task, _first(task.resources)) for task in tasks]
    if by == "resource":
        return [(task, one) for task in tasks for one in task.resources or (_NOTHING,)]
    raise InvalidRequest(f"There is no table by {by!r}.", "Say by='task' or by='resource'.")


def _first(resources: tuple[Resource, ...]) -> Any:  # noqa: ANN401 - a resource, or its stand-in
    """Return the resource that stands for its task."""
    primary = (one for one in resources if one.role == "primary")
    return next(primary, resources[0]) if resources else _NOTHING


class Spread:
    """A column for each name that any row has a value or a null for."""

    def __init__(self) -> None:
        self._found: dict[str, list[Any]] = {}
        self._rows = 0

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take over rows, after those that were taken over before."""
        for name in dict.fromkeys(chain.from_iterable(rows)):
            column = self._found.setdefault(name, [])
            column += repeat(None, self._rows - len(column))
            column += [row.get(name) for row in rows]
        self._rows += len(rows)

    def columns(self, prefix: str = "", *, ordered: bool = False) -> dict[str, Array]:
        """Return the columns, by name or in the order in which the names were found."""
        for column in self._found.values():
            column.extend(repeat(None, self._rows - len(column)))
        names = sorted(self._found) if ordered else list(self._found)
        # Two names that differ only in what UTF-8 cannot hold would meet here; the last one stays.
        return {storable(prefix + name): infer(self._found[name]) for name in names}
