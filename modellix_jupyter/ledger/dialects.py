"""What differs between databases: how one is opened, and expressions that they do not share."""

from __future__ import annotations

import ctypes
import json
import sqlite3
import sys
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    URL,
    Double,
    Text,
    cast,
    create_engine,
    event,
    func,
    inspect,
    literal,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, ResourceClosedError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from modellix_jupyter.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sqlalchemy import ColumnElement, Connection, Engine, TableValuedAlias

# How long a write waits for another process's, in seconds.
BUSY_S = 10.0
# What reading and writing may raise; the last three of a row that is damaged.
_FOREIGN = (SQLAlchemyError, sqlite3.Error, OSError, ValueError, TypeError, OverflowError)
_CONNECT_S = 10
# States of PostgreSQL's errors that pass: connections, resources, locks, a server that ends, and
# a connection that it ended because this process stood still.
_PASSING = ("08", "53", "55P03", "57P0", "40", "25P03")
# When a silent connection is given up, by the client and by the server, in seconds.
_DEAD_AFTER = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_UNANSWERED_MS = 20_000
_APPLICATION = "modellix-jupyter"
# How long a lock is waited for, and how long a kernel that stands still may hold one.
_SERVER = {"lock_timeout": 30_000, "idle_in_transaction_session_timeout": 20_000}
# The key of the lock for making tables; the next one is that for adding to a batch.
ADVISORY = 0x6D6F64656C6C6978


def foreign() -> tuple[type[BaseException], ...]:
    """Return what a database may raise; a driver that is not loaded raises nothing."""
    driver = sys.modules.get("psycopg")
    return (*_FOREIGN, driver.Error) if driver else _FOREIGN


def reason(error: BaseException) -> str:
    """Return what a foreign error says, without the statement and its values."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    told = getattr(error, "strerror", None) or str(error)
    return told.partition("\n")[0]


def server_hint(told: str) -> str:
    """Return what to do about what a server, or its absence, said."""
    # the driver has no state of an error that came before the connection: only these words
    if "password authentication failed" in told or "no password supplied" in told:
        return (
            "The user name or password is wrong or missing: correct MODELLIX_LEDGER, PGPASSWORD "
            "or ~/.pgpass."
        )
    return "Check MODELLIX_LEDGER, and whether its server runs."


def interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """Return the interrupt for which a driver failed: it tidies up, and an answer is on its way."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, KeyboardInterrupt):
        behind = behind.__context__
    return behind


def is_passing(error: BaseException) -> bool:
    """Whether the same may succeed later: another program writes, or the server is away."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    driver = sys.modules.get("psycopg")
    if driver is None or not isinstance(error, driver.Error):
        return False
    state: str | None = error.sqlstate
    if state is None:  # no server answered
        return isinstance(error, driver.OperationalError)
    return state.startswith(_PASSING)


def is_bad_text(error: BaseException) -> bool:
    """Whether a file's row has text that is not UTF-8."""
    return "Could not decode to UTF-8" in str(error)


def read_any_text(connection: Connection, errors: str) -> None:
    """Read bytes that are no text too, with what Python makes of them."""
    raw: Any = connection.connection.dbapi_connection
    raw.text_factory = lambda text: text.decode("utf-8", errors)


def without_open_transaction(write: Connection | None) -> Connection:
    """Return a file's writer; nobody could write while it has a transaction that was left open."""
    if write is None:
        raise ResourceClosedError("it is closed")
    write.rollback()
    raw: Any = write.connection.dbapi_connection
    if raw.in_transaction:
        raw.rollback()
    return write


