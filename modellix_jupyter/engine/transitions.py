"""The state transitions of a task, as pure functions."""

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
    """Return a new, unsent task for a request."""
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
    """Return an unsent task with another task's result: it is not sent and costs nothing."""
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
    """Return the task as about to be sent."""
    return replace(task, submitted_at=now, attempts=attempts)


def held_back(task: Task) -> Task:
    """Return the task as unsent again after a refusal that allows a retry."""
    return replace(task, submitted_at=None)


def accepted(task: Task, answer: Accepted, attempts: int, now: int) -> Task:
    """Return the task with the id that the service gave it.

    `submitted_at` is the time of the answer, so that a slow answer does not count as the model's
    duration.
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
    """Return an unsent task as stopped by its user."""
    return replace(
        task,
        status=Status.REJECTED,
        completed_at=now,
        price=None,
        error_message="stopped before it was sent",
    )


def rejected(task: Task, error: ModellixError, now: int, attempts: int) -> Task:
    """Return the task as refused; nothing was charged."""
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
    """Return the task as sent without a readable answer."""
    return replace(task, status=Status.UNKNOWN, attempts=attempts, error_message=reason)


def resolved(task: Task, task_id: str | None, now: int) -> Task:
    """Return an unknown task as its user resolved it: accepted with an id, or never accepted."""
    if task_id is None:
        reason = "never accepted, as its user says"
        return replace(
            task, status=Status.REJECTED, completed_at=now, price=None, error_message=reason
        )
    return replace(task, status=Status.PENDING, task_id=task_id, error_message=None)


def answered(task: Task, answer: TaskAnswer, not_before: int, now: int) -> Task:
    """Return the task with a poll's answer; at `not_before` it had not ended yet."""
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
    """Return a message about a success's missing or excess files, or None."""
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
    """Return a given-up task as one whose result may still exist."""
    resources = tuple(replace(r, lost=False, problem=None) if r.lost else r for r in task.resources)
    if task.status is not Status.EXPIRED:
        return replace(task, resources=resources)
    return replace(
        task, status=Status.PENDING, completed_at=None, resources=resources, error_message=None
    )


def expired(task: Task, now: int, reason: str) -> Task:
    """Return the task as expired: the service no longer knows it."""
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
    """Return the task with one of its resources replaced."""
    changed = (*task.resources[:index], resource, *task.resources[index + 1 :])
    return replace(task, resources=changed)


def _completed(task: Task, answer: TaskAnswer, not_before: int, now: int) -> int:
    """Return when a task ended: by the duration that the service states, between two polls.

    It had not ended at `not_before` and was seen to have ended now. If `now` were recorded instead,
    the model's durations, and with them its first polls, would become later and later.
    """
    measured = answer.completed_at
    if answer.duration_ms is not None and task.submitted_at is not None:
        measured = task.submitted_at + answer.duration_ms * 1000
    return now if measured is None else max(not_before, min(measured, now))


def merged(old: tuple[Resource, ...], new: tuple[Resource, ...]) -> tuple[Resource, ...]:
    """Return new resources, but keep those that were downloaded, perhaps by another kernel."""
    return tuple(
        replace(now, problem=before.problem if before else None)
        if now and not (before and before.path)
        else before
        for before, now in zip_longest(old, new)
    )
