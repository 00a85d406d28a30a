from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from client_fakes import NOW, Service, accepted, finished, page, read, refusal, submit

from modellix_jupyter.errors import (
    API_ERRORS,
    ApiError,
    BadAnswer,
    ConnectFailed,
    ModellixError,
    RateLimited,
    ServerError,
    Unavailable,
)
from modellix_jupyter.values import Activity

BOTH = pytest.mark.parametrize(("call", "good"), [(submit, accepted), (read, finished)])
TO_THE_DEADLINE = [1, 2, 4, 8, 16, *[30] * 18]
"""1 to 30 s, and no pause that would end after ten minutes."""


def failing(call: Callable[..., Any], service: Service, **settings: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        asyncio.run(call(service, **settings))
    return caught.value


@BOTH
@pytest.mark.parametrize("status", [400, 401, 402, 404])
def test_a_refusal_is_never_sent_again(call: Any, good: Any, status: int) -> None:
    service = Service([refusal(status, "Invalid: no"), good()])
    error = failing(call, service)
    assert type(error) is API_ERRORS[status]
    assert (len(service.requests), service.clock.sleeps, service.progress) == (1, [], [])
    assert (error.code, error.category, error.detail) == (status, "Invalid", "no")
    assert error.attempts == 1
    assert error.call.startswith(("POST /api/v1/", "GET /api/v1/"))


@BOTH
def test_a_500_is_sent_three_times_more_and_then_no_more(call: Any, good: Any) -> None:
    service = Service([*[refusal(500)] * 3, good()])
    asyncio.run(call(service))
    assert (service.times, service.clock.sleeps) == ([0, 1, 3, 7], [1, 2, 4])
    service = Service([*[refusal(500)] * 4, good()])
    error = failing(call, service)
    assert isinstance(error, ServerError)
    assert error.attempts == len(service.requests) == 4
    assert service.clock.sleeps == [1, 2, 4]


@BOTH
@pytest.mark.parametrize(("status", "kind"), [(503, Unavailable), (429, RateLimited)])
def test_what_is_busy_is_asked_up_to_the_deadline(
    call: Any, good: Any, status: int, kind: type[ApiError]
) -> None:
    assert good
    service = Service([refusal(status)])
    error = failing(call, service)
    assert type(error) is kind
    assert service.clock.sleeps == TO_THE_DEADLINE
    assert error.attempts == len(service.requests) == len(TO_THE_DEADLINE) + 1


@BOTH
@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_deadline_is_a_setting(call: Any, good: Any, status: int) -> None:
    assert good
    service = Service([refusal(status)])
    failing(call, service, retry_deadline_s=3.0)
    assert service.clock.sleeps == [1, 2]
    at_once = Service([refusal(status)])
    failing(call, at_once, retry_deadline_s=0)
    assert (at_once.clock.sleeps, len(at_once.requests)) == ([], 1)


def http_date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)


@BOTH
@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({"X-RateLimit-Reset": "7"}, 7),
        ({"x-ratelimit-reset": str((int(NOW) + 7) * 1000)}, 7),
        ({"Retry-After": http_date(7)}, 7),
        ({"X-RateLimit-Reset": "3", "Retry-After": "7"}, 7),
        ({"X-RateLimit-Reset": "3600"}, 300),  # a long wait is capped
        ({}, 1),
        ({"X-RateLimit-Reset": "NaN"}, 1),
    ],
)
def test_a_429_is_waited_out_as_its_headers_say(
    call: Any, good: Any, headers: dict[str, str], delay: float
) -> None:
    service = Service([refusal(429, **headers), good()])
    asyncio.run(call(service))
    assert service.clock.sleeps == [delay]
    assert service.times == [0, delay]


def test_the_header_is_read_against_the_time_of_its_answer() -> None:
    reset = str(int(NOW) + 10)
    service = Service([refusal(503), refusal(429, X_RateLimit_Reset=reset), accepted()])
    asyncio.run(submit(service))
    assert service.times == [0, 1, 10]


def test_the_cap_holds_for_each_wait_and_the_deadline_for_all() -> None:
    service = Service([refusal(429, Retry_After="5000")])
    error = failing(submit, service)
    assert service.clock.sleeps == [300, 300]
    assert isinstance(error, RateLimited)
    assert (error.hint_s, error.attempts) == (5000, 3)


@pytest.mark.parametrize("reset", ["0", "0.01", str(int(NOW))])
def test_a_reset_that_is_always_now_does_not_become_a_flood(reset: str) -> None:
    service = Service([refusal(429, X_RateLimit_Reset=reset)])
    failing(submit, service)
    assert len(service.requests) < 30


def test_each_answer_counts_for_itself() -> None:
    service = Service([refusal(500), refusal(503), refusal(429, Retry_After="5"), accepted()])
    asyncio.run(submit(service))
    assert service.clock.sleeps == [1, 2, 5]


