from __future__ import annotations

import asyncio

import pytest

from modellix_jupyter.api.retry import Limiter


class Time:
    """A clock on which every sleeper wakes in turn."""

    def __init__(self) -> None:
        self.now = 100.0
        self.woken: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.woken.append(round(self.now + seconds, 6))


async def take(limiter: Limiter, times: int) -> None:
    for _ in range(times):
        await limiter.acquire()


def test_one_second_of_the_budget_goes_at_once_and_then_one_at_a_time() -> None:
    time = Time()
    asyncio.run(take(Limiter(4.0, time.clock, time.sleep), 8))
    assert time.woken == [100.25, 100.5, 100.75, 101.0]


def test_a_long_rest_saves_up_one_second_and_no_more() -> None:
    time = Time()
    limiter = Limiter(4.0, time.clock, time.sleep)
    asyncio.run(take(limiter, 4))
    time.now += 3600
    asyncio.run(take(limiter, 6))
    assert time.woken == [3700.25, 3700.5]


@pytest.mark.parametrize("per_second", [0.1, 1.0, 7.0, 10.0])
def test_no_second_has_more_than_the_budget_after_the_first(per_second: float) -> None:
    time = Time()
    asyncio.run(take(Limiter(per_second, time.clock, time.sleep), 100))
    gaps = [b - a for a, b in zip(time.woken, time.woken[1:], strict=False)]
    assert min(gaps) == pytest.approx(1 / per_second, abs=1e-5)
    assert len(time.woken) >= 99 - per_second


def test_those_who_ask_together_are_let_through_in_their_order() -> None:
    order: list[int] = []
    now = 0.0

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 1000)

    limiter = Limiter(1.0, lambda: now, sleep)

    async def one(index: int) -> None:
        await limiter.acquire()
        order.append(index)

    async def run() -> None:
        await asyncio.gather(*(one(index) for index in range(8)))

    asyncio.run(run())
    assert order == list(range(8))


def test_a_hold_is_for_all_and_never_shortens_one() -> None:
    time = Time()
    limiter = Limiter(4.0, time.clock, time.sleep)
    limiter.hold(30)
    limiter.hold(5)
    asyncio.run(take(limiter, 3))
    assert time.woken == [130.25, 130.5, 130.75]


def test_a_hold_is_also_for_those_who_wait_already() -> None:
    time = Time()
    limiter = Limiter(4.0, time.clock, time.sleep)
    order: list[int] = []

    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        time.now += seconds
        if len(time.woken) == 1:
            limiter.hold(30)

    limiter._sleep = sleep

    async def one(index: int) -> None:
        await limiter.acquire()
        order.append(index)

    async def run() -> None:
        await asyncio.gather(*(one(index) for index in range(6)))

    asyncio.run(run())
    assert order == list(range(6))
    # the fifth was to be let through at 100.25, and then the service said no
    assert time.woken == [100.25, 130.5, 130.75]


def test_one_who_gives_up_waiting_holds_up_nobody() -> None:
    async def run() -> list[float]:
        time = Time()
        limiter = Limiter(4.0, time.clock, time.sleep)
        await take(limiter, 4)
        limiter._sleep = asyncio.sleep
        waiting = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        limiter._sleep = time.sleep
        await limiter.acquire()
        return time.woken

    assert asyncio.run(run()) == [100.25]
