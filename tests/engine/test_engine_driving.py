"""A task on its way through the engine: what is recorded, asked, fetched and told, in order."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from modellix_jupyter.errors import (
    ApiError,
    BadAnswer,
    BadRequest,
    ConnectFailed,
    DownloadError,
    ModellixError,
    NoAnswer,
    NotFound,
    OutcomeUnknown,
    PaymentRequired,
    RateLimited,
    ResultGone,
    ServerError,
    TaskExpired,
    TaskFailed,
    Unauthorized,
    Unavailable,
)
from modellix_jupyter.values import (
    RESULT_LIFETIME_US,
    Accepted,
    Activity,
    Request,
    Resource,
    Status,
    TaskAnswer,
    Update,
)

from .engine_fakes import (
    HANG_S,
    PENDING,
    PROCESSING,
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
    from collections.abc import Callable

    from modellix_jupyter.api.client import OnProgress
    from modellix_jupyter.engine.engine import Engine

pytestmark = pytest.mark.usefixtures("no_thread_left")

NOT_FOUND = NotFound("Not found: task", code=404)


def as_written(rig: Rig) -> list[tuple[str, int | None, str | None]]:
    """Return what a connection of somebody else sees at this moment."""
    engine = create_engine(rig.place if isinstance(rig.place, str) else f"sqlite:///{rig.place}")
    with closing(engine.connect()) as connection:
        rows = connection.execute(text("SELECT status, submitted_at, task_id FROM tasks")).all()
    engine.dispose()
    return [(status, at, task_id) for status, at, task_id in rows]


# -- the order: the row, then the act, then the row


def test_the_row_is_on_the_disk_before_each_step(rig: Rig, service: FakeService) -> None:
    seen: dict[str, list[tuple[str, int | None, str | None]]] = {}

    async def accept(_request: Request, _on_progress: OnProgress) -> Accepted:
        seen["at submit"] = as_written(rig)
        return Accepted("task-1", None)

    async def answer(_task_id: str) -> TaskAnswer:
        seen["at read"] = as_written(rig)
        return success()

    service.on_submit, service.on_poll = accept, answer
    engine = rig.engine()
    now = int(rig.time.now * 1e6)
    (task,) = engine.submit([request()])
    ended(engine, task)
    assert seen["at submit"] == [("submitting", now, None)]
    assert seen["at read"] == [("pending", now, "task-1")]
    assert as_written(rig) == [("success", now, "task-1")]


def test_intents_of_a_batch_are_recorded_before_the_first_leaves(
    rig: Rig, service: FakeService
) -> None:
    counts: list[int] = []

    async def accept(_request: Request, _on_progress: OnProgress) -> Accepted:
        counts.append(len(as_written(rig)))
        return Accepted(f"task-{len(counts)}", None)

    service.on_submit = accept
    engine = rig.engine()
    tasks = engine.submit([request(f"p{i}") for i in range(5)], prices=[0.25] * 5)
    for task in tasks:
        ended(engine, task)
    assert counts == [5] * 5
    assert len({task.batch for task in tasks}) == 1
    assert {task.price for task in tasks} == {0.25}
    assert [rig.row(t.uid).request.prompt for t in tasks] == ["p0", "p1", "p2", "p3", "p4"]


def test_a_task_goes_from_submission_to_its_file(rig: Rig, service: FakeService) -> None:
    service.answers = [PENDING, PROCESSING, success(picture("u1"), picture("u2"))]
    engine, heard = rig.engine(), Heard()
    engine.subscribe(heard)
    (task,) = engine.submit([request()])
    assert task.status is Status.SUBMITTING
    done = ended(engine, task)
    assert done.status is Status.SUCCESS
    assert done.is_final
    assert done.model_id == "a-model"
    assert [r.size for r in done.resources] == [5, 5]
    assert service.fetched == [(task.uid, 0), (task.uid, 1)]
    assert heard.statuses() == [
        Status.SUBMITTING,
        Status.PENDING,
        Status.PROCESSING,
        Status.SUCCESS,
    ]
    assert heard.activities()[0].what == "submitting"
    assert heard.updates[-1].activity is None
    assert rig.row(task.uid) == done == engine.get(task.uid)
    assert engine.busy() == 0
    assert engine.problem(task.uid) is None


def test_the_end_is_placed_where_the_service_measured_it(rig: Rig, service: FakeService) -> None:
    service.answers = [PENDING, success(picture(), duration_ms=1500)]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    assert done.elapsed_s is not None
    assert done.completed_at is not None
    assert 1.0 <= done.elapsed_s <= 2.0  # not before the first answer said "pending"
    assert done.expires_at == done.completed_at + RESULT_LIFETIME_US
    assert engine.usual_s("a/b") == done.elapsed_s
    assert engine.usual_s("another/model") is None


# -- refusals and silence


@pytest.mark.parametrize(
    "error",
    [
        BadRequest("Invalid parameters: size", code=400),
        Unauthorized("Unauthorized: key", code=401),
        PaymentRequired("Payment required: balance", code=402),
        NotFound("Not found: model", code=404),
        RateLimited("Too many requests: slow down", code=429),
        ServerError("Internal server error: x", code=500),
        Unavailable("Service unavailable: x", code=503),
        ApiError("HTTP 418", code=418),
        ConnectFailed("No connection."),
    ],
    ids=lambda e: type(e).__name__,
)
def test_a_refusal_is_final_and_costs_nothing(
    rig: Rig, service: FakeService, error: ModellixError
) -> None:
    async def refuse(_request: Request, on_progress: OnProgress) -> Accepted:
        on_progress(Activity(what="again", attempt=3))
        raise error

    service.on_submit = refuse
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    assert done.status is Status.REJECTED
    assert done.attempts == 3
    assert done.error_code == getattr(error, "code", None)
    assert done.error_message == getattr(error, "answer", error.message)
    assert done.is_final
    assert type(done.error()) is type(error) or error.__class__ is ConnectFailed
    assert rig.row(task.uid) == done
    assert service.polled == []
    assert engine.resume(rig.ledger.tasks()) == []
    assert len(service.submitted) == 1


@pytest.mark.parametrize(
    "error", [NoAnswer("Silence."), BadAnswer("A web page.")], ids=["silence", "garbage"]
)
def test_what_may_have_been_accepted_is_unknown_and_never_sent_again(
    rig: Rig, service: FakeService, error: ModellixError
) -> None:
    async def vanish(_request: Request, _on_progress: OnProgress) -> Accepted:
        raise error

    service.on_submit = vanish
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    assert done.status is Status.UNKNOWN
    assert isinstance(done.error(), OutcomeUnknown)
    assert rig.row(task.uid) == done
    assert [t.uid for t in rig.ledger.unknown(done.origin)] == [task.uid]
    assert rig.ledger.unfinished(done.origin) == []
    engine.close()
    other = rig.engine()
    assert other.resume(rig.ledger.tasks()) == []
    assert other.send(rig.ledger.tasks()) == []
    assert len(service.submitted) == 1
    assert service.polled == []


def test_a_fault_while_sending_leaves_the_outcome_unknown(
    rig: Rig, service: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    async def stumble(_request: Request, _on_progress: OnProgress) -> Accepted:
        raise ZeroDivisionError

    service.on_submit = stumble
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    assert done.status is Status.UNKNOWN
    assert rig.row(task.uid).status is Status.UNKNOWN
    problem = engine.problem(task.uid)
    assert problem is not None
    assert "bug" in problem.message
    assert "drove task" in caplog.text
    assert engine.resume([task]) == []
    assert len(service.submitted) == 1


# -- questions


def test_a_failed_task_keeps_its_reason(rig: Rig, service: FakeService) -> None:
    service.answers = [PENDING, TaskAnswer(status=Status.FAILED, reason="refused by the filter")]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    assert done.status is Status.FAILED
    assert done.error_message == "refused by the filter"
    assert isinstance(done.error(), TaskFailed)
    assert done.expires_at is None
    assert service.fetched == []


def test_two_times_not_found_right_after_acceptance_are_not_believed(
    rig: Rig, service: FakeService
) -> None:
    service.answers = [NOT_FOUND, NOT_FOUND, PENDING, NOT_FOUND, NOT_FOUND, success(picture())]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert ended(engine, task).status is Status.SUCCESS


def until(engine: Engine, condition: Callable[[Update], bool]) -> threading.Event:
    """Return what is set when an update meets a condition."""
    met = threading.Event()
    engine.subscribe(lambda update: met.set() if condition(update) else None)
    return met


def test_a_task_that_is_not_found_for_hours_keeps_nobody_and_is_not_lost(
    rig: Rig, service: FakeService
) -> None:
    back_at = rig.time.timer() + 3 * 3600

    async def answer(task_id: str) -> TaskAnswer:
        if task_id == "task-1" and rig.time.timer() < back_at:
            raise NOT_FOUND
        return success(picture())

    service.on_poll = answer
    engine = rig.engine(max_in_flight=1)
    here = until(engine, lambda update: update.task.path is not None)
    (task,) = engine.submit([request()])
    waited = ended(engine, task)
    assert (waited.status, waited.task_id) == (Status.PENDING, "task-1")
    assert "does not find" in str(engine.problem(task.uid))
    assert len(service.polled) >= 6
    assert here.wait(HANG_S)
    assert engine.get(task.uid).status is Status.SUCCESS
    assert engine.problem(task.uid) is None
    assert max(rig.time.slept) == 900


def test_a_task_that_is_not_found_takes_no_place_for_long(rig: Rig, service: FakeService) -> None:
    async def answer(task_id: str) -> TaskAnswer:
        if task_id == "task-1":
            raise NOT_FOUND
        return success(picture())

    service.on_poll = answer
    rig.time.hold(60.0)
    engine = rig.engine(max_in_flight=1)
    first, second = engine.submit([request("1"), request("2")])
    assert ended(engine, first).status is Status.PENDING
    assert ended(engine, second).status is Status.SUCCESS


def test_a_task_that_is_not_found_for_a_week_has_expired(rig: Rig, service: FakeService) -> None:
    async def answer(_task_id: str) -> TaskAnswer:
        raise NOT_FOUND

    service.on_poll = answer
    engine = rig.engine()
    over = until(engine, lambda update: update.task.status is Status.EXPIRED)
    begun = rig.time.timer()
    (task,) = engine.submit([request()])
    assert over.wait(HANG_S)
    assert isinstance(engine.get(task.uid).error(), TaskExpired)
    assert 0 <= rig.time.timer() - begun - 7 * 86_400 <= 900


def test_a_clock_that_is_put_forward_lets_nothing_expire(rig: Rig, service: FakeService) -> None:
    async def answer(_task_id: str) -> TaskAnswer:
        rig.time.set_by = 8 * 86_400.0
        if len(service.polled) < 6:
            raise NOT_FOUND
        return success(picture())

    service.on_poll = answer
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert ended(engine, task).status is Status.SUCCESS


def test_other_failures_do_not_count_as_not_found(rig: Rig, service: FakeService) -> None:
    service.answers = [NoAnswer("x"), NoAnswer("x"), NOT_FOUND, NOT_FOUND, success(picture())]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert ended(engine, task).status is Status.SUCCESS


def test_an_old_task_that_is_not_found_has_expired(rig: Rig, service: FakeService) -> None:
    service.answers = [NOT_FOUND, NOT_FOUND, NOT_FOUND, success(picture())]
    kept = Resource(url="u", path=str(rig.files / "kept.png"), size=1)
    task = stopped_kernel(
        rig,
        a_task(
            status=Status.PROCESSING,
            task_id="task-old",
            submitted_at=int((rig.time.now - 8 * 86_400) * 1e6),
            resources=(kept, Resource(url="v")),
        ),
    )
    engine = rig.engine()
    assert engine.resume([task]) == [task]
    done = ended(engine, task)
    assert done.status is Status.EXPIRED
    assert service.polled == ["task-old"] * 3
    assert done.resources[0] == kept
    assert done.resources[1].lost
    assert done.is_final


def test_failures_of_questions_say_nothing_of_the_task(rig: Rig, service: FakeService) -> None:
    service.answers = [
        NoAnswer("x"),
        BadAnswer("x"),
        ConnectFailed("x"),
        RateLimited("Too many: x", code=429),
        ServerError("Internal: x", code=500),
        Unavailable("Unavailable: x", code=503),
        *[NoAnswer("x")] * 20,
        success(picture()),
    ]
    engine, heard = rig.engine(), Heard()
    engine.subscribe(heard)
    (task,) = engine.submit([request()])
    assert ended(engine, task).status is Status.SUCCESS
    told = [a for a in heard.activities() if a.what == "no connection"]
    assert told
    assert all(a.until is not None for a in told)
    assert max(rig.time.slept) <= 15.0  # a network that comes back is noticed soon


def test_a_status_of_an_unknown_name_is_shown_and_asked_again(
    rig: Rig, service: FakeService
) -> None:
    service.answers = [TaskAnswer(status=Status.PROCESSING, odd="warming up"), success(picture())]
    engine, heard = rig.engine(), Heard()
    engine.subscribe(heard)
    (task,) = engine.submit([request()])
    assert ended(engine, task).status is Status.SUCCESS
    assert any("warming up" in a.what for a in heard.activities())


@pytest.mark.parametrize(
    "refusal",
    [Unauthorized("Unauthorized: key", code=401), ApiError("HTTP 403", code=403)],
    ids=["401", "403"],
)
def test_a_refused_question_stops_for_now_and_a_resume_goes_on(
    rig: Rig, service: FakeService, refusal: ApiError
) -> None:
    service.answers = [PENDING, refusal]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    stopped = ended(engine, task)
    assert stopped.status is Status.PENDING
    assert engine.problem(task.uid) is refusal
    assert rig.row(task.uid).status is Status.PENDING
    unfinished = rig.ledger.unfinished(task.origin)
    assert [t.uid for t in unfinished] == [task.uid]
    assert len(engine.resume(unfinished)) == 1
    assert ended(engine, task).status is Status.SUCCESS
    assert engine.problem(task.uid) is None
    assert len(service.submitted) == 1


# -- files


def test_a_download_is_tried_again(rig: Rig, service: FakeService) -> None:
    service.downloads = [
        NoAnswer("x"),
        DownloadError("cut short", final=False),
        ServerError("Internal: x", code=500),
    ]
    engine, heard = rig.engine(), Heard()
    engine.subscribe(heard)
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    assert done.path is not None
    assert len(service.fetched) == 4
    failed = [a for a in heard.activities() if a.what == "download failed"]
    assert sorted({a.attempt or 0 for a in failed}) == [2, 3, 4]


def test_a_file_that_is_gone_is_lost_and_the_others_are_not(rig: Rig, service: FakeService) -> None:
    service.answers = [success(picture("u1"), picture("u2"))]
    service.downloads = [DownloadError("gone")]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    first, second = done.resources
    assert (first.lost, first.problem, first.path) == (True, "gone", None)
    assert second.path is not None
    assert done.status is Status.SUCCESS
    assert done.is_final
    assert len(service.fetched) == 2


def test_what_a_setting_forbids_is_not_tried_again_and_not_lost(
    rig: Rig, service: FakeService
) -> None:
    service.answers = [success(picture("u1"), picture("u2"))]
    service.downloads = [DownloadError("too large", blocked=True), NoAnswer("x")]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    first, second = rig.row(task.uid).resources
    assert (first.lost, first.problem, second.path is None) == (False, "too large", False)
    assert not done.is_final
    assert len(service.fetched) == 3
    assert str(engine.problem(task.uid)).startswith("too large")
    engine.close(0.2)
    other = rig.engine()
    (again,) = other.resume([rig.row(task.uid)])
    assert ended(other, again).is_final
    assert len(service.fetched) == 4


def test_a_download_that_goes_on_failing_keeps_nobody_waiting(
    rig: Rig, service: FakeService
) -> None:
    service.downloads = [DownloadError("no space", final=False)] * 6
    insisting = rig.time.hold(60)
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    (resource,) = done.resources
    assert (resource.lost, resource.problem) == (False, "no space")
    assert not done.is_final
    assert len(service.fetched) == 6
    assert insisting.wait(HANG_S)
    pauses = [s for s in rig.time.slept if s in {1, 2, 4, 8, 16}]
    assert pauses[-5:] == [1, 2, 4, 8, 16]  # and none of these after the last
    # whoever asks for it now waits for no pause
    assert engine.resume([rig.row(task.uid)])
    assert ended(engine, task).path is not None
    assert rig.row(task.uid).resources[0].problem is None


def test_an_outage_that_lasts_the_night_loses_no_file(rig: Rig, service: FakeService) -> None:
    service.downloads = [NoAnswer("x")] * 50
    engine, here = rig.engine(), threading.Event()
    engine.subscribe(lambda update: here.set() if update.task.path else None)
    (task,) = engine.submit([request()])
    assert ended(engine, task).path is None
    assert here.wait(HANG_S)
    assert len(service.fetched) == 51
    assert max(rig.time.slept) == 900


def test_a_file_is_given_up_when_its_day_has_passed(rig: Rig, service: FakeService) -> None:
    service.downloads = [NoAnswer("x")] * 10_000
    engine, over = rig.engine(), threading.Event()
    engine.subscribe(lambda update: over.set() if update.task.is_final else None)
    (task,) = engine.submit([request()])
    assert not ended(engine, task).is_final
    assert over.wait(6 * HANG_S)  # hundreds of attempts, each with its row
    (resource,) = engine.get(task.uid).resources
    assert (resource.lost, resource.problem) == (True, "x")


def test_a_file_that_is_not_found_is_asked_for_at_a_fresh_address(
    rig: Rig, service: FakeService
) -> None:
    service.answers = [success(picture("u1")), NOT_FOUND, success(picture("u2"))]
    service.downloads = [ResultGone("HTTP 403")] * 2
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    assert done.resources[0].url == "u2"
    assert done.path is not None
    assert len(service.polled) == 3


def test_a_file_that_is_not_found_for_hours_is_not_lost(rig: Rig, service: FakeService) -> None:
    service.downloads = [ResultGone("HTTP 404")] * 30
    engine = rig.engine()
    here = until(engine, lambda update: update.task.path is not None)
    (task,) = engine.submit([request()])
    assert not ended(engine, task).is_final
    assert here.wait(HANG_S)


# -- files that an answer lacks


def test_files_that_a_success_lacks_are_asked_for_again(rig: Rig, service: FakeService) -> None:
    half = TaskAnswer(status=Status.SUCCESS, resources=(picture("u1"),), lacking=1)
    service.answers = [success(), half, success(picture("u1"), picture("u2"))]
    engine = rig.engine()
    (task,) = engine.submit([request()])
    done = ended(engine, task)
    assert [r.path is not None for r in done.resources] == [True, True]
    assert done.error_message is None
    assert done.elapsed_s is not None
    assert done.elapsed_s < 2  # it ended when it said so, not when its files were named


def test_files_that_never_come_are_said(rig: Rig, service: FakeService) -> None:
    table = {
        "the service named no file": success(),
        "the service named 1 of 4 files": TaskAnswer(
            status=Status.SUCCESS, resources=(picture(),), lacking=3
        ),
        "only the first 1 of 21 files are taken": TaskAnswer(
            status=Status.SUCCESS, resources=(picture(),), beyond=20
        ),
    }
    engine = rig.engine()
    for told, answer in table.items():
        service.answers = [answer] * 6
        (task,) = engine.submit([request()])
        done = ended(engine, task)
        assert (done.status, done.error_message) == (Status.SUCCESS, told)
        assert rig.row(task.uid).error_message == told


# -- what was given up


def test_what_was_given_up_is_taken_up_again_while_it_may_be_kept(
    rig: Rig, service: FakeService
) -> None:
    ago = int((rig.time.now - 86_400) * 1e6)
    known = {"created_at": ago, "submitted_at": ago, "completed_at": ago}
    lost = (Resource(url="u", type="image", lost=True, problem="gone"),)
    expired = stopped_kernel(rig, a_task("1" * 32, status=Status.EXPIRED, task_id="t1", **known))
    fileless = stopped_kernel(
        rig, a_task("2" * 32, status=Status.SUCCESS, task_id="t2", resources=lost, **known)
    )
    old = dict.fromkeys(known, ago - 8 * 86400000000)
    stopped_kernel(rig, a_task("3" * 32, status=Status.EXPIRED, task_id="t3", **old))
    engine = rig.engine()
    given_up = rig.ledger.given_up(expired.origin, 0)
    assert len(given_up) == 3
    revived = engine.revive(given_up)
    assert {task.uid for task in revived} == {expired.uid, fileless.uid}
    assert {ended(engine, task).status for task in revived} == {Status.SUCCESS}
    assert all(rig.row(task.uid).path for task in revived)
    assert service.polled == ["t1"]


def test_after_its_day_a_file_that_cannot_be_fetched_is_lost(
    rig: Rig, service: FakeService
) -> None:
    service.downloads = [NoAnswer("x")] * 6
    task = stopped_kernel(
        rig,
        a_task(
            status=Status.SUCCESS,
            task_id="task-1",
            submitted_at=1,
            completed_at=2,
            expires_at=int(rig.time.now * 1e6) - 1,
            resources=(picture(),),
        ),
    )
    engine = rig.engine()
    engine.resume([task])
    done = ended(engine, task)
    assert done.resources[0].lost
    assert done.is_final


# -- many at once, and those who listen


def test_no_more_tasks_are_at_the_service_than_allowed(rig: Rig, service: FakeService) -> None:
    there: set[str] = set()
    most = 0

    async def accept(request: Request, _on_progress: OnProgress) -> Accepted:
        nonlocal most
        there.add(str(request.prompt))
        most = max(most, len(there))
        await asyncio.sleep(0.001)
        return Accepted(f"task-{request.prompt}", None)

    async def answer(task_id: str) -> TaskAnswer:
        await asyncio.sleep(0.001)
        if service.polled.count(task_id) < 3:
            return PENDING
        there.remove(task_id.removeprefix("task-"))
        return success(picture())

    service.on_submit, service.on_poll = accept, answer
    engine, heard = rig.engine(max_in_flight=3), Heard()
    engine.subscribe(heard)
    tasks = engine.submit([request(str(i)) for i in range(12)])
    assert {ended(engine, task).status for task in tasks} == {Status.SUCCESS}
    assert most == 3
    assert any(a.what == "waiting for a place" for a in heard.activities())


def test_a_listener_that_raises_harms_nobody(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    engine, heard = rig.engine(), Heard()

    def broken(_update: object) -> None:
        raise ZeroDivisionError

    engine.subscribe(broken)
    engine.subscribe(heard)
    (task,) = engine.submit([request()])
    assert ended(engine, task).is_final
    assert heard.statuses()[-1] is Status.SUCCESS
    assert "A listener failed" in caplog.text


def test_nothing_is_heard_after_the_end_of_a_subscription(rig: Rig) -> None:
    engine, heard = rig.engine(), Heard()
    unsubscribe = engine.subscribe(heard)
    unsubscribe()
    unsubscribe()
    (task,) = engine.submit([request()])
    ended(engine, task)
    assert heard.updates == []


def test_listeners_are_called_on_the_thread_of_the_engine(rig: Rig) -> None:
    engine = rig.engine()
    threads: set[str] = set()
    engine.subscribe(lambda _update: threads.add(threading.current_thread().name))
    (task,) = engine.submit([request()])
    ended(engine, task)
    assert threads == {"modellix-engine"}


def test_a_cancelled_future_does_nothing_to_the_task(rig: Rig, service: FakeService) -> None:
    held, go = threading.Event(), threading.Event()

    async def answer(_task_id: str) -> TaskAnswer:
        held.set()
        await asyncio.to_thread(go.wait, HANG_S)
        return success(picture())

    service.on_poll = answer
    engine, heard = rig.engine(), Heard()
    finished = threading.Event()

    def listen(update: object) -> None:
        heard(update)  # type: ignore[arg-type]  # an update
        if heard.updates[-1].task.is_final:
            finished.set()

    engine.subscribe(listen)
    (task,) = engine.submit([request()])
    assert held.wait(HANG_S)
    assert engine.future(task.uid).cancel()
    go.set()
    assert finished.wait(HANG_S)
    assert engine.get(task.uid).status is Status.SUCCESS


def test_other_calls_run_on_the_thread_of_the_engine(rig: Rig) -> None:
    async def look() -> str:
        return threading.current_thread().name

    assert rig.engine().run(look).result(HANG_S) == "modellix-engine"


def test_what_is_not_known_is_said(rig: Rig) -> None:
    engine = rig.engine()
    with pytest.raises(KeyError):
        engine.get("nobody")
    with pytest.raises(KeyError):
        engine.future("nobody")
    assert engine.problem("nobody") is None


def test_a_task_that_is_let_go_lives_on_and_can_be_taken_up(rig: Rig, service: FakeService) -> None:
    asked, open_ = threading.Event(), asyncio.Event()

    async def wait(_task_id: str) -> TaskAnswer:
        asked.set()
        await open_.wait()
        return success()

    service.on_poll = wait
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert asked.wait(HANG_S)

    assert engine.unwatch(task.uid)
    assert not engine.watches(task.uid)
    assert ended(engine, task).status is Status.PENDING
    assert rig.row(task.uid).status is Status.PENDING

    service.on_poll = None
    assert engine.resume([task]) == [task]
    assert ended(engine, task).status is Status.SUCCESS
    assert engine.watched() == [task.uid]
    assert len(service.submitted) == 1
    assert not engine.unwatch(task.uid), "there is nothing left to let go of"


def test_a_submission_on_its_way_is_not_let_go(rig: Rig, service: FakeService) -> None:
    sent, open_ = threading.Event(), threading.Event()

    async def accept(_request: Request, _on_progress: OnProgress) -> Accepted:
        sent.set()
        await asyncio.to_thread(open_.wait, HANG_S)
        return Accepted("t1", None)

    service.on_submit = accept
    engine = rig.engine()
    (task,) = engine.submit([request()])
    assert sent.wait(HANG_S)
    assert not engine.unwatch(task.uid)
    open_.set()
    assert ended(engine, task).status is Status.SUCCESS


def test_one_that_never_left_is_let_go_and_sent_when_the_user_says_so(
    rig: Rig, service: FakeService
) -> None:
    open_ = threading.Event()

    async def accept(_request: Request, _on_progress: OnProgress) -> Accepted:
        await asyncio.to_thread(open_.wait, HANG_S)
        return Accepted(f"t{len(service.submitted)}", None)

    service.on_submit = accept
    engine = rig.engine(max_in_flight=1)
    first, second = engine.submit([request("one"), request("two")])
    assert engine.unwatch(second.uid)
    open_.set()
    assert ended(engine, first).status is Status.SUCCESS
    assert ended(engine, second).submitted_at is None
    assert len(service.submitted) == 1

    assert engine.send([rig.row(second.uid)])
    assert ended(engine, second).status is Status.SUCCESS
    assert [r.prompt for r in service.submitted] == ["one", "two"]
