"""Ledgers of every version that was ever released, opened by today's code; and of one to come.

What stands here is frozen: a change of the package's own steps must not change what these files
are. A new version adds its SQL and its rows below, and leaves the others alone.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from modellix_jupyter.errors import LedgerTooNew
from modellix_jupyter.ledger import migrations
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.results.frame import task_frame
from modellix_jupyter.values import Request, Resource, Status, Task

_FIRST = """
CREATE TABLE tasks (
    uid TEXT PRIMARY KEY,
    batch TEXT NOT NULL,
    origin TEXT NOT NULL,
    owner TEXT,
    model TEXT NOT NULL,
    prompt TEXT,
    params TEXT NOT NULL,
    status TEXT NOT NULL,
    task_id TEXT,
    model_id TEXT,
    created_at INTEGER NOT NULL,
    submitted_at INTEGER,
    completed_at INTEGER,
    expires_at INTEGER,
    duration_ms INTEGER,
    resources TEXT NOT NULL,
    settled INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    price REAL,
    request_id TEXT,
    error_code INTEGER,
    error_message TEXT
) STRICT;
CREATE INDEX tasks_created ON tasks (created_at);
CREATE INDEX tasks_model ON tasks (model, completed_at);
CREATE INDEX tasks_task_id ON tasks (task_id);
CREATE INDEX tasks_batch ON tasks (batch);
CREATE INDEX tasks_open ON tasks (origin) WHERE settled = 0;
PRAGMA user_version = 1;
"""
_REMARKS = """
CREATE TABLE remarks (
    uid TEXT PRIMARY KEY REFERENCES tasks (uid),
    rating INTEGER CHECK (rating BETWEEN 1 AND 5),
    note TEXT
) STRICT;
INSERT INTO remarks VALUES ('fetched', 5, 'the “good” one'), ('late', NULL, 'a pity');
PRAGMA user_version = 2;
"""
_UNKNOWN = """
CREATE INDEX tasks_unknown ON tasks (origin) WHERE status = 'unknown';
PRAGMA user_version = 3;
"""
SQL = {1: _FIRST, 2: _FIRST + _REMARKS, 3: _FIRST + _REMARKS + _UNKNOWN}
"""What made the ledger of each version, in full."""
_REMARKED: dict[str, dict[str, object]] = {
    "fetched": {"rating": 5, "note": "the “good” one"},
    "late": {"rating": None, "note": "a pity"},
}
REMARKS = {1: {}, 2: _REMARKED, 3: _REMARKED}

ORIGIN = "https://api.modellix.ai"
NOON = 1_790_000_000_000_000
USUAL = {
    "batch": "b2",
    "origin": ORIGIN,
    "owner": "gone",
    "model": "a/y",
    "prompt": "a dog",
    "params": "{}",
    "created_at": NOON,
    "submitted_at": NOON + 1,
    "resources": "[]",
    "settled": 1,
    "attempts": 1,
    "price": 0.03,
}
FIRST = USUAL | {"batch": "b1", "model": "a/x", "prompt": "a cat"}
OVER = USUAL | {"completed_at": NOON + 9, "model_id": "y"}
KEPT = OVER | {"expires_at": NOON + 86_400_000_009, "status": "success"}
FILES = (
    '[{"url": "https://cdn.test/1.png", "type": "image", "width": 64, "height": 32, '
    '"format": "png", "role": "primary", "path": "2026-09-21/y-fetched-1.png", "size": 77}, '
    '{"url": "https://cdn.test/2.png", "problem": "gone", "lost": true}]'
)
ROWS: list[dict[str, object]] = [
    FIRST
    | {"uid": "intent", "status": "submitting", "settled": 0}
    | {"submitted_at": None, "attempts": 0, "price": None},
    FIRST
    | {"uid": "sent", "status": "submitting", "settled": 0}
    | {"prompt": None, "params": '{"seed": 7}'},
    FIRST
    | {"uid": "dark", "status": "unknown", "prompt": "“ö\n🐈", "attempts": 2}
    | {"error_message": "POST got no answer: ReadError"},
    FIRST
    | {"uid": "refused", "status": "rejected", "completed_at": NOON + 2, "error_code": 402}
    | {"error_message": "Payment required: the balance is insufficient"},
    USUAL
    | {"uid": "going", "status": "processing", "prompt": "a cat", "settled": 0, "price": None}
    | {"params": '{"deep": [{"a": null}]}', "task_id": "task-1", "model_id": "y"},
    KEPT
    | {"uid": "fetched", "task_id": "task-2", "duration_ms": 3500, "request_id": "req-2"}
    | {"resources": FILES},
    KEPT
    | {"uid": "half", "task_id": "task-3", "request_id": "req-3", "settled": 0, "owner": None}
    | {"resources": '[{"url": "https://cdn.test/3.png"}]'},
    OVER
    | {"uid": "failed", "status": "failed", "origin": "http://127.0.0.1:1", "task_id": "task-4"}
    | {"duration_ms": 10, "error_message": "Content policy"},
    OVER
    | {"uid": "late", "status": "expired", "task_id": "task-5"}
    | {"error_message": "the service no longer knows it"},
]
"""The rows that each version held."""


def tasks(files: Path) -> list[Task]:
    """Return what the rows say, written out by hand."""

    def task(uid: str, status: Status, **known: object) -> Task:
        usual: dict[str, object] = {
            "batch": "b2",
            "origin": ORIGIN,
            "request": Request("a/y", "a dog", {}),
            "created_at": NOON,
            "submitted_at": NOON + 1,
            "attempts": 1,
            "price": 0.03,
        }
        return Task(uid=uid, status=status, **(usual | known))  # type: ignore[arg-type]  # by name

    first = {"batch": "b1", "request": Request("a/x", "a cat", {})}
    path = str(files / "2026-09-21/y-fetched-1.png")
    picture = Resource(
        url="https://cdn.test/1.png",
        type="image",
        width=64,
        height=32,
        format="png",
        role="primary",
        path=path,
        size=77,
    )
    gone = Resource(url="https://cdn.test/2.png", problem="gone", lost=True)
    over = {"completed_at": NOON + 9, "model_id": "y"}
    kept = over | {"expires_at": NOON + 86_400_000_009}
    return [
        task("intent", Status.SUBMITTING, **first | {"submitted_at": None}, attempts=0, price=None),
        task("sent", Status.SUBMITTING, **first | {"request": Request("a/x", None, {"seed": 7})}),
        task(
            "dark",
            Status.UNKNOWN,
            **first | {"request": Request("a/x", "“ö\n🐈", {})},
            attempts=2,
            error_message="POST got no answer: ReadError",
        ),
        task(
            "refused",
            Status.REJECTED,
            **first,
            completed_at=NOON + 2,
            error_code=402,
            error_message="Payment required: the balance is insufficient",
        ),
        task(
            "going",
            Status.PROCESSING,
            request=Request("a/y", "a cat", {"deep": [{"a": None}]}),
            task_id="task-1",
            model_id="y",
            price=None,
        ),
        task(
            "fetched",
            Status.SUCCESS,
            **kept,
            task_id="task-2",
            duration_ms=3500,
            resources=(picture, gone),
            request_id="req-2",
        ),
        task(
            "half",
            Status.SUCCESS,
            **kept,
            task_id="task-3",
            resources=(Resource(url="https://cdn.test/3.png"),),
            request_id="req-3",
        ),
        task(
            "failed",
            Status.FAILED,
            **over,
            origin="http://127.0.0.1:1",
            task_id="task-4",
            duration_ms=10,
            error_message="Content policy",
        ),
        task(
            "late",
            Status.EXPIRED,
            **over,
            task_id="task-5",
            error_message="the service no longer knows it",
        ),
    ]


def build(path: Path, version: int) -> None:
    """Make the ledger of a version as it was, with its rows."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SQL[version])
        for row in ROWS:
            places = ", ".join(f":{name}" for name in row)
            connection.execute(f"INSERT INTO tasks ({', '.join(row)}) VALUES ({places})", row)  # noqa: S608 - names of this file
        connection.commit()


