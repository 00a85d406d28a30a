"""Tasks as the page gets them: a list of items, runs under headings, and a card for each item."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from modellix_jupyter.html import formatting
from modellix_jupyter.values import Card, Resource, Status, Task, number, service_of

# The most characters of a prompt in a card; the viewer shows all of it.
MAX_PROMPT = 600
# The most pictures of one request for which room is kept before they are made.
MAX_EXPECTED = 10
_DIGITS = 6
# The most small pictures of inputs on a tile.
_INPUTS_SHOWN = 2
# Parameters for the number of pictures, in lower case and without underscores.
_COUNTS = ("n", "numimages", "numberofimages", "imagecount", "numoutputs", "samplecount")
_WORDS = {
    Status.SUBMITTING: ("queued", "queued"),
    Status.PENDING: ("queued", "queued"),
    Status.PROCESSING: ("running", "running"),
    Status.UNKNOWN: ("unknown", "unknown"),
    Status.REJECTED: ("failed", "refused"),
    Status.FAILED: ("failed", "failed"),
    Status.EXPIRED: ("failed", "expired"),
    Status.SUCCESS: ("done", "done"),
}
_INPUTS = frozenset({"image", "video", "audio"})
UNKNOWN_NOTE = "No readable answer: it may have been accepted and charged."


class Item(NamedTuple):
    """One result of a task, or the place that is kept for it."""

    uid: str
    place: int = 0

    @property
    def key(self) -> str:
        """Its name in the page."""
        return f"{self.uid}/{self.place}"


def item_of(key: object) -> Item | None:
    """Return the item with a name that a page sent, or None if it is no such name."""
    uid, _, place = key.rpartition("/") if isinstance(key, str) else ("", "", "")
    fits = uid and place.isdecimal() and len(place) < _DIGITS
    return Item(uid, int(place)) if fits else None


@dataclass(frozen=True, slots=True)
class Listing:
    """Items in their order; if they have ratios they are tiles, and their groups have headings."""

    items: tuple[Item, ...] = ()
    ratios: tuple[float, ...] = ()
    groups: tuple[dict[str, Any], ...] = ()


def listing_of(runs: Iterable[Sequence[Task]], now: float) -> Listing:
    """Return the items of runs, each under a heading; neighbouring runs of one task share one."""
    items: list[Item] = []
    ratios: list[float] = []
    groups: list[dict[str, Any]] = []
    for alone, group in groupby(runs, key=lambda run: len(run) == 1):
        several = list(group)
        for run in [[run[0] for run in several]] if alone else several:
            groups.append({"start": len(items), **_heading(run, now, alone=alone)})
            for task in run:
                count = _expected(task)
                items += [Item(task.uid, index) for index in range(count)]
                ratios += [ratio_of(task, index) for index in range(count)]
    return Listing(tuple(items), tuple(ratios), tuple(groups))


def _heading(run: Sequence[Task], now: float, *, alone: bool) -> dict[str, Any]:
    cards = [Card(task=task) for task in run]
    made = max(task.created_at for task in run) // 1000
    if alone and len(run) > 1:
        title = f"{len(run)} single runs"
        price = formatting.total_price(cards)
        return {"title": title, "facts": price, "made": made, "longest": longest(run)}
    prompts = len({task.request.prompt for task in run})
    models = len({task.request.model for task in run})
    title = f"{_plural(prompts, 'prompt')} × {_plural(models, 'model')}"  # noqa: RUF001 - the sign
    live = any(map(formatting.is_open, cards))
    time = formatting.seconds(formatting.span(cards, now), live=live)
    facts = formatting.counts(cards), time, formatting.total_price(cards)
    said = " · ".join(filter(None, facts))
    return {"title": title, "facts": said, "made": made, "longest": longest(run)}


def longest(tasks: Iterable[Task]) -> int:
    """Return how many columns the longest prompt takes at most; it is asked for often."""
    prompts = (task.request.prompt or "" for task in tasks)
    return max((len(text) * (1 if text.isascii() else 2) for text in prompts), default=0)


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _expected(task: Task) -> int:
    """Return how many results a task has, or how many its request asks for."""
    if task.status.ended:
        return max(1, len(task.resources))
    params = formatting.plain_params(task.request)
    count = next((number(params[name]) for name in _COUNTS if name in params), None)
    return min(MAX_EXPECTED, max(1, int(count or 1)))


def ratio_of(task: Task, index: int) -> float:
    """Return the ratio of a result's width to its height, or before it exists, the expected one."""
    if index < len(task.resources):
        resource = task.resources[index]
        if resource.width and resource.height:
            return round(resource.width / resource.height, 4)
    return round(formatting.ratio(task.request), 4)


