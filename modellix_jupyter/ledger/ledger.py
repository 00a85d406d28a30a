"""The ledger: a row for every task, written before it is sent and after each change.

Writes go through one connection under a lock and are durable when they return (WAL with
``synchronous=FULL``): a row stands for money. Each read opens a connection of its own, so that a
long one never holds up a write; WAL lets them see a consistent past.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from modellix_jupyter.errors import LedgerError
from modellix_jupyter.ledger import dialects, history
from modellix_jupyter.ledger.pending_counts import VERSION, check_version, refuse_newer
from modellix_jupyter.ledger.tables import (
    UNKNOWN,
    file_rows,
    files,
    metadata,
    task_of,
    task_row,
    tasks,
    versions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement, Connection, Select

    from modellix_jupyter.ledger.search import Search
    from modellix_jupyter.values import Task

_LEARN_FROM = 50
"""Tasks of a model whose durations are looked at, newest first."""
_OLDEST_FIRST = (tasks.c.created_at, tasks.c.id)


def _make_private(path: Path) -> None:
    """Let nobody else read a ledger; SQLite gives its mode to the write-ahead log."""
    path.touch(mode=0o600)
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with suppress(OSError):  # not there, or another user's, who opened it to this one
            file.chmod(0o600)


class Ledger:
    """Tasks in a database; safe from several threads and several processes.

    The database and its folder are made where they are not there; `files` is the folder of the
    downloads. Every method raises `LedgerError` where the database fails.
    """

    def __init__(self, path: Path, files: Path) -> None:
        self.path = path
        self.files = files
        self._lock = threading.RLock()
        with self._explained("opened"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_version(path)
            _make_private(path)
            self._engine = dialects.open_sqlite(path)
            self._write = dialects.writer(self._engine)
            try:
                self._migrate()
            except BaseException:
                self._write.close()
                raise

    def _migrate(self) -> None:
        with self._engine.connect() as connection:
            version = dialects.stored_version(connection)
        refuse_newer(version, self.path)
        if version < VERSION:
            with self._write.begin():
                # another kernel may have been quicker: from here on there is only this one
                _bring_up_to_date(self._write, dialects.stored_version(self._write))

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Translate whatever a database raises: the one place that does."""
        try:
            yield
        except dialects.FOREIGN as error:
            told = dialects.reason(error)
            raise LedgerError(f"The ledger {self.path} cannot be {done}: {told}.") from error

    def close(self) -> None:
        """Close the connection; what was written is on the disk already."""
        with self._lock:
            self._write.close()

    # -- writing

    def add(self, new: Sequence[Task], owner: str) -> None:
        """Record intents, all of them or none, before any is sent."""
        with self._transaction() as connection:
            insert_tasks(connection, new, self.files, owner)

    def save(self, *changed: Task) -> None:
        """Record how tasks stand now, all of them or none; owner and remarks stay as they are."""
        with self._transaction() as connection:
            if not changed:
                return
            rows = [{**task_row(task), "of": task.uid} for task in changed]
            connection.execute(update(tasks).where(tasks.c.uid == bindparam("of")), rows)
            connection.execute(delete(files).where(files.c.uid == bindparam("of")), rows)
            if found := file_rows(changed, self.files):
                connection.execute(insert(files), found)

    def claim(self, uid: str, owner: str | None, *, was: str | None, unsent: bool = False) -> bool:
        """Take a task over from the owner that it had, or leave it to any with None.

        Returns False where another was quicker; with `unsent`, also where its request has left.
        """
        change = update(tasks).where(tasks.c.uid == uid, tasks.c.owner.is_not_distinct_from(was))
        if unsent:
            change = change.where(tasks.c.status == "submitting", tasks.c.submitted_at.is_(None))
        with self._transaction() as connection:
            return connection.execute(change.values(owner=owner)).rowcount == 1

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
        self._remark(uid, rating=rating)

    def note(self, uid: str, note: str | None) -> None:
        """Record a note, or take it back with None."""
        self._remark(uid, note=note)

    def _remark(self, uid: str, **remark: int | str | None) -> None:
        with self._transaction() as connection:
            connection.execute(update(tasks).where(tasks.c.uid == uid).values(**remark))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._lock, self._explained("written"), self._write.begin():
            yield self._write

    # -- reading

    def get(self, uid: str) -> Task | None:
        """Return one task by our own name for it."""
        return next(iter(self._select(tasks.c.uid == uid)), None)

    def find(self, task_id: str) -> Task | None:
        """Return the newest task with an id of the service's, or with our own name."""
        known = or_(tasks.c.task_id == task_id, tasks.c.uid == task_id)
        query = select(tasks).where(known).order_by(tasks.c.created_at.desc()).limit(1)
        return next(iter(self._tasks(query)), None)

    def owner(self, uid: str) -> str | None:
        """Return who drives a task."""
        found: str | None = self._scalar(select(tasks.c.owner).where(tasks.c.uid == uid))
        return found

    def tasks(self) -> list[Task]:
        """Return every task, oldest first."""
        return self._select()

    def count(self) -> int:
        """Return how many tasks there are."""
        return int(self._scalar(select(func.count()).select_from(tasks)))

    def search(self, search: Search, offset: int = 0, limit: int = 50) -> tuple[list[Task], int]:
        """Return a page of tasks, and how many there are on all pages."""
        wanted = search.conditions(self._engine.dialect.name)
        query = select(tasks).where(*wanted).order_by(*search.order()).limit(limit).offset(offset)
        count = select(func.count()).select_from(tasks).where(*wanted)
        return self._tasks(query), int(self._scalar(count))

    def batch(self, name: str) -> list[Task]:
        """Return the tasks that were started together, in their order."""
        return self._tasks(select(tasks).where(tasks.c.batch == name).order_by(tasks.c.id))

    def remarks(self) -> dict[str, dict[str, Any]]:
        """Return rating and note of every task that has either, by our own name of it."""
        columns = tasks.c
        made = or_(columns.rating.is_not(None), columns.note.is_not(None))
        rows = self._rows(select(columns.uid, columns.rating, columns.note).where(made))
        return {uid: {"rating": rating, "note": note} for uid, rating, note in rows}

    def history(
        self, uids: Sequence[str] | None = None, by: history.By = "task"
    ) -> dict[str, list[Any]]:
        """Return the view `history` by column, of all tasks or of these in their order."""
        with self._reading() as connection:
            folder = str(self.files / "x")[:-1]
            query = history.rows(connection.dialect.name, folder, uids, by)
            return history.by_column(connection, query)

    def unfinished(self, origin: str) -> list[Task]:
        """Return the tasks of a service that are not over, oldest first."""
        return self._select(tasks.c.origin == origin, ~tasks.c.is_final)

    def unknown(self, origin: str) -> list[Task]:
        """Return the submissions to a service whose outcome is unknown, oldest first."""
        return self._select(tasks.c.origin == origin, UNKNOWN)

    def durations(self, model: str, origin: str) -> list[float]:
        """Return what a model's latest successful tasks took at a service, in seconds."""
        columns = tasks.c
        took = columns.completed_at - columns.submitted_at
        query = select(took).where(
            columns.model == model,
            columns.origin == origin,
            columns.status == "success",
            columns.submitted_at.is_not(None),
            columns.completed_at.is_not(None),
        )
        rows = self._rows(query.order_by(columns.completed_at.desc()).limit(_LEARN_FROM))
        return [us / 1e6 for (us,) in rows]

    def recent_models(self, origin: str, limit: int = 8) -> list[str]:
        """Return the models used last, the latest first."""
        query = select(tasks.c.model).where(tasks.c.origin == origin).group_by(tasks.c.model)
        latest = func.max(tasks.c.created_at).desc()
        return [model for (model,) in self._rows(query.order_by(latest).limit(limit))]

    def _select(self, *conditions: ColumnElement[bool]) -> list[Task]:
        return self._tasks(select(tasks).where(*conditions).order_by(*_OLDEST_FIRST))

    def _tasks(self, query: Select[Any]) -> list[Task]:
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
            wanted = dialects.listed([row["uid"] for row in rows], connection.dialect.name)
            found = connection.execute(
                select(files)
                .where(files.c.uid.in_(select(wanted.c.value)))
                .order_by(files.c.uid, files.c.position)
            ).mappings()
            of = {uid: list(each) for uid, each in groupby(found, lambda row: row["uid"])}
            return [task_of(row, of.get(row["uid"], ()), self.files) for row in rows]

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        with self._reading() as connection:
            return connection.execute(query).all()

    def _scalar(self, query: Select[Any]) -> Any:  # noqa: ANN401 - whatever the query asks for
        with self._reading() as connection:
            return connection.execute(query).scalar()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._explained("read"), self._engine.connect() as connection:
            yield connection


