"""Save results: stream to a temporary file, check it, and rename it when it is complete."""

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

# Seconds that an upload may take before it goes on in the background.
_PUT_S = 120.0
_GZIP = b"\x1f\x8b\x08"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a download.

    Parameters
    ----------
    file_bytes
        Bytes of one file.
    task_bytes
        Bytes of all files of a task together.
    files
        Files of one task.

    """

    file_bytes: int
    task_bytes: int
    files: int


class Store:
    """Saves results to the place of files, within limits."""

    def __init__(self, files: Files, limits: Limits) -> None:
        self._files = files
        self._limits = limits
        self._odd: set[bytes] = set()
        # Called with the reason if a file has to wait for its upload; None if nobody listens.
        self.warn: Callable[[ModellixError], None] | None = None

    async def save(
        self, task: Task, place: int, chunks: AsyncIterator[bytes], claimed_size: int | None
    ) -> Resource:
        """Write one result; return its resource with path, size, and type and format of the file.

        Parameters
        ----------
        task
            The task of the result.
        place
            The index of the resource in the task.
        chunks
            The bytes, as they arrive.
        claimed_size
            The size in bytes that the server states, or None.

        Raises
        ------
        DownloadError
            The file is too large, not of its type, or cannot be written; no file is left behind.

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
        """Return the maximal bytes of this file."""
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
        """Flush the file to the disk and check it; return its resource and its ending."""
        _flush(file)
        head = filetypes.head_of(part)
        if head.startswith(_GZIP) and resource.type in filetypes.CHECKED:
            _inflate(part, room)
            head = filetypes.head_of(part)
        kind, size = filetypes.sniff(head), part.stat().st_size
        if filetypes.contradicts(resource.type, kind, head):
            message = f"The result claims to be {resource.type}, but is not."
            raise DownloadError(message, final=False)
        if kind is filetypes.OTHER and resource.type in filetypes.CHECKED:
            self._check_again(part, "The result is not of a known type.")
        with part.open("rb") as whole:
            if filetypes.ends_too_soon(whole, size):
                raise DownloadError("The result is cut off.", final=False)
        ending = filetypes.ending(resource.type, resource.format, kind)
        return replace(self._described(part, resource, kind, mark), size=size), ending

    def _check_again(self, part: Path, what: str) -> None:
        """Raise for a rare or faulty file, unless it came before: then the server made it so."""
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        if digest not in self._odd:
            self._odd.add(digest)
            raise DownloadError(what, final=False)

    def _described(
        self, part: Path, resource: Resource, kind: filetypes.Kind, mark: Path
    ) -> Resource:
        """Return the resource with type, format and dimensions; a damaged picture is an error.

        A picture that is not decoded, for its format or its size, is kept: it was paid for.
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
        except Exception as error:  # a decoder can raise any error
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
    """Replace a gzip-compressed file by its content, within the limit."""
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
        raise DownloadError("The result is cut off, or badly encoded.", final=False) from error
    finally:
        inflated.unlink(missing_ok=True)


def _has_checksums(part: Path) -> bool:
    """Whether the chunks of a PNG have the right checksums: a tenth of the time of decoding."""
    # by hand: Pillow's `verify` keeps two copies of a chunk in memory, of any size
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
    """Return the name of a file from model and uid: no part of it comes from the server."""
    model = "".join(
        c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in task.request.model
    )
    return f"{model.lstrip('.')[:80]}-{task.uid[:12]}"


def _too_large(room: int) -> DownloadError:
    return _not_allowed(f"The result is larger than the {max(room, 0) // MIB} MiB", "max_file_mb")


def _not_allowed(what: str, setting: str) -> DownloadError:
    """Return an error for a file above a limit; it is not lost, since the user can raise that."""
    hint = f"Raise `%config Modellix.{setting}`, then `%modellix resume`."
    return DownloadError(f"{what} that the settings allow.", hint, blocked=True)