# -- one card


def page_card(
    card: Card,
    item: Item,
    *,
    watched: bool,
    origin: str,
    names: Sequence[str] = (),
    now: float,
) -> dict[str, Any]:
    """Return a card for the page; every text in it is plain text.

    `origin` is the service in use: a task of another service cannot be sent to it.
    """
    task = card.task
    elsewhere = "" if task.service == service_of(origin) else task.service
    resource = task.resources[item.place] if item.place < len(task.resources) else None
    state, word, note = _state(card, resource, watched=watched, now=now)
    began = task.submitted_at or task.created_at
    return {
        "key": item.key,
        "uid": task.uid,
        "state": state,
        "word": word,
        "note": note,
        "started": began / 1e6 if state in {"running", "queued", "held"} else None,
        "usual": card.usual_s if state == "running" else None,
        "prompt": formatting.clip(_one_line(task), MAX_PROMPT),
        "title": title_of(task),
        "alt": formatting.alternative(task),
        "facts": _facts(card, names, elsewhere),
        "model": " · ".join(filter(None, (task.request.model, elsewhere))),
        "seconds": formatting.seconds(task.elapsed_s),
        "price": formatting.cost(task),
        "made": task.created_at // 1000,
        "actions": _actions(task, resource, origin, watched=watched),
        "kind": (resource.type or "") if resource else "",
        "file": resource is not None and resource.path is not None,
        "inputs": [media.src for media in card.inputs[:_INPUTS_SHOWN] if media.src],
    }


def _one_line(task: Task) -> str:
    return " ".join((task.request.prompt or "").split())


def title_of(task: Task) -> str:
    """Return a task's model and the start of its prompt, on one line."""
    prompt = formatting.clip(_one_line(task), 60)
    return f"{task.request.model}: {prompt}" if prompt else task.request.model


def _state(
    card: Card, resource: Resource | None, *, watched: bool, now: float
) -> tuple[str, str, str]:
    """Return the state, its word and a note on it."""
    task = card.task
    state, word = _WORDS[task.status]
    if formatting.is_saving(card):
        return "running", "saving", formatting.waiting(card.activity, now)
    if task.status is Status.UNKNOWN:
        return state, word, UNKNOWN_NOTE
    if task.status.ended:
        problem = (resource.problem or "") if resource and not resource.path else ""
        return state, word, _sentences(*formatting.reason(task)) or problem
    if card.activity is not None:
        return "held", "waiting", formatting.waiting(card.activity, now)
    if card.held or not watched:
        where = "It was never sent, and" if card.held else "It goes on at the service;"
        return "held", "held" if card.held else "left", f"{where} nobody waits for it here."
    return state, "sending" if task.in_flight else word, ""


def _sentences(*texts: str) -> str:
    return " ".join(
        text if text.endswith((".", "!", "?")) else f"{text}." for text in texts if text
    )


def _facts(card: Card, names: Sequence[str], elsewhere: str = "") -> list[str]:
    """Return model, service if not in use, seed, differing parameters, seconds, price, user."""
    task = card.task
    model = task.request.model.rpartition("/")[2]
    settings = formatting.settings_of(task, names, 24)
    ended = formatting.seconds(task.elapsed_s), formatting.cost(task), formatting.by(task)
    return list(filter(None, [model, elsewhere, *settings, *ended]))


def _actions(
    task: Task, resource: Resource | None, origin: str, *, watched: bool
) -> list[tuple[str, str]]:
    """Return the name and the label of each action that a task has, the most urgent first.

    An action that costs comes last: a second click on an action that is gone cannot hit it.
    """
    open_, unknown = not task.is_final, task.status is Status.UNKNOWN
    accepted = not unknown and task.status is not Status.SUBMITTING
    stop = "Take back" if task.unsent else "Stop waiting"
    here = task.origin == origin
    again = task.service == service_of(origin)
    price = f", {formatting.money(task.price)}" if task.price else ""
    fitting = {
        ("stop", stop): open_ and not task.in_flight and (watched or task.unsent),
        ("take_up", "Take up again"): open_ and not watched and accepted and here,
        ("never", "It was never accepted"): unknown,
        ("open", "Open"): task.path is not None,
        ("input", "Use as input"): bool(resource and resource.path and resource.type in _INPUTS),
        ("use", "Use these settings"): True,
        ("again", "Run again"): task.status.ended and not unknown and again,
        ("send", f"Send it now{price}"): task.unsent and not watched and here,
    }
    return [action for action, fits in fitting.items() if fits]
