"""Machines that share nothing but a ledger on PostgreSQL and a place of files, and one batch."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chaos_processes import PATIENCE_S, Child, run_cell, start, work_on_batch
from chaos_world import (
    FULL,
    KEY,
    SPEED,
    assert_once,
    assert_whole,
    compare,
    fetched,
    rows,
    settings,
    with_status,
)

from modellix_jupyter.notebook.session import Session
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Status

if TYPE_CHECKING:
    from postgres_server import PostgresServer

pytestmark = pytest.mark.slow

COUNT = 60
MANY = 1000 if FULL else 100
MACHINES = 3
AT_ONCE = 8
SEED = 5


@dataclass
class Team:
    """Machines on one ledger and one place of files."""

    sandbox: Sandbox
    home: Path
    url: str
    batch: int
    started: int = 0
    killed: int = 0
    children: list[Child] = field(default_factory=list)

    def settings(self) -> Settings:
        """Return the settings of a machine that has a home of its own."""
        self.started += 1
        return settings(
            self.sandbox,
            self.home / f"machine-{self.started}",
            ledger=self.url,
            files=f"file://{self.files}",
            max_in_flight=AT_ONCE,
            requests_per_second=200.0,
        )

    @property
    def files(self) -> Path:
        return self.home / "shared"

    def join(self) -> Child:
        """Let one machine more work on the batch."""
        child = start(work_on_batch, self.settings(), "batch", self.batch)
        assert child.hear() == "about to submit"
        self.children.append(child)
        return child

    def kill(self, child: Child) -> None:
        child.kill()
        self.children.remove(child)
        self.killed += 1

    def end(self, session: Session) -> None:
        """Wait for who is left, and hold the ledger against what was paid."""
        for child in self.children:
            assert len(child.hear()) == self.batch
            child.end()
        outcome = compare(self.sandbox, rows(session))  # no prompt was paid for twice
        everything = (*outcome.known.values(), *outcome.lost_answers.values())
        assert len(everything) + len(outcome.never) == self.batch
        assert {task.status for task in outcome.known.values()} == {Status.SUCCESS}
        for task in outcome.known.values():
            assert_whole(task)
        assert_once(outcome.known.values(), self.files)
        # what was on its way at a kill: nobody knows, so it is not sent again
        left = (*outcome.lost_answers.values(), *outcome.never.values())
        assert {task.status for task in left} <= {Status.UNKNOWN}
        assert len(left) <= AT_ONCE * self.killed
        # a kill may have come between a file's last byte and its row
        twice = [path for path, times in Counter(fetched(self.sandbox)).items() if times > 1]
        assert len(twice) <= AT_ONCE * self.killed


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(speed=SPEED / 10) as running:  # slow enough to be stopped in the middle
        yield running


@pytest.fixture
def watching(home: Path, sandbox: Sandbox, postgres_url: str) -> Iterator[Session]:
    """Return a session that only looks."""
    looks = settings(
        sandbox, home / "looks", ledger=postgres_url, files=f"file://{home / 'shared'}"
    )
    session = Session(looks, key=KEY)
    yield session
    session.close()


def successes(session: Session) -> int:
    return len(with_status(rows(session).values(), Status.SUCCESS))


def wait_for_successes(session: Session, count: int) -> None:
    """Return once so many tasks of the ledger have succeeded."""
    until = time.monotonic() + PATIENCE_S
    while successes(session) < count:
        assert time.monotonic() < until, "it never came that far"
        time.sleep(0.02)


def test_two_homes_that_share_two_variables_end_a_batch_though_one_is_killed(
    home: Path, sandbox: Sandbox, postgres_url: str, watching: Session
) -> None:
    team = Team(sandbox, home, postgres_url, COUNT)
    shared = {
        "MODELLIX_LEDGER": postgres_url,
        "MODELLIX_FILES": str(team.files),
        "MODELLIX_BASE_URL": sandbox.base_url,
        "MODELLIX_API_KEY": KEY,
    }
    for name in ("one", "other"):
        environment = {**shared, "MODELLIX_HOME": str(home / name)}
        team.children.append(start(run_cell, environment, "batch", COUNT))
    for child in team.children:
        assert child.hear() == "about to submit"
    wait_for_successes(watching, COUNT // 4)
    team.kill(team.children[0])
    assert successes(watching) < COUNT, "it was too quick"
    team.end(watching)


def test_machines_that_stop_and_die_at_any_moment_lose_nothing_and_send_nothing_twice(
    home: Path,
    sandbox: Sandbox,
    postgres_url: str,
    watching: Session,
    capsys: pytest.CaptureFixture[str],
) -> None:
    moments = random.Random(SEED)  # noqa: S311 - repeatable moments, no secret
    team = Team(sandbox, home, postgres_url, MANY)
    for _ in range(MACHINES):
        team.join()
    stops, kills = (30, 6) if FULL else (6, 2)
    events = ["stop"] * stops + ["kill"] * kills
    moments.shuffle(events)
    for number, event in enumerate(events, 1):
        wait_for_successes(watching, MANY * number // (len(events) + 4))
        child = moments.choice(team.children)
        if event == "kill":
            team.kill(child)
            team.join()
        else:
            child.stop()
            time.sleep(moments.uniform(0.05, 0.6))
            child.go_on()
        assert successes(watching) < MANY, "it was too quick"
    team.end(watching)
    owners = Counter(owner for owner, _ in watching.ledger.rows(uids(watching)).values())
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what this run is for
            f"\nshared: {MANY} tasks, {MACHINES} machines at a time, {stops} stops, {kills} kills; "
            f"by machine {sorted(owners.values())}, {MANY - successes(watching)} unknown"
        )


def uids(session: Session) -> list[str]:
    return [task.uid for task in rows(session).values()]


def test_the_server_is_restarted_in_the_middle(
    home: Path, sandbox: Sandbox, postgres_url: str, watching: Session, postgres: PostgresServer
) -> None:
    team = Team(sandbox, home, postgres_url, MANY)
    for _ in range(2):
        team.join()
    for part in (4, 2):
        wait_for_successes(watching, MANY // part)
        postgres.stop()
        time.sleep(0.5)
        postgres.start()
    assert successes(watching) < MANY, "it was too quick"
    team.end(watching)
