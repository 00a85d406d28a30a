"""A kernel that stands still holds its tasks, until their user takes them from it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from postgres_server import PASSWORD, PostgresServer
from session_rig import HANG_S, UNPOLLED, Sessions, is_whole, python, wait_until_accepted

from modellix_jupyter.notebook import doctor
from modellix_jupyter.notebook.recovery import report, resolve_unknown
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.values import Status

COUNT, AT_ONCE = 8, 2

STANDING = """
import sys
from modellix_jupyter.settings import from_environment
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.notebook.session import Session

settings = from_environment().changed(
    base_url=sys.argv[1], requests_per_second=500, max_in_flight=int(sys.argv[3]),
)
session = Session(settings, key="sentinel-key-0123456789", pace=QUICK)
results = session.submit(make_plan([f"p{n}" for n in range(int(sys.argv[2]))], ["sandbox/slow"]))
print("submitted", flush=True)
results.block()
print(sorted(task.status.value for task in results), flush=True)
"""


@pytest.fixture
def ledger(place: Path | str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the setting for a ledger in each of the two ways."""
    url = place if isinstance(place, str) else ""
    monkeypatch.setenv("MODELLIX_LEDGER", url)
    return url


def is_free(path: Path) -> bool:
    """Whether nobody writes a ledger in a file."""
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


def suspend(pid: int) -> None:
    """Stop a child process; return when it has stopped, since it may still be in a system call."""
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)


@pytest.fixture
def stopped(sessions: Sessions, home: Path, ledger: str) -> Iterator[int]:
    """Return a kernel that stands still with some of its tasks at the service."""
    url = sessions.sandbox.base_url
    with python(STANDING, url, COUNT, AT_ONCE, home=home) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "submitted\n"
        until = time.monotonic() + HANG_S
        while len(sessions.sandbox.submissions) < AT_ONCE + 1:
            assert time.monotonic() < until
            time.sleep(0.005)
        suspend(process.pid)
        while not (ledger or is_free(home / "ledger.sqlite3")):  # not in the middle of a write
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.002)
            suspend(process.pid)
        yield process.pid
        os.kill(process.pid, signal.SIGCONT)
        said, errors = process.communicate(timeout=HANG_S)
        # it may have been cut off in the middle of a write, and says so
        cut_off = ("The ledger ", "Check MODELLIX_LEDGER")
        assert [line for line in errors.splitlines() if not line.startswith(cut_off)] == []
        # it woke up, and followed: nothing more was sent, and nothing is lost
        assert set(eval(said)) <= {"success", "unknown"}  # noqa: S307 - what the test's code wrote
    assert sum(sessions.prompts().values()) <= COUNT
    assert set(sessions.prompts().values()) == {1}


def test_its_tasks_are_taken_over_and_sent_once(
    sessions: Sessions, ledger: str, stopped: int
) -> None:
    del stopped
    session = sessions(ledger=ledger)
    # the first may have its file by now: the third is sent once the service is done with it
    assert len(session.resume()) == COUNT - len(ended(session))
    lines = [line for line in report(session, session.resume()) if "take-over" in line]
    assert lines
    assert lines[0].startswith(f"{COUNT - len(ended(session))} driven by another kernel")
    going = session.results(resolve_unknown(session, ["take-over", "send"]))
    going.block()
    tasks = session.ledger.tasks()
    assert {task.status for task in tasks} <= {Status.SUCCESS, Status.UNKNOWN}
    assert len([task for task in tasks if task.status is Status.UNKNOWN]) <= AT_ONCE
    assert all(is_whole(task) for task in tasks if task.status is Status.SUCCESS)
    mine = session.kernel_lock.name
    assert all(session.ledger.owner(task.uid) == mine for task in going)


def ended(session: object) -> list[object]:
    ledger = session.ledger  # type: ignore[attr-defined]
    return [task for task in ledger.tasks() if task.is_final]


def test_a_key_that_the_service_refuses_for_a_task_is_said_and_the_right_one_goes_on(
    sessions: Sessions, ledger: str
) -> None:
    before = sessions(key="key-of-ann", ledger=ledger, pace=UNPOLLED)
    results = before.submit(make_plan(["p"], ["sandbox/fast"]))
    wait_until_accepted(before, results)
    (uid,) = [task.uid for task in results]
    before.close()
    other = sessions(key="key-of-bob", ledger=ledger)
    other.resume().block()
    message = str(other.show([uid])._message(final=True))
    assert re.match("1 task: 403: .* belongs to another key[.] .*`%modellix key`", message)
    mine = sessions(key="key-of-ann", ledger=ledger)
    mine.resume().block()
    assert mine.ledger.tasks()[0].status is Status.SUCCESS
    assert sessions.posts() == 1


def test_doctor_says_what_a_server_is_and_may(
    sessions: Sessions, postgres: PostgresServer, postgres_url: str
) -> None:
    session = sessions(ledger=postgres_url)
    found = {check.name: check for check in doctor.examine(session)}
    assert found["ledger"].good
    assert "PostgreSQL" in found["ledger"].detail
    assert "may read and write" in found["ledger"].detail
    name = postgres_url.rpartition("/")[2]
    postgres.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'", name)
    postgres.execute("GRANT USAGE ON SCHEMA public TO reader", name)
    postgres.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", name)
    reader = sessions(ledger=postgres_url.replace("team:", "reader:"))
    found = {check.name: check for check in doctor.examine(reader)}
    assert found["home"].good
    assert found["ledger"].good is False
    assert "permission denied" in found["ledger"].detail
    assert PASSWORD not in str(found)
    postgres.execute("DROP OWNED BY reader; DROP ROLE reader", name)
