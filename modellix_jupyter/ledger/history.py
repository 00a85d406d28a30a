"""The view `history`, and searches of tasks by page.

The view is the only definition of the frame's columns, for this package and for any SQL tool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from sqlalchemy import func, literal, or_, select
from sqlalchemy.dialects import registry

from modellix_jupyter.ledger.dialects import before, listed, moment, seconds
from modellix_jupyter.ledger.tables import files, tasks

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

By = Literal["task", "resource"]
Sort = Literal[
    "created", "model", "status", "prompt", "seconds", "price", "rating", "attempts", "completed"
]
SORTS: tuple[Sort, ...] = get_args(Sort)

# The columns in order, and the type of each; a view on PostgreSQL also has `user`, as the last.
KINDS: dict[str, str] = {
    "task_id": "text",
    "status": "text",
    "model": "text",
    "provider": "text",
    "model_id": "text",
    "prompt": "text",
    "params": "text",
    "submitted_at": "time",
    "completed_at": "time",
    "elapsed_s": "float",
    "duration_ms": "integer",
    "n_resources": "integer",
    "type": "text",
    "width": "integer",
    "height": "integer",
    "format": "text",
    "url": "text",
    "expires_at": "time",
    "path": "text",
    "attempts": "integer",
    "price": "float",
    "request_id": "text",
    "error_code": "integer",
    "error_message": "text",
    "service": "text",
    "charged": "float",
    "reused": "boolean",
    "parents": "text",
    "rating": "integer",
    "note": "text",
}
# A missing time, among microseconds; NumPy's NaT has the same value.
NO_TIME = -(2**63)
_TIMES = [name for name, kind in KINDS.items() if kind == "time"]
_LITERALS = {"literal_binds": True}
# Rows fetched at once: few enough not to trigger Python's garbage collector.
_AT_ONCE = 1000


def _columns(dialect: str) -> dict[str, ColumnElement[Any]]:
    """Return the expression of each column; times in microseconds, paths relative."""
    counted = files.alias()
    count = select(func.count()).select_from(counted).where(counted.c.uid == tasks.c.uid)
    made: dict[str, ColumnElement[Any]] = {
        "provider": before(tasks.c.model, "/", dialect),
        "elapsed_s": seconds(tasks.c.completed_at - tasks.c.submitted_at),
        "n_resources": count.scalar_subquery(),
        "reused": tasks.c.reused_from.is_not(None),
    }
    known = {**files.c, **tasks.c, **made}
    # a ledger on a server is shared
    names = (*KINDS, "user") if dialect == "postgresql" else KINDS
    return {name: known[name] for name in names}


def _select(columns: dict[str, ColumnElement[Any]], by: By = "task") -> Select[Any]:
    which = files.c.uid == tasks.c.uid
    if by == "task":
        which &= files.c.shown
    named = [column.label(name) for name, column in columns.items()]
    return select(*named).select_from(tasks.outerjoin(files, which)).where(~tasks.c.deleted)


def create_view(connection: Connection) -> None:
    """Create the view, or replace it, so that it always has the columns of this version."""
    connection.exec_driver_sql("DROP VIEW IF EXISTS history")
    connection.exec_driver_sql(f"CREATE VIEW history AS {_view(connection.dialect.name)}")


@cache
def _view(dialect: str) -> str:
    columns = _columns(dialect)
    times = {name: moment(columns[name], dialect) for name in _TIMES}
    written = registry.load(dialect)()
    return str(_select(columns | times).compile(dialect=written, compile_kwargs=_LITERALS))


def rows(
    dialect: str,
    prefix: str,
    uids: Sequence[str] | None = None,
    by: By = "task",
    service: str | None = None,
) -> Select[Any]:
    """Return the query for the view's rows, of every service or of one, oldest first.

    With `uids`, it returns these tasks in this order. Times are in microseconds (`NO_TIME` if
    missing), and paths begin with the prefix.
    """
    columns = _columns(dialect)
    read = {name: func.coalesce(columns[name], literal(NO_TIME)) for name in _TIMES}
    query = _select(columns | read | {"path": literal(prefix) + columns["path"]}, by)
    if service is not None:
        query = query.where(tasks.c.service == service)
    if uids is None:
        return query.order_by(tasks.c.created_at, tasks.c.id, files.c.position)
    wanted = listed(uids, dialect)
    query = query.join(wanted, wanted.c.value == tasks.c.uid)
    return query.order_by(wanted.c.key, files.c.position)


def by_column(connection: Connection, query: Select[Any]) -> dict[str, list[Any]]:
    """Run a query for the view's rows; return each column as a list."""
    cursor = connection.execute(query).cursor
    names = query.selected_columns.keys()
    found: list[list[Any]] = [[] for _ in names]
    while some := cursor.fetchmany(_AT_ONCE):
        for column, values in zip(found, zip(*some, strict=True), strict=True):
            column.extend(values)
    return dict(zip(names, found, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search for tasks; a condition that is None or empty does not filter.

    `text` is searched in the prompt, the model, the task's id and the note, without regard to
    case; `since` is in microseconds since the epoch.
    """

    service: str | None = None
    model: str | None = None
    states: tuple[str, ...] = ()
    text: str = ""
    uids: tuple[str, ...] = ()
    since: int | None = None
    sort: Sort = "created"
    descending: bool = True

    def conditions(self, dialect: str) -> list[ColumnElement[bool]]:
        """Return the conditions of the query."""
        columns, text = tasks.c, self.text.strip()
        found: list[ColumnElement[bool]] = [~columns.deleted]
        if self.service is not None:
            found.append(columns.service == self.service)
        if self.model:
            found.append(columns.model == self.model)
        if self.states:
            found.append(columns.status.in_(self.states))
        if self.uids:
            found.append(columns.uid.in_(select(listed(self.uids, dialect).c.value)))
        if text:
            within = (columns.prompt, columns.model, columns.task_id, columns.note)
            found.append(or_(*(each.icontains(text, autoescape=True) for each in within)))
        if self.since is not None:
            found.append(columns.created_at >= self.since)
        return found

    def order(self) -> list[ColumnElement[object]]:
        """Return the sort keys; tasks without a value come last in both directions."""
        columns = tasks.c
        by: ColumnElement[object]
        match self.sort:
            case "created" | "completed":
                by = columns[f"{self.sort}_at"]
            case "seconds":
                by = columns.completed_at - columns.submitted_at
            case name:
                by = columns[name]
        keys = (by, columns.created_at, columns.id)
        return [(key.desc() if self.descending else key.asc()).nulls_last() for key in keys]
