"""What a ledger's file says without SQLAlchemy: its version, and how much is unfinished."""

from __future__ import annotations

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
# How long counting waits for a writer, in seconds.
_BUSY_S = 10.0
_COUNT = "SELECT count(*) FROM tasks WHERE origin = ? AND "


class PendingCounts(NamedTuple):
    """How many tasks of a service are not over, and how many are of unknown outcome."""

    unfinished: int
    unknown: int


def check_version(path: Path) -> None:
    """Raise `LedgerTooNew` by the file's header alone, so that a newer file is not touched."""
    try:
        with path.open("rb") as file:
            head = file.read(_VERSION_OFFSET + _VERSION_BYTES)
    except FileNotFoundError:
        return
    if head.startswith(_MAGIC):  # what is no database has no version
        refuse_newer(int.from_bytes(head[_VERSION_OFFSET:], "big"), path)


def refuse_newer(version: int, path: Path | str) -> None:
    """Raise `LedgerTooNew` for a version that this package does not know."""
    if version > VERSION:
        raise LedgerTooNew(
            f"The ledger {path} is of version {version}, and this package knows {VERSION}."
        )


def pending_counts(path: Path, origin: str) -> PendingCounts:
    """Count what is unfinished at a service, by two indexes; raise `LedgerError` where it fails."""
    try:
        check_version(path)
        # not read-only: what a killed kernel left in the write-ahead log may have to be recovered
        place = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(place, uri=True, timeout=_BUSY_S)) as connection:
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                return PendingCounts(0, 0)  # another kernel is just making it
            found = (
                connection.execute(_COUNT + which, (origin,)).fetchone()[0]
                for which in ("is_final = 0", "status = 'unknown'")
            )
            return PendingCounts(*found)
    except (OSError, sqlite3.Error) as error:
        told = getattr(error, "strerror", None) or str(error)
        raise LedgerError(f"The ledger {path} cannot be read: {told}.") from error
