"""Bytes of a grid in a notebook: its thumbnails shrink first, and then it gets pages."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING, NamedTuple

from modellix_jupyter.html.grid import grid_html

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from modellix_jupyter.html.grid import Grid
    from modellix_jupyter.settings import Settings
    from modellix_jupyter.values import Card, Media

# Bytes of the notebook that a picture shrinks to before there are pages.
MIN_BYTES = 6_000
STEPS = ((40_000, 384), (24_000, 320), (14_000, 256), (9_000, 208))
# The best sizes of a picture in pixels by its minimal bytes, and below all of them.
MIN_PIXELS = 160
HEAD = len("data:image/jpeg;base64,")
# Bytes that are kept for the line that says there are more pages.
NOTE = 400
# What a thumbnail is replaced by where only the rest is weighed.
_PLACEHOLDER = "data:image/jpeg;base64,AAAA"


class Budget(NamedTuple):
    """Maximal bytes of an output and of one picture."""

    output: int  # in bytes of the notebook, in which base64 makes four of three
    picture: int


def budget_of(settings: Settings) -> Budget:
    """Return what the settings allow."""
    return Budget(settings.output_kb * 1000, settings.picture_kb * 1000)


def paginate(grid: Grid, budget: Budget) -> list[range]:
    """Return the rows of each page: as many as fit with their pictures at the smallest."""
    if weight(grid) <= budget.output:
        return [range(len(grid.rows))]
    frame = weight(grid.part([])) + NOTE
    pages, start, remaining = [], 0, budget.output - frame
    for r in range(len(grid.rows)):
        row = grid.part([r])
        pictures = sum(_min_size(item) for card in row.cards() for item in card.media)
        needed = markup_bytes(row) - frame + NOTE + pictures
        if needed > remaining and r > start:
            pages.append(range(start, r))
            start, remaining = r, budget.output - frame
        remaining -= needed
    return [*pages, range(start, len(grid.rows))]


def fitted(grid: Grid, budget: Budget) -> Grid:
    """Return the same grid with its media small enough, or left out where that is not enough."""
    remaining = budget.output - markup_bytes(grid) - NOTE
    return grid.mapped(lighter(grid.cards(), remaining, budget.picture))


def lighter(cards: Sequence[Card], remaining: int, max_bytes: int) -> Callable[[Card], Card]:
    """Return what makes each of the cards light enough for all of them to fit."""
    media = iter(_made_to_fit([item for c in cards for item in c.media], remaining, max_bytes))
    made = {c.task.uid: replace(c, media=tuple(islice(media, len(c.media)))) for c in cards}
    return lambda card: made[card.task.uid]


def weight(grid: Grid) -> int:
    """Return the bytes of a grid in the notebook."""
    return len(grid_html(grid).encode())


def markup_bytes(grid: Grid) -> int:
    """Return the bytes of everything but the media, shown or left out."""
    return max(weight(grid.mapped(partial(_stripped, src=src))) for src in (_PLACEHOLDER, None))


def _stripped(card: Card, src: str | None) -> Card:
    media = (replace(item, src=item.src and src) for item in card.media)
    return replace(card, media=tuple(media))


def _size(media: Media) -> int:
    return len(media.src or "")


def _min_size(media: Media, max_bytes: int = MIN_BYTES) -> int:
    return min(_size(media), MIN_BYTES, max_bytes) if media.kind == "image" else _size(media)


def _made_to_fit(media: Sequence[Media], remaining: int, max_bytes: int) -> list[Media]:
    """Return the media in so many bytes: pictures shrink, and what does not fit has no source."""
    pictures = [item for item in media if item.kind == "image"]
    # A video cannot shrink: it gets what the pictures leave when each is at its smallest.
    sizes = [_min_size(item, max_bytes) for item in pictures]
    reserved = sum(sizes)
    others: dict[int, Media] = {}
    for i, item in enumerate(media):
        if item.kind != "image":
            fits = _size(item) <= remaining - reserved
            others[i] = item if fits else replace(item, src=None)
            remaining -= _size(others[i])
    count = sum(total <= remaining for total in accumulate(sizes))
    kept, left_out = pictures[:count], pictures[count:]
    limit = min(level(map(_size, kept), remaining), max_bytes)
    made = chain(_shrunk(kept, limit), (replace(item, src=None) for item in left_out))
    return [others[i] if i in others else next(made) for i in range(len(media))]


def _shrunk(pictures: Sequence[Media], limit: int) -> Iterable[Media]:
    from concurrent.futures import ThreadPoolExecutor

    from modellix_jupyter.storage.thumbnails import smaller

    pixels = next((px for min_bytes, px in STEPS if limit >= min_bytes), MIN_PIXELS)
    max_bytes = (limit - HEAD) // 4 * 3

    def shrunk(item: Media) -> Media:
        if _size(item) <= limit:
            return item
        return smaller(item, pixels=pixels, picture_bytes=max_bytes)

    # Pillow releases the lock of the interpreter while it decodes, scales and encodes
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(shrunk, pictures))


def level(sizes: Iterable[int], remaining: int) -> int:
    """Return the size that the larger ones are cut to, so that all of them fit."""
    ordered = sorted(sizes)
    for i, size in enumerate(ordered):
        share = remaining // (len(ordered) - i)
        if size > share:
            return share
        remaining -= size
    return ordered[-1] if ordered else remaining
