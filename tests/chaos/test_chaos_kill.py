"""A process with a real ledger is killed at any moment, and the next one loses nothing.

On both databases: on a server, every kernel that is killed shares one ledger with those before it.

The moments are spread over what an undisturbed run takes, each at random within its share, so that
they are repeatable up to the scheduler and leave no part of a run untouched. Submissions are often
held at the service after it has taken them: that is the moment in which a kill costs an answer.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from chaos_processes import PATIENCE_S, Child, start, submit_and_wait
from chaos_world import (
    FULL,
    SPEED,
    Outcome,
    accepted,
    assert_once,
    assert_whole,
    compare,
    hurried_session,
    rows,
    settings,
)

from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.notebook.recovery import resolve_unknown
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.sandbox_server import Faults, Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Status, Task

pytestmark = pytest.mark.slow

KILLS = 100 if FULL else 15
TASKS = 6
AT_ONCE = 2
"""Tasks that are at the service at once: at any moment some have not left yet."""
ANSWERS_ARE_READ_S = 2.0
SEED = 3
HELD = Faults(submit={"hang": 0.5}, hang_seconds=0.06, seed=SEED)


@dataclass
class Tally:
    """What the kills met, over all of them."""

    stages: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    resent: int = 0
    settled: int = 0


@dataclass
class Yard:
    """Where the killing is done."""

    sandbox: Sandbox
    ledger: str
    tally: Tally
    usual_s: float = 0.0

    def settings(self, home: Path, **others: object) -> Settings:
        return settings(self.sandbox, home, ledger=self.ledger, **others)

    def begun(self, home: Path, name: str) -> Child:
        """Start a process that is about to submit."""
        child = start(submit_and_wait, self.settings(home, max_in_flight=AT_ONCE), name, TASKS)
        assert child.hear() == "about to submit"
        return child


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory, module_ledger: str) -> Iterator[Yard]:
    with Sandbox(speed=SPEED, faults=HELD) as sandbox:
        made = Yard(sandbox, module_ledger, Tally())
        usual = [undisturbed(made, tmp_path_factory.mktemp("usual"), n) for n in range(3)]
        made.usual_s = sorted(usual)[1]
        yield made


def undisturbed(yard: Yard, home: Path, n: int) -> float:
    """Return what a run takes that nobody kills, in seconds."""
    child = yard.begun(home, f"usual-{n}")
    before = time.monotonic()
    assert child.hear() == "done"
    taken = time.monotonic() - before
    child.end()
    return taken


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_kill_loses_nothing(yard: Yard, home: Path, kill: int) -> None:
    name = f"kill-{kill}-"
    child = yard.begun(home, name)
    within = random.Random(f"{SEED} {kill}").random()  # noqa: S311 - a repeatable moment, no secret
    moment = (kill + within) / KILLS * yard.usual_s
    child.said(moment)  # or until it is done, where it was quicker than usual
    child.kill()
    session = hurried_session(yard.settings(home))
    try:
        left = rows(session, name)
        assert len(left) in {0, TASKS}, "the intents are recorded all together, or not at all"
        assert left or not accepted(yard.sandbox, name)
        yard.tally.kills += 1
        yard.tally.stages.update(stage(task) for task in left.values())
        taken_up(yard, session, name)
    finally:
        session.close()


def stage(task: Task) -> str:
    if task.status is Status.SUBMITTING:
        return "not sent" if task.submitted_at is None else "sent, no answer read"
    if task.status.ended:
        return "here" if task.is_final else "to be downloaded"
    return "at the service"


def taken_up(yard: Yard, session: Session, name: str) -> None:
    """Resume, then settle and send as a user would, and look at everything after each."""
    before = rows(session, name)
    session.resume().block()
    outcome = compare(yard.sandbox, rows(session, name), name)
    assert_resumed(outcome, before)
    paid = accepted(yard.sandbox, name)
    words = [f"{t.uid[:12]}={paid[p]}" for p, t in outcome.lost_answers.items()]
    words += [f"{t.uid[:12]}=none" for t in outcome.never.values() if t.status is Status.UNKNOWN]
    yard.tally.settled += len(words)
    session.results(resolve_unknown(session, words)).block()
    unsent = [t for t in outcome.never.values() if t.status is Status.SUBMITTING]
    yard.tally.resent += len(unsent)
    going = resolve_unknown(session, ["send", "--yes"])
    assert {t.uid for t in going} == {t.uid for t in unsent}
    session.results(going).block()
    assert_complete(yard.sandbox, session, name)


def assert_resumed(outcome: Outcome, before: dict[str, Task]) -> None:
    """Assert what a resume promises with nobody asked."""
    for task in outcome.known.values():
        assert task.status is Status.SUCCESS
        assert_whole(task)
    assert {t.status for t in outcome.lost_answers.values()} <= {Status.UNKNOWN}
    for prompt, task in outcome.never.items():
        left = before[prompt]
        never_left = left.status is Status.SUBMITTING and left.submitted_at is None
        assert task.status is (Status.SUBMITTING if never_left else Status.UNKNOWN)


def assert_complete(sandbox: Sandbox, session: Session, name: str) -> None:
    """Assert that each accepted task is here, whole and once."""
    outcome = compare(sandbox, rows(session, name), name)
    assert not session.unfinished()
    assert not session.unknown()
    assert not outcome.lost_answers
    for task in outcome.known.values():
        assert task.status is Status.SUCCESS
        assert_whole(task)
    assert {t.status for t in outcome.never.values()} <= {Status.REJECTED}
    assert_once(outcome.known.values(), session.home / "files")


def test_an_id_is_on_the_disk_once_its_answer_was_read(home: Path) -> None:
    """Kill well after the answers, and well before anything else is known of the tasks."""
    with Sandbox() as unhurried:  # a task waits there for six seconds at least
        child = start(submit_and_wait, settings(unhurried, home), "id", TASKS)
        assert child.hear() == "about to submit"
        deadline = time.monotonic() + PATIENCE_S
        while len(unhurried.submissions) < TASKS:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert not child.said(ANSWERS_ARE_READ_S)
        child.kill()
        ledger = Ledger(home / "ledger.sqlite3", home / "files")
        found = {t.request.prompt: t.task_id for t in ledger.tasks()}
        ledger.close()
        assert found == accepted(unhurried, "id")


def test_the_kills_met_every_stage(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    """Run last: kills that all fall into one stage would prove little."""
    if yard.tally.kills < KILLS:
        pytest.skip("some of the kills were deselected, or failed")
    stages = {"not sent", "sent, no answer read", "at the service", "here"}
    assert stages <= set(yard.tally.stages), yard.tally
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what this run is for
            f"\nkill: {KILLS} kills within {yard.usual_s:.2f} s, {TASKS} tasks each, seed {SEED}, "
            f"{'PostgreSQL' if yard.ledger else 'SQLite'}\n"
            f"  found {dict(yard.tally.stages)}; settled {yard.tally.settled}, "
            f"sent later {yard.tally.resent}"
        )
