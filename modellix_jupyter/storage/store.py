"""The folder of the results: streamed to a private name, checked, and renamed when whole."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from modellix_jupyter.errors import DownloadError, ModellixError
from modellix_jupyter.storage import filetypes, pictures
from modellix_jupyter.storage.files import MIB, PART, Files
from modellix_jupyter.values import Resource, Task, to_datetime

# Seconds that a file may take to its place before it is put there in the background.
_PUT_S = 120.0
_GZIP = b"\x1f\x8b\x08"


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a download.

    Parameters
    ----------
    file_bytes
        Of one file.
    task_bytes
        Of all files of a task together.
    files
        Of one task.

    """

    file_bytes: int
    task_bytes: int
    files: int


class Store:
    """Takes results to the place of files, within limits."""

    def __init__(self, files: Files, limits: Limits) -> None:
        self._files = files
        self._limits = limits
        self._odd: set[bytes] = set()
        # Called with why a file has to wait, where there is somebody to tell.
        self.warn: Callable[[ModellixError], None] | None = None

    async def save(
        self, task: Task, place: int, chunks: AsyncIterator[bytes], claimed_size: int | None
    ) -> Resource:
        """Write one result and return its resource with path, size and what the file showed.

        Parameters
        ----------
        task
            Whose result it is.
        place
            Of the resource within the task.
        chunks
            The bytes, as they come.
        claimed_size
            What the server says it will send, in bytes, or None.

        Raises
        ------
        DownloadError
            Too large, not what it claims to be, or not to be written; no file is left behind.

        """
        room = self._room(task, place)
        if claimed_size is not None and claimed_size > room:
            raise _too_large(room)
        try:
            return await self._write(task, place, chunks, room)
        except OSError as error:
            raise DownloadError(
                f"The result cannot be written to {self._files.folder}: {error.strerror}.",
                "Free some space or set MODELLIX_HOME, then `%modellix resume`.",
                final=False,
            ) from error

    def _room(self, task: Task, place: int) -> int:
        """Return how many bytes this file may have."""
        if place >= self._limits.files:
            raise _not_allowed(
                f"The task has more than the {self._limits.files} files", "max_files"
            )
        used = sum(r.size or 0 for r in task.resources)
        return min(self._limits.file_bytes, self._limits.task_bytes - used)

    async def _write(
        self, task: Task, place: int, chunks: AsyncIterator[bytes], room: int
    ) -> Resource:
        folder, stem = self._files.folder / _day(task), f"{_stem(task)}-{place + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=PART)
        part, resource = Path(name), task.resources[place]
        try:
            with os.fdopen(descriptor, "wb") as file:
                await _copy(chunks, file, room)
                mark = pictures.mark_of(folder / stem)
                checked, ending = await asyncio.to_thread(
                    self._finish, file, part, resource, room, mark
                )
            name = f"{folder.name}/{stem}.{ending}"
            part.replace(self._files.folder / name)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        problem = await self._files.put(name, _PUT_S)
        if problem is not None and self.warn is not None:
            self.warn(problem)
        return replace(checked, path=self._files.path(name), problem=None)

    def _finish(
        self, file: BinaryIO, part: Path, resource: Resource, room: int, mark: Path
    ) -> tuple[Resource, str]:
        """Flush the file to the disk; return the resource with what it shows, and its ending."""
        _flush(file)
        head = filetypes.head_of(part)
        if head.startswith(_GZIP) and resource.type in filetypes.CHECKED:
            _inflate(part, room)
            head = filetypes.head_of(part)
        kind, size = filetypes.sniff(head), part.stat().st_size
        if filetypes.contradicts(resource.type, kind, head):
            message = f"The result claims to be {resource.type}, and is not."
            raise DownloadError(message, final=False)
        if kind is filetypes.OTHER and resource.type in filetypes.CHECKED:
            self._check_again(part, "The result is of no known kind.")
        with part.open("rb") as whole:
            if filetypes.ends_too_soon(whole, size):
                raise DownloadError("The result is cut off.", final=False)
        ending = filetypes.ending(resource.type, resource.format, kind)
        return replace(self._described(part, resource, kind, mark), size=size), ending

    def _check_again(self, part: Path, what: str) -> None:
        """Take a file that is rare, or faulty as its server made it, where it has come twice."""
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        if digest not in self._odd:
            self._odd.add(digest)
            raise DownloadError(what, final=False)

    def _described(
        self, part: Path, resource: Resource, kind: filetypes.Kind, mark: Path
    ) -> Resource:
        """Return the resource with what the file shows; a picture must be whole.

        One that is not to be opened here, for its format or its size, was paid for all the same.
        """
        known = None if kind is filetypes.OTHER else kind
        resource = replace(resource, type=resource.type or (known.type if known else None))
        named = replace(resource, format=resource.format or (known.ending if known else None))
        if not kind.decoder:
            return named
        try:
            with pictures.opened(part, kind.decoder, mark) as image:
                shown = (image.format or "").lower()
                if shown != "png":
                    image.load()
                elif not _has_checksums(part):
                    self._check_again(part, "The picture is damaged.")
                    image.load()
                return replace(resource, width=image.width, height=image.height, format=shown)
        except pictures.NotDecoded:
            return named
        except DownloadError:
            raise
        except Exception as error:  # decoders raise whatever the bytes make them
            raise DownloadError("The picture cannot be decoded.", final=False) from error


async def _copy(chunks: AsyncIterator[bytes], file: BinaryIO, room: int) -> None:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > room:
            raise _too_large(room)
        file.write(chunk)
    if size == 0:
        raise DownloadError("The result is an empty file.", final=False)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _inflate(part: Path, room: int) -> None:
    """Replace a file that came gzip-coded by what it holds, within the bound."""
    inflated = part.with_name(f"{part.name}-inflated")
    size = 0
    try:
        with gzip.open(part) as source, inflated.open("wb") as target:
            while chunk := source.read(MIB):
                size += len(chunk)
                if size > room:
                    raise _too_large(room)
                target.write(chunk)
            _flush(target)
        inflated.replace(part)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DownloadError("The result is cut off, or badly coded.", final=False) from error
    finally:
        inflated.unlink(missing_ok=True)


def _has_checksums(part: Path) -> bool:
    """Whether the chunks of a PNG are whole by their checksums: a tenth of the time of decoding."""
    # by hand: Pillow's `verify` holds a chunk twice, however large it is
    with part.open("rb") as file:
        file.seek(8)  # past the signature
        while name := (head := file.read(8))[4:]:
            left, checksum = int.from_bytes(head[:4]), zlib.crc32(name)
            while data := file.read(min(left, MIB)):
                left, checksum = left - len(data), zlib.crc32(data, checksum)
            if file.read(4) != checksum.to_bytes(4):
                return False
            if name == b"IEND":
                return True
    return False


def _day(task: Task) -> str:
    moment = to_datetime(task.created_at)
    return moment.strftime("%Y-%m-%d") if moment else "undated"


def _stem(task: Task) -> str:
    """Name a file by the model and our own id: nothing of it comes from the server."""
    model = "".join(
        c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in task.request.model
    )
    return f"{model.lstrip('.')[:80]}-{task.uid[:12]}"


def _too_large(room: int) -> DownloadError:
    return _not_allowed(f"The result is larger than the {max(room, 0) // MIB} MiB", "max_file_mb")


def _not_allowed(what: str, setting: str) -> DownloadError:
    """Say that a setting forbids a file, which the user may change: it is never lost for that."""
    hint = f"Raise `%config Modellix.{setting}`, then `%modellix resume`."
    return DownloadError(f"{what} that the settings allow.", hint, blocked=True)
