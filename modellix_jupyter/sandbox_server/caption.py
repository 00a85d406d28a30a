"""The words on a picture: its prompt, the model, and the mark that says it is a sandbox's."""

import re
import unicodedata
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

#: Enough for three lines of any picture; a prompt may have tens of thousands.
_LONGEST = 300
_MOST_LINES = 3
# Pillow's own font knows the letters of ASCII only. These are where systems usually keep more.
_WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "Arial Unicode.ttf",
    "wqy-zenhei.ttc",
    "DejaVuSans.ttf",
    "arial.ttf",
)
_PLAIN = re.compile(r"[\x20-\x7e]*")
_PIECES = re.compile(r"[\u2e80-\uffef]|[^\s\u2e80-\uffef]{1,24}|\s")


@lru_cache(maxsize=64)
def _font(size: int, *, wide: bool) -> Font:
    """Return Pillow's font, or a system's where the text needs one and the system has one."""
    return (_system_font(size) if wide else None) or ImageFont.load_default(size)


def _system_font(size: int) -> Font | None:
    for name in _WIDE_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


def _legible(text: str) -> str:
    """Take the accents off where no font here has letters with accents: an é is better an e."""
    if _PLAIN.fullmatch(text) or _system_font(12) is not None:
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _wrap(text: str, font: Font, width: float) -> list[str]:
    """Break a text into lines, after words where there are any, and end a long one with dots."""
    lines = [""]
    for piece in _PIECES.findall(text):
        if font.getlength(lines[-1] + piece) > width and lines[-1]:
            lines.append("")
        lines[-1] = (lines[-1] + piece).lstrip()
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1].rstrip()[:-1] + "…"]
    return [line.strip() for line in lines]


def overlay(size: tuple[int, int], prompt: str, slug: str) -> Image.Image:
    """Return a transparent picture with the words, to lay over a painting.

    Parameters
    ----------
    size
        Width and height in pixels.
    prompt
        The user's words, of any length and in any script.
    slug
        The model that made the picture.

    Returns
    -------
    Image.Image
        Mode RGBA.
    """
    # A lone surrogate is legal JSON, but no font takes it.
    clean = prompt[: _LONGEST * 2].encode("utf-8", "replace").decode()
    text = _legible(" ".join(clean.split())[:_LONGEST])
    unit = max(11, min(size) // 27)
    margin = round(unit * 1.1)
    font = _font(unit, wide=not _PLAIN.fullmatch(text))
    lines = _wrap(text, font, size[0] - 2 * margin)
    line_height = round(unit * 1.32)
    block = line_height * len(lines) + round(unit * 1.2)
    top = size[1] - block - margin
    layer = _scrim(size, top - unit)
    draw = ImageDraw.Draw(layer)
    for number, line in enumerate(lines):
        draw.text((margin, top + number * line_height), line, (255, 255, 255, 255), font)
    small = _font(max(9, round(unit * 0.66)), wide=False)
    below = size[1] - margin - round(unit * 0.8)
    draw.text((margin, below), slug, (255, 255, 255, 190), small)
    _mark(draw, (size[0] - margin, below), small)
    return layer


def _scrim(size: tuple[int, int], top: int) -> Image.Image:
    """Return a shade that darkens quickly from `top` down, so that white words are legible."""
    height = max(1, size[1] - top)
    shade = Image.linear_gradient("L").point([min(190, v * 4) for v in range(256)])
    layer = Image.new("RGBA", size, (8, 9, 16, 0))
    alpha = Image.new("L", size)
    alpha.paste(shade.resize((size[0], height)), (0, top))
    layer.putalpha(alpha)
    return layer


def _mark(draw: ImageDraw.ImageDraw, corner: tuple[int, int], font: Font) -> None:
    """Write "sandbox" so that it ends at a corner."""
    word = "sandbox"
    place = corner[0] - font.getlength(word), corner[1]
    draw.text(place, word, (255, 255, 255, 150), font)
