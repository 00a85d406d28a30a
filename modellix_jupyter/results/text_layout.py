"""Text on pictures: a font that has the letters, and lines that fit.

Pillow's own font needs nothing installed but knows few letters; a text that has others is set in
the first font of the system that knows them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL.ImageFont import FreeTypeFont

_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "arial.ttf",
)
"""Where Linux, macOS and Windows usually keep more letters; searched for by Pillow."""
_NO_LETTER = "\U0010fffe"
"""What no font has: it is drawn as the sign for a letter that is missing."""
_PROBE = 24
_PIECES = re.compile(r"[\u2e80-\uffef]|[^\s\u2e80-\uffef/_*-]*[/_*-]?|\s+")
"""Where a line may be broken: after a word, after a slash or a dash, and between Han characters."""
MOST = 2000
"""Characters of a text that are looked at; a prompt may have tens of thousands."""


def face_for(texts: Iterable[str]) -> str:
    """Return the name of the one font that has the most letters of all texts; "" is Pillow's."""
    letters = {letter for text in texts for letter in text[:MOST]}
    return _best("".join(sorted(letters)), "")


def font_for(text: str, size: int, face: str = "") -> FreeTypeFont:
    """Return a font that has the letters of a text, or the one that has the most.

    Parameters
    ----------
    text
        What will be written.
    size
        In pixels.
    face
        The name of the font that is taken where it is as good as any.

    """
    return _font(_best("".join(sorted(set(text[:MOST]))), face), size)


@lru_cache(maxsize=512)
def _best(letters: str, face: str) -> str:
    fewest, best = _missing(face, letters), face
    for name in ("", *_SYSTEM_FONTS) if fewest else ():
        lacking = _missing(name, letters)
        if lacking < fewest:
            fewest, best = lacking, name
        if not fewest:
            break
    return best


def _missing(name: str, letters: str) -> int:
    try:
        return sum(not _has(name, letter) for letter in letters if not letter.isspace())
    except OSError:  # the system does not have this font
        return len(letters) + 1


@lru_cache(maxsize=8192)
def _has(name: str, letter: str) -> bool:
    font = _font(name, _PROBE)
    drawn, blank = font.getmask(letter), font.getmask(_NO_LETTER)
    return drawn.size != blank.size or bytes(drawn) != bytes(blank)


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> FreeTypeFont:
    from PIL import ImageFont

    if name:
        return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)  # type: ignore[return-value]  # FreeType is in every wheel of Pillow


def wrapped(text: str, font: FreeTypeFont, width: float, most: int) -> list[str]:
    """Return a text as lines that fit a width, the last of which says whether there was more.

    Parameters
    ----------
    text
        Line breaks in it are kept.
    font
        What it is written in.
    width
        In pixels.
    most
        How many lines at most.

    """
    lines: list[str] = []
    for paragraph in text[:MOST].splitlines():
        lines += _broken(paragraph, font, width)
        if len(lines) > most:
            return [*lines[: most - 1], _shortened(lines[most - 1], font, width)]
    return lines


def _broken(text: str, font: FreeTypeFont, width: float) -> list[str]:
    lines = [""]
    for piece in _PIECES.findall(text):
        if lines[-1] and font.getlength((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] = lines[-1] + piece if lines[-1] else piece.lstrip()
        while font.getlength(lines[-1].rstrip()) > width and len(lines[-1]) > 1:
            fits = _first_that_fit(lines[-1], font, width)
            lines[-1:] = [lines[-1][:fits], lines[-1][fits:]]
    return [line.rstrip() for line in lines if line.strip()]


def _first_that_fit(text: str, font: FreeTypeFont, width: float) -> int:
    """Return how many letters fit, one at least, so that every width comes to an end."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(text[:middle]) <= width else (low, middle - 1)
    return low


def _shortened(line: str, font: FreeTypeFont, width: float) -> str:
    while line and font.getlength(f"{line}…") > width:
        line = line[:-1].rstrip()
    return f"{line}…"
