"""The ledger: a row for every task, written before it is sent and after each change.

Writes go through one connection under a lock and are durable when they return (WAL with
``synchronous=FULL``): a row stands for money. Each read opens a connection of its own, so that a
long one never holds up a write; WAL lets them see a consistent past.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from modellix_jupyter.errors import LedgerError
from modellix_jupyter.ledger import migrations
from modellix_jupyter.ledger.blocks import NAMES, Block, blocks
from modellix_jupyter.ledger.rows import WRITTEN, from_row, to_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from modellix_jupyter.ledger.search import Search
    from modellix_jupyter.values import Task

_BUSY_S = 10.0
"""How long a write waits for another process's, in seconds."""
_LEARN_FROM = 50
"""Tasks of a model whose durations are looked at, newest first."""

# The column names are this module's own constants, never input.
_INSERT = (
    f"INSERT INTO tasks ({', '.join(WRITTEN)}, owner) "  # noqa: S608 - see above
    f"VALUES ({', '.join(f':{name}' for name in WRITTEN)}, :owner)"
)
_UPDATE = (
    f"UPDATE tasks SET {', '.join(f'{n} = :{n}' for n in WRITTEN if n != 'uid')} "  # noqa: S608 - see above
    "WHERE uid = :uid"
)
_BLOCKS = f"SELECT {', '.join(NAMES)} FROM tasks ORDER BY created_at, rowid"  # noqa: S608 - see above


