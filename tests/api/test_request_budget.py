"""How fast requests go: by the headers, by 429s where there are none, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from modellix_jupyter.api.request_budget import Kind, RequestBudget

EPOCH = 1_780_000_000.0


class World:
    """A clock that only sleeping moves, and a service that counts by the minute."""

    def __init__(self, at_most: float = 1000.0, limit: int | None = None) -> None:
        self.now = 0.0
        self.limit = limit
        self.used: dict[int, int] = {}
        self.refusals = 0
        self.budget = RequestBudget(
            at_most, clock=lambda: EPOCH + self.now, timer=lambda: self.now, sleep=self.sleep
        )

    async def sleep(self, seconds: float) -> None:
        for _ in range(3):  # who may go now goes before the time does
            await asyncio.sleep(0)
        self.now += seconds
        await asyncio.sleep(0)

    def answer(self) -> dict[str, str]:
        """Answer one request; the windows begin 20 s after each full minute."""
        window = int((self.now + 40) // 60)
        self.used[window] = self.used.get(window, 0) + 1
        if self.limit is None:
            return {}
        left = self.limit - self.used[window]
        self.refusals += left < 0
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, left)),
            "x-ratelimit-reset": str(int(EPOCH + 60 * (window + 1) - 40)),
        }

    async def request(self, kind: Kind = "submission") -> float:
        await self.budget.acquire(kind)
        at, answer = self.now, self.answer()  # the service counts what arrives
        await asyncio.sleep(0)
        self.budget.answered(answer)
        return at

    async def requests(self, count: int) -> list[float]:
        return [await self.request() for _ in range(count)]


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(body(), 30)

    asyncio.run(bounded())


def test_a_window_is_spent_at_once_and_never_overspent() -> None:
    world = World(limit=100)

    async def body() -> None:
        sent = await world.requests(250)
        assert sent[99] < 1  # the first answer said how many there are
        assert sent[199] <= 21
        assert 80 <= sent[-1] <= 82

    run(body)
    assert world.refusals == 0


def test_many_that_go_at_once_do_not_overspend_either() -> None:
    world = World(limit=30)

    async def body() -> None:
        await world.request()
        await asyncio.gather(*(world.request() for _ in range(100)))

    run(body)
    assert world.refusals == 0


def test_another_kernel_is_seen_in_the_headers() -> None:
    world = World(limit=100)

    async def body() -> None:
        await world.request()
        world.used[0] += 90  # somebody else with the same key
        sent = await world.requests(20)
        assert sent[8] < 1
        assert sent[9] >= 19

    run(body)
    assert world.refusals == 0


def test_without_headers_it_starts_at_a_hundred_a_minute_with_a_burst() -> None:
    world = World()

    async def body() -> None:
        sent = await world.requests(200)
        assert sent[99] == 0
        assert 40 <= sent[-1] <= 70

    run(body)


def test_without_headers_a_429_halves_the_pace_and_time_raises_it() -> None:
    world = World()

    async def body() -> None:
        await world.requests(101)
        before = world.budget.polls_per_second(0)
        world.budget.refused(2)
        assert world.budget.wait_s() >= 2
        assert world.budget.polls_per_second(0) < before
        slow = world.budget.polls_per_second(0)
        await world.requests(400)
        assert world.budget.polls_per_second(0) > slow

    run(body)


def test_a_refusal_holds_back_who_waits_already() -> None:
    world = World(limit=100)

    async def body() -> None:
        await world.request()
        world.budget.refused(7)
        assert await world.request("poll") >= 7

    run(body)


@pytest.mark.parametrize("polls_first", [True, False])
def test_polls_and_submissions_take_turns_by_the_places(*, polls_first: bool) -> None:
    world = World(at_most=1.0)
    order: list[str] = []

    async def go(kind: Kind) -> None:
        await world.budget.acquire(kind)
        order.append(kind)

    async def body() -> None:
        world.budget.polls_first = lambda: polls_first
        await world.budget.acquire("submission")
        await asyncio.gather(go("poll"), go("submission"), go("poll"), go("submission"))

    run(body)
    first = "poll" if polls_first else "submission"
    assert order[:2] == [first, first]


def test_the_users_bound_holds_whatever_the_service_allows() -> None:
    world = World(at_most=5.0, limit=10_000)

    async def body() -> None:
        sent = await world.requests(55)
        assert sent[-1] >= 9.9

    run(body)


def test_who_gives_up_takes_nothing() -> None:
    world = World(limit=100)

    async def body() -> None:
        world.budget.refused(1e6)
        waiting = asyncio.ensure_future(world.budget.acquire("poll"))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not world.budget._unanswered

    run(body)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-limit": "0", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"},
        {"x-ratelimit-limit": "many", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1"},
        {"x-ratelimit-limit": "100", "x-ratelimit-remaining": "5"},
        {"x-ratelimit-limit": "-1", "x-ratelimit-remaining": "-1", "x-ratelimit-reset": "-1"},
    ],
)
def test_headers_that_make_no_sense_are_not_followed(headers: dict[str, str]) -> None:
    world = World()

    async def body() -> None:
        await world.budget.acquire("poll")
        world.budget.answered(headers)
        assert world.budget.wait_s() == 0

    run(body)


def test_a_reset_in_a_year_stops_nobody_for_a_year() -> None:
    world = World()
    far = str(int(EPOCH) + 365 * 86_400)

    async def body() -> None:
        await world.budget.acquire("poll")
        world.budget.answered(
            {"x-ratelimit-limit": "9", "x-ratelimit-remaining": "0", "x-ratelimit-reset": far}
        )
        assert world.budget.wait_s() <= 300

    run(body)


def test_how_long_many_requests_take_by_what_is_known() -> None:
    world = World()
    assert world.budget.time_for_s(100) == 0
    assert world.budget.time_for_s(200) == pytest.approx(60)  # a guess of 100 a minute
    reset = str(int(EPOCH + 20))
    world.budget.answered(
        {"x-ratelimit-limit": "100", "x-ratelimit-remaining": "40", "x-ratelimit-reset": reset}
    )
    assert [world.budget.time_for_s(n) for n in (40, 41, 140, 141, 241)] == [0, 20, 20, 80, 140]
