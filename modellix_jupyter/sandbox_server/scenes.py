"""Painters of places: mountains, skies and seas. Those that film use, use the brush's phase."""

import math

from PIL import Image, ImageDraw, ImageFilter

from modellix_jupyter.sandbox_server.brush import Brush, disc, glow, gradient, noise, ridge, soften
from modellix_jupyter.sandbox_server.palettes import mix


def mountains(brush: Brush) -> Image.Image:
    """Paint ridges that darken as they come nearer, under a low sun."""
    dark, deep, middle, bright, light = brush.palette
    picture = gradient(brush.size, (mix(bright, light, 0.5), light, mix(light, bright, 0.6)))
    sun = brush.width * brush.chance(0.2, 0.8), brush.height * brush.chance(0.2, 0.38)
    size = brush.unit * brush.chance(7, 12)
    glow(picture, sun, size * 4, (255, 255, 255), 0.8)
    draw = ImageDraw.Draw(picture)
    disc(draw, sun, size, mix(middle, bright, 0.35))
    layers = 6
    for layer in range(layers):
        near = layer / (layers - 1)
        base = brush.height * (0.44 + 0.44 * near)
        outline = ridge(brush, base, brush.height * 0.17 * (1 - near * 0.3), 0.35 - 0.1 * near)
        haze = mix(mix(bright, light, 0.35), deep, min(1.0, near * 1.6))
        draw.polygon(outline, fill=mix(haze, dark, max(0.0, near * 1.8 - 0.9)))
        _mist(picture, base + brush.height * 0.16, light, 0.4 * (1 - near))
    _birds(brush, draw, sun, size)
    return picture


def _mist(picture: Image.Image, middle: float, colour: tuple[int, int, int], most: float) -> None:
    """Lay a soft horizontal band, densest in its middle."""
    half = max(2, picture.height // 7)
    column = Image.linear_gradient("L").point([round(v * most) for v in range(256)])
    column = column.resize((picture.width, half))
    picture.paste(colour, (0, round(middle) - half), column)
    flipped = column.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    picture.paste(colour, (0, round(middle)), flipped)


def _birds(
    brush: Brush, draw: ImageDraw.ImageDraw, near: tuple[float, float], spread: float
) -> None:
    """Draw a few gulls, each of two strokes."""
    for _ in range(5):
        x = near[0] + spread * brush.chance(-3, 3)
        y = near[1] + spread * brush.chance(-0.5, 1.8)
        wing = brush.unit * brush.chance(0.9, 1.8)
        stroke = [(x - wing, y - wing * 0.5), (x, y), (x + wing, y - wing * 0.6)]
        draw.line(stroke, fill=brush.palette[0], width=max(1, round(brush.unit * 0.3)))


def nightsky(brush: Brush) -> Image.Image:
    """Paint a planet among clouds of stars, over dark hills."""
    dark, deep, middle, bright, light = brush.palette
    picture = gradient(brush.size, (mix(dark, (0, 0, 0), 0.5), mix(dark, deep, 0.5), middle))
    for colour, cells in ((deep, 4), (middle, 5), (bright, 7)):
        cloud = noise(brush, cells).point([max(0, v - 120) for v in range(256)])
        picture.paste(colour, (0, 0), soften(cloud, brush.unit * 4))
    _stars(brush, picture, 260)
    centre = brush.width * brush.chance(0.25, 0.75), brush.height * brush.chance(0.25, 0.42)
    radius = brush.unit * brush.chance(12, 19)
    glow(picture, centre, radius * 2.2, light, 0.55)
    _planet(brush, picture, centre, radius)
    _hills(brush, picture, mix(dark, deep, 0.4), mix(dark, (0, 0, 0), 0.55))
    return picture


def _stars(brush: Brush, picture: Image.Image, many: int) -> None:
    """Scatter stars, a few of them large; in a film they twinkle."""
    draw = ImageDraw.Draw(picture)
    light = mix(brush.palette[4], (255, 255, 255), 0.6)
    for number in range(many):
        x, y = brush.chance(0, brush.width), brush.chance(0, brush.height)
        large = number % 29 == 0
        radius = brush.unit * (0.32 if large else brush.chance(0.06, 0.2))
        twinkle = 0.75 + 0.25 * math.sin(brush.turn * brush.rng.randint(1, 3) + number)
        disc(draw, (x, y), max(0.5, radius * twinkle), light)
        if large:
            glow(picture, (x, y), brush.unit * 3, light, 0.8 * twinkle)


def _planet(brush: Brush, picture: Image.Image, centre: tuple[float, float], radius: float) -> None:
    """Paint a banded ball with its own night, and a ring behind and before it."""
    _, deep, middle, bright, light = brush.palette
    side = round(radius * 2)
    left, top = round(centre[0] - radius), round(centre[1] - radius)
    ball = gradient((side, side), (light, bright, light, middle, bright, middle, deep))
    ball = ball.rotate(brush.chance(-30, 30), Image.Resampling.BICUBIC, fillcolor=middle)
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=255)
    shade = Image.new("L", (side, side), 190)
    ImageDraw.Draw(shade).ellipse((-side * 0.3, -side * 0.3, side * 0.8, side * 0.8), fill=0)
    ball.paste(brush.palette[0], (0, 0), soften(shade, radius * 0.18))
    ring = (left - radius * 0.7, centre[1] - radius * 0.3)
    box = (*ring, centre[0] + radius * 1.7, centre[1] + radius * 0.3)
    width = max(2, round(radius * 0.09))
    draw = ImageDraw.Draw(picture)
    draw.arc(box, 180, 360, fill=light, width=width)
    picture.paste(ball, (left, top), mask)
    draw.arc(box, 0, 180, fill=light, width=width)


