"""Opening pictures that strangers made: a known format, a bound of pixels, large ones one by one.

A small file can decode to more memory than a kernel has, and the kernel is killed without a word.
So a mark lies beside a large picture while it is decoded: where one is left, it is not tried again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modellix_jupyter.errors import ModellixError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL.Image import Image as Picture

# Four bytes each while decoded, and as much again while converted.
MAX_PIXELS = 50_000_000
# From here on one at a time, whoever asks.
LARGE = 2_000_000
# Seconds until a mark is taken for that of a kernel that was killed.
_DECODED_WITHIN_S = 5.0

_one_large = threading.Lock()
# Held while the process's filters of warnings are other than its own.
_opening = threading.Lock()


def _unlock() -> None:
    """Have locks of its own in a forked process, which has no thread that would let go of these."""
    global _one_large, _opening
    _one_large, _opening = threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


class NotDecoded(ModellixError):
    """A picture that is not decoded: it takes or took too much memory, or Pillow cannot."""


@contextmanager
def opened(path: Path, decoder: str, mark: Path | None = None) -> Iterator[Picture]:
    """Open a picture for decoding inside; `mark` is the path of its mark, beside it if None.

    `NotDecoded` where it is not to be decoded; else whatever Pillow raises.
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
        with _one_large, _marked(mark or mark_of(path.with_suffix("")), path):
            yield image


def mark_of(stem: Path) -> Path:
    """Return where the mark of a file is, whatever its ending."""
    return stem.with_name(f".decoding-{stem.name}")


def _open(path: Path, decoder: str) -> Picture:
    from PIL import Image

    # A warning alone would let the bomb through. The filters belong to the whole process, so they
    # are changed for no longer than it takes to read the header, and by one thread at a time.
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
    except ImportError:  # an earlier Pillow
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
