"""The request budget: how fast requests may go, by the service's limit and the user's bound.

Not a rate-limiting library, because headers set the budget, a 429 must hold back requests that are
already waiting, and polls and submissions take turns depending on the free places.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from modellix_jupyter.api.parsing import count

Kind = Literal["submission", "poll"]

# The limit of a new account, assumed if no header states one (see docs/performance.md).
START_PER_MINUTE = 100.0
# What each minute without a refusal adds, if no header states the limit.
GAIN_PER_MINUTE = 10.0
# Polls may spend what remains of a window within this many seconds.
SPEND_S = 30.0
# The longest window that is accepted from a header, in seconds.
LONGEST_WINDOW_S = 300.0
# Shorter waits are ignored, so that a rounding error does not become a loop.
SHORTEST_WAIT_S = 1e-6
_MINUTE_S = 60.0


class RequestBudget:
    """Lets requests go as fast as the service allows; used on one event loop only.

    The service's window (`X-RateLimit-Limit`, `-Remaining`, `-Reset`) may be spent at once; the
    pace of polls spreads it. Requests of other kernels with the same key show in the headers.
    """

    def __init__(
        self,
        at_most_per_second: float,
        *,
        clock: Callable[[], float],
        timer: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.polls_first: Callable[[], bool] = lambda: False
        self._at_most = at_most_per_second
        self._clock, self._timer, self._sleep = clock, timer, sleep
        self._bound = _Bucket(at_most_per_second, at_most_per_second, timer)
        self._guess = _Bucket(START_PER_MINUTE / _MINUTE_S, START_PER_MINUTE, timer)
        self._window: _Window | None = None
        self._unanswered = 0
        self._held_until = -math.inf
        self._waiting: dict[Kind, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._pump: asyncio.Task[None] | None = None

    # -- before and after a request

    async def acquire(self, kind: Kind) -> None:
        """Wait until a request may go; requests of a kind go first come, first served."""
        if self._pump is None and not self.wait_s():
            self._take()  # without yielding to the loop, which may be about to end
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[kind].append(waiter)
        if self._pump is None:
            self._pump = asyncio.create_task(self._serve(), name="modellix-budget")
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.answered(None)  # it was admitted, but cancelled before it was sent
            raise

    def answered(self, headers: Mapping[str, str] | None) -> None:
        """Learn from the headers of an answer; None if no answer came."""
        self._unanswered = max(0, self._unanswered - 1)
        if headers is None:
            return
        seen = _Window.of(headers, self._clock(), self._timer())
        if seen is None:
            gain = GAIN_PER_MINUTE / self._guess.per_second / _MINUTE_S
            self._guess.speed_up(gain / _MINUTE_S, self._at_most)
            return
        if self._window is None or seen.resets_at > self._window.resets_at + 1:
            seen.remaining -= self._unanswered
            self._window = seen
        else:
            self._window.remaining = min(self._window.remaining, seen.remaining)

    def refused(self, seconds: float) -> None:
        """Hold back every request for so many seconds, also those that are waiting."""
        self._held_until = max(self._held_until, self._timer() + seconds)
        if self._window is None:
            self._guess.slow_down()

    # -- forecasts

    def wait_s(self) -> float:
        """Return the seconds until the next request may go, as far as is known."""
        now = self._timer()
        own = self._window.wait_s(now) if self._window is not None else self._guess.wait_s()
        return max(0.0, self._held_until - now, self._bound.wait_s(), own)

    def polls_per_second(self, queued: int) -> float:
        """Return how many polls a second are possible beside the waiting submissions.

        What remains is spent within half a minute, or until the window ends: so the ends of short
        tasks are seen soon, and the pace falls as the budget runs low.
        """
        if self._window is None:
            spare = self._guess.tokens
            rest = _MINUTE_S
            steady = self._guess.per_second
        else:
            now = self._timer()
            spare, rest, steady = self._window.remaining_at(now), self._window.rest_s(now), 0.0
        left = max(spare / 2, spare - queued)
        return min(self._at_most, max(left / min(rest, SPEND_S) + steady, 1 / _MINUTE_S))

    def time_for_s(self, requests: int) -> float:
        """Return the seconds in which a number of requests can go, as far as is known."""
        now, own = self._timer(), self._guess.time_for_s(requests)
        if self._window is not None:
            more = requests - self._window.remaining_at(now)
            windows = math.ceil(more / self._window.limit)
            own = self._window.rest_s(now) + (windows - 1) * _MINUTE_S if more > 0 else 0.0
        return max(0.0, self._held_until - now, self._bound.time_for_s(requests), own)

    # -- the order of requests

    async def _serve(self) -> None:
        try:
            while any(self._waiting.values()):
                pause = self.wait_s()
                if pause > 0:
                    await self._sleep(pause)
                else:
                    self._let_one_go()
        finally:
            self._pump = None

    def _let_one_go(self) -> None:
        first: Kind = "poll" if self.polls_first() else "submission"
        other: Kind = "submission" if first == "poll" else "poll"
        queue = self._waiting[first] or self._waiting[other]
        waiter = queue.popleft()
        if not waiter.done():
            self._take()
            waiter.set_result(None)

    def _take(self) -> None:
        self._bound.take()
        if self._window is None:
            self._guess.take()
        else:
            self._window.take(self._timer())
        self._unanswered += 1


class _Window:
    """One window of the service's limit; times are the timer's."""

    def __init__(self, limit: int, remaining: int, resets_at: float) -> None:
        self.limit, self.remaining, self.resets_at = limit, remaining, resets_at

    @classmethod
    def of(cls, headers: Mapping[str, str], clock: float, timer: float) -> _Window | None:
        limit = count(headers.get("x-ratelimit-limit"))
        remaining = count(headers.get("x-ratelimit-remaining"))
        reset = count(headers.get("x-ratelimit-reset"))
        if not limit or remaining is None or reset is None:
            return None
        # epoch seconds; a server's wrong clock must not stop us for long
        rest = min(max(reset - clock, 0.0), LONGEST_WINDOW_S)
        return cls(limit, min(remaining, limit), timer + rest)

    def take(self, now: float) -> None:
        if now >= self.resets_at:
            self.remaining, self.resets_at = self.limit, now + _MINUTE_S
        self.remaining -= 1

    def wait_s(self, now: float) -> float:
        return 0.0 if self.remaining_at(now) > 0 else max(0.0, self.resets_at - now)

    def remaining_at(self, now: float) -> int:
        return self.limit if now >= self.resets_at else max(0, self.remaining)

    def rest_s(self, now: float) -> float:
        return _MINUTE_S if now >= self.resets_at else max(1.0, self.resets_at - now)


class _Bucket:
    """A token bucket with a rate and a burst."""

    def __init__(self, per_second: float, burst: float, timer: Callable[[], float]) -> None:
        self.per_second = per_second
        self._burst = max(1.0, burst)
        self._timer = timer
        self._tokens, self._at = self._burst, timer()

    @property
    def tokens(self) -> float:
        passed = max(0.0, self._timer() - self._at)
        return min(self._burst, self._tokens + passed * self.per_second)

    def take(self) -> None:
        self._tokens, self._at = self.tokens - 1, self._timer()

    def wait_s(self) -> float:
        wait = self.time_for_s(1)
        return wait if wait > SHORTEST_WAIT_S else 0.0

    def time_for_s(self, requests: int) -> float:
        return max(0.0, (requests - self.tokens) / self.per_second)

    def slow_down(self) -> None:
        self._tokens, self._at = 1.0, self._timer()  # so that one request is tried after the pause
        self.per_second = max(self.per_second / 2, 1 / _MINUTE_S)

    def speed_up(self, more: float, at_most: float) -> None:
        self._tokens, self._at = self.tokens, self._timer()
        self.per_second = min(self.per_second + more, max(at_most, self.per_second))
