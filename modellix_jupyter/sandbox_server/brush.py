"""What every painter is given, and the strokes they share."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

from modellix_jupyter.sandbox_server.palettes import RGB, Palette, ramp

_BILINEAR = Image.Resampling.BILINEAR
_BICUBIC = Image.Resampling.BICUBIC


@dataclass(frozen=True, slots=True)
class Brush:
    """A canvas to fill.

    Parameters
    ----------
    width, height
        In pixels.
    rng
        The only source of chance a painter may use.
    palette
        Five colours from dark to light.
    phase
        Where a film is in its loop, from 0 to 1. Painters use whole multiples of it, so that the
        last frame leads back to the first.
    source
        The picture that the request began from, if it did.
    """

    width: int
    height: int
    rng: random.Random
    palette: Palette
    phase: float = 0.0
    source: Image.Image | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    @property
    def unit(self) -> float:
        """A hundredth of the shorter side, the measure of all strokes."""
        return min(self.width, self.height) / 100

    @property
    def turn(self) -> float:
        """The phase in radians."""
        return math.tau * self.phase

    def chance(self, low: float, high: float) -> float:
        """Return a number between two."""
        return self.rng.uniform(low, high)


def gradient(size: tuple[int, int], colours: Sequence[RGB]) -> Image.Image:
    """Return a picture that runs from the first colour at the top to the last at the bottom."""
    steps = 64
    rows = b"".join(bytes(ramp(colours, row / (steps - 1))) for row in range(steps))
    return Image.frombytes("RGB", (1, steps), rows).resize(size, _BICUBIC)


def noise(brush: Brush, cells: int) -> Image.Image:
    """Return smooth grey hills, about `cells` of them along the long side."""
    longest = max(brush.size)
    across, down = (max(3, round(cells * side / longest)) for side in brush.size)
    grains = Image.frombytes("L", (across, down), brush.rng.randbytes(across * down))
    return grains.resize(brush.size, _BICUBIC)


def soften(mask: Image.Image, radius: float) -> Image.Image:
    """Blur a mask; a wide blur is made on a small copy, where it costs next to nothing."""
    factor = max(1, int(radius / 3))
    small = mask.reduce(factor) if factor > 1 else mask
    return small.filter(ImageFilter.GaussianBlur(radius / factor)).resize(mask.size, _BILINEAR)


def disc(draw: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float, fill: RGB) -> None:
    """Draw a filled circle."""
    x, y = centre
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def glow(
    picture: Image.Image, centre: tuple[float, float], radius: float, colour: RGB, strength: float
) -> None:
    """Lay a soft light over a picture: full at the centre, gone at the radius."""
    side = max(2, round(radius * 2))
    falloff = [round(strength * 255 * max(0.0, 1 - v / 181) ** 2) for v in range(256)]
    mask = Image.radial_gradient("L").point(falloff).resize((side, side), _BILINEAR)
    picture.paste(colour, (round(centre[0] - radius), round(centre[1] - radius)), mask)


def ridge(
    brush: Brush, base: float, height: float, rough: float, drift: float = 0.0
) -> list[tuple[float, float]]:
    """Return the closed outline of hills that fill the canvas below them.

    Parameters
    ----------
    brush
        The canvas.
    base, height
        Where the hills stand and how high they rise, in pixels.
    rough
        How much of the short waves there is, from 0 for downs to 1 for crags.
    drift
        Radians to move the hills sideways.

    Returns
    -------
    list of tuple
        Points of a polygon.
    """
    harmonics = [
        (frequency, brush.chance(0, math.tau), (1 / frequency) ** (1.6 - rough))
        for frequency in (1, 2, 3, 5, 8, 13, 21)
    ]
    total = sum(weight for *_, weight in harmonics)
    step = max(1, brush.width // 220)
    points: list[tuple[float, float]] = []
    for x in range(0, brush.width + step, step):
        angle = math.tau * x / brush.width
        rise = sum(w * math.sin(angle * f * 0.8 + p + drift) for f, p, w in harmonics)
        points.append((x, base - height * rise / total))
    return [(0, brush.height), *points, (brush.width + step, brush.height)]
