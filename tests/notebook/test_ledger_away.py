"""A ledger's server that goes away, or whose tables do, under a session: what its user sees."""

from __future__ import annotations

import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from postgres_server import PASSWORD, PostgresServer
from session_rig import HANG_S, Sessions, is_whole, wait_until_accepted

from modellix_jupyter.errors import ConfigError, LedgerError, LedgerTooNew, ModellixError
from modellix_jupyter.notebook import doctor
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results.results import Results
from modellix_jupyter.settings import Settings
from modellix_jupyter.storage import files as files_module
from modellix_jupyter.values import Request, Status


def plan(*prompts: str) -> list[Request]:
    return make_plan(list(prompts), ["sandbox/slow"], params={"size": "256x256"})


def running(session: Session) -> Results:
    """Return results that the service works on."""
    results = session.submit(plan("one", "two"))
    wait_until_accepted(session, results)
    return results


def refused(use: Callable[[], object], kind: type[ModellixError] = LedgerError) -> list[str]:
    """Return the two lines of an error, in which, and behind which, no password is."""
    with pytest.raises(kind) as caught:
        use()
    lines = caught.value._render_traceback_()
    assert len(lines) == 2
    assert PASSWORD not in "".join([*lines, *traceback.format_exception(caught.value)])
    return lines


def test_what_runs_goes_on_and_is_written_when_the_server_is_back(
    sessions: Sessions,
    postgres: PostgresServer,
    postgres_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    session = sessions(ledger=postgres_url)
    results = running(session)
    postgres.stop()
    try:
        assert [task.status for task in results.wait(HANG_S)] == [Status.SUCCESS] * 2
        assert all(is_whole(task) for task in results)
        warnings = session.engine.warnings
        logged = [r.getMessage().split("\n") for r in caplog.records if r.levelname == "WARNING"]
        assert 0 < len(logged) == len({what for what, _ in logged})  # however many tries there were
        assert all("What runs goes on" in hint for _, hint in logged)
        (told,) = {warning.partition(" cannot ")[0] for warning in warnings}
        assert told.startswith("The ledger postgresql+psycopg://team:***@127.0.0.1:")
        assert told in str(session.show([t.uid for t in results])._message(final=True))
        posts = sessions.posts()
        lines = refused(lambda: session.submit(plan("three")))
        assert "whether its server runs" in lines[1]
        found = {check.name: check for check in doctor.examine(session)}
        assert found["ledger"].good is False
        assert found["service answers"].good
    finally:
        postgres.start()
    until = time.monotonic() + HANG_S
    while {task.status for task in session.ledger.tasks()} != {Status.SUCCESS}:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert [task.path for task in session.ledger.tasks()] == [task.path for task in results]
    while session.engine.warnings:  # that it failed is over
        assert time.monotonic() < until
        time.sleep(0.05)
    assert sessions.posts() == posts == 2
    assert session.submit(plan("three")).wait(HANG_S)[0].status is Status.SUCCESS
    assert PASSWORD not in caplog.text + repr(found) + str(session.engine.warnings)


def test_what_waits_is_sent_when_the_server_is_back_and_its_user_is_told(
    sessions: Sessions,
    postgres: PostgresServer,
    postgres_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = sessions(ledger=postgres_url, max_in_flight=1)
    results = session.submit(plan("one", "two"))
    until = time.monotonic() + HANG_S
    while results[0].task_id is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    postgres.stop()
    try:
        while results[1].unsent and not caplog.records:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert "nothing new is sent" in caplog.text
        assert session.engine.warnings
        assert sessions.posts() == 1
    finally:
        postgres.start()
    assert [task.status for task in results.wait(HANG_S)] == [Status.SUCCESS] * 2
    assert sessions.posts() == 2
    assert session.engine.warnings == []


def test_a_setting_that_comes_while_the_ledger_is_being_opened_counts(sessions: Sessions) -> None:
    with socket.create_server(("127.0.0.1", 0)) as slow:
        slow.settimeout(HANG_S)
        url = f"postgresql://team@127.0.0.1:{slow.getsockname()[1]}/x"
        session = sessions(ledger=url)
        opening = threading.Thread(target=lambda: refused(lambda: session.ledger))
        opening.start()
        connection, _ = slow.accept()
        assert not session.adjust(session.settings.changed(user="ann"))  # so it is exchanged
        assert session.settings.user == ""
        assert session.adjust(session.settings.changed(ask_above=3))
        connection.close()
        slow.close()
        opening.join(HANG_S)
    assert session.adjust(session.settings.changed(user="ann"))


def test_the_place_of_files_is_that_of_the_session_in_use(
    sessions: Sessions, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"file://{home / 'place'}"
    old = sessions(files=place, cache_mb=2)
    begun, goes_on = threading.Event(), threading.Event()

    def slow_name(_: Settings) -> str:
        begun.set()
        assert goes_on.wait(HANG_S)
        return "ann"

    monkeypatch.setattr(Settings, "user_name", slow_name)
    opening = threading.Thread(target=lambda: old.ledger)
    opening.start()
    assert begun.wait(HANG_S)
    assert not old.adjust(old.settings.changed(cache_mb=1))
    new = sessions(files=place, cache_mb=1)
    assert files_module._places[new.files.prefix] is new.files
    goes_on.set()
    opening.join(HANG_S)
    assert files_module._places[new.files.prefix] is new.files


def test_a_table_that_was_dropped_stops_no_task_and_lets_none_leave(
    sessions: Sessions, postgres: PostgresServer, postgres_url: str
) -> None:
    session = sessions(ledger=postgres_url)
    results = running(session)
    postgres.execute("DROP TABLE tasks CASCADE", postgres_url.rpartition("/")[2])
    assert all(is_whole(task) for task in results.wait(HANG_S))
    assert [w for w in session.engine.warnings if "does not exist" in w]
    lines = refused(lambda: session.submit(plan("three")))
    assert 'relation "tasks" does not exist' in lines[0]
    assert "restore them from a backup" in lines[1]
    assert sessions.posts() == 2


def test_a_ledger_that_cannot_be_used_is_said_before_anything_is_sent(
    sessions: Sessions,
    postgres: PostgresServer,
    postgres_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    newer = postgres.new_database()
    sessions(ledger=newer).ledger.count()
    postgres.execute("UPDATE alembic_version SET version_num = '99'", newer.rpartition("/")[2])
    table: dict[str, type[ModellixError]] = {
        postgres.url("postgres", password=f"not-{PASSWORD}"): LedgerError,
        f"postgresql//team:{PASSWORD}@host/x": ConfigError,
        newer: LedgerTooNew,
    }
    for url, kind in table.items():
        session = sessions(ledger=url)
        refused(lambda session=session: session.submit(plan("p")), kind)  # type: ignore[misc]  # bound now
        checks = {c.name: c for c in doctor.examine(session)}
        assert checks["ledger"].good is False
        assert PASSWORD not in repr(checks)
        if kind is not ConfigError:
            assert "as the ledger cannot be opened" in checks["service answers"].detail
    assert sessions.posts() == 0
    assert PASSWORD not in caplog.text
    assert sessions(ledger=postgres_url).ledger.count() == 0
