"""Taking back what was not sent, and what an interrupt says and does about it."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from session_rig import HANG_S, UNPOLLED, Sessions

from modellix_jupyter.engine import waiting
from modellix_jupyter.errors import WaitInterrupted
from modellix_jupyter.html import formatting
from modellix_jupyter.notebook import current_session, functions
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.notebook.spending import Order
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results import results as results_module
from modellix_jupyter.results.results import Results
from modellix_jupyter.values import Status

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")

SLOW = "sandbox/slow"


def some_sent(session: Session, count: int = 6, batch: str | None = None) -> Results:
    """Send tasks of which two have a place at the service, and return once those two run."""
    results = session.submit(make_plan(["p"], [SLOW], repeat=count), batch=batch)
    until_two_run(session)
    return results


def until_two_run(session: Session) -> None:
    while sum(task.task_id is not None for task in session.ledger.tasks()) < 2:
        session.engine.run(_nothing).result(HANG_S)


async def _nothing() -> None:
    """Let the engine's loop turn once."""


@pytest.fixture
def narrow(sessions: Sessions) -> Session:
    """Return a session with two places."""
    return current_session.push(sessions(pace=UNPOLLED, max_in_flight=2))


def statuses(results: Results) -> list[Status]:
    return sorted(task.status for task in results)


def test_what_was_not_sent_is_taken_back_and_what_runs_goes_on(
    narrow: Session, sessions: Sessions
) -> None:
    results = some_sent(narrow).stop()
    assert results.done
    assert statuses(results) == [Status.PENDING] * 2 + [Status.REJECTED] * 4
    back = [task for task in results if task.status is Status.REJECTED]
    assert {task.error_message for task in back} == {"stopped before it was sent"}
    assert {task.price for task in back} == {None}
    assert sessions.posts() == 2
    rows = {task.uid: task.status for task in narrow.ledger.tasks()}
    assert [rows[task.uid] for task in results] == [task.status for task in results]
    assert narrow.ledger.standings("sandbox", results[0].created_at)[0].spent == 0.002


def test_the_words_say_what_goes_on(narrow: Session) -> None:
    some_sent(narrow)
    assert str(narrow.stop()) == (
        "Stopped: 4 taken back before they were sent; "
        "2 still running at the service, and charged (see `%modellix wait`)."
    )
    assert str(narrow.stop()) == "Nothing is running."


def test_what_nobody_sends_is_held_and_waits_for_nothing(narrow: Session) -> None:
    results = some_sent(narrow)
    for task in results[3:]:
        assert narrow.engine.unwatch(task.uid)
    cards = results.cards()
    assert [formatting.state(card) for card in cards[2:]] == ["submitting", *["held"] * 3]
    assert formatting.counts(cards) == "0 of 6 done, 2 pending, 1 waiting for a place, 3 held"
    assert [formatting.waiting(card.activity, 0) for card in cards[3:]] == [""] * 3
    narrow.engine.send(results[3:])
    assert not any(card.held for card in results.cards())


def test_what_a_kernel_left_unsent_is_taken_back_too(sessions: Sessions) -> None:
    first = sessions(pace=UNPOLLED, max_in_flight=1)
    results = first.submit(make_plan(["p"], [SLOW], repeat=3))
    while results[0].task_id is None:
        first.engine.run(_nothing).result(HANG_S)
    first.close()
    other = sessions(pace=UNPOLLED)
    assert str(other.stop()) == "Stopped: 2 taken back before they were sent."
    assert sum(t.status is Status.REJECTED for t in other.ledger.tasks()) == 2
    assert sessions.posts() == 1


