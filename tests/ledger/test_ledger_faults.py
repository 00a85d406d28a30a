"""A ledger that is removed, put back, damaged or left open under a kernel that runs."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from select import select
from typing import Any

import pytest
from ledger_samples import a_task
from sqlalchemy import delete

from modellix_jupyter.errors import LedgerError, LedgerUnavailable, NotOwned, RowGone
from modellix_jupyter.ledger import dialects
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.ledger.tables import tasks
from modellix_jupyter.values import Status, Task

ME = "me"


@pytest.fixture
def ledger(place: Path | str, home: Path) -> Iterator[Ledger]:
    opened = Ledger(place, home / "files")
    yield opened
    opened.close()


@pytest.fixture
def file(home: Path) -> Iterator[Ledger]:
    """Return a ledger in a file."""
    opened = Ledger(home / "ledger.sqlite3", home / "files")
    yield opened
    opened.close()


def leaving(task: Task) -> Task:
    return replace(task, submitted_at=1, attempts=1)


def accepted(task: Task) -> Task:
    return replace(task, status=Status.PENDING, submitted_at=2, task_id="paid", attempts=1)


def run(ledger: Ledger, statement: str) -> None:
    with ledger._transaction() as connection:
        connection.exec_driver_sql(statement)


def exchange(ledger: Ledger, path: Path) -> None:
    with ledger._transaction():
        path.rename(path.with_name("elsewhere"))


# -- what is sent


def test_a_task_leaves_once(ledger: Ledger) -> None:
    task = a_task()
    ledger.add([task], ME)
    ledger.save(leaving(task), owner=ME)
    with pytest.raises(NotOwned):  # another kernel may have had it in between
        ledger.save(leaving(task), owner=ME)
    ledger.save(task, owner=ME)  # it was refused, for now
    ledger.save(leaving(task), owner=ME)
    ledger.save(accepted(task), owner=ME)
    with pytest.raises(NotOwned):
        ledger.save(leaving(task), owner=ME)
    assert ledger.get(task.uid) == accepted(task)


def test_a_task_without_a_row_is_not_sent_and_one_that_was_sent_is_recorded_again(
    ledger: Ledger,
) -> None:
    unsent, sent = a_task("unsent"), a_task("sent")
    ledger.add([unsent, sent], ME)
    with ledger._transaction() as connection:
        connection.execute(delete(tasks))
    with pytest.raises(RowGone):
        ledger.save(leaving(unsent), owner=ME)
    assert ledger.save(accepted(sent), owner=ME) == [accepted(sent)]
    assert ledger.tasks() == [accepted(sent)]
    assert ledger.owner(sent.uid) == ME
    assert ledger.save(accepted(sent), owner=ME) == []


def test_a_ledger_that_was_removed_is_made_anew_and_nothing_is_written_into_the_old(
    file: Ledger,
) -> None:
    unsent, sent = a_task("unsent"), a_task("sent")
    file.add([unsent, sent], ME)
    assert file.path is not None
    for each in file.path.parent.glob("ledger.sqlite3*"):
        each.unlink()
    with pytest.raises(RowGone):
        file.save(leaving(unsent), owner=ME)
    file.save(accepted(sent), owner=ME)
    with closing(Ledger(file.path, file.files)) as other:
        assert other.tasks() == [accepted(sent)]


def test_a_ledger_that_was_put_back_from_a_backup_is_the_one_that_is_written(
    file: Ledger, tmp_path: Path
) -> None:
    assert file.path is not None
    old, new, sent = a_task("old"), a_task("new"), a_task("sent")
    file.add([old], ME)
    with (
        closing(sqlite3.connect(file.path)) as source,
        closing(sqlite3.connect(tmp_path / "b")) as b,
    ):
        source.backup(b)
    file.add([new, sent], ME)
    for each in file.path.parent.glob("ledger.sqlite3*"):
        each.unlink()
    shutil.move(tmp_path / "b", file.path)
    with pytest.raises(RowGone):
        file.save(leaving(new), owner=ME)
    file.save(leaving(old), owner=ME)
    file.save(accepted(sent), owner=ME)
    with closing(Ledger(file.path, file.files)) as other:
        assert other.tasks() == [leaving(old), accepted(sent)]


def test_a_file_that_is_exchanged_while_it_is_written_is_no_success(file: Ledger) -> None:
    assert file.path is not None
    with pytest.raises(LedgerError, match="another file"):
        exchange(file, file.path)
    file.add([a_task()], ME)
    assert file.count() == 1


# -- an open transaction


def test_a_transaction_that_was_left_open_is_ended(file: Ledger) -> None:
    assert file.path is not None
    assert file._write is not None
    raw: Any = file._write.connection.dbapi_connection
    raw.execute("BEGIN IMMEDIATE")
    file.add([a_task()], ME)
    with closing(Ledger(file.path, file.files)) as other:
        other.add([a_task()], "other")
    assert file.count() == 2


def test_a_ledger_that_another_program_holds_is_said_to_pass(
    file: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert file.path is not None
    monkeypatch.setattr(dialects, "BUSY_S", 0.05)
    with (
        closing(Ledger(file.path, file.files)) as hasty,
        file._transaction(),
        pytest.raises(LedgerUnavailable),
    ):
        hasty.add([a_task()], ME)


# -- damaged rows


@pytest.mark.parametrize(
    ("damage", "repair"),
    [
        ("params = '{'", "params"),
        ("params = '[7]'", "params"),
        ("status = 'gone'", "status"),
        ("prompt = CAST(x'63ff' AS TEXT)", "prompt"),
    ],
)
def test_a_damaged_row_is_skipped_and_named_with_its_repair(
    place: Path | str, ledger: Ledger, damage: str, repair: str
) -> None:
    if "CAST" in damage and isinstance(place, str):
        pytest.skip("PostgreSQL takes no such text")
    good, bad = a_task("good"), a_task("bad")
    ledger.add([good, bad], ME)
    run(ledger, f"UPDATE tasks SET {damage} WHERE uid = '{bad.uid}'")  # noqa: S608 - a test's own
    assert ledger.tasks() == [good]
    assert list(ledger.damaged) == [bad.uid]
    with pytest.raises(LedgerError, match=bad.uid):
        ledger.get(bad.uid)
    assert ledger.history()["prompt"][0] == "good"
    line = ledger.damaged[bad.uid]
    assert repair in line
    run(ledger, line.split("`")[1])  # it says what to do, and that does it
    assert [task.uid for task in ledger.tasks()] == [good.uid, bad.uid]


# -- many at once


def test_of_what_is_offered_each_takes_what_nobody_has(ledger: Ledger, place: Path | str) -> None:
    offered = [a_task(str(number)) for number in range(10)]
    uids = [task.uid for task in offered]
    ledger.add(offered, None)
    with closing(Ledger(place, ledger.files)) as other:
        first = ledger.claim_all(uids, ME, was=None, unsent=True, limit=4)
        assert set(first) == set(uids[:4])
        second = other.claim_all(uids, "other", was=None, unsent=True, limit=100)
        assert set(second) == set(uids[4:])
        assert ledger.claim_all(uids, ME, was=None, unsent=True, limit=4) == []
    assert {uid: owner for uid, (owner, _) in ledger.rows(uids).items()} == {
        **dict.fromkeys(first, ME),
        **dict.fromkeys(second, "other"),
    }


def test_who_stands_still_in_the_middle_of_a_write_is_cut_off_by_a_takeover(
    postgres_url: str, home: Path
) -> None:
    with closing(Ledger(postgres_url, home)) as one, closing(Ledger(postgres_url, home)) as other:
        task = a_task()
        one.add([task], ME)

        def stand_still() -> None:
            with one._transaction() as connection:
                raw: Any = connection.connection.dbapi_connection
                with raw.pipeline():  # as several rows are written, and the last never comes
                    raw.execute("UPDATE tasks SET note = 'x'")
                    raw.pgconn.send_flush_request()
                    raw.pgconn.flush()
                    assert select([raw.pgconn.socket], [], [], 30)[0]  # the row is locked now
                    other.take_over([task.uid], "other")

        with pytest.raises(LedgerUnavailable):
            stand_still()
        assert one.owner(task.uid) == "other"
        with pytest.raises(NotOwned):
            one.save(leaving(task), owner=ME)


def test_who_stood_still_in_a_write_for_too_long_may_write_again(
    postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = dialects._SERVER | {"idle_in_transaction_session_timeout": 1000}
    monkeypatch.setattr(dialects, "_SERVER", impatient)
    with closing(Ledger(postgres_url, home)) as ledger:

        def stand_still() -> None:
            with ledger._transaction() as connection:
                connection.exec_driver_sql("SELECT 1")
                time.sleep(1.5)
                connection.exec_driver_sql("SELECT 1")

        with pytest.raises(LedgerUnavailable):
            stand_still()
        ledger.add([a_task()], ME)


def test_what_another_is_just_taking_is_not_waited_for(postgres_url: str, home: Path) -> None:
    with closing(Ledger(postgres_url, home)) as one, closing(Ledger(postgres_url, home)) as other:
        offered = [a_task(str(number)) for number in range(2)]
        one.add(offered, None)
        uids = [task.uid for task in offered]
        with one._transaction() as connection:
            connection.exec_driver_sql(
                "SELECT 1 FROM tasks WHERE uid = %s FOR UPDATE", (offered[0].uid,)
            )
            assert other.claim_all(uids, ME, was=None, unsent=True) == [offered[1].uid]
