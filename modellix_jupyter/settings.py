"""Every setting in one table; `%config Modellix`, the docs and the checks are made from it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from modellix_jupyter.errors import ConfigError

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
REUSES = ("seeded", "always", "off")
DEFAULT_BASE_URL = "https://api.modellix.ai"
DEFAULT_SCHEMA_URL = "https://www.modellix.ai"


def _setting(default: Any, description: str, *, min_value: float | None = None) -> Any:  # noqa: ANN401 - stands for a field of any type
    return field(default=default, metadata={"help": description, "min": min_value})


_LEDGER_URL = re.compile(
    r"([a-z0-9+]+://)([^@?]*@)?((?:[^@?:/]+|\[[0-9a-f:]+])(?::\d+)?(?:/\w*)?)(\?.*)?"
)


class LedgerUrl(str):
    """The URL of a ledger, whose repr hides the password.

    It shows only scheme, host, port and database: a password may be in any other part.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        parts = _LEDGER_URL.fullmatch(self)
        if not self or parts is None:
            return repr("***" if self else "")
        return repr(f"{parts[1]}{'***@' if parts[2] else ''}{parts[3]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one session; immutable, so that a running task keeps those it began with.

    Raises
    ------
    ConfigError
        A value is of the wrong form or out of range; the message names the setting.

    """

    base_url: str = _setting(DEFAULT_BASE_URL, "Origin of the API; MODELLIX_BASE_URL.")
    schema_url: str = _setting(
        "", "Origin of the models' public schemas, which never sees the key; empty: the vendor's."
    )
    submit_path: str = _setting("/async", 'Ending of the path of a submission: "/async" or "".')
    home: str = _setting("", "Folder of the ledger and the files; MODELLIX_HOME.")
    ledger: str = _setting(
        "", "URL of the ledger's database; empty: SQLite in the home; MODELLIX_LEDGER."
    )
    files: str = _setting(
        "", "Folder or URL of the files (s3://...); empty: in the home; MODELLIX_FILES."
    )
    cache_mb: int = _setting(
        1024, "Copies of files that lie elsewhere, all together, in MiB.", min_value=1
    )
    user: str = _setting(
        "", "Name beside your tasks in a ledger; empty: your login, on a JupyterHub or here."
    )
    ask_above: int = _setting(
        12, "Number of tasks above which a plan is sent only after a yes.", min_value=1
    )
    ask_above_usd: float = _setting(
        1.0, "Price of a plan, in USD, above which the same holds.", min_value=0
    )
    reuse: str = _setting(
        "seeded",
        'Whose result is not paid for again: "seeded" (requests with a seed), "always" or "off".',
    )
    stop_unsent_on_interrupt: bool = _setting(
        default=True, description="Take back what was not sent yet when a cell is interrupted."
    )
    max_in_flight: int = _setting(64, "Tasks that may run at the service at once.", min_value=1)
    requests_per_second: float = _setting(
        10.0, "Requests a second, for all tasks together.", min_value=0.1
    )
    submit_timeout_s: float = _setting(
        60.0, "Seconds until a submission with no answer counts as unknown.", min_value=0.1
    )
    retry_deadline_s: float = _setting(
        600.0, "Seconds for which a refused request is retried.", min_value=0
    )
    download_timeout_s: float = _setting(600.0, "Seconds one download may take.", min_value=1)
    max_file_mb: int = _setting(1024, "Largest file that is downloaded, in MiB.", min_value=1)
    max_task_mb: int = _setting(4096, "Largest sum of one task's files, in MiB.", min_value=1)
    max_files: int = _setting(100, "Files of one task that are downloaded.", min_value=1)
    thumbnail_px: int = _setting(
        512, "Longer side of an embedded picture, in pixels.", min_value=16
    )
    picture_kb: int = _setting(80, "Bytes of an embedded picture, in kB.", min_value=4)
    media_kb: int = _setting(
        2000, "Largest video or sound that is embedded whole, in kB.", min_value=0
    )
    output_kb: int = _setting(
        2000, "Bytes of all embedded pictures of one output, in kB.", min_value=16
    )
    updates_per_second: float = _setting(4.0, "Redraws of a live status a second.", min_value=0.1)
    reentrant_wait: bool = _setting(
        default=True,
        description="Keep the notebook's own event loop turning while a cell waits.",
    )
    check_requests: bool = _setting(
        default=True,
        description="Check models and parameters against the catalog before sending.",
    )
    auto_resume: bool = _setting(
        default=True,
        description="Download what an earlier kernel left behind, in the background.",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", check_origin(self.base_url))
        object.__setattr__(self, "ledger", LedgerUrl(self.ledger.strip()))
        object.__setattr__(self, "files", check_files(self.files.strip()))
        if self.schema_url:
            object.__setattr__(self, "schema_url", check_origin(self.schema_url, "schema_url"))
        if self.submit_path not in {"", "/async"}:
            raise ConfigError('submit_path is neither "/async" nor "".')
        if self.reuse not in REUSES:
            raise ConfigError(f"reuse is {self.reuse!r}; it is one of {', '.join(REUSES)}.")
        for item in fields(self):
            _check_min(item.name, getattr(self, item.name), item.metadata.get("min"))

    @property
    def local(self) -> bool:
        """Whether the service is on this machine, as a sandbox is."""
        return urlsplit(self.base_url).hostname in LOCAL_HOSTS

    def user_name(self) -> str:
        """Return `user`, or else the login at the JupyterHub, or else the login on this machine.

        In a hub's containers, everybody has the same login on the machine.
        """
        import getpass

        try:
            return self.user or os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
        except (OSError, KeyError):  # a container's user may have no name
            return "unknown"

    def schema_origin(self) -> str:
        """Return the origin of the schemas; a service on this machine has its own."""
        return self.schema_url or (self.base_url if self.local else DEFAULT_SCHEMA_URL)

    def changed(self, **changes: object) -> Settings:
        """Return a copy with the given settings changed, and checked again."""
        return replace(self, **changes)  # type: ignore[arg-type]  # names are checked by replace itself

    def folder(self) -> Path:
        """Return `home`, or the platform's folder for user data."""
        if self.home:
            return Path(self.home).expanduser()
        import platformdirs

        return Path(platformdirs.user_data_dir("modellix-jupyter", appauthor=False))


_IN_ENVIRONMENT = ("base_url", "home", "ledger", "files")
SETTING_NAMES = tuple(item.name for item in fields(Settings))


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings, with the values that the environment sets."""
    env = os.environ if environment is None else environment
    named = {name: env.get(f"MODELLIX_{name.upper()}") for name in _IN_ENVIRONMENT}
    return Settings(**{name: value for name, value in named.items() if value})  # type: ignore[arg-type]  # all are text


def check_origin(url: str, name: str = "base_url") -> str:
    """Return an origin without its trailing slash.

    Raises
    ------
    ConfigError
        It is not https (or http on this machine), or has a path, a query or credentials.

    """
    try:
        url = url.strip()
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except (ValueError, AttributeError):
        host = None
    if not host or not url.isprintable():
        raise ConfigError(f"{name} is not a URL.", f"It looks like {DEFAULT_BASE_URL}.")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOCAL_HOSTS):
        raise ConfigError(
            f"{name} must be https (http on localhost only), or the key could be read in transit.",
            f"It looks like {DEFAULT_BASE_URL}.",
        )
    if parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"):
        raise ConfigError(
            f"{name} is more than an origin: no path, query or credentials belong in it.",
            f"It looks like {DEFAULT_BASE_URL}.",
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def check_files(url: str) -> str:
    """Return the place of files; refuse credentials in it, which would be shown with it."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
        secret = parts.password or parts.query or parts.fragment
    except ValueError:
        parts, secret = None, None
    if secret:
        raise ConfigError(
            "The setting files has credentials or a query in it, which would be shown.",
            "Leave them to what fsspec reads: the environment, or a file of its own.",
        )
    if not parts or "::" in url or not url.isprintable() or not _is_writable(parts):
        raise ConfigError(
            "The setting files is not a place that can be written.",
            "Write a folder, or a URL such as s3://BUCKET/FOLDER.",
        )
    return url


def _is_writable(parts: SplitResult) -> bool:
    """Whether a URL names a whole path of this machine, or a bucket; nothing is written by http."""
    if parts.scheme == "file":
        return parts.path.startswith("/") and parts.netloc in {"", "localhost"}
    return parts.scheme not in {"http", "https"} and bool(parts.netloc + parts.path.strip("/"))


def _check_min(name: str, value: object, min_value: float | None) -> None:
    if min_value is None:
        return
    if not isinstance(value, int | float) or not min_value <= value < float("inf"):
        raise ConfigError(f"{name} is {value!r}; it must be a number of at least {min_value:g}.")
