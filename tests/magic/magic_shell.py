"""IPython in this process, fresh for each test, and a local service beside it."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from modellix_jupyter.engine.polling import Pace
from modellix_jupyter.notebook import current_session

if TYPE_CHECKING:
    import pytest

    from modellix_jupyter.sandbox_server import Sandbox

KEY = "sk-a-key-that-must-not-be-seen"
"""The sandbox takes it, as it takes nearly any."""


@dataclass(frozen=True)
class Ran:
    """What came of a cell."""

    value: Any
    error: BaseException | None
    out: str
    err: str
    shown: list[dict[str, Any]]

    @property
    def lines(self) -> list[str]:
        """What is shown of the error, a line each; IPython writes a traceback to the output."""
        name = type(self.error).__name__
        said = (self.err or self.out).rstrip("\n").split("\n")
        first = next(n for n, line in enumerate(said) if line.startswith(f"{name}: "))
        return said[first:]

    @property
    def text(self) -> str:
        """The plain text of its only display."""
        (shown,) = self.shown
        return str(shown["text/plain"])

    @property
    def everything(self) -> str:
        """All that anybody could read."""
        return "\n".join([self.out, self.err, *map(str, self.shown)])


class Shell:
    """An IPython that keeps what its cells write."""

    def __init__(self, ip: InteractiveShell) -> None:
        self.ip: Any = ip  # half of its methods have no types

    def run(self, code: str) -> Ran:
        """Run a cell as a user does."""
        with capture_output() as captured:
            result = self.ip.run_cell(code, store_history=True)
        return Ran(
            value=result.result,
            error=result.error_before_exec or result.error_in_exec,
            out=captured.stdout,
            err=captured.stderr,
            shown=[output.data for output in captured.outputs],
        )

    def good(self, code: str) -> Ran:
        """Run a cell that must not fail."""
        ran = self.run(code)
        assert ran.error is None, ran.everything
        return ran

    def offered(self, code: str) -> list[str]:
        """Return what is offered at the end of a cell, as a kernel is asked."""
        with provisionalcompleter():
            found = list(self.ip.Completer.completions(code, len(code)))
        return [completion.text for completion in found]


@contextmanager
def a_shell(folder: Path, config: Config | None = None) -> Iterator[Shell]:
    """Run an IPython of its own, and leave nothing of it behind."""
    settings = Config(config or {})
    settings.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    ip: Any = InteractiveShell.instance(config=settings, ipython_dir=str(folder / "ipython"))
    try:
        yield Shell(ip)
    finally:
        current_session.close_all()
        ip.restore_sys_module_state()
        with mock.patch.object(gc, "collect"):  # a quarter of a second for each shell
            ip.atexit_operations()
        atexit.unregister(ip.atexit_operations)
        InteractiveShell.clear_instance()


@contextmanager
def a_loaded_shell(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shell]:
    """Run an IPython that has the extension, the address of a service and a key to it."""
    monkeypatch.setenv("MODELLIX_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("MODELLIX_API_KEY", KEY)
    # each test's ledger has seen no model
    monkeypatch.setattr(current_session, "pace", Pace(unseen_first_s=0.1, shortest_s=0.05))
    with a_shell(folder) as shell:
        shell.good("%load_ext modellix_jupyter")
        yield shell
