"""What an engine leaves is taken up by one other; what has left is sent by none again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from modellix_jupyter.api.retry import backoff
from modellix_jupyter.engine import transitions
from modellix_jupyter.engine.engine import Engine
from modellix_jupyter.errors import (
    ApiError,
    ModellixError,
    PaymentRequired,
    RateLimited,
    Unauthorized,
)
from modellix_jupyter.values import Accepted, Activity, Request, Status, TaskAnswer

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

if TYPE_CHECKING:
    from modellix_jupyter.api.client import BeforeSend, OnProgress

pytestmark = pytest.mark.usefixtures("no_thread_left")

WRONG_KEY = Unauthorized("Unauthorized: x", code=401)


# -- left to others


def test_a_task_that_a_living_kernel_gave_up_is_taken_up_by_another(
    rig: Rig, service: FakeService
) -> None:
    service.answers = [WRONG_KEY]
    first = rig.engine()
    (task,) = first.submit([request()])
    assert ended(first, task).status is Status.PENDING
    assert first.problem(task.uid) is WRONG_KEY
    second = rig.engine()
    assert second.resume([rig.row(task.uid)])
    assert ended(second, task).status is Status.SUCCESS
    # and the first sees what the second found out
    assert first.get(task.uid).status is Status.SUCCESS
    assert first.resume([rig.row(task.uid)]) == []


def test_who_gave_a_task_up_follows_whoever_drives_it_now(rig: Rig, service: FakeService) -> None:
    service.answers = [WRONG_KEY]
    first, second = rig.engine(), rig.engine()
    (task,) = first.submit([request()])
    ended(first, task)
    let, asked = threading.Event(), threading.Event()

    async def read(_task_id: str) -> TaskAnswer:
        asked.set()
        await asyncio.to_thread(let.wait, HANG_S)
        return success(picture())

    service.on_poll = read
    second.resume([rig.row(task.uid)])
    assert asked.wait(HANG_S)
    questions = len(service.polled)
    assert first.resume([rig.row(task.uid)])
    assert rig.ledger.owner(task.uid) == rig.owners[1].name
    let.set()
    assert ended(first, task).status is ended(second, task).status is Status.SUCCESS
    assert len(service.polled) == questions


def test_a_task_that_was_let_go_is_free_for_another_kernel(rig: Rig, service: FakeService) -> None:
    service.answers = [PENDING] * 10_000
    first, second = rig.engine(), rig.engine()
    asked = threading.Event()
    first.subscribe(lambda update: asked.set() if update.task.task_id else None)
    (task,) = first.submit([request()])
    assert asked.wait(HANG_S)
    assert first.unwatch(task.uid)
    service.answers = []
    second.resume([rig.row(task.uid)])
    assert ended(second, task).status is Status.SUCCESS


# -- sent by none again


def test_what_was_read_before_it_was_sent_is_not_sent_again(rig: Rig, service: FakeService) -> None:
    task = stopped_kernel(rig, a_task())
    engine = rig.engine()
    assert engine.send([task]) == [task]
    ended(engine, task)
    assert engine.send([task]) == []
    engine.close()
    rig.owners[-1].close()
    assert rig.engine().send([task]) == []
    assert len(service.submitted) == 1


def test_two_that_send_at_once_send_it_once(rig: Rig, service: FakeService) -> None:
    tasks = [stopped_kernel(rig, a_task(f"{n:032x}")) for n in range(30)]
    engines = [rig.engine(), rig.engine()]
    gate = threading.Barrier(4)

    def send(place: int) -> None:
        gate.wait(HANG_S)
        engines[place % 2].send(tasks)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    for engine in engines:
        for future in engine.futures():
            future.result(HANG_S)
    assert len(service.submitted) == len(tasks)


def held_release(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> tuple[threading.Event, threading.Event]:
    """Hold every release of a task back: the first event says that it began, the second lets it."""
    leaves, let = threading.Event(), threading.Event()
    release = engine._ownership.release

    def slowly(uid: str) -> None:
        leaves.set()
        assert let.wait(HANG_S)
        release(uid)

    monkeypatch.setattr(engine._ownership, "release", slowly)
    return leaves, let


@pytest.mark.parametrize("how", ["taken over", "unwatched"])
def test_what_is_just_being_left_is_sent_all_the_same(
    rig: Rig, service: FakeService, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    service.answers = [PENDING] * 10_000
    engine = rig.engine(max_in_flight=1)
    leaves, let = held_release(engine, monkeypatch)
    if how == "unwatched":
        _, task = engine.submit([request("runs"), request("waits")])
        leave = threading.Thread(target=engine.unwatch, args=(task.uid,))
    else:
        task = a_task()
        rig.owners.append(stands := rig.ledger.kernel_lock())
        rig.ledger.add([task], stands.name)
        engine.resume([task])
        leave = threading.Thread(target=engine.take_over, args=([task],))
    leave.start()
    assert leaves.wait(HANG_S)
    assert engine.send([task]) == [task]
    future = engine.future(task.uid)
    let.set()
    service.answers = []
    assert future.result(HANG_S).status is Status.SUCCESS
    leave.join(HANG_S)
    assert service.submitted.count(task.request) == 1


def test_what_two_look_away_from_is_finished_once_it_was_left(
    rig: Rig, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answers = [PENDING] * 10_000
    engine = rig.engine(max_in_flight=1)
    leaves, let = held_release(engine, monkeypatch)
    _, task = engine.submit([request("runs"), request("waits")])

    async def twice() -> None:
        await asyncio.gather(*(engine._supervisor.unwatch(task.uid) for _ in range(2)))

    both = engine._thread.run(twice())
    assert leaves.wait(HANG_S)
    with pytest.raises(TimeoutError):
        engine.future(task.uid).result(0.2)
    let.set()
    both.result(HANG_S)
    assert engine.future(task.uid).result(HANG_S).unsent
    assert rig.ledger.owner(task.uid) is None


# -- what has not left


def test_what_the_account_does_not_pay_is_kept_and_sent_when_its_user_says_so(
    rig: Rig, service: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    no_money = PaymentRequired("Payment required: the balance is insufficient", code=402)
    recharged = False

    async def accept(_request: Request, _on_progress: OnProgress) -> Accepted:
        if len(service.submitted) > 30 and not recharged:
            raise no_money
        return Accepted(f"task-{len(service.submitted)}", None)

    service.on_submit = accept
    engine = rig.engine(max_in_flight=4)
    tasks = engine.submit([request(str(number)) for number in range(120)])
    rows = [ended(engine, task) for task in tasks]
    refused = [row for row in rows if row.status is Status.REJECTED]
    unsent = [row for row in rows if row.unsent]
    assert 1 <= len(refused) <= 4
    assert len(unsent) == 90 - len(refused)
    assert len(service.submitted) == 30 + len(refused)
    assert {rig.row(row.uid).unsent for row in unsent} == {True}
    problem = engine.problem(unsent[0].uid)
    assert problem is not None
    assert "402: Payment required" in problem.message
    assert "Recharge" in problem.hint
    assert "`%modellix resume send`" in problem.hint
    assert problem.message in caplog.text
    recharged = True
    assert len(engine.send(unsent)) == len(unsent)
    assert {ended(engine, task).status for task in unsent} == {Status.SUCCESS}
    assert len(service.submitted) == 120


def test_one_id_for_two_submissions_is_said(rig: Rig, service: FakeService) -> None:
    async def accept(_request: Request, _on_progress: OnProgress) -> Accepted:
        return Accepted("task-1", None)

    service.on_submit = accept
    engine = rig.engine()
    tasks = engine.submit([request("one"), request("two")])
    assert {ended(engine, task).task_id for task in tasks} == {"task-1"}
    (warning,) = engine.warnings
    assert "task-1" in warning
    assert all(task.uid[:8] in warning for task in tasks)


class Slow(FakeService):
    """Lets no request leave, as a budget that is used up."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig.files)
        self.asked_to = threading.Event()

    async def submit(self, *_: object, **__: object) -> Accepted:
        self.asked_to.set()
        await asyncio.Event().wait()
        raise AssertionError


