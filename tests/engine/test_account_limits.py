"""Whole plans within the limits of an account, simulated: time jumps, so minutes take no time."""

from __future__ import annotations

import asyncio
import heapq
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from modellix_jupyter.api.request_budget import Kind, RequestBudget
from modellix_jupyter.engine.places import Places
from modellix_jupyter.engine.polling import next_delay

EPOCH = 1_780_000_000.0


class Jumping(asyncio.SelectorEventLoop):
    """A loop whose time jumps to the next timer where nothing else is to be done."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]  # asyncio's own
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run(body: Callable[[Jumping], Coroutine[Any, Any, None]]) -> None:
    loop = Jumping()
    try:
        loop.run_until_complete(body(loop))
    finally:
        loop.close()


class Account:
    """A service with places and a limit of requests a minute, and a client within them."""

    def __init__(self, loop: Jumping, places: int, per_minute: int) -> None:
        self.loop = loop
        self.limit, self.per_minute = places, per_minute
        self.running: list[float] = []
        self.window, self.used = 0, 0
        self.requests = self.refusals = self.overspent = 0
        self.seen: list[float] = []
        self.queued = self.polled = 0
        self.budget = RequestBudget(
            100.0, clock=lambda: EPOCH + loop.now, timer=loop.time, sleep=asyncio.sleep
        )
        self.places = Places(64, loop.time)
        self.budget.polls_first = lambda: not self.places.free

    def arrive(self) -> dict[str, str]:
        """Count a request as the service does, in minutes of the clock."""
        window = int(self.loop.now // 60)
        if window != self.window:
            self.window, self.used = window, 0
        self.used += 1
        self.requests += 1
        self.overspent += self.used > self.per_minute
        return {
            "x-ratelimit-limit": str(self.per_minute),
            "x-ratelimit-remaining": str(max(0, self.per_minute - self.used)),
            "x-ratelimit-reset": str(int(EPOCH + 60 * (window + 1))),
        }

    async def request(self, kind: Kind) -> None:
        await self.budget.acquire(kind)
        headers = self.arrive()
        await asyncio.sleep(0.02)
        self.budget.answered(headers)

    async def submit(self, duration: float) -> float:
        self.queued += 1
        await self.places.acquire()
        while True:
            await self.request("submission")
            while self.running and self.running[0] <= self.loop.now:
                heapq.heappop(self.running)
            if len(self.running) < self.limit:
                break
            self.refusals += 1
            await self.places.refused()
        self.queued -= 1
        self.places.accepted()
        heapq.heappush(self.running, self.loop.now + duration)
        return self.loop.now

    async def task(self, duration: float) -> None:
        accepted = await self.submit(duration)
        self.polled += 1
        done = False
        while not done:
            per_second = self.budget.polls_per_second(self.queued)
            elapsed = self.loop.now - accepted
            known = tuple(self.seen[-50:])
            pause = next_delay(known, elapsed, in_flight=self.polled, polls_per_second=per_second)
            until = self.loop.now + pause
            while self.loop.now < until and tuple(self.seen[-50:]) == known:  # noqa: ASYNC110 - a pause in parts, as the engine's
                await asyncio.sleep(min(0.25, until - self.loop.now))
            if self.loop.now >= until:
                await self.request("poll")
                done = self.loop.now >= accepted + duration
        self.polled -= 1
        self.seen.append(duration)
        self.places.release()

    async def tasks(self, durations: list[float]) -> None:
        await asyncio.gather(*(self.task(duration) for duration in durations))


def test_twelve_tasks_on_a_new_account() -> None:
    async def body(loop: Jumping) -> None:
        account = Account(loop, places=2, per_minute=100)
        await account.tasks([2.0] * 12)
        assert loop.now <= 18
        assert account.refusals <= 4
        assert account.overspent == 0

    run(body)


def test_two_hundred_tasks_take_what_the_limits_allow() -> None:
    async def body(loop: Jumping) -> None:
        account = Account(loop, places=10, per_minute=100)
        await account.tasks([3.0] * 200)
        # 400 requests at least: the fourth window begins after 180 s, and has 15 s of work
        assert loop.now <= 1.25 * 195
        assert account.requests <= 450
        assert account.overspent == 0

    run(body)


def test_uneven_tasks_keep_every_place_busy() -> None:
    chance = random.Random(5)  # noqa: S311 - for repeating itself
    durations = [4.0 * chance.uniform(0.6, 1.4) for _ in range(40)]

    async def body(loop: Jumping) -> None:
        account = Account(loop, places=10, per_minute=1000)
        await account.tasks(durations)
        assert loop.now <= 1.35 * sum(durations) / 10
        assert account.refusals <= 4

    run(body)
