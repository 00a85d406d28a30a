"""Colours: a handful of palettes that go together, and a prompt's choice among them."""

import random
import re
from collections.abc import Sequence

RGB = tuple[int, int, int]
#: Five colours from the darkest to the lightest.
Palette = tuple[RGB, RGB, RGB, RGB, RGB]


def _palette(colours: str) -> Palette:
    """Read five colours in hexadecimal."""
    read = [bytes.fromhex(colour) for colour in colours.split()]
    dark, deep, middle, bright, light = ((each[0], each[1], each[2]) for each in read)
    return dark, deep, middle, bright, light


_PALETTES = {
    "sunset": _palette("2b1b3d 7b2d5e d9505a f6955f ffe0a3"),
    "ocean": _palette("061a33 0d4b75 1b8aa6 6fd0c8 eaf7e6"),
    "forest": _palette("10231c 1f4d3a 4d8b54 a9c46c f3efcf"),
    "night": _palette("0a0d24 222a68 5a4fb0 b48be0 ffe9c7"),
    "candy": _palette("3d1f4f a63d8f f2709c ffb199 fff0e1"),
    "desert": _palette("3a1f14 8c4a2b d0834a efc07b fbeed0"),
    "ice": _palette("12263f 2f5d8c 6fa8d0 b9dcec f7fbff"),
    "citrus": _palette("1f3b2d 3f8f5b f2a032 f5c542 fff4d2"),
    "primary": _palette("1c1c22 1f4e9c d8352a f2b705 f4ecd8"),
    "coral": _palette("14323a 1f7a7a f08a6c f7c59f fdf3e4"),
}

# A word of the prompt that suggests a mood decides it; this is all the sandbox understands.
_WORDS = {
    "sunset": "sunset sunrise dusk dawn fire autumn warm evening volcano phoenix red",
    "ocean": "ocean sea wave waves water fish whale island beach blue river lake boat",
    "forest": "forest tree trees green garden jungle leaf moss meadow park fox frog",
    "night": "night moon star stars space galaxy dream purple cyberpunk neon city owl",
    "candy": "candy pink flower flowers rose love cherry cute unicorn spring kitten",
    "desert": "desert sand camel dune dunes coffee brown gold pyramid lion dog",
    "ice": "ice snow winter cold mountain mountains frost arctic penguin cloud rain",
    "citrus": "lemon orange fruit summer sunny sunflower yellow banana bee tropical",
    "primary": "bauhaus poster robot toy car circus logo pop geometric chess",
    "coral": "coral bird parrot market tea retro vintage portrait house cat",
}
_MOODS = {word: mood for mood, words in _WORDS.items() for word in words.split()}


def palette_for(prompt: str, rng: random.Random) -> Palette:
    """Return the palette that a prompt asks for, or one by chance.

    Parameters
    ----------
    prompt
        The user's words.
    rng
        Decides where no word of the prompt does.

    Returns
    -------
    Palette
        Five colours from dark to light.
    """
    by_chance = rng.choice(list(_PALETTES))
    moods = (_MOODS[word] for word in re.findall(r"[a-z]+", prompt.lower()) if word in _MOODS)
    return _PALETTES[next(moods, by_chance)]


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """Return a colour between two, `share` of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def ramp(colours: Sequence[RGB], share: float) -> RGB:
    """Return the colour at `share` (0 to 1) of the way along several."""
    place = min(max(share, 0.0), 1.0) * (len(colours) - 1)
    start = min(int(place), len(colours) - 2)
    return mix(colours[start], colours[start + 1], place - start)
