"""Render the tasks of a cell as HTML, with a gallery, and as plain text; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from modellix_jupyter.html import elements, formatting
from modellix_jupyter.html.formatting import GAP, WIDTH, fit_line, terminal_width, wrap_lines
from modellix_jupyter.html.markup import NOTHING, Html, el, html, plain
from modellix_jupyter.values import Card, Media, Status

# With more tasks than this, one more bar shows how many have ended.
FEW = 8
MAX_PROBLEMS = 5
MAX_PICTURES = 24
MAX_IDS = 3
MAX_VALUES = 6
FEW_TILES = 3
# Tiles on a line of a run with more of them, where all lines are then of one length.
ACROSS = (3, 4)
MAX_TEXT_TASKS = 8
MAX_TEXT = 2_000
# Columns of a bar in a terminal.
TEXT_BAR = 20

# Maximal pixels of the only picture of an output; embedded thumbnails have the same size.
LARGE = 512
# In pixels: minimal width of a tile, gap between tiles, maximal width of a tile in a small run.
TILE_PX, GAP_PX, WIDE_PX = 220, 12, 384
# Default limit of bytes of one output; media beyond it become text.
BUDGET = 2_000_000
# Bytes of a tile without its picture.
TILE = 1_200

# A wider line of text and numbers is hard to read.
_MEASURE = "max-width:640px"


def cards_html(
    cards: Sequence[Card],
    now: float,
    *,
    stopped: str | None = None,
    note: str | None = None,
    budget: int = BUDGET,
    reasons: bool = True,
) -> Html:
    """Return the tasks as ``text/html``, for a page that may keep only inline styles.

    `stopped` or `note` is shown below the pictures; `stopped` also removes the progress bars.
    Without `reasons`, failed tasks are shown without their errors: the cell raises them.
    """
    if not cards:
        return el("div", html("no tasks"), style=f"{elements.ROOT};{elements.DIM}")
    tiles, moving, several = tiles_of(cards), stopped is None, len(cards) > 1
    if len(tiles) == len(cards) == 1:
        body = [_single(tiles[0], now, moving=moving)]
    else:
        body = [
            overview(cards, now, moving=moving) if several else NOTHING,
            _facts_of_all(cards) if several or tiles else NOTHING,
            gallery(tiles, now, budget, moving=moving),
        ]
    return el(
        "div",
        *body,
        *problems_html([card for card in cards if formatting.is_problem(card)], reasons=reasons),
        elements.note(formatting.missing(cards)),
        elements.note(stopped or note or ""),
        data_mx_group=True,
        style=elements.ROOT,
    )


def _single(tile: Tile, now: float, *, moving: bool) -> Html:
    """Return the only result with its facts, as large as its thumbnail."""
    card, media = tile.card, tile.media
    lines = [elements.two_lines(card.task.request.prompt), elements.inputs(card.inputs)]
    lines.append(_one_line(card, now, in_frame=media is None))
    # The text in place of a picture already contains the path.
    path = (media.file or media.path) if media and media.src else None
    lines.append(elements.dim(path or "", f"{elements.DIM};font-size:11px"))
    if media is None:
        box = round(LARGE * min(formatting.ratio(card.task.request), 1))
    else:
        box = elements.fit(media, LARGE)[0] or LARGE
    shown = _content(tile, now, moving=moving)
    return elements.figure(card.task, shown, lines, f"max-width:{box}px")


def _one_line(card: Card, now: float, *, in_frame: bool) -> Html:
    """Return model, seed, seconds and price of a task; of an open task, what no frame says."""
    task = card.task
    known = [task.request.model, *formatting.settings_of(task, ("seed",))]
    if formatting.is_open(card):
        live = [] if in_frame else [_state_text(card, now), formatting.clock(card, now)]
        return elements.dotted([*known, *live])
    return elements.dotted([*known, *formatting.facts(card)])


def _facts_of_all(cards: Sequence[Card]) -> Html:
    """Return prompt and model if all cards share them, and the values that differ."""
    prompts = {card.task.request.prompt for card in cards}
    models = {card.task.request.model for card in cards}
    common = [*models] if len(models) == 1 else []
    names = _names(cards) if len(cards) > 1 else []
    if len(cards) == 1:
        common += [*formatting.settings_of(cards[0].task, ("seed",)), *formatting.facts(cards[0])]
    prompt = elements.two_lines(prompts.pop()) if len(prompts) == 1 else NOTHING
    differs = [f"{len(models)} models"] if len(models) > 1 else []
    differs += [f"{len(prompts)} prompts"] if len(prompts) > 1 else []
    differs += [f"{name}: {_values(cards, name)}" for name in names]
    began = elements.inputs(cards[0].inputs) if _same_inputs(cards) else NOTHING
    lines = (elements.dotted(common), elements.chips(differs))
    return el("div", prompt, began, *(el("div", line) for line in lines))


def _same_inputs(cards: Sequence[Card]) -> bool:
    return len({card.inputs for card in cards}) == 1


def _names(cards: Sequence[Card]) -> list[str]:
    """Return the parameters that differ, without media inputs: those are shown as pictures."""
    params = [card.task.request.params for card in cards]
    inputs = {
        name for each in params for name, value in each.items() if formatting.is_address(value)
    }
    return [name for name in formatting.varied(cards) if name not in inputs]


def _values(cards: Sequence[Card], name: str) -> str:
    """Return the distinct values of a parameter as text, shortened if there are many."""
    given = (card.task.request.params for card in cards)
    values = dict.fromkeys(formatting.value_of(p[name]) for p in given if name in p)
    return formatting.listed([formatting.clip(value, 40) for value in values], MAX_VALUES)


def overview(cards: Sequence[Card], now: float, *, moving: bool = True) -> Html:
    """Return one line about all tasks; while there are many and some are open, also a bar."""
    active = any(formatting.is_open(card) for card in cards)
    line = elements.row(
        el(
            "span",
            elements.dot(_colour_of_all(cards)),
            el("strong", html(formatting.counts(cards))),
        ),
        elements.dim(" · ".join(_totals(cards, now)), elements.RIGHT if active else elements.DIM),
    )
    shown = active and moving and len(cards) > FEW
    progress = el("div", _number_bar(cards), style="margin:5px 0 8px 0") if shown else NOTHING
    return el("div", line, progress, style=_MEASURE if active else None)


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


def _state_text(card: Card, now: float) -> str:
    held = formatting.waiting(card.activity, now)
    return f"{formatting.state(card)} · {held}" if held else formatting.state(card)


class Tile(NamedTuple):
    """A resource of a card, or a card without any, and its captions in a gallery."""

    card: Card
    key: str = ""
    media: Media | None = None
    captions: tuple[Html, ...] = ()


def tiles_of(cards: Sequence[Card]) -> list[Tile]:
    """Return a tile for each resource, and one for each task without any; none for failed tasks."""
    names = _names(cards)
    many = len({card.task.request.prompt for card in cards}) > 1
    models = len({card.task.request.model for card in cards}) > 1
    inputs = not _same_inputs(cards)
    out = []
    for card in (card for card in cards if not formatting.is_problem(card)):
        task = card.task
        model = task.request.model.rpartition("/")[2] if models else ""
        captions = (
            elements.two_lines(task.request.prompt) if many else NOTHING,
            elements.inputs(card.inputs) if inputs else NOTHING,
            elements.chips([model, *formatting.settings_of(task, names)]),
        )
        facts = [formatting.seconds(task.elapsed_s), formatting.price(task)]
        for key, item, number in elements.shown_of(card) or [elements.Shown()]:
            last = elements.dotted([*facts, number])
            out.append(Tile(card=card, key=key, media=item, captions=(*captions, last)))
            facts = []  # only below the first
    return out


def gallery(
    tiles: Sequence[Tile], now: float, budget: int = BUDGET, *, moving: bool = True
) -> Html:
    """Return the tiles side by side, in as many columns as fit and make full lines."""
    if not tiles:
        return NOTHING
    if len(tiles) > MAX_PICTURES:  # ended tasks first; within each group the order stays
        tiles = sorted(tiles, key=lambda tile: formatting.is_open(tile.card))
    shown = affordable(tiles[:MAX_PICTURES], budget)
    more = len(tiles) - len(shown)
    across = _across(shown)
    widest = across * (WIDE_PX + GAP_PX)
    # a few pictures are large, many are small; at least two fit on a line, even on a phone
    column = WIDE_PX * 3 // 4 if len(shown) <= FEW_TILES else TILE_PX
    share = f"{100 / across:.4g}% - {GAP_PX}px"
    columns = f"repeat(auto-fill,minmax(max(130px,min({column}px,46%),{share}),1fr))"
    contents = [(tile, _content(tile, now, moving=moving)) for tile in shown]
    return el(
        "div",
        el(
            "div",
            *(elements.figure(tile.card.task, each, tile.captions) for tile, each in contents),
            style=f"display:grid;grid-template-columns:{columns};gap:{GAP_PX + 4}px {GAP_PX}px;"
            f"align-items:start;max-width:{widest}px;margin-top:10px",
        ),
        elements.note(f"and {more} more that are not drawn here" if more else ""),
    )


def _across(tiles: Sequence[Tile]) -> int:
    """Return how many stand on a line at most: a line for each prompt, else lines of one length."""
    count = len(tiles)
    models = len({tile.card.task.request.model for tile in tiles})
    choices = (models, *reversed(ACROSS)) if models in ACROSS else reversed(ACROSS)
    fitting = (each for each in choices if count > ACROSS[-1] and count % each == 0)
    return next(fitting, count)


def affordable(tiles: Sequence[Tile], budget: int) -> list[Tile]:
    """Return the tiles that fit into a budget of bytes; media that are too large become text."""
    kept: list[Tile] = []
    inputs = (len(media.src or "") for tile in tiles for media in tile.card.inputs)
    remaining = budget - TILE * len(tiles) - sum(inputs)
    for tile in tiles[: max(budget // TILE, 1)]:
        weight = len(tile.media.src or "") if tile.media else 0
        fits = weight <= remaining
        remaining -= weight if fits else 0
        light = tile.media if fits or not tile.media else replace(tile.media, src=None)
        kept.append(tile._replace(media=light))
    return kept


def _content(tile: Tile, now: float, *, moving: bool) -> Html:
    """Return the picture, or a frame of its shape that shows the progress of the task."""
    card, item = tile.card, tile.media
    if item is not None:
        return elements.media_html(item, formatting.alternative(card.task), LARGE, tile.key)
    shape = formatting.shape(card.task.request)
    if not formatting.is_open(card):
        return elements.frame(shape, [html("No files came with it.")])
    label = f"{card.task.request.model}: {formatting.state(card)}"
    passed = formatting.elapsed(card.task, now)
    progress = elements.bar(formatting.progress(card, now), passed, label=label)
    lines = [
        el("div", elements.dot(elements.colour_of(card)), html(_state_text(card, now))),
        elements.dim(formatting.clock(card, now)),
    ]
    return elements.frame(shape, lines, progress if moving else NOTHING)


def problems_html(cards: Sequence[Card], *, reasons: bool = True) -> list[Html]:
    """Return the errors of the tasks; tasks with the same error share one entry."""
    groups: dict[tuple[object, ...], list[Card]] = {}
    for card in cards:
        task = card.task
        groups.setdefault((task.status, task.error_code, task.error_message), []).append(card)
    shown = [_problem(group, reasons=reasons) for group in list(groups.values())[:MAX_PROBLEMS]]
    rest = sum(len(group) for group in list(groups.values())[MAX_PROBLEMS:])
    return [*shown, elements.note(f"and {rest} more with other reasons")] if rest else shown


def _problem(group: Sequence[Card], *, reasons: bool) -> Html:
    task = group[0].task
    message, hint = formatting.reason(task) if reasons else ("", "")
    message = message[:1].upper() + message[1:]
    models = {card.task.request.model for card in group}
    count = f"{len(group)} " if len(group) > 1 else ""
    ids = [card.task.task_id for card in group if card.task.task_id]
    return el(
        "div",
        elements.row(
            elements.model_name(task.request.model) if len(models) == 1 else NOTHING,
            el("strong", html(f"{count}{task.status}")),
            elements.dim(formatting.listed(ids, MAX_IDS), f"{elements.DIM};{elements.CODE}"),
        ),
        el("div", html(formatting.clip(message, 600), newlines=True), style="white-space:pre-wrap")
        if message
        else NOTHING,
        el("div", elements.ticked(hint), style=elements.DIM) if hint else NOTHING,
        style=f"border-left:3px solid {elements.colour_of(group[0])};padding:1px 0 1px 10px;"
        "margin:10px 0",
    )


def cards_text(
    cards: Sequence[Card], now: float, *, stopped: str | None = None, reasons: bool = True
) -> str:
    """Return the tasks as ``text/plain``; see `cards_html`."""
    if not cards:
        return "no tasks"
    # The task that ends next is on top; one that is being saved has already ended at the service.
    order = (Status.PROCESSING, Status.PENDING, Status.SUBMITTING)
    waited = [card for card in cards if formatting.is_saving(card)]
    waited += [card for status in order for card in cards if card.task.status is status]
    ended = [card for card in cards if not formatting.is_open(card)]
    summary = GAP.join([formatting.counts(cards), *_totals(cards, now)])
    out = [fit_line(summary)] if len(cards) > 1 else []
    for shown, what in ((waited, "waiting"), (ended, "ended")):
        for card in shown[:MAX_TEXT_TASKS]:
            out += (
                _open_lines(card, now) if what == "waiting" else _ended_lines(card, reasons=reasons)
            )
        if len(shown) > MAX_TEXT_TASKS:
            out.append(f"and {len(shown) - MAX_TEXT_TASKS} more {what}")
    return "\n".join([*out, *wrap_lines(formatting.missing(cards)), *wrap_lines(stopped or "")])


def _totals(cards: Sequence[Card], now: float) -> list[str]:
    """Return the total time, the time left and the total price, as far as they are known."""
    active = any(formatting.is_open(card) for card in cards)
    passed = formatting.seconds(formatting.span(cards, now), live=active)
    parts = (passed, formatting.left(cards), formatting.total_price(cards))
    return [part for part in parts if part]


def _open_lines(card: Card, now: float) -> list[str]:
    """Return an open task on one line; if that is too long, its reason to wait is below."""
    clock, held = formatting.clock(card, now), formatting.waiting(card.activity, now)
    parts = [
        card.task.request.model,
        formatting.state(card),
        _text_bar(formatting.progress(card, now)),
        clock,
    ]
    line = plain(GAP.join(part for part in [*parts, held] if part))
    if terminal_width(line) <= WIDTH:
        return [line]
    return [fit_line(GAP.join([*parts[:2], clock])), *wrap_lines(held, GAP)]


def _text_bar(part: float | None) -> str:
    if part is None:
        return ""
    return f"[{'#' * int(part * TEXT_BAR):.<{TEXT_BAR}}]"


def _ended_lines(card: Card, *, reasons: bool) -> list[str]:
    task = card.task
    known = [task.request.model, str(task.status), *formatting.facts(card), task.task_id or ""]
    head = fit_line(GAP.join(part for part in known if part))
    if task.status is Status.SUCCESS:
        return [head, *_files(card)]
    message, hint = formatting.reason(task) if reasons else ("", "")
    return [head, *wrap_lines(message, GAP), *wrap_lines(hint, GAP)]


def _files(card: Card) -> list[str]:
    out: list[str] = []
    for item in elements.media_of(card):
        if item.text is not None:
            out += wrap_lines(formatting.clip(item.text, MAX_TEXT), GAP)
        if item.path or not item.problem:
            out += [GAP + plain(item.path or item.url or item.kind)]
        else:
            out += wrap_lines(item.problem, GAP)
    return out
