"""Two processes on one ledger, each with half of the tasks and both watching all of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos_processes import PATIENCE_S, start, submit_and_watch_all
from chaos_world import (
    FULL,
    KEY,
    SPEED,
    assert_once,
    assert_whole,
    compare,
    fetched,
    path_of,
    rows,
    settings,
    with_status,
)

from modellix_jupyter.notebook.session import Session
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Status, Task

pytestmark = pytest.mark.slow

EACH = 100 if FULL else 40
AT_ONCE = 16


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(speed=SPEED) as running:
        yield running


@pytest.fixture
def shared(sandbox: Sandbox, home: Path, place: Path | str) -> Settings:
    """Return the settings of both, with a ledger in each of the two ways."""
    url = place if isinstance(place, str) else ""
    return settings(sandbox, home, ledger=url, requests_per_second=200.0)


def seen(session: Session) -> list[tuple[str, str, str | None, str | None]]:
    return [(t.uid, t.status.value, t.task_id, t.path) for t in session.ledger.tasks()]


def asked_for(sandbox: Sandbox) -> Counter[str]:
    """Count the requests for each file."""
    return Counter(fetched(sandbox))


def test_both_end_with_the_same_rows_and_nothing_is_downloaded_twice(
    sandbox: Sandbox, home: Path, shared: Settings
) -> None:
    both = [start(submit_and_watch_all, shared, name, EACH) for name in ("one", "two")]
    for child in both:
        assert child.hear() == "submitted"
    for child in both:
        child.tell()
    first, second = (child.hear() for child in both)
    for child in both:
        assert child.hear() == [], "something had to be tried again"
        child.end()
    assert first == second
    assert len(first) == 2 * EACH
    session = Session(shared, key=KEY)
    assert seen(session) == first
    outcome = compare(sandbox, rows(session))
    session.close()
    assert len(outcome.known) == 2 * EACH
    for task in outcome.known.values():
        assert task.status is Status.SUCCESS
        assert_whole(task)
    files = asked_for(sandbox)
    assert files == Counter(path_of(r.url) for t in outcome.known.values() for r in t.resources)
    assert set(files.values()) == {1}
    assert_once(outcome.known.values(), home / "files")


def test_the_other_takes_over_when_one_is_killed_halfway(
    sandbox: Sandbox, shared: Settings
) -> None:
    quick = shared.changed(max_in_flight=AT_ONCE)
    names = ("stays", "killed")
    stays, killed = (start(submit_and_watch_all, quick, name, EACH) for name in names)
    for child in (stays, killed):
        assert child.hear() == "submitted"
    for child in (stays, killed):
        child.tell()
    session = Session(quick, key=KEY)
    halfway(session)
    killed.kill()
    # what the next one to look finds, before the other has noticed: nothing twice, nothing made up
    compare(sandbox, rows(session))
    watched = stays.hear()
    assert stays.hear() == [], "something had to be tried again"
    stays.end()
    assert len(watched) == 2 * EACH
    outcome = compare(sandbox, rows(session))
    session.close()
    assert_taken_over(outcome.known, outcome.lost_answers, outcome.never)
    assert len(with_status(outcome.known.values(), Status.SUCCESS)) > EACH
    # the kill may have come between a file's last byte and its row: then, and only then, once more
    twice = [path for path, times in asked_for(sandbox).items() if times > 1]
    assert len(twice) <= AT_ONCE, "more than can have been on their way at once"
    assert max(asked_for(sandbox).values()) <= 2
    mine = {path_of(r.url) for p, t in outcome.known.items() if "stays" in p for r in t.resources}
    assert not mine & set(twice)


def halfway(session: Session) -> None:
    """Wait until half of what the one to be killed submitted is here."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        done = [t for t in rows(session, "killed").values() if t.is_final and t.path]
        if len(done) >= EACH // 2:
            assert len(done) < EACH, "it was too quick to be killed halfway"
            return
        time.sleep(0.02)
    raise AssertionError("it never came halfway")


def assert_taken_over(
    known: dict[str, Task], lost_answers: dict[str, Task], never: dict[str, Task]
) -> None:
    for task in known.values():
        assert task.status is Status.SUCCESS
        assert_whole(task)
    assert all("killed" in prompt for prompt in (*lost_answers, *never))
    assert {t.status for t in lost_answers.values()} <= {Status.UNKNOWN}
    for task in never.values():
        assert task.status in {Status.SUBMITTING, Status.UNKNOWN}
        assert task.status is Status.UNKNOWN or task.submitted_at is None
