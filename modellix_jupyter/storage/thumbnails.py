"""Downloaded files made small enough to be shown in a notebook.

The bytes come from a server, so nothing is taken on trust: what a file is, is read from its first
bytes; only decoders of common formats run; every picture is written anew, so that neither its
metadata nor what may be hidden behind it reaches the notebook. Pillow is imported at the first use.
"""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.storage import filetypes, pictures
from modellix_jupyter.storage.files import is_elsewhere, local_copy
from modellix_jupyter.values import Media

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from PIL.Image import Image as Picture

    from modellix_jupyter.values import Resource

PIXELS = 384
PICTURE_BYTES = 64_000
MEDIA_BYTES = 2_000_000

# Tried from the best; below the last, a smaller picture looks better than a worse one.
QUALITIES = (85, 75, 65, 55, 45, 35)
SHRINK = 0.75
SMALLEST = 16
# Side of a square of the checker that shows through, in pixels.
SQUARE = 8
MAX_PROFILE_BYTES = 4096

_JPEG_URI = "data:image/jpeg;base64,"


class _Thumbnail(NamedTuple):
    """A JPEG, and the size of the original as it is seen."""

    jpeg: bytes
    width: int
    height: int


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
        why = getattr(error, "strerror", None) or "it cannot be opened"
        return replace(media, problem=f"The file cannot be read: {why}.")


def thumbnail(path: str | Path, *, pixels: int = PIXELS, limit: int = PICTURE_BYTES) -> bytes:
    """Return a JPEG of the picture, upright, with what is transparent over a checker.

    Parameters
    ----------
    path
        A picture file; of an animation, the first frame is taken.
    pixels
        The longer side, at most; a smaller picture keeps its size.
    limit
        The most bytes it may have.

    Raises
    ------
    ModellixError
        The file is no picture that can be decoded, or it is too large to be decoded safely.

    """
    with _decoding(local_copy(path)) as image:
        return _shrunk(image, pixels, limit).jpeg


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
        small = _shrunk(image, pixels, picture_bytes).jpeg
    return replace(media, src=_data_uri("image/jpeg", small))


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
        return _flat(_reduced(image, pixels))


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
    return Media(
        kind=said if said in {"image", "video", "audio"} else "link",
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
            small = _shrunk(image, pixels, picture_bytes)
        uri = _data_uri("image/jpeg", small.jpeg)
        return replace(
            media, kind="image", src=uri, width=small.width, height=small.height, size=size
        )
    media = replace(media, kind=_kind(media.kind, found), size=size)
    if media.kind == "link" or size > media_bytes:
        return media
    mime = f"{media.kind}/mp4" if found.mime.endswith("/mp4") else found.mime
    return replace(media, src=_data_uri(mime, path.read_bytes()))


def _kind(said: str, found: filetypes.Kind) -> str:
    """Return how a file that is no picture is shown: as the bytes are, where that is certain.

    An Ogg that is said to be a film may be one. An MP4 may be either, and then the service knows.
    """
    if found not in filetypes.PLAYED or (said == "video" and found is filetypes.OGG):
        return "link"
    either = found.mime in {"video/mp4", "audio/mp4"} and said in {"video", "audio"}
    return said if either else found.type


def _data_uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _shrunk(image: Picture, pixels: int, limit: int) -> _Thumbnail:
    width, height = image.size
    sideways = image.getexif().get(0x0112) in {5, 6, 7, 8}  # the orientation tag
    profile = _profile(image)
    jpeg = _within(_flat(_reduced(image, pixels)), limit, profile)
    return _Thumbnail(jpeg, *((height, width) if sideways else (width, height)))


def _reduced(image: Picture, pixels: int) -> Picture:
    from PIL import ImageOps

    image.draft("RGB", (pixels * 2, pixels * 2))  # a JPEG is then decoded at a fraction of its size
    small = _plain_mode(image)
    small.thumbnail((pixels, pixels), reducing_gap=2.0)
    return ImageOps.exif_transpose(small)


def _profile(image: Picture) -> bytes | None:
    """Return the colour profile where the thumbnail keeps its colours and it is small."""
    profile = image.info.get("icc_profile")
    keep = isinstance(profile, bytes) and len(profile) <= MAX_PROFILE_BYTES
    return profile if keep and image.mode in {"RGB", "RGBA"} else None


def _plain_mode(image: Picture) -> Picture:
    """Return the first frame in a mode that can be scaled smoothly."""
    if image.mode.startswith("I"):  # 16 bits of grey, which a conversion would only cut off
        wide = image.convert("I").point(lambda level: level / 256)
        return wide.convert("L")
    if image.mode in {"L", "RGB", "RGBA", "LA"} and "transparency" not in image.info:
        return image
    transparent = image.has_transparency_data
    return image.convert("RGBA" if transparent else "RGB")


def _flat(image: Picture) -> Picture:
    from PIL import Image

    if image.mode not in {"RGBA", "LA"}:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(_checker(layer.size), layer).convert("RGB")


def _checker(size: tuple[int, int]) -> Picture:
    from PIL import Image

    columns, rows = (-(-side // SQUARE) for side in size)
    squares = bytes(255 if (x + y) % 2 else 224 for y in range(rows) for x in range(columns))
    board = Image.frombytes("L", (columns, rows), squares)
    large = board.resize((columns * SQUARE, rows * SQUARE), Image.Resampling.NEAREST)
    return large.crop((0, 0, *size)).convert("RGBA")


def _within(image: Picture, limit: int, profile: bytes | None) -> bytes:
    """Return the best JPEG within the limit: first a lower quality, then a smaller picture."""
    while True:
        jpeg = _jpeg(image, QUALITIES[0], profile)  # which nearly every picture has room for
        if len(jpeg) <= limit:
            return jpeg
        found = _best_of(image, QUALITIES[1:], limit, profile)
        if found is not None:
            return found
        if max(image.size) <= SMALLEST:
            message = f"No thumbnail fits in {limit} bytes."
            raise ModellixError(message, "Allow more bytes.")
        profile = None
        image = image.resize((_less(image.width), _less(image.height)))


def _best_of(
    image: Picture, qualities: Sequence[int], limit: int, profile: bytes | None
) -> bytes | None:
    """Return the first JPEG that fits, by halves: a lower quality takes fewer bytes."""
    found, first, last = None, 0, len(qualities)
    while first < last:
        middle = (first + last) // 2
        jpeg = _jpeg(image, qualities[middle], profile)
        if len(jpeg) <= limit:
            found, last = jpeg, middle
        else:
            first = middle + 1
    return found


def _less(side: int) -> int:
    return max(int(side * SHRINK), 1)


def _jpeg(image: Picture, quality: int, profile: bytes | None) -> bytes:
    out = BytesIO()
    # Without the second, Pillow would copy the comment and the profile of the original.
    image.info.pop("comment", None)
    image.save(out, "JPEG", quality=quality, optimize=True, progressive=True, icc_profile=profile)
    return out.getvalue()
