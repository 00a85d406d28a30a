"""Format the texts and numbers of a task, for HTML and for a terminal."""

from __future__ import annotations

import json
import math
import re
import textwrap
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from modellix_jupyter.html.markup import plain
from modellix_jupyter.values import (
    Activity,
    Card,
    Json,
    Price,
    Request,
    Status,
    Task,
    amount,
    to_datetime,
)

MINUTE = 60
HOUR = 3600
# Progress when the usual time is over; after it, the bar approaches AT_USUAL + TAIL.
AT_USUAL = 0.9
TAIL = 0.09
MAX_SETTINGS = 4
# Columns of a terminal.
WIDTH = 80
GAP = "  "

# Parameters with the aspect ratio of a result, as from `plain_name`; the largest ratio drawn.
_SHAPES = ("size", "imagesize", "resolution", "aspectratio", "ratio")
MAX_SHAPE = 4

_COUNTED = {
    Status.FAILED: "failed",
    Status.REJECTED: "rejected",
    Status.EXPIRED: "expired",
    Status.UNKNOWN: "of unknown outcome",
    Status.PROCESSING: "running",
    Status.PENDING: "pending",
    Status.SUBMITTING: "submitting",
}


def clip(text: str, limit: int) -> str:
    """Return at most `limit` characters, with an ellipsis if the text was cut."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def listed(texts: Sequence[str], limit: int) -> str:
    """Return the first texts and the number of the others: ``1, 2, 3 and 4 more``."""
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return f"{', '.join(texts[:limit])}{more}"


def seconds(value: float | None, *, live: bool = False) -> str:
    """Return a duration: ``7.4 s``, ``1 min 05 s``, ``2 h 03 min``; empty if unknown."""
    if value is None or not math.isfinite(value):
        return ""
    value = max(value, 0.0)
    if value >= HOUR:
        hours, rest = divmod(int(value), HOUR)
        return f"{hours} h {rest // MINUTE:02d} min"
    if round(value, 1) >= MINUTE:
        minutes, rest = divmod(round(value), MINUTE)
        return f"{minutes} min {rest:02d} s"
    return f"{int(value)} s" if live else f"{value:.1f} s"


def price_range(price: Price | None) -> str:
    """Return a price of the catalog with its unit; empty for None."""
    if price is None:
        return ""
    unit = (price.unit or "").removeprefix("per ")
    return money_range(price.low, price.high) + (f" / {unit}" if unit else "")


def money(value: float | None) -> str:
    """Return US dollars with two to four decimals."""
    return "" if value is None or not math.isfinite(value) else amount(value)


def money_range(low: float, high: float) -> str:
    """Return a range of amounts: ``$0.40 to 0.60``, or one amount if both are equal."""
    first, last = money(low), money(high)
    if not last:
        return f"from {first}"
    return first if first == last else f"{first} to {last.removeprefix('$')}"


def dimensions(width: int | None, height: int | None) -> str:
    """Return width and height, or an empty text if one of them is unknown."""
    return f"{width}×{height}" if width and height else ""  # noqa: RUF001 -- the sign, not an x


def plain_name(name: str) -> str:
    """Return a parameter's name in lower case, without underscores: models spell it differently."""
    return name.replace("_", "").lower()


def plain_params(request: Request) -> dict[str, Json]:
    """Return the parameters of a request by their plain names."""
    return {plain_name(name): value for name, value in request.params.items()}


_PAIR = re.compile(r"\s*(\d{1,5}(?:\.\d+)?)\s*[xX*\u00d7:/]\s*(\d{1,5}(?:\.\d+)?)\s*")


def shape(request: Request) -> str:
    """Return the requested aspect ratio for CSS; square if none is requested."""
    params = plain_params(request)
    sides = f"{params.get('width')}x{params.get('height')}"
    for text in (sides, *(str(params.get(name, "")) for name in _SHAPES)):
        found = _PAIR.fullmatch(text)
        if found and 1 / MAX_SHAPE <= float(found[1]) / (float(found[2]) or math.inf) <= MAX_SHAPE:
            return f"{found[1]}/{found[2]}"
    return "1/1"


def ratio(request: Request) -> float:
    """Return the requested width for a height of 1."""
    width, height = map(float, shape(request).split("/"))
    return width / height