def test_what_waits_for_its_place_in_the_budget_has_not_left(rig: Rig) -> None:
    slow = Slow(rig)
    engine = rig.engine(slow)
    (task,) = engine.submit([request()])
    assert slow.asked_to.wait(HANG_S)
    engine.close()
    assert rig.row(task.uid).unsent


def test_between_a_refusal_and_the_next_attempt_nothing_is_on_its_way(rig: Rig) -> None:
    rows = []

    class Refusing(FakeService):
        async def submit(
            self,
            model: str,
            body: Mapping[str, Any],
            *,
            on_progress: OnProgress,
            before_send: BeforeSend,
            wait_for_place: BeforeSend,
        ) -> Accepted:
            del body, wait_for_place
            await before_send()
            rows.append(rig.row(task.uid))
            on_progress(Activity(what="busy", until=rig.time() + backoff(1), attempt=2))
            await asyncio.to_thread(until_held_back)
            rows.append(rig.row(task.uid))
            await before_send()
            rows.append(rig.row(task.uid))
            return Accepted("task-1", model)

    def until_held_back() -> None:
        until = time.monotonic() + HANG_S
        while rig.row(task.uid).in_flight and time.monotonic() < until:
            time.sleep(0.002)

    engine = rig.engine(Refusing(rig.files))
    task = a_task()
    rig.ledger.add([task], rig.owners[-1].name)
    engine.send([task])
    done = ended(engine, task)
    assert [row.in_flight for row in rows] == [True, False, True]
    assert [row.attempts for row in rows] == [1, 1, 2]
    assert done.attempts == 2


