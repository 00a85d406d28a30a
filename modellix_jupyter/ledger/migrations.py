"""The ledger's schema, as the steps that made it; a step and the record of it commit together.

A step that was released is never edited: the next change is a new step. ``PRAGMA user_version`` is
the number of steps taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modellix_jupyter.errors import LedgerTooNew

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """
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
        ) STRICT
        """,
        "CREATE INDEX tasks_created ON tasks (created_at)",
        "CREATE INDEX tasks_model ON tasks (model, completed_at)",
        "CREATE INDEX tasks_task_id ON tasks (task_id)",
        "CREATE INDEX tasks_batch ON tasks (batch)",
        "CREATE INDEX tasks_open ON tasks (origin) WHERE settled = 0",
    ),
    (
        # beside the tasks: an engine writes a task's row whole, and must not undo a remark
        """
        CREATE TABLE remarks (
            uid TEXT PRIMARY KEY REFERENCES tasks (uid),
            rating INTEGER CHECK (rating BETWEEN 1 AND 5),
            note TEXT
        ) STRICT
        """,
    ),
    (
        # they are counted whenever the extension is loaded, however long the ledger is
        "CREATE INDEX tasks_unknown ON tasks (origin) WHERE status = 'unknown'",
    ),
)
_MAGIC = b"SQLite format 3\0"
_VERSION_OFFSET = 60
_VERSION_BYTES = 4


def check_version(path: Path) -> None:
    """Refuse a newer ledger by its file's header alone, so that the file is not touched.

    Raises
    ------
    LedgerTooNew
        It was written by a newer version of this package.

    """
    try:
        with path.open("rb") as file:
            head = file.read(_VERSION_OFFSET + _VERSION_BYTES)
    except FileNotFoundError:
        return
    if head.startswith(_MAGIC):  # what is no database has no version
        _refuse_newer(int.from_bytes(head[_VERSION_OFFSET:], "big"), path)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Take the steps that are missing, each in a transaction of its own."""
    while (version := _version(connection)) < len(STEPS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # another process may have taken the step between the look and the lock
            if _version(connection) == version:
                for statement in STEPS[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            # a full disk may have rolled back by itself; a second ROLLBACK must not hide it
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    _refuse_newer(_version(connection), path)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _refuse_newer(version: int, path: Path) -> None:
    if version > len(STEPS):
        raise LedgerTooNew(
            f"The ledger {path} is of version {version}, and this package knows {len(STEPS)}."
        )
