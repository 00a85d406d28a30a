"""Pictures: a painting in the model's style, with the prompt on it, as bytes of a format."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from PIL import Image, ImageOps

from modellix_jupyter.sandbox_server import scenes, shapes
from modellix_jupyter.sandbox_server.brush import Brush
from modellix_jupyter.sandbox_server.caption import overlay
from modellix_jupyter.sandbox_server.palettes import palette_for
from modellix_jupyter.sandbox_server.seeding import stream

PAINTERS: Mapping[str, Callable[[Brush], Image.Image]] = {
    "mountains": scenes.mountains,
    "nightsky": scenes.nightsky,
    "aurora": scenes.aurora,
    "waves": scenes.waves,
    "bauhaus": shapes.bauhaus,
    "watercolor": shapes.watercolor,
    "papercut": shapes.papercut,
    "halftone": shapes.halftone,
    "mosaic": shapes.mosaic,
    "ridges": shapes.ridges,
    "orbits": shapes.orbits,
}

# Painting larger than the result and shrinking it smooths every edge; painting no larger than
# this keeps a picture of any size under a fraction of a second.
_FINER = 1.25
_LARGEST = 1536
# Soft styles have few edges to smooth, and blurs and blends are what takes the time.
_SOFT = {"watercolor": 0.5, "papercut": 0.8, "nightsky": 1.0, "aurora": 0.8, "waves": 1.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Artwork:
    """Everything that decides the bytes of a result: the same artwork is the same file.

    Parameters
    ----------
    style
        The painter, or the instrument.
    slug, prompt
        What is written on it.
    key
        A number made of the whole request and of the result's place in it.
    width, height
        In pixels; 0 for a sound.
    format
        "png", "jpeg", "webp", "webm" or "wav".
    seconds
        How long a film is.
    source
        Where the picture is that it begins from, or nothing.
    """

    style: str
    slug: str
    prompt: str
    key: int
    width: int
    height: int
    format: str
    seconds: int = 0
    source: str = ""


def picture(artwork: Artwork, source: bytes | None = None) -> bytes:
    """Draw a picture.

    Parameters
    ----------
    artwork
        What to draw.
    source
        The file of the picture to begin from, if it is at hand.

    Returns
    -------
    bytes
        A file of the artwork's format.
    """
    finer = min(_SOFT.get(artwork.style, _FINER), _LARGEST / max(artwork.width, artwork.height))
    painted = _paint(artwork, finer, 0.0, _opened(source))
    size = artwork.width, artwork.height
    painted = painted.resize(size, Image.Resampling.BICUBIC)
    layer = overlay(size, artwork.prompt, artwork.slug)
    painted.paste(layer, (0, 0), layer)
    return _encoded(painted, artwork.format)


def film(artwork: Artwork, many: int, source: bytes | None = None) -> Iterator[bytes]:
    """Draw the frames of one loop, each a lossy WebP file.

    Parameters
    ----------
    artwork
        What to draw.
    many
        The number of frames.
    source
        The file of the picture to begin from, if it is at hand.

    Yields
    ------
    bytes
        One frame.
    """
    size = artwork.width, artwork.height
    layer = overlay(size, artwork.prompt, artwork.slug)
    opened = _opened(source)
    for number in range(many):
        frame = _paint(artwork, 1.0, number / many, opened)
        frame.paste(layer, (0, 0), layer)
        yield _encoded(frame, "frame")


def _paint(artwork: Artwork, finer: float, phase: float, source: Image.Image | None) -> Image.Image:
    """Fill a canvas in the artwork's style; each call begins the same chance anew."""
    rng = stream("paint", artwork.style, artwork.key)
    palette = palette_for(artwork.prompt, rng)
    width, height = round(artwork.width * finer), round(artwork.height * finer)
    return PAINTERS[artwork.style](Brush(width, height, rng, palette, phase, source))


def _opened(source: bytes | None) -> Image.Image | None:
    """Open the picture to begin from, upright and of bounded size."""
    if source is None:
        return None
    opened = Image.open(io.BytesIO(source))
    opened.draft("RGB", (_LARGEST, _LARGEST))
    upright = ImageOps.exif_transpose(opened).convert("RGB")
    upright.thumbnail((_LARGEST, _LARGEST))
    return upright


def _encoded(image: Image.Image, kind: str) -> bytes:
    """Return a picture as a file. PNG is packed lightly: time matters more here than size."""
    options: Mapping[str, Mapping[str, int | str]] = {
        "png": {"format": "PNG", "compress_level": 2},
        "jpeg": {"format": "JPEG", "quality": 88},
        "webp": {"format": "WEBP", "quality": 82, "method": 1},
        "frame": {"format": "WEBP", "quality": 70, "method": 0},
    }
    chosen = dict(options[kind])
    target = io.BytesIO()
    image.save(target, str(chosen.pop("format")), **chosen)
    return target.getvalue()
