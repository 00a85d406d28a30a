"""What the engine does about its ledger: other kernels, full disks, and an end at any moment."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import TYPE_CHECKING, Any, Never

import pytest

from modellix_jupyter.engine.engine import Engine, LoopThread
from modellix_jupyter.engine.places import FIRST
from modellix_jupyter.engine.waiting import wait_for
from modellix_jupyter.errors import LedgerError, ModellixError, RowGone, Unauthorized
from modellix_jupyter.ledger import dialects
from modellix_jupyter.values import Accepted, Request, Resource, Status, Task, TaskAnswer, Update

from .engine_fakes import (
    HANG_S,
    PENDING,
    FakeService,
    Heard,
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

pytestmark = pytest.mark.usefixtures("no_thread_left", "place")

FULL = LedgerError("The ledger cannot be written: database or disk is full.")


def ledger_of(engine: Engine) -> object:
    """Return the engine's own ledger, so that a test can break it."""
    return engine._ledger


class Held:
    """A submission that has left and is not answered until it is let go."""

    def __init__(self) -> None:
        self.left = threading.Event()
        self.go = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, _request: Request, _on_progress: OnProgress) -> Accepted:
        self._loop = asyncio.get_running_loop()
        self.left.set()
        await self.go.wait()
        return Accepted("task-late", None)

    def answer(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.go.set)


# -- beginning and end


def test_a_loop_that_cannot_be_made_is_the_callers_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more_files() -> Never:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(asyncio, "SelectorEventLoop", no_more_files)
    with pytest.raises(OSError, match="Too many open files"):
        LoopThread("modellix-test")


def test_a_loop_that_has_ended_takes_no_calls() -> None:
    thread = LoopThread("modellix-test")
    called: list[int] = []
    done = threading.Event()
    thread.call(called.append, 1)
    thread.call(done.set)
    assert done.wait(HANG_S)
    thread.stop(HANG_S)
    thread.call(called.append, 2)
    assert called == [1]
    assert thread.loop.is_closed()


def test_a_loop_that_ends_cancels_what_ran_on_it() -> None:
    thread = LoopThread("modellix-test")
    running, cleaned = threading.Event(), threading.Event()

    async def forever() -> None:
        try:
            running.set()
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    thread.run(forever())
    assert running.wait(HANG_S)
    thread.stop(HANG_S)
    assert cleaned.is_set()


def test_what_is_handed_to_a_loop_that_ends_has_an_end_too() -> None:
    """Whoever waits for it would wait for ever, and nobody would have awaited the coroutine."""
    thread = LoopThread("modellix-test")
    futures: list[Future[None]] = []
    ended = threading.Event()

    def hand_over() -> None:
        while not ended.is_set():
            futures.append(thread.run(asyncio.sleep(0)))

    others = [threading.Thread(target=hand_over) for _ in range(3)]
    for other in others:
        other.start()
    while len(futures) < 100:
        time.sleep(0.001)
    thread.stop(HANG_S)
    ended.set()
    for other in others:
        other.join()
    futures.append(thread.run(asyncio.sleep(0)))
    assert futures[-1].cancelled()
    assert wait_for(futures, 0, reentrant=False)


def test_closing_waits_for_the_answer_to_a_submission(rig: Rig, service: FakeService) -> None:
    service.on_submit = held = Held()
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert held.left.wait(HANG_S)
    closing = threading.Thread(target=engine.close, args=(HANG_S,))
    closing.start()
    held.answer()
    closing.join(HANG_S)
    assert not closing.is_alive()
    row = rig.row(task.uid)
    assert (row.status, row.task_id) == (Status.PENDING, "task-late")
    assert engine.future(task.uid).result(0).task_id == "task-late"
    assert service.polled == []
    assert service.closed == 1


def test_an_answer_that_does_not_come_in_time_is_unknown(rig: Rig, service: FakeService) -> None:
    service.on_submit = held = Held()
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert held.left.wait(HANG_S)
    engine.close(0.05)
    assert rig.row(task.uid).status is Status.UNKNOWN
    assert engine.future(task.uid).result(0).status is Status.UNKNOWN


