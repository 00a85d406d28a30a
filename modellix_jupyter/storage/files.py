"""The place of result files: a local folder, or any location that fsspec can access.

A remote file is read through a copy in the home; the copies together are limited. A file that
cannot be uploaded waits in a separate folder, and is uploaded later.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from modellix_jupyter.errors import ConfigError, MissingExtra, ModellixError
from modellix_jupyter.storage.pictures import mark_of

MIB = 1024 * 1024
# The prefix of the name of an incomplete file.
PART = ".part-"
_ABANDONED_S = 86_400
# Seconds before another try to upload the waiting files: at first, and at most.
_PAUSE_S, _LONGEST_PAUSE_S = 15.0, 900.0

_T = TypeVar("_T")

# The places that are configured in this process, by the prefix of their files' paths.
_places: dict[str, Files] = {}


def local_copy(path: str | Path) -> Path:
    """Return a local file with the content of a resource's ``path``.

    A remote file is downloaded if there is no copy yet; `ModellixError` says why that is not
    possible. A missing local file is not reported here but when it is opened.
    """
    text = str(path)
    for prefix, place in _places.items():
        if text.startswith(prefix):
            return place.local(text.removeprefix(prefix))
    if "://" in text:
        message = f"The file is at {text}, which is not the place of files in use."
        raise ModellixError(message, "Set MODELLIX_FILES to the place that it is in.")
    home = f"~{os.sep}"
    return Path.home() / text.removeprefix(home) if text.startswith(home) else Path(text)


def is_elsewhere(path: str | None) -> bool:
    """Whether reading a resource's ``path`` may need a download."""
    return "://" in (path or "")


def is_there(path: str | None) -> bool:
    """Whether a resource's ``path`` is an existing file; a remote one is assumed to exist."""
    return is_elsewhere(path) or (path is not None and Path(path).expanduser().is_file())


