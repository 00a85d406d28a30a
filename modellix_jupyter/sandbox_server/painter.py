"""The sandbox's pictures: a composition in the model's own colours, with the prompt on it."""

import io
import math
import random
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageOps

RGB = tuple[int, int, int]
Size = tuple[int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Painting larger than the result smooths the edges; never larger than this, to bound the time.
_LONG_SIDE = 1600
_MAX_LINES = 3
# Pillow's own font has ASCII only. These are where systems usually keep more.
_WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc PingFang.ttc msyh.ttc wqy-zenhei.ttc DejaVuSans.ttf arial.ttf"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artwork:
    """Everything that decides the bytes of a picture; `key` is made of the whole request."""

    look: tuple[str, str]
    slug: str
    prompt: str
    key: str
    width: int
    height: int
    format: str


@lru_cache(maxsize=32)
def paint(artwork: Artwork, sources: tuple[bytes, ...] = ()) -> bytes:
    """Return a picture as a file; if it has sources, it is a print of them."""
    size = artwork.width, artwork.height
    finer = min(1.5, _LONG_SIDE / max(size))
    large = max(2, round(size[0] * finer)), max(2, round(size[1] * finer))
    style, palette = artwork.look
    colours = [ImageColor.getrgb(f"#{colour}")[:3] for colour in palette.split()]
    if given := [image for image in map(_opened, sources) if image is not None]:
        painted = _print(given, large, colours)
    else:
        painted = STYLES[style](random.Random(artwork.key), large, colours)  # noqa: S311 - no secret
    painted = painted.resize(size, Image.Resampling.BICUBIC)
    _caption(painted, artwork.prompt, artwork.slug)
    target = io.BytesIO()
    # each format takes the options that it knows; little compression: time matters more than size
    painted.save(target, artwork.format, compress_level=2, quality=85, method=1)
    return target.getvalue()


def _blend(size: Size, across: int, colours: Sequence[RGB]) -> Image.Image:
    """Return a smooth blend of a grid of colours, `across` of them in each row."""
    small = Image.frombytes("RGB", (across, len(colours) // across), bytes(sum(colours, ())))
    return small.resize(size, Image.Resampling.BICUBIC)


def _disc(image: Image.Image, x: float, y: float, radius: float, *fill: int) -> None:
    box = (x - radius, y - radius, x + radius, y + radius)
    ImageDraw.Draw(image, "RGBA").ellipse(box, fill=fill)


def _hills(rng: random.Random, size: Size, colours: Sequence[RGB]) -> Image.Image:
    """Paint ridges that darken as they come nearer, under a low sun."""
    (width, height), unit = size, min(size) / 100
    image = _blend(size, 1, [colours[3], colours[4], colours[3], colours[3]])
    sun = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.2, 0.36)
    for radius in (30, 22, 15, 9):
        _disc(image, *sun, unit * radius, *colours[4], 90)
    _disc(image, *sun, unit * 9, *colours[2], 150)
    shades = _blend((1, 6), 1, [colours[3], colours[2], colours[1], colours[0]])
    for layer in range(6):
        waves = [(n, rng.uniform(0, math.tau)) for n in (0.8, 1.7, 2.9, 5.3, 11.0)]
        outline: list[tuple[float, float]] = [(0, height)]
        for x in range(0, width + 8, 8):
            rise = sum(math.sin(x * n * 6 / width + start) / n for n, start in waves)
            outline.append((x, height * (0.45 + 0.08 * layer - 0.08 * rise)))
        outline.append((width + 8, height))
        ImageDraw.Draw(image).polygon(outline, fill=shades.getpixel((0, layer)))
    return image


def _tiles(rng: random.Random, size: Size, colours: Sequence[RGB]) -> Image.Image:
    """Lay a grid of quarter circles and rings in flat colours."""
    image = Image.new("RGB", size)
    draw, side = ImageDraw.Draw(image), math.ceil(min(size) / rng.choice((4, 5)))
    for left, top in product(range(0, size[0], side), range(0, size[1], side)):
        ground, ink, accent = rng.sample(colours, 3)
        draw.rectangle((left, top, left + side, top + side), fill=ground)
        # the centre of the shape, in halves of a side, and the angle at which it begins
        shapes = ((0, 0, 0), (2, 0, 90), (2, 2, 180), (0, 2, 270), (1, 1, 0))
        across, down, start = rng.choice(shapes)
        x, y, whole = left + across * side // 2, top + down * side // 2, across == 1
        for share, fill in ((1.0, ink), (0.55, accent)):
            radius = side * share * (0.45 if whole else 1)
            box = (x - radius, y - radius, x + radius, y + radius)
            draw.pieslice(box, start, start + (360 if whole else 90), fill=fill)
    return image


def _lights(rng: random.Random, size: Size, colours: Sequence[RGB]) -> Image.Image:
    """Blend large fields of colour, with discs of light out of focus."""
    image = _blend(size, 3, rng.choices((*colours[1:4], colours[2]), k=12))
    for _ in range(26):
        centre = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        radius = min(size) * rng.uniform(0.02, 0.17)
        _disc(image, *centre, radius, *rng.choice(colours[3:]), rng.randint(20, 90))
    return image


def _facets(rng: random.Random, size: Size, colours: Sequence[RGB]) -> Image.Image:
    """Cut a blend of colours into triangles that catch the light differently."""
    image, shade = Image.new("RGB", size), _blend((96, 96), 3, rng.choices(colours[1:], k=9))
    draw = ImageDraw.Draw(image, "RGBA")
    side, cells = max(size) / 9, range(-1, 11)
    corners = {
        (x, y): ((x + rng.uniform(-0.35, 0.35)) * side, (y + rng.uniform(-0.35, 0.35)) * side)
        for x, y in product(cells, cells)
    }
    for x, y in product(cells[:-1], cells[:-1]):
        a, b = corners[x, y], corners[x + 1, y]
        c, d = corners[x + 1, y + 1], corners[x, y + 1]
        place = round((x + 1.5) * shade.width / 12), round((y + 1.5) * shade.height / 12)
        for triangle in ((a, b, c), (a, c, d)):
            draw.polygon(triangle, fill=shade.getpixel(place))
            draw.polygon(triangle, fill=(*rng.choice((colours[0], colours[4])), rng.randint(0, 64)))
    return image


STYLES = {"hills": _hills, "tiles": _tiles, "lights": _lights, "facets": _facets}


def _opened(source: bytes) -> Image.Image | None:
    """Open a picture upright; None for a film or a sound."""
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(source)))
    except OSError:
        return None


