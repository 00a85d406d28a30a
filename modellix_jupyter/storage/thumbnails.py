"""Prepare downloaded files for a page: a thumbnail of each, made once, and originals in parts.

The bytes come from a server and are not trusted: the type of a file is read from its first bytes;
only decoders of common formats run; every picture is encoded again, so that neither its metadata
nor data hidden behind it reaches the notebook. Decoding a picture takes as long as drawing a page
of them, so it has its own threads, and starts as soon as a file is downloaded.
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
# Bytes of one part: read and sent in a few milliseconds; hundreds of parts make a long video.
PART_BYTES = 2 * MIB

# How many thumbnails are kept; at 64 kB each, 128 MB at most.
MOST = 2048

# Maximal characters of an embedded text.
_MAX_TEXT = 20_000
_JPEG_URI = "data:image/jpeg;base64,"


def embed(
    resource: Resource,
    *,
    pixels: int = PIXELS,
    picture_bytes: int = PICTURE_BYTES,
    media_bytes: int = MEDIA_BYTES,
) -> Media:
    """Return the media that a notebook shows of a resource; an unreadable file is never an error.

    Parameters
    ----------
    resource
        The resource; only its downloaded file is read.
    pixels
        The longer side of a picture's thumbnail.
    picture_bytes
        The maximal bytes of a thumbnail, before base64 adds a third.
    media_bytes
        The maximal bytes of an embedded video or sound; a larger one is linked.

    Returns
    -------
    Media
        With a ``data:`` URI, or without one and, if something is wrong, with the problem.

    """
    media = _described(resource)
    if resource.path is None:
        return replace(media, problem=resource.problem or "Not downloaded.")
    if is_elsewhere(media.path) and media.kind != "image" and (media.size or 0) > media_bytes:
        return media  # do not download it only to leave it out
    try:
        return _read(media, local_copy(resource.path), pixels, picture_bytes, media_bytes)
    except ModellixError as error:
        return replace(media, problem=error.message)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        return replace(media, problem=f"The file cannot be read: {_reason(error)}.")


def smaller(media: Media, *, pixels: int, picture_bytes: int) -> Media:
    """Return an embedded picture in fewer bytes; one that fits, and other media, are unchanged.

    It is made from the thumbnail, not from the original: then a grid of hundreds is drawn in a
    second, and even if the originals are gone.

    Parameters
    ----------
    media
        As `embed` returns it.
    pixels
        The longer side, at most.
    picture_bytes
        Its maximal bytes, before base64 adds a third.

    """
    jpeg = jpeg_of(media)
    if jpeg is None or len(jpeg) <= picture_bytes:
        return media
    from PIL import Image

    with Image.open(BytesIO(jpeg), formats=("JPEG",)) as image:
        small = pictures.shrunk(image, pixels, picture_bytes).jpeg
    return replace(media, src=data_uri("image/jpeg", small))


def jpeg_of(media: Media | None) -> bytes | None:
    """Return the embedded thumbnail, or None if there is none."""
    if media is None or not (media.src or "").startswith(_JPEG_URI):
        return None
    return base64.b64decode((media.src or "").removeprefix(_JPEG_URI))


def opened(path: str | Path, pixels: int) -> Picture:
    """Return a picture upright and opaque, decoded no larger than needed.

    Parameters
    ----------
    path
        A picture file; of an animation, the first frame is used.
    pixels
        The longer side, at most; a smaller picture keeps its size.

    Raises
    ------
    ModellixError
        The file is not a picture that can be decoded, or is too large to be decoded safely.

    """
    with _decoding(local_copy(path)) as image:
        return pictures.flat(pictures.reduced(image, pixels))


@contextmanager
def _decoding(path: Path) -> Iterator[Picture]:
    """Open a picture, and translate every error while it is decoded."""
    kind = filetypes.sniff(filetypes.head_of(path))
    if not kind.decoder:
        message = "The file is not a picture of a known format."
        raise ModellixError(message, f"The file itself is at {path}.")
    try:
        with pictures.opened(path, kind.decoder) as image:
            yield image
    except ModellixError:
        raise
    except Exception as error:  # a decoder can raise any error
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
    """Return how to show a file that is not a picture: by its bytes, if these are certain.

    An Ogg file that the service calls a video may be one, so it is linked. An MP4 may be a video or
    a sound, so the service decides.
    """
    if found not in filetypes.PLAYED or (said == "video" and found is filetypes.OGG):
        return "link"
    either = found.mime in {"video/mp4", "audio/mp4"} and said in {"video", "audio"}
    return said if either else found.type


def data_uri(mime: str, data: bytes) -> str:
    """Return bytes as a ``data:`` URI."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


class Part(NamedTuple):
    """Some bytes of a file, the size of the file, and its type by its first bytes."""

    data: bytes
    size: int
    mime: str


def read_part(resource: Resource, start: int) -> Part:
    """Return the bytes of a downloaded file from `start` on, at most `PART_BYTES`.

    Raises
    ------
    ModellixError
        There is no file, it cannot be read, or a page may not show it.

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
    """The embedded media of resources; `make` makes one, on a thread of the pool."""

    def __init__(self, make: Callable[[Resource], Media]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: OrderedDict[Resource, Future[Media]] = OrderedDict()
        self._pool = ThreadPoolExecutor(
            os.cpu_count() or 1, thread_name_prefix="modellix-thumbnails"
        )

    def __call__(self, resource: Resource) -> Media:
        """Return the embedded media of a resource; wait until it is made."""
        try:
            media = self._of(resource).result()
        except CancelledError:  # the session was closed before its turn came
            return self._make(resource)
        if media.problem and is_elsewhere(resource.path):  # it may be reachable next time
            with self._lock:
                self._made.pop(resource, None)
        return media

    def of(self, task: Task) -> tuple[Media, ...]:
        """Return the embedded media of a task's files, without those still to be downloaded."""
        self.begin([task])
        return tuple(self(r) for r in task.resources if r.path or r.lost)

    def begin(self, tasks: Iterable[Task]) -> None:
        """Start to make missing media, at most half as many as are kept; return at once."""
        here = (one for task in tasks for one in task.resources if one.path)
        for resource in islice(here, MOST // 2):
            self._of(resource)

    def forget(self) -> None:
        """Discard all media, whose size has changed; each is made again when it is needed."""
        with self._lock:
            self._made.clear()

    def close(self) -> None:
        """End the threads; later calls make media on their own thread."""
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
