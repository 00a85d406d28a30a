"""A service without HTTP, a clock without waiting, and engines that a test cannot leave behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modellix_jupyter.api.request_budget import RequestBudget
from modellix_jupyter.engine.engine import Engine
from modellix_jupyter.ledger.kernel_locks import KernelLock, ServerLock
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import (
    Accepted,
    Activity,
    Request,
    Resource,
    Status,
    Task,
    TaskAnswer,
    Update,
)

if TYPE_CHECKING:
    from modellix_jupyter.api.client import BeforeSend, OnProgress

ORIGIN = "https://service.test"
HANG_S = 20.0
"""After that long a test has hung; none waits anywhere near it."""


def picture(url: str = "https://files.test/1.png") -> Resource:
    return Resource(url=url, type="image")


def success(*resources: Resource, duration_ms: int | None = None) -> TaskAnswer:
    return TaskAnswer(status=Status.SUCCESS, resources=resources, duration_ms=duration_ms)


PENDING = TaskAnswer(status=Status.PENDING)
PROCESSING = TaskAnswer(status=Status.PROCESSING)

Answers = list[TaskAnswer | Exception]


class FakeResponse:
    """The headers of a download; the fake store writes the bytes."""

    headers: Mapping[str, str] = {}

    def aiter_raw(self) -> None:
        return None


class FakeService:
    """A client and a store: accepts, succeeds and hands over files, unless told otherwise."""

    def __init__(self, files: Path) -> None:
        self.files = files
        self.submitted: list[Request] = []
        self.polled: list[str] = []
        self.fetched: list[tuple[str, int]] = []
        self.closed = 0
        self.full = 0
        """How many submissions are refused because too many tasks run."""
        self.budget = RequestBudget(
            1000.0, clock=time.time, timer=time.monotonic, sleep=asyncio.sleep
        )
        self.answers: Answers = []
        """What polls are answered, in order; a success of one file when there is no more."""
        self.downloads: list[Exception | None] = []
        """What befalls downloads, in order; nothing when there is no more."""
        self.on_submit: Callable[[Request, OnProgress], Awaitable[Accepted]] | None = None
        self.on_poll: Callable[[str], Awaitable[TaskAnswer]] | None = None

    async def submit(
        self,
        model: str,
        body: Mapping[str, Any],
        *,
        on_progress: OnProgress,
        before_send: BeforeSend,
        wait_for_place: BeforeSend,
    ) -> Accepted:
        while self.full:
            self.full -= 1
            await before_send()
            await wait_for_place()
        await before_send()
        prompt, params = body.get("prompt"), {k: v for k, v in body.items() if k != "prompt"}
        request = Request(model, prompt, params)
        self.submitted.append(request)
        if self.on_submit is not None:
            return await self.on_submit(request, on_progress)
        return Accepted(f"task-{len(self.submitted)}", "a-model")

    async def task(self, task_id: str, *, on_progress: OnProgress) -> TaskAnswer:
        del on_progress
        self.polled.append(task_id)
        if self.on_poll is not None:
            return await self.on_poll(task_id)
        if not self.answers:
            return success(picture())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[FakeResponse]:
        del url
        yield FakeResponse()

    async def save(self, task: Task, index: int, chunks: object, size: int | None) -> Resource:
        del chunks, size
        self.fetched.append((task.uid, index))
        trouble = self.downloads.pop(0) if self.downloads else None
        if trouble is not None:
            raise trouble
        self.files.mkdir(parents=True, exist_ok=True)
        path = self.files / f"{task.uid}-{index}.png"
        path.write_bytes(b"whole")
        return replace(task.resources[index], path=str(path), size=5, problem=None)

    async def aclose(self) -> None:
        self.closed += 1


class FakeTime:
    """A clock that sleeping moves on, and a timer that nobody sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.set_by = 0.0
        """How far the clock, and not the timer, was put forward."""
        self.slept: list[float] = []
        self.on_sleep: Callable[[], Awaitable[None]] | None = None
        self._held: dict[float, threading.Event] = {}

    def hold(self, seconds: float) -> threading.Event:
        """Let a pause of that length never end; returns what says that it began."""
        return self._held.setdefault(seconds, threading.Event())

    def __call__(self) -> float:
        return self.now + self.set_by

    def timer(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if seconds in self._held:
            self._held[seconds].set()
            await asyncio.Event().wait()
        self.now += seconds
        await asyncio.sleep(0.001)
        if self.on_sleep is not None:
            await self.on_sleep()


class Rig:
    """A ledger, and engines on it that are all closed at the end of the test."""

    def __init__(self, home: Path, place: Path | str) -> None:
        self.home = home
        self.files = home / "files"
        self.place = place
        self.ledger = Ledger(place, self.files)
        self.time = FakeTime()
        self.service = FakeService(self.files)
        self.owners: list[KernelLock | ServerLock] = []
        self._engines: list[Engine] = []
        self._ledgers = [self.ledger]

    def engine(self, service: FakeService | None = None, **settings: object) -> Engine:
        """Return another kernel's engine on the same ledger, with an owner of its own."""
        ledger = Ledger(self.place, self.files)
        owner = ledger.kernel_lock()
        self.owners.append(owner)
        self._ledgers.append(ledger)
        chosen = Settings(base_url=ORIGIN).changed(**settings)
        fake: Any = service or self.service
        engine = Engine(
            fake,
            fake,
            ledger,
            owner,
            chosen,
            clock=self.time,
            timer=self.time.timer,
            sleep=self.time.sleep,
        )
        self._engines.append(engine)
        return engine

    def close(self) -> None:
        for engine in self._engines:
            engine.close(0.2)
        for owner in self.owners:
            owner.close()
        for ledger in self._ledgers:
            ledger.close()

    def row(self, uid: str) -> Task:
        """Return what the ledger says of a task."""
        task = self.ledger.get(uid)
        assert task is not None
        return task


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.updates: list[Update] = []

    def __call__(self, update: Update) -> None:
        self.updates.append(update)

    def statuses(self) -> list[Status]:
        """Return the statuses in the order in which they were heard, without repeats."""
        said = [u.task.status for u in self.updates]
        return [s for i, s in enumerate(said) if i == 0 or said[i - 1] is not s]

    def activities(self) -> list[Activity]:
        return [u.activity for u in self.updates if u.activity is not None]


def request(prompt: str = "a cat", model: str = "a/b") -> Request:
    return Request(model, prompt, {})


def ended(engine: Engine, task: Task) -> Task:
    """Return the task once the engine is through with it."""
    return engine.future(task.uid).result(HANG_S)


def stopped_kernel(rig: Rig, task: Task) -> Task:
    """Record a task as one that a kernel left behind which is gone by now."""
    gone = rig.ledger.kernel_lock()
    rig.ledger.add([task], gone.name)
    gone.close()
    return task


def a_task(uid: str = "a" * 32, **known: object) -> Task:
    """Return a task as a ledger may have it; an intent, unless more is said."""
    base = Task(
        uid=uid,
        batch="b" * 32,
        origin=ORIGIN,
        request=request(),
        status=Status.SUBMITTING,
        created_at=1_799_999_000_000_000,
    )
    return replace(base, **known)  # type: ignore[arg-type]  # fields of a task, by name
