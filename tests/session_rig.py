"""Sessions on a real local service, quick to ask, and never left open; and the fixtures of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from modellix_jupyter.engine.polling import Pace
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.results.results import Results
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Task

KEY = "sentinel-key-0123456789"
HANG_S = 60.0
"""After that long a test has hung; none waits anywhere near it."""

QUICK = Pace(unseen_first_s=0.02, shortest_s=0.02, follow_s=0.02)
"""The sandbox's tasks take hundredths of a second."""


async def hurried(seconds: float) -> None:
    """Sleep a fiftieth of it."""
    await asyncio.sleep(seconds / 50)


UNPOLLED = Pace(unseen_first_s=3600.0)
"""What a session at this pace sends to a model never seen is surely unfinished at the end."""
PRELUDE = f"""
from modellix_jupyter.engine.polling import Pace
QUICK = {QUICK!r}
"""
"""The first lines of another process's code."""


class Sessions:
    """Makes sessions on one home and one sandbox; all are closed at the end of the test."""

    def __init__(self, home: Path, sandbox: Sandbox) -> None:
        self.home = home
        self.sandbox = sandbox
        self._made: list[Session] = []

    def settings(self, **changes: object) -> Settings:
        base = Settings(
            base_url=self.sandbox.base_url, home=str(self.home), requests_per_second=500
        )
        return base.changed(**changes)

    def __call__(
        self,
        key: str | None = KEY,
        pace: Pace = QUICK,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **changes: object,
    ) -> Session:
        session = Session(self.settings(**changes), key=key, pace=pace, sleep=sleep)
        self._made.append(session)
        return session

    def close(self) -> None:
        for session in self._made:
            session.close()

    # -- what the sandbox saw

    def prompts(self) -> Counter[str]:
        """Count what was accepted, by prompt."""
        return Counter(str(s.body.get("prompt")) for s in self.sandbox.submissions.values())

    def posts(self) -> int:
        return sum(e.method == "POST" for e in self.sandbox.journal)

    def fetches(self) -> Counter[str]:
        """Count the downloads, by path."""
        return Counter(e.path for e in self.sandbox.journal if e.origin == "cdn")


def wait_until_accepted(session: Session, results: Results) -> None:
    """Return once every task has its id, and its pause until the first question has begun."""
    until = time.monotonic() + HANG_S
    while any(task.task_id is None for task in results):
        assert time.monotonic() < until
        time.sleep(0.005)
    session.engine.run(lambda: asyncio.sleep(0)).result(HANG_S)


def is_whole(task: Task) -> bool:
    """Whether every file of a task is here and decodes to its last row."""
    from PIL import Image

    for resource in task.resources:
        if resource.path is None:
            return False
        with Image.open(resource.path) as image:
            image.load()
    return bool(task.resources)


def python(code: str, *arguments: object, home: Path) -> subprocess.Popen[str]:
    """Start another process on a home, whose standard streams are the test's to use."""
    environment = {**os.environ, "MODELLIX_HOME": str(home)}
    return subprocess.Popen(  # noqa: S603 - the test's own code
        [sys.executable, "-c", PRELUDE + code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def output(code: str, *arguments: object, home: Path) -> str:
    """Run code in another process to its end, which must be a clean one; return what it said."""
    process = python(code, *arguments, home=home)
    said, errors = process.communicate(timeout=HANG_S)
    assert errors == ""
    assert process.returncode == 0
    return said


# -- fixtures, which conftest.py brings to every test


@pytest.fixture
def no_thread_left(home: Path) -> Iterator[None]:
    del home  # asked for, so that the test has its own before anything is opened
    yield
    current_session.close_all()
    for thread in threading.enumerate():
        if thread.name in {"modellix-painter", "modellix-resume", "modellix-retire"}:
            thread.join(20)  # they end by themselves, after a last look
    left = [t.name for t in threading.enumerate() if t.name.startswith("modellix-")]
    assert not left


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take matplotlib away: the plots are most of what a report takes."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sessions that the package makes itself poll soon, too."""
    monkeypatch.setattr(current_session, "pace", QUICK)


@pytest.fixture
def sandbox(no_thread_left: None) -> Iterator[Sandbox]:
    del no_thread_left
    with Sandbox(speed=50) as running:
        yield running


@pytest.fixture
def sessions(home: Path, sandbox: Sandbox) -> Iterator[Sessions]:
    made = Sessions(home, sandbox)
    yield made
    made.close()


@pytest.fixture
def session(sessions: Sessions) -> Session:
    """Return a session that is also the one in use."""
    return current_session.push(sessions())
