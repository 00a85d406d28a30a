"""What a page is given of downloaded files: made small, each of them once, and the rest in parts.

The bytes come from a server, so nothing is taken on trust: what a file is, is read from its first
bytes; only decoders of common formats run; every picture is written anew, so that neither its
metadata nor what may be hidden behind it reaches the notebook. Decoding a picture takes as long as
drawing a page of them, so it has threads of its own, and begins as soon as a file is here.
"""

from __future__ import annotations

import base64
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.storage import filetypes, pictures
from modellix_jupyter.storage.files import MIB, is_elsewhere, local_copy
from modellix_jupyter.values import TEXTS, Media, Resource, Task, text_of

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

PIXELS = 384
PICTURE_BYTES = 64_000
MEDIA_BYTES = 2_000_000
# Of one part: read from a disk and sent in a few milliseconds, and hundreds make a long video.
PART_BYTES = 2 * MIB

# How many are kept; at 64 kB each, 128 MB at most.
MOST = 2048

# Of a text, in characters.
_MAX_TEXT = 20_000
_JPEG_URI = "data:image/jpeg;base64,"


def embed(
    resource: Resource,
    *,
    pixels: int = PIXELS,
    picture_bytes: int = PICTURE_BYTES,
    media_bytes: int = MEDIA_BYTES,
) -> Media:
    """Return what a notebook shows of a resource; a file that cannot be shown is never an error.

    Parameters
    ----------
    resource
        The resource; only its downloaded file is read.
    pixels
        The longer side of a picture's thumbnail.
    picture_bytes
        The most a thumbnail takes, before base64 makes a third more of it.
    media_bytes
        The most a video or a sound may have to be embedded; a larger one is linked.

    Returns
    -------
    Media
        With a ``data:`` URI, or with none and, where something is wrong, with the problem.

    """
    media = _described(resource)
    if resource.path is None:
        return replace(media, problem=resource.problem or "Not downloaded.")
    if is_elsewhere(media.path) and media.kind != "image" and (media.size or 0) > media_bytes:
        return media  # it is not fetched only to be left out
    try:
        return _read(media, local_copy(resource.path), pixels, picture_bytes, media_bytes)
    except ModellixError as error:
        return replace(media, problem=error.message)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        return replace(media, problem=f"The file cannot be read: {_reason(error)}.")


def smaller(media: Media, *, pixels: int, picture_bytes: int) -> Media:
    """Return an embedded picture in fewer bytes; one that fits, or is no picture, stays as it is.

    It is made from the thumbnail, not from the original: a grid of hundreds is then drawn in a
    second, and also where the originals are gone.

    Parameters
    ----------
    media
        As `embed` gives it.
    pixels
        The longer side, at most.
    picture_bytes
        The most it takes, before base64 makes a third more of it.

    """
    jpeg = jpeg_of(media)
    if jpeg is None or len(jpeg) <= picture_bytes:
        return media
    from PIL import Image

    with Image.open(BytesIO(jpeg), formats=("JPEG",)) as image:
        small = pictures.shrunk(image, pixels, picture_bytes).jpeg
    return replace(media, src=data_uri("image/jpeg", small))


def jpeg_of(media: Media | None) -> bytes | None:
    """Return the embedded thumbnail, or None where there is none."""
    if media is None or not (media.src or "").startswith(_JPEG_URI):
        return None
    return base64.b64decode((media.src or "").removeprefix(_JPEG_URI))


def opened(path: str | Path, pixels: int) -> Picture:
    """Return a picture upright and opaque, decoded no larger than it is needed.

    Parameters
    ----------
    path
        A picture file; of an animation, the first frame is taken.
    pixels
        The longer side, at most; a smaller picture keeps its size.

    Raises
    ------
    ModellixError
        The file is no picture that can be decoded, or it is too large to be decoded safely.

    """
    with _decoding(local_copy(path)) as image:
        return pictures.flat(pictures.reduced(image, pixels))


@contextmanager
def _decoding(path: Path) -> Iterator[Picture]:
    """Open a picture, and name what goes wrong while it is decoded."""
    kind = filetypes.sniff(filetypes.head_of(path))
    if not kind.decoder:
        message = "The file is no picture of a known format."
        raise ModellixError(message, f"The file itself is at {path}.")
    try:
        with pictures.opened(path, kind.decoder) as image:
            yield image
    except ModellixError:
        raise
    except Exception as error:  # decoders raise whatever a broken file makes them raise
        message = f"The picture cannot be decoded ({type(error).__name__})."
        raise ModellixError(message, f"The file itself is at {path}.") from error


def _described(resource: Resource) -> Media:
    """Return the media as the service described it, with nothing to show yet."""
    said = (resource.type or "").partition("/")[0].lower()
    if said in TEXTS:
        said = "text"
    return Media(
        kind=said if said in {"image", "video", "audio", "text"} else "link",
        width=resource.width,
        height=resource.height,
        path=resource.path,
        url=resource.url or None,
        size=resource.size,
    )


