"""When to try again, and after how long: numbers in, a number or a refusal out.

The rules are the API's own table of errors:

===== ==================================================================
400   never; nor 401, 402, 404 and any other refusal
429   when ``X-RateLimit-Reset`` or ``Retry-After`` says, else 1, 2, 4 s and so on, to a deadline;
      one that asks for less than a second is believed three times
500   at most three times, after 1, 2 and 4 s
503   after 1, 2, 4 s and so on, to a deadline
===== ==================================================================

A connection that was never made is tried again like a 500, because nothing was sent. "Three times"
counts failures of one kind: a 500 after many a 429 is still the first 500. The delay goes by all of
them, since each says that the service is not well. Silence and
undocumented answers are tried again for reads only: a submission that got one may have been
accepted, and is paid.

By hand rather than by stamina, whose schedule is one for all failures, while here each answer has
its own and a header may overrule it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from modellix_jupyter.errors import (
    ApiError,
    ConnectFailed,
    ModellixError,
    RateLimited,
    ServerError,
    TransportError,
    Unavailable,
)

LONGEST_S = 300.0
"""No single wait is longer, whatever a header claims, in seconds."""
LONGEST_BACKOFF_S = 30.0
"""Where exponential backoff stops growing, in seconds."""
FEW = 3
"""Retries of a 500 ("retry up to 3 times"), and of a connection that was never made."""
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Try again after `delay` seconds; `attempt` is the number of the try to come.

    `of` is how many there will be at most, or None where only the deadline counts.
    """

    delay: float
    reason: str
    attempt: int
    of: int | None = None


def backoff(attempt: int, *, jitter: float = 0.0) -> float:
    """Return the delay after the given attempt: 1, 2, 4 ... seconds, at most 30.

    Parameters
    ----------
    attempt
        The one that failed, counted from 1.
    jitter
        From 0 to 1: up to half as much again, so that many clients do not return as one.

    """
    return min(2.0 ** min(attempt - 1, 30), LONGEST_BACKOFF_S) * (1 + jitter / 2)


def pause(  # noqa: PLR0913 - what the rules go by
    error: ModellixError,
    *,
    attempt: int,
    left_s: float,
    paid: bool,
    alike: int | None = None,
    hint_s: float | None = None,
    jitter: float = 0.0,
) -> Pause | None:
    """Return how to go on after a failure, or None to give up.

    Parameters
    ----------
    error
        What the attempt ended in.
    attempt
        Its number, counted from 1.
    left_s
        Seconds until the deadline; a pause that would pass it is not begun.
    paid
        Whether the request may cost money.
    alike
        How many attempts ended in an error of this kind, with this one; all, where it is not given.
    hint_s
        What the answer's headers asked for: see `reset_hint`.
    jitter
        From 0 to 1.

    """
    alike = attempt if alike is None else alike
    if isinstance(error, ServerError):
        return _few(attempt, alike, "server error", left_s)
    if isinstance(error, ConnectFailed):
        return _few(attempt, alike, "no connection", left_s)
    if isinstance(error, RateLimited) or (is_429(error) and not paid):
        asked = _asked(hint_s, alike)
        delay = backoff(attempt, jitter=jitter) if asked is None else asked
        return _until(left_s, Pause(delay, "rate limited", attempt + 1))
    if isinstance(error, Unavailable):
        return _until(left_s, Pause(backoff(attempt, jitter=jitter), "unavailable", attempt + 1))
    if isinstance(error, TransportError) and not paid:
        return _until(left_s, Pause(backoff(attempt, jitter=jitter), "no answer", attempt + 1))
    return None


def is_429(error: ModellixError) -> bool:
    """Whether it is a 429 in any form: a proxy's has a body of its own."""
    return isinstance(error, ApiError) and error.code == RateLimited.status


def _asked(hint_s: float | None, alike: int) -> float | None:
    """Return what a header asks for; a reset that is always now must not become a loop."""
    if hint_s is None or (hint_s < 1 and alike > FEW):
        return None
    return min(hint_s, LONGEST_S)


def _few(attempt: int, alike: int, reason: str, left_s: float) -> Pause | None:
    if alike > FEW:
        return None
    of = attempt + FEW + 1 - alike  # if all that are to come end like this one
    return _until(left_s, Pause(backoff(min(attempt, FEW)), reason, attempt + 1, of))


def _until(left_s: float, candidate: Pause) -> Pause | None:
    return candidate if candidate.delay <= left_s else None


def reset_hint(headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds a 429 asks to wait, or None where it says nothing credible.

    The unit of ``X-RateLimit-Reset`` is not documented. A number that reads as a time in the next
    day is an epoch, in seconds or milliseconds; one of at most a day is seconds from now; anything
    else (the past, a year ahead, text) is ignored. The longer of it and ``Retry-After`` counts.

    Parameters
    ----------
    headers
        With names in lower case, or any mapping that ignores case.
    now
        Seconds since the epoch.

    """
    hints = (
        _reset(headers.get("x-ratelimit-reset", ""), now),
        _retry_after(headers.get("retry-after", ""), now),
    )
    known = [hint for hint in hints if hint is not None]
    return max(known) if known else None


def _reset(text: str, now: float) -> float | None:
    value = _finite(text)
    if value is None or value < 0:
        return None
    if value <= _DAY_S:
        return value
    for seconds in (value, value / 1000):
        if 0 <= seconds - now <= _DAY_S:
            return seconds - now
    return None


def _retry_after(text: str, now: float) -> float | None:
    value = _finite(text)
    if value is not None:
        return value if 0 <= value <= _DAY_S else None
    try:
        moment = parsedate_to_datetime(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        delay = aware.timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return delay if 0 <= delay <= _DAY_S else None


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
