"""One rig for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .engine_fakes import FakeService, Rig


@pytest.fixture
def rig(no_thread_left: None, home: Path, place: Path | str) -> Iterator[Rig]:
    del no_thread_left  # asked for, so that it looks after this one has cleaned up
    made = Rig(home, place)
    yield made
    made.close()


@pytest.fixture
def service(rig: Rig) -> FakeService:
    return rig.service
