"""Which kernel drives a task, and whether that kernel still lives.

Each engine holds a lock on a file of its own for as long as its process lives; the operating system
lets go of it however the process ends, even by SIGKILL, and a laptop that slept changes nothing. So
"is its owner alive?" is "is its file locked?", with no heartbeat and no clock.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from pathlib import Path


class KernelLock:
    """An engine's name, and its lock in the folder of all engines of one ledger."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = uuid.uuid4().hex
        self._folder = folder
        # not thread-local: it is taken here and let go of at exit, from whichever thread
        self._lock = FileLock(folder / self.name, thread_local=False)
        self._lock.acquire(blocking=False)

    def is_alive(self, name: str | None) -> bool:
        """Whether the engine of that name still runs, on this machine."""
        if name is None or not name.isalnum():
            return False
        if name == self.name:
            return True
        path = self._folder / name
        if not path.exists():
            return False
        try:
            with FileLock(path).acquire(blocking=False):
                pass
        except Timeout:
            return True
        with contextlib.suppress(OSError):
            path.unlink()
        return False

    def close(self) -> None:
        """Let go: whatever this engine drove is free for another."""
        self._lock.release()
        with contextlib.suppress(OSError):
            (self._folder / self.name).unlink()
