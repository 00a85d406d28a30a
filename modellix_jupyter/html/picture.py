"""One picture, video or sound, and the tiles of a gallery."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from modellix_jupyter.html import formatting
from modellix_jupyter.html.markup import (
    Html,
    anchor,
    data_uri_ok,
    el,
    file_anchor,
    html,
    link,
    web_url_ok,
)
from modellix_jupyter.html.style import DIM, FAINT, LINE, dim, note
from modellix_jupyter.values import Card, Media, Resource, Status, Task

LARGE = 384
"""Pixels of the only picture of an output; the thumbnails that are embedded are as large."""
MEDIUM = 232
SMALL = 164
FEW_TILES = 4
BUDGET = 2_000_000
"""Bytes of one output where nobody says another number; what is over is linked instead."""
TILE = 1_200
"""Bytes of a tile without its picture."""

_NOUNS = {"image": "picture", "video": "video", "audio": "sound"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One resource of a card in a gallery, with its captions."""

    card: Card
    media: Media
    captions: tuple[str, ...] = ()


def media_of(card: Card) -> tuple[Media, ...]:
    """Return what the card shows: its media, or else a link for each resource of the task."""
    return card.media or tuple(_linked(resource) for resource in card.task.resources)


def _linked(resource: Resource) -> Media:
    kind = resource.type if resource.type in _NOUNS else "link"
    return Media(
        kind=kind or "link",
        width=resource.width,
        height=resource.height,
        path=resource.path,
        url=resource.url,
        size=resource.size,
        problem=resource.problem,
    )


def fit(media: Media, box: int) -> tuple[int | None, int | None]:
    """Return the size in the page: within the box, never larger than the original."""
    if not media.width or not media.height or media.width < 0 or media.height < 0:
        return None, None
    scale = min(box / media.width, box / media.height, 1)
    return max(round(media.width * scale), 1), max(round(media.height * scale), 1)


def media_html(media: Media, alt: str, box: int) -> Html:
    """Return the element that shows a resource in a square, or text and a link without one."""
    if media.problem is None and data_uri_ok(media.src, media.kind):
        return _embedded(media, alt, box)
    return fallback(media)


def _embedded(media: Media, alt: str, box: int) -> Html:
    if media.kind == "image":
        return _image(media, alt, box)
    if media.kind == "audio":
        return el(
            "audio",
            controls=True,
            preload="metadata",
            src=media.src,
            aria_label=alt,
            style=f"width:{box}px;max-width:100%",
        )
    return el(
        "video",
        controls=True,
        preload="metadata",
        src=media.src,
        aria_label=alt,
        style=f"max-width:100%;max-height:{box}px;border-radius:6px",
    )


def _image(media: Media, alt: str, box: int) -> Html:
    width, height = fit(media, box)
    # The size is given twice: as attributes, so that the page does not jump while it loads, and as
    # limits, so that it shrinks with a narrow page. Some notebooks keep only one of the two.
    limit = "" if width else f"max-height:{box}px;"
    picture = el(
        "img",
        src=media.src,
        alt=alt,
        width=width,
        height=height,
        title=media.path,
        style=f"max-width:100%;{limit}height:auto;display:block;border-radius:6px;margin:0",
    )
    return file_anchor(media.file, picture) if media.file else anchor(media.url, picture)


def fallback(media: Media) -> Html:
    """Return text in place of a picture: what it is, what is wrong, and where to get it."""
    noun = _NOUNS.get(media.kind, "file")
    size = formatting.dimensions(media.width, media.height)
    about = " · ".join(part for part in (noun, size, formatting.file_size(media.size)) if part)
    lines = [el("div", html(about), style="font-weight:600")]
    if media.problem:
        lines.append(el("div", html(formatting.clip(media.problem, 300)), style=DIM))
    if media.file:
        lines.append(el("div", file_anchor(media.file, html(f"open the {noun}"))))
    elif web_url_ok(media.url):
        lines.append(el("div", link(media.url, f"open the {noun}")))
    if media.path:
        lines.append(el("div", html(media.path), style=f"{DIM};font-size:11px"))
    return el(
        "div",
        *lines,
        style=f"border:1px dashed {LINE};border-radius:6px;padding:10px;box-sizing:border-box;"
        "width:100%;overflow-wrap:anywhere",
    )


