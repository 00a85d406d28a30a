"""One budget of requests a second for everything that a client sends, shared in order of arrival.

By hand rather than by a rate-limiting library, because a 429 must be able to slow every caller,
also one that waits already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Limiter:
    """Space out requests, and hold all of them back after a 429.

    Parameters
    ----------
    per_second
        The budget; up to one second's worth may go at once after a rest.
    timer
        Seconds, from any start; monotonic, since a clock that is set back would hold all callers.
    sleep
        Waits that many seconds.

    """

    def __init__(
        self,
        per_second: float,
        timer: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._gap = 1.0 / per_second
        self._timer = timer
        self._sleep = sleep
        self._last = timer() - 1.0
        self._line = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait for a place; places are given in the order in which they were asked for.

        Only the first of the line sleeps: what changes meanwhile holds for all behind it too.
        """
        async with self._line:
            now = self._timer()
            rested = now - 1.0
            while (place := max(self._last, rested) + self._gap) > now:
                await self._sleep(place - now)
                now = place
            self._last = place

    def hold(self, seconds: float) -> None:
        """Give no place for that long, not even to those who wait already."""
        self._last = max(self._last, self._timer() + seconds)