# -- answers that say nothing of the task


@pytest.mark.parametrize("code", [404, 408, 425, 429, 502])
def test_an_answer_of_somebody_else_ends_no_task(rig: Rig, service: FakeService, code: int) -> None:
    service.answers = [ApiError("A proxy said something.", code=code)] * 4
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert ended(engine, task).status is Status.SUCCESS
    assert len(service.polled) == 5


def test_a_documented_429_is_waited_for(rig: Rig, service: FakeService) -> None:
    service.answers = [RateLimited("Rate limited: x", code=429)]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert ended(engine, task).status is Status.SUCCESS


def test_an_error_that_is_about_the_question_stops_it(rig: Rig, service: FakeService) -> None:
    error: ModellixError = ApiError("Bad request: x", code=400)
    service.answers = [error]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert ended(engine, task).status is Status.PENDING
    assert engine.problem(task.uid) is error


# -- when it ended


SECOND = 1_000_000


@pytest.mark.parametrize(
    ("duration_ms", "end_time", "completed"),
    [
        (3000, None, 103 * SECOND),
        (3000, 107 * SECOND, 103 * SECOND),
        (None, 107 * SECOND, 107 * SECOND),
        (None, 99 * SECOND, 101 * SECOND),
        (None, 999 * SECOND, 200 * SECOND),
        (None, None, 200 * SECOND),
    ],
)
def test_a_task_ended_when_the_service_says_within_what_was_seen(
    duration_ms: int | None, end_time: int | None, completed: int
) -> None:
    task = a_task(status=Status.PROCESSING, task_id="t", submitted_at=100 * SECOND)
    answer = TaskAnswer(status=Status.SUCCESS, duration_ms=duration_ms, completed_at=end_time)
    changed = transitions.answered(task, answer, 101 * SECOND, 200 * SECOND)
    assert changed.completed_at == completed
    as_before = replace(changed, status=Status.PROCESSING, completed_at=None, duration_ms=None)
    assert replace(as_before, error_message=None) == task


def test_what_was_refused_has_no_price(rig: Rig, service: FakeService) -> None:
    async def refuse(_request: Request, _on_progress: OnProgress) -> Accepted:
        raise WRONG_KEY

    service.on_submit = refuse
    engine = rig.engine()
    (task,) = engine.submit([request()], prices=[0.5])
    assert task.price == 0.5
    done = ended(engine, task)
    assert (done.status, done.price) == (Status.REJECTED, None)
    unknown = a_task(status=Status.UNKNOWN, price=0.5)
    assert transitions.resolved(unknown, None, 1).price is None
    assert transitions.resolved(unknown, "task-1", 1).price == 0.5
