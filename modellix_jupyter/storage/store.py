"""The folder of the results: streamed to a private name, checked, and renamed when whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from modellix_jupyter.errors import DownloadError
from modellix_jupyter.storage import filetypes, thumbnails
from modellix_jupyter.storage.files import MIB, PART
from modellix_jupyter.values import to_datetime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.storage.files import Files
    from modellix_jupyter.values import Resource, Task

# Seconds that a file may take to its place before it is put there in the background.
_PUT_S = 120.0


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
            raise DownloadError(_too_large(room))
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
            raise DownloadError(f"The task has more than {self._limits.files} files.")
        used = sum(r.size or 0 for r in task.resources)
        return min(self._limits.file_bytes, self._limits.task_bytes - used)

    async def _write(
        self, task: Task, place: int, chunks: AsyncIterator[bytes], room: int
    ) -> Resource:
        folder = self._files.folder / _day(task)
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=PART)
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                size = await _copy(chunks, file, room)
                await asyncio.to_thread(_flush, file)
            resource = task.resources[place]
            checked = await asyncio.to_thread(_check, part, resource)
            name = f"{_day(task)}/{_stem(task)}-{place + 1}.{_ending(part, resource)}"
            part.replace(self._files.folder / name)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        problem = await self._files.put(name, _PUT_S)
        if problem is not None and self.warn is not None:
            self.warn(problem)
        return replace(checked, path=self._files.path(name), size=size, problem=None)


async def _copy(chunks: AsyncIterator[bytes], file: BinaryIO, room: int) -> int:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > room:
            raise DownloadError(_too_large(room))
        file.write(chunk)
    if size == 0:
        raise DownloadError("The result is an empty file.", final=False)
    return size


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _check(part: Path, resource: Resource) -> Resource:
    """Return the resource with what the file itself shows; a picture must decode whole.

    One that is not to be opened here, for its format or its size, was paid for all the same.
    """
    head = _head(part)
    kind = filetypes.sniff(head)
    if filetypes.contradicts(resource.type, kind, head):
        raise DownloadError(f"The result claims to be {resource.type}, and is not.", final=False)
    opened = None if kind.type != "image" or kind in filetypes.UNDECODED else _decode(part)
    if opened is None:
        known = None if kind is filetypes.OTHER else kind
        return replace(
            resource,
            type=resource.type or (known.type if known else None),
            format=resource.format or (known.ending if known else None),
        )
    width, height, name = opened
    return replace(resource, type=resource.type or "image", width=width, height=height, format=name)


def _decode(part: Path) -> tuple[int, int, str] | None:
    """Return width, height and format of a picture that decodes to its last row.

    None for one with more pixels than is safe to open.
    """
    import warnings

    from PIL import Image

    try:
        # the filters belong to the whole process: one thread at a time, and for the header only
        with thumbnails.OPENING, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(part)
        with image:
            image.load()
            return image.width, image.height, (image.format or "").lower()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    except Exception as error:  # decoders raise whatever the bytes make them
        raise DownloadError("The picture cannot be decoded.", final=False) from error


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(filetypes.SNIFFED)


def _ending(part: Path, resource: Resource) -> str:
    return filetypes.ending(resource.type, resource.format, filetypes.sniff(_head(part)))


def _day(task: Task) -> str:
    moment = to_datetime(task.created_at)
    return moment.strftime("%Y-%m-%d") if moment else "undated"


def _stem(task: Task) -> str:
    """Name a file by the model and our own id: nothing of it comes from the server."""
    model = "".join(
        c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in task.request.model
    )
    return f"{model.lstrip('.')[:80]}-{task.uid[:12]}"


def _too_large(room: int) -> str:
    return f"The result is larger than the {max(room, 0) // MIB} MiB that the settings allow."
