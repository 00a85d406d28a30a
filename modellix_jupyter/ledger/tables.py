"""The tables, defined once for both databases, and the conversion of tasks to rows and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    literal_column,
)

from modellix_jupyter.values import Request, Resource, Status, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import RowMapping
    from sqlalchemy.types import TypeEngine

# SQLite's strict tables allow few names of types
WHOLE = BigInteger().with_variant(Integer(), "sqlite")
NUMBER: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")
FLAG = Boolean().with_variant(Integer(), "sqlite")

metadata = MetaData()

# One row per task; times are microseconds since the epoch, `params` is JSON with sorted keys.
tasks = Table(
    "tasks",
    metadata,
    Column("id", WHOLE, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("batch", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("owner", Text),
    Column("user", Text),
    Column("model", Text, nullable=False),
    Column("prompt", Text),
    Column("prompt_parameter", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("task_id", Text),
    Column("model_id", Text),
    Column("created_at", WHOLE, nullable=False),
    Column("submitted_at", WHOLE),
    Column("completed_at", WHOLE),
    Column("expires_at", WHOLE),
    Column("duration_ms", WHOLE),
    Column("is_final", FLAG, nullable=False),
    Column("measured", FLAG, nullable=False),
    Column("attempts", WHOLE, nullable=False),
    Column("price", NUMBER),
    Column("charged", NUMBER),
    Column("request_key", Text),
    Column("reused_from", Text),
    Column("parents", Text),
    Column("request_id", Text),
    Column("error_code", WHOLE),
    Column("error_message", Text),
    Column("rating", WHOLE),
    Column("note", Text),
    # A deleted task keeps only what it cost, which still counts against a budget.
    Column("deleted", FLAG, nullable=False, default=False),
    CheckConstraint("rating BETWEEN 1 AND 5", name="rating_is_1_to_5"),
    sqlite_strict=True,
)

# The spending limits of a service, in USD: one row per period, `day`, `month` or `all`.
budgets = Table(
    "budgets",
    metadata,
    Column("service", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("usd", NUMBER, nullable=False),
    sqlite_strict=True,
)

# Files that were uploaded as inputs: `sha256` is of the bytes that were sent, `preview` a
# thumbnail as a ``data:`` URL.
uploads = Table(
    "uploads",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("url", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("file_id", Text, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("expires_at", WHOLE, nullable=False),
    Column("preview", Text),
    sqlite_strict=True,
)

# How many tasks a service lets a user run at once, as learned from its refusals.
limits = Table(
    "limits",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("places", WHOLE, nullable=False),
    sqlite_strict=True,
)

# One row per resource; `shown` marks the one that represents its task; `path` is relative.
files = Table(
    "files",
    metadata,
    Column("uid", Text, ForeignKey("tasks.uid"), primary_key=True),
    Column("position", WHOLE, primary_key=True, autoincrement=False),
    Column("shown", FLAG, nullable=False),
    Column("url", Text, nullable=False),
    Column("type", Text),
    Column("width", WHOLE),
    Column("height", WHOLE),
    Column("format", Text),
    Column("role", Text),
    Column("path", Text),
    Column("size", WHOLE),
    Column("problem", Text),
    Column("lost", FLAG, nullable=False),
    sqlite_strict=True,
)

Index("tasks_created", tasks.c.created_at)
Index("tasks_model", tasks.c.model, tasks.c.completed_at)
Index("tasks_task_id", tasks.c.task_id)
Index("tasks_batch", tasks.c.batch)
Index("tasks_request_key", tasks.c.request_key)
Index("tasks_service", tasks.c.service, tasks.c.created_at)
# Both are counted whenever the extension is loaded, so these partial indexes keep that fast. SQLite
# uses them only if a query's condition is a literal, as theirs is, not a parameter.
Index(
    "tasks_open", tasks.c.origin, sqlite_where=~tasks.c.is_final, postgresql_where=~tasks.c.is_final
)
UNKNOWN = tasks.c.status == literal_column(f"'{Status.UNKNOWN.value}'")
Index("tasks_unknown", tasks.c.origin, sqlite_where=UNKNOWN, postgresql_where=UNKNOWN)

# Alembic's own table, as Alembic creates it.
versions = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

# Columns of `tasks` with the names of a task's fields: first the constant ones, then the others.
_STAYS = ("uid", "batch", "origin", "created_at", "request_key", "reused_from", "parents")
_CHANGES = (
    *("task_id", "model_id", "submitted_at", "completed_at", "expires_at", "duration_ms"),
    *("attempts", "price", "charged", "request_id", "error_code", "error_message"),
)
_SAME = _STAYS + _CHANGES
# Columns of `files` with the names of a resource's fields.
_OF_FILE = tuple(c.name for c in files.c if c.name not in {"uid", "position", "shown"})
_INT64 = range(-(2**63), 2**63)


def task_row(task: Task) -> dict[str, Any]:
    """Return a task's row, without owner, rating and note."""
    request = task.request
    row = {name: getattr(task, name) for name in _STAYS} | {
        "service": task.service,
        "model": request.model,
        "prompt": request.prompt,
        "prompt_parameter": request.prompt_parameter,
        "params": json.dumps(dict(request.params), ensure_ascii=False, sort_keys=True),
    }
    return {name: storable(value) for name, value in row.items()} | changing_row(task)


