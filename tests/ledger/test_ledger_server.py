"""A ledger on PostgreSQL: what goes wrong in two lines, and nothing of it shows the password."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from ledger_samples import ORIGIN, a_task, python
from postgres_server import PASSWORD, PostgresServer
from sqlalchemy import create_engine, inspect

from modellix_jupyter.errors import ConfigError, LedgerError, LedgerTooNew, ModellixError
from modellix_jupyter.ledger import dialects, kernel_locks
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.ledger.tables import metadata
from modellix_jupyter.settings import LedgerUrl, Settings


def refused(use: Callable[[], object], kind: type[ModellixError]) -> ModellixError:
    """Return what a use raises: two lines, and no password in it or in what caused it.

    Nor is it in a traceback that shows the variables of every frame.
    """
    with pytest.raises(kind) as caught:
        use()
    lines = caught.value._render_traceback_()
    assert len(lines) == 2
    assert "MODELLIX_LEDGER" in lines[1] or "pip install" in lines[1]
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert PASSWORD not in "".join(shown.format()) + repr(caught.value.__context__)
    return caught.value


def test_a_url_that_is_none_is_not_repeated(home: Path) -> None:
    for url in (
        f"postgresql//team:{PASSWORD}@host/x",
        f"postgresql://team:{PASSWORD}@host:port/x",
        f"mysql://team:{PASSWORD}@host/x",
        f"postgresql+asyncpg://team:{PASSWORD}@host/x",
        f"postgresql://team:an@{PASSWORD}@host/x",
        f"sqlite:///:memory:?{PASSWORD}",
        "sqlite://",
        PASSWORD,
    ):
        given = LedgerUrl(url)
        refused(lambda given=given: Ledger(given, home), ConfigError)  # type: ignore[misc]  # bound now


def test_a_missing_driver_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'psycopg'")

    monkeypatch.setattr(dialects, "create_engine", missing)
    url = LedgerUrl(f"postgresql://u:{PASSWORD}@h/x")
    error = refused(lambda: Ledger(url, home), ModellixError)
    assert "modellix-jupyter[postgres]" in error.hint


def test_a_wrong_password_a_database_that_is_not_there_and_no_server(
    postgres: PostgresServer, home: Path
) -> None:
    right = postgres.url("postgres")
    for old, new in ((PASSWORD, f"not-{PASSWORD}"), ("team:", "nobody:"), (f":{PASSWORD}", "")):
        wrong = LedgerUrl(right.replace(old, new))
        error = refused(lambda wrong=wrong: Ledger(wrong, home), LedgerError)  # type: ignore[misc]  # bound now
        assert "user name or password is wrong" in error.hint
    missing = LedgerUrl(postgres.url("nowhere"))
    nowhere = refused(lambda: Ledger(missing, home), LedgerError)
    away = LedgerUrl(f"postgresql://team@127.0.0.1:1/x?password={PASSWORD}")
    nobody = refused(lambda: Ledger(away, home), LedgerError)
    assert "127.0.0.1" in nobody.message
    assert "whether its server runs" in nobody.hint
    assert nowhere.hint == nobody.hint


def test_a_newer_ledger_is_refused(postgres: PostgresServer, home: Path) -> None:
    url = LedgerUrl(postgres.new_database())
    Ledger(url, home).close()
    name = url.rpartition("/")[2]
    postgres.execute("UPDATE alembic_version SET version_num = '99'", name)
    refused(lambda: Ledger(url, home), LedgerTooNew)


def test_a_dropped_table_is_said(postgres: PostgresServer, home: Path) -> None:
    url = postgres.new_database()
    ledger = Ledger(url, home)
    postgres.execute("DROP TABLE tasks CASCADE", url.rpartition("/")[2])
    for use in (lambda: ledger.add([a_task()], "me"), ledger.tasks):
        assert "restore them from a backup" in refused(use, LedgerError).hint
    ledger.close()


def test_an_interrupt_in_the_middle_of_an_answer_is_an_interrupt_and_breaks_nothing(
    postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(postgres_url, home)
    ledger.add([a_task()], "me")

    def interrupted(cursor: psycopg.Cursor[object], *_: object) -> None:
        cursor.connection.pgconn.send_query(b"SELECT 1")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            ledger.count()
    assert not any("psycopg" in str(entry.path) for entry in caught.traceback)
    assert ledger.count() == 1
    ledger.close()


def test_it_has_the_tables_and_the_view(postgres_url: str, home: Path) -> None:
    Ledger(postgres_url, home).close()
    engine = create_engine(postgres_url)
    there = inspect(engine)
    assert set(there.get_table_names()) == set(metadata.tables)
    assert there.get_view_names() == ["history"]
    engine.dispose()


def test_settings_do_not_show_the_password() -> None:
    for url, shown in {
        f"postgresql+psycopg://team:{PASSWORD}@host:5432/x": "postgresql+psycopg://***@host:5432/x",
        f"postgresql://team:{PASSWORD}@[::1]/x": "postgresql://***@[::1]/x",
        "postgresql://host/x": "postgresql://host/x",
        f"postgresql://team@host/x?password={PASSWORD}": "postgresql://***@host/x",
        f"postgresql://host/x?password=an@{PASSWORD}": "postgresql://host/x",
        f"postgresql://team:an@{PASSWORD}@host/x": "***",
        f"postgresql://team:an?{PASSWORD}@host/x": "***",
        f"postgresql:/team:{PASSWORD}@host/x": "***",
        PASSWORD: "***",
        "": "",
    }.items():
        settings = Settings(ledger=url)
        assert f"ledger={shown!r}" in repr(settings)
        assert PASSWORD not in repr(settings.changed(ask_above=3))
        assert settings.ledger == url


def test_each_takes_up_unasked_only_its_own_users_tasks(postgres_url: str, home: Path) -> None:
    ann, bob = (Ledger(postgres_url, home, user=user) for user in ("ann", "bob"))
    task = a_task()
    ann.add([task], "kernel")
    assert (ann.unfinished(ORIGIN), bob.unfinished(ORIGIN)) == ([task], [])
    assert bob.tasks() == [task]
    assert bob.tasks()[0].user == "ann"
    assert bob.users() == {"ann": 1}
    ann.close()
    bob.close()


def test_a_restart_of_the_server_loses_neither_a_write_nor_the_lock(
    postgres: PostgresServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database()
    one, other = Ledger(url, home), Ledger(url, home)
    lock, second = one.kernel_lock(), other.kernel_lock()
    one.add([a_task()], lock.name)
    postgres.stop()
    refused(lambda: one.add([a_task()], lock.name), LedgerError)
    refused(lambda: second.is_alive(lock.name), LedgerError)
    postgres.start()
    assert second.is_alive(lock.name)  # its lock may be there again in a moment
    monkeypatch.setattr(kernel_locks, "_RETAKEN_S", 0.0)
    assert not second.is_alive(lock.name)  # until it writes, which it does with its next change
    one.add([a_task()], lock.name)
    assert second.is_alive(lock.name)
    assert one.count() == 2
    for part in (lock, second, one, other):
        part.close()


LIVING = """
import sys
from pathlib import Path
from modellix_jupyter.ledger.ledger import Ledger

ledger = Ledger(sys.argv[1], Path(sys.argv[2]))
print(ledger.kernel_lock().name, flush=True)
sys.stdin.readline()
"""


def test_a_killed_process_is_not_alive(postgres_url: str, home: Path) -> None:
    ledger = Ledger(postgres_url, home)
    lock = ledger.kernel_lock()
    process = python(LIVING, postgres_url, home)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert lock.is_alive(name)
    assert lock.is_alive(name)  # to look is not to take
    process.kill()
    process.communicate()
    while lock.is_alive(name):  # the server has to notice
        pass
    assert not any(map(lock.is_alive, (None, "", "nobody", "../x")))
    lock.close()
    assert not lock.is_alive(name)
    ledger.close()