def raw(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM tasks ORDER BY rowid").fetchall()


def schema(path: Path) -> set[tuple[str, str]]:
    """Return what the database is made of, however it is laid out."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {(name, " ".join(sql.split())) for name, sql in found}


@pytest.fixture
def path(home: Path) -> Path:
    return home / "ledger.sqlite3"


def test_each_released_version_is_frozen_here() -> None:
    assert set(SQL) == set(REMARKS) == set(range(1, len(migrations.STEPS) + 1))


@pytest.mark.parametrize("version", SQL)
def test_an_old_ledger_is_read_row_by_row(path: Path, version: int) -> None:
    build(path, version)
    files = path.parent / "files"
    with closing(Ledger(path, files)) as ledger:
        assert list(ledger.tasks()) == tasks(files)
        assert ledger.owner("intent") == "gone"
        assert ledger.owner("half") is None
        assert [t.uid for t in ledger.unsettled(ORIGIN)] == ["intent", "sent", "going", "half"]
        assert [t.uid for t in ledger.unknown(ORIGIN)] == ["dark"]
        assert ledger.remarks() == REMARKS[version]
        assert len(task_frame(ledger.tasks())) == len(ROWS)
    with closing(sqlite3.connect(path)) as connection:
        (now,) = connection.execute("PRAGMA user_version").fetchone()
        assert now == len(migrations.STEPS)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("version", SQL)
def test_an_old_ledger_goes_on_being_written(path: Path, version: int) -> None:
    """Save every task as it is: nothing of a row is lost on the way there and back."""
    build(path, version)
    before = raw(path)
    with closing(Ledger(path, path.parent / "files")) as ledger:
        for task in ledger.tasks():
            ledger.save(task)
        assert raw(path) == before
        assert ledger.claim("half", "me", was=None)


def test_the_newest_version_is_made_the_same_from_nothing(path: Path) -> None:
    build(path, max(SQL))
    fresh = path.with_name("fresh.sqlite3")
    Ledger(fresh, path.parent / "files").close()
    assert schema(fresh) == schema(path)


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
@pytest.mark.parametrize("ahead", [1, 1000])
def test_a_newer_ledger_is_refused_and_not_touched(path: Path, ahead: int, mode: str) -> None:
    build(path, max(SQL))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")  # a newer one may keep its own way
        connection.execute("ALTER TABLE tasks ADD COLUMN rating TEXT")
        connection.execute(f"PRAGMA user_version = {max(SQL) + ahead}")
    before, siblings = path.read_bytes(), set(path.parent.iterdir())
    with pytest.raises(LedgerTooNew, match=str(max(SQL) + ahead)):
        Ledger(path, path.parent / "files")
    assert path.read_bytes() == before
    assert set(path.parent.iterdir()) == siblings == {path}
