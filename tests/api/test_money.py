"""A submission is paid: what may have been accepted is sent once, whatever happened to it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from client_fakes import (
    KEY,
    Chunks,
    Service,
    accepted,
    finished,
    ok,
    page,
    raw,
    read,
    refusal,
    submit,
)

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.api.responses import Undocumented
from modellix_jupyter.errors import (
    API_ERRORS,
    BadAnswer,
    ConnectFailed,
    ModellixError,
    NoAnswer,
    RateLimited,
    ServerError,
    TransportError,
)
from modellix_jupyter.settings import Settings

SILENCE: list[Exception] = [
    httpx.ReadTimeout(""),
    httpx.WriteTimeout(""),
    httpx.ReadError("[Errno 104] Connection reset by peer"),
    httpx.WriteError("broken pipe"),
    httpx.CloseError("x"),
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
    httpx.NetworkError("x"),
    httpx.TransportError("x"),
    httpx.RequestError("x"),
    httpx.StreamConsumed(),
]
UNREADABLE: list[Exception] = [
    httpx.DecodingError("Error -3 while decompressing data"),
    httpx.TooManyRedirects("x"),
    httpx.InvalidURL("x"),
    UnicodeError("label empty or too long"),
]
LOCATIONS = [
    "https://api.modellix.ai/api/v1/alibaba/qwen-image-plus",
    "/login",
    "https://evil.example/",
    "mailto:x",
    "javascript:alert(1)",
    "https:login",
    "https://xn--/",
    "http://[",
    "https://h:99999/",
    "//",
    "a" * 70_000,
    "",
]
ANSWERS: dict[str, httpx.Response] = {
    "200 a page": page(200),
    "200 nothing": raw(200),
    "200 another JSON": raw(200, b'{"ok": true}'),
    "200 no task": ok({"status": "pending"}),
    "200 no data": raw(200, b'{"code": 0, "message": "success"}'),
    "200 an error inside": raw(200, b'{"code": 429, "message": "Too many: wait"}'),
    "200 an error with a task": raw(200, b'{"code": 500, "data": {"task_id": "t"}}'),
    "200 cut short": raw(200, b'{"code": 0, "data": {"task_id": "t'),
    "200 an odd id": ok({"task_id": "a b"}),
    "200 not gzip": raw(200, b"hello", headers={"content-encoding": "gzip"}),
    "200 another coding": raw(200, b"hello", headers={"content-encoding": "br"}),
    "200 gzip in gzip": raw(
        200, gzip.compress(gzip.compress(b"{}")), headers={"content-encoding": "gzip, gzip"}
    ),
    "204": raw(204),
    "500 a page": page(500),
    "500 another code": raw(500, b'{"code": 503, "message": "x"}'),
    "500 no message": raw(500, b'{"code": 500}'),
    "502 a page": page(502),
    "503 a page": page(503, Retry_After="1"),
    "504 a page": page(504),
    "501 as documented": refusal(501),
    "502 as documented": refusal(502),
    "504 as documented": refusal(504, "Gateway: the model did not answer"),
    "524 as documented": refusal(524),
    "300": page(300),
    "304": raw(304),
    "302 with no place": page(302),
    "302 as documented": refusal(302),
    **{
        f"{status} to {place[:24]}": page(status, location=place)
        for place in LOCATIONS
        for status in (302, 307)
    },
    "301": page(301, location="/"),
    "303": page(303, location="/"),
    "308": page(308, location="/"),
    "700": page(700),
}
UNANSWERED: dict[str, Any] = {
    **{type(error).__name__: error for error in (*SILENCE, *UNREADABLE)},
    **ANSWERS,
}


def expect(kind: type[ModellixError], call: Awaitable[Any]) -> ModellixError:
    async def run() -> None:
        await call

    with pytest.raises(kind) as caught:
        asyncio.run(run())
    return caught.value


@pytest.mark.parametrize("path", ["/async", ""])
def test_what_may_have_been_accepted_is_not_sent_again(path: str) -> None:
    failed = []
    for name, answer in UNANSWERED.items():
        service = Service([answer, accepted()])
        error = expect(TransportError, submit(service, submit_path=path))
        kind = NoAnswer if answer in SILENCE else BadAnswer
        # httpx itself stumbles over one that is too long
        named = type(error) is kind or "Invalid URL in location" in error.message
        once = (len(service.requests), service.clock.sleeps, service.progress) == (1, [], [])
        if not (named and once):
            failed.append((name, error, len(service.requests)))
    assert failed == []


def test_but_a_poll_is_repeated() -> None:
    failed = []
    for name, answer in UNANSWERED.items():
        if name == "200 no task":  # an answer to a poll, if not to a submission
            continue
        service = Service([answer, answer, finished()])
        status = asyncio.run(read(service)).status
        reasons = [activity.what for activity in service.progress]
        if (status, service.clock.sleeps, reasons) != ("success", [1, 2], ["no answer"] * 2):
            failed.append((name, status, service.clock.sleeps, reasons))
    assert failed == []


def test_a_poll_is_repeated_up_to_the_deadline_only() -> None:
    service = Service([httpx.ReadTimeout("")])
    error = expect(NoAnswer, read(service, retry_deadline_s=20))
    assert service.clock.sleeps == [1, 2, 4, 8]
    assert "the time for an answer ran out" in error.message


@pytest.mark.parametrize("answer", [page, refusal])
def test_a_refusal_that_is_not_documented_may_be_a_proxys(answer: Any) -> None:
    undocumented = [s for s in range(400, 500) if answer is page or s not in API_ERRORS]
    for status in undocumented:
        service = Service([answer(status, Retry_After="1"), accepted()])
        error = expect(BadAnswer, submit(service))
        assert f"HTTP {status}, which is not documented" in error.message
        assert (len(service.requests), service.clock.sleeps) == (1, [])


def test_a_read_that_is_refused_by_whomever_is_refused() -> None:
    for status in (401, 403, 404, 413):
        assert isinstance(expect(Undocumented, read(Service([page(status)]))), Undocumented)


def test_an_id_that_cannot_be_used_is_shown_as_it_came() -> None:
    for odd in ("t\u00e4sk-1", "a" * 257, "a b", 1.5, ["t1"]):
        error = expect(BadAnswer, submit(Service([ok({"task_id": odd})])))
        assert repr(odd)[:300] in error.message


NEVER_SENT = [
    httpx.ConnectError("[Errno 111] Connection refused"),
    httpx.ConnectTimeout(""),
    httpx.PoolTimeout(""),
    httpx.ProxyError("403 Forbidden"),
    httpx.UnsupportedProtocol("x"),
    httpx.LocalProtocolError("x"),
]


@pytest.mark.parametrize("call", [submit, read])
@pytest.mark.parametrize("error", NEVER_SENT, ids=lambda e: type(e).__name__)
def test_what_was_never_sent_is_tried_three_times_more(call: Any, error: Exception) -> None:
    service = Service([error])
    expect(ConnectFailed, call(service))
    assert service.times == [0, 1, 3, 7]


def test_a_connection_that_is_made_at_last_submits_once() -> None:
    service = Service([httpx.ConnectError("x"), httpx.ConnectTimeout(""), accepted()])
    assert asyncio.run(submit(service)).task_id == "task-abc123"
    assert len(service.requests) == 3


def test_silence_after_a_retry_ends_it() -> None:
    service = Service([refusal(503), httpx.ReadTimeout(""), accepted()])
    expect(NoAnswer, submit(service))
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "broken",
    [
        httpx.ReadError("reset"),
        httpx.ReadTimeout(""),
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 429, 500, 503])
def test_an_answer_that_breaks_off_is_no_answer(broken: Exception, status: int) -> None:
    stream = Chunks([json.dumps({"code": status, "message": "x"}).encode()], broken)
    service = Service([httpx.Response(status, stream=stream), accepted()])
    expect(NoAnswer, submit(service))
    assert len(service.requests) == 1
    assert stream.closed


def test_a_cancelled_submission_is_not_sent_again() -> None:
    service = Service([accepted()])

    async def run() -> None:
        def never(_: httpx.Request) -> httpx.Response:
            raise asyncio.CancelledError

        service.script.insert(0, never)
        await submit(service)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert len(service.requests) == 1


# -- the last moment before it leaves


def test_the_last_moment_is_told_before_each_attempt_and_after_the_wait_for_a_place() -> None:
    service = Service([refusal(503), accepted(), accepted()])

    async def before_send() -> None:
        service.events.append("before_send")

    async def twice() -> None:
        client = service.client(requests_per_second=0.5)
        await client.submit("a/b", {}, before_send=before_send)
        await client.submit("a/b", {}, before_send=before_send)

    asyncio.run(twice())
    sent = ["before_send", "request"]
    assert service.events == [
        *sent,
        *[("sleep", 1), ("sleep", 1), *sent],  # before the retry, and for the budget
        *[("sleep", 2), *sent],
    ]


@pytest.mark.parametrize("error", [OSError("full"), NoAnswer("x"), ServerError("x", code=500)])
def test_what_the_last_moment_raises_is_raised_and_nothing_is_sent(error: Exception) -> None:
    service = Service([accepted()])

    async def before_send() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        asyncio.run(service.client().submit("a/b", {}, before_send=before_send))
    assert caught.value is error
    assert (service.requests, service.clock.sleeps) == ([], [])


# -- the same over a real connection

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def over_a_socket(answer: bytes, *, drop: bool = False) -> tuple[ModellixError, list[bytes]]:
    """Submit to a server that reads one request, writes some bytes and closes."""
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"}"))
        writer.write(answer)
        if drop:
            writer.transport.abort()
        writer.close()

    async def no_sleep(_: float) -> None:
        await asyncio.sleep(0)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Settings(base_url=f"http://127.0.0.1:{port}", submit_timeout_s=2)
    async with server, AsyncClient(KEY, settings=settings, sleep=no_sleep) as client:
        try:
            await client.submit("a/b", {"prompt": "x"})
        except ModellixError as error:
            return error, heard
    raise AssertionError


@pytest.mark.parametrize(
    ("answer", "drop", "kind"),
    [
        (b"", False, NoAnswer),
        (b"", True, NoAnswer),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", False, NoAnswer),
        (b"HTTP/1.1 200 OK\r\nContent-", False, NoAnswer),
        (b"SSH-2.0-OpenSSH_9.6\r\n", False, NoAnswer),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", False, BadAnswer),
        (
            b"HTTP/1.1 302 Found\r\nLocation: mailto:x\r\nContent-Length: 0\r\n\r\n",
            False,
            BadAnswer,
        ),
    ],
)
def test_over_a_real_connection_too(answer: bytes, drop: bool, kind: type[ModellixError]) -> None:  # noqa: FBT001 - a row of the table
    error, heard = asyncio.run(over_a_socket(answer, drop=drop))
    assert type(error) is kind
    assert len(heard) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b" " * 10_000,
    ],
    ids=["headers", "body"],
)
def test_an_answer_that_trickles_is_not_waited_for_without_end(answer: bytes) -> None:
    heard: list[bytes] = []

    async def run() -> None:
        gone = asyncio.Event()

        async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.readuntil(b"}"))
            with contextlib.suppress(OSError):
                writer.write(answer[:50])
                for place in range(50, len(answer)):
                    writer.write(answer[place : place + 1])
                    await writer.drain()
                    await asyncio.sleep(0.05)
            writer.transport.abort()
            gone.set()

        server = await asyncio.start_server(trickle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = Settings(base_url=f"http://127.0.0.1:{port}", submit_timeout_s=0.5)
        async with server, asyncio.timeout(15):
            async with AsyncClient(KEY, settings=settings) as client:
                with pytest.raises(NoAnswer, match="the time for an answer ran out"):
                    await client.submit("a/b", {"prompt": "x"})
            await gone.wait()

    asyncio.run(run())
    assert len(heard) == 1


class SlowServer(threading.Thread):
    """Accepts submissions on a loop of its own, and answers each a moment later."""

    def __init__(self) -> None:
        super().__init__()
        self.port: Future[int] = Future()
        self.heard = 0
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port.set_result(server.sockets[0].getsockname()[1])
        await self._end.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        self.heard += 1
        await asyncio.sleep(0.1)
        body = b'{"code": 0, "data": {"task_id": "task-%d"}}' % self.heard
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self.join()


def test_an_answer_that_came_while_the_process_stood_still_is_read() -> None:
    server = SlowServer()
    server.start()

    async def run() -> None:
        settings = Settings(
            base_url=f"http://127.0.0.1:{server.port.result(5)}",
            submit_timeout_s=0.4,
            requests_per_second=1e9,
        )
        async with AsyncClient(KEY, settings=settings) as client:
            sending = [asyncio.create_task(client.submit("a/b", {"prompt": "x"})) for _ in range(6)]
            async with asyncio.timeout(15):
                while server.heard < len(sending):  # noqa: ASYNC110 - the server is on another thread
                    await asyncio.sleep(0.001)
            time.sleep(1.2)  # noqa: ASYNC251 - this loop stands still
            assert len(await asyncio.gather(*sending)) == len(sending)

    try:
        asyncio.run(run())
    finally:
        server.end()


def test_a_closed_port_is_a_connection_that_was_never_made(caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    tries: list[float] = []

    async def run() -> None:
        server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()

        async def sleep(seconds: float) -> None:
            tries.append(seconds)

        settings = Settings(base_url=f"http://127.0.0.1:{port}", requests_per_second=1e9)
        async with AsyncClient(KEY, settings=settings, sleep=sleep) as client:
            await client.submit("a/b", {})

    with pytest.raises(ConnectFailed):
        asyncio.run(run())
    assert tries == [1, 2, 4]
    assert KEY not in caplog.text


def test_no_log_of_any_library_has_the_key(caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    refused = b'{"code": 400, "message": "Invalid: x"}'
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(refused)}\r\n\r\n".encode()
    error, heard = asyncio.run(over_a_socket(head + refused))
    assert str(error).startswith("400: Invalid: x")
    assert f"Authorization: Bearer {KEY}".encode() in heard[0]
    assert "HTTP Request: POST" in caplog.text
    assert KEY not in caplog.text


def test_the_errors_of_the_table_are_still_what_they_were() -> None:
    """The documented form of a 429 and a 500 is retried: the tests above are not vacuous."""
    for status, kind in ((429, RateLimited), (500, ServerError)):
        service = Service([refusal(status), accepted()])
        asyncio.run(submit(service))
        assert len(service.requests) == 2
        assert issubclass(kind, ModellixError)