def test_what_had_not_left_stays_unsent(rig: Rig, service: FakeService) -> None:
    service.on_submit = held = Held()
    engine = rig.engine(max_in_flight=1)
    first, *others = engine.submit([request(str(i)) for i in range(4)])
    assert held.left.wait(HANG_S)
    engine.close(0.05)
    assert rig.row(first.uid).status is Status.UNKNOWN
    for task in others:
        row = rig.row(task.uid)
        assert (row.status, row.submitted_at) == (Status.SUBMITTING, None)
        assert engine.future(task.uid).done()
    assert len(service.submitted) == 1


def test_closing_at_once_leaves_no_future_open(rig: Rig) -> None:
    engine = rig.engine(max_in_flight=2)
    tasks = engine.submit([request(str(i)) for i in range(30)])
    engine.close(0.05)
    assert all(engine.future(task.uid).done() for task in tasks)


def test_closing_twice_is_as_good_as_once(rig: Rig, service: FakeService) -> None:
    engine = rig.engine()
    engine.close()
    engine.close()
    assert service.closed == 1


def test_a_closed_engine_takes_nothing_and_records_nothing(rig: Rig, service: FakeService) -> None:
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    engine.close()
    with pytest.raises(ModellixError, match="closed"):
        engine.submit([request()])
    with pytest.raises(ModellixError, match="closed"):
        engine.run(lambda: asyncio.sleep(0))
    assert rig.ledger.count() == 1
    assert len(service.submitted) == 1
    assert engine.get(task.uid) == done  # but what it knows can be looked at


def test_a_closed_engine_does_not_hide_what_another_found_out(
    rig: Rig, service: FakeService
) -> None:
    service.answers = [Unauthorized("Unauthorized: x", code=401)]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert ended(engine, task).status is Status.PENDING
    engine.close()
    rig.owners[0].close()
    other = rig.engine()
    assert other.resume(rig.ledger.tasks())
    assert ended(other, task).status is Status.SUCCESS
    assert engine.get(task.uid).status is Status.SUCCESS


# -- a ledger that fails


