"""The ledger: a row for every task, written before it is sent and after each change."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, false, func, insert, or_, select, text, true, update

from modellix_jupyter.errors import LedgerError, LedgerUnavailable, NotOwned, RowGone
from modellix_jupyter.ledger import budgets, dialects, history
from modellix_jupyter.ledger.database import Database
from modellix_jupyter.ledger.tables import (
    UNKNOWN,
    changing_row,
    file_rows,
    files,
    limits,
    metadata,
    relative,
    storable,
    task_of,
    task_row,
    tasks,
    uploads,
)
from modellix_jupyter.ledger.uninterrupted import uninterrupted
from modellix_jupyter.values import Status, UploadedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement, Connection, RowMapping, Select

    from modellix_jupyter.ledger.history import Search
    from modellix_jupyter.values import Task

# The conditions of a task that was never sent.
_UNSENT = (tasks.c.status == Status.SUBMITTING.value, tasks.c.submitted_at.is_(None))
# Statements of every task's every step, built once: building one takes longer than running it.
_CHANGE_ANYBODYS = update(tasks).where(tasks.c.uid == bindparam("of"))
_CHANGE = _CHANGE_ANYBODYS.where(tasks.c.owner == bindparam("by"))
_SEND = _CHANGE.where(*_UNSENT)
_FORGET_FILES = delete(files).where(files.c.uid == bindparam("of"))
_ADD_FILES = insert(files)
# How many of a model's latest tasks its durations are learned from.
_LEARN_FROM = 50
_OF_UPLOAD = ("file_id", "url", "created_at", "expires_at")
_OLDEST_FIRST = (tasks.c.created_at, tasks.c.id)
# The new values of a deleted task's columns: nothing the user wrote is kept.
_DELETED = {
    **dict.fromkeys(("prompt", "rating", "note", "request_key", "error_message")),
    "params": "{}",
    "deleted": True,
}


class Ledger(Database):
    """The tasks in a database; safe for several threads, processes and machines.

    `place` is the path of an SQLite file, which is created if it does not exist, or the URL of a
    PostgreSQL database. `files` is the folder of the downloads, or its URL; `user` is recorded with
    new tasks. Every method raises `LedgerError` if the database fails.
    """

    def __init__(self, place: Path | str, files: Path | str, *, user: str | None = None) -> None:
        # the prefix of all paths of files
        self.files = files if isinstance(files, str) else f"{files}{os.sep}"
        # What is wrong with each damaged row that was skipped, by uid.
        self.damaged: dict[str, str] = {}
        self._user = user
        super().__init__(place)

    # -- writing

    @uninterrupted
    def add(self, new: Sequence[Task], owner: str | None) -> None:
        """Record new tasks, all or none, before any is sent; without an owner, any kernel may.

        Their prices are reserved from now on; raises `OverBudget` if they exceed a limit.
        """
        with self._transaction() as connection:
            insert_tasks(connection, new, self.files, owner, self._user)
            held = [task for task in new if task.reused_from is None]
            budgets.hold(connection, held, max((task.created_at for task in held), default=0))

    @uninterrupted
    def hold_again(
        self, unsent: Sequence[Task], prices: Sequence[float | None], now_us: int
    ) -> None:
        """Reserve these prices for tasks that were recorded earlier; `OverBudget` as above."""
        change = _CHANGE_ANYBODYS.where(*_UNSENT)
        change = change.values(created_at=now_us, price=bindparam("usd"))
        priced = [(task, price) for task, price in zip(unsent, prices, strict=True)]
        # a row that is counted already stays untouched: another machine may be writing it
        rows = [
            {"of": task.uid, "usd": price}
            for task, price in priced
            if not budgets.is_held_now(task, price, now_us)
        ]
        with self._transaction() as connection:
            if rows:
                connection.execute(change, rows)
            held = [replace(task, price=price) for task, price in priced]
            budgets.hold(connection, held, now_us)

    def set_budget(self, service: str, period: budgets.Period, usd: float | None) -> None:
        """Set the spending limit of a service for a period, for every kernel; None removes it."""
        with self._transaction() as connection:
            budgets.set_budget(connection, service, period, usd)

    def standings(self, service: str, now_us: int) -> list[budgets.Standing]:
        """Return the standing of a service in each period."""
        return self._query(lambda connection: budgets.standings(connection, service, now_us))

    @uninterrupted
    def save(self, *changed: Task, owner: str | None = None) -> list[Task]:
        """Record the state of tasks, all or none; request, owner, rating and note do not change.

        With an owner, `NotOwned` is raised if a task has another owner by now, or is about to be
        sent but was sent before. A task whose row was deleted is recorded again, and returned; if
        it is about to be sent, `RowGone` is raised.
        """
        leaving = [task for task in changed if task.in_flight]
        others = [task for task in changed if not task.in_flight]
        with self._transaction() as connection:
            gone = _update(connection, leaving, owner, unsent=True)
            if gone:
                raise RowGone("The ledger has no row of this task any more, so it was not sent.")
            gone = _update(connection, others, owner)
            _insert(connection, gone, owner, self._user)
            if found := file_rows(changed, self.files):
                uids = [{"of": task.uid} for task in changed]
                connection.execute(_FORGET_FILES, uids)
                connection.execute(_ADD_FILES, found)
        return gone

    def claim(self, uid: str, owner: str | None, *, was: str | None) -> bool:
        """Take a task over from its last owner; False if another kernel was first."""
        return self.claim_all([uid], owner, was=was) == [uid]

    @uninterrupted
    def claim_all(
        self,
        uids: Sequence[str],
        owner: str | None,
        *,
        was: str | None,
        unsent: bool = False,
        limit: int | None = None,
    ) -> list[str]:
        """Take tasks over from their last owner, or release them if `owner` is None.

        With `unsent`, only tasks that were never sent. Returns the uids that were claimed.
        """
        wanted = dialects.listed(uids, self._engine.dialect.name)
        free = select(tasks.c.id).where(
            tasks.c.uid.in_(select(wanted.c.value)), tasks.c.owner.is_not_distinct_from(was)
        )
        if unsent:
            free = free.where(*_UNSENT)
        # rows that another kernel is claiming now are skipped, not waited for
        free = free.order_by(tasks.c.id).limit(limit).with_for_update(skip_locked=unsent)
        change = update(tasks).where(tasks.c.id.in_(select(free.cte("free").c.id)))
        with self._transaction() as connection:
            taken = connection.execute(change.values(owner=owner).returning(tasks.c.uid))
            return list(taken.scalars())

    @uninterrupted
    def take_over(self, uids: Sequence[str], owner: str) -> None:
        """Give tasks another owner, even if the last one is suspended within a write."""
        try:
            self._take_over(uids, owner)
        except LedgerUnavailable:
            if self.path is not None:
                raise
            self._take_over(uids, owner, cut_off=True)

    def _take_over(self, uids: Sequence[str], owner: str, *, cut_off: bool = False) -> None:
        wanted = dialects.listed(uids, self._engine.dialect.name)
        change = update(tasks).where(tasks.c.uid.in_(select(wanted.c.value)))
        with self._transaction() as connection:
            if self.path is None:
                dialects.prepare_takeover(connection, cut_off=cut_off)
            connection.execute(change.values(owner=owner))

    @contextmanager
    def continuing(self) -> Iterator[None]:
        """Hold the lock for adding to named batches, exclusively among all threads and kernels.

        The rows that a batch lacks are read, then added: without a lock, two kernels could do so.
        """
        with self._alone("batches", 1):
            yield

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Hold the lock for uploads: without it, two kernels could upload the same file."""
        with self._alone("uploads", 2):
            yield

    def add_upload(
        self, origin: str, sha256: str, file: UploadedFile, preview: str | None = None
    ) -> None:
        """Record an upload to a service, with a thumbnail of it as a ``data:`` URL."""
        row: dict[str, Any] = {name: getattr(file, name) for name in _OF_UPLOAD}
        row |= {"origin": origin, "sha256": sha256, "preview": preview}
        same = (uploads.c.origin == origin) & (uploads.c.url == file.url)
        with self._transaction() as connection:
            connection.execute(delete(uploads).where(same))
            connection.execute(insert(uploads), [row])

    def forget_upload(self, origin: str, file_id: str) -> None:
        """Record that the service no longer keeps an upload."""
        which = (uploads.c.origin == origin) & (uploads.c.file_id == file_id)
        with self._transaction() as connection:
            connection.execute(update(uploads).where(which).values(expires_at=0))

    def rate(self, uid: str, rating: int | None) -> None:
        """Record a rating, from 1 to 5; None removes it."""
        self._remark(uid, rating=rating)

    def note(self, uid: str, note: str | None) -> None:
        """Record a note; None removes it."""
        self._remark(uid, note=note)

    @uninterrupted
    def _remark(self, uid: str, **remark: int | str | None) -> None:
        values = {name: storable(value) for name, value in remark.items()}
        with self._transaction() as connection:
            connection.execute(update(tasks).where(tasks.c.uid == uid).values(values))

    def check_rights(self) -> None:
        """Raise `LedgerError` unless rows may be inserted, updated and deleted; changes nothing."""
        nothing = select(files).where(false())
        with self._transaction() as connection:
            connection.execute(update(tasks).where(false()).values(note=None))
            connection.execute(insert(files).from_select(list(files.c), nothing))
            connection.execute(delete(files).where(false()))

    def delete(self, uids: Iterable[str]) -> tuple[list[str], list[str]]:
        """Delete those of these tasks that have ended, but keep what they cost.

        Returns the deleted uids, and the paths of files that no other task refers to.
        """
        with self._transaction() as connection:
            given = dialects.listed(uids, connection.dialect.name)
            fits = (tasks.c.uid.in_(select(given.c.value)), tasks.c.is_final, ~tasks.c.deleted)
            found = connection.execute(select(tasks.c.uid).where(*fits, self._mine())).scalars()
            mine = dialects.listed(gone := [*found], connection.dialect.name)
            theirs = files.c.uid.in_(select(mine.c.value))
            kept = select(files.c.path).where(~theirs, files.c.path.is_not(None))
            unnamed = select(files.c.path).where(theirs, files.c.path.not_in(kept)).distinct()
            paths = [*connection.execute(unnamed).scalars()]
            connection.execute(delete(files).where(theirs))
            gone_rows = update(tasks).where(tasks.c.uid.in_(select(mine.c.value)))
            connection.execute(gone_rows.values(_DELETED))
        return gone, [path for path in paths if path]

    # -- reading

    def get(self, uid: str) -> Task | None:
        """Return a task by its uid, or None."""
        return self._one(select(tasks).where(tasks.c.uid == uid))

    def of_file(self, beginning: str) -> Task | None:
        """Return a task by the beginning of its uid, as it is in the names of files, or None."""
        known = tasks.c.uid.startswith(beginning, autoescape=True)
        return self._one(select(tasks).where(known).limit(1))

    def find(self, task_id: str) -> Task | None:
        """Return the newest task with this id of the service, or with this uid, or None."""
        known = or_(tasks.c.task_id == task_id, tasks.c.uid == task_id)
        query = select(tasks).where(known).order_by(tasks.c.created_at.desc()).limit(1)
        return self._one(query)

    def owner(self, uid: str) -> str | None:
        """Return the owner of a task, or None."""
        found: str | None = self._scalar(select(tasks.c.owner).where(tasks.c.uid == uid))
        return found

    def rows(self, uids: Sequence[str]) -> dict[str, tuple[str | None, Task]]:
        """Return owner and task by uid, of those of these tasks that have a row."""
        wanted = dialects.listed(uids, self._engine.dialect.name)
        query = select(tasks).where(tasks.c.uid.in_(select(wanted.c.value)))
        return {task.uid: (row["owner"], task) for row, task in self._read(query)}

    def tasks(self) -> list[Task]:
        """Return every task, oldest first."""
        return self._select(~tasks.c.deleted)

    def uids(self, service: str | None) -> list[str]:
        """Return the uids of a service's tasks, or of all, oldest first."""
        of = true() if service is None else tasks.c.service == service
        query = select(tasks.c.uid).where(of, ~tasks.c.deleted).order_by(*_OLDEST_FIRST)
        return [uid for (uid,) in self._rows(query)]

    def count(self) -> int:
        """Return the number of tasks."""
        return int(self._scalar(select(func.count()).where(~tasks.c.deleted)))

    def search(self, search: Search, offset: int = 0, limit: int = 50) -> tuple[list[Task], int]:
        """Return a page of the tasks found, and their number on all pages."""
        wanted = search.conditions(self._engine.dialect.name)
        query = select(tasks).where(*wanted).order_by(*search.order()).limit(limit).offset(offset)
        count = select(func.count()).select_from(tasks).where(*wanted)
        return self._tasks(query), int(self._scalar(count))

    def found(self, search: Search) -> list[str]:
        """Return the uids of all tasks found, in order."""
        wanted = search.conditions(self._engine.dialect.name)
        query = select(tasks.c.uid).where(*wanted).order_by(*search.order())
        return [uid for (uid,) in self._rows(query)]

    def batch(self, name: str) -> list[Task]:
        """Return the tasks of a batch, in order."""
        found = tasks.c.batch == storable(name)
        return self._tasks(select(tasks).where(found).order_by(tasks.c.id))

    def requested(self, keys: Sequence[str]) -> dict[str, list[Task]]:
        """Return the tasks of each request key, oldest first, but not those that reused one."""
        wanted = dialects.listed(keys, self._engine.dialect.name)
        found: dict[str, list[Task]] = defaultdict(list)
        for task in self._select(
            tasks.c.request_key.in_(select(wanted.c.value)), tasks.c.reused_from.is_(None)
        ):
            found[task.request_key or ""].append(task)
        return found

    def remarks(self) -> dict[str, dict[str, Any]]:
        """Return rating and note of every task that has one of them, by uid."""
        columns = tasks.c
        made = or_(columns.rating.is_not(None), columns.note.is_not(None))
        rows = self._rows(select(columns.uid, columns.rating, columns.note).where(made))
        return {uid: {"rating": rating, "note": note} for uid, rating, note in rows}

    def history(
        self,
        uids: Sequence[str] | None = None,
        by: history.By = "task",
        service: str | None = None,
    ) -> dict[str, list[Any]]:
        """Return the columns of the view `history`: of all tasks, a service's, or these."""
        query = history.rows(self._engine.dialect.name, self.files, uids, by, service)
        return self._query(lambda c: history.by_column(c, query), bad_text="replace")

    def unfinished(self, origin: str) -> list[Task]:
        """Return a service's unfinished tasks, oldest first; on a shared ledger, this user's."""
        return self._select(tasks.c.origin == origin, ~tasks.c.is_final, self._mine())

    def given_up(self, origin: str, since: int) -> list[Task]:
        """Return the tasks, as above, that ended since then without a result."""
        lost = select(files.c.uid).where(files.c.lost)
        over = or_(tasks.c.status == Status.EXPIRED.value, tasks.c.uid.in_(lost))
        recent = tasks.c.created_at > since
        return self._select(tasks.c.origin == origin, tasks.c.is_final, recent, over, self._mine())

    def unfinished_of(self, service: str) -> list[Task]:
        """Return the unfinished tasks of all services with this name, as above."""
        return self._select(tasks.c.service == service, ~tasks.c.is_final, self._mine())

    def unknown(self, origin: str) -> list[Task]:
        """Return the submissions to a service whose outcome is unknown, as above."""
        return self._select(tasks.c.origin == origin, UNKNOWN, self._mine())

    def _mine(self) -> ColumnElement[bool]:
        """Return which tasks a kernel may resume by itself: on a shared ledger, its user's."""
        if self.path is not None:
            return true()
        return tasks.c.user.is_not_distinct_from(self._user)

    def users(self) -> dict[str, int]:
        """Return the number of tasks of each user."""
        query = select(tasks.c.user, func.count()).group_by(tasks.c.user).order_by(tasks.c.user)
        return {user or "nobody": count for user, count in self._rows(query)}

    def server_version(self) -> str | None:
        """Return the version of the PostgreSQL server; None for SQLite."""
        return None if self.path else str(self._scalar(text("SHOW server_version")))

    def uploads(self, origin: str) -> dict[str, UploadedFile]:
        """Return the last upload of each file to a service, by SHA-256, oldest first."""
        columns = (uploads.c[name] for name in ("sha256", *_OF_UPLOAD))
        query = select(*columns).where(uploads.c.origin == origin).order_by(uploads.c.created_at)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return {r["sha256"]: UploadedFile(**{n: r[n] for n in _OF_UPLOAD}) for r in rows}

    def upload_digests(self, origin: str) -> dict[str, str]:
        """Return the SHA-256 of every upload to a service, by URL."""
        query = select(uploads.c.url, uploads.c.sha256).where(uploads.c.origin == origin)
        return dict(self._rows(query))

    def upload_preview(self, origin: str, url: str) -> str | None:
        """Return the thumbnail of an upload to a service, by URL, or None."""
        which = (uploads.c.origin == origin) & (uploads.c.url == storable(url))
        found: str | None = self._scalar(select(uploads.c.preview).where(which))
        return found

    def maker(self, place: str) -> Task | None:
        """Return the task that made a file, by the file's URL or path, or None."""
        name = relative(place, self.files)
        made = files.c.url == storable(place)
        made |= files.c.path == storable(name)
        wanted = select(files.c.uid).where(made)
        return next(iter(self._select(tasks.c.uid.in_(wanted))), None)

    def durations(self, model: str, origin: str) -> list[float]:
        """Return the durations of a model's latest successful tasks at a service, in seconds."""
        columns = tasks.c
        took = columns.completed_at - columns.submitted_at
        query = select(took).where(
            columns.model == model,
            columns.origin == origin,
            columns.reused_from.is_(None),
            columns.status == "success",
            columns.submitted_at.is_not(None),
            columns.completed_at.is_not(None),
            columns.measured,
        )
        rows = self._rows(query.order_by(columns.completed_at.desc()).limit(_LEARN_FROM))
        return [us / 1e6 for (us,) in rows]

    def places(self, origin: str) -> int | None:
        """Return how many tasks a service last let this user run at once, or None if unknown."""
        mine = (limits.c.origin == origin, limits.c.user == (self._user or ""))
        found: int | None = self._scalar(select(limits.c.places).where(*mine))
        return found

    @uninterrupted
    def keep_places(self, origin: str, places: int) -> None:
        """Record how many tasks a service lets this user run at once."""
        row = {"origin": origin, "user": self._user or ""}
        with self._transaction() as connection:
            connection.execute(delete(limits).filter_by(**row))
            connection.execute(insert(limits).values(**row, places=places))

    def recent_models(self, origin: str, limit: int = 8) -> list[str]:
        """Return the models used most recently, the latest first."""
        query = select(tasks.c.model).where(tasks.c.origin == origin).group_by(tasks.c.model)
        latest = func.max(tasks.c.created_at).desc()
        return [model for (model,) in self._rows(query.order_by(latest).limit(limit))]

    def _select(self, *conditions: ColumnElement[bool]) -> list[Task]:
        return self._tasks(select(tasks).where(*conditions).order_by(*_OLDEST_FIRST))

    def _tasks(self, query: Select[Any]) -> list[Task]:
        return [task for _, task in self._read(query)]

    def _read(self, query: Select[Any]) -> list[tuple[RowMapping, Task]]:
        """Return rows with their tasks; damaged rows are skipped and added to `damaged`."""
        found = self._query(lambda connection: _rows_with_files(connection, query))
        good = []
        for row, of in found:
            try:
                _check_text(row, *of)
                good.append((row, task_of(row, of, self.files, shared=self.path is None)))
            except (ValueError, TypeError, AttributeError) as error:
                self.damaged[row["uid"]] = _damage(row, error)
        return good

    def _one(self, query: Select[Any]) -> Task | None:
        """Return the task of a query, or None; here a damaged row is an error."""
        found = self._tasks(query)
        if found:
            return found[0]
        uids = self._rows(query.with_only_columns(tasks.c.uid))
        for (uid,) in uids:
            if uid in self.damaged:
                raise LedgerError(f"A row of the ledger is damaged: {self.damaged[uid]}.", "")
        return None


