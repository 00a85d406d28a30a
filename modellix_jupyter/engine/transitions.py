"""What each thing that can happen makes of a task: values in, a value out."""

from __future__ import annotations

import uuid
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from modellix_jupyter.errors import ApiError
from modellix_jupyter.values import RESULT_LIFETIME_US, Resource, Status, Task

if TYPE_CHECKING:
    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.values import Accepted, Request, TaskAnswer


def intent(request: Request, origin: str, now: int, **known: Any) -> Task:  # noqa: ANN401 - fields of a task, by name
    """Return a request as a task that was not sent yet."""
    return Task(
        uid=uuid.uuid4().hex,
        origin=origin,
        request=request,
        status=Status.SUBMITTING,
        created_at=now,
        parents=",".join(request.parents) or None,
        **known,
    )


def reused(of: Task, intended: Task) -> Task:
    """Return an intent as one that has another task's result: it is not sent, and costs nothing."""
    return replace(
        of,
        uid=intended.uid,
        batch=intended.batch,
        created_at=intended.created_at,
        price=0.0,
        charged=None,
        attempts=0,
        reused_from=of.uid,
    )


def sending(task: Task, now: int, attempts: int) -> Task:
    """Return the task as it is just before its request leaves."""
    return replace(task, submitted_at=now, attempts=attempts)


def held_back(task: Task) -> Task:
    """Return the task as refused for now: its request is not in flight any more."""
    return replace(task, submitted_at=None)


def accepted(task: Task, answer: Accepted, attempts: int, now: int) -> Task:
    """Return the task with the id that the service gave it.

    It was submitted now: the service may have taken its time to say so, and what a model takes is
    not learned from that.
    """
    return replace(
        task,
        status=Status.PENDING,
        submitted_at=now,
        task_id=answer.task_id,
        model_id=answer.model_id,
        attempts=attempts,
        error_code=None,
        error_message=None,
    )


def taken_back(task: Task, now: int) -> Task:
    """Return an intent as one that its user stopped before it was sent."""
    return replace(
        task,
        status=Status.REJECTED,
        completed_at=now,
        price=None,
        error_message="stopped before it was sent",
    )


def rejected(task: Task, error: ModellixError, now: int, attempts: int) -> Task:
    """Return the task as refused: nothing was charged."""
    return replace(
        task,
        status=Status.REJECTED,
        completed_at=now,
        attempts=attempts,
        price=None,
        error_code=error.code if isinstance(error, ApiError) else None,
        error_message=error.answer if isinstance(error, ApiError) else error.message,
    )


def unknown(task: Task, reason: str, attempts: int) -> Task:
    """Return the task as sent with no readable answer."""
    return replace(task, status=Status.UNKNOWN, attempts=attempts, error_message=reason)


def resolved(task: Task, task_id: str | None, now: int) -> Task:
    """Return an unknown task as its user found it: accepted under an id, or never accepted."""
    if task_id is None:
        reason = "never accepted, by the user's own look"
        return replace(
            task, status=Status.REJECTED, completed_at=now, price=None, error_message=reason
        )
    return replace(task, status=Status.PENDING, task_id=task_id, error_message=None)


def answered(task: Task, answer: TaskAnswer, not_before: int, now: int) -> Task:
    """Return the task with what the service says of it; `not_before` is when it had not ended."""
    ended, failed = answer.status.ended, answer.status is Status.FAILED
    completed = _completed(task, answer, not_before, now) if ended else None
    return replace(
        task,
        status=answer.status,
        model_id=answer.model_id or task.model_id,
        completed_at=completed,
        expires_at=_expires_at(answer, completed),
        duration_ms=answer.duration_ms,
        charged=task.charged if answer.charged is None else answer.charged,
        resources=merged(task.resources, answer.resources),
        request_id=answer.request_id or task.request_id,
        error_message=(answer.reason or "no reason given") if failed else _shortfall(answer),
    )


def _expires_at(answer: TaskAnswer, completed: int | None) -> int | None:
    if completed is None or not answer.resources:
        return None
    return answer.expires_at or completed + RESULT_LIFETIME_US


def _shortfall(answer: TaskAnswer) -> str | None:
    """Return which files of a success are not taken, or None where all are."""
    taken = len(answer.resources)
    if answer.status is not Status.SUCCESS:
        return None
    if taken == 0:
        return "the service named no file"
    if answer.beyond:
        return f"only the first {taken} of {taken + answer.beyond} files are taken"
    named = taken + answer.lacking
    return f"the service named {taken} of {named} files" if named > taken else None


def revived(task: Task) -> Task:
    """Return a task that was given up as one whose result may still be there."""
    resources = tuple(replace(r, lost=False, problem=None) if r.lost else r for r in task.resources)
    if task.status is not Status.EXPIRED:
        return replace(task, resources=resources)
    return replace(
        task, status=Status.PENDING, completed_at=None, resources=resources, error_message=None
    )


def expired(task: Task, now: int, reason: str) -> Task:
    """Return the task as one that the service no longer knows, with what is known of it."""
    resources = tuple(
        r if r.path else replace(r, lost=True, problem=reason) for r in task.resources
    )
    return replace(
        task,
        status=Status.EXPIRED,
        completed_at=task.completed_at or now,
        resources=resources,
        error_message=reason,
    )


def fetched(task: Task, index: int, resource: Resource) -> Task:
    """Return the task with one of its resources exchanged."""
    changed = (*task.resources[:index], resource, *task.resources[index + 1 :])
    return replace(task, resources=changed)


def _completed(task: Task, answer: TaskAnswer, not_before: int, now: int) -> int:
    """Estimate when a task ended: as the service measured it, within what we saw ourselves.

    It was seen to be over only now, and was not at `not_before`. Learning from `now` would make
    each first question a little later than the last.
    """
    measured = answer.completed_at
    if answer.duration_ms is not None and task.submitted_at is not None:
        measured = task.submitted_at + answer.duration_ms * 1000
    return now if measured is None else max(not_before, min(measured, now))


def merged(old: tuple[Resource, ...], new: tuple[Resource, ...]) -> tuple[Resource, ...]:
    """Take new addresses over, but for what is downloaded: another kernel may have asked before."""
    return tuple(
        replace(now, problem=before.problem if before else None)
        if now and not (before and before.path)
        else before
        for before, now in zip_longest(old, new)
    )
