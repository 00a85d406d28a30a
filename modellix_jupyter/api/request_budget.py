"""How fast requests may go: by what the service says of its limit, and within the user's bound.

By hand rather than by a rate-limiting library: the headers set the budget, a 429 must hold back
those who wait already, and polls and submissions take turns by how many places are free.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from modellix_jupyter.api.parsing import count

Kind = Literal["submission", "poll"]

# The limit of a new account, assumed where no header says it (the notes on the API).
START_PER_MINUTE = 100.0
# What a minute without a refusal adds, where no header says the limit.
GAIN_PER_MINUTE = 10.0
# Within how many seconds polls may spend what is left of a window.
SPEND_S = 30.0
# No window is believed to be longer, whatever a header says, in seconds.
LONGEST_WINDOW_S = 300.0
# A wait that is shorter is none: a rounding error must not become a loop.
SHORTEST_WAIT_S = 1e-6
_MINUTE_S = 60.0


class RequestBudget:
    """Let requests go as fast as the service allows; used on one event loop only.

    The service's window (`X-RateLimit-Limit`, `-Remaining`, `-Reset`) may be spent at once: it is
    the pace of polls that spreads it. Other kernels with the same key are seen in the headers.
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

    # -- before a request and after it

    async def acquire(self, kind: Kind) -> None:
        """Wait until a request may go; those of a kind go in the order in which they came."""
        if self._pump is None and not self.wait_s():
            self._take()  # at once: a request that may go now must not be late for an exit
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[kind].append(waiter)
        if self._pump is None:
            self._pump = asyncio.create_task(self._serve(), name="modellix-budget")
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.answered(None)  # it was let go, and never went
            raise

    def answered(self, headers: Mapping[str, str] | None) -> None:
        """Learn from the headers of an answer; None where no answer came."""
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
        """Hold back every request for that long, also those that wait already."""
        self._held_until = max(self._held_until, self._timer() + seconds)
        if self._window is None:
            self._guess.slow_down()

    # -- what the others plan with

    def wait_s(self) -> float:
        """Return the seconds until the next request may go, by what is known now."""
        now = self._timer()
        own = self._window.wait_s(now) if self._window is not None else self._guess.wait_s()
        return max(0.0, self._held_until - now, self._bound.wait_s(), own)

    def polls_per_second(self, queued: int) -> float:
        """Return how many polls a second to plan for, beside the submissions in the queue.

        What is left is spent within half a minute, or sooner where the window ends: short tasks
        are seen at once, and as it runs low the pace falls by itself.
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
        """Return the seconds until so many requests may have gone, by what is known now."""
        now, own = self._timer(), self._guess.time_for_s(requests)
        if self._window is not None:
            more = requests - self._window.remaining_at(now)
            windows = math.ceil(more / self._window.limit)
            own = self._window.rest_s(now) + (windows - 1) * _MINUTE_S if more > 0 else 0.0
        return max(0.0, self._held_until - now, self._bound.time_for_s(requests), own)

    # -- who goes next

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
    """One window of the service's limit; times are of the timer."""

    def __init__(self, limit: int, remaining: int, resets_at: float) -> None:
        self.limit, self.remaining, self.resets_at = limit, remaining, resets_at

    @classmethod
    def of(cls, headers: Mapping[str, str], clock: float, timer: float) -> _Window | None:
        limit = count(headers.get("x-ratelimit-limit"))
        remaining = count(headers.get("x-ratelimit-remaining"))
        reset = count(headers.get("x-ratelimit-reset"))
        if not limit or remaining is None or reset is None:
            return None
        # epoch seconds; a server's clock that differs must not stop us for long
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
    """Tokens that come back at a rate, up to a burst."""

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
        self._tokens, self._at = 1.0, self._timer()  # one more is tried after the pause
        self.per_second = max(self.per_second / 2, 1 / _MINUTE_S)

    def speed_up(self, more: float, at_most: float) -> None:
        self._tokens, self._at = self.tokens, self._timer()
        self.per_second = min(self.per_second + more, max(at_most, self.per_second))
