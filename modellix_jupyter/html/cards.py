"""The output of a cell as HTML and as text, its gallery included: a function of its tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modellix_jupyter.html import elements, formatting
from modellix_jupyter.html.formatting import GAP, WIDTH, fit_line, terminal_width, wrap_lines
from modellix_jupyter.html.markup import Html, el, html, plain
from modellix_jupyter.values import Card, Media, Status

# Up to so many tasks, each has a bar of its own; above, they share one.
FEW = 8
MAX_LINES = 6
MAX_PROBLEMS = 5
MAX_PICTURES = 24
MAX_IDS = 3
MAX_TEXT_LINES = 8
# Columns of the narrowest terminal and of a bar in it.
MIN_WIDTH, TEXT_BAR = 20, 20

# Pixels of the only picture of an output; the thumbnails that are embedded are as large.
LARGE = 384
MEDIUM = 232
SMALL = 164
FEW_TILES = 4
# Bytes of one output where nobody says another number; what is over is linked instead.
BUDGET = 2_000_000
# Bytes of a tile without its picture.
TILE = 1_200

# How wide a line of text and numbers may be before the eye loses it.
_MEASURE = "max-width:640px"


def cards_html(
    cards: Sequence[Card],
    now: float,
    *,
    stopped: str | None = None,
    pictures: int = MAX_PICTURES,
    budget: int = BUDGET,
) -> Html:
    """Return the tasks as ``text/html``, for a page that may keep only inline styles."""
    if not cards:
        return el("div", html("no tasks"), style=f"{elements.ROOT};{elements.DIM}")
    body = _single if len(cards) == 1 else _batch
    shown = gallery(tiles_of(cards), pictures, budget)
    return el(
        "div",
        *body(cards, now, moving=stopped is None, shown=shown),
        elements.note(formatting.missing(cards)),
        elements.note(stopped or ""),
        style=elements.ROOT,
    )


def _single(cards: Sequence[Card], now: float, *, moving: bool, shown: Html) -> list[Html]:
    card = cards[0]
    if formatting.is_problem(card):
        return problems_html(cards)
    if formatting.is_open(card):
        return [_detailed(card, now, moving=moving), shown if card.media else Html("")]
    alone = len(elements.media_of(card)) == 1
    return [_headline(card), _large(card) if alone else shown]


def _large(card: Card) -> Html:
    item = elements.media_of(card)[0]
    picture = elements.media_html(item, formatting.alternative(card.task), LARGE)
    # The text in place of a picture has the path already.
    path = "" if picture == elements.fallback(item) else item.path or ""
    return el(
        "div",
        el("div", picture, style=f"max-width:{LARGE}px;margin:8px 0 4px 0"),
        elements.dim(path, f"{elements.DIM};{elements.CODE}"),
    )


def _headline(card: Card) -> Html:
    task = card.task
    known = [str(task.status), *formatting.facts(card)]
    if not task.resources:
        known.append("no files came with it")
    return elements.row(
        elements.model_name(task.request.model, elements.colour_of(card)),
        elements.dotted(known),
        elements.dim(task.task_id or "", f"{elements.DIM};{elements.CODE}"),
    )


def _batch(cards: Sequence[Card], now: float, *, moving: bool, shown: Html) -> list[Html]:
    waited = formatting.by_urgency(card for card in cards if formatting.is_open(card))
    crowd = len(cards) > FEW
    line = _compact if crowd else _detailed
    limit = MAX_LINES if crowd else FEW
    rest = waited[limit:]
    return [
        overview(cards, now, moving=moving),
        *(line(card, now, moving=moving) for card in waited[:limit]),
        elements.note(f"and {len(rest)} more {_what_they_do(rest)}" if rest else ""),
        *problems_html([card for card in cards if formatting.is_problem(card)]),
        shown,
    ]


def _what_they_do(cards: Sequence[Card]) -> str:
    running = any(card.task.status is Status.PROCESSING for card in cards)
    return "running or waiting" if running else "waiting"


def overview(cards: Sequence[Card], now: float, *, moving: bool = True) -> Html:
    """Return one line for all tasks, and a bar of their number while many of them run."""
    active = any(formatting.is_open(card) for card in cards)
    line = elements.row(
        el(
            "span",
            elements.dot(_colour_of_all(cards)),
            el("strong", html(formatting.counts(cards))),
        ),
        elements.dim(" · ".join(_totals(cards, now)), elements.RIGHT if active else elements.DIM),
    )
    if not active or not moving or len(cards) <= FEW:
        return el("div", line, style=_MEASURE if active else None)
    progress = el("div", _number_bar(cards), style="margin:5px 0 8px 0")
    return el("div", line, progress, style=_MEASURE)


def _colour_of_all(cards: Sequence[Card]) -> str:
    if any(formatting.is_open(card) for card in cards):
        return elements.BLUE
    good = sum(card.task.status is Status.SUCCESS for card in cards)
    return elements.GREEN if good == len(cards) else elements.AMBER if good else elements.RED


def _number_bar(cards: Sequence[Card]) -> Html:
    bad = sum(map(formatting.is_problem, cards))
    good = sum(not formatting.is_open(card) for card in cards) - bad
    saving = sum(map(formatting.is_saving, cards))
    busy = saving + sum(card.task.status is Status.PROCESSING for card in cards)
    segments = [
        (100 * good / len(cards), elements.GREEN, ""),
        (100 * bad / len(cards), elements.RED, ""),
        (100 * busy / len(cards), elements.BLUE, "opacity:0.55"),
    ]
    value = int(100 * (good + bad) / len(cards))
    return elements.track(segments, label=formatting.counts(cards), value=value)


def _bar_of(card: Card, now: float, width: str) -> Html:
    passed = formatting.elapsed(card.task, now)
    label = f"{card.task.request.model}: {formatting.state(card)}"
    return elements.bar(formatting.progress(card, now), passed, label=label, width=width)


def _state_text(card: Card, now: float) -> str:
    held = formatting.waiting(card.activity, now)
    return f"{formatting.state(card)} · {held}" if held else formatting.state(card)


def _detailed(card: Card, now: float, *, moving: bool) -> Html:
    line = elements.row(
        elements.model_name(card.task.request.model, elements.colour_of(card)),
        elements.dim(_state_text(card, now)),
        elements.dim(formatting.clock(card, now), elements.RIGHT),
    )
    progress = el("div", _bar_of(card, now, "100%"), style="margin:4px 0") if moving else Html("")
    below = el(
        "div",
        elements.prompt_line(card.task.request.prompt),
        elements.dim(card.task.task_id or "", f"{elements.RIGHT};{elements.CODE}"),
        style="display:flex;align-items:baseline;gap:12px",
    )
    return el("div", line, progress, below, style=f"margin:6px 0 10px 0;{_MEASURE}")


def _compact(card: Card, now: float, *, moving: bool) -> Html:
    progress = _bar_of(card, now, "48px") if moving else Html("")
    return el(
        "div",
        el("span", progress, style="flex:0 0 auto;align-self:center") if moving else Html(""),
        elements.model_name(card.task.request.model, None if moving else elements.colour_of(card)),
        elements.dim(_state_text(card, now)),
        elements.dim(
            formatting.seconds(formatting.elapsed(card.task, now), live=True), elements.RIGHT
        ),
        style=f"{elements.ROW};padding:1px 0;{_MEASURE}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One resource of a card in a gallery, with its captions."""

    card: Card
    media: Media
    captions: tuple[str, ...] = ()


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
        for i, item in enumerate(elements.media_of(card))
    ]


