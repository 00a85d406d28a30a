"""Sessions in processes of their own, which can be killed: a forked one starts in a few ms."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import random
import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import MappingProxyType
from typing import Any

from chaos_world import FULL, KEY, MODEL, hurried_session, plan

from modellix_jupyter.api import client
from modellix_jupyter.engine import engine
from modellix_jupyter.errors import LedgerUnavailable, OverBudget
from modellix_jupyter.ledger import ledger
from modellix_jupyter.ledger.dialects import interrupt_behind
from modellix_jupyter.notebook import current_session, session
from modellix_jupyter.notebook.recovery import resolve_unknown
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results import results
from modellix_jupyter.settings import Settings
from modellix_jupyter.storage import store
from modellix_jupyter.values import Update

PATIENCE_S = 300.0 if FULL else 60.0
"""Far above what anything here takes, so that a hang is a failure."""
_FORKS = 60
_UNDISTURBED = 5
"""Submissions that show how long one takes, before they are interrupted within that time."""
DEAR = "openai/gpt-image-2"
"""Its price is a range, of which only the most is held."""
ROOM_WITHIN_S = 0.5
"""How long a plan is tried again at a limit that is full."""
# Imported once, by the server that all processes are forked from. It has one thread.
_PRELOADED = ["pytest", "PIL.PngImagePlugin"]
_PRELOADED += [m.__name__ for m in (client, engine, store, ledger, results, session)]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_PRELOADED)


@dataclass
class Child:
    """A process, and the pipe over which it tells how far it is."""

    process: BaseProcess
    pipe: Connection

    def hear(self) -> Any:
        """Wait for what it says next."""
        assert self.pipe.poll(PATIENCE_S), "the process says nothing"
        return self.pipe.recv()

    def said(self, within_s: float) -> bool:
        """Whether it says something within so many seconds."""
        return self.pipe.poll(within_s)

    def stop(self) -> None:
        """Let it stand still, as a laptop that sleeps."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def tell(self, word: object = None) -> None:
        self.pipe.send(word)

    def kill(self) -> None:
        """End it as nothing can be prepared for, unless it has just ended by itself."""
        assert self.process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self._gone(-signal.SIGKILL, 0)

    def end(self) -> None:
        """Wait until it has ended by itself, with no error."""
        self._gone(0)

    def _gone(self, *codes: int) -> None:
        self.process.join(PATIENCE_S)
        assert self.process.exitcode in codes
        self.pipe.close()


def start(body: Callable[..., None], *arguments: object) -> Child:
    """Run a function of a module in a process of its own; its first argument is the pipe."""
    ours, theirs = _context.Pipe()
    process = _context.Process(target=body, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    return Child(process, ours)


# -- what such a process does


def submit_and_wait(pipe: Connection, settings: Settings, name: str, count: int) -> None:
    """Open everything, say so, then submit and wait for the last file."""
    session = hurried_session(settings)
    assert session.engine
    pipe.send("about to submit")
    session.submit(plan(name, count)).block()
    pipe.send("done")
    session.close()


def submit_under_interrupts(pipe: Connection, settings: Settings, name: str, count: int) -> None:
    """Submit one task at a time, and be interrupted at any moment of it."""
    session = hurried_session(settings)
    assert session.engine
    moments = random.Random(name)  # noqa: S311 - a repeatable moment, no secret
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupted, longest = 0, 0.0
    for number, request in enumerate(plan(name, count)):
        began = time.monotonic()
        try:
            if number >= _UNDISTURBED:
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.0002, longest))
            session.submit([request])
            signal.setitimer(signal.ITIMER_REAL, 0)
        except BaseException as error:  # an interrupt in Python's own locks is another error
            if interrupt_behind(error) is None:
                raise
            interrupted += 1
        if number < _UNDISTURBED:
            longest = max(longest, time.monotonic() - began)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    pipe.send(interrupted)
    session.block()
    pipe.send([*session.engine.warnings])
    pipe.recv()
    session.close()


def submit_and_fork(pipe: Connection, settings: Settings, name: str, count: int) -> None:
    """Submit a named batch, and fork all the while; each child ends with every exit hook."""
    warnings.filterwarnings("ignore", "This process", DeprecationWarning)  # it forks with threads
    session = current_session.push(hurried_session(settings))
    lock = session.kernel_lock
    assert session.engine
    pipe.send("about to submit")
    results = session.submit(plan(name, count), batch=name)
    forks = 0
    while session.engine.busy() and forks < _FORKS:
        child = os.fork()
        if child == 0:
            threading._shutdown()  # type: ignore[attr-defined]  # as at the end of any process
            atexit._run_exitfuncs()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        forks += 1
        time.sleep(0.01)
    assert lock is session.kernel_lock
    session.block()
    pipe.send(forks)
    pipe.send([task.status.value for task in results])
    session.close()


def work_on_batch(
    pipe: Connection,
    settings: Settings,
    name: str,
    count: int,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Work on a named batch that others work on too, until nothing of it is left to do."""
    os.environ.update(environment)
    session = hurried_session(settings)
    requests = plan(name, count)
    pipe.send("about to submit")
    while True:
        with suppress(LedgerUnavailable):  # nothing was sent, and its user runs the cell again
            results = session.submit(requests, batch=name)
            break
        time.sleep(0.1)
    session.block()
    pipe.send([task.status.value for task in results])
    session.close()


def run_cell(pipe: Connection, environment: Mapping[str, str], name: str, count: int) -> None:
    """Work on a named batch as a cell does on a machine that has these variables, and no more."""
    os.environ.update(environment)
    import pandas as pd

    import modellix_jupyter

    rows = [{"prompt": request.prompt, **request.params} for request in plan(name, count)]
    pipe.send("about to submit")
    results = modellix_jupyter.submit_frame(pd.DataFrame(rows), MODEL, batch=name, yes=True)
    pipe.send([task.status.value for task in results.wait()])
    current_session.close_all()


def submit_and_watch_all(pipe: Connection, settings: Settings, name: str, count: int) -> None:
    """Submit, and once the others have done so too, watch what everybody submitted."""
    session = Session(settings, key=KEY)
    troubles: list[str] = []
    session.engine.subscribe(lambda update: troubles.extend(trouble(update)))
    session.submit(plan(name, count))
    pipe.send("submitted")
    pipe.recv()
    session.resume().block()
    pipe.send([(t.uid, t.status.value, t.task_id, t.path) for t in session.ledger.tasks()])
    pipe.send([*troubles, *session.engine.warnings])
    session.close()


def trouble(update: Update) -> list[str]:
    """Return what a task has to be tried again for: nothing should, where nothing is amiss."""
    again = update.activity is not None and update.activity.attempt is not None
    return [f"{update.task.request.prompt}: {update.activity}"] if again else []


def spend(pipe: Connection, settings: Settings, name: str, plans: int, each: int) -> None:
    """Send plan after plan, each as soon as a limit leaves it; say how often it did not."""
    session = hurried_session(settings)
    pipe.send("about to submit")
    refused = 0
    for number in range(plans):
        requests = make_plan([f"{name} {number} {n}" for n in range(each)], [DEAR])
        until = time.monotonic() + ROOM_WITHIN_S
        while time.monotonic() < until:
            try:
                session.submit(requests).block()
                break
            except OverBudget:
                refused += 1
            # what an earlier kernel left, or a 402 of this one
            with suppress(OverBudget):
                resolve_unknown(session, ["send", "--yes"])
            session.resume().block()
            time.sleep(0.02)
    session.block()
    pipe.send(refused)
    session.close()
