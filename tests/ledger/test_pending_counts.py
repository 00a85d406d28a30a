"""What the extension says of a ledger when it is loaded, without opening it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_samples import ORIGIN, a_task
from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects import sqlite

from modellix_jupyter.errors import LedgerError, LedgerTooNew
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.ledger.pending_counts import _COUNT, VERSION, pending_counts
from modellix_jupyter.ledger.tables import UNKNOWN, tasks
from modellix_jupyter.values import Status


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path, tmp_path / "files")
    open_ones = [a_task(status=s) for s in (Status.SUBMITTING, Status.PENDING, Status.PROCESSING)]
    over = [a_task(status=s) for s in (Status.UNKNOWN, Status.FAILED, Status.REJECTED)]
    elsewhere = [replace(t, uid=f"x{t.uid}", origin="https://other.test") for t in open_ones + over]
    ledger.add([*open_ones, *over, *elsewhere], "owner")
    ledger.close()
    return path


def test_it_counts_what_the_ledger_says(path: Path) -> None:
    ledger = Ledger(path, path.parent / "files")
    assert pending_counts(path, ORIGIN) == (
        len(ledger.unfinished(ORIGIN)),
        len(ledger.unknown(ORIGIN)),
    )
    assert pending_counts(path, ORIGIN) == (3, 1)
    assert pending_counts(path, "https://nobody.test") == (0, 0)
    ledger.close()


def test_it_counts_what_is_only_in_the_log_of_a_ledger_in_use(path: Path) -> None:
    ledger = Ledger(path, path.parent / "files")
    ledger.add([a_task()], "owner")
    assert pending_counts(path, ORIGIN) == (4, 1)
    ledger.close()


@pytest.mark.parametrize(
    ("which", "index"), [("is_final = 0", "tasks_open"), ("status = 'unknown'", "tasks_unknown")]
)
def test_only_the_rows_that_count_are_looked_at(path: Path, which: str, index: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {_COUNT}{which}", (ORIGIN,)).fetchall()
    assert [step[-1] for step in steps] == [f"SEARCH tasks USING INDEX {index} (origin=?)"]


@pytest.mark.parametrize(
    ("condition", "index"), [(~tasks.c.is_final, "tasks_open"), (UNKNOWN, "tasks_unknown")]
)
def test_the_ledger_s_own_queries_look_at_no_others_either(
    path: Path, condition: ColumnElement[bool], index: str
) -> None:
    query = select(tasks.c.uid).where(tasks.c.origin == ORIGIN, condition)
    written = query.compile(dialect=sqlite.dialect())
    with closing(sqlite3.connect(path)) as connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {written}", (ORIGIN,)).fetchall()
    assert [step[-1] for step in steps] == [f"SEARCH tasks USING INDEX {index} (origin=?)"]


def test_a_ledger_that_is_just_being_made_has_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    path.touch()
    assert pending_counts(path, ORIGIN) == (0, 0)


def test_a_newer_ledger_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LedgerTooNew):
        pending_counts(path, ORIGIN)


def test_what_is_no_ledger_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "odd.sqlite3"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerError, match="cannot be read: file is not a database"):
        pending_counts(path, ORIGIN)


def test_a_dropped_table_is_said(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE tasks")
    with pytest.raises(LedgerError, match="no such table: tasks") as caught:
        pending_counts(path, ORIGIN)
    assert "restore them from a backup" in caught.value.hint
