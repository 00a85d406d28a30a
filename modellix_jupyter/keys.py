"""The key: the object that hides it, the places where it may be, the services that may have it."""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modellix_jupyter.errors import ConfigError, MissingKey
from modellix_jupyter.settings import DEFAULT_BASE_URL, check_origin

VARIABLE = "MODELLIX_API_KEY"
URL_VARIABLE = "MODELLIX_BASE_URL"
CONFIRMED = "confirmed-origins"
_STORED = "stored"
# The most characters of a key.
LONGEST = 16_384
_SERVICE = "modellix-jupyter"


class SecretKey:
    """A key that is not shown when it is printed; `source` says in words where it came from."""

    __slots__ = ("__value", "source")

    def __init__(self, value: str, source: str) -> None:
        self.__value = check_key(value)
        self.source = source

    def reveal(self) -> str:
        """Return the key itself: only for the header of a request, and to store it."""
        return self.__value

    def __repr__(self) -> str:
        return f"SecretKey(from {self.source})"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretKey) and other.reveal() == self.reveal()

    def __hash__(self) -> int:
        return hash(hashlib.sha256(self.__value.encode()).digest())

    def __reduce__(self) -> str:
        message = "A key is not pickled."
        raise TypeError(message)

    __getstate__ = __reduce__


def check_key(value: str) -> str:
    """Return the key without surrounding white space; never quote it in an error."""
    key = value.strip()
    if not key:
        raise ConfigError("The key is empty.", "`%modellix key` asks for another.")
    if len(key) > LONGEST or not all("!" <= c <= "~" for c in key):
        raise ConfigError(
            "The key has characters that keys cannot have, or is too long.",
            "Copy it again from the console: printable ASCII, no spaces.",
        )
    return key


@dataclass(frozen=True)
class KeyPlaces:
    """The places where a key may be: variables, the folder of a ``.env``, and the stored file."""

    environment: Mapping[str, str]
    folder: Path
    stored: Path

    def find(self) -> SecretKey | None:
        """Return the first key, in the documented order, or None."""
        for source, read in self._sources():
            value = read()
            if value:
                return SecretKey(value, source)
        return None

    def _sources(self) -> Iterator[tuple[str, Callable[[], str | None]]]:
        yield VARIABLE, lambda: self.environment.get(VARIABLE)
        yield "Colab's secrets", from_colab
        yield "the system keyring", from_keyring
        yield "the stored key file", lambda: _read(self.stored)
        # last: the file may have come with somebody else's project
        yield "a .env file", lambda: from_dotenv(self.folder / ".env")

    def is_for(self, key: SecretKey, origin: str) -> bool:
        """Whether a key was given for a service, or the user confirmed it for that service."""
        confirmed = (_read(self._confirmed) or "").split()
        if _mark(key, origin) in confirmed:
            return True
        if key.source == VARIABLE:
            return origin == check_origin(self.environment.get(URL_VARIABLE) or DEFAULT_BASE_URL)
        # a key that `store` kept is only for the service that it was kept for
        return origin == DEFAULT_BASE_URL and _mark(key, _STORED) not in confirmed

    def confirm(self, key: SecretKey, origin: str) -> None:
        """Remember that a service may have a key."""
        _append_private(self._confirmed, _mark(key, origin))

    @property
    def _confirmed(self) -> Path:
        return self.stored.with_name(CONFIRMED)


def find_key(
    home: Path, origin: str, confirm: Callable[[SecretKey, str], bool] | None = None
) -> SecretKey:
    """Return the key for a service; if it was given for another one, `confirm` decides once."""
    where = places(home)
    key = where.find()
    if key is None:
        raise MissingKey("There is no Modellix API key yet.")
    if not where.is_for(key, origin):
        if confirm is None or not confirm(key, origin):
            raise ConfigError(*not_for(key, origin))
        where.confirm(key, origin)
    return key


def not_for(key: SecretKey, origin: str) -> tuple[str, str]:
    """Return the message and the hint for a key that was not given for a service."""
    return (
        f"The key from {key.source} was not given for {shown(origin)}, so it was not sent there.",
        (
            "`%modellix key` gives one for it; "
            f"in a script, set {VARIABLE} and {URL_VARIABLE} together."
        ),
    )


def shown(origin: str) -> str:
    """Write an origin in ASCII, so that letters that only look alike can be told apart."""
    return origin.encode("ascii", "backslashreplace").decode()


def _mark(key: SecretKey, origin: str) -> str:
    """Return the mark of a confirmation, which nobody can make without the key."""
    return hmac.new(key.reveal().encode(), origin.encode(), "sha256").hexdigest()


def places(home: Path) -> KeyPlaces:
    """Return the real places, for a home folder."""
    return KeyPlaces(os.environ, Path.cwd(), home / "key")


def from_dotenv(path: Path) -> str | None:
    """Read the key's variable from a ``.env`` file; one line needs no library."""
    for line in (_read(path) or "").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() == VARIABLE:
            return value.partition(" #")[0].strip().strip("'\"") or None
    return None


def from_colab() -> str | None:
    """Read the key from Colab's secrets, if this is Colab and the user allowed it."""
    if "google.colab" not in sys.modules:
        return None
    try:
        from google.colab import userdata

        return str(userdata.get(VARIABLE) or "") or None
    except Exception:  # noqa: BLE001 - Colab raises its own errors for "not set" and "not allowed"
        return None


def from_keyring() -> str | None:
    """Read the key from the system keyring, if the library is installed and its store works."""
    try:
        import keyring

        return keyring.get_password(_SERVICE, VARIABLE)
    except Exception:  # noqa: BLE001 - each backend raises errors of its own; each means: no key
        return None


def store(key: SecretKey, path: Path, origin: str = DEFAULT_BASE_URL) -> str:
    """Store a service's key in the keyring, or else in a private file; return where, in words."""
    where = _store(key, path)
    _append_private(path.with_name(CONFIRMED), _mark(key, _STORED), _mark(key, origin))
    return where


def _store(key: SecretKey, path: Path) -> str:
    try:
        import keyring

        keyring.set_password(_SERVICE, VARIABLE, key.reveal())
    except Exception:  # noqa: BLE001 - each backend raises errors of its own; the file needs none
        return _store_file(key, path)
    # a backend that keeps nothing, such as keyring's null one, raises no error
    return "the system keyring" if from_keyring() == key.reveal() else _store_file(key, path)


def _store_file(key: SecretKey, path: Path) -> str:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # an old file keeps its old mode
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.reveal())
    except OSError as error:
        raise ConfigError(
            f"The key cannot be stored in {path.parent}: {error.strerror}.",
            "It is used for this session; set MODELLIX_HOME to a folder that can be written.",
        ) from error
    return str(path)


def _append_private(path: Path, *lines: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}.",
            "Set MODELLIX_HOME to a folder that can be written.",
        ) from error


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
