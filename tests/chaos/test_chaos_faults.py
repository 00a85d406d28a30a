"""Hundreds of tasks while three requests in ten go wrong, in every way that the sandbox knows.

The n-th request of a kind meets the fault that the seed gives it. Which task makes the n-th request
is up to the scheduler, but how many submissions are sent, accepted, refused and left in the dark is
not: each task makes requests until one is not to be tried again. So these counts are worked out
here from the seed alone, and must be met exactly.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from chaos_world import (
    FULL,
    SPEED,
    accepted,
    assert_once,
    assert_whole,
    compare,
    fetched,
    hurried_session,
    lost,
    path_of,
    plan,
    rows,
    settings,
    with_status,
)

from modellix_jupyter.engine.job import SURE_AFTER
from modellix_jupyter.notebook.recovery import resolve_unknown
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.sandbox_server import Fault, Faults, Sandbox
from modellix_jupyter.sandbox_server.faults import POSSIBLE, Operation
from modellix_jupyter.values import Status

pytestmark = pytest.mark.slow

TASKS = 1000 if FULL else 120
RATE = 0.3
SEED = 13
ANSWER_WITHIN_S = 2.0
"""Far above what an answer takes here, so that only a held one is given up."""
HELD_S = (5 if FULL else 2) * ANSWER_WITHIN_S
"""Also where the machine is so busy that the client stands still for a while, and reads late."""
AGAIN = frozenset({Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.UNAVAILABLE})
REFUSED = frozenset(
    {Fault.BAD_REQUEST, Fault.UNAUTHORIZED, Fault.PAYMENT_REQUIRED, Fault.NOT_FOUND}
)
NOT_TAKEN = frozenset({Fault.PROXY_ERROR, Fault.RESET_BEFORE})
GONE = frozenset({Fault.NOT_FOUND, Fault.EXPIRED_FILE})
ROUNDS = 200


@dataclass
class Forecast:
    """What the seed alone says of the submissions."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    not_taken: int = 0
    answers_lost: int = 0

    @property
    def unknown(self) -> int:
        return self.not_taken + self.answers_lost


def forecast(faults: Faults, tasks: int) -> Forecast:
    """Follow the submissions until each task has had an answer that is not to be tried again."""
    f = Forecast()
    while f.accepted - f.answers_lost + f.unknown + f.refused < tasks:
        fault = faults.choose("submit", f.sent)
        f.sent += 1
        if fault is None:
            f.accepted += 1
        elif fault in REFUSED:
            f.refused += 1
        elif fault in NOT_TAKEN:
            f.not_taken += 1
        elif fault not in AGAIN:
            f.accepted += 1
            f.answers_lost += 1
    return f


@dataclass
class Run:
    """A run that has ended, and what it was made of."""

    sandbox: Sandbox
    session: Session
    faults: Faults
    rounds: int
    seconds: float


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, module_ledger: str) -> Iterator[Run]:
    """Submit everything, and resume until nothing is unfinished."""
    faults = Faults.everywhere(RATE, seed=SEED, hang_seconds=HELD_S)
    home = tmp_path_factory.mktemp("chaos")
    began = time.monotonic()
    with Sandbox(speed=SPEED, faults=faults) as sandbox:
        session = opened(sandbox, home, module_ledger)
        session.submit(plan("chaos", TASKS)).block()
        rounds = finish(session)
        # what is looked at from here on is what the next kernel finds
        session.close()
        yield Run(sandbox, session, faults, rounds, time.monotonic() - began)


def opened(sandbox: Sandbox, home: Path, ledger: str) -> Session:
    quick = settings(sandbox, home, submit_timeout_s=ANSWER_WITHIN_S, ledger=ledger)
    return hurried_session(quick)


def finish(session: Session) -> int:
    """Resume as often as a user has to: a 401 or a 402 stops what it is about, say."""
    for count in range(1, ROUNDS + 1):
        if not session.unfinished():
            return count
        resolve_unknown(session, ["send", "--yes"])
        session.resume().block()
        session.block()
    raise AssertionError(f"still unfinished: {session.unfinished()}")


def met(run: Run, operation: Operation) -> dict[str, list[Fault]]:
    """Return what the requests of an operation met, by path, in order."""
    found: dict[str, list[Fault]] = defaultdict(list)
    paths = fetched(run.sandbox) if operation == "download" else reads(run.sandbox)
    for n, path in enumerate(paths):
        if fault := run.faults.choose(operation, n):
            found[path].append(fault)
    return found


def reads(sandbox: Sandbox) -> list[str]:
    return [e.path for e in tuple(sandbox.journal) if e.path.startswith("/api/v1/tasks/")]


def posts(sandbox: Sandbox) -> int:
    return sum(e.method == "POST" for e in tuple(sandbox.journal))


def test_every_kind_of_fault_was_met(run: Run) -> None:
    counts: dict[Operation, int] = {
        "submit": posts(run.sandbox),
        "read": len(reads(run.sandbox)),
        "download": len(fetched(run.sandbox)),
    }
    for operation, count in counts.items():
        faced = Counter(run.faults.choose(operation, n) for n in range(count))
        assert set(faced) == {*POSSIBLE[operation], None}, operation
        assert 0.2 < 1 - faced[None] / count < 0.4


