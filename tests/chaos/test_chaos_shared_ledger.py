"""Two homes that share nothing but a ledger on PostgreSQL, and one named batch."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from chaos_processes import PATIENCE_S, start, work_on_batch
from chaos_world import KEY, SPEED, compare, rows, settings, with_status

from modellix_jupyter.notebook.session import Session
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.values import Status

pytestmark = pytest.mark.slow

COUNT = 60
AT_ONCE = 8


def test_one_ends_the_batch_of_another_that_is_killed_and_each_is_paid_once(
    home: Path, postgres_url: str
) -> None:
    with Sandbox(speed=SPEED) as sandbox:
        quick = {"ledger": postgres_url, "max_in_flight": AT_ONCE, "requests_per_second": 200.0}
        one, other = (settings(sandbox, home / name, **quick) for name in ("one", "other"))
        killed = start(work_on_batch, one, "batch", COUNT)
        assert killed.hear() == "about to submit"
        session = Session(other, key=KEY)
        wait_for_successes(session, 1)  # so that all are the first one's
        stays = start(work_on_batch, other, "batch", COUNT)
        assert stays.hear() == "about to submit"
        wait_for_successes(session, COUNT // 4)
        killed.kill()
        assert len(with_status(rows(session).values(), Status.SUCCESS)) < COUNT, "it was too quick"
        assert stays.hear() == "done"
        stays.end()
        outcome = compare(sandbox, rows(session))  # no prompt was paid for twice
        session.close()
        everything = (*outcome.known.values(), *outcome.lost_answers.values())
        assert len(everything) + len(outcome.never) == COUNT
        assert {task.status for task in outcome.known.values()} == {Status.SUCCESS}
        # what was on its way at the kill: nobody knows, so it is not sent again
        left = (*outcome.lost_answers.values(), *outcome.never.values())
        assert {task.status for task in left} <= {Status.UNKNOWN}
        assert len(left) <= AT_ONCE


def wait_for_successes(session: Session, count: int) -> None:
    """Return once so many tasks of the ledger have succeeded."""
    until = time.monotonic() + PATIENCE_S
    while len(with_status(rows(session).values(), Status.SUCCESS)) < count:
        assert time.monotonic() < until, "it never came that far"
        time.sleep(0.02)
