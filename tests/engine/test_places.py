"""How many tasks run at once: what acceptances and refusals teach, and who gets a place next."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from modellix_jupyter.engine import places
from modellix_jupyter.engine.places import Places


class Service:
    """Accepts as many tasks at once as it has places; each takes a turn of the loop."""

    def __init__(self, limit: int, at_most: int = 64, learned: int | None = None) -> None:
        self.now = 0.0
        self.limit = limit
        self.running = 0
        self.most = 0
        self.refusals = 0
        self.places = Places(at_most, lambda: self.now, learned=learned)

    async def task(self) -> None:
        await self.places.acquire()
        while self.running >= self.limit:
            self.refusals += 1
            await self.places.refused()
        self.running += 1
        self.most = max(self.most, self.running)
        self.places.accepted()
        for _ in range(5):
            await asyncio.sleep(0)
        self.running -= 1
        self.places.release()

    async def tasks(self, count: int) -> None:
        await asyncio.gather(*(self.task() for _ in range(count)))


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(body, 30))


def test_a_small_limit_costs_few_refusals() -> None:
    service = Service(limit=2)
    run(service.tasks(12))
    assert service.refusals <= 2
    assert service.places.learned == 2


def test_every_place_is_used() -> None:
    service = Service(limit=10)
    run(service.tasks(60))
    assert service.most == 10


def test_without_a_limit_the_number_grows_to_the_upper_bound() -> None:
    service = Service(limit=1000, at_most=64)
    run(service.tasks(600))
    assert (service.places.capacity, service.refusals) == (64, 0)
    assert service.places.learned is None
    assert service.most > 50


def test_without_a_limit_nothing_waits_for_an_end() -> None:
    async def body() -> None:
        free = Places(64, lambda: 0.0)

        async def begin() -> None:
            await free.acquire()
            await asyncio.sleep(0)
            free.accepted()

        await asyncio.gather(*(begin() for _ in range(64)))  # none of them ends

    run(body())


def test_a_known_limit_costs_no_refusal() -> None:
    service = Service(limit=5, learned=5)
    run(service.tasks(20))
    assert (service.most, service.refusals) == (5, 0)


def test_a_raised_limit_is_noticed() -> None:
    service = Service(limit=3, learned=2)

    async def body() -> None:
        for _ in range(3):
            service.now += places.PROBE_AT_MOST_S
            await service.tasks(6)

    run(body())
    assert service.most == 3
    assert service.places.learned == 3


def test_a_limit_that_was_raised_gives_more_places_each_few_minutes() -> None:
    service = Service(limit=20, learned=2)

    async def body() -> None:
        for _ in range(6):
            service.now += places.PROBE_S
            await service.tasks(60)

    run(body())
    assert (service.most, service.refusals) == (7, 0)


def test_where_nothing_was_sent_nothing_was_learned() -> None:
    service = Service(limit=2, learned=2)

    async def body() -> None:
        for _ in range(20):
            service.now += places.PROBE_AT_MOST_S
            await service.tasks(1)

    run(body())
    run(service.tasks(60))
    assert service.refusals <= 3


def test_what_a_refusal_showed_is_told() -> None:
    service = Service(limit=3)
    told: list[int] = []
    service.places.on_learned = told.append
    run(service.tasks(20))
    assert told[-1] == 3


def test_where_others_have_every_place_it_is_tried_again_after_a_while() -> None:
    service = Service(limit=0)

    async def body() -> None:
        waiting = asyncio.ensure_future(service.task())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        service.limit = 1
        await waiting

    pause, places.FULL_S = places.FULL_S, 0.01
    try:
        run(body())
    finally:
        places.FULL_S = pause
    assert service.refusals >= 1


def test_who_stops_waiting_takes_no_place() -> None:
    async def body() -> None:
        spaces = Places(1, lambda: 0.0)
        await spaces.acquire()
        waiting = asyncio.ensure_future(spaces.acquire())
        await asyncio.sleep(0)
        assert spaces.waiting == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        spaces.release()
        assert (spaces.taken, spaces.waiting, spaces.free) == (0, 0, True)

    run(body())


def test_a_place_given_to_who_just_stopped_waiting_goes_to_the_next() -> None:
    async def body() -> None:
        spaces = Places(1, lambda: 0.0)
        await spaces.acquire()
        first, second = (asyncio.ensure_future(spaces.acquire()) for _ in range(2))
        await asyncio.sleep(0)
        spaces.release()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.wait_for(second, 5)
        assert spaces.taken == 1

    run(body())
