"""Differences between SQLite and PostgreSQL: opening, errors, locks and SQL expressions."""

from __future__ import annotations

import ctypes
import json
import sqlite3
import sys
import time
from pathlib import Path
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
from modellix_jupyter.ledger.pending_counts import TABLES_HINT, tables_hint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection, Engine, TableValuedAlias

# How long a write waits for another process, in seconds.
BUSY_S = 10.0
# What reading and writing may raise; the last three come from damaged rows.
_FOREIGN = (SQLAlchemyError, sqlite3.Error, OSError, ValueError, TypeError, OverflowError)
_CONNECT_S = 10
# SQLSTATEs of PostgreSQL's transient errors: connections, resources, locks, a server that shuts
# down, and a connection that timed out because this process was suspended.
_PASSING = ("08", "53", "55P03", "57P0", "40", "25P03")
# SQLSTATEs of tables or columns that are missing, or exist already.
_OF_TABLES = {"42P01", "42703", "42P07"}
# When client and server give up a silent connection, in seconds.
_DEAD_AFTER = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_UNANSWERED_MS = 20_000
_APPLICATION = "modellix-jupyter"
# How long to wait for a lock, and how long a suspended kernel may hold one, in milliseconds.
_SERVER = {"lock_timeout": 30_000, "idle_in_transaction_session_timeout": 20_000}
# The advisory lock for creating tables; the next numbers are for batches and for uploads.
ADVISORY = 0x6D6F64656C6C6978


def foreign() -> tuple[type[BaseException], ...]:
    """Return the exceptions that a database may raise; a driver is included once it is loaded."""
    driver = sys.modules.get("psycopg")
    return (*_FOREIGN, driver.Error) if driver else _FOREIGN


def reason(error: BaseException) -> str:
    """Return the message of a database's error, without the statement and its values."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    told = getattr(error, "strerror", None) or str(error)
    return told.partition("\n")[0]


def hint(error: BaseException, *, is_file: bool) -> str | None:
    """Return what to do about an error; None where the error's class says it."""
    told = reason(error)
    if is_file:
        return tables_hint(told)
    if _state(error) in _OF_TABLES:
        return f"{TABLES_HINT} MODELLIX_LEDGER to another."
    # an error before the connection has no SQLSTATE, only a message
    if "password authentication failed" in told or "no password supplied" in told:
        return (
            "The user name or password is wrong or missing: correct MODELLIX_LEDGER, PGPASSWORD "
            "or ~/.pgpass."
        )
    return "Check MODELLIX_LEDGER, and whether its server runs."


def _state(error: BaseException) -> str | None:
    if isinstance(error, DBAPIError):
        error = error.orig or error
    return getattr(error, "sqlstate", None)


def drop_frames(error: BaseException | None) -> BaseException | None:
    """Remove the frames of an error: the driver's have the password among their variables."""
    if error is not None:
        error.__traceback__ = None
        drop_frames(error.__cause__)
        drop_frames(error.__context__)
    return error


def interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """Return the KeyboardInterrupt that made a driver fail while it cleaned up, or None."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, KeyboardInterrupt):
        behind = behind.__context__
    return behind


def is_passing(error: BaseException) -> bool:
    """Whether a retry may succeed: another program writes, or the server is unreachable."""
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
    """Whether the error is about a text in SQLite that is not UTF-8."""
    return "Could not decode to UTF-8" in str(error)


def read_any_text(connection: Connection, errors: str) -> None:
    """Let this connection read texts that are not UTF-8, with an error handler of Python's."""
    raw: Any = connection.connection.dbapi_connection
    raw.text_factory = lambda text: text.decode("utf-8", errors)


def without_open_transaction(write: Connection | None) -> Connection:
    """Return SQLite's writer, after a rollback of a transaction that an error left open."""
    if write is None:
        raise ResourceClosedError("it is closed")
    write.rollback()
    raw: Any = write.connection.dbapi_connection
    if raw.in_transaction:
        raw.rollback()
    return write