def _captions(card: Card, i: int, names: Sequence[str], *, show_prompt: bool) -> tuple[str, ...]:
    task, several = card.task, len(elements.media_of(card))
    known = formatting.caption(task, names) + ([f"{i + 1} of {several}"] if several > 1 else [])
    prompt = formatting.alternative(task) if show_prompt and task.request.prompt else ""
    return task.request.model, " · ".join(known), prompt


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
        elements.note(f"and {more} more that are not drawn here" if more else ""),
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
        elements.dim(facts),
        elements.dim(formatting.clip(prompt, 70)),
    ]
    picture = elements.media_html(tile.media, formatting.alternative(tile.card.task), box)
    shown = elements.well(picture, box if box == SMALL else 0)
    # Two to a row on a telephone; where calc() is not allowed, the width alone still holds.
    return elements.figure(tile.card.task, shown, lines, f"width:{box}px;max-width:calc(50% - 6px)")


def problems_html(cards: Sequence[Card]) -> list[Html]:
    """Return what went wrong, the same reason once for all the tasks that it stopped."""
    groups: dict[tuple[object, ...], list[Card]] = {}
    for card in cards:
        task = card.task
        groups.setdefault((task.status, task.error_code, task.error_message), []).append(card)
    shown = [_problem(group) for group in list(groups.values())[:MAX_PROBLEMS]]
    rest = sum(len(group) for group in list(groups.values())[MAX_PROBLEMS:])
    return [*shown, elements.note(f"and {rest} more with other reasons")] if rest else shown


