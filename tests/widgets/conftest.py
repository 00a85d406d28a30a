"""A sandbox, a session on it, and a panel that must leave nothing behind."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modellix_jupyter.engine.polling import Pace
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.widgets.panel import Panel, panel

from .panel_rig import HANG_S, Page, living, until

KEY = "sentinel-key-0123456789"


def threads() -> set[threading.Thread]:
    """Return the threads of panels and painters."""
    names = ("modellix-panel", "modellix-painter")
    return {t for t in threading.enumerate() if t.name.startswith(names)}


@pytest.fixture
def nothing_of_it_left(home: Path) -> Iterator[None]:
    """Assert that no widget and no thread outlives a test."""
    del home
    widgets = set(living())
    yield
    deadline = time.monotonic() + HANG_S
    while threads() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not threads()
    if not set(living()) <= widgets:
        gc.collect()  # which takes a while, late in a run
    assert set(living()) <= widgets


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(speed=50) as running:
        yield running


@pytest.fixture
def session(nothing_of_it_left: None, home: Path, sandbox: Sandbox) -> Iterator[Session]:
    del nothing_of_it_left
    settings = Settings(base_url=sandbox.base_url, home=str(home), requests_per_second=500)
    session = current_session.push(Session(settings, key=KEY, pace=Pace(unseen_first_s=0.02)))
    yield session
    current_session.close_all()


@pytest.fixture
def shown(session: Session) -> Iterator[Panel]:
    made = panel()
    # anyio warns of a connection that is given up while it is made
    until(lambda: made.create.model.models)
    yield made
    listeners = session.engine._listeners if not session.closed else []
    made.close()
    assert listeners == []


@pytest.fixture
def page(shown: Panel) -> Page:
    return Page(shown)
