"""Painters of pattern: tiles, washes, cut paper, dots, pixels, lines and orbits."""

import math
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from modellix_jupyter.sandbox_server.brush import Brush, disc, glow, gradient, noise, soften
from modellix_jupyter.sandbox_server.palettes import RGB, mix, ramp
from modellix_jupyter.sandbox_server.scenes import mountains

Box = tuple[float, float, float, float]


def bauhaus(brush: Brush) -> Image.Image:
    """Lay a grid of bold shapes in flat colour."""
    paper = brush.palette[4]
    picture = Image.new("RGB", brush.size, paper)
    draw = ImageDraw.Draw(picture)
    side = min(brush.size) / brush.rng.choice((4, 5))
    for row in range(math.ceil(brush.height / side)):
        for column in range(math.ceil(brush.width / side)):
            left, top = column * side, row * side
            ground, ink, accent = brush.rng.sample(brush.palette, 3)
            box = (left, top, left + side, top + side)
            draw.rectangle(box, fill=ground)
            brush.rng.choice(_TILES)(draw, box, ink, accent)
    return picture


def _quarter(draw: ImageDraw.ImageDraw, box: Box, ink: RGB, accent: RGB) -> None:
    """Nested quarters of a circle about the tile's lower left corner."""
    left, _, _, bottom = box
    side = box[2] - left
    for share, fill in ((1.0, ink), (0.66, accent), (0.33, ink)):
        reach = side * share
        corner = (left - reach, bottom - reach, left + reach, bottom + reach)
        draw.pieslice(corner, 270, 360, fill=fill)


def _rings(draw: ImageDraw.ImageDraw, box: Box, ink: RGB, accent: RGB) -> None:
    """Circles within circles."""
    left, top, right, bottom = box
    centre, side = ((left + right) / 2, (top + bottom) / 2), right - left
    for share, fill in ((0.44, ink), (0.29, accent), (0.14, ink)):
        disc(draw, centre, side * share, fill)


def _halves(draw: ImageDraw.ImageDraw, box: Box, ink: RGB, accent: RGB) -> None:
    """Two half discs, one on top of the other."""
    left, top, right, bottom = box
    half = (bottom - top) / 2
    draw.pieslice((left, top, right, top + 2 * half), 180, 360, fill=ink)
    draw.pieslice((left, top + half, right, bottom + half), 180, 360, fill=accent)


def _triangles(draw: ImageDraw.ImageDraw, box: Box, ink: RGB, accent: RGB) -> None:
    """Two triangles that share a corner."""
    left, top, right, bottom = box
    middle = (left + right) / 2
    draw.polygon([(left, bottom), (middle, top), (right, bottom)], fill=ink)
    draw.polygon([(middle, bottom), (right, (top + bottom) / 2), (right, bottom)], fill=accent)


def _stripes(draw: ImageDraw.ImageDraw, box: Box, ink: RGB, accent: RGB) -> None:
    """Bars, and a ball on them."""
    left, top, right, bottom = box
    height = (bottom - top) / 8
    for bar in range(0, 8, 2):
        draw.rectangle((left, top + bar * height, right, top + (bar + 1) * height), fill=ink)
    disc(draw, ((left + right) / 2, (top + bottom) / 2), (right - left) * 0.26, accent)


def _leaf(draw: ImageDraw.ImageDraw, box: Box, ink: RGB, accent: RGB) -> None:
    """Two quarters that meet, and an eye."""
    left, top, right, bottom = box
    side = right - left
    draw.pieslice((left - side, top, right, bottom + side), 270, 360, fill=ink)
    draw.pieslice((left, top - side, right + side, bottom), 90, 180, fill=accent)
    disc(draw, ((left + right) / 2, (top + bottom) / 2), side * 0.13, ink)


_TILES: tuple[Callable[[ImageDraw.ImageDraw, Box, RGB, RGB], None], ...] = (
    _quarter,
    _rings,
    _halves,
    _triangles,
    _stripes,
    _leaf,
)


def watercolor(brush: Brush) -> Image.Image:
    """Lay washes that run into each other on rough paper."""
    dark, deep, middle, bright, light = brush.palette
    paper = mix(light, (255, 253, 248), 0.75)
    picture = Image.new("RGB", brush.size, paper)
    grain = noise(brush, 90)
    for number in range(13):
        colour = brush.rng.choice((deep, middle, middle, bright, bright))
        strength = brush.chance(0.5, 0.85)
        _wash(brush, picture, grain, colour, strength * (0.7 if number < 3 else 1))  # noqa: PLR2004 - the first few stay pale
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        spot = brush.chance(0, brush.width), brush.chance(0, brush.height)
        disc(draw, spot, brush.unit * brush.chance(0.1, 0.5), mix(dark, middle, 0.5))
    return picture