def _bring_up_to_date(connection: Connection, version: int) -> None:
    """Make the tables, or take the steps that are missing, in the caller's transaction."""
    if version == 0:
        metadata.create_all(connection, checkfirst=False)
        connection.execute(insert(versions).values(version_num=str(VERSION)))
    elif version < VERSION:
        from modellix_jupyter.ledger.migrations import migrate  # Alembic, which takes a while

        migrate(connection)
    history.create_view(connection)
    dialects.store_version(connection, VERSION)


def insert_tasks(
    connection: Connection, new: Sequence[Task], folder: Path, owner: str | None
) -> None:
    """Write tasks that the tables do not have yet."""
    if new:
        connection.execute(insert(tasks), [{**task_row(task), "owner": owner} for task in new])
    if found := file_rows(new, folder):
        connection.execute(insert(files), found)


def columns_of(given: Sequence[Task], by: history.By) -> dict[str, list[Any]]:
    """Return the view `history` of tasks that may be in no ledger, by way of one in memory."""
    from dataclasses import replace
    from pathlib import Path

    engine = dialects.open_sqlite(None)
    try:
        with engine.begin() as connection:
            metadata.create_all(connection, checkfirst=False)
            numbered = [replace(task, uid=str(index)) for index, task in enumerate(given)]
            insert_tasks(connection, numbered, Path("/nowhere"), None)
            uids = [task.uid for task in numbered]
            query = history.rows(engine.dialect.name, "", uids, by)
            return history.by_column(connection, query)
    finally:
        engine.dispose()
