"""A task as a row, and back: the one place that knows how the columns are written."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from modellix_jupyter.values import Request, Resource, Status, Task

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

PLAIN = (
    "uid",
    "batch",
    "origin",
    "task_id",
    "model_id",
    "created_at",
    "submitted_at",
    "completed_at",
    "expires_at",
    "duration_ms",
    "attempts",
    "price",
    "request_id",
    "error_code",
    "error_message",
)
"""Columns that are a task's fields of the same name."""
WRITTEN = (*PLAIN, "model", "prompt", "params", "status", "resources", "settled")
"""Every column but the owner, which is never written with the rest."""


def to_row(task: Task, files: Path) -> dict[str, object]:
    """Return the columns of a task.

    Parameters
    ----------
    task
        Its paths must lie within `files`.
    files
        The folder of the downloads: paths are stored relative to it, so that a home can move.

    """
    row: dict[str, object] = {name: getattr(task, name) for name in PLAIN}
    row["error_message"] = _storable(task.error_message)
    row["model"] = task.request.model
    row["prompt"] = _storable(task.request.prompt)
    row["params"] = _storable(json.dumps(dict(task.request.params), ensure_ascii=False))
    row["status"] = task.status.value
    row["resources"] = json.dumps([_resource_row(r, files) for r in task.resources])
    row["settled"] = int(task.is_final)
    return row


def from_row(row: sqlite3.Row, files: Path) -> Task:
    """Return the task of a row."""
    return Task(
        **{name: row[name] for name in PLAIN},
        request=Request(row["model"], row["prompt"], json.loads(row["params"])),
        status=Status(row["status"]),
        resources=tuple(_resource(entry, files) for entry in json.loads(row["resources"])),
    )


def _storable(text: str | None) -> str | None:
    """Replace what UTF-8 cannot hold, as the request itself does: half of a surrogate pair."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def _resource_row(resource: Resource, files: Path) -> dict[str, object]:
    entry = {name: value for name, value in asdict(resource).items() if value not in (None, False)}
    if resource.path is not None:
        entry["path"] = _relative(resource.path, files)
    return entry


def _relative(path: str, files: Path) -> str:
    prefix = f"{files.as_posix()}/"
    return path.replace("\\", "/").removeprefix(prefix)


def _resource(entry: dict[str, object], files: Path) -> Resource:
    if "path" in entry:
        entry["path"] = str(files / str(entry["path"]))
    return Resource(**entry)  # type: ignore[arg-type]  # written by _resource_row
