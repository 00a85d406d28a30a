"""One rig for each test, and the proof that no thread of ours outlives it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_fakes import FakeService, Rig


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    # the painter of a test before this one may still be drawing its last
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t.name.startswith("modellix-")]
    assert not set(left) - before


@pytest.fixture
def rig(no_thread_left: None, tmp_path: Path) -> Iterator[Rig]:
    del no_thread_left  # asked for, so that it looks after this one has cleaned up
    made = Rig(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def service(rig: Rig) -> FakeService:
    return rig.service