def changing_row(task: Task) -> dict[str, Any]:
    """Return the columns of a task that can change after it was recorded."""
    return {name: storable(getattr(task, name)) for name in _CHANGES} | {
        "status": task.status.value,
        "is_final": task.is_final,
        "measured": task.measured,
    }


def file_rows(of: Iterable[Task], prefix: str) -> list[dict[str, Any]]:
    """Return a row for each resource; paths are relative, so a home or a bucket can be moved."""
    return [row for task in of for row in _file_rows(task, prefix)]


def _file_rows(task: Task, prefix: str) -> Iterator[dict[str, Any]]:
    roles = [resource.role for resource in task.resources]
    shown = roles.index("primary") if "primary" in roles else 0
    for position, resource in enumerate(task.resources):
        row = {name: storable(getattr(resource, name)) for name in _OF_FILE}
        row |= {"uid": task.uid, "position": position, "shown": position == shown}
        yield row | {"path": relative(row["path"], prefix)}


def task_of(
    row: RowMapping, found: Iterable[RowMapping], prefix: str, *, shared: bool = False
) -> Task:
    """Return the task of a row of `tasks` and its rows of `files`, in order.

    On a shared ledger it includes the user.
    """
    return Task(
        **{name: row[name] for name in _SAME},
        request=Request(
            row["model"], row["prompt"], _params(row["params"]), row["prompt_parameter"]
        ),
        status=Status(row["status"]),
        measured=bool(row["measured"]),
        resources=tuple(_resource(each, prefix) for each in found),
        user=row["user"] if shared else None,
    )


def _params(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise json.JSONDecodeError("it is not an object", text, 0)
    return found


def _resource(row: RowMapping, prefix: str) -> Resource:
    known = {name: row[name] for name in _OF_FILE}
    return Resource(**known | {"path": _full(row["path"], prefix), "lost": bool(row["lost"])})


def storable(value: Any) -> Any:  # noqa: ANN401 - a column's value
    """Replace lone surrogates and NUL in texts; return None for integers above 64 bits."""
    if isinstance(value, str):  # PostgreSQL refuses NUL
        return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return None if isinstance(value, int) and value not in _INT64 else value


def relative(path: str | None, prefix: str) -> str | None:
    """Return a path relative to the place of files, as it is in rows."""
    return path and path.replace("\\", "/").removeprefix(prefix.replace("\\", "/"))


def _full(path: str | None, prefix: str) -> str | None:
    """Return the full path of a file, with this system's separators if the place is a folder."""
    if path is None or "://" in path:
        return path
    return f"{prefix}{path}" if "://" in prefix else str(Path(prefix) / path)
