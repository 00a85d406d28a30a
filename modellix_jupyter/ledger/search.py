"""Pages of the ledger: which tasks, in which order, and how many there are in all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

Sort = Literal[
    "created", "model", "status", "prompt", "seconds", "price", "rating", "attempts", "completed"
]

SORTS: dict[Sort, str] = {
    "created": "t.created_at",
    "model": "t.model",
    "status": "t.status",
    "prompt": "t.prompt",
    "seconds": "t.completed_at - t.submitted_at",
    "price": "t.price",
    "rating": "r.rating",
    "attempts": "t.attempts",
    "completed": "t.completed_at",
}
"""What each order is by, as SQL of our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which tasks are wanted; what is None or empty does not narrow it.

    Parameters
    ----------
    model
        The slug.
    states
        Any of these values of `Status`.
    text
        Somewhere in the prompt, the model, the task's id or the note; upper case is as lower.
    uids
        Any of these.
    since
        Created at that time or later, in microseconds since the epoch.
    sort
        One of `SORTS`; equal ones stand in the order in which they were made.
    descending
        The other way around.

    """

    model: str | None = None
    states: tuple[str, ...] = ()
    text: str = ""
    uids: tuple[str, ...] = ()
    since: int | None = None
    sort: Sort = "created"
    descending: bool = True

    def where(self) -> tuple[str, list[object]]:
        """Return the condition as SQL of our own, and its values."""
        parts: list[str] = []
        values: list[object] = []
        if self.model:
            parts.append("t.model = ?")
            values.append(self.model)
        if self.states:
            parts.append(f"t.status IN ({', '.join('?' * len(self.states))})")
            values.extend(self.states)
        if self.uids:
            # as one value: SQLite takes only so many
            parts.append("t.uid IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(self.uids))
        if self.text.strip():
            fields = ("t.prompt", "t.model", "t.task_id", "r.note")
            parts.append("(" + " OR ".join(f"{f} LIKE ? ESCAPE '\\'" for f in fields) + ")")
            values.extend([_pattern(self.text.strip())] * len(fields))
        if self.since is not None:
            parts.append("t.created_at >= ?")
            values.append(self.since)
        return " AND ".join(parts) or "1", values

    def order(self) -> str:
        """Return the order as SQL of our own; what has no value stands last, either way."""
        column, way = SORTS[self.sort], "DESC" if self.descending else "ASC"
        return f"{column} IS NULL, {column} {way}, t.created_at {way}, t.rowid {way}"


def _pattern(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"