def test_the_submissions_are_those_that_the_seed_foretells(run: Run) -> None:
    expected = forecast(run.faults, TASKS)
    tasks = list(run.session.ledger.tasks())
    assert len(tasks) == TASKS
    assert posts(run.sandbox) == expected.sent
    assert len(run.sandbox.submissions) == expected.accepted
    assert len(with_status(tasks, Status.REJECTED)) == expected.refused
    assert len(with_status(tasks, Status.UNKNOWN)) == expected.unknown
    assert sum(task.attempts for task in tasks) == expected.sent


def test_none_is_submitted_twice_and_each_payment_has_its_row(run: Run) -> None:
    outcome = compare(run.sandbox, rows(run.session))
    expected = forecast(run.faults, TASKS)
    assert len(accepted(run.sandbox)) == expected.accepted
    assert len(outcome.lost_answers) == expected.answers_lost


def test_exactly_what_has_no_readable_answer_is_unknown(run: Run) -> None:
    outcome = compare(run.sandbox, rows(run.session))
    assert {t.status for t in outcome.lost_answers.values()} == {Status.UNKNOWN}
    assert {t.status for t in outcome.never.values()} == {Status.UNKNOWN, Status.REJECTED}
    assert not with_status(outcome.known.values(), Status.UNKNOWN, Status.REJECTED)
    for task in run.session.unknown():
        assert task.error_message
        assert task.task_id is None


def test_every_accepted_task_is_here_whole_or_was_lost_by_the_service(run: Run) -> None:
    known = compare(run.sandbox, rows(run.session)).known.values()
    denied = met(run, "download")
    for task in with_status(known, Status.SUCCESS):
        assert_whole(task)
        for resource in task.resources:
            faults = denied.get(path_of(resource.url), [])
            assert not resource.lost or sum(fault in GONE for fault in faults) >= SURE_AFTER
    assert_once(known, run.session.home / "files")
    assert not run.session.unfinished()
    assert {task.status for task in known} <= {Status.SUCCESS, Status.EXPIRED}


def test_only_what_the_service_denied_repeatedly_is_expired(run: Run) -> None:
    known = compare(run.sandbox, rows(run.session)).known.values()
    denied = met(run, "read")
    for task in with_status(known, Status.EXPIRED):
        faults = denied[f"/api/v1/tasks/{task.task_id}"]
        assert faults.count(Fault.NOT_FOUND) >= SURE_AFTER
        assert task.error_message
    assert len(with_status(known, Status.EXPIRED)) <= 2


def test_a_file_that_is_here_is_not_fetched_again(run: Run) -> None:
    """Each file is asked for until it comes: never after that."""
    last: dict[str, Fault | None] = {}
    for n, path in enumerate(fetched(run.sandbox)):
        assert path not in last or last[path] is not None, path
        last[path] = run.faults.choose("download", n)


def test_figures(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Print what the docs quote, where the full run is asked for."""
    tasks = list(run.session.ledger.tasks())
    by_status = Counter(task.status.value for task in tasks)
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what this run is for
            f"\nchaos: {TASKS} tasks, {RATE:.0%} faults, seed {SEED}, {run.seconds:.0f} s, "
            f"{'PostgreSQL' if run.session.ledger.path is None else 'SQLite'}, "
            f"resumed {run.rounds - 1} times\n"
            f"  sent {posts(run.sandbox)} submissions, {len(reads(run.sandbox))} questions, "
            f"{len(fetched(run.sandbox))} downloads; foretold: {forecast(run.faults, TASKS)}\n"
            f"  rows {dict(sorted(by_status.items()))}, of these lost {sum(map(lost, tasks))}"
        )


def test_an_unknown_one_is_settled_by_its_user(run: Run) -> None:
    """Settle one that was accepted and one that was not, as `%modellix resume` says."""
    session = opened(run.sandbox, run.session.home, run.session.settings.ledger)
    outcome, paid = compare(run.sandbox, rows(session)), accepted(run.sandbox)
    prompt, found = min(outcome.lost_answers.items())
    other = next(t for _, t in sorted(outcome.never.items()) if t.status is Status.UNKNOWN)
    sent, unknown = posts(run.sandbox), len(session.unknown())
    (going,) = resolve_unknown(
        session, [f"{found.uid[:12]}={paid[prompt]}", f"{other.uid[:12]}=none"]
    )
    assert going.uid == found.uid
    session.results([going]).block()
    finish(session)
    after = rows(session)
    assert after[prompt].task_id == paid[prompt]
    assert after[prompt].status in {Status.SUCCESS, Status.EXPIRED}
    if after[prompt].status is Status.SUCCESS:
        assert_whole(after[prompt])
    assert after[other.request.prompt or ""].status is Status.REJECTED
    assert len(session.unknown()) == unknown - 2
    assert posts(run.sandbox) == sent
    session.close()