def file_size(size: int | None) -> str:
    """Return a size in decimal units, as file managers show it."""
    if size is None:
        return ""
    power = min((len(str(size)) - 1) // 3, 3)
    return f"{size / 1000**power:.{min(power, 1)}f} {('B', 'kB', 'MB', 'GB')[power]}"


def is_saving(card: Card) -> bool:
    """Whether the task has ended and its files are being downloaded."""
    return card.task.status.ended and card.activity is not None and bool(card.task.missing)


def is_open(card: Card) -> bool:
    """Whether the task has not ended or its files are being downloaded."""
    return not card.task.status.ended or is_saving(card)


def is_problem(card: Card) -> bool:
    """Whether the task ended without success."""
    return card.task.status.ended and card.task.status is not Status.SUCCESS


def elapsed(task: Task, now: float) -> float:
    """Return the seconds since the task was submitted, or since it was created if not submitted."""
    return max(now - _start_us(task) / 1e6, 0.0)


def _start_us(task: Task) -> int:
    return task.created_at if task.submitted_at is None else task.submitted_at


def span(cards: Sequence[Card], now: float) -> float | None:
    """Return the seconds from the first submission to the last end, or to now if a task is open."""
    cards = [card for card in cards if card.task.reused_from is None] or cards
    starts = [_start_us(card.task) for card in cards]
    if any(is_open(card) for card in cards):
        return max(now - min(starts) / 1e6, 0.0)
    ends = [t for card in cards if (t := card.task.completed_at) is not None]
    return max((max(ends) - min(starts)) / 1e6, 0.0) if ends else None


def fraction(elapsed_s: float, usual_s: float | None) -> float | None:
    """Return the estimated progress of a task, below 1, or None if it is unknown."""
    if usual_s is None or not math.isfinite(usual_s) or usual_s <= 0:
        return None
    part = max(elapsed_s, 0.0) / usual_s
    return AT_USUAL * part if part <= 1 else AT_USUAL + TAIL * (1 - math.exp(1 - part))


def progress(card: Card, now: float) -> float | None:
    """Return the estimated progress of a card; 0 before it is sent."""
    if card.task.status is Status.SUBMITTING:
        return 0.0
    return fraction(elapsed(card.task, now), card.usual_s)


def waiting(activity: Activity | None, now: float) -> str:
    """Return what a task waits for: ``rate limited, goes on in 12 s, attempt 2 of 4``."""
    if activity is None:
        return ""
    parts = [activity.what]
    if activity.until is not None and math.isfinite(activity.until):
        left = math.ceil(activity.until - now)
        parts.append(f"goes on in {seconds(left, live=True)}" if left > 0 else "goes on now")
    if activity.attempt is not None:
        of = "" if activity.of is None else f" of {activity.of}"
        parts.append(f"attempt {activity.attempt}{of}")
    return ", ".join(part for part in parts if part)


def state(card: Card) -> str:
    """Return the state of a card in one or two words."""
    if card.held:
        return "held"
    return "done, saving" if is_saving(card) else str(card.task.status)


def clock(card: Card, now: float) -> str:
    """Return the elapsed time and the usual one: ``7 s (usually 20 s)``."""
    passed = seconds(elapsed(card.task, now), live=True)
    usual = seconds(card.usual_s, live=True)
    known = fraction(0, card.usual_s) == 0 and not is_saving(card)
    return f"{passed} (usually {usual})" if known and usual != "0 s" else passed


def counts(cards: Sequence[Card]) -> str:
    """Return ``12 of 500 done, 3 failed, 5 running, 480 waiting for a place (5 at once)``."""
    number = Counter(card.task.status for card in cards)
    queue, held, saving = _queue(cards), sum(c.held for c in cards), sum(map(is_saving, cards))
    number[Status.SUBMITTING] -= queue.total() + held
    parts = [f"{number[Status.SUCCESS]} of {len(cards)} done"]
    parts += [f"{number[status]} {word}" for status, word in _COUNTED.items() if number[status]]
    others = [*queue.items(), ("held", held), ("saving", saving)]
    return ", ".join([*parts, *(f"{count} {what}" for what, count in others if count)])


def _queue(cards: Sequence[Card]) -> Counter[str]:
    """Return the number of unsent cards for each reason to wait."""
    found: Counter[str] = Counter()
    until: dict[str, float] = {}
    for card in cards:
        activity = card.activity
        if card.task.unsent and activity and activity.what.startswith("waiting"):
            found[activity.what] += 1
            until[activity.what] = max(until.get(activity.what, 0.0), activity.until or 0.0)
    return Counter({f"{what}{_until(until[what])}": count for what, count in found.items()})


def _until(moment: float) -> str:
    if not 0 < moment < math.inf:
        return ""
    return f" until {time.strftime('%H:%M:%S', time.localtime(moment))}"


def left(cards: Sequence[Card]) -> str:
    """Return the time until all tasks have ended, if it is known: ``about 40 s left``."""
    known = [card.left_s for card in cards if not card.task.status.ended]
    if not known or None in known:
        return ""
    return f"about {seconds(max(s for s in known if s is not None), live=True)} left"


def price(task: Task) -> str:
    """Return the charge of a task, or else its price if it succeeded: a failed task may be free."""
    if task.reused_from:
        moment = to_datetime(task.submitted_at or task.created_at)
        return f"$0.00, reused from {moment:%Y-%m-%d %H:%M} UTC"
    return cost(task) if task.charged is None else f"{cost(task)} charged"


def cost(task: Task) -> str:
    """Return only the amount that `price` shows."""
    if task.reused_from:
        return money(0)
    if task.charged is not None:
        return money(task.charged)
    return money(task.price) if task.status is Status.SUCCESS else ""


def total_price(cards: Sequence[Card]) -> str:
    """Return the sum of the charges, and separately the prices of successes without a charge.

    Each service has its own sum: the sandbox's prices are not real money.
    """
    by_service: dict[str, list[Task]] = {}
    for card in cards:
        by_service.setdefault(card.task.service, []).append(card.task)
    sums = {service: _sum_of(tasks) for service, tasks in by_service.items()}
    if len(sums) == 1:
        return next(iter(sums.values()))
    return "; ".join(f"{service}: {total}" for service, total in sums.items() if total)


def _sum_of(tasks: Sequence[Task]) -> str:
    bills = [task.charged for task in tasks if task.charged is not None]
    charged = f"{money(math.fsum(bills))} charged" if bills else ""
    done = [t.price for t in tasks if t.charged is None and t.status is Status.SUCCESS]
    known = [price for price in done if price is not None and money(price)]
    price = money(math.fsum(known)) if known else ""
    if known and len(known) < len(done):
        price = f"{price} for {len(known)} of {len(done)}"
    elif price and bills:
        price = f"{price} for {len(done)} more"
    return ", ".join(part for part in (charged, price) if part)


def facts(card: Card) -> list[str]:
    """Return the facts of an ended task: seconds, size of the pictures, price and user."""
    task = card.task
    sizes = {dimensions(item.width, item.height) for item in card.media or task.resources}
    size = sizes.pop() if len(sizes) == 1 else ""
    return [part for part in (seconds(task.elapsed_s), size, price(task), by(task)) if part]


def by(task: Task) -> str:
    """Return the user of a task, if its ledger is shared."""
    return f"by {clip(task.user, 40)}" if task.user else ""


def value_of(value: object) -> str:
    """Return a parameter's value as it was typed: a text unchanged, anything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)


def is_address(value: object) -> bool:
    """Whether a parameter's value is the address of a file, or has one in it."""
    text = value_of(value)[:200]
    begins = ("http://", "https://", "data:")
    return text.startswith(begins) or any(f'"{begin}' in text for begin in begins)


def varied(cards: Sequence[Card]) -> tuple[str, ...]:
    """Return the parameters that distinguish cards: the seed, and those with several values."""
    seen: dict[str, set[str]] = {}
    for card in cards:
        for name, value in card.task.request.params.items():
            seen.setdefault(name, set()).add(value_of(value))
    several = [name for name, values in seen.items() if len(values) > 1 and name != "seed"]
    return tuple((["seed"] if "seed" in seen else []) + several)[:MAX_SETTINGS]


def settings_of(task: Task, names: Sequence[str], limit: int = 40) -> list[str]:
    """Return each of the named parameters with its value: ``seed 7``."""
    params = task.request.params
    return [f"{name} {clip(value_of(params[name]), limit)}" for name in names if name in params]


def reason(task: Task) -> tuple[str, str]:
    """Return the error message and the hint of a task; both are empty if there is no error."""
    error = task.error()
    if error is None:
        return "", ""
    who = f"{task.request.model} ({task.task_id or task.uid}) "
    message = error.message.removeprefix(who).removeprefix(f"{task.status}: ")
    return message.removeprefix(f"{task.request.model}: "), error.hint


def missing(cards: Sequence[Card]) -> str:
    """Return a note on files that are missing and not being downloaded, and what to do."""
    tasks = [card.task for card in cards if not is_open(card)]
    told = [t.error_message for t in tasks if t.status is Status.SUCCESS and t.error_message]
    notes = [_not_fetched(tasks), *(f"{reason}." for reason in dict.fromkeys(told))]
    return " ".join(note for note in notes if note)


def _not_fetched(tasks: Sequence[Task]) -> str:
    lacking = [task.resources[i] for task in tasks for i in task.missing]
    if not lacking:
        return ""
    files = "1 file is" if len(lacking) == 1 else f"{len(lacking)} files are"
    why = next((f": {one.problem.rstrip('.')}" for one in lacking if one.problem), "")
    return f"{files} not on this disk{why}. `%modellix resume` tries to fetch what is missing."


def alternative(task: Task) -> str:
    """Return the alternative text of a picture: the clipped prompt, or else the model."""
    prompt = task.request.prompt
    line = " ".join(prompt.split()) if prompt else ""
    return clip(line, 160) or f"made by {task.request.model}"


def terminal_width(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    return sum(_width_of(char) for char in text)


def _width_of(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def fit_line(text: str, width: int = WIDTH) -> str:
    """Return the text, safe for a terminal, in at most `width` columns."""
    text = plain(text)
    if terminal_width(text) <= width:
        return text
    ends = accumulate(map(_width_of, text))
    kept = sum(end < width for end in ends)  # one column is for the ellipsis
    return text[:kept].rstrip() + "…"


def wrap_lines(text: str, indent: str = "", width: int = WIDTH) -> list[str]:
    """Wrap the text into lines of at most `width` columns, each with the indent."""
    remaining = max(width - len(indent), 1)
    text = plain(text)
    # The standard wrapper counts characters, and wide ones take two columns.
    if terminal_width(text) > len(text):
        remaining = max(remaining // 2, 1)
    return [indent + line for line in textwrap.wrap(text, remaining)]
