"""A service and a time of our own: what the tests of the client stand on."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import httpx

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Activity

if TYPE_CHECKING:
    import pytest

KEY = "mdlx-5f1d7c0e9a34-secret"
NOW = 1_704_103_200.0
MODEL = "alibaba/qwen-image-plus"
BODY: dict[str, Any] = {"prompt": "a cat"}

# An address of the open Internet.
PUBLIC = "93.184.216.34"

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def resolve(monkeypatch: pytest.MonkeyPatch, look: Callable[[str], list[str] | None]) -> None:
    """Let a function stand for the DNS: it returns the addresses of a host, or None."""

    def look_up(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        found = look(str(host))
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


class Clock:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self, events: list[Any]) -> None:
        self.now = NOW
        self.sleeps: list[float] = []
        self._events = events

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.sleeps.append(seconds)
        self._events.append(("sleep", seconds))
        self.now += seconds


class Service(httpx.AsyncBaseTransport):
    """Gives the answers of a script in their order, and the last of them for ever."""

    def __init__(self, script: Iterable[Answer]) -> None:
        self.script = list(script)
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []
        self.times: list[float] = []
        self.events: list[Any] = []
        self.clock = Clock(self.events)
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(await request.aread())
        self.times.append(self.clock.now - NOW)
        self.events.append("request")
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else again(answer)

    async def aclose(self) -> None:
        self.closed = True

    def client(self, **settings: Any) -> AsyncClient:
        """Return a client of this service, with a budget that never makes it wait."""
        return AsyncClient(
            KEY,
            settings=Settings(**{"requests_per_second": 1e9, **settings}),
            transport=self,
            clock=self.clock,
            timer=self.clock,
            sleep=self.clock.sleep,
            jitter=lambda: 0.0,
        )

    def on_progress(self, activity: Activity) -> None:
        self.events.append(activity)

    @property
    def progress(self) -> list[Activity]:
        return [event for event in self.events if isinstance(event, Activity)]


class Chunks(httpx.AsyncByteStream):
    """A body in pieces, which counts those that were taken and may break off."""

    def __init__(self, chunks: Iterable[bytes], error: Exception | None = None) -> None:
        self._chunks = chunks
        self._error = error
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> Any:
        for chunk in self._chunks:
            self.taken += 1
            yield chunk
        if self._error is not None:
            raise self._error

    async def aclose(self) -> None:
        self.closed = True


def again(answer: httpx.Response) -> httpx.Response:
    """Return an unread copy: an answer is consumed when it is read."""
    if isinstance(answer.stream, Chunks):
        return answer
    return httpx.Response(
        answer.status_code,
        headers=answer.headers,
        stream=httpx.ByteStream(answer.extensions["raw"]),
        extensions=answer.extensions,
    )


def raw(status: int, body: bytes = b"", **more: Any) -> httpx.Response:
    """Return an answer with exactly these bytes."""
    headers = more.pop("headers", {})
    return httpx.Response(status, headers=headers, extensions={"raw": body, **more})


def ok(data: Any) -> httpx.Response:
    return raw(200, json.dumps({"code": 0, "message": "success", "data": data}).encode())


def refusal(status: int, message: str = "Busy: try later", **headers: str) -> httpx.Response:
    """Return the documented error body; ``x_ratelimit_reset=...`` is a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw(status, json.dumps({"code": status, "message": message}).encode(), headers=named)


def page(status: int, **headers: str) -> httpx.Response:
    """Return what a proxy says."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw(status, b"<html><h1>nginx</h1></html>", headers=named)


def accepted() -> httpx.Response:
    return ok({"status": "pending", "task_id": "task-abc123", "model_id": "qwen-image-plus"})


def finished() -> httpx.Response:
    return ok({"status": "success", "task_id": "task-abc123"})


async def submit(service: Service, **settings: Any) -> Any:
    return await service.client(**settings).submit(MODEL, BODY, on_progress=service.on_progress)


async def read(service: Service, **settings: Any) -> Any:
    return await service.client(**settings).task("task-abc123", on_progress=service.on_progress)
