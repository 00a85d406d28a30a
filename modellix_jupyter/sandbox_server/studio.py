"""The one door to everything that is drawn: it picks the maker by the format that is wanted."""

import io

from PIL import Image, UnidentifiedImageError

from modellix_jupyter.sandbox_server.audio import wav
from modellix_jupyter.sandbox_server.drawing import Artwork, picture
from modellix_jupyter.sandbox_server.video import webm

# What Pillow raises for broken pictures and for ones too large to open, depending on where.
_UNSOUND = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    OSError,
    SyntaxError,
    ValueError,
)
_TAKEN = ("PNG", "JPEG", "WEBP")


def draw(artwork: Artwork, source: bytes | None = None) -> bytes:
    """Make the file of an artwork.

    Parameters
    ----------
    artwork
        What to make.
    source
        The file of the picture to begin from, if it is at hand.

    Returns
    -------
    bytes
        A whole file of the artwork's format.
    """
    if artwork.format == "webm":
        return webm(artwork, source)
    return wav(artwork) if artwork.format == "wav" else picture(artwork, source)


def picture_format(content: bytes) -> str | None:
    """Return "png", "jpeg" or "webp" where the bytes are a sound picture of that kind, or None.

    Parameters
    ----------
    content
        Bytes from anywhere.

    Returns
    -------
    str or None
        What the bytes are, whatever name they came under.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_TAKEN) as opened:
            opened.verify()
            return str(opened.format).lower()
    except _UNSOUND:
        return None