def never_close(held: object) -> None:
    """Keep an object alive until the process ends.

    Closing SQLite's last connection deletes the log by its name, which may be another database's by
    now. A connection that was inherited at a fork still belongs to the parent.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))


def open_sqlite(path: Path | None) -> Engine:
    """Return the engine of an SQLite file, or of a database in memory; every write is durable."""
    where = {"poolclass": NullPool} if path else {"poolclass": StaticPool}
    engine = create_engine(
        URL.create("sqlite", database=str(path) if path else None),
        connect_args={"timeout": BUSY_S, "isolation_level": None, "check_same_thread": False},
        hide_parameters=True,  # prompts do not belong in error messages
        **where,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def parse_url(given: str) -> URL | Path:
    """Parse a URL of PostgreSQL, or one of SQLite, which is a file.

    Errors never repeat it, because it may contain a password.
    """
    found = _parsed(given)  # in a frame of its own, which no traceback shows
    if found is None:
        raise ConfigError(
            "The setting ledger is not the URL of a database.",
            "It looks like postgresql+psycopg://USER@HOST/DATABASE or sqlite:////FOLDER/FILE; an @ "
            "in a password is written %40. MODELLIX_LEDGER holds it.",
        )
    return found


def _parsed(given: str) -> URL | Path | None:
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        return None
    return _sqlite_file(url) or _postgres_url(url)


def _sqlite_file(url: URL) -> Path | None:
    """Return the file of a URL of SQLite, or None."""
    known = url.drivername in {"sqlite", "sqlite+pysqlite"} and not url.query
    if not known or not url.database or url.database == ":memory:":
        return None
    return Path(url.database).expanduser().absolute()


def _postgres_url(url: URL) -> URL | None:
    """Return a URL with the password where SQLAlchemy hides it; None if it is not PostgreSQL's."""
    known = url.drivername in {"postgresql", "postgresql+psycopg"}
    if not known or not url.host or "@" in url.host:  # which would be part of a password
        return None
    if secret := url.query.get("password"):
        url = url.difference_update_query(["password"]).set(password=str(secret))
    return url.set(drivername="postgresql+psycopg")


def open_postgres(url: URL) -> Engine:
    """Return the engine of a PostgreSQL server; broken connections are replaced before use."""
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
            # a sum that is read after a lock must include what the previous holder wrote
            isolation_level="READ COMMITTED",
            connect_args={**known, **_DEAD_AFTER, "options": server},
        )
    except ImportError:
        raise MissingExtra("A ledger on PostgreSQL", "psycopg", "postgres") from None


def session_lock(connection: Connection, key: int) -> None:
    """Wait for an advisory lock that is released when the connection ends.

    It is not held in a transaction: the server would end an idle one, and the lock with it.
    """
    connection.execute(func.pg_advisory_lock(key).select())
    connection.commit()


def advisory_lock(connection: Connection, key: int) -> None:
    """Wait for an advisory lock that is released when the transaction ends; not on SQLite."""
    if connection.dialect.name == "postgresql":
        connection.execute(func.pg_advisory_xact_lock(key).select())


# To the server, a client that is suspended within a pipeline is active, so no timeout ends it.
_CUT_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name = %s
AND wait_event = 'ClientRead' AND xact_start < now() - interval '1 second'
"""


def prepare_takeover(connection: Connection, *, cut_off: bool) -> None:
    """Wait at most two seconds for a lock; `cut_off` first ends connections that hold one idly."""
    connection.exec_driver_sql("SET LOCAL lock_timeout = 2000")
    if cut_off:
        connection.exec_driver_sql(_CUT_OFF, (_APPLICATION,))


def writer(engine: Engine) -> Connection:
    """Return a connection whose transactions take the write lock when they begin."""
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
            # SQLite's busy timeout does not apply when two processes do this to a new file
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def stored_version(connection: Connection) -> int:
    """Return the version of the tables, the last migration's number; 0 if there are none."""
    if connection.dialect.name == "sqlite":
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if not inspect(connection).has_table("alembic_version"):
        return 0
    stored = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return int(stored or 0)


def has_view(connection: Connection) -> bool:
    """Whether the view exists: somebody may have dropped it."""
    return inspect(connection).has_table("history")


def store_version(connection: Connection, version: int) -> None:
    """Record the version in the header of an SQLite file, where it is read without SQLAlchemy."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version = {version}")


def listed(values: Iterable[str], dialect: str) -> TableValuedAlias:
    """Return texts as a table of `key` (their order) and `value`; always one SQL parameter."""
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
    """Return microseconds since the epoch as a time in the database's own format."""
    if dialect == "postgresql":
        return text("timestamptz 'epoch'") + column * text("interval '1 microsecond'")
    whole = func.strftime("%Y-%m-%dT%H:%M:%S", column.op("/")(1_000_000), "unixepoch", type_=Text)
    return whole + func.printf(".%06dZ", column.op("%")(1_000_000), type_=Text)


def seconds(column: ColumnElement[int]) -> ColumnElement[Any]:
    """Return microseconds as seconds."""
    return cast(column, Double) / 1e6
