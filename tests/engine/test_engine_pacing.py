"""When a task is asked about: clocks that are set, machines that sleep, kernels that share."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest

from modellix_jupyter.errors import NoAnswer
from modellix_jupyter.values import Resource, Status, Task, TaskAnswer, Update

from .engine_fakes import (
    HANG_S,
    PENDING,
    PROCESSING,
    FakeService,
    Rig,
    a_task,
    ended,
    picture,
    request,
    stopped_kernel,
    success,
)

if TYPE_CHECKING:
    from modellix_jupyter.api.client import OnProgress

pytestmark = pytest.mark.usefixtures("no_thread_left")

DAY_US = 86_400_000_000


def record(rig: Rig, seconds: float, count: int = 10) -> None:
    """Let the ledger know tasks of the model that took so long."""
    now = 1_799_000_000_000_000
    for number in range(count):
        task = a_task(
            uid=f"{number:032x}",
            status=Status.SUCCESS,
            submitted_at=now,
            completed_at=now + int(seconds * 1e6),
        )
        stopped_kernel(rig, task)


def over_at(rig: Rig, seconds: float) -> float:
    """Return the moment on the timer at which a task that is sent now is over."""
    return rig.time.timer() + seconds


# -- clocks


def test_a_clock_that_is_set_back_makes_no_question_wait(rig: Rig, service: FakeService) -> None:
    record(rig, 60.0)
    over = over_at(rig, 63.0)

    async def read(_task_id: str) -> TaskAnswer:
        rig.time.set_by = -3600.0
        return success(picture()) if rig.time.timer() >= over else PROCESSING

    service.on_poll = read
    engine = rig.engine()
    ended(engine, *engine.submit([request()]))
    assert len(service.polled) > 1
    assert rig.time.timer() < over + 10.0


def test_a_machine_that_slept_asks_at_once_and_gives_nothing_up(
    rig: Rig, service: FakeService
) -> None:
    record(rig, 600.0)
    begun = rig.time.timer()

    async def asleep() -> None:
        rig.time.set_by = 7200.0  # the clock went on, and the timer stood

    rig.time.on_sleep = asleep
    engine = rig.engine()
    task = ended(engine, *engine.submit([request()]))
    assert task.status is Status.SUCCESS
    assert len(service.polled) == 1
    assert rig.time.timer() - begun < 10.0
    # and what was measured over a sleep is not learned, neither here nor in the next kernel
    assert not rig.row(task.uid).measured
    assert set(engine._context.durations("a/b")) == {600.0}
    assert set(rig.ledger.durations("a/b", task.origin)) == {600.0}


def test_what_was_done_while_no_kernel_looked_is_not_learned(rig: Rig) -> None:
    hours_ago = int((rig.time.now - 7200) * 1e6)
    task = stopped_kernel(rig, a_task(status=Status.PENDING, task_id="t", submitted_at=hours_ago))
    engine = rig.engine()
    engine.resume([task])
    assert ended(engine, task).status is Status.SUCCESS
    assert engine.usual_s("a/b") is None
    assert rig.ledger.durations("a/b", task.origin) == []


def test_a_pause_knows_what_was_learned_meanwhile(rig: Rig, service: FakeService) -> None:
    """Of a model that took ten minutes, once; and another task of it just took four seconds."""
    record(rig, 600.0, count=1)
    engine = rig.engine()
    begun = rig.time.timer()

    async def another_ended() -> None:
        rig.time.on_sleep = None
        for number in range(10):
            now = 1_799_000_000_000_000
            engine._context.learn(
                a_task(submitted_at=now, completed_at=now + 4_000_000 + number, uid=f"{number:x}")
            )

    rig.time.on_sleep = another_ended
    ended(engine, *engine.submit([request()]))
    assert len(service.polled) == 1
    assert rig.time.timer() - begun < 20.0


# -- places


def test_a_download_that_waits_to_be_tried_again_takes_nobodys_place(
    rig: Rig, service: FakeService
) -> None:
    files = [
        stopped_kernel(
            rig,
            a_task(
                uid=f"{number:032x}",
                status=Status.SUCCESS,
                task_id=f"t{number}",
                submitted_at=1,
                completed_at=2,
                expires_at=int(rig.time() * 1e6) + DAY_US,
                resources=(picture(),),
            ),
        )
        for number in range(9)
    ]
    failing, last = {task.uid for task in files[:8]}, files[8].uid
    save, there = service.save, threading.Event()

    async def save_or_fail(task: Task, index: int, chunks: object, size: int | None) -> Resource:
        if task.uid in failing:
            failing.discard(task.uid)
            raise NoAnswer("reset")
        resource = await save(task, index, chunks, size)
        if task.uid == last:
            there.set()
        return resource

    async def until_the_last_is_there() -> None:
        assert await asyncio.to_thread(there.wait, HANG_S)

    service.save = save_or_fail  # type: ignore[method-assign]  # a fake of a fake
    rig.time.on_sleep = until_the_last_is_there
    engine = rig.engine()
    engine.resume(files)
    assert all(ended(engine, task).missing == () for task in files)


def test_a_submission_for_which_there_is_no_place_waits_until_a_task_ends(rig: Rig) -> None:
    seen: list[tuple[str, bool]] = []
    may_end = threading.Event()

    class Full(FakeService):
        async def task(self, task_id: str, *, on_progress: OnProgress) -> TaskAnswer:
            if not may_end.is_set():
                return PENDING
            return await super().task(task_id, on_progress=on_progress)

    service = Full(rig.files)
    engine = rig.engine(service)
    first = engine.submit([request()])[0]
    while engine.get(first.uid).task_id is None:
        time.sleep(0.005)
    service.full = 1

    def listen(update: Update) -> None:
        waits = update.activity is not None and update.activity.what.startswith("waiting for")
        if waits and update.task.uid != first.uid:
            seen.append((update.activity.what if update.activity else "", update.task.in_flight))
            may_end.set()

    engine.subscribe(listen)
    second = engine.submit([request()])[0]

    assert ended(engine, first).status is Status.SUCCESS
    assert ended(engine, second).status is Status.SUCCESS
    assert seen == [("waiting for a place (1 at once)", False)]
    assert len(service.submitted) == 2