def _wash(
    brush: Brush, picture: Image.Image, grain: Image.Image, colour: RGB, strength: float
) -> None:
    """Lay one pool of colour, darker where it dried at the edge."""
    centre = brush.chance(0.1, 0.9) * brush.width, brush.chance(0.08, 0.92) * brush.height
    radius = brush.unit * brush.chance(14, 34)
    waves = [(brush.rng.randint(2, 9), brush.chance(0, math.tau)) for _ in range(5)]
    outline = []
    for step in range(90):
        angle = math.tau * step / 90
        reach = radius * (1 + sum(math.sin(angle * f + s) / f for f, s in waves) * 0.28)
        outline.append((centre[0] + reach * math.cos(angle), centre[1] + reach * math.sin(angle)))
    pool = Image.new("L", brush.size)
    ImageDraw.Draw(pool).polygon(outline, fill=255)
    pool = soften(pool, brush.unit * 0.6)
    inside = soften(pool, brush.unit * 5)
    # Thin in the middle of the pool and thick at its rim, where the pigment settles.
    thin = inside.point([round(255 * strength * (1 - 0.55 * v / 255)) for v in range(256)])
    veil = Image.composite(thin, Image.new("L", brush.size), pool)
    rough = grain.point([190 + v // 4 for v in range(256)])
    picture.paste(colour, (0, 0), Image.composite(veil, Image.new("L", brush.size), rough))


def papercut(brush: Brush) -> Image.Image:
    """Stack sheets of paper, each with a hole that shows the next, and the shadow between them."""
    dark, deep, middle, bright, light = brush.palette
    hills = noise(brush, 5)
    picture = Image.new("RGB", brush.size, mix(dark, deep, 0.3))
    sheets = 8
    colours = (deep, middle, bright, light)
    rounding = ImageFilter.BoxBlur(brush.unit * 0.5)
    steep = [min(255, max(0, (v - 128) * 4 + 128)) for v in range(256)]
    for sheet in range(sheets):
        level = 62 + sheet * 22
        rough = hills.point([255 if v >= level else 0 for v in range(256)])
        # The hills have 256 heights only, so an edge comes out in steps; this rounds them off.
        mask = rough.filter(rounding).point(steep)
        shadow = Image.new("L", brush.size)
        shadow.paste(soften(mask, brush.unit * 1.6), (round(brush.unit), round(brush.unit * 1.5)))
        picture.paste((0, 0, 10), (0, 0), shadow.point([v * 6 // 10 for v in range(256)]))
        picture.paste(ramp(colours, sheet / (sheets - 1)), (0, 0), mask)
    return picture


def halftone(brush: Brush) -> Image.Image:
    """Print dots whose size is the darkness of the source, or of mountains where there is none."""
    dark, deep, middle, _, light = brush.palette
    base = brush.source or mountains(brush)
    pitch = max(4.0, brush.unit * 1.45)
    across, down = math.ceil(brush.width / pitch), math.ceil(brush.height / pitch)
    tones = ImageOps.autocontrast(ImageOps.fit(base.convert("L"), (across, down))).tobytes()
    picture = Image.new("RGB", brush.size, mix(light, (255, 255, 255), 0.3))
    draw = ImageDraw.Draw(picture)
    for row in range(down):
        shift = pitch / 2 if row % 2 else 0.0
        ink = mix(mix(deep, dark, 0.4), middle, row / down)
        for column in range(-1, across):
            tone = tones[row * across + max(column, 0)]
            radius = pitch * 0.68 * math.sqrt(1 - tone / 255)
            disc(draw, ((column + 0.5) * pitch + shift, (row + 0.5) * pitch), radius, ink)
    return picture


def mosaic(brush: Brush) -> Image.Image:
    """Set little bevelled tiles, mirrored about the middle so that they look made."""
    pitch = max(4.0, min(brush.size) / 26)
    across, down = math.ceil(brush.width / pitch), math.ceil(brush.height / pitch)
    hills = noise(brush, 6).resize((across, down)).tobytes()
    picture = Image.new("RGB", brush.size, mix(brush.palette[0], (0, 0, 0), 0.4))
    draw = ImageDraw.Draw(picture)
    for row in range(down):
        for column in range((across + 1) // 2):
            tone = hills[row * across + column] / 255 + brush.chance(-0.07, 0.07)
            colour = ramp(brush.palette, tone * 1.15 - 0.05)
            for place in {column, across - 1 - column}:
                corner = place * pitch + pitch * 0.06, row * pitch + pitch * 0.06
                box = (*corner, corner[0] + pitch * 0.88, corner[1] + pitch * 0.88)
                draw.rounded_rectangle(box, pitch * 0.2, fill=colour)
                upper = (*corner, box[2], corner[1] + pitch * 0.4)
                draw.rounded_rectangle(upper, pitch * 0.2, fill=mix(colour, (255, 255, 255), 0.13))
    return picture


def ridges(brush: Brush) -> Image.Image:
    """Draw lines one before the other that rise in the middle, as of a pulse seen from afar."""
    dark, deep, middle, bright, light = brush.palette
    picture = gradient(brush.size, (mix(dark, (0, 0, 0), 0.45), dark, mix(dark, deep, 0.5)))
    draw = ImageDraw.Draw(picture)
    rows, points = 34, 110
    for row in range(rows):
        base = brush.height * (0.14 + 0.7 * row / rows)
        middle_at, spread = brush.chance(0.38, 0.62), brush.chance(0.1, 0.2)
        waves = [(brush.chance(3, 22), brush.chance(0, math.tau)) for _ in range(4)]
        line = []
        for point in range(points):
            share = point / (points - 1)
            bell = math.exp(-(((share - middle_at) / spread) ** 2))
            bumps = sum(abs(math.sin(share * f + s)) for f, s in waves) / 4
            rise = brush.height * (0.16 * bell * bumps + 0.004 * bumps)
            line.append((brush.width * (0.06 + 0.88 * share), base - rise))
        hide = [*line, (line[-1][0], base + brush.unit), (line[0][0], base + brush.unit)]
        draw.polygon(hide, fill=mix(mix(dark, (0, 0, 0), 0.3), deep, 0.25 * row / rows))
        colour = ramp((light, bright, middle, bright), row / rows)
        draw.line(line, fill=colour, width=max(1, round(brush.unit * 0.4)), joint="curve")
    return picture


def orbits(brush: Brush) -> Image.Image:
    """Send planets on their rounds; where there is a source, a slow move across it instead."""
    if brush.source is not None:
        return _drift(brush, brush.source)
    dark, deep, *bodies = brush.palette
    picture = Image.new("RGB", brush.size, mix(dark, (0, 0, 0), 0.3))
    centre = brush.width * 0.5, brush.height * 0.44
    glow(picture, centre, max(brush.size) * 0.7, deep, 0.9)
    glow(picture, centre, brush.unit * 26, bodies[2], 0.9)
    draw = ImageDraw.Draw(picture)
    disc(draw, centre, brush.unit * 6, bodies[2])
    for ring in range(1, 6):
        reach = brush.unit * (6 + 8.6 * ring)
        box = (centre[0] - reach, centre[1] - reach * 0.62)
        round_box = (*box, centre[0] + reach, centre[1] + reach * 0.62)
        draw.ellipse(round_box, outline=mix(deep, bodies[0], 0.5), width=1)
        angle = brush.chance(0, math.tau) + brush.turn * max(1, 4 - ring)
        end = math.degrees(angle)
        colour, width = bodies[ring % 3], max(1, round(brush.unit * 0.7))
        draw.arc(round_box, end - 70, end, fill=mix(deep, colour, 0.7), width=width)
        at = centre[0] + reach * math.cos(angle), centre[1] + reach * 0.62 * math.sin(angle)
        glow(picture, at, brush.unit * 6, colour, 0.6)
        disc(draw, at, brush.unit * brush.chance(1.4, 3.2), colour)
    return picture


def _drift(brush: Brush, source: Image.Image) -> Image.Image:
    """Look at a part of the source that moves round and breathes."""
    whole = ImageOps.fit(source.convert("RGB"), brush.size, Image.Resampling.BICUBIC)
    part = 0.84 + 0.06 * math.cos(brush.turn)
    width, height = brush.width * part, brush.height * part
    left = (brush.width - width) * (0.5 + 0.45 * math.sin(brush.turn))
    top = (brush.height - height) * (0.5 + 0.45 * math.cos(brush.turn))
    box = (left, top, left + width, top + height)
    return whole.resize(brush.size, Image.Resampling.BICUBIC, box=box)
