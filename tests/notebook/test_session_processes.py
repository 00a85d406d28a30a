"""Kernels that end in every way there is: killed, interrupted, or simply finished."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from session_rig import HANG_S, Sessions, is_whole, output, python

from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.values import Status, Task

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")

KERNEL = """
import sys
from modellix_jupyter.settings import Settings
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.notebook import functions, current_session
from modellix_jupyter.notebook.session import Session

settings = Settings(base_url=sys.argv[1], home=sys.argv[2], requests_per_second=500)
session = current_session.push(Session(settings, key="sentinel-key-0123456789", pace=QUICK))
"""
FORKED_WHEN_TOLD = """
import os, signal, time
import httpx, PIL.Image, nest_asyncio2
import modellix_jupyter.api.client
import modellix_jupyter.engine.engine, modellix_jupyter.storage.store
import modellix_jupyter.ledger.kernel_locks

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed leave nothing to be collected
for line in sys.stdin:
    if os.fork():
        continue
    session.models()  # all is open and connected: what follows is the tasks' own time
    print(os.getpid(), flush=True)
    plan = make_plan(line.strip().split(","), ["sandbox/fast"], params={"size": "256x256"})
    session.submit(plan)
    time.sleep(600)
"""
"""A process that loads everything once; each line of prompts makes a kernel of it."""
KILLS = 8


def test_a_kernel_killed_at_any_moment_loses_nothing(sessions: Sessions, home: Path) -> None:
    moments = random.Random(7)  # noqa: S311 - moments, not secrets
    prompts = [[f"k{kill}-{i}" for i in range(5)] for kill in range(KILLS)]
    parent = python(KERNEL + FORKED_WHEN_TOLD, sessions.sandbox.base_url, home, home=home)
    assert parent.stdin is not None
    for ours in prompts:
        parent.stdin.write(",".join(ours) + "\n")
        parent.stdin.flush()
        kernel = int(line_of(parent))
        time.sleep(moments.uniform(0.0, 0.4))
        os.kill(kernel, signal.SIGKILL)
        wait_until_gone(kernel)
        after = sessions()
        after.resume().wait(HANG_S)
        rows = [t for t in after.ledger.tasks() if t.request.prompt in ours]
        assert_nothing_lost(sessions, ours, rows)
        after.close()
    _, errors = parent.communicate(timeout=HANG_S)
    assert errors == ""
    # of what went on the wire, something must have, or this test has shown nothing
    assert sessions.prompts()
    assert max(sessions.prompts().values()) == 1


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process says; one that says nothing any more is ended."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], HANG_S)
    if not ready:
        process.kill()
        pytest.fail(process.communicate()[1])
    return process.stdout.readline()


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + HANG_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until
        time.sleep(0.005)


def assert_nothing_lost(sessions: Sessions, prompts: list[str], rows: list[Task]) -> None:
    """Each accepted task is there, whole, once; what was lost on the wire is known as unknown."""
    accepted = {
        s.body["prompt"]: s.task_id
        for s in sessions.sandbox.submissions.values()
        if s.body["prompt"] in prompts
    }
    assert len(rows) in {0, len(prompts)}  # an intent is recorded with its batch, or not at all
    assert len(accepted) == 0 or len(rows) == len(prompts)
    for row in rows:
        prompt = str(row.request.prompt)
        if row.status is Status.SUCCESS:
            assert row.task_id == accepted[prompt]
            assert row.is_final
            assert is_whole(row)
        elif row.status is Status.SUBMITTING:
            assert row.submitted_at is None
            assert prompt not in accepted
        else:
            assert row.status is Status.UNKNOWN
            assert row.task_id is None


# -- an end that is an ordinary one


@pytest.mark.parametrize(
    ("moment", "host"),
    [
        ("at once", "127.0.0.1"),
        ("running", "127.0.0.1"),
        ("at once", "localhost"),
        ("downloading", "localhost"),
        ("done", "localhost"),
    ],
)
def test_an_exit_with_tasks_on_their_way_is_clean(
    sessions: Sessions, home: Path, moment: str, host: str
) -> None:
    # a name is resolved on a thread of a pool, of which none is left late in an exit
    code = """
import threading
from modellix_jupyter.values import Status
reached = threading.Event()

def listen(update):
    moments = {
        "downloading": update.activity is not None and update.activity.what == "downloading",
        "done": update.task.is_final,
    }
    if moments.get(sys.argv[3]):
        reached.set()

session.engine.subscribe(listen)
model = "sandbox/slow" if sys.argv[3] == "running" else "sandbox/fast"
results = functions.submit(["p%d" % i for i in range(4)], model, size="256x256")
if sys.argv[3] in {"downloading", "done"}:
    assert reached.wait(30)
"""
    url = sessions.sandbox.base_url.replace("127.0.0.1", host)
    assert output(KERNEL + code, url, home, moment, home=home) == ""
    after = sessions(base_url=url)
    after.resume().wait(HANG_S)
    rows = list(after.ledger.tasks())
    # none was cut off between the sending and the answer: an exit waits for those
    assert {t.status for t in rows} == {Status.SUCCESS}
    assert all(is_whole(task) for task in rows)
    assert sessions.prompts() == dict.fromkeys([f"p{i}" for i in range(4)], 1)
    assert not list(home.rglob(".part-*"))
    assert not [p for p in (home / "owners").iterdir() if p.name != after.kernel_lock.name]


def test_an_exit_by_an_error_is_clean_too(sessions: Sessions, home: Path) -> None:
    code = """
results = functions.submit("p", "sandbox/slow")
raise SystemExit(7)
"""
    process = python(KERNEL + code, sessions.sandbox.base_url, home, home=home)
    said, errors = process.communicate(timeout=HANG_S)
    assert (said, errors, process.returncode) == ("", "", 7)
    assert is_whole(sessions().resume().wait(HANG_S)[0])


@pytest.mark.parametrize("reentrant", ["loop", "plain"])
def test_an_interrupt_ends_only_the_waiting(sessions: Sessions, home: Path, reentrant: str) -> None:
    code = """
import asyncio, signal
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))

def cell():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    plan = make_plan(["p0", "p1"], ["sandbox/slow"], params={"size": "256x256"})
    results = session.submit(plan)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        functions.run(results)
    except KeyboardInterrupt as stop:
        print(type(stop).__name__, stop._render_traceback_()[0])
        print(any(results[i].status.ended for i in range(2)))
    results.wait()
    print([t.status.value for t in results])

async def in_a_loop():
    cell()

asyncio.run(in_a_loop()) if sys.argv[3] == "loop" else cell()
"""
    with python(KERNEL + code, sessions.sandbox.base_url, home, reentrant, home=home) as process:
        said, progress = process.communicate(timeout=HANG_S)
    assert progress.endswith("only the waiting ended; 2 tasks go on.\n")
    first, second, third = said.splitlines()
    assert first == "WaitInterrupted Interrupted: only the waiting ended; 2 tasks go on."
    assert second == "False"
    assert third == "['success', 'success']"
    assert sessions.prompts() == {"p0": 1, "p1": 1}


def test_a_home_can_move_between_kernels(sessions: Sessions, home: Path) -> None:
    before = sessions()
    before.submit(make_plan(["p0"], ["sandbox/fast"], params={"size": "256x256"})).wait(HANG_S)
    before.close()
    moved = home.with_name("moved")
    home.rename(moved)
    (task,) = sessions(home=str(moved)).ledger.tasks()
    assert is_whole(task)
    assert Path(str(task.path)).is_relative_to(moved)
