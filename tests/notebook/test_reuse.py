"""What was paid for is not paid for again: results, tasks that run, and unknown outcomes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from session_rig import HANG_S, UNPOLLED, Sessions, wait_until_accepted

from modellix_jupyter.notebook import current_session, functions
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.values import Request, Status

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")

FAST = "sandbox/fast"


def seeded(*seeds: float, model: str = FAST, repeat: int = 1) -> list[Request]:
    return make_plan(["p"], [model], vary={"seed": seeds}, repeat=repeat)


def test_a_second_run_of_what_has_a_seed_submits_nothing(
    session: Session, sessions: Sessions
) -> None:
    first = session.submit(seeded(1, 2, repeat=2)).wait(HANG_S)
    again = session.submit(seeded(1, 2, repeat=2))
    assert again.done
    assert sessions.posts() == 4
    assert [t.task_id for t in again] == [t.task_id for t in first]
    assert again.paths == first.paths
    assert {t.uid for t in again}.isdisjoint(t.uid for t in first)
    frame = again.frame()
    assert frame["reused"].all()
    assert not first.frame()["reused"].any()
    assert frame["price"].sum() == 0
    assert frame["submitted_at"].tolist() == first.frame()["submitted_at"].tolist()
    assert "reused from 20" in repr(again)
    assert len(session.engine.watched()) == 8  # the panel shows them all


def test_what_is_new_among_them_is_sent_and_alone_is_asked_about(
    session: Session, sessions: Sessions
) -> None:
    session.submit(seeded(1, 2)).wait(HANG_S)
    order = session.order(seeded(1, 2, 3))
    assert order.words == "1 task for $0.001; 2 have been made before"
    assert [words.partition(":")[0] for words in order.price_words()] == ["$0.00"] * 2 + ["$0.001"]
    again = session.submit(seeded(1, 2, 3)).wait(HANG_S)
    assert again.frame()["reused"].tolist() == [True, True, False]
    assert sessions.posts() == 3


def test_without_a_seed_or_with_another_word_it_is_sent_again(
    session: Session, sessions: Sessions
) -> None:
    plain = make_plan(["p"], [FAST])
    for request, reuse in ((plain, ""), (plain, ""), (seeded(1), ""), (seeded(1), "off")):
        session.submit(request, reuse=reuse).wait(HANG_S)
    assert sessions.posts() == 4
    session.submit(plain, reuse="always").wait(HANG_S)
    assert sessions.posts() == 4


@pytest.mark.parametrize("reuse", ["always", "off"])
def test_the_setting_says_it_for_all(sessions: Sessions, reuse: str) -> None:
    session = sessions(reuse=reuse)
    for _ in range(2):
        session.submit(make_plan(["p"], [FAST])).wait(HANG_S)
    assert sessions.posts() == (1 if reuse == "always" else 2)


def test_a_float_that_is_a_whole_number_is_the_same_seed_here_and_in_a_batch(
    session: Session, sessions: Sessions
) -> None:
    session.submit(seeded(1)).wait(HANG_S)
    session.submit(seeded(1.0)).wait(HANG_S)
    current_session.push(session)
    session.adjust(session.settings.changed(reuse="off"))
    for seeds in ([2, 3], [2.0, 3.0]):
        frame = pd.DataFrame({"prompt": ["p", "q"], "seed": seeds})
        functions.submit_frame(frame, FAST, batch="b").wait(HANG_S)
    assert sessions.posts() == 3


def test_a_file_that_is_gone_is_made_anew(session: Session, sessions: Sessions) -> None:
    (path,) = session.submit(seeded(1)).wait(HANG_S).paths
    Path(path).unlink()
    session.submit(seeded(1)).wait(HANG_S)
    assert sessions.posts() == 2


def test_what_failed_is_sent_again(session: Session, sessions: Sessions) -> None:
    for _ in range(2):
        session.submit(seeded(1, model="sandbox/refuses")).wait(HANG_S)
    assert sessions.posts() == 2


def test_the_same_request_that_runs_is_joined_also_from_another_kernel(
    sessions: Sessions,
) -> None:
    session, other = sessions(pace=UNPOLLED), sessions(pace=UNPOLLED)
    first = session.submit(seeded(1, model="sandbox/slow"))
    wait_until_accepted(session, first)
    for kernel in (session, other):
        joined = kernel.submit(seeded(1, model="sandbox/slow"))
        assert [t.uid for t in joined] == [t.uid for t in first]
    assert sessions.posts() == 1


def test_one_of_unknown_outcome_is_shown_and_not_paid_for_again(
    session: Session, sessions: Sessions
) -> None:
    (first,) = session.submit(seeded(1, model="sandbox/silent")).wait(HANG_S)
    assert first.status is Status.UNKNOWN
    (again,) = session.submit(seeded(1, model="sandbox/silent"))
    assert again == first
    assert sessions.posts() == 1


def test_what_is_used_again_teaches_nothing_and_is_held_against_no_limit(
    session: Session,
) -> None:
    session.submit(seeded(1)).wait(HANG_S)
    before = session.ledger.durations(FAST, session.settings.base_url)
    session.ledger.set_budget("sandbox", "all", 0.0)
    session.submit(seeded(1))
    assert session.ledger.durations(FAST, session.settings.base_url) == before
