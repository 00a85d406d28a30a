"""A ledger that is new, old, newer than we are, none at all, or in a place that cannot be used."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ledger_samples import ORIGIN, a_task

from modellix_jupyter.errors import LedgerError, LedgerTooNew
from modellix_jupyter.ledger import migrations
from modellix_jupyter.ledger.ledger import Ledger


def open_ledger(path: Path) -> Ledger:
    return Ledger(path, path.parent / "files")


def refused(path: Path) -> LedgerError:
    """Return the refusal, which is of two lines and is not a newer version's."""
    with pytest.raises(LedgerError) as caught:
        open_ledger(path)
    assert not isinstance(caught.value, LedgerTooNew)
    lines = caught.value._render_traceback_()
    assert len(lines) == 2
    assert str(path) in lines[0]
    assert "MODELLIX_HOME" in lines[1]
    return caught.value


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows}


@pytest.fixture
def path(home: Path) -> Path:
    return home / "deep" / "ledger.sqlite3"


# -- places that cannot be used


def test_a_folder_that_cannot_be_made(home: Path) -> None:
    home.write_text("a file where the folder should be")
    error = refused(home / "ledger.sqlite3")
    assert "cannot be opened" in error.message


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_written(home: Path) -> None:
    home.mkdir()
    home.chmod(0o500)
    try:
        refused(home / "ledger.sqlite3")
    finally:
        home.chmod(0o700)


def test_a_folder_in_which_no_file_can_be_made() -> None:
    refused(Path("/proc/self/ledger.sqlite3"))


def test_a_folder_where_the_ledger_should_be(path: Path) -> None:
    path.mkdir(parents=True)
    refused(path)


@pytest.mark.parametrize(
    "content",
    [b"these are somebody's notes", b"notes " * 1000, b"\xff" * 5000],
    ids=["short", "long", "binary"],
)
def test_a_file_that_is_no_database_is_not_touched(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    refused(path)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_database_is_said_to_be_so(path: Path) -> None:
    open_ledger(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xab" * (len(whole) - 100))
    refused(path)


def test_a_ledger_that_breaks_later_is_a_ledger_error(path: Path) -> None:
    ledger = open_ledger(path)
    ledger._write.execute("DROP TABLE tasks")
    for use in (
        lambda: ledger.add([a_task()], "me"),
        lambda: ledger.save(a_task()),
        lambda: ledger.claim("x", "y", was=None),
        ledger.count,
        lambda: list(ledger.tasks()),
        lambda: ledger.get("x"),
        lambda: ledger.durations("a/b", ORIGIN),
    ):
        with pytest.raises(LedgerError):
            use()
    ledger.close()


def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    open_ledger(path).close()
    assert version(path) == len(migrations.STEPS)


# -- versions


def test_a_new_ledger_has_taken_every_step(path: Path) -> None:
    open_ledger(path).close()
    assert version(path) == len(migrations.STEPS)
    assert tables(path) == {"remarks", "tasks"}
    open_ledger(path).close()
    assert version(path) == len(migrations.STEPS)


def test_a_newer_ledger_is_left_exactly_as_it_was(path: Path) -> None:
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(migrations.STEPS) + 3}")
    before, changed = path.read_bytes(), path.stat().st_mtime_ns
    with pytest.raises(LedgerTooNew) as caught:
        open_ledger(path)
    assert "Upgrade" in caught.value._render_traceback_()[1]
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == changed
    assert list(path.parent.iterdir()) == [path]


def test_a_newer_ledger_whose_kernel_still_runs_is_refused_too(path: Path) -> None:
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {len(migrations.STEPS) + 3}")
        newer.execute("PRAGMA wal_autocheckpoint = 0")
        newer.execute("CREATE TABLE more (x)")
        # the version may so far stand only in the write-ahead log
        with pytest.raises(LedgerTooNew):
            open_ledger(path)
    assert "more" in tables(path)


def test_a_step_is_taken_on_top_of_what_is_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = a_task()
    with closing_ledger(path) as ledger:
        ledger.add([task], "me")
    step = ("CREATE TABLE ratings (uid TEXT)", "INSERT INTO ratings SELECT uid FROM tasks")
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, step))
    with closing_ledger(path) as ledger:
        assert ledger.get(task.uid) == task
    assert version(path) == len(migrations.STEPS)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT uid FROM ratings").fetchall() == [(task.uid,)]


def test_a_step_that_fails_halfway_leaves_nothing_of_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = a_task()
    with closing_ledger(path) as ledger:
        ledger.add([task], "me")
    before = tables(path)
    good = ("CREATE TABLE first (x)",)
    bad = ("CREATE TABLE second (x)", "DELETE FROM tasks", "CREATE NONSENSE")
    released = migrations.STEPS
    monkeypatch.setattr(migrations, "STEPS", (*released, good, bad))
    refused(path)
    # the step before it stands, with its record; of the one that failed there is nothing
    assert version(path) == len(released) + 1
    assert tables(path) == before | {"first"}
    monkeypatch.setattr(migrations, "STEPS", (*released, good, ("CREATE TABLE second (x)",)))
    with closing_ledger(path) as ledger:
        assert ledger.get(task.uid) == task
    assert tables(path) == before | {"first", "second"}


def closing_ledger(path: Path) -> closing[Ledger]:
    return closing(open_ledger(path))
