"""The database of a ledger: SQLite and PostgreSQL are opened, written and read the same way.

Writes go through one connection under a lock and are durable when they return (WAL with
``synchronous=FULL``): a row stands for money. Each read opens a connection of its own, so that a
long one never holds up a write; WAL lets them see a consistent past.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import insert
from sqlalchemy.exc import ResourceClosedError

from modellix_jupyter.errors import LedgerError, LedgerUnavailable
from modellix_jupyter.ledger import dialects, history
from modellix_jupyter.ledger.kernel_locks import KernelLock, ServerLock, file_lock
from modellix_jupyter.ledger.pending_counts import VERSION, check_version, refuse_newer
from modellix_jupyter.ledger.tables import metadata, versions
from modellix_jupyter.settings import LedgerUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection, Executable, Select

_T = TypeVar("_T")


def _make_private(path: Path) -> None:
    """Make a ledger readable by its owner only; SQLite gives the write-ahead log the same mode."""
    path.touch(mode=0o600)
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with suppress(OSError):  # it does not exist, or belongs to another user
            file.chmod(0o600)


class Database:
    """A file of SQLite or a server of PostgreSQL; safe from several threads and processes.

    A file is made with its folder where it is not there. What fails raises `LedgerError`.
    """

    def __init__(self, place: Path | str) -> None:
        self._lock = threading.RLock()
        self._of_thread = threading.local()
        self._write: Connection | None = None
        self._closed = False
        self._file: tuple[int, int] | None = None
        self._kernel_lock: KernelLock | ServerLock | None = None
        if isinstance(place, str):
            place = LedgerUrl(place)  # which hides its password in a traceback too
            found = dialects.parse_url(place)
        else:
            found = place
        if isinstance(found, Path):
            self.path: Path | None = found
            self.name = str(found)
        else:
            self.path = None
            self.name = str(found.set(password=None, query={}))
            self._engine = dialects.open_postgres(found)
        with self._explained("opened"):
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    def _open(self) -> None:
        if self.path is not None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_file(self.path)
            self._engine = dialects.open_sqlite(self.path)
            self._write = dialects.writer(self._engine)
            self._file = _identity(self.path)
        with self._engine.connect() as connection:
            version = dialects.stored_version(connection)
            refuse_newer(version, self.name)
            ready = version == VERSION and dialects.has_view(connection)
        if not ready:
            with self._begin() as connection:
                # another kernel may have been first; with the lock held, there is only this one
                dialects.advisory_lock(connection, dialects.ADVISORY)
                _bring_up_to_date(connection, dialects.stored_version(connection))

    def _check_file(self, path: Path) -> None:
        """Check a file's version and make it private, unless this process has it open already.

        POSIX drops all locks of a file when the process closes any descriptor of it.
        """
        file = _identity(path)
        if file in _inherited:
            raise LedgerError(
                f"This process was forked from one that has the ledger {path} open, and SQLite "
                "does not support that.",
                "Send from that process, or start this one with the method `spawn`.",
            )
        if all(other._file != file for other in _open if other is not self):  # noqa: SLF001 - of its own kind
            check_version(path)
            _make_private(path)
        _open.add(self)

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Translate every error of a database into ours; the only place that does."""
        try:
            yield
        except KeyboardInterrupt as stop:
            raise stop.with_traceback(None) from None  # a driver's frames have the password
        except dialects.foreign() as error:
            if interrupt := dialects.interrupt_behind(error):
                raise interrupt.with_traceback(None) from None
            told = dialects.reason(error)
            hint = dialects.hint(error, is_file=self.path is not None)
            kind = LedgerUnavailable if dialects.is_passing(error) else LedgerError
            behind = error if self.path else dialects.drop_frames(error)
            raise kind(f"The ledger {self.name} cannot be {done}: {told}.", hint) from behind

    def close(self) -> None:
        """Close the connections; everything written is already on the disk."""
        with self._lock:
            self._closed = True
            _open.discard(self)
            if self._write is not None:
                self._write.close()
            if self.path is None:
                self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._lock, self._explained("written"), self._begin() as connection:
            yield connection

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        """Begin a write transaction: on SQLite's one writer, or on a connection of the pool."""
        if self._closed:
            raise ResourceClosedError("it is closed")
        if self._kernel_lock is not None:
            self._kernel_lock.hold()
        if self.path is None:
            locked = self._locked()
            with self._engine.begin() if locked is None else _begun(locked) as connection:
                yield connection
            return
        if _identity(self.path) != self._file:
            self._open_again()
        write = dialects.without_open_transaction(self._write)
        with write.begin():
            yield write
        if _identity(self.path) != self._file:
            raise FileNotFoundError("another file took its place meanwhile")

    def _open_again(self) -> None:
        """Open the file that is now at this path: somebody deleted or replaced ours."""
        dialects.never_close(self._write)
        self._open()

    @contextmanager
    def _alone(self, what: str, number: int) -> Iterator[None]:
        with ExitStack() as held:
            with self._explained("locked"):
                if self.path is not None:
                    held.enter_context(file_lock(self.path.with_name(f"{what}.lock")))
                else:
                    held.enter_context(self._server_lock(dialects.ADVISORY + number))
            yield

    @contextmanager
    def _server_lock(self, key: int) -> Iterator[None]:
        """Hold an advisory lock on a connection, which this thread also writes on meanwhile.

        If that connection breaks, the lock is lost, and writes fail.
        """
        before = self._locked()
        with self._engine.connect() as connection:
            try:
                dialects.session_lock(connection, key)
                self._of_thread.locked = connection
                yield
            finally:
                self._of_thread.locked = before
                connection.invalidate()  # the server releases the lock, whatever state this is in

    def _locked(self) -> Connection | None:
        """Return the connection on which this thread holds an advisory lock, or None."""
        found: Connection | None = getattr(self._of_thread, "locked", None)
        return found

    def kernel_lock(self) -> KernelLock | ServerLock:
        """Return the lock of a new kernel: on a file beside the database, or an advisory lock."""
        if self.path is not None:
            self._kernel_lock = KernelLock(self.path.with_name("owners"))
        else:
            with self._explained("locked"):
                self._kernel_lock = ServerLock(self._engine, self._explained)
        return self._kernel_lock

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        return self._query(lambda connection: connection.execute(query).all())

    def _scalar(self, query: Executable) -> Any:  # noqa: ANN401 - whatever the query asks for
        return self._query(lambda connection: connection.execute(query).scalar())

    def _query(self, read: Callable[[Connection], _T], *, bad_text: str = "surrogateescape") -> _T:
        """Run a read; if a text is not UTF-8, read again with `bad_text` as the error handler."""
        with self._explained("read"):
            try:
                with self._reading() as connection:
                    return read(connection)
            except dialects.foreign() as error:
                if not dialects.is_bad_text(error):
                    raise
            with self._reading() as connection:
                dialects.read_any_text(connection, bad_text)
                return read(connection)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        finally:
            if self._closed and self.path is None:
                self._engine.dispose()


@contextmanager
def _begun(connection: Connection) -> Iterator[Connection]:
    with connection.begin():
        yield connection


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, or None if it does not exist."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


# SQLite databases that this process has open, and the files that its parent had open at the fork.
_open: weakref.WeakSet[Database] = weakref.WeakSet()
_inherited: set[tuple[int, int] | None] = set()


def _inherit() -> None:
    """After a fork, remember the files whose connections and locks belong to the parent."""
    _inherited.update(each._file for each in _open if each._file)  # noqa: SLF001 - of its own kind
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_inherit)


def _bring_up_to_date(connection: Connection, version: int) -> None:
    """Create the tables or run the missing migrations, in the caller's transaction."""
    if version == 0:
        metadata.create_all(connection, checkfirst=False)
        connection.execute(insert(versions).values(version_num=str(VERSION)))
    elif version < VERSION:
        from modellix_jupyter.ledger.migrations import migrate  # Alembic is slow to import

        migrate(connection)
    history.create_view(connection)
    dialects.store_version(connection, VERSION)