def _rows_with_files(
    connection: Connection, query: Select[Any]
) -> list[tuple[RowMapping, list[RowMapping]]]:
    """Return rows of `tasks`, each with its rows of `files`."""
    rows = connection.execute(query).mappings().all()
    wanted = dialects.listed([row["uid"] for row in rows], connection.dialect.name)
    found = connection.execute(
        select(files)
        .where(files.c.uid.in_(select(wanted.c.value)))
        .order_by(files.c.uid, files.c.position)
    ).mappings()
    of = {uid: list(each) for uid, each in groupby(found, lambda row: row["uid"])}
    return [(row, of.get(row["uid"], [])) for row in rows]


def _check_text(*rows: RowMapping) -> None:
    """Raise `UnicodeError` if a row has text that is not UTF-8."""
    for row in rows:
        "".join(value for value in row.values() if isinstance(value, str)).encode()


def _bad_text(row: RowMapping) -> str:
    """Return the name of the column whose text is not UTF-8."""
    for name, value in row.items():
        if isinstance(value, str) and any("\udc80" <= c <= "\udcff" for c in value):
            return str(name)
    return "prompt"


def _damage(row: RowMapping, error: Exception) -> str:
    """Say what is wrong with a row, and how to repair it."""
    if isinstance(error, UnicodeError):
        what, repair = "it has text that is not UTF-8", f"{_bad_text(row)} = ''"
    elif isinstance(error, json.JSONDecodeError):
        what, repair = "its params are not JSON", "params = '{}'"
    else:
        what, repair = str(error), "status = 'unknown'"
    repaired = f"UPDATE tasks SET {repair} WHERE uid = '{row['uid']}'"  # noqa: S608 - for the user
    return f"{row['uid']}, {what}; `{repaired}` repairs it"