def _print(given: Sequence[Image.Image], size: Size, colours: Sequence[RGB]) -> Image.Image:
    """Print pictures side by side in a few tones of the palette."""
    grey, edges = Image.new("L", size), [size[0] * i // len(given) for i in range(len(given) + 1)]
    for image, left, right in zip(given, edges, edges[1:], strict=False):
        part = ImageOps.fit(image.convert("L"), (right - left, size[1]))
        grey.paste(ImageOps.autocontrast(part), (left, 0))
    return ImageOps.colorize(ImageOps.posterize(grey, 3), colours[0], colours[4], colours[2])


def _caption(image: Image.Image, prompt: str, slug: str) -> None:
    """Write the prompt, the model and the word "sandbox" on a shade along the bottom."""
    # A lone surrogate is legal JSON, but no font takes it.
    text = " ".join(prompt[:600].encode("utf-8", "replace").decode().split())[:300]
    width, height = image.size
    unit = max(11, min(image.size) // 24)
    margin, step = round(unit * 1.1), round(unit * 1.3)
    font, text = _font(unit, text)
    lines = _wrap(text, font, width - 2 * margin)
    top = height - margin - unit - step * len(lines)
    shade = Image.linear_gradient("L").point([min(170, value * 3) for value in range(256)])
    start = max(0, top - 2 * unit)
    image.paste((8, 9, 16), (0, start), shade.resize((width, height - start)))
    draw = ImageDraw.Draw(image, "RGBA")
    for number, line in enumerate(lines):
        draw.text((margin, top + number * step), line, (255, 255, 255, 255), font)
    small, _ = _font(max(9, round(unit * 0.6)), "")
    foot = height - round(margin * 0.8)
    draw.text((margin, foot), slug, (255, 255, 255, 190), small, anchor="ls")
    draw.text((width - margin, foot), "sandbox", (255, 255, 255, 150), small, anchor="rs")


def _font(size: int, text: str) -> tuple[Font, str]:
    """Return a font for a text, and the text without accents if only ASCII can be drawn."""
    if not text.isascii():
        for name in _WIDE_FONTS.split():
            try:
                return ImageFont.truetype(name, size), text
            except OSError:
                continue
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(part for part in decomposed if not unicodedata.combining(part))
    return ImageFont.load_default(size), text


def _wrap(text: str, font: Font, width: float) -> list[str]:
    """Break a text into lines, by the mean width of its letters; end too long a text with dots."""
    letters = int(0.93 * width * len(text) / max(font.getlength(text), 1))
    return textwrap.wrap(text, max(letters, 1), max_lines=_MAX_LINES, placeholder="…")
