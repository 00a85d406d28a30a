"""Learns how many tasks may run at the service at once, from its acceptances and refusals."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine

# The number of places at first; each acceptance adds one. If the service allows fewer, that many
# submissions at most are refused, which costs nothing; an account without a limit hardly waits.
FIRST = 4
# How long a learned number holds before one more place is tried, in seconds; doubled after each
# refusal, up to `PROBE_AT_MOST_S`.
PROBE_S = 60.0
PROBE_AT_MOST_S = 960.0
# How long to wait for a place that only other kernels can free, in seconds.
FULL_S = 5.0


class Places:
    """Places for running tasks; used on the engine's loop only.

    The service shows its limit only by a refusal. So the number of places grows while everything
    is accepted. A refusal sets it to the number of tasks that ran at that moment. One more is tried
    now and then, since limits can be raised and other kernels end; if it is accepted, the next one
    is tried soon.
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
        # Whether one more was tried and not refused, and whether it has been used since.
        self._tried, self._filled = False, False
        self._waiting: deque[asyncio.Future[None]] = deque()
        # Called with the number that was learned from a refusal.
        self.on_learned: Callable[[int], None] = _ignore

    @property
    def capacity(self) -> int:
        """How many tasks may run at once, as far as is known."""
        return self._capacity

    @property
    def learned(self) -> int | None:
        """The number learned from a refusal, or None before the first."""
        return self._capacity if self._learned else None

    @property
    def waiting(self) -> int:
        """The number of tasks that wait for a place."""
        return len(self._waiting)

    @property
    def free(self) -> bool:
        """Whether one more task may be sent now."""
        return self.taken < self._capacity

    async def acquire(self) -> None:
        """Wait for a place; first come, first served."""
        self._probe()
        if not self.free or self.waiting:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await self._wait(waiter)
        else:
            self.taken += 1

    def release(self) -> None:
        """Release a place: its task has ended, or was never accepted."""
        self.taken -= 1
        self._probe()
        self._give()

    def accepted(self) -> None:
        """Learn from an acceptance: without a refusal so far, add a place."""
        self._filled |= not self.free
        if not self._learned and self.waiting:
            self._grow()

    def refused(self) -> Coroutine[None, None, None]:
        """Learn from a refusal; await the result before the next attempt."""
        self._learned, self._tried = True, False
        self._probe_at = self._timer() + self._probe_after
        self.taken -= 1
        others_only = self.taken == 0
        self._capacity = max(1, min(self._capacity, self.taken))
        if not others_only:
            self.on_learned(self._capacity)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.appendleft(waiter)  # it goes first, because it has waited longest
        if others_only:  # no task of this kernel will free a place: try again after a while
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
    """Do nothing: keep what was learned in memory only."""
