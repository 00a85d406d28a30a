"""A look at a ledger that opens no engine and writes nothing: how much an earlier kernel left."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from modellix_jupyter.errors import LedgerError
from modellix_jupyter.ledger.migrations import check_version

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_S = 10.0
"""How long the look waits for a writer, in seconds."""
_COUNT = "SELECT count(*) FROM tasks WHERE origin = ? AND "


class Left(NamedTuple):
    """How many tasks of a service are not over, and how many are of unknown outcome."""

    unfinished: int
    unknown: int


def left_behind(path: Path, origin: str) -> Left:
    """Count what was left behind, by two indexes and so in no time.

    Parameters
    ----------
    path
        Of a ledger that is there, of any version up to today's.
    origin
        The base URL of the service.

    Raises
    ------
    LedgerTooNew
        It was written by a newer version.
    LedgerError
        It cannot be read.

    """
    try:
        check_version(path)
        # not read-only: what a killed kernel left in the write-ahead log may have to be recovered
        place = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(place, uri=True, timeout=_BUSY_S)) as connection:
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                return Left(0, 0)  # another kernel is just making it
            found = (
                connection.execute(_COUNT + which, (origin,)).fetchone()[0]
                for which in ("settled = 0", "status = 'unknown'")
            )
            return Left(*found)
    except (OSError, sqlite3.Error) as error:
        told = getattr(error, "strerror", None) or str(error)
        raise LedgerError(f"The ledger {path} cannot be read: {told}.") from error
