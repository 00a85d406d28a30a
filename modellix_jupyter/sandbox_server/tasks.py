"""The journal of requests, the tasks, and the account that pays for them."""

import itertools
import math
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from modellix_jupyter.sandbox_server.models import Model

Origin = Literal["api", "cdn"]
Status = Literal["pending", "processing", "success", "failed"]

#: Results and uploads are kept for a week, and each answer says until when.
KEPT_SECONDS = 7 * 24 * 3600.0
#: What a new account holds, in US dollars.
OPENING_BALANCE = 100.0


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One request."""

    origin: Origin
    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body_size: int
    at: float

    @property
    def authorized(self) -> bool:
        """Whether the request carried an Authorization header, which some must never do."""
        return "authorization" in self.headers


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission that was accepted, and so was paid for."""

    task_id: str
    model: str
    body: Mapping[str, object]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An accepted task. Nothing in it ever changes: its state is a function of the time."""

    id: str
    request_id: str
    token: str
    model: Model
    body: Mapping[str, object]
    submitted_at: float
    queued_s: float
    total_s: float
    price: float
    owner: str = field(default="", repr=False)
    inputs: tuple["Input", ...] = field(default=(), repr=False)

    @property
    def ended_at(self) -> float:
        """When it is or will be done, in seconds since 1970."""
        return self.submitted_at + self.total_s

    def status(self, now: float) -> Status:
        """Return the state of the task at a time."""
        if now < self.submitted_at + self.queued_s:
            return "pending"
        if now < self.ended_at:
            return "processing"
        return "failed" if self.model.quirk.refusal else "success"

    def gone(self, now: float) -> bool:
        """Whether its results are past the time for which they are kept."""
        return now >= self.ended_at + KEPT_SECONDS

    def answer(self, now: float, resources: list[dict[str, object]]) -> dict[str, object]:
        """Return the task as the API describes it."""
        status = self.status(now)
        data: dict[str, object] = {
            "status": status,
            "task_id": self.id,
            "model_id": self.model.name,
        }
        if status in {"success", "failed"}:
            data["duration"] = max(1, round(self.total_s * 1000))
        if status == "success":
            data["result"] = self._result(resources)
            data["result_expires_at"] = round((self.ended_at + KEPT_SECONDS) * 1000)
            data["billing"] = {"status": "succeeded", "amount": f"{self.price:.4f}"}
        if status == "failed":
            data["error"] = {"code": "content_policy", "message": self.model.quirk.refusal}
        return data

    def _result(self, resources: list[dict[str, object]]) -> dict[str, object]:
        """Return the results with what is known of them."""
        images = sum(resource["type"] == "image" for resource in resources)
        return {
            "resources": resources,
            "metadata": {"image_count": images, "request_id": self.request_id},
            "extensions": {"submit_time": iso(self.submitted_at), "end_time": iso(self.ended_at)},
        }


#: An input picture: its bytes, or an earlier task and the name of its file.
Input: TypeAlias = bytes | tuple[Task, str]


def iso(at: float) -> str:
    """Return a time as the API writes it: UTC, whole seconds, a final Z."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class TaskStore:
    """The tasks of one sandbox, and the account that pays for them."""

    def __init__(
        self, *, seed: int = 0, speed: float = 1.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.submissions: dict[str, Submission] = {}
        self.clock = clock
        self._seed = seed
        self._speed = speed
        self._tasks: dict[str, Task] = {}
        self._by_token: dict[str, Task] = {}
        self._numbers = itertools.count()
        self._spent = 0.0

    @property
    def balance(self) -> float:
        """What is left on the account, in US dollars, to a hundredth of a cent."""
        return round(OPENING_BALANCE - self._spent, 4)

    def accept(
        self,
        model: Model,
        body: Mapping[str, object],
        *,
        owner: str = "",
        inputs: tuple[Input, ...] = (),
    ) -> Task:
        """Accept a submission and charge its price; `owner` is the key that it was sent with."""
        rng = random.Random(f"pace {self._seed} {next(self._numbers)}")  # noqa: S311 - no secret
        queued, total = model.pace.draw(rng)
        task = Task(
            id=f"task-{secrets.token_hex(8)}",
            request_id=f"req-{secrets.token_hex(6)}",
            token=secrets.token_hex(12),
            model=model,
            body=body,
            submitted_at=self.clock(),
            queued_s=queued / self._speed,
            total_s=total / self._speed,
            price=self.price(model, body),
            owner=owner,
            inputs=inputs,
        )
        self._forget_old(task.submitted_at)
        self._tasks[task.id] = self._by_token[task.token] = task
        self.submissions[task.id] = Submission(task.id, model.slug, body, task.submitted_at)
        self._spent += task.price
        return task

    def price(self, model: Model, body: Mapping[str, object]) -> float:
        """Return what a submission costs, in US dollars."""
        return round(model.price.of(model.values(body)), 4)

    def find(self, task_id: str) -> Task | None:
        """Return a task that is still known, or None."""
        return self._known(self._tasks.get(task_id))

    def find_by_token(self, token: str) -> Task | None:
        """Return the task whose files' names begin with a token, if it has succeeded, or None."""
        task = self._known(self._by_token.get(token))
        return task if task and task.status(self.clock()) == "success" else None

    def running(self) -> int:
        """Return how many tasks have not ended."""
        now = self.clock()
        return sum(task.ended_at > now for task in self._tasks.values())

    def expire(self, task_id: str) -> None:
        """Forget a task, as if its time had passed; KeyError where there is none."""
        del self._by_token[self._tasks.pop(task_id).token]

    def _forget_old(self, now: float) -> None:
        """Drop the oldest tasks once they are gone, so that memory stays bounded."""
        while self._tasks:
            oldest = next(iter(self._tasks.values()))
            if not oldest.gone(now):
                return
            for kept in (self._tasks, self.submissions):
                kept.pop(oldest.id, None)
            self._by_token.pop(oldest.token)

    def _known(self, task: Task | None) -> Task | None:
        """Return the task unless its time has passed."""
        return None if task is None or task.gone(self.clock()) else task


MANY = 60_000  # requests a minute


class Limits:
    """The limits of an account: tasks at once, and requests in each minute that begins with one.

    A minute is one of real time, whatever the sandbox's `speed`. None is no limit of tasks, and as
    many requests as anybody needs: the headers come all the same, as from the service.
    """

    def __init__(self, concurrent: int | None = None, rpm: int | None = None) -> None:
        if any(limit is not None and limit < 1 for limit in (concurrent, rpm)):
            raise ValueError(f"limits must be at least 1, not {concurrent} and {rpm}")
        self.concurrent = concurrent
        self._rpm = rpm or MANY
        self._used = 0
        self._reset = 0.0

    def take(self, now: float) -> bool:
        """Count a request, and return whether it is within the limit."""
        if now >= self._reset:
            self._used, self._reset = 0, now + 60
        self._used += 1
        return self._used <= self._rpm

    def headers(self) -> dict[str, str]:
        """Return the three headers of every answer; the reset is in seconds since 1970."""
        return {
            "X-RateLimit-Limit": str(self._rpm),
            "X-RateLimit-Remaining": str(max(0, self._rpm - self._used)),
            "X-RateLimit-Reset": str(math.ceil(self._reset)),
        }