@pytest.mark.parametrize("batch", [None, "shared"])
def test_an_interrupt_of_a_hundred_takes_back_what_was_not_sent(
    sessions: Sessions, place: Path | str, monkeypatch: pytest.MonkeyPatch, batch: str | None
) -> None:
    ledger = place if isinstance(place, str) else ""
    session = sessions(pace=UNPOLLED, max_in_flight=2, ledger=ledger)
    results = some_sent(session, 100, batch)
    with monkeypatch.context() as patch:
        patch.setattr(results_module, "wait_for", interrupt)
        with pytest.raises(WaitInterrupted, match="98 not sent yet are taken back; 2 tasks go on"):
            results.wait()
    assert statuses(results) == [Status.PENDING] * 2 + [Status.REJECTED] * 98
    rows = {task.uid: task.status for task in session.ledger.tasks()}
    assert [rows[task.uid] for task in results] == [task.status for task in results]
    assert sessions.posts() == 2
    spent = session.ledger.standings("sandbox", results[0].created_at)[0].spent
    assert spent == pytest.approx(0.002)
    # nobody has it in mind to send them any more
    session.engine.run(lambda: asyncio.sleep(0.1)).result(HANG_S)
    assert statuses(results) == [Status.PENDING] * 2 + [Status.REJECTED] * 98
    assert sessions.posts() == 2


def test_an_awaited_call_that_is_cancelled_takes_back_too(
    narrow: Session, sessions: Sessions
) -> None:
    async def cancelled() -> None:
        calling = asyncio.create_task(functions.agenerate(["p"] * 6, SLOW, yes=True))
        await asyncio.to_thread(until_two_run, narrow)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling

    asyncio.run(cancelled())
    statuses = sorted(task.status for task in narrow.ledger.tasks())
    assert statuses == [Status.PENDING] * 2 + [Status.REJECTED] * 4
    assert sessions.posts() == 2


def test_a_call_that_is_cancelled_while_it_sends_takes_back_what_it_sent(
    narrow: Session, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, send = threading.Event(), threading.Event(), narrow.send

    def slow(made: Order) -> Results:
        begun.set()
        go_on.wait(HANG_S)
        return send(made)

    monkeypatch.setattr(narrow, "send", slow)

    async def cancelled() -> None:
        calling = asyncio.create_task(functions.agenerate(["p"] * 6, SLOW, yes=True))
        await asyncio.to_thread(begun.wait, HANG_S)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        go_on.set()
        await asyncio.to_thread(until_none_is_unsent, narrow)

    asyncio.run(cancelled())
    assert sessions.posts() <= 2


def until_none_is_unsent(session: Session) -> None:
    until = time.monotonic() + HANG_S
    while not (tasks := session.ledger.tasks()) or any(task.unsent for task in tasks):
        assert time.monotonic() < until
        session.engine.run(_nothing).result(HANG_S)


@pytest.mark.parametrize("moment", ["recording", "showing"])
def test_an_interrupt_before_the_wait_takes_back_too(
    narrow: Session, sessions: Sessions, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    add = narrow.ledger.add

    def record(*args: Any) -> None:
        add(*args)
        signal.raise_signal(signal.SIGINT)

    if moment == "recording":
        monkeypatch.setattr(narrow.ledger, "add", record)
    else:
        monkeypatch.setattr(Results, "show", interrupt)
    with pytest.raises(WaitInterrupted, match="not sent yet are taken back"):
        functions.generate(["p"] * 6, SLOW, yes=True)
    tasks = narrow.ledger.tasks()
    assert sum(task.status is Status.REJECTED for task in tasks) >= 4
    assert not any(task.unsent for task in tasks)
    assert sessions.posts() <= 2


def interrupt(*_: object, **__: object) -> bool:
    raise KeyboardInterrupt


@pytest.mark.parametrize("takes_back", [True, False])
def test_an_interrupt_says_how_many_were_not_sent(
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
    takes_back: bool,  # noqa: FBT001 - the setting
) -> None:
    session = sessions(pace=UNPOLLED, max_in_flight=2, stop_unsent_on_interrupt=takes_back)
    results = some_sent(session)
    monkeypatch.setattr(results_module, "wait_for", interrupt)
    with pytest.raises(WaitInterrupted) as stopped:
        results.wait()
    monkeypatch.setattr(results_module, "wait_for", waiting.wait_for)
    if takes_back:
        said = "only the waiting ended; 4 not sent yet are taken back; 2 tasks go on."
    else:
        said = "only the waiting ended; 6 tasks go on, 4 of them not sent yet."
        assert "`%modellix stop` takes those back" in stopped.value.hint
    assert stopped.value.message == said
    assert sum(task.status is Status.REJECTED for task in results) == (4 if takes_back else 0)
