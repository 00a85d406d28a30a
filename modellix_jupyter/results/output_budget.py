"""What a grid may weigh in a notebook: its thumbnails shrink first, and then it goes to pages."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from modellix_jupyter.html.grid import grid_html

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from modellix_jupyter.html.grid import Grid
    from modellix_jupyter.settings import Settings
    from modellix_jupyter.values import Card, Media

FLOOR = 6_000
"""Bytes of the notebook that a picture shrinks to before there are pages: about 160 pixels."""
STEPS = ((40_000, 384), (24_000, 320), (14_000, 256), (9_000, 208))
"""From so many bytes on, a picture looks best with so many pixels; below them all, with `LEAST`."""
LEAST = 160
HEAD = len("data:image/jpeg;base64,")
NOTE = 400
"""Bytes that are kept for the line that says there are more pages."""
_STANDIN = "data:image/jpeg;base64,AAAA"
"""What a thumbnail is replaced by where only the rest is weighed."""


class Budget(NamedTuple):
    """The most an output may weigh.

    Parameters
    ----------
    output
        All of it, in bytes of the notebook, in which base64 makes four of three.
    picture
        One picture, in bytes of the notebook.

    """

    output: int
    picture: int


def budget_of(settings: Settings) -> Budget:
    """Return what the settings allow."""
    return Budget(settings.output_kb * 1000, settings.picture_kb * 1000)


def paginate(grid: Grid, budget: Budget) -> list[range]:
    """Return the rows of each page: as many as fit with their pictures at the smallest.

    Parameters
    ----------
    grid
        The whole.
    budget
        Of one page.

    """
    if weight(grid) <= budget.output:
        return [range(len(grid.rows))]
    frame = weight(grid.part([])) + NOTE
    pages, start, room = [], 0, budget.output - frame
    for r in range(len(grid.rows)):
        row = grid.part([r])
        needed = _markup(row) - frame + NOTE + sum(map(_least, _media(row.cards())))
        if needed > room and r > start:
            pages.append(range(start, r))
            start, room = r, budget.output - frame
        room -= needed
    return [*pages, range(start, len(grid.rows))]


def fitted(grid: Grid, budget: Budget) -> Grid:
    """Return the same grid with its media small enough, or left out where that is not enough.

    Parameters
    ----------
    grid
        One page of a grid.
    budget
        Its own.

    """
    room = budget.output - _markup(grid) - NOTE
    return grid.mapped(lighter(grid.cards(), room, budget.picture))


def lighter(cards: Sequence[Card], room: int, most: int) -> Callable[[Card], Card]:
    """Return what makes each of the cards light enough for all of them to fit.

    Parameters
    ----------
    cards
        All of them, in the order in which they are shown.
    room
        For their media, in bytes of the page.
    most
        For one picture, in bytes of the page.

    """
    return _Change(_media(cards), room, most).card


def weight(grid: Grid) -> int:
    """Return the bytes of a grid in the notebook."""
    return len(grid_html(grid).encode())


def _markup(grid: Grid) -> int:
    """Return the bytes of everything but the media."""
    return weight(grid.mapped(_stripped))


def _stripped(card: Card) -> Card:
    return _with_media(card, lambda item: replace(item, src=item.src and _STANDIN))


def _with_media(card: Card, change: Callable[[Media], Media]) -> Card:
    return replace(card, media=tuple(map(change, card.media))) if card.media else card


def _media(cards: Sequence[Card]) -> list[Media]:
    return [item for card in cards for item in card.media if item.src]


def _size(media: Media) -> int:
    return len(media.src or "")


def _least(media: Media) -> int:
    return min(_size(media), FLOOR) if media.kind == "image" else _size(media)


class _Change:
    """How each medium of a grid is made to fit: what stays whole, and what the pictures shrink to.

    Parameters
    ----------
    media
        All of them, in the order in which they are shown.
    room
        Bytes for all of them.
    most
        Bytes for one picture.

    """

    def __init__(self, media: Sequence[Media], room: int, most: int) -> None:
        pictures = [item for item in media if item.kind == "image"]
        # A video cannot shrink: it gets what the pictures leave when each is at its smallest.
        left = room - sum(map(_least, pictures))
        self._left_out: set[int] = set()
        for item in media:
            if item.kind != "image":
                left -= self._take(item, left)
        spare = left + sum(map(_least, pictures))
        kept = _first_that_fit(pictures, spare)
        self._left_out |= {id(item) for item in pictures[kept:]}
        self._level = min(level(map(_size, pictures[:kept]), spare), most)
        self._smaller = self._shrunk(pictures[:kept])

    def _take(self, item: Media, left: int) -> int:
        if _size(item) <= left:
            return _size(item)
        self._left_out.add(id(item))
        return 0

    def card(self, card: Card) -> Card:
        """Return the card with its media changed."""
        return _with_media(card, self._medium)

    def _medium(self, media: Media) -> Media:
        if id(media) in self._left_out:
            return replace(media, src=None)
        return self._smaller.get(id(media), media)

    def _shrunk(self, pictures: Sequence[Media]) -> dict[int, Media]:
        """Return the pictures that are too heavy in fewer bytes, by the ids of what they were."""
        heavy = [item for item in pictures if _size(item) > self._level]
        if not heavy:
            return {}
        from concurrent.futures import ThreadPoolExecutor

        from modellix_jupyter.storage.thumbnails import smaller

        pixels = next((px for least, px in STEPS if self._level >= least), LEAST)
        most = (self._level - HEAD) // 4 * 3
        # Pillow lets go of Python's lock while it decodes, scales and encodes
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            made = pool.map(lambda item: smaller(item, pixels=pixels, picture_bytes=most), heavy)
            return dict(zip(map(id, heavy), made, strict=True))


def _first_that_fit(pictures: Sequence[Media], room: int) -> int:
    """Return how many of the first pictures fit when each is at its smallest."""
    for count, item in enumerate(pictures):
        room -= _least(item)
        if room < 0:
            return count
    return len(pictures)


def level(sizes: Iterable[int], room: int) -> int:
    """Return the size that the larger ones are cut to, so that all of them fit.

    What the small ones leave is shared by the others, as water finds its level.

    Parameters
    ----------
    sizes
        Of all, in bytes.
    room
        For all, in bytes.

    """
    ordered = sorted(sizes)
    for place, size in enumerate(ordered):
        share = room // (len(ordered) - place)
        if size > share:
            return share
        room -= size
    return ordered[-1] if ordered else room