def never_close(held: object) -> None:
    """Keep something for the life of the process.

    SQLite removes a database's log with its last connection, by name: by now it may be another's.
    And a connection that a forked process inherited is still the other process's.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))


def open_sqlite(path: Path | None) -> Engine:
    """Return the engine of a file, or of a database in memory; every write is durable."""
    where = {"poolclass": NullPool} if path else {"poolclass": StaticPool}
    engine = create_engine(
        URL.create("sqlite", database=str(path) if path else None),
        connect_args={"timeout": BUSY_S, "isolation_level": None, "check_same_thread": False},
        hide_parameters=True,  # prompts are nothing for an error's text
        **where,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def parse_url(given: str) -> URL:
    """Return a URL of PostgreSQL; the errors never repeat it, because it may hold a password."""
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in {"postgresql", "postgresql+psycopg"} or not url.host:
        raise ConfigError(
            "The setting ledger is not the URL of a PostgreSQL database.",
            "It looks like postgresql+psycopg://USER@HOST/DATABASE; MODELLIX_LEDGER holds it.",
        )
    return url.set(drivername="postgresql+psycopg")


def open_postgres(url: URL) -> Engine:
    """Return the engine of a server; a connection that broke is replaced before it is used."""
    alive = {f"tcp_{name}": str(seconds) for name, seconds in _DEAD_AFTER.items()}
    server = " ".join(f"-c {name}={value}" for name, value in {**alive, **_SERVER}.items())
    known = {
        "connect_timeout": _CONNECT_S,
        "tcp_user_timeout": _UNANSWERED_MS,
        "application_name": _APPLICATION,
    }
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            hide_parameters=True,
            # a sum read after a lock must have what the lock's last holder wrote
            isolation_level="READ COMMITTED",
            connect_args={**known, **_DEAD_AFTER, "options": server},
        )
    except ImportError:
        raise MissingExtra("A ledger on PostgreSQL", "psycopg", "postgres") from None


def session_lock(connection: Connection, key: int) -> None:
    """Wait for a lock of the server's that is let go of when the connection ends.

    It is held in no transaction: one that does nothing for long would be ended, and the lock lost.
    """
    connection.execute(func.pg_advisory_lock(key).select())
    connection.commit()


def advisory_lock(connection: Connection, key: int) -> None:
    """Wait for a lock of the server's that is let go of when the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(func.pg_advisory_xact_lock(key).select())


# A client that stands still in a pipeline is active to the server, and no timeout of its ends it.
_CUT_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name = %s
AND wait_event = 'ClientRead' AND xact_start < now() - interval '1 second'
"""


def prepare_takeover(connection: Connection, *, cut_off: bool) -> None:
    """Wait two seconds at most for a lock; cut off who has held one that long and does nothing."""
    connection.exec_driver_sql("SET LOCAL lock_timeout = 2000")
    if cut_off:
        connection.exec_driver_sql(_CUT_OFF, (_APPLICATION,))


def writer(engine: Engine) -> Connection:
    """Return a connection whose transactions take the lock for writing at their beginning."""
    return engine.connect().execution_options(writes=True)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite's own patience does not cover two that do so to a new file at once
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def stored_version(connection: Connection) -> int:
    """Return the number of the last migration; 0 for a new database."""
    if connection.dialect.name == "sqlite":
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if not inspect(connection).has_table("alembic_version"):
        return 0
    stored = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return int(stored or 0)


def store_version(connection: Connection, version: int) -> None:
    """Record the number of the last migration where a file's header shows it."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version = {version}")


def listed(values: Iterable[str], dialect: str) -> TableValuedAlias:
    """Return texts as a table of `key` (their order) and `value`: one parameter, however many."""
    given = json.dumps(list(values))
    if dialect == "postgresql":
        elements = func.json_array_elements_text(cast(literal(given), JSON))
        return elements.table_valued("value", with_ordinality="key").render_derived()
    return func.json_each(given).table_valued("key", "value")


def before(column: ColumnElement[str], mark: str, dialect: str) -> ColumnElement[str]:
    """Return the part of a text before a mark, or all of it."""
    if dialect == "postgresql":
        return func.split_part(column, mark, 1)
    return func.substr(column, 1, func.instr(column + mark, mark) - 1)


def moment(column: ColumnElement[int], dialect: str) -> ColumnElement[Any]:
    """Return microseconds since the epoch as what the database's own tools take for a time."""
    if dialect == "postgresql":
        return text("timestamptz 'epoch'") + column * text("interval '1 microsecond'")
    whole = func.strftime("%Y-%m-%dT%H:%M:%S", column.op("/")(1_000_000), "unixepoch", type_=Text)
    return whole + func.printf(".%06dZ", column.op("%")(1_000_000), type_=Text)


def seconds(column: ColumnElement[int]) -> ColumnElement[Any]:
    """Return microseconds as seconds."""
    return cast(column, Double) / 1e6
