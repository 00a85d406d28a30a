"""Locks that show which kernels are alive, and so which tasks have an owner.

Each engine locks a file of its own while its process lives. The operating system releases the lock
however the process ends, even by SIGKILL, and keeps it while a laptop sleeps. So an owner is alive
if its file is locked; no heartbeat and no clock is needed. With a ledger on PostgreSQL it is an
advisory lock, which the server releases when the process or its machine is gone.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
import uuid
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Engine

# The pause between two attempts to lock a file that another process holds, in seconds.
_PAUSE_S = 0.02
# How long another process may hold a kernel's lock file, only to test it, in seconds.
_LOOKED_AT_S = 5.0
# After a server was unreachable: the seconds in which other kernels can take their locks again.
_RETAKEN_S = 5.0

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _locked(path: Path, *, create: bool = True) -> int | None:
    """Lock a file and return its descriptor, or None if another process holds the lock."""
    descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    try:
        _lock(descriptor)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file, exclusively among all threads and processes."""
    while (descriptor := _locked(path)) is None:
        time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        os.close(descriptor)


class KernelLock:
    """An engine's name and its lock file, in the folder that the engines of a ledger share."""

    def __init__(self, folder: Path) -> None:
        self.name = uuid.uuid4().hex
        self._folder = folder
        self._guard = threading.Lock()
        self._descriptor: int | None = None
        self._closed = False
        self.hold()
        _kernel_locks.add(self)

    @property
    def _path(self) -> Path:
        return self._folder / self.name

    def hold(self) -> None:
        """Lock the file again if somebody deleted it, as a clean-up of the folder does."""
        with self._guard:
            if self._closed or self._is_held():
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            until = time.monotonic() + _LOOKED_AT_S
            while (descriptor := _locked(self._path)) is None and time.monotonic() < until:
                time.sleep(_PAUSE_S)
            old, self._descriptor = self._descriptor, descriptor
            if old is not None:
                os.close(old)

    def _is_held(self) -> bool:
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False

    def is_alive(self, name: str | None) -> bool:
        """Whether the engine with this name still runs, on this machine."""
        if name is None or not name.isalnum():
            return False
        if name == self.name:
            return True
        path = self._folder / name
        try:
            descriptor = _locked(path, create=False)
        except OSError:
            return False
        if descriptor is None:
            return True
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)
        return False

    def forget(self) -> None:
        """In a forked child, drop the lock without unlocking it: that would unlock the parent's."""
        self._closed = True
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def close(self) -> None:
        """Let go: whatever this engine drove is free for another."""
        with self._guard:
            descriptor, self._descriptor = self._descriptor, None
            self._closed = True
        if descriptor is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(descriptor)


_kernel_locks: weakref.WeakSet[KernelLock] = weakref.WeakSet()


def _forget_all() -> None:
    """Close the locks that a forked child inherited: they would keep a dead kernel alive."""
    for lock in tuple(_kernel_locks):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


class ServerLock:
    """An engine's name and its advisory lock on PostgreSQL, on a connection of its own."""

    def __init__(
        self, engine: Engine, explained: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        self.name = uuid.uuid4().hex
        self._engine = engine
        self._explained = explained
        self._lock = threading.Lock()
        self._closed = False
        self._connection = self._take()
        self._taken_again_at = -math.inf

    def _take(self) -> Connection:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (_signed(self.name),))
        return connection

    def hold(self) -> None:
        """Take the lock again if the connection broke, as after a restart of the server."""
        from sqlalchemy.exc import SQLAlchemyError

        with self._lock, self._explained("locked"):
            if self._closed:
                return
            try:
                self._connection.exec_driver_sql("SELECT 1")
            except SQLAlchemyError:
                self._connection.close()
                self._connection = self._take()
                self._taken_again_at = time.monotonic()

    def is_alive(self, name: str | None) -> bool:
        """Whether the engine with this name still runs, on any machine."""
        if name == self.name:
            return True
        key = _signed(name)
        if key is None:
            return False
        self.hold()
        if time.monotonic() - self._taken_again_at < _RETAKEN_S:
            return True  # the other kernels lost their locks too, and need time to take them again
        halves = (key >> 32 & 0xFFFFFFFF, key & 0xFFFFFFFF)
        with self._explained("read"), self._engine.connect() as connection:
            return connection.exec_driver_sql(_HELD, halves).scalar() is not None

    def close(self) -> None:
        """Let go: whatever this engine drove is free for another."""
        with self._lock:
            if not self._closed:
                # not returned to the pool, which would keep the connection and its lock
                self._connection.invalidate()
                self._connection.close()
            self._closed = True


_HELD = """
SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND datname = current_database() AND granted
AND classid::bigint = %s AND objid::bigint = %s AND objsubid = 1
"""


def _signed(name: str | None) -> int | None:
    """Return the key of an owner's advisory lock, a signed 64-bit integer."""
    try:
        return int.from_bytes(bytes.fromhex(name or "")[:8], signed=True) if name else None
    except ValueError:
        return None
