"""A PostgreSQL of Debian's on a free port, one for all tests of a process, a database for each."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

MISSING = "PostgreSQL is not there; `apt-get install postgresql` brings it"
PASSWORD = "sentinel-password"
START_S = 30.0
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


class PostgresServer:
    """A server in a folder of its own; it can be stopped and started again."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        # root may not run it, and nobody else may look into pytest's own folders
        self._run_as: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
        self.folder = Path(tempfile.mkdtemp(prefix="modellix-postgres-"))
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self._run_as:
            shutil.chown(self.folder, "postgres")
            shutil.chown(secret, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._numbers = itertools.count()
        self._shared: str | None = None
        options = ("-A", "scram-sha-256", "-U", "team", f"--pwfile={secret}", "--no-sync")
        self._call("initdb", "-D", self.folder / "data", "-E", "UTF8", "--locale=C", *options)
        self.start()

    def _call(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        subprocess.run(  # noqa: S603 - Debian's own program
            command, check=True, capture_output=True, cwd="/", **self._run_as
        )

    def start(self) -> None:
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        options = [part for setting in (*settings, *QUICK) for part in ("-c", setting)]
        self._process = subprocess.Popen(  # noqa: S603 - Debian's own program
            [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **self._run_as,
        )
        until = time.monotonic() + START_S
        while True:
            try:
                return self.execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, and with it every connection."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_S)

    def execute(self, statement: str, database: str = "postgres") -> None:
        where = self.url(database).replace("+psycopg", "")
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement.encode())

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql+psycopg://team:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        name = f"ledger_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def emptied(self) -> str:
        """Return the URL of one database for all who come, emptied: a new one takes far longer."""
        if self._shared is None:
            self._shared = self.new_database()
        name = self._shared.rpartition("/")[2]
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname <> 'postgres' AND pid <> pg_backend_pid()"
        )
        self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", name)
        return self._shared

    def close(self) -> None:
        self._process.send_signal(signal.SIGQUIT)  # nothing of it is kept
        self._process.wait(START_S)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start PostgreSQL, or skip, out loud."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip(MISSING)
    server = PostgresServer(found[-1].parent)
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """Return the URL of an empty database."""
    return postgres.emptied()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_ledger(request: pytest.FixtureRequest) -> str:
    """Return the setting for a ledger in each of the two ways, one for all tests of a module."""
    if request.param == "sqlite":
        return ""
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, home: Path) -> Path | str:
    """Return where a ledger is, in each of the two ways."""
    if request.param == "sqlite":
        return home / "ledger.sqlite3"
    return str(request.getfixturevalue("postgres_url"))
