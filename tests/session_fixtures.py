"""One sandbox and one home for each test, and the proof that no thread outlives it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from session_rig import QUICK, Sessions

from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.sandbox_server import Sandbox


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
