"""What is read from an SQLite ledger without SQLAlchemy: its version and its unfinished tasks."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from modellix_jupyter.errors import LedgerError, LedgerTooNew

# The number of the newest migration in `migrations.versions`.
VERSION = 1

_MAGIC = b"SQLite format 3\0"
_VERSION_OFFSET = 60
_VERSION_BYTES = 4
# How long counting waits while another process writes, in seconds.
_BUSY_S = 10.0
TABLES_HINT = "Its tables are not as this package made them: restore them from a backup, or set"
# Tables or columns that are not there, or are there already, in SQLite's words.
_OF_TABLES = re.compile("no such (table|column)|table .* (already exists|has no column)")
_COUNT = "SELECT count(*) FROM tasks WHERE origin = ? AND "


class PendingCounts(NamedTuple):
    """The numbers of a service's unfinished tasks and of those with unknown outcome."""

    unfinished: int
    unknown: int


def check_version(path: Path) -> None:
    """Raise `LedgerTooNew` by the file's header only, so that a newer file stays untouched."""
    try:
        with path.open("rb") as file:
            head = file.read(_VERSION_OFFSET + _VERSION_BYTES)
    except FileNotFoundError:
        return
    if head.startswith(_MAGIC):  # not a database: opening it will say so
        refuse_newer(int.from_bytes(head[_VERSION_OFFSET:], "big"), path)


def refuse_newer(version: int, path: Path | str) -> None:
    """Raise `LedgerTooNew` for a version newer than this package."""
    if version > VERSION:
        raise LedgerTooNew(
            f"The ledger {path} is of version {version}, and this package knows {VERSION}."
        )


def tables_hint(told: str) -> str | None:
    """Return what to do where SQLite says that tables are not as they should be."""
    return f"{TABLES_HINT} MODELLIX_HOME to another folder." if _OF_TABLES.match(told) else None


def pending_counts(path: Path, origin: str) -> PendingCounts:
    """Count a service's unfinished tasks, by two indexes; raises `LedgerError` if that fails."""
    try:
        check_version(path)
        # not read-only: a write-ahead log that a killed kernel left may have to be recovered
        place = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(place, uri=True, timeout=_BUSY_S)) as connection:
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                return PendingCounts(0, 0)  # another kernel is creating it right now
            found = (
                connection.execute(_COUNT + which, (origin,)).fetchone()[0]
                for which in ("is_final = 0", "status = 'unknown'")
            )
            return PendingCounts(*found)
    except (OSError, sqlite3.Error) as error:
        told = getattr(error, "strerror", None) or str(error)
        raise LedgerError(
            f"The ledger {path} cannot be read: {told}.", tables_hint(told)
        ) from error
