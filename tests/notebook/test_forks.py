"""A process that forks while its tasks are sent: they stay its own, and a child opens its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from session_rig import Sessions, output

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
]

COUNT = 30

FORK = """
import multiprocessing, os, sys, time, warnings
from concurrent.futures import ProcessPoolExecutor
import modellix_jupyter as mx
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.current_session import configure, current, settings
from modellix_jupyter.planning.plan import make_plan

warnings.filterwarnings("ignore", "This process", DeprecationWarning)  # that it forks with threads
current_session.pace = QUICK
configure(settings().changed(base_url=sys.argv[1], requests_per_second=100.0), key="secret-key")
"""

NOTHING = """
results = mx.submit([f"cat {n}" for n in range(int(sys.argv[2]))], "sandbox/slow", yes=True)
lock = current().kernel_lock

def nothing(_):
    return os.getpid()

began = time.monotonic()
context = multiprocessing.get_context("fork")
with ProcessPoolExecutor(3, mp_context=context) as pool:
    assert len(set(pool.map(nothing, range(30)))) >= 1
process = context.Process(target=nothing, args=(0,))
process.start()
process.join()
child = os.fork()
if child == 0:
    sys.exit(0)  # with every exit hook
os.waitpid(child, 0)
taken = time.monotonic() - began
assert (lock._folder / lock.name).exists(), "a child removed the lock of the living"
assert current().ledger.count() == int(sys.argv[2])
results.wait()
print("lost" if taken > 5 else "quick", {task.status.value for task in results})
"""


def test_children_that_do_nothing_end_at_once_and_take_nothing(
    sessions: Sessions, home: Path
) -> None:
    said = output(FORK + NOTHING, sessions.sandbox.base_url, COUNT, home=home)
    assert said == "quick {'success'}\n"
    assert sessions.posts() == COUNT
    assert set(sessions.prompts().values()) == {1}


OWN = """
results = mx.submit("a cat of the parent", "sandbox/slow")
session = current()

def error_of(use):
    try:
        use()
    except mx.errors.ModellixError as error:
        return error.message
    return "none"

def work(number):
    assert current() is not session
    results_of_another = error_of(results.wait)
    sent = error_of(lambda: mx.submit(f"a cat of child {number}", "sandbox/slow").wait())
    return results_of_another, sent

context = multiprocessing.get_context("fork")
with ProcessPoolExecutor(2, mp_context=context) as pool:
    for said in pool.map(work, range(2)):
        print(*said, sep="|")
print(results.wait()[0].status.value)
"""
OF_ANOTHER = "This session is of the process that this one was forked from."


def test_a_child_says_why_a_ledger_in_a_file_is_not_opened(sessions: Sessions, home: Path) -> None:
    said = output(FORK + OWN, sessions.sandbox.base_url, home=home).splitlines()
    refused = (
        f"This process was forked from one that has the ledger {home / 'ledger.sqlite3'} open, "
        "and SQLite does not support that."
    )
    assert said == [f"{OF_ANOTHER}|{refused}"] * 2 + ["success"]
    assert sessions.posts() == 1


def test_a_child_opens_a_session_of_its_own_on_a_server(
    sessions: Sessions, home: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELLIX_LEDGER", postgres_url)
    said = output(FORK + OWN, sessions.sandbox.base_url, home=home).splitlines()
    assert said == [f"{OF_ANOTHER}|none"] * 2 + ["success"]
    assert sessions.posts() == 3
