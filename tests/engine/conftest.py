"""One rig for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .engine_fakes import FakeService, Rig


@pytest.fixture
def rig(no_thread_left: None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    del no_thread_left  # asked for, so that it looks after this one has cleaned up
    home = tmp_path / "home"
    # the tests of the ledger and of ownership run on both databases
    both = request.path.name == "test_engine_journal.py"
    made = Rig(home, request.getfixturevalue("place") if both else home / "ledger.sqlite3")
    yield made
    made.close()


@pytest.fixture
def service(rig: Rig) -> FakeService:
    return rig.service
