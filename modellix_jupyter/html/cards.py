"""The output of a cell as HTML and as text: a function of the state of its tasks."""

from __future__ import annotations

from collections.abc import Sequence

from modellix_jupyter.html import formatting, style
from modellix_jupyter.html.formatting import GAP, WIDTH, fit_line, terminal_width, wrap_lines
from modellix_jupyter.html.markup import Html, el, html, plain
from modellix_jupyter.html.picture import (
    BUDGET,
    LARGE,
    fallback,
    gallery,
    media_html,
    media_of,
    tiles_of,
)
from modellix_jupyter.values import Card, Status

FEW = 8
"""Up to so many tasks, each has a bar of its own; above, they share one."""
MAX_LINES = 6
MAX_PROBLEMS = 5
MAX_PICTURES = 24
MAX_IDS = 3
MAX_TEXT_LINES = 8
MIN_WIDTH, TEXT_BAR = 20, 20
"""Columns of the narrowest terminal and of a bar in it."""

_MEASURE = "max-width:640px"
"""How wide a line of text and numbers may be before the eye loses it."""


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
        return el("div", html("no tasks"), style=f"{style.ROOT};{style.DIM}")
    body = _single if len(cards) == 1 else _batch
    shown = gallery(tiles_of(cards), pictures, budget)
    return el(
        "div",
        *body(cards, now, moving=stopped is None, shown=shown),
        style.note(formatting.missing(cards)),
        style.note(stopped or ""),
        style=style.ROOT,
    )


def _single(cards: Sequence[Card], now: float, *, moving: bool, shown: Html) -> list[Html]:
    card = cards[0]
    if formatting.is_problem(card):
        return problems_html(cards)
    if formatting.is_open(card):
        return [_detailed(card, now, moving=moving), shown if card.media else Html("")]
    media = media_of(card)
    if len(media) != 1:
        return [_headline(card), shown]
    return [_headline(card), _large(card)]


def _large(card: Card) -> Html:
    item = media_of(card)[0]
    picture = media_html(item, formatting.alternative(card.task), LARGE)
    # The text in place of a picture has the path already.
    path = "" if picture == fallback(item) else item.path or ""
    return el(
        "div",
        el("div", picture, style=f"max-width:{LARGE}px;margin:8px 0 4px 0"),
        style.dim(path, f"{style.DIM};{style.CODE}"),
    )


def _headline(card: Card) -> Html:
    task = card.task
    known = [str(task.status), *formatting.facts(card)]
    if not task.resources:
        known.append("no files came with it")
    return style.row(
        style.model_name(task.request.model, style.colour_of(card)),
        style.dotted(known),
        style.dim(task.task_id or "", f"{style.DIM};{style.CODE}"),
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
        style.note(f"and {len(rest)} more {_what_they_do(rest)}" if rest else ""),
        *problems_html([card for card in cards if formatting.is_problem(card)]),
        shown,
    ]


def _what_they_do(cards: Sequence[Card]) -> str:
    running = any(card.task.status is Status.PROCESSING for card in cards)
    return "running or waiting" if running else "waiting"


def overview(cards: Sequence[Card], now: float, *, moving: bool = True) -> Html:
    """Return one line for all tasks, and a bar of their number while many of them run."""
    active = any(formatting.is_open(card) for card in cards)
    known = [
        formatting.seconds(formatting.span(cards, now), live=active),
        formatting.total_price(cards),
    ]
    line = style.row(
        el("span", style.dot(_colour_of_all(cards)), el("strong", html(formatting.counts(cards)))),
        style.dim(" · ".join(part for part in known if part), style.RIGHT if active else style.DIM),
    )
    if not active or not moving or len(cards) <= FEW:
        return el("div", line, style=_MEASURE if active else None)
    progress = el("div", _number_bar(cards), style="margin:5px 0 8px 0")
    return el("div", line, progress, style=_MEASURE)


def _colour_of_all(cards: Sequence[Card]) -> str:
    if any(formatting.is_open(card) for card in cards):
        return style.BLUE
    good = sum(card.task.status is Status.SUCCESS for card in cards)
    return style.GREEN if good == len(cards) else style.AMBER if good else style.RED


