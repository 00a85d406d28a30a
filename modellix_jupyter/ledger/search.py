"""Pages of the ledger: which tasks, in which order, and how many there are in all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

Sort = Literal[
    "created", "model", "status", "prompt", "seconds", "price", "rating", "attempts", "completed"
]
SORTS: tuple[Sort, ...] = get_args(Sort)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which tasks are wanted; what is None or empty does not narrow it.

    `text` stands somewhere in the prompt, the model, the task's id or the note, in upper or lower
    case; `since` is in microseconds since the epoch.
    """

    model: str | None = None
    states: tuple[str, ...] = ()
    text: str = ""
    uids: tuple[str, ...] = ()
    since: int | None = None
    sort: Sort = "created"
    descending: bool = True

    def conditions(self, dialect: str) -> list[ColumnElement[bool]]:
        """Return what each task has to fulfil."""
        from sqlalchemy import or_, select

        from modellix_jupyter.ledger.dialects import listed
        from modellix_jupyter.ledger.tables import tasks

        columns, text = tasks.c, self.text.strip()
        found: list[ColumnElement[bool]] = [~columns.deleted]
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
        """Return what they are sorted by; what has no value stands last, either way."""
        from modellix_jupyter.ledger.tables import tasks

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
        if self.descending:
            return [key.desc().nulls_last() for key in keys]
        return [key.asc().nulls_last() for key in keys]
