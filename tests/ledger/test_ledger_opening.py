"""A ledger that is new, old, newer than we are, none at all, or in a place that cannot be used."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ledger_samples import ORIGIN, a_task

from modellix_jupyter.errors import LedgerError, LedgerTooNew
from modellix_jupyter.ledger import database, dialects, migrations, pending_counts
from modellix_jupyter.ledger.history import create_view
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.ledger.pending_counts import VERSION
from modellix_jupyter.ledger.tables import metadata


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


@pytest.fixture
def path(home: Path) -> Path:
    return home / "deep" / "ledger.sqlite3"


def test_a_view_that_was_dropped_is_made_again(place: Path | str, home: Path) -> None:
    for _ in range(2):
        ledger = Ledger(place, home)
        with ledger._transaction() as connection:
            assert connection.exec_driver_sql("SELECT * FROM history").all() == []
            connection.exec_driver_sql("DROP VIEW history")
        ledger.close()


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
    with ledger._transaction() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.exec_driver_sql("DROP TABLE tasks")
    for use in (
        lambda: ledger.add([a_task()], "me"),
        lambda: ledger.save(a_task()),
        lambda: ledger.claim("x", "y", was=None),
        ledger.count,
        lambda: list(ledger.tasks()),
        lambda: ledger.get("x"),
        lambda: ledger.durations("a/b", ORIGIN),
        ledger.history,
    ):
        with pytest.raises(LedgerError) as caught:
            use()
        assert "restore them from a backup, or set MODELLIX_HOME" in caught.value.hint
    ledger.close()


def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    open_ledger(path).close()
    assert version(path) == VERSION


# -- versions


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
@pytest.mark.parametrize("ahead", [1, 1000])
def test_a_newer_ledger_is_left_exactly_as_it_was(path: Path, ahead: int, mode: str) -> None:
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")  # a newer one may keep its own way
        connection.execute(f"PRAGMA user_version = {VERSION + ahead}")
    before, changed = path.read_bytes(), path.stat().st_mtime_ns
    with pytest.raises(LedgerTooNew, match=f"version {VERSION + ahead}") as caught:
        open_ledger(path)
    assert "Upgrade" in caught.value._render_traceback_()[1]
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == changed
    assert list(path.parent.iterdir()) == [path]


def test_a_newer_ledger_whose_kernel_still_runs_is_refused_too(path: Path) -> None:
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {VERSION + 3}")
        newer.execute("PRAGMA wal_autocheckpoint = 0")
        newer.execute("CREATE TABLE more (x)")
        # the version may so far stand only in the write-ahead log
        with pytest.raises(LedgerTooNew):
            open_ledger(path)
    assert any(name == "more" for name, _ in schema(path))


def test_the_migrations_make_what_a_new_ledger_has(path: Path) -> None:
    migrated = path.with_name("migrated.sqlite3")
    open_ledger(path).close()
    engine = dialects.open_sqlite(migrated)
    with engine.begin() as connection:
        migrations.migrate(connection)
        create_view(connection)
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
        (revision,) = connection.exec_driver_sql("SELECT version_num FROM alembic_version").one()
    assert differences == []
    assert schema(migrated) == schema(path)
    assert (revision, version(path)) == (str(VERSION), VERSION)


def test_a_step_is_taken_on_top_of_what_is_there(path: Path, next_step: NextStep) -> None:
    task = a_task()
    with closing(open_ledger(path)) as ledger:
        ledger.add([task], "me")
        with ledger._transaction() as connection:
            connection.exec_driver_sql("DROP VIEW history")
    next_step("op.execute('CREATE TABLE more AS SELECT uid FROM tasks')")
    with closing(open_ledger(path)) as ledger:
        assert ledger.get(task.uid) == task
    assert version(path) == VERSION + 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT uid FROM more").fetchall() == [(task.uid,)]
        assert connection.execute("SELECT count(*) FROM history").fetchone() == (1,)


def test_a_step_that_fails_halfway_leaves_nothing_of_itself(
    path: Path, next_step: NextStep
) -> None:
    task = a_task()
    with closing(open_ledger(path)) as ledger:
        ledger.add([task], "me")
    before, released = schema(path), version(path)
    next_step("op.execute('CREATE TABLE more (x)'); op.execute('CREATE NONSENSE')")
    refused(path)
    assert (schema(path), version(path)) == (before, released)
    next_step("op.execute('CREATE TABLE more (x)')")
    with closing(open_ledger(path)) as ledger:
        assert ledger.get(task.uid) == task


def schema(path: Path) -> set[tuple[str, str]]:
    """Return what the database is made of, however it is laid out."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {(name, re.sub(r"\W+", " ", sql)) for name, sql in found}


class NextStep(Protocol):
    def __call__(self, upgrade: str) -> None: ...


@pytest.fixture
def next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NextStep:
    """Return what makes this package one that knows another migration, of this statement."""

    folder = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, folder)

    def make(upgrade: str) -> None:
        lines = f"revision, down_revision = '{VERSION + 1}', '{VERSION}'\nfrom alembic import op"
        step = f"{lines}\ndef upgrade(): {upgrade}\n"
        (folder / "versions" / "next.py").write_text(step)
        monkeypatch.setattr(migrations, "FOLDER", folder)
        monkeypatch.setattr(database, "VERSION", VERSION + 1)
        monkeypatch.setattr(pending_counts, "VERSION", VERSION + 1)

    return make


def test_a_url_of_sqlite_is_a_file_and_its_kernels_know_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/team/tasks.db"
    one, other = Ledger(url, tmp_path / "a"), Ledger(url, tmp_path / "b")
    assert one.path == tmp_path / "team" / "tasks.db"
    assert one.name == str(one.path)
    mine, theirs = one.kernel_lock(), other.kernel_lock()
    one.add([a_task()], mine.name)
    assert other.count() == 1
    assert theirs.is_alive(mine.name)
    mine.close()
    assert not theirs.is_alive(mine.name)
    for part in (theirs, one, other):
        part.close()