def _read(media: Media, path: Path, pixels: int, picture_bytes: int, media_bytes: int) -> Media:
    if not path.is_file():
        return replace(media, problem="The file is no longer there.")
    size, found = path.stat().st_size, filetypes.sniff(filetypes.head_of(path))
    if found.decoder:
        with _decoding(path) as image:
            small = pictures.shrunk(image, pixels, picture_bytes)
        uri = data_uri("image/jpeg", small.jpeg)
        return replace(
            media, kind="image", src=uri, width=small.width, height=small.height, size=size
        )
    if media.kind == "text" and (text := text_of(path)) is not None:
        return replace(media, text=text[:_MAX_TEXT], size=size)
    media = replace(media, kind=_kind(media.kind, found), size=size)
    if media.kind == "link" or size > media_bytes:
        return media
    mime = f"{media.kind}/mp4" if found.mime.endswith("/mp4") else found.mime
    return replace(media, src=data_uri(mime, path.read_bytes()))


def _kind(said: str, found: filetypes.Kind) -> str:
    """Return how a file that is no picture is shown: as the bytes are, where that is certain.

    An Ogg that is said to be a film may be one. An MP4 may be either, and then the service knows.
    """
    if found not in filetypes.PLAYED or (said == "video" and found is filetypes.OGG):
        return "link"
    either = found.mime in {"video/mp4", "audio/mp4"} and said in {"video", "audio"}
    return said if either else found.type


def data_uri(mime: str, data: bytes) -> str:
    """Return bytes as an address."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


class Part(NamedTuple):
    """Some bytes of a file, how many it has, and what it is by its own first bytes."""

    data: bytes
    size: int
    mime: str


def read_part(resource: Resource, start: int) -> Part:
    """Return the bytes of a downloaded file from a place on, `PART_BYTES` at most.

    Raises
    ------
    ModellixError
        There is no file, it cannot be read, or it is none that a page may show.

    """
    if resource.path is None:
        raise ModellixError(resource.problem or "This file was not downloaded.")
    try:
        with local_copy(resource.path).open("rb") as file:
            kind = filetypes.sniff(file.read(filetypes.SNIFFED))
            size = file.seek(0, os.SEEK_END)
            file.seek(min(start, size))
            part = file.read(PART_BYTES)
    except (OSError, ValueError) as error:
        why = f"The file {resource.path} cannot be read: {_reason(error)}."
        raise ModellixError(why) from error
    # a page would run the scripts of an SVG
    if kind is filetypes.SVG or kind.type not in {"image", "video", "audio"}:
        raise ModellixError("A page cannot show this kind of file.", f"It is {resource.path}.")
    return Part(part, size, kind.mime)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it cannot be opened"


class Thumbnails:
    """What is embedded of resources; `make` makes one, on a thread of these."""

    def __init__(self, make: Callable[[Resource], Media]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: OrderedDict[Resource, Future[Media]] = OrderedDict()
        self._pool = ThreadPoolExecutor(
            os.cpu_count() or 1, thread_name_prefix="modellix-thumbnails"
        )

    def __call__(self, resource: Resource) -> Media:
        """Return what is embedded of a resource, as soon as it is made."""
        try:
            media = self._of(resource).result()
        except CancelledError:  # the session was closed before its turn came
            return self._make(resource)
        if media.problem and is_elsewhere(resource.path):  # it may be reached next time
            with self._lock:
                self._made.pop(resource, None)
        return media

    def of(self, task: Task) -> tuple[Media, ...]:
        """Return what is embedded of a task's files, those that are still to come left out."""
        self.begin([task])
        return tuple(self(r) for r in task.resources if r.path or r.lost)

    def begin(self, tasks: Iterable[Task]) -> None:
        """Begin to make what is not made yet, as far as it is kept; returns at once."""
        here = (one for task in tasks for one in task.resources if one.path)
        for resource in islice(here, MOST // 2):
            self._of(resource)

    def forget(self) -> None:
        """Make all anew when they are needed: their size is another one now."""
        with self._lock:
            self._made.clear()

    def close(self) -> None:
        """End the threads; what is asked for afterwards is made by who asks."""
        self._pool.shutdown(cancel_futures=True)

    def _of(self, resource: Resource) -> Future[Media]:
        with self._lock:
            found = self._made.get(resource)
            if found is not None:
                self._made.move_to_end(resource)
                return found
            try:
                future = self._pool.submit(self._make, resource)
            except RuntimeError:  # the session or the interpreter is ending
                future = Future()
                future.set_result(self._make(resource))
                return future
            self._made[resource] = future
            if len(self._made) > MOST:
                self._made.popitem(last=False)
            return future
