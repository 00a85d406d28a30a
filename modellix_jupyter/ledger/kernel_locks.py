"""Which kernel drives a task, and whether that kernel still lives.

Each engine holds a lock on a file of its own for as long as its process lives; the operating system
lets go of it however the process ends, even by SIGKILL, and a laptop that slept changes nothing. So
"is its owner alive?" is "is its file locked?", with no heartbeat and no clock. Where the ledger is
on a server, the lock is the server's: it lets go when the process or its machine is gone.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Engine


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


class ServerLock:
    """An engine's name, and its advisory lock on PostgreSQL, on a connection of its own."""

    def __init__(
        self, engine: Engine, explained: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        self.name = uuid.uuid4().hex
        self._engine = engine
        self._explained = explained
        self._lock = threading.Lock()
        self._closed = False
        self._connection = self._take()

    def _take(self) -> Connection:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (_signed(self.name),))
        return connection

    def hold(self) -> None:
        """Take the lock again where the connection broke, as when the server was restarted."""
        from sqlalchemy.exc import SQLAlchemyError

        with self._lock, self._explained("locked"):
            if self._closed:
                return
            try:
                self._connection.exec_driver_sql("SELECT 1")
            except SQLAlchemyError:
                self._connection.close()
                self._connection = self._take()

    def is_alive(self, name: str | None) -> bool:
        """Whether the engine of that name still runs, on whichever machine."""
        if name == self.name:
            return True
        key = _signed(name)
        if key is None:
            return False
        halves = (key >> 32 & 0xFFFFFFFF, key & 0xFFFFFFFF)
        with self._explained("read"), self._engine.connect() as connection:
            return connection.exec_driver_sql(_HELD, halves).scalar() is not None

    def close(self) -> None:
        """Let go: whatever this engine drove is free for another."""
        with self._lock:
            if not self._closed:
                # closed for good and not put back into the pool, which would keep the lock
                self._connection.invalidate()
                self._connection.close()
            self._closed = True


_HELD = """
SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND datname = current_database() AND granted
AND classid::bigint = %s AND objid::bigint = %s AND objsubid = 1
"""


def _signed(name: str | None) -> int | None:
    """Return an owner's name as a key of a lock: 64 bits with a sign."""
    try:
        return int.from_bytes(bytes.fromhex(name or "")[:8], signed=True) if name else None
    except ValueError:
        return None
