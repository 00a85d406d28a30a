"""Open untrusted pictures, large ones one at a time, and make thumbnails of them.

A small file can decode to more memory than there is, and then the kernel is killed without an
error. So a large picture has a marker file beside it while it is decoded. If a kernel left such a
mark, the picture is not decoded again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modellix_jupyter.errors import ModellixError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Four bytes each while decoded, and as much again while converted.
MAX_PIXELS = 50_000_000
# Pictures with at least this many pixels are decoded one at a time.
LARGE = 2_000_000
_BLOCK_BYTES = 48 * 1024 * 1024
# Seconds after which a mark is taken for one that a killed kernel left.
_DECODED_WITHIN_S = 5.0

# Tried from the best; below the last, a smaller picture looks better than a lower quality.
QUALITIES = (85, 75, 65, 55, 45, 35)
SHRINK = 0.75
SMALLEST = 16
# Side in pixels of a square of the checkerboard behind transparent parts.
SQUARE = 8
MAX_PROFILE_BYTES = 4096

_one_large = threading.Lock()
# Held while the warning filters of the process are changed.
_opening = threading.Lock()


def _unlock() -> None:
    """Replace the locks in a forked child: no thread of the child would release a held one."""
    global _one_large, _opening
    _one_large, _opening = threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


class Thumbnail(NamedTuple):
    """A JPEG, and the size of the original when it is upright."""

    jpeg: bytes
    width: int
    height: int


class NotDecoded(ModellixError):
    """A picture is not decoded: it needs too much memory, or Pillow cannot decode it."""


@contextmanager
def opened(path: Path, decoder: str, mark: Path | None = None) -> Iterator[Picture]:
    """Open a picture to be decoded in the context; `mark` is its mark, by default beside it.

    Raises `NotDecoded` if it must not be decoded, else the errors of Pillow.
    """
    if not _is_supported(decoder):
        raise NotDecoded(f"Pillow here does not decode {decoder}.", f"The file is at {path}.")
    with _open(path, decoder) as image:
        pixels = image.width * image.height
        if pixels > MAX_PIXELS:
            raise _too_large(path)
        if pixels < LARGE:
            yield image
            return
        _return_memory()
        with _one_large, _marked(mark or mark_of(path.with_suffix("")), path):
            yield image
            image.close()  # frees the memory now: the caller's variable would keep it longer


def _return_memory() -> None:
    """Make Pillow allocate blocks that go back to the system when freed, not to a thread's heap.

    The GNU C library keeps freed blocks of up to 32 MiB for the thread that freed them: eight
    threads that decode one after the other would keep the memory of eight pictures.
    """
    from PIL import Image

    Image.core.set_block_size(_BLOCK_BYTES)  # type: ignore[attr-defined]  # no stub has it


def mark_of(stem: Path) -> Path:
    """Return the path of the mark of a file, given its path without the ending."""
    return stem.with_name(f".decoding-{stem.name}")


def _open(path: Path, decoder: str) -> Picture:
    from PIL import Image

    # A warning alone would not stop a decompression bomb. The filters belong to the whole process,
    # so they are changed only while the header is read, and by one thread at a time.
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(path, formats=(decoder,))
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise _too_large(path) from None


def _is_supported(decoder: str) -> bool:
    if decoder != "AVIF":
        return True
    try:
        from PIL.AvifImagePlugin import SUPPORTED
    except ImportError:  # an older Pillow
        return False
    return SUPPORTED


def _too_large(path: Path) -> NotDecoded:
    message = "The picture has too many pixels to be decoded safely."
    return NotDecoded(message, f"The file itself is at {path}.")


@contextmanager
def _marked(mark: Path, path: Path) -> Iterator[None]:
    until = time.monotonic() + _DECODED_WITHIN_S
    while mark.exists():
        if time.monotonic() > until:
            message = "A kernel ended while it decoded this picture, so it is not decoded again."
            raise NotDecoded(message, f"The file itself is at {path}.")
        time.sleep(0.05)  # another kernel may be decoding it just now
    with contextlib.suppress(OSError):
        mark.touch()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            mark.unlink()


def shrunk(image: Picture, pixels: int, limit: int) -> Thumbnail:
    """Return a thumbnail of at most `pixels` on its longer side and `limit` bytes."""
    width, height = image.size
    sideways = image.getexif().get(0x0112) in {5, 6, 7, 8}  # the orientation tag
    profile = _profile(image)
    jpeg = _within(flat(reduced(image, pixels)), limit, profile)
    return Thumbnail(jpeg, *((height, width) if sideways else (width, height)))


def reduced(image: Picture, pixels: int) -> Picture:
    """Return a picture upright and at most `pixels` large, decoded no larger than needed."""
    from PIL import ImageOps

    image.draft("RGB", (pixels * 2, pixels * 2))  # a JPEG is then decoded at a fraction of its size
    small = _plain_mode(image)
    small.thumbnail((pixels, pixels), reducing_gap=2.0)
    return ImageOps.exif_transpose(small)


def _profile(image: Picture) -> bytes | None:
    """Return the colour profile if it is small and the thumbnail keeps the colours."""
    profile = image.info.get("icc_profile")
    keep = isinstance(profile, bytes) and len(profile) <= MAX_PROFILE_BYTES
    return profile if keep and image.mode in {"RGB", "RGBA"} else None


def _plain_mode(image: Picture) -> Picture:
    """Return the first frame in a mode that can be scaled smoothly."""
    if image.mode.startswith("I"):  # 16 bits of grey, which a plain conversion would clip
        wide = image.convert("I").point(lambda level: level / 256)
        return wide.convert("L")
    if image.mode in {"L", "RGB", "RGBA", "LA"} and "transparency" not in image.info:
        return image
    transparent = image.has_transparency_data
    return image.convert("RGBA" if transparent else "RGB")


def flat(image: Picture) -> Picture:
    """Return an opaque picture, with a checkerboard behind transparent parts."""
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
        jpeg = _jpeg(image, QUALITIES[0], profile)  # nearly every picture fits
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
    """Return the best JPEG that fits, by binary search: a lower quality takes fewer bytes."""
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
    # Otherwise Pillow would copy the comment and the profile of the original.
    image.info.pop("comment", None)
    image.save(out, "JPEG", quality=quality, optimize=True, progressive=True, icc_profile=profile)
    return out.getvalue()