def _hills(
    brush: Brush, picture: Image.Image, far: tuple[int, int, int], near: tuple[int, int, int]
) -> None:
    """Draw three dark ridges along the bottom."""
    draw = ImageDraw.Draw(picture)
    for layer in range(3):
        base = brush.height * (0.74 + 0.09 * layer)
        outline = ridge(brush, base, brush.height * 0.1, 0.3)
        draw.polygon(outline, fill=mix(far, near, layer / 2))


def aurora(brush: Brush) -> Image.Image:
    """Paint curtains of light that sway over a ridge."""
    dark, deep, middle, bright, _light = brush.palette
    picture = gradient(brush.size, (mix(dark, (0, 0, 0), 0.6), dark, deep))
    _stars(brush, picture, 120)
    for colour in (middle, (110, 240, 180), bright):
        picture.paste(colour, (0, 0), _curtain(brush))
    _hills(brush, picture, mix(dark, deep, 0.25), mix(dark, (0, 0, 0), 0.7))
    return picture


def _curtain(brush: Brush) -> Image.Image:
    """Return the mask of one curtain: columns that fade upward from a waving hem."""
    columns, rows = 96, 54
    mask = Image.new("L", (columns, rows))
    draw = ImageDraw.Draw(mask)
    start, hem = brush.chance(0, math.tau), brush.chance(0.42, 0.66)
    folds = brush.chance(0.7, 1.6)
    for column in range(columns):
        angle = math.tau * folds * column / columns + start
        foot = rows * (hem + 0.12 * math.sin(angle + brush.turn))
        flare = 0.5 + 0.5 * math.sin(angle * 3.1 - brush.turn + start)
        ripple = 0.75 + 0.25 * math.sin(column * 1.3 + 2 * brush.turn)
        reach = rows * (0.2 + 0.35 * flare)
        for step in range(7):
            share = step / 7
            bright = 190 * (1 - share) ** 1.5 * (0.35 + 0.65 * flare) * ripple
            ends = (foot - reach * share, foot - reach * (share + 1 / 7))
            draw.line((column, ends[0], column, ends[1]), fill=round(bright))
    return mask.filter(ImageFilter.GaussianBlur(1.1)).resize(brush.size, Image.Resampling.BICUBIC)


def waves(brush: Brush) -> Image.Image:
    """Paint a sea that rolls in rows toward the one who looks, and the sun on the horizon."""
    dark, deep, middle, bright, light = brush.palette
    picture = gradient(brush.size, (middle, bright, light, mix(light, bright, 0.5)))
    horizon = brush.height * 0.46
    sun = brush.width * brush.chance(0.3, 0.7), horizon - brush.unit * 6
    glow(picture, sun, brush.unit * 45, (255, 255, 245), 0.9)
    draw = ImageDraw.Draw(picture)
    disc(draw, sun, brush.unit * 11, mix(light, (255, 255, 255), 0.7))
    rows = 9
    for row in range(rows):
        near = row / (rows - 1)
        crest = _swell(brush, horizon + brush.height * 0.5 * near**1.3, near, row)
        corners = [(brush.width, brush.height), (0, brush.height)]
        colour = mix(mix(bright, middle, 0.6), deep, min(1.0, near * 1.7))
        draw.polygon([*crest, *corners], fill=mix(colour, dark, max(0.0, near * 1.6 - 0.7)))
        foam = mix(colour, light, 0.55 - 0.3 * near)
        draw.line(crest, fill=foam, width=max(1, round(brush.unit * (0.2 + 0.5 * near))))
    return picture


def _swell(brush: Brush, base: float, near: float, row: int) -> list[tuple[float, float]]:
    """Return the crest of one row of waves, which moves by whole turns in a loop."""
    length = 7 - 4.5 * near
    start = brush.chance(0, math.tau)
    height = brush.unit * (0.6 + 4.2 * near)
    way = 1 if row % 2 else -1
    step = max(1, brush.width // 160)
    crest: list[tuple[float, float]] = []
    for x in range(0, brush.width + step, step):
        angle = math.tau * length * x / brush.width + start
        long = math.sin(angle + way * brush.turn)
        short = 0.35 * math.sin(angle * 2.3 - way * 2 * brush.turn)
        crest.append((x, base - height * (long + short)))
    return crest