def tiles_of(cards: Sequence[Card]) -> list[Tile]:
    """Return a tile for each resource of the tasks that succeeded, in their order."""
    names = formatting.varied(cards)
    prompts = {card.task.request.prompt for card in cards}
    alone = len(cards) == 1
    return [
        Tile(
            card=card,
            media=item,
            captions=() if alone else _captions(card, i, names, show_prompt=len(prompts) > 1),
        )
        for card in cards
        if card.task.status is Status.SUCCESS
        for i, item in enumerate(media_of(card))
    ]


def _captions(card: Card, i: int, names: Sequence[str], *, show_prompt: bool) -> tuple[str, ...]:
    task = card.task
    several = len(media_of(card))
    count = [f"{i + 1} of {several}"] if several > 1 else []
    known = [
        formatting.seconds(task.elapsed_s),
        *formatting.settings(task, names),
        formatting.price(task),
    ]
    prompt = formatting.alternative(task) if show_prompt and task.request.prompt else ""
    return (task.request.model, " · ".join(p for p in [*known, *count] if p), prompt)


def gallery(tiles: Sequence[Tile], limit: int, budget: int = BUDGET) -> Html:
    """Return the tiles side by side, in as many rows as the page needs."""
    if not tiles:
        return Html("")
    shown = affordable(tiles[:limit], budget)
    box = MEDIUM if len(tiles) <= FEW_TILES else SMALL
    more = len(tiles) - len(shown)
    return el(
        "div",
        el(
            "div",
            *(_tile_html(tile, box) for tile in shown),
            style="display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start;margin-top:10px",
        ),
        note(f"and {more} more that are not drawn here" if more else ""),
    )


def affordable(tiles: Sequence[Tile], budget: int) -> list[Tile]:
    """Return the tiles within a budget of bytes: what is too heavy is text and a link."""
    kept: list[Tile] = []
    remaining = budget - TILE * len(tiles)
    for tile in tiles[: max(budget // TILE, 1)]:
        weight = len(tile.media.src or "")
        fits = weight <= remaining
        remaining -= weight if fits else 0
        kept.append(tile if fits else replace(tile, media=replace(tile.media, src=None)))
    return kept


def _tile_html(tile: Tile, box: int) -> Html:
    name, facts, prompt = tile.captions or ("", "", "")
    lines = [
        el("span", html(name.rpartition("/")[2]), style="font-weight:600") if name else Html(""),
        dim(facts),
        dim(formatting.clip(prompt, 70)),
    ]
    picture = media_html(tile.media, formatting.alternative(tile.card.task), box)
    shown = well(picture, box if box == SMALL else 0)
    # Two to a row on a telephone; where calc() is not allowed, the width alone still holds.
    return figure(tile.card.task, shown, lines, f"width:{box}px;max-width:calc(50% - 6px)")


def figure(task: Task, content: Html, lines: Iterable[Html], css: str = "") -> Html:
    """Return a picture, or text in its place, with the lines of its caption below."""
    return el(
        "figure",
        content,
        el(
            "figcaption",
            *(el("div", line) for line in lines if line),
            style="font-size:12px;line-height:1.4;margin-top:4px",
        ),
        title=task.task_id or task.uid,
        style=f"margin:0;{css}",
    )


def well(content: Html, min_height: int) -> Html:
    """Return a square that holds a picture of any shape in its middle."""
    return el(
        "div",
        content,
        style="display:flex;align-items:center;justify-content:center;aspect-ratio:1/1;"
        f"min-height:{min_height}px;background-color:{FAINT};border-radius:6px",
    )