def _update(
    connection: Connection, changed: Sequence[Task], owner: str | None, *, unsent: bool = False
) -> list[Task]:
    """Update rows that still have this owner; return the tasks whose rows were deleted."""
    if not changed:
        return []
    change, by = _SEND if unsent else _CHANGE, {"by": owner}
    if owner is None:
        change, by = _CHANGE_ANYBODYS, {}
    rows = [changing_row(task) | {"of": task.uid} | by for task in changed]
    count = connection.execute(change, rows).rowcount
    if count == len(rows) or owner is None:
        return []
    wanted = dialects.listed([task.uid for task in changed], connection.dialect.name)
    query = select(tasks.c.uid).where(tasks.c.uid.in_(select(wanted.c.value)))
    known = set(connection.execute(query).scalars())
    gone = [task for task in changed if task.uid not in known]
    if count + len(gone) != len(rows):
        raise NotOwned("Another kernel took this task over.")
    return gone


def _insert(
    connection: Connection, new: Sequence[Task], owner: str | None, user: str | None
) -> None:
    if new:
        whose = {"owner": owner, "user": user}
        connection.execute(insert(tasks), [{**task_row(task), **whose} for task in new])


def insert_tasks(
    connection: Connection,
    new: Sequence[Task],
    prefix: str,
    owner: str | None,
    user: str | None = None,
) -> None:
    """Insert tasks and their files."""
    _insert(connection, new, owner, user)
    if found := file_rows(new, prefix):
        connection.execute(insert(files), found)


def columns_of(given: Sequence[Task], by: history.By) -> dict[str, list[Any]]:
    """Return the view `history` of any tasks, recorded or not, by a database in memory."""
    engine = dialects.open_sqlite(None)
    try:
        with engine.begin() as connection:
            metadata.create_all(connection, checkfirst=False)
            numbered = [replace(task, uid=str(index)) for index, task in enumerate(given)]
            insert_tasks(connection, numbered, "/nowhere/", None)
            uids = [task.uid for task in numbered]
            query = history.rows(engine.dialect.name, "", uids, by)
            return history.by_column(connection, query)
    finally:
        engine.dispose()