@BOTH
@pytest.mark.parametrize("busy", [429, 503])
@pytest.mark.parametrize("last", [refusal(500), httpx.ConnectError("refused")], ids=["500", "no"])
def test_a_500_is_sent_three_times_more_whatever_came_before(
    call: Any, good: Any, busy: int, last: Any
) -> None:
    service = Service([*[refusal(busy)] * 3, *[last] * 3, good()])
    asyncio.run(call(service))
    assert service.clock.sleeps == [1, 2, 4, 4, 4, 4]
    assert [(a.attempt, a.of) for a in service.progress[3:]] == [(5, 7), (6, 7), (7, 7)]
    once_too_often = Service([*[refusal(busy)] * 3, *[last] * 4, good()])
    with pytest.raises((ServerError, ConnectFailed)):
        asyncio.run(call(once_too_often))


def test_a_refusal_after_a_retry_ends_it() -> None:
    service = Service([refusal(503), refusal(402, "Payment required: top up"), accepted()])
    error = failing(submit, service)
    assert (error.code, error.attempts, len(service.requests)) == (402, 2, 2)


def test_jitter_spreads_those_who_wait_for_the_same() -> None:
    service = Service([refusal(503), refusal(429), refusal(500), accepted()])
    client = service.client()
    client._jitter = lambda: 0.5
    asyncio.run(client.submit("a/b", {}))
    assert service.clock.sleeps == [1.25, 2.5, 4]  # those of a 500 are what the table says


@BOTH
@pytest.mark.parametrize(
    ("status", "what", "of"),
    [(429, "rate limited", None), (503, "unavailable", None), (500, "server error", 4)],
)
def test_what_is_waited_for_is_told_before_the_waiting(
    call: Any, good: Any, status: int, what: str, of: int | None
) -> None:
    service = Service([refusal(status), refusal(status), good()])
    asyncio.run(call(service))
    assert service.events == [
        "request",
        Activity(what=what, until=NOW + 1, attempt=2, of=of),
        ("sleep", 1),
        "request",
        Activity(what=what, until=NOW + 3, attempt=3, of=of),
        ("sleep", 2),
        "request",
    ]


def test_no_connection_is_told_as_such() -> None:
    service = Service([httpx.ConnectError("refused"), accepted()])
    asyncio.run(submit(service))
    assert service.progress == [Activity(what="no connection", until=NOW + 1, attempt=2, of=4)]


def test_nothing_is_told_when_it_is_given_up() -> None:
    service = Service([refusal(429, Retry_After="120")])
    failing(submit, service, retry_deadline_s=60)
    assert (service.progress, service.clock.sleeps) == ([], [])


@pytest.mark.parametrize(
    ("call", "busy", "good"), [(submit, refusal, accepted), (read, page, finished)]
)
def test_a_429_holds_back_every_other_call_of_the_client(call: Any, busy: Any, good: Any) -> None:
    service = Service([busy(429, Retry_After="20"), finished(), good()])

    async def both() -> None:
        client = service.client(requests_per_second=10.0)
        first = client.submit("a/b", {}) if call is submit else client.task("task-abc123")
        gate = asyncio.Event()
        sleep = service.clock.sleep

        async def pausing(seconds: float) -> None:
            if seconds == 20:
                gate.set()
                await asyncio.sleep(0)
                return
            await sleep(seconds)

        client._sleep = pausing
        running = asyncio.ensure_future(first)
        await gate.wait()
        await client.task("task-abc123")
        await running

    asyncio.run(both())
    assert service.times[0] == 0
    assert min(service.times[1:]) >= 20


def test_the_429_of_a_proxy_is_waited_out_for_a_poll_but_not_for_a_submission() -> None:
    asked = Service([page(429, Retry_After="7"), finished()])
    asyncio.run(read(asked))
    assert asked.clock.sleeps == [7]
    sent = Service([page(429, Retry_After="7"), accepted()])
    with pytest.raises(BadAnswer, match="HTTP 429"):
        asyncio.run(submit(sent))
    assert (len(sent.requests), sent.clock.sleeps) == (1, [])


@pytest.mark.parametrize(
    ("busy", "settings", "held"),
    [
        (page(429, Retry_After="7"), {}, 7),
        (page(429), {}, 1),
        (page(429, Retry_After="5000"), {}, 300),
        (refusal(429, Retry_After="7"), {"retry_deadline_s": 5.0}, 7),
    ],
)
def test_a_429_that_is_not_waited_out_holds_the_next_call_back_all_the_same(
    busy: httpx.Response, settings: dict[str, float], held: int
) -> None:
    service = Service([busy, finished()])

    async def both() -> None:
        client = service.client(**settings)
        with pytest.raises(ModellixError):
            await client.submit("a/b", {})
        await client.task("task-abc123")

    asyncio.run(both())
    assert service.times == [0, pytest.approx(held)]


def test_the_same_bytes_are_sent_each_time() -> None:
    service = Service([refusal(503), refusal(503), accepted()])
    asyncio.run(submit(service))
    assert len(set(service.bodies)) == 1
    assert len({request.headers["authorization"] for request in service.requests}) == 1
