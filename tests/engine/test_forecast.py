"""How long a plan takes yet, by what is known."""

from __future__ import annotations

import asyncio
import threading

from modellix_jupyter.engine import forecast
from modellix_jupyter.values import Status, TaskAnswer

from .engine_fakes import (
    HANG_S,
    PENDING,
    FakeService,
    Rig,
    a_task,
    ended,
    picture,
    request,
    stopped_kernel,
    success,
)


def test_tasks_take_places_in_their_order() -> None:
    assert forecast.ends([2.0] * 12, 2) == [2.0 * (1 + n // 2) for n in range(12)]
    assert forecast.ends([5.0, 1.0, 1.0, 1.0], 2) == [5.0, 1.0, 2.0, 3.0]
    assert forecast.ends([], 2) == []


def test_what_is_over_its_time_may_take_some_more() -> None:
    assert forecast.work_s(10.0, 4.0) == 6.0
    assert forecast.work_s(10.0, 60.0) == 1.0


def test_each_task_to_send_takes_two_requests_and_a_little() -> None:
    assert forecast.requests([True] * 10) == 22
    assert forecast.requests([False] * 10) == 12


def test_a_plan_of_a_known_model_has_a_forecast(rig: Rig, service: FakeService) -> None:
    sent = 1_799_000_000_000_000
    done = a_task(status=Status.SUCCESS, submitted_at=sent, completed_at=sent + 20_000_000)
    stopped_kernel(rig, done)
    both, may_end = threading.Barrier(3), threading.Event()

    async def answer(_task_id: str) -> TaskAnswer:
        if not may_end.is_set():
            await asyncio.to_thread(both.wait, HANG_S)
            await asyncio.to_thread(may_end.wait, HANG_S)
        return success(picture())

    service.on_poll = answer
    engine = rig.engine(max_in_flight=2)
    assert engine.remaining_s() == {}
    tasks = engine.submit([request(str(number)) for number in range(4)])
    both.wait(HANG_S)  # two are polled, and two wait for their places
    left = engine.remaining_s()
    first, second, third, fourth = (left[task.uid] for task in tasks)
    assert 2 <= first <= 20
    assert 2 <= second <= 20
    assert (third, fourth) == (20 + min(first, second), 20 + max(first, second))
    may_end.set()
    assert {ended(engine, task).status for task in tasks} == {Status.SUCCESS}


def test_a_plan_of_a_model_never_seen_has_none(rig: Rig, service: FakeService) -> None:
    service.answers = [PENDING] * 1000
    rig.time.hold(0.75)
    engine = rig.engine()
    engine.submit([request()])
    assert rig.time.hold(0.75).wait(HANG_S)
    assert engine.remaining_s() == {}