def test_what_cannot_be_recorded_is_not_sent(
    rig: Rig, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = rig.engine()

    def full(*_: object) -> Never:
        raise FULL

    monkeypatch.setattr(ledger_of(engine), "add", full)
    with pytest.raises(LedgerError, match="disk is full"):
        engine.submit([request(), request()])
    assert service.submitted == []
    assert engine.busy() == 0
    assert rig.ledger.count() == 0


def test_a_disk_that_fills_up_before_the_request_leaves_stops_it(
    rig: Rig, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = rig.engine()

    def full(*_: Task, **__: object) -> Never:
        raise FULL

    with monkeypatch.context() as broken:
        broken.setattr(ledger_of(engine), "save", full)
        (task,) = engine.submit([request()])
        done = ended(engine, task)
        assert done.status is Status.REJECTED
        assert engine.problem(task.uid) is FULL
        assert rig.row(task.uid).unsent
    while rig.row(task.uid).status is not Status.REJECTED:  # it is recorded once there is room
        time.sleep(0.01)
    engine.resume([rig.row(task.uid)])
    ended(engine, task)
    assert service.submitted == []


def test_a_disk_that_fills_up_later_does_not_end_a_task(
    rig: Rig, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = rig.engine()
    own = engine._ledger
    save = own.save

    def full_once_sent(task: Task, **whose: Any) -> None:
        if task.status is not Status.SUBMITTING:
            raise FULL
        save(task, **whose)

    service.answers = [PENDING, PENDING, success(picture())]
    with monkeypatch.context() as broken:
        broken.setattr(own, "save", full_once_sent)
        (task,) = engine.submit([request()])
        done = ended(engine, task)
        assert engine.warnings == [FULL.message]  # once, however often it failed
    assert done.status is Status.SUCCESS
    assert done.path is not None
    assert engine.problem(task.uid) is None
    while rig.row(task.uid) != done:  # it is noticed once there is room, or the server is back
        time.sleep(0.01)
    while engine.warnings:  # that it failed is over
        time.sleep(0.01)
    assert len(service.submitted) == 1


class Gated(FakeService):
    """Lets a submission go on when a test says so, and says when it waits for its row."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig.files)
        self.may_go, self.writing = threading.Event(), threading.Event()

    async def submit(self, *given: Any, before_send: BeforeSend, **more: Any) -> Accepted:
        assert await asyncio.to_thread(self.may_go.wait, HANG_S)

        async def told() -> None:
            asyncio.get_running_loop().call_soon(self.writing.set)
            await before_send()

        return await super().submit(*given, before_send=told, **more)


@pytest.fixture
def other_writer(rig: Rig) -> Iterator[sqlite3.Connection]:
    """Return another program's connection to the ledger's file."""
    if rig.ledger.path is None:
        pytest.skip("a server has no lock on all of it")
    with closing(sqlite3.connect(rig.ledger.path, isolation_level=None)) as connection:
        yield connection


def test_a_ledger_that_another_program_holds_does_not_stop_the_loop(
    rig: Rig, other_writer: sqlite3.Connection
) -> None:
    gated = Gated(rig)
    engine = rig.engine(gated)
    (task,) = engine.submit([request()])
    other_writer.execute("BEGIN IMMEDIATE")
    gated.may_go.set()
    assert gated.writing.wait(3), "the loop waits for the disk"
    assert not gated.submitted
    other_writer.execute("ROLLBACK")
    assert ended(engine, task).status is Status.SUCCESS
    assert len(gated.submitted) == 1


def test_what_cannot_be_recorded_yet_is_sent_later(
    rig: Rig, other_writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialects, "BUSY_S", 0.05)
    gated = Gated(rig)
    engine, waits = rig.engine(gated), threading.Event()

    def listen(update: Update) -> None:
        if update.activity is not None and update.activity.what == "waiting for the ledger":
            waits.set()

    engine.subscribe(listen)
    (task,) = engine.submit([request()])
    other_writer.execute("BEGIN IMMEDIATE")
    gated.may_go.set()
    assert waits.wait(HANG_S)
    assert not gated.submitted
    other_writer.execute("ROLLBACK")
    assert ended(engine, task).status is Status.SUCCESS
    assert len(gated.submitted) == 1


def test_durations_that_cannot_be_read_stop_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = rig.engine()

    def unreadable(_model: str, _origin: str) -> Never:
        raise FULL

    monkeypatch.setattr(ledger_of(engine), "durations", unreadable)
    (task,) = engine.submit([request()])
    assert ended(engine, task).status is Status.SUCCESS


def test_a_ledger_that_fails_while_following_ends_the_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = stopped_kernel(rig, a_task(status=Status.PENDING, task_id="t", submitted_at=1))
    engine = rig.engine()

    def unreadable(*_: object) -> Never:
        raise FULL

    monkeypatch.setattr(ledger_of(engine), "rows", unreadable)
    engine.resume([task])
    assert engine.future(task.uid).result(HANG_S).status is Status.PENDING
    assert engine.warnings == [FULL.message]


# -- what other kernels left, and what they still drive


def test_an_accepted_task_of_a_kernel_that_is_gone_is_finished(
    rig: Rig, service: FakeService
) -> None:
    task = stopped_kernel(rig, a_task(status=Status.PENDING, task_id="theirs", submitted_at=1))
    engine = rig.engine()
    assert engine.resume([task]) == [task]
    done = ended(engine, task)
    assert done.status is Status.SUCCESS
    assert service.submitted == []
    assert service.polled == ["theirs"]
    assert rig.ledger.owner(task.uid) == rig.owners[-1].name
    assert rig.row(task.uid) == done


def test_a_submission_of_a_kernel_that_is_gone_is_unknown(rig: Rig, service: FakeService) -> None:
    task = stopped_kernel(rig, a_task(submitted_at=1, attempts=1))
    engine = rig.engine()
    assert engine.resume([task]) == []
    assert rig.row(task.uid).status is Status.UNKNOWN
    assert service.submitted == []


def test_an_intent_of_a_kernel_that_is_gone_is_sent_only_when_asked(
    rig: Rig, service: FakeService
) -> None:
    task = stopped_kernel(rig, a_task())
    engine = rig.engine()
    assert engine.resume([task]) == []
    assert rig.row(task.uid) == task
    assert service.submitted == []
    assert engine.send([task]) == [task]
    assert engine.send([task]) == []
    assert ended(engine, task).status is Status.SUCCESS
    assert engine.send([rig.row(task.uid)]) == []
    assert len(service.submitted) == 1


def test_its_last_words_may_have_been_the_id(rig: Rig) -> None:
    stale = a_task(submitted_at=1)
    stopped_kernel(rig, a_task(submitted_at=1, status=Status.PENDING, task_id="known"))
    engine = rig.engine()
    assert engine.resume([stale]) == [stale]
    done = ended(engine, stale)
    assert (done.status, done.task_id) == (Status.SUCCESS, "known")


def test_what_is_settled_or_of_another_service_is_left_alone(
    rig: Rig, service: FakeService
) -> None:
    settled = stopped_kernel(rig, a_task("c" * 32, status=Status.FAILED, task_id="x"))
    foreign = stopped_kernel(
        rig, a_task("d" * 32, status=Status.PENDING, task_id="y", origin="https://other.test")
    )
    engine = rig.engine()
    assert engine.resume([settled, foreign]) == []
    assert engine.future(foreign.uid).result(0) == foreign
    assert service.polled == []


def test_a_living_kernels_task_is_followed_and_not_touched(rig: Rig) -> None:
    mine, theirs = FakeService(rig.files), FakeService(rig.files)
    release = threading.Event()

    async def answer(_task_id: str) -> TaskAnswer:
        return success(picture()) if release.is_set() else PENDING

    theirs.on_poll = answer
    driver = rig.engine(theirs)
    (task,) = driver.submit([request()])
    follower, heard = rig.engine(mine), Heard()
    follower.subscribe(heard)
    assert follower.resume([task]) == [task]
    release.set()
    done = ended(driver, task)
    assert ended(follower, task) == done == follower.get(task.uid)
    assert heard.updates
    assert (mine.submitted, mine.polled, mine.fetched) == ([], [], [])
    assert len(theirs.fetched) == 1


def test_a_followed_task_is_taken_over_when_its_kernel_dies(rig: Rig) -> None:
    mine, theirs = FakeService(rig.files), FakeService(rig.files)
    polled = asyncio.Event()

    async def never_answered(_: str) -> Never:
        polled.set()
        await asyncio.Event().wait()
        raise AssertionError

    theirs.on_poll = never_answered
    driver = rig.engine(theirs)
    (task,) = driver.submit([request()])
    driver.run(polled.wait).result(HANG_S)
    follower = rig.engine(mine)
    assert follower.resume([rig.row(task.uid)])
    assert mine.polled == []
    rig.owners[0].close()  # what the operating system does when a process ends
    done = ended(follower, task)
    assert done.status is Status.SUCCESS
    assert mine.polled == ["task-1"]
    assert mine.submitted == []


def test_a_kernel_that_lost_a_task_neither_sends_nor_downloads_it(rig: Rig) -> None:
    mine, theirs = FakeService(rig.files), FakeService(rig.files)
    theirs.on_submit = held = Held()
    driver = rig.engine(theirs, max_in_flight=1)
    first, waiting = driver.submit([request("1"), request("2")])
    assert held.left.wait(HANG_S)
    rig.owners[0].close()  # its machine slept, and the lock is gone
    other = rig.engine(mine)
    assert other.send([waiting]) == [waiting]
    done = ended(other, waiting)
    held.answer()
    assert ended(driver, waiting) == done
    assert ended(driver, first).status is Status.SUCCESS
    assert [r.prompt for r in (*theirs.submitted, *mine.submitted)] == ["1", "2"]
    assert waiting.uid not in {uid for uid, _ in theirs.fetched}
    assert driver.problem(waiting.uid) is None


def test_an_answer_that_comes_after_a_takeover_is_not_lost(rig: Rig) -> None:
    theirs = FakeService(rig.files)
    theirs.on_submit = held = Held()
    driver = rig.engine(theirs)
    (task,) = driver.submit([request()])
    assert held.left.wait(HANG_S)
    rig.owners[0].close()
    other = rig.engine(FakeService(rig.files))
    assert other.resume([rig.row(task.uid)]) == []
    assert rig.row(task.uid).status is Status.UNKNOWN
    held.answer()
    done = ended(driver, task)
    assert (done.status, done.task_id) == (Status.SUCCESS, "task-late")
    assert rig.row(task.uid) == done
    assert len(theirs.fetched) == 1


def test_an_answer_that_comes_after_its_user_resolved_it_is_said(rig: Rig) -> None:
    theirs = FakeService(rig.files)
    theirs.on_submit = held = Held()
    driver = rig.engine(theirs)
    (task,) = driver.submit([request()])
    assert held.left.wait(HANG_S)
    rig.owners[0].close()
    other = rig.engine(FakeService(rig.files))
    assert other.resume([rig.row(task.uid)]) == []
    other.resolve_unknown(rig.row(task.uid), None)
    held.answer()
    assert ended(driver, task).status is Status.REJECTED
    assert "task-late" in driver.warnings[0]
    assert theirs.fetched == []


def test_a_followed_submission_whose_kernel_dies_is_not_sent_again(rig: Rig) -> None:
    mine, theirs = FakeService(rig.files), FakeService(rig.files)
    theirs.on_submit = held = Held()
    driver = rig.engine(theirs)
    (task,) = driver.submit([request()])
    assert held.left.wait(HANG_S)
    follower = rig.engine(mine)
    assert follower.resume([rig.row(task.uid)])
    rig.owners[0].close()
    assert ended(follower, task).status is Status.UNKNOWN
    assert rig.row(task.uid).status is Status.UNKNOWN
    assert mine.submitted == []


def test_a_followed_intent_whose_kernel_dies_is_not_sent(rig: Rig) -> None:
    mine, theirs = FakeService(rig.files), FakeService(rig.files)
    theirs.on_submit = held = Held()
    driver = rig.engine(theirs, max_in_flight=1)
    _, waiting = driver.submit([request("1"), request("2")])
    assert held.left.wait(HANG_S)
    follower = rig.engine(mine)
    assert follower.resume([rig.row(waiting.uid)])
    rig.owners[0].close()
    left = ended(follower, waiting)
    assert (left.status, left.submitted_at) == (Status.SUBMITTING, None)
    assert mine.submitted == []
    driver.close(0.05)
    assert follower.send([left]) == [left]  # but the user may
    assert ended(follower, waiting).status is Status.SUCCESS
    assert len(mine.submitted) == 1


def test_resumes_at_the_same_moment_drive_a_task_once(rig: Rig, service: FakeService) -> None:
    tasks = [
        stopped_kernel(
            rig, a_task(f"{i:032d}", status=Status.PENDING, task_id=f"t{i}", submitted_at=1)
        )
        for i in range(10)
    ]
    engine = rig.engine()
    together = threading.Barrier(4)

    def resume() -> None:
        together.wait(HANG_S)
        engine.resume(tasks)

    threads = [threading.Thread(target=resume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    for task in tasks:
        assert ended(engine, task).status is Status.SUCCESS
    assert sorted(service.fetched) == [(task.uid, 0) for task in tasks]


def test_two_kernels_that_resume_at_once_share_the_tasks(rig: Rig) -> None:
    tasks = [
        stopped_kernel(
            rig, a_task(f"{i:032d}", status=Status.PENDING, task_id=f"t{i}", submitted_at=1)
        )
        for i in range(10)
    ]
    services = [FakeService(rig.files), FakeService(rig.files)]
    engines = [rig.engine(s) for s in services]
    together = threading.Barrier(2)

    def resume(engine: Engine) -> None:
        together.wait(HANG_S)
        engine.resume(tasks)

    threads = [threading.Thread(target=resume, args=(e,)) for e in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    for engine in engines:
        assert {ended(engine, task).status for task in tasks} == {Status.SUCCESS}
    assert sorted(services[0].fetched + services[1].fetched) == [(t.uid, 0) for t in tasks]


def test_files_that_another_kernel_fetched_are_kept(rig: Rig, service: FakeService) -> None:
    kept = Resource(url="u", path=str(rig.files / "kept.png"), size=1)
    task = stopped_kernel(
        rig,
        a_task(status=Status.PENDING, task_id="t", submitted_at=1, resources=(kept, picture("v"))),
    )
    service.answers = [success(picture("u?signed=again"), picture("v?signed=again"))]
    engine = rig.engine()
    engine.resume([task])
    done = ended(engine, task)
    assert done.resources[0] == kept
    assert service.fetched == [(task.uid, 1)]


# -- a batch that several kernels work on


def test_each_kernel_sends_what_nobody_has_and_ends_what_a_dead_one_left(rig: Rig) -> None:
    held, quick = FakeService(rig.files), FakeService(rig.files)
    held.on_submit = Held()
    one, other = rig.engine(held), rig.engine(quick)
    requests = [request(f"cat {number}") for number in range(40)]
    tasks = one.submit(requests, batch="batch", shared=True)
    assert held.on_submit.left.wait(HANG_S)
    assert other.send(tasks, shared=True) == tasks
    until = time.monotonic() + HANG_S
    while len(quick.submitted) < len(tasks) - 2 * FIRST:  # what the first has no room for
        assert time.monotonic() < until
        time.sleep(0.005)
    one.close(0.05)
    rig.owners[0].close()
    ends = [ended(other, task) for task in tasks]
    sent = [r.prompt for r in (*held.submitted, *quick.submitted)]
    assert sorted(map(str, sent)) == sorted(str(r.prompt) for r in requests)
    unknown = {task.request.prompt for task in ends if task.status is Status.UNKNOWN}
    assert unknown == {r.prompt for r in held.submitted}
    assert all(task.status is Status.SUCCESS for task in ends if task.request.prompt not in unknown)


def test_what_is_offered_and_not_wanted_here_is_left_alone(rig: Rig, service: FakeService) -> None:
    task = a_task()
    rig.ledger.add([task], None)
    engine = rig.engine()
    assert engine.resume([task]) == []
    assert not service.submitted
    assert rig.ledger.owner(task.uid) is None
    assert engine.send([task]) == [task]
    assert ended(engine, task).status is Status.SUCCESS
    assert len(service.submitted) == 1


def test_a_task_whose_lock_was_cleaned_away_is_sent_by_one_kernel_only(
    rig: Rig, service: FakeService
) -> None:
    """The first has room for one task; the second takes the other for one of a dead kernel's."""
    held = FakeService(rig.files)
    held.on_submit = Held()
    one, other = rig.engine(held, max_in_flight=1), rig.engine()
    tasks = one.submit([request("first"), request("second")])
    assert held.on_submit.left.wait(HANG_S)
    for lock in (rig.home / "owners").glob("*"):
        lock.unlink()
    if rig.ledger.path is None:
        rig.owners[0].close()
    assert other.send([tasks[1]]) == [tasks[1]]
    assert ended(other, tasks[1]).status is Status.SUCCESS
    held.on_submit.answer()
    assert ended(one, tasks[1]).status is Status.SUCCESS
    assert [r.prompt for r in (*held.submitted, *service.submitted)] == ["first", "second"]


def test_a_task_without_a_row_is_not_sent(rig: Rig) -> None:
    held = FakeService(rig.files)
    held.on_submit = Held()
    engine = rig.engine(held, max_in_flight=1)
    tasks = engine.submit([request("sent"), request("gone")])
    assert held.on_submit.left.wait(HANG_S)
    with rig.ledger._transaction() as connection:
        connection.exec_driver_sql("DELETE FROM tasks")
    held.on_submit.answer()
    assert ended(engine, tasks[0]).status is Status.SUCCESS
    assert ended(engine, tasks[1]).status is Status.REJECTED
    assert isinstance(engine.problem(tasks[1].uid), RowGone)
    assert [r.prompt for r in held.submitted] == ["sent"]
    assert rig.row(tasks[0].uid).status is Status.SUCCESS  # what was paid for has a row again