def _problem(group: Sequence[Card]) -> Html:
    task = group[0].task
    message, hint = formatting.reason(task)
    count = f"{len(group)} " if len(group) > 1 else ""
    return el(
        "div",
        elements.row(
            elements.model_name(task.request.model) if len(group) == 1 else Html(""),
            el("strong", html(f"{count}{task.status}")),
            _ids(group),
        ),
        el("div", html(formatting.clip(message, 600), newlines=True), style="white-space:pre-wrap"),
        el("div", elements.ticked(hint), style=elements.DIM) if hint else Html(""),
        style=f"border-left:3px solid {elements.colour_of(group[0])};padding:1px 0 1px 10px;"
        "margin:10px 0",
    )


def _ids(group: Sequence[Card]) -> Html:
    ids = [card.task.task_id for card in group if card.task.task_id]
    more = f" and {len(ids) - MAX_IDS} more" if len(ids) > MAX_IDS else ""
    return elements.dim(", ".join(ids[:MAX_IDS]) + more, f"{elements.DIM};{elements.CODE}")


def cards_text(
    cards: Sequence[Card],
    now: float,
    *,
    width: int = WIDTH,
    stopped: str | None = None,
    lines: int = MAX_TEXT_LINES,
) -> str:
    """Return the tasks as ``text/plain``."""
    width = max(width, MIN_WIDTH)
    if not cards:
        return "no tasks"
    waited = formatting.by_urgency(card for card in cards if formatting.is_open(card))
    ended = [card for card in cards if not formatting.is_open(card)]
    out = [fit_line(_summary(cards, now), width)] if len(cards) > 1 else []
    for card in waited[:lines]:
        out += _open_lines(card, now, width)
    out += _and_more(len(waited) - lines, "waiting")
    for card in ended[:lines]:
        out += _ended_lines(card, width)
    out += _and_more(len(ended) - lines, "ended")
    out += [*wrap_lines(formatting.missing(cards), width), *wrap_lines(stopped or "", width)]
    return "\n".join(out)


def _and_more(count: int, what: str) -> list[str]:
    return [f"and {count} more {what}"] if count > 0 else []


def _summary(cards: Sequence[Card], now: float) -> str:
    return GAP.join([formatting.counts(cards), *_totals(cards, now)])


def _totals(cards: Sequence[Card], now: float) -> list[str]:
    """Return how long all of them took together, and what they cost, as far as it is known."""
    active = any(formatting.is_open(card) for card in cards)
    passed = formatting.seconds(formatting.span(cards, now), live=active)
    return [part for part in (passed, formatting.total_price(cards)) if part]


def _open_lines(card: Card, now: float, width: int) -> list[str]:
    """Return an open task on one line, and where that is too long, what it waits for below."""
    clock, held = formatting.clock(card, now), formatting.waiting(card.activity, now)
    parts = [
        card.task.request.model,
        formatting.state(card),
        _text_bar(formatting.progress(card, now)),
        clock,
    ]
    line = plain(GAP.join(part for part in [*parts, held] if part))
    if terminal_width(line) <= width:
        return [line]
    return [fit_line(GAP.join([*parts[:2], clock]), width), *wrap_lines(held, width, GAP)]


def _text_bar(part: float | None) -> str:
    if part is None:
        return ""
    filled = int(part * TEXT_BAR)
    return f"[{'#' * filled}{'.' * (TEXT_BAR - filled)}]"


def _ended_lines(card: Card, width: int) -> list[str]:
    task = card.task
    known = [task.request.model, str(task.status), *formatting.facts(card), task.task_id or ""]
    head = fit_line(GAP.join(part for part in known if part), width)
    if task.status is Status.SUCCESS:
        return [head, *_files(card, width)]
    message, hint = formatting.reason(task)
    return [head, *wrap_lines(message, width, GAP), *wrap_lines(hint, width, GAP)]


def _files(card: Card, width: int) -> list[str]:
    out: list[str] = []
    for item in elements.media_of(card):
        if item.path or not item.problem:
            out += [GAP + plain(item.path or item.url or item.kind)]
        else:
            out += wrap_lines(item.problem, width, GAP)
    return out