def _number_bar(cards: Sequence[Card]) -> Html:
    def share(picked: list[bool]) -> float:
        return 100 * sum(picked) / len(cards)

    good = share(
        [not formatting.is_open(card) and not formatting.is_problem(card) for card in cards]
    )
    bad = share([formatting.is_problem(card) for card in cards])
    busy = share(
        [card.task.status is Status.PROCESSING or formatting.is_saving(card) for card in cards]
    )
    return style.track(
        [(good, style.GREEN, ""), (bad, style.RED, ""), (busy, style.BLUE, "opacity:0.55")],
        label=formatting.counts(cards),
        value=int(good + bad),
    )


def _bar_of(card: Card, now: float, width: str) -> Html:
    passed = formatting.elapsed(card.task, now)
    label = f"{card.task.request.model}: {formatting.state(card)}"
    return style.bar(formatting.progress(card, now), passed, label=label, width=width)


def _state_text(card: Card, now: float) -> str:
    held = formatting.waiting(card.activity, now)
    return f"{formatting.state(card)} · {held}" if held else formatting.state(card)


def _detailed(card: Card, now: float, *, moving: bool) -> Html:
    line = style.row(
        style.model_name(card.task.request.model, style.colour_of(card)),
        style.dim(_state_text(card, now)),
        style.dim(formatting.clock(card, now), style.RIGHT),
    )
    progress = el("div", _bar_of(card, now, "100%"), style="margin:4px 0") if moving else Html("")
    below = el(
        "div",
        style.prompt_line(card.task.request.prompt),
        style.dim(card.task.task_id or "", f"{style.RIGHT};{style.CODE}"),
        style="display:flex;align-items:baseline;gap:12px",
    )
    return el("div", line, progress, below, style=f"margin:6px 0 10px 0;{_MEASURE}")


def _compact(card: Card, now: float, *, moving: bool) -> Html:
    progress = _bar_of(card, now, "48px") if moving else Html("")
    return el(
        "div",
        el("span", progress, style="flex:0 0 auto;align-self:center") if moving else Html(""),
        style.model_name(card.task.request.model, None if moving else style.colour_of(card)),
        style.dim(_state_text(card, now)),
        style.dim(formatting.seconds(formatting.elapsed(card.task, now), live=True), style.RIGHT),
        style=f"{style.ROW};padding:1px 0;{_MEASURE}",
    )


def problems_html(cards: Sequence[Card]) -> list[Html]:
    """Return what went wrong, the same reason once for all the tasks that it stopped."""
    groups: dict[tuple[object, ...], list[Card]] = {}
    for card in cards:
        task = card.task
        groups.setdefault((task.status, task.error_code, task.error_message), []).append(card)
    shown = [_problem(group) for group in list(groups.values())[:MAX_PROBLEMS]]
    rest = sum(len(group) for group in list(groups.values())[MAX_PROBLEMS:])
    return [*shown, style.note(f"and {rest} more with other reasons")] if rest else shown


def _problem(group: Sequence[Card]) -> Html:
    task = group[0].task
    message, hint = formatting.reason(task)
    count = f"{len(group)} " if len(group) > 1 else ""
    return el(
        "div",
        style.row(
            style.model_name(task.request.model) if len(group) == 1 else Html(""),
            el("strong", html(f"{count}{task.status}")),
            _ids(group),
        ),
        el("div", html(formatting.clip(message, 600), newlines=True), style="white-space:pre-wrap"),
        el("div", style.ticked(hint), style=style.DIM) if hint else Html(""),
        style=f"border-left:3px solid {style.colour_of(group[0])};padding:1px 0 1px 10px;"
        "margin:10px 0",
    )


def _ids(group: Sequence[Card]) -> Html:
    ids = [card.task.task_id for card in group if card.task.task_id]
    more = f" and {len(ids) - MAX_IDS} more" if len(ids) > MAX_IDS else ""
    return style.dim(", ".join(ids[:MAX_IDS]) + more, f"{style.DIM};{style.CODE}")


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
    active = any(formatting.is_open(card) for card in cards)
    passed = formatting.seconds(formatting.span(cards, now), live=active)
    known = [formatting.counts(cards), passed, formatting.total_price(cards)]
    return GAP.join(part for part in known if part)


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
    for item in media_of(card):
        if item.path or not item.problem:
            out += [GAP + plain(item.path or item.url or item.kind)]
        else:
            out += wrap_lines(item.problem, width, GAP)
    return out
