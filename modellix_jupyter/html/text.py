"""The output of a cell as ``text/plain``, for terminals, logs and what cannot show a page."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

from modellix_jupyter.html import formatting
from modellix_jupyter.html.markup import plain
from modellix_jupyter.html.picture import media_of
from modellix_jupyter.values import Card, Status

WIDTH = 80
NARROWEST = 20
BAR = 20
MAX_LINES = 8
GAP = "  "


def cards_text(
    cards: Sequence[Card],
    now: float,
    *,
    width: int = WIDTH,
    stopped: str | None = None,
    lines: int = MAX_LINES,
) -> str:
    """Return the tasks as ``text/plain``.

    Parameters
    ----------
    cards
        The tasks of one cell, in their order.
    now
        Seconds since the epoch.
    width
        Columns of the terminal. A file's path and a URL are never cut, since they are to be copied.
    stopped
        Why nobody waits any more, in one sentence.
    lines
        How many tasks of each sort are shown at most.

    """
    width = max(width, NARROWEST)
    if not cards:
        return "no tasks"
    waited = formatting.by_urgency(card for card in cards if formatting.is_open(card))
    ended = [card for card in cards if not formatting.is_open(card)]
    out = [fit(_summary(cards, now), width)] if len(cards) > 1 else []
    for card in waited[:lines]:
        out += _open_lines(card, now, width)
    out += _and_more(len(waited) - lines, "waiting")
    for card in ended[:lines]:
        out += _ended_lines(card, width)
    out += _and_more(len(ended) - lines, "ended")
    out += [*wrap(formatting.missing(cards), width), *wrap(stopped or "", width)]
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
        _bar(formatting.progress(card, now)),
        clock,
    ]
    line = plain(GAP.join(part for part in [*parts, held] if part))
    if columns(line) <= width:
        return [line]
    return [fit(GAP.join([*parts[:2], clock]), width), *wrap(held, width, GAP)]


def _bar(part: float | None) -> str:
    if part is None:
        return ""
    filled = int(part * BAR)
    return f"[{'#' * filled}{'.' * (BAR - filled)}]"


def _ended_lines(card: Card, width: int) -> list[str]:
    task = card.task
    known = [task.request.model, str(task.status), *formatting.facts(card), task.task_id or ""]
    head = fit(GAP.join(part for part in known if part), width)
    if task.status is Status.SUCCESS:
        return [head, *_files(card, width)]
    message, hint = formatting.reason(task)
    return [head, *wrap(message, width, GAP), *wrap(hint, width, GAP)]


def _files(card: Card, width: int) -> list[str]:
    out: list[str] = []
    for item in media_of(card):
        if item.path or not item.problem:
            out += [GAP + plain(item.path or item.url or item.kind)]
        else:
            out += wrap(item.problem, width, GAP)
    return out


def columns(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    return sum(_columns_of(char) for char in text)


def _columns_of(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def fit(text: str, width: int) -> str:
    """Return the text, safe for a terminal, in at most so many columns."""
    text = plain(text)
    if columns(text) <= width:
        return text
    kept, used = "", 1  # one column is for the ellipsis
    for char in text:
        used += _columns_of(char)
        if used > width:
            break
        kept += char
    return kept.rstrip() + "…"


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Return the text as lines of at most so many columns, each after the indent."""
    room = max(width - len(indent), 1)
    text = plain(text)
    if columns(text) > len(text):  # the standard wrapper counts characters; wide ones take two
        room = max(room // 2, 1)
    return [indent + line for line in textwrap.wrap(text, room)]
