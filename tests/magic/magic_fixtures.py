"""A local service for each module, and a fresh IPython for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from magic_shell import Shell, a_loaded_shell, a_shell

from modellix_jupyter.sandbox_server import Sandbox


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(speed=100) as running:
        yield running


@pytest.fixture
def shell(service: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Return an IPython that has the extension, the address of a service and a key to it."""
    with a_loaded_shell(tmp_path, service, monkeypatch) as shell:
        yield shell


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Shell]:
    """Return an IPython without the extension."""
    with a_shell(tmp_path) as shell:
        yield shell
