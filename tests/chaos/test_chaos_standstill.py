"""Kernels that fork or stand still, and a service whose reading side lags behind its writing side.

Each on both databases. None of it is a reason to lose a task, to pay for one twice, or not to know.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos_processes import (
    PATIENCE_S,
    Child,
    start,
    submit_and_fork,
    submit_and_wait,
    work_on_batch,
)
from chaos_world import (
    FULL,
    SPEED,
    assert_once,
    assert_whole,
    compare,
    hurried_session,
    plan,
    rows,
    settings,
)

from modellix_jupyter.notebook.session import Session
from modellix_jupyter.sandbox_server import Faults, Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Status

pytestmark = pytest.mark.slow

COUNT = 500 if FULL else 60
STOPS = 60 if FULL else 12
ANSWER_WITHIN_S = 1.0
"""A process stands still for longer than it waits for the answer to a submission."""
STANDS_S = 1.8 * ANSWER_WITHIN_S
LAGGING = 200 if FULL else 32
LAG_S = 2.5
"""Far longer, by the hurried clock, than anybody waits for a task that is not found."""
SEED = 7
HELD = Faults(submit={"hang": 0.5}, hang_seconds=0.06, seed=SEED)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(speed=SPEED, faults=getattr(request, "param", HELD)) as running:
        yield running


@pytest.fixture
def ours(sandbox: Sandbox, home: Path, place: Path | str) -> Settings:
    """Return the settings of a kernel: one home and its files, the ledger in either way."""
    return settings(
        sandbox,
        home,
        ledger=place if isinstance(place, str) else "",
        submit_timeout_s=ANSWER_WITHIN_S,
        max_in_flight=8,  # slow enough to stand still in the middle
    )


@pytest.fixture
def session(ours: Settings) -> Iterator[Session]:
    opened = hurried_session(ours)
    yield opened
    opened.close()


def assert_all_here(sandbox: Sandbox, session: Session, count: int) -> None:
    """Assert that each prompt was paid once, and that its picture is here, whole and once."""
    outcome = compare(sandbox, rows(session))
    assert not outcome.lost_answers
    assert not outcome.never
    assert len(outcome.known) == count
    for task in outcome.known.values():
        assert task.status is Status.SUCCESS
        assert_whole(task)
        assert not [r for r in task.resources if r.lost]
    assert_once(outcome.known.values(), session.home / "files")


def test_processes_that_stand_still_take_nothing_for_unanswered(
    sandbox: Sandbox, ours: Settings, session: Session
) -> None:
    moments = random.Random(SEED)  # noqa: S311 - repeatable moments, no secret
    each = COUNT // 2
    children = [start(submit_and_wait, ours, name, each) for name in ("one", "two")]
    for child in children:
        assert child.hear() == "about to submit"
    stopped = sum(stand_still(moments, children) for _ in range(STOPS))
    assert stopped > STOPS // 2, "they were too quick"
    for child in children:
        assert child.hear() == "done"
        child.end()
    assert_all_here(sandbox, session, 2 * each)


def stand_still(moments: random.Random, children: list[Child]) -> bool:
    """Let one of those that still work stand still for a while."""
    time.sleep(moments.uniform(0.0, 0.1))
    working = [child for child in children if not child.said(0)]
    if not working:
        return False
    child = moments.choice(working)
    child.stop()
    time.sleep(moments.uniform(0.0, STANDS_S))
    child.go_on()
    return True


def test_a_process_that_forks_shares_its_batch_with_another_and_sends_it_once(
    sandbox: Sandbox, ours: Settings, session: Session
) -> None:
    forks = start(submit_and_fork, ours, "batch", COUNT)
    assert forks.hear() == "about to submit"
    other = start(work_on_batch, ours, "batch", COUNT)
    assert other.hear() == "about to submit"
    assert forks.hear() >= 10, "it was too quick"
    for child in (forks, other):
        assert child.hear() == ["success"] * COUNT
        child.end()
    assert_all_here(sandbox, session, COUNT)


@pytest.mark.parametrize("sandbox", [Faults(lag_seconds=LAG_S)], indirect=True)
def test_what_is_not_found_yet_is_found_later(sandbox: Sandbox, session: Session) -> None:
    results = session.submit(plan("lag", LAGGING))
    results.block()
    waited = [task.status for task in results]
    assert Status.PENDING in waited  # the first were let go of long before
    until = time.monotonic() + PATIENCE_S
    while not all(task.is_final for task in results):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert_all_here(sandbox, session, LAGGING)
    assert not session.engine.warnings
