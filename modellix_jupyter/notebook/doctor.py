"""Checks of what a first run needs: the versions, the key, the service, the disk, the extras."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from modellix_jupyter.errors import (
    ConfigError,
    LedgerError,
    MissingKey,
    ModellixError,
    Unauthorized,
)
from modellix_jupyter.keys import SecretKey
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.settings import Settings

_EXTRAS = {
    "pyarrow": "parquet exports",
    "xlsxwriter": "xlsx exports",
    "matplotlib": "plots",
    "psycopg": "a ledger on PostgreSQL",
    "s3fs": "files in S3",
    "keyring": "keeping the key in the system keyring",
}


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; `good` is None for a line that only informs."""

    name: str
    good: bool | None
    detail: str

    @property
    def mark(self) -> str:
        """The result as a word: some people cannot tell colours apart."""
        return {True: "ok", False: "WRONG", None: ""}[self.good]


def examine(session: Session) -> list[Check]:
    """Check the versions, the key, the service, the disk and the extras; never show the key."""
    return [
        _versions(),
        Check("service", None, _service_words(session)),
        _try("key", lambda: f"from {session.key().source}"),
        _try("service answers", lambda: _answer(session)),
        _try("balance", lambda: f"{session.balance():.2f} USD"),
        _try("home", lambda: _home(session)),
        _try("ledger", lambda: _ledger(session)),
        _try("files", session.files.check),
        *(Check(n, None, f"{_version(n)}, for {purpose}") for n, purpose in _EXTRAS.items()),
    ]


def validate_key(key: SecretKey, settings: Settings) -> str:
    """Ask the service whether it takes a key; return the beginning of a sentence about it.

    The session in use is not touched, so a refused key changes nothing.
    """
    session = Session(settings, key=key)
    try:
        if session.key_is_valid():
            return "The key is valid, and"
    except Unauthorized:
        pass
    except ModellixError as error:
        return f"The key could not be checked ({error.message}); it is"
    finally:
        session.close()
    raise ConfigError("The service does not take this key.", "Nothing was changed; copy it again.")


def _try(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, good=True, detail=look())
    except ModellixError as error:
        if isinstance(error, MissingKey) and name != "key":  # the line `key` says what to do
            return Check(name, good=None, detail="not asked, as there is no key")
        if isinstance(error, LedgerError) and name != "ledger":  # as does the ledger's
            return Check(name, good=None, detail="not asked, as the ledger cannot be opened")
        return Check(name, good=False, detail=f"{error.message} {error.hint}")


def _versions() -> Check:
    names = ("modellix-jupyter", "ipython", "ipykernel", "ipywidgets", "httpx", "pandas")
    found = [f"{name} {_version(name)}" for name in names]
    return Check("versions", None, f"Python {platform.python_version()}, {', '.join(found)}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _service_words(session: Session) -> str:
    where = session.settings.base_url
    return f"{where} (the sandbox: nothing costs)" if session.sandbox is not None else where


def _answer(session: Session) -> str:
    if not session.key_is_valid():
        raise ModellixError("The service does not take the key.", "`%modellix key` asks for one.")
    return "the key is valid"


def _home(session: Session) -> str:
    with session.writing_home():
        tempfile.TemporaryFile(dir=session.home).close()
    return str(session.home)


def _ledger(session: Session) -> str:
    ended = session.end_ended()
    unfinished, unknown = len(session.unfinished()), len(session.unknown())
    session.ledger.check_rights()
    count = session.ledger.count()
    told = (
        f"{count} {'task' if count == 1 else 'tasks'}, {unfinished} unfinished, {unknown} unknown"
    )
    told += f", {ended} of a sandbox that ended with its kernel" if ended else ""
    damaged = session.ledger.damaged
    if damaged:
        raise LedgerError(f"{told}; damaged and skipped: {'; '.join(damaged.values())}.", "")
    return f"{told}{_server(session)}" if session.ledger.path is None else told


def _server(session: Session) -> str:
    """Return the name, the version and the latency of the database, and its tasks by user."""
    ledger = session.ledger
    begin = time.perf_counter()
    version = ledger.server_version()
    latency_ms = (time.perf_counter() - begin) * 1000
    users = ", ".join(f"{user} {count}" for user, count in ledger.users().items()) or "nobody"
    told = f"{ledger.name}, PostgreSQL {version}, {latency_ms:.1f} ms, may read and write"
    return f"; {told}; by user: {users}"
