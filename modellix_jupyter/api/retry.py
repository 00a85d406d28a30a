"""When to retry a failed request, and after which pause.

The rules are the API's own table of errors:

===== =========================================================================================
400   never; nor 401, 402, 404 and any other refusal
429   when ``X-RateLimit-Reset`` or ``Retry-After`` says, else after 1, 2, 4 s and so on, up to a
      deadline; a header that asks for less than a second is believed three times. One that is
      about tasks at once: when a place is free
500   at most three times, after 1, 2 and 4 s
503   after 1, 2, 4 s and so on, up to a deadline
===== =========================================================================================

A connection that was never made is retried like a 500, because nothing was sent. "Three times"
counts failures of one kind: a 500 after several 429 is still the first 500. The delay grows with
all of them, since each says that the service is not well. Silence and undocumented answers are
retried for reads only: a submission that got one may have been accepted, and is paid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeGuard

from modellix_jupyter.errors import (
    ApiError,
    ConcurrencyLimited,
    ConnectFailed,
    ModellixError,
    RateLimited,
    ServerError,
    TransportError,
    Unavailable,
)
from modellix_jupyter.values import number

# The longest single pause, whatever a header claims, in seconds.
MAX_PAUSE_S = 300.0
# The longest pause of the exponential backoff, in seconds.
MAX_BACKOFF_S = 30.0
# Retries of a 500 ("retry up to 3 times"), and of a failed connection.
MAX_RETRIES = 3
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Attempt `attempt` follows after `delay` seconds; `of` is the last one, or None."""

    delay: float
    reason: str
    attempt: int
    of: int | None = None


def backoff(attempt: int, *, jitter: float = 0.0) -> float:
    """Return 1, 2, 4 ... 30 seconds for attempt 1, 2, 3 ...; a jitter of 1 adds half of it."""
    return min(2.0 ** min(attempt - 1, 30), MAX_BACKOFF_S) * (1 + jitter / 2)


def pause(
    error: ModellixError,
    *,
    attempt: int,
    left_s: float,
    paid: bool,
    alike: int | None = None,
    jitter: float = 0.0,
) -> Pause | None:
    """Return the pause after a failed attempt, or None to give up.

    `alike` counts the attempts that failed with this kind of error, `left_s` is the time until the
    deadline, and `paid` says that the request may cost money.
    """
    alike = attempt if alike is None else alike
    found: Pause | None = None
    if isinstance(error, ServerError):
        found = _few(attempt, alike, "server error")
    elif isinstance(error, ConnectFailed):
        found = _few(attempt, alike, "no connection")
    elif isinstance(error, RateLimited) or (is_429(error) and not paid):
        # a place becomes free when a task ends, which no header announces
        hint = None if isinstance(error, ConcurrencyLimited) else _credible_hint(error, alike)
        delay = backoff(attempt, jitter=jitter) if hint is None else hint
        found = Pause(delay, "rate limited", attempt + 1)
    elif isinstance(error, Unavailable):
        found = Pause(backoff(attempt, jitter=jitter), "unavailable", attempt + 1)
    elif isinstance(error, TransportError) and not paid:
        found = Pause(backoff(attempt, jitter=jitter), "no answer", attempt + 1)
    return found if found and found.delay <= left_s else None


def hold_s(error: ModellixError, retried: Pause | None) -> float | None:
    """Return how long a 429, in any form, holds back all requests, in seconds."""
    if not is_429(error) or isinstance(error, ConcurrencyLimited):
        return None
    if retried is not None:
        return retried.delay
    return backoff(1) if error.hint_s is None else min(error.hint_s, MAX_PAUSE_S)


def is_429(error: ModellixError) -> TypeGuard[ApiError]:
    """Whether an error is a 429, documented or not: a proxy's has another body."""
    return isinstance(error, ApiError) and error.code == RateLimited.status


def named(error: ApiError, headers: Mapping[str, str]) -> ApiError:
    """Return a 429 as the error for too many tasks at once, if it is one.

    The message tells; if it does not, remaining requests do.
    """
    if not isinstance(error, RateLimited):
        return error
    message, remaining = error.message.lower(), number(headers.get("x-ratelimit-remaining", ""))
    places = "concurren" in message or ("rate limit" not in message and (remaining or 0) > 0)
    if not places:
        return error
    return ConcurrencyLimited(
        error.answer, code=error.code, call=error.call, attempts=error.attempts
    )


def _credible_hint(error: ApiError, alike: int) -> float | None:
    """Return the pause that a header asks for, unless it repeatedly asks for almost none."""
    if error.hint_s is None or (error.hint_s < 1 and alike > MAX_RETRIES):
        return None
    return min(error.hint_s, MAX_PAUSE_S)


def _few(attempt: int, alike: int, reason: str) -> Pause | None:
    if alike > MAX_RETRIES:
        return None
    of = attempt + MAX_RETRIES + 1 - alike  # the number of attempts if all fail in this way
    return Pause(backoff(min(attempt, MAX_RETRIES)), reason, attempt + 1, of)


def reset_hint(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that the headers of a 429 ask to wait, the longer of both, or None.

    The unit of ``X-RateLimit-Reset`` is not documented. A number that reads as a time in the next
    day is an epoch, in seconds or milliseconds; one of at most a day is seconds from now; anything
    else (the past, a year ahead, text) is ignored.
    """
    hints = (
        _reset(headers.get("x-ratelimit-reset", ""), now),
        _retry_after(headers.get("retry-after", ""), now),
    )
    return max((hint for hint in hints if hint is not None), default=None)


def _reset(text: str, now: float) -> float | None:
    value = number(text)
    if value is None or value < 0:
        return None
    candidates = (value, value - now, value / 1000 - now)
    return next((seconds for seconds in candidates if 0 <= seconds <= _DAY_S), None)


def _retry_after(text: str, now: float) -> float | None:
    delay = number(text)
    if delay is None:
        try:
            moment = parsedate_to_datetime(text)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            delay = aware.timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return delay if 0 <= delay <= _DAY_S else None
