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

# What a row is like that was never sent.
_UNSENT = (tasks.c.status == Status.SUBMITTING.value, tasks.c.submitted_at.is_(None))
# Statements of every step of every task: to make one takes longer than to run it.
_CHANGE_ANYBODYS = update(tasks).where(tasks.c.uid == bindparam("of"))
_CHANGE = _CHANGE_ANYBODYS.where(tasks.c.owner == bindparam("by"))
_SEND = _CHANGE.where(*_UNSENT)
_FORGET_FILES = delete(files).where(files.c.uid == bindparam("of"))
_ADD_FILES = insert(files)
# Tasks of a model whose durations are looked at, newest first.
_LEARN_FROM = 50
_OF_UPLOAD = ("file_id", "url", "created_at", "expires_at")
_OLDEST_FIRST = (tasks.c.created_at, tasks.c.id)
# What is left of a deleted task's own words.
_DELETED = {
    **dict.fromkeys(("prompt", "rating", "note", "request_key", "error_message")),
    "params": "{}",
    "deleted": True,
}


class Ledger(Database):
    """Tasks in a database; safe from several threads, processes and machines.

    The database is a file of SQLite, which is made with its folder where it is not there, or the
    URL of one on PostgreSQL. `files` is the folder of the downloads, or its address, `user` stands
    beside what is added. Every method raises `LedgerError` where the database fails.
    """

    def __init__(self, place: Path | str, files: Path | str, *, user: str | None = None) -> None:
        # what the paths of the place's files begin with
        self.files = files if isinstance(files, str) else f"{files}{os.sep}"
        # Rows that were skipped because they are damaged: what is wrong with each, by its uid.
        self.damaged: dict[str, str] = {}
        self._user = user
        super().__init__(place)

    # -- writing

    @uninterrupted
    def add(self, new: Sequence[Task], owner: str | None) -> None:
        """Record intents, all of them or none, before any is sent; with no owner, for any.

        What they may cost is held from here on; `OverBudget` where a limit does not leave it.
        """
        with self._transaction() as connection:
            insert_tasks(connection, new, self.files, owner, self._user)
            held = [task for task in new if task.reused_from is None]
            budgets.hold(connection, held, max((task.created_at for task in held), default=0))

    @uninterrupted
    def hold_again(
        self, unsent: Sequence[Task], prices: Sequence[float | None], now_us: int
    ) -> None:
        """Hold these prices for intents that are sent only now; `OverBudget` as above."""
        change = _CHANGE_ANYBODYS.where(*_UNSENT)
        change = change.values(created_at=now_us, price=bindparam("usd"))
        priced = [(task, price) for task, price in zip(unsent, prices, strict=True)]
        # what counts already is left alone: another machine may be writing it
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
        """Set what may be spent at a service in a period, for every kernel; None is no limit."""
        with self._transaction() as connection:
            budgets.set_budget(connection, service, period, usd)

    def standings(self, service: str, now_us: int) -> list[budgets.Standing]:
        """Return how each limit of a service stands."""
        return self._query(lambda connection: budgets.standings(connection, service, now_us))

    @uninterrupted
    def save(self, *changed: Task, owner: str | None = None) -> list[Task]:
        """Record how tasks stand now, all or none; what was asked for, owner and remarks stay.

        With an owner, `NotOwned` is raised where one of them is not that owner's any more, or is
        about to be sent and was sent before. One whose row is gone is recorded again, and returned;
        where it is about to be sent, `RowGone` is raised.
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
        """Take a task over from the owner that it had; False where another was quicker."""
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
        """Take over what nobody else takes at this moment, or leave it to any with no owner.

        With `unsent`, only what was never sent. Returns the tasks that it were.
        """
        wanted = dialects.listed(uids, self._engine.dialect.name)
        free = select(tasks.c.id).where(
            tasks.c.uid.in_(select(wanted.c.value)), tasks.c.owner.is_not_distinct_from(was)
        )
        if unsent:
            free = free.where(*_UNSENT)
        # what another kernel is just taking is left to it, not waited for
        free = free.order_by(tasks.c.id).limit(limit).with_for_update(skip_locked=unsent)
        change = update(tasks).where(tasks.c.id.in_(select(free.cte("free").c.id)))
        with self._transaction() as connection:
            taken = connection.execute(change.values(owner=owner).returning(tasks.c.uid))
            return list(taken.scalars())

    @uninterrupted
    def take_over(self, uids: Sequence[str], owner: str) -> None:
        """Give tasks another owner, whoever has them and though he stands still in a write."""
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
        """Be the only one, of all threads and kernels, that adds to a batch by its name.

        What a batch lacks is read, and then added: two that did so at once would both send it.
        """
        with self._alone("batches", 1):
            yield

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Be the only one that uploads: two that did so at once would both send the same file."""
        with self._alone("uploads", 2):
            yield

    def add_upload(
        self, origin: str, sha256: str, file: UploadedFile, preview: str | None = None
    ) -> None:
        """Record an upload to a service, with a small picture of it."""
        row: dict[str, Any] = {name: getattr(file, name) for name in _OF_UPLOAD}
        row |= {"origin": origin, "sha256": sha256, "preview": preview}
        same = (uploads.c.origin == origin) & (uploads.c.url == file.url)
        with self._transaction() as connection:
            connection.execute(delete(uploads).where(same))
            connection.execute(insert(uploads), [row])

    def forget_upload(self, origin: str, file_id: str) -> None:
        """Record that the service does not keep an upload any more."""
        which = (uploads.c.origin == origin) & (uploads.c.file_id == file_id)
        with self._transaction() as connection:
            connection.execute(update(uploads).where(which).values(expires_at=0))

    def rate(self, uid: str, rating: int | None) -> None:
        """Record a choice, from 1 to 5, or take it back with None."""
        self._remark(uid, rating=rating)

    def note(self, uid: str, note: str | None) -> None:
        """Record a note, or take it back with None."""
        self._remark(uid, note=note)

    @uninterrupted
    def _remark(self, uid: str, **remark: int | str | None) -> None:
        values = {name: storable(value) for name, value in remark.items()}
        with self._transaction() as connection:
            connection.execute(update(tasks).where(tasks.c.uid == uid).values(values))

    def check_rights(self) -> None:
        """Raise `LedgerError` where rows cannot be added, changed or removed; none is."""
        nothing = select(files).where(false())
        with self._transaction() as connection:
            connection.execute(update(tasks).where(false()).values(note=None))
            connection.execute(insert(files).from_select(list(files.c), nothing))
            connection.execute(delete(files).where(false()))

    def delete(self, uids: Iterable[str]) -> tuple[list[str], list[str]]:
        """Delete what is over of these tasks, but for what was spent.

        Returns the deleted uids, and the paths of files that no task names any more.
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
        """Return one task by our own name for it."""
        return self._one(select(tasks).where(tasks.c.uid == uid))

    def of_file(self, beginning: str) -> Task | None:
        """Return one task by the beginning of our name for it that stands in the names of files."""
        known = tasks.c.uid.startswith(beginning, autoescape=True)
        return self._one(select(tasks).where(known).limit(1))

    def find(self, task_id: str) -> Task | None:
        """Return the newest task with an id of the service's, or with our own name."""
        known = or_(tasks.c.task_id == task_id, tasks.c.uid == task_id)
        query = select(tasks).where(known).order_by(tasks.c.created_at.desc()).limit(1)
        return self._one(query)

    def owner(self, uid: str) -> str | None:
        """Return who drives a task."""
        found: str | None = self._scalar(select(tasks.c.owner).where(tasks.c.uid == uid))
        return found

    def rows(self, uids: Sequence[str]) -> dict[str, tuple[str | None, Task]]:
        """Return the owner and the row of each of some tasks, of those that have one."""
        wanted = dialects.listed(uids, self._engine.dialect.name)
        query = select(tasks).where(tasks.c.uid.in_(select(wanted.c.value)))
        return {task.uid: (row["owner"], task) for row, task in self._read(query)}

    def tasks(self) -> list[Task]:
        """Return every task, oldest first."""
        return self._select(~tasks.c.deleted)

    def uids(self, service: str | None) -> list[str]:
        """Return our own names of a service's tasks, or of all, oldest first."""
        of = true() if service is None else tasks.c.service == service
        query = select(tasks.c.uid).where(of, ~tasks.c.deleted).order_by(*_OLDEST_FIRST)
        return [uid for (uid,) in self._rows(query)]

    def count(self) -> int:
        """Return how many tasks there are."""
        return int(self._scalar(select(func.count()).where(~tasks.c.deleted)))

    def search(self, search: Search, offset: int = 0, limit: int = 50) -> tuple[list[Task], int]:
        """Return a page of tasks, and how many there are on all pages."""
        wanted = search.conditions(self._engine.dialect.name)
        query = select(tasks).where(*wanted).order_by(*search.order()).limit(limit).offset(offset)
        count = select(func.count()).select_from(tasks).where(*wanted)
        return self._tasks(query), int(self._scalar(count))

    def found(self, search: Search) -> list[str]:
        """Return our own names of all tasks that fit, in order."""
        wanted = search.conditions(self._engine.dialect.name)
        query = select(tasks.c.uid).where(*wanted).order_by(*search.order())
        return [uid for (uid,) in self._rows(query)]

    def batch(self, name: str) -> list[Task]:
        """Return the tasks that were started together, in their order."""
        found = tasks.c.batch == storable(name)
        return self._tasks(select(tasks).where(found).order_by(tasks.c.id))

    def requested(self, keys: Sequence[str]) -> dict[str, list[Task]]:
        """Return the tasks of each request key, oldest first; those that were reused are copies."""
        wanted = dialects.listed(keys, self._engine.dialect.name)
        found: dict[str, list[Task]] = defaultdict(list)
        for task in self._select(
            tasks.c.request_key.in_(select(wanted.c.value)), tasks.c.reused_from.is_(None)
        ):
            found[task.request_key or ""].append(task)
        return found

    def remarks(self) -> dict[str, dict[str, Any]]:
        """Return rating and note of every task that has either, by our own name of it."""
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
        """Return the view `history` by column: of all, of a service, or of these in their order."""
        query = history.rows(self._engine.dialect.name, self.files, uids, by, service)
        return self._query(lambda c: history.by_column(c, query), bad_text="replace")

    def unfinished(self, origin: str) -> list[Task]:
        """Return the tasks of a service that are not over, oldest first; this user's, if shared."""
        return self._select(tasks.c.origin == origin, ~tasks.c.is_final, self._mine())

    def given_up(self, origin: str, since: int) -> list[Task]:
        """Return the tasks of a service, as above, that ended since then without their result."""
        lost = select(files.c.uid).where(files.c.lost)
        over = or_(tasks.c.status == Status.EXPIRED.value, tasks.c.uid.in_(lost))
        recent = tasks.c.created_at > since
        return self._select(tasks.c.origin == origin, tasks.c.is_final, recent, over, self._mine())

    def unfinished_of(self, service: str) -> list[Task]:
        """Return the tasks of all services of one name that are not over, as above."""
        return self._select(tasks.c.service == service, ~tasks.c.is_final, self._mine())

    def unknown(self, origin: str) -> list[Task]:
        """Return the submissions to a service whose outcome is unknown, as above."""
        return self._select(tasks.c.origin == origin, UNKNOWN, self._mine())

    def _mine(self) -> ColumnElement[bool]:
        """Return which tasks a kernel takes up unasked: on a server, not another user's."""
        if self.path is not None:
            return true()
        return tasks.c.user.is_not_distinct_from(self._user)

    def users(self) -> dict[str, int]:
        """Return how many tasks each user added."""
        query = select(tasks.c.user, func.count()).group_by(tasks.c.user).order_by(tasks.c.user)
        return {user or "nobody": count for user, count in self._rows(query)}

    def server_version(self) -> str | None:
        """Return what the server says that it is; None where the ledger is a file."""
        return None if self.path else str(self._scalar(text("SHOW server_version")))

    def uploads(self, origin: str) -> dict[str, UploadedFile]:
        """Return the last upload of each file to a service, by its digest, oldest first."""
        columns = (uploads.c[name] for name in ("sha256", *_OF_UPLOAD))
        query = select(*columns).where(uploads.c.origin == origin).order_by(uploads.c.created_at)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return {r["sha256"]: UploadedFile(**{n: r[n] for n in _OF_UPLOAD}) for r in rows}

    def upload_digests(self, origin: str) -> dict[str, str]:
        """Return the digest of everything that was ever uploaded to a service, by its address."""
        query = select(uploads.c.url, uploads.c.sha256).where(uploads.c.origin == origin)
        return dict(self._rows(query))

    def upload_preview(self, origin: str, url: str) -> str | None:
        """Return the small picture of an upload to a service, by its address."""
        which = (uploads.c.origin == origin) & (uploads.c.url == storable(url))
        found: str | None = self._scalar(select(uploads.c.preview).where(which))
        return found

    def maker(self, place: str) -> Task | None:
        """Return the task that made a result, by the result's address or by its file."""
        name = relative(place, self.files)
        made = files.c.url == storable(place)
        made |= files.c.path == storable(name)
        wanted = select(files.c.uid).where(made)
        return next(iter(self._select(tasks.c.uid.in_(wanted))), None)

    def durations(self, model: str, origin: str) -> list[float]:
        """Return what a model's latest successful tasks took at a service, in seconds."""
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
        """Return how many tasks may run at once at a service, as this user saw last, or None."""
        mine = (limits.c.origin == origin, limits.c.user == (self._user or ""))
        found: int | None = self._scalar(select(limits.c.places).where(*mine))
        return found

    @uninterrupted
    def keep_places(self, origin: str, places: int) -> None:
        """Record how many tasks may run at once at a service."""
        row = {"origin": origin, "user": self._user or ""}
        with self._transaction() as connection:
            connection.execute(delete(limits).filter_by(**row))
            connection.execute(insert(limits).values(**row, places=places))

    def recent_models(self, origin: str, limit: int = 8) -> list[str]:
        """Return the models used last, the latest first."""
        query = select(tasks.c.model).where(tasks.c.origin == origin).group_by(tasks.c.model)
        latest = func.max(tasks.c.created_at).desc()
        return [model for (model,) in self._rows(query.order_by(latest).limit(limit))]

    def _select(self, *conditions: ColumnElement[bool]) -> list[Task]:
        return self._tasks(select(tasks).where(*conditions).order_by(*_OLDEST_FIRST))

    def _tasks(self, query: Select[Any]) -> list[Task]:
        return [task for _, task in self._read(query)]

    def _read(self, query: Select[Any]) -> list[tuple[RowMapping, Task]]:
        """Return rows with their tasks; a row that is damaged is skipped, and remembered."""
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
        """Return the one task of a query; a damaged row is an error here."""
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
    """Return rows of `tasks`, and beside each its rows of `files`."""
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
    """Raise `UnicodeError` where a row has bytes that were no text."""
    for row in rows:
        "".join(value for value in row.values() if isinstance(value, str)).encode()


def _bad_text(row: RowMapping) -> str:
    """Return the column whose bytes were no text."""
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
    """Write rows that are still their owner's; return the tasks that have none any more."""
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
    """Write tasks that the tables do not have yet."""
    _insert(connection, new, owner, user)
    if found := file_rows(new, prefix):
        connection.execute(insert(files), found)


def columns_of(given: Sequence[Task], by: history.By) -> dict[str, list[Any]]:
    """Return the view `history` of tasks that may be in no ledger, by way of one in memory."""
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