class Ledger:
    """Tasks in SQLite; safe from several threads and several processes.

    Parameters
    ----------
    path
        Of the database; made, with its folder, where it is not there.
    files
        The folder of the downloads, to which stored paths are relative.

    Raises
    ------
    LedgerTooNew
        Written by a newer version; the file is not touched.
    LedgerError
        It cannot be opened.

    """

    def __init__(self, path: Path, files: Path) -> None:
        self.path = path
        self.files = files
        self._lock = threading.RLock()
        with self._explained("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            migrations.check_version(path)
            self._write = self._connect()
            try:
                _write_ahead(self._write)
                migrations.migrate(self._write, path)
            except BaseException:
                self._write.close()
                raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerError(f"The ledger {self.path} cannot be {done}: {error}.") from error
        except OSError as error:
            raise LedgerError(
                f"The ledger {self.path} cannot be {done}: {error.strerror}."
            ) from error

    def close(self) -> None:
        """Close the connection; what was written is on the disk already."""
        with self._lock:
            self._write.close()

    # -- writing

    def add(self, tasks: Sequence[Task], owner: str) -> None:
        """Record intents, all of them or none, before any is sent.

        Raises
        ------
        LedgerError
            Nothing was recorded, so nothing may be sent.

        """
        rows = [{**to_row(task, self.files), "owner": owner} for task in tasks]
        with self._transaction() as connection:
            connection.executemany(_INSERT, rows)

    def save(self, *tasks: Task) -> None:
        """Record how tasks stand now, all of them or none."""
        rows = [to_row(task, self.files) for task in tasks]
        with self._transaction() as connection:
            connection.executemany(_UPDATE, rows)

    def claim(self, uid: str, owner: str | None, *, was: str | None, unsent: bool = False) -> bool:
        """Take a task over from an engine that is gone, or leave it to any with None.

        Parameters
        ----------
        uid
            Our own name for it.
        owner, was
            Who drives it from now on, and who did.
        unsent
            Only while its row says that its request never left.

        Returns
        -------
        bool
            False where another was quicker.

        """
        condition = " AND status = 'submitting' AND submitted_at IS NULL" if unsent else ""
        with self._transaction() as connection:
            cursor = connection.execute(
                f"UPDATE tasks SET owner = ? WHERE uid = ? AND owner IS ?{condition}",  # noqa: S608 - one of two literals
                (owner, uid, was),
            )
            return cursor.rowcount == 1

    @contextmanager
    def continuing(self) -> Iterator[None]:
        """Be the only one, of all threads and kernels, that adds to a batch by its name.

        What a batch lacks is read, and then added: two that did so at once would both send it.
        """
        lock = FileLock(self.path.with_name("batches.lock"))
        with self._explained("locked"):
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def rate(self, uid: str, rating: int | None) -> None:
        """Record a choice, from 1 to 5, or take it back with None."""
        self._remark("rating", uid, rating)

    def note(self, uid: str, note: str | None) -> None:
        """Record a note, or take it back with None."""
        self._remark("note", uid, note)

    def _remark(self, column: str, uid: str, value: int | str | None) -> None:
        with self._transaction() as connection:
            connection.execute(
                f"INSERT INTO remarks (uid, {column}) VALUES (?, ?) "  # noqa: S608 - `column` is a literal of this module
                f"ON CONFLICT (uid) DO UPDATE SET {column} = excluded.{column}",
                (uid, value),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explained("written"):
            self._write.execute("BEGIN IMMEDIATE")
            try:
                yield self._write
                self._write.execute("COMMIT")
            except BaseException:
                # a full disk may have rolled back by itself; a second ROLLBACK must not hide it
                if self._write.in_transaction:
                    self._write.execute("ROLLBACK")
                raise

    # -- reading

    def get(self, uid: str) -> Task | None:
        """Return one task by our own name for it."""
        return next(self._select("WHERE uid = ?", (uid,)), None)

    def find(self, task_id: str) -> Task | None:
        """Return the newest task with an id of the service's, or with our own name."""
        where = "WHERE task_id = ? OR uid = ? ORDER BY created_at DESC LIMIT 1"
        return next(self._select(where, (task_id, task_id)), None)

    def owner(self, uid: str) -> str | None:
        """Return who drives a task."""
        with self._reading() as connection:
            row = connection.execute("SELECT owner FROM tasks WHERE uid = ?", (uid,)).fetchone()
        return None if row is None else row["owner"]

    def tasks(self) -> Iterator[Task]:
        """Yield every task, oldest first."""
        return self._select("ORDER BY created_at, rowid", ())

    def blocks(self) -> Iterator[Block]:
        """Yield every task, oldest first, by column and a block at a time; see `blocks.blocks`."""
        with self._reading() as connection:
            connection.row_factory = None
            yield from blocks(connection.execute(_BLOCKS), self.files)

    def count(self) -> int:
        """Return how many tasks there are."""
        with self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM tasks").fetchone()[0])

    def search(self, search: Search, offset: int = 0, limit: int = 50) -> tuple[list[Task], int]:
        """Return a page of tasks, and how many there are on all pages.

        Parameters
        ----------
        search
            Which, and in which order.
        offset, limit
            How many stand before the page, and how many on it at most.

        """
        condition, values = search.where()
        tables = f"FROM tasks t LEFT JOIN remarks r ON r.uid = t.uid WHERE {condition}"
        with self._reading() as connection:
            count = connection.execute(f"SELECT count(*) {tables}", values).fetchone()[0]
            rows = connection.execute(
                f"SELECT t.* {tables} ORDER BY {search.order()} LIMIT ? OFFSET ?",
                [*values, limit, offset],
            ).fetchall()
        return [from_row(row, self.files) for row in rows], int(count)

    def batch(self, name: str) -> list[Task]:
        """Return the tasks that were started together, in their order."""
        return list(self._select("WHERE batch = ? ORDER BY rowid", (name,)))

    def remarks(self) -> dict[str, dict[str, Any]]:
        """Return rating and note of every task that has either, by our own name of it."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT uid, rating, note FROM remarks WHERE rating IS NOT NULL OR note IS NOT NULL"
            ).fetchall()
        return {row["uid"]: {"rating": row["rating"], "note": row["note"]} for row in rows}

    def unsettled(self, origin: str) -> list[Task]:
        """Return the tasks of a service that are not over, oldest first."""
        where = "WHERE origin = ? AND settled = 0 ORDER BY created_at, rowid"
        return list(self._select(where, (origin,)))

    def unknown(self, origin: str) -> list[Task]:
        """Return the submissions to a service whose outcome is unknown, oldest first."""
        where = "WHERE origin = ? AND status = 'unknown' ORDER BY created_at, rowid"
        return list(self._select(where, (origin,)))

    def durations(self, model: str, origin: str) -> list[float]:
        """Return what a model's latest successful tasks took at a service, in seconds."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT (completed_at - submitted_at) / 1e6 AS seconds FROM tasks "
                "WHERE model = ? AND origin = ? AND status = 'success' "
                "AND submitted_at IS NOT NULL AND completed_at IS NOT NULL "
                "ORDER BY completed_at DESC LIMIT ?",
                (model, origin, _LEARN_FROM),
            ).fetchall()
        return [row["seconds"] for row in rows]

    def recent_models(self, origin: str, limit: int = 8) -> list[str]:
        """Return the models used last, the latest first."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT model FROM tasks WHERE origin = ? GROUP BY model "
                "ORDER BY max(created_at) DESC LIMIT ?",
                (origin, limit),
            ).fetchall()
        return [row["model"] for row in rows]

    def _select(self, rest: str, values: Iterable[object]) -> Iterator[Task]:
        with self._reading() as connection:
            rows = connection.execute(f"SELECT * FROM tasks {rest}", tuple(values)).fetchall()  # noqa: S608 - `rest` is a literal of this module
        return (from_row(row, self.files) for row in rows)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._explained("read"), closing(self._connect()) as connection:
            yield connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Change to WAL; SQLite's own patience does not cover two that do so to a new file at once."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