class Files:
    """The place of files: a folder or a URL of fsspec, by default ``files`` in the home."""

    def __init__(self, home: Path, url: str = "", cache_mb: int = 1024) -> None:
        self.remote = is_elsewhere(url) and not url.startswith("file:")
        self._own = home / "files"
        self._url = url
        # New files are written to `folder`: the place itself, or an outbox for the upload.
        # The paths of all files of the place begin with `prefix`.
        if self.remote:
            self.folder, self.prefix = home / "outbox", url if url.endswith("/") else f"{url}/"
        else:
            self.folder = _folder(url) if url else self._own
            self.prefix = str(self.folder / "x")[:-1]
        self._cache, self._cache_bytes = home / "cache", cache_mb * MIB
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._sender: threading.Thread | None = None
        self._uploading: set[str] = set()
        if url:
            _places[self.prefix] = self

    def __str__(self) -> str:
        return self._url if self.remote else str(self.folder)

    def path(self, name: str) -> str:
        """Return the path of a file of the place, as its resource stores it."""
        return f"{self.prefix}{name}" if self.remote else str(self.folder / name)

    # -- reading

    def local(self, name: str) -> Path:
        """Return a local file with the content of the file of that name."""
        if self.remote and not _is_plain(name):
            raise ModellixError(
                "The file has a name that this package does not give.", "It is not read."
            )
        for folder in (self.folder, self._own):  # the latter has files from before it was set
            if (folder / name).is_file():
                return folder / name
        if not self.remote:
            return self.folder / name
        copy = self._cache / name
        if not copy.is_file():
            self._fetch(name, copy)
        with contextlib.suppress(OSError):
            os.utime(copy)  # the copy read last is removed last
        return copy

    def _fetch(self, name: str, copy: Path) -> None:
        with self._explained(f"The file cannot be read from {self.prefix}{name}"):
            system, root = self._system
            size = system.info(f"{root}/{name}")["size"]
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, part = tempfile.mkstemp(dir=copy.parent, prefix=PART)
            os.close(descriptor)
            try:
                system.get_file(f"{root}/{name}", part)
                if Path(part).stat().st_size != size:
                    raise EOFError
                Path(part).replace(copy)
            finally:
                Path(part).unlink(missing_ok=True)
        self._trim(copy)

    def _trim(self, kept: Path) -> None:
        """Remove the copies that were read longest ago, until the others are within the limit."""
        found = []
        for path in _files_in(self._cache):
            with contextlib.suppress(OSError):  # another kernel removed it
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._cache_bytes:
                return
            if path != kept:
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= size

    # -- writing

    async def put(self, name: str, seconds: float) -> ModellixError | None:
        """Upload a complete file of `folder`; if it has to wait there, return the reason."""
        import asyncio

        if not self.remote:
            return None
        try:
            if self._sender is not None:  # it tries at intervals: do not wait for it here
                raise _Unreachable(f"{self._url} could not be reached.")
            async with asyncio.timeout(seconds):
                await asyncio.wrap_future(_on_a_thread(lambda: self._put(name)))
        except ModellixError as error:
            reason = error.message
        except TimeoutError:
            reason = f"The file was not in {self._url} after {seconds:g} s."
        else:
            return None
        self.send_waiting(_PAUSE_S)
        message = f"{reason} It waits in {self.folder} and is put there later."
        return ModellixError(message, "`%modellix doctor` tests the place of files.")

    def _put(self, name: str) -> None:
        with self._lock:
            if name in self._uploading:
                return
            self._uploading.add(name)
        try:
            self._put_once(name)
        finally:
            self._uploading.discard(name)

    def _put_once(self, name: str) -> None:
        source, copy = self.folder / name, self._cache / name
        if not source.is_file():  # another kernel has uploaded it
            return
        with self._explained(f"The file cannot be put into {self._url}"):
            system, root = self._system
            system.put_file(str(source), f"{root}/{name}")
            if system.info(f"{root}/{name}")["size"] != source.stat().st_size:
                raise EOFError
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for is_now, was in ((copy, source), (_mark(copy), _mark(source))):
                with contextlib.suppress(FileNotFoundError):
                    was.replace(is_now)
        self._trim(copy)

    def waiting(self) -> list[str]:
        """Return the names of the files that wait to be uploaded."""
        found = _files_in(self.folder) if self.remote else ()
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def send_waiting(self, pause_s: float = 0.0) -> None:
        """Upload the waiting files, on a thread that ends when none is left."""
        with self._lock:
            if self._sender is None and self.waiting() and not self._ended.is_set():
                self._sender = threading.Thread(
                    target=self._send, args=(pause_s,), name="modellix-files", daemon=True
                )
                self._sender.start()

    def _send(self, pause_s: float) -> None:
        while not self._ended.wait(pause_s):
            with contextlib.suppress(ModellixError):
                for name in self.waiting():
                    self._put(name)
            with self._lock:
                if not self.waiting():
                    self._sender = None
                    return
            pause_s = min(max(pause_s * 2, _PAUSE_S), _LONGEST_PAUSE_S)

    def _sweep(self) -> None:
        """Remove incomplete files that are a day old: a killed kernel left them."""
        for folder in (self.folder, self._cache):
            for part in folder.glob(f"*/{PART}*"):
                with contextlib.suppress(OSError):
                    if time.time() - part.stat().st_mtime > _ABANDONED_S:
                        part.unlink()

    def close(self) -> None:
        """End the thread that uploads waiting files; the next session continues."""
        self._ended.set()
        if self._sender is not None:
            self._sender.join(2)

    def delete(self, name: str) -> None:
        """Delete the file of that name and all of its copies."""
        if not _is_plain(name):
            return
        for folder in (self.folder, self._own, self._cache):
            with contextlib.suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        if self.remote:
            with self._explained(f"The file cannot be deleted from {self.prefix}{name}"):
                system, root = self._system
                with contextlib.suppress(FileNotFoundError):
                    system.rm_file(f"{root}/{name}")

    # -- the place

    def open(self) -> None:
        """Start to use the place; raise `ConfigError` if no upload could ever succeed."""
        if self.remote:
            with contextlib.suppress(_Unreachable):
                _ = self._system
        self._sweep()
        self.send_waiting()

    def check(self) -> str:
        """Write a file, read it back and delete it; return a message for the user."""
        name, begin = f"check-{uuid.uuid4().hex}", time.perf_counter()
        with self._explained(f"{self} cannot be written and read"):
            system, root = self._system
            if not self.remote:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            system.pipe_file(f"{root}/{name}", name.encode())
            same = system.cat_file(f"{root}/{name}") == name.encode()
            system.rm_file(f"{root}/{name}")
            if not same:
                raise EOFError
        took_ms = (time.perf_counter() - begin) * 1000
        waiting = f"; {len(self.waiting())} files wait to be put there" if self.waiting() else ""
        return f"{self}, written, read back and deleted in {took_ms:.0f} ms{waiting}"

    @cached_property
    def _system(self) -> tuple[Any, str]:
        """The fsspec file system, and the path of the place in it."""
        import fsspec

        with self._explained(f"{self} cannot be opened"):
            system, root = fsspec.url_to_fs(str(self))
            return system, str(root).rstrip("/")

    @contextmanager
    def _explained(self, failed: str) -> Iterator[None]:
        """Translate every error of fsspec and its backends: their messages may hold credentials."""
        try:
            yield
        except ModellixError:
            raise
        except ImportError:
            raise _missing(self._url) from None
        except ValueError:
            raise ConfigError(
                f"The setting files is not a place that fsspec knows: {self._url}.",
                "It is a folder, or looks like s3://BUCKET/FOLDER; MODELLIX_FILES holds it.",
            ) from None
        except Exception as error:  # noqa: BLE001 - a backend can raise any error
            hint = "`%modellix doctor` tests the place of files; MODELLIX_FILES holds it."
            raise _Unreachable(f"{failed}: {_reason(error)}.", hint) from None


class _Unreachable(ModellixError):
    """An operation of the place failed; it may succeed later."""


def _missing(url: str) -> ModellixError:
    protocol = url.partition("://")[0]
    if protocol in {"s3", "s3a"}:
        return MissingExtra("Keeping files in s3://", "s3fs", "s3")
    package = {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}.get(protocol)
    hint = f"Install it with: pip install {package}" if package else "fsspec's pages name it."
    return ConfigError(f"Files in {protocol}:// need a package that is not installed.", hint)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if isinstance(error, PermissionError):
        return "access is denied"
    if isinstance(error, EOFError):
        return "it did not arrive complete"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else type(error).__name__


def _folder(url: str) -> Path:
    path = url2pathname(urlsplit(url).path) if url.startswith("file:") else url
    return Path(path).expanduser().absolute()


def _mark(path: Path) -> Path:
    return mark_of(path.with_suffix(""))


def _is_plain(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name


def _files_in(folder: Path) -> Iterator[Path]:
    whole = (path for path in folder.glob("*/*") if not path.name.startswith("."))
    return (path for path in whole if path.is_file())


def _on_a_thread(call: Callable[[], _T]) -> Future[_T]:
    """Run a call on a thread of its own, which does not delay the end of the process."""
    future: Future[_T] = Future()

    def run() -> None:
        future.set_running_or_notify_cancel()
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - passed to the waiting thread
            future.set_exception(error)

    threading.Thread(target=run, name="modellix-files", daemon=True).start()
    return future
