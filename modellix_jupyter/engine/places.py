"""How many tasks may run at the service at once: learned from what it accepts and refuses."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine

# How many are unanswered at most until a refusal: each acceptance gives one place more. So many are
# refused where the service runs fewer, which costs nothing; an account without a limit is not kept
# waiting.
FIRST = 4
# How long a learned number holds before one more place is tried, in seconds; each time twice as
# long, up to `PROBE_AT_MOST_S`.
PROBE_S = 60.0
PROBE_AT_MOST_S = 960.0
# How long to wait for a place that only others can free, in seconds.
FULL_S = 5.0


class Places:
    """Places for running tasks; used on the engine's loop only.

    The service says its limit only by refusing. So the number grows while everything is accepted;
    after the first refusal it is what ran at that moment, and one more is tried now and then: a
    limit can be raised, and other kernels end. Where that was taken, the next one follows soon.
    """

    def __init__(
        self, at_most: int, timer: Callable[[], float], *, learned: int | None = None
    ) -> None:
        self.at_most = at_most
        self.taken = 0
        self._timer = timer
        self._learned = learned is not None
        self._capacity = min(at_most, learned or FIRST)
        self._probe_after = PROBE_S
        self._probe_at = timer() + PROBE_S
        # Whether one more was tried and not refused, and whether it was in use since.
        self._tried, self._filled = False, False
        self._waiting: deque[asyncio.Future[None]] = deque()
        # Called with the number that a refusal showed.
        self.on_learned: Callable[[int], None] = _ignore

    @property
    def capacity(self) -> int:
        """How many tasks may run at once, by what is known now."""
        return self._capacity

    @property
    def learned(self) -> int | None:
        """The number that the service has shown by a refusal, or None."""
        return self._capacity if self._learned else None

    @property
    def waiting(self) -> int:
        """How many tasks wait for a place."""
        return len(self._waiting)

    @property
    def free(self) -> bool:
        """Whether one more task may be sent now."""
        return self.taken < self._capacity

    async def acquire(self) -> None:
        """Take a place; places are given in the order in which they were asked for."""
        self._probe()
        if not self.free or self.waiting:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await self._wait(waiter)
        else:
            self.taken += 1

    def release(self) -> None:
        """Give a place back: its task is over, or was never accepted."""
        self.taken -= 1
        self._probe()
        self._give()

    def accepted(self) -> None:
        """Learn from an acceptance: without a refusal so far, there may be more places."""
        self._filled |= not self.free
        if not self._learned and self.waiting:
            self._grow()

    def refused(self) -> Coroutine[None, None, None]:
        """Learn from a refusal; what it returns waits until the service may have a place again."""
        self._learned, self._tried = True, False
        self._probe_at = self._timer() + self._probe_after
        self.taken -= 1
        others_only = self.taken == 0
        self._capacity = max(1, min(self._capacity, self.taken))
        if not others_only:
            self.on_learned(self._capacity)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.appendleft(waiter)  # it has waited longest
        if others_only:  # nothing of ours will free a place: ask again after a while
            asyncio.get_running_loop().call_later(FULL_S, self._give)
        return self._wait(waiter)

    async def _wait(self, waiter: asyncio.Future[None]) -> None:
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not waiter.cancelled():
                self.release()
            raise

    def _probe(self) -> None:
        untold = self._tried and not self._filled
        if not self._learned or self._timer() < self._probe_at or untold:
            return
        self._probe_after = PROBE_S if self._tried else min(2 * self._probe_after, PROBE_AT_MOST_S)
        self._probe_at = self._timer() + self._probe_after
        self._tried, self._filled = True, False
        self._grow()

    def _grow(self) -> None:
        self._capacity = min(self.at_most, self._capacity + 1)
        self._give()

    def _give(self) -> None:
        while self.free and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self.taken += 1
                waiter.set_result(None)


def _ignore(_: int) -> None:
    """Keep what was learned here alone."""
