"""One fast sandbox for each test, and a client that speaks plain HTTP to it."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from modellix_jupyter.sandbox_server import Sandbox

# All is plain HTTP here, and to load certificates for each client would take most of the time.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
get = partial(httpx.get, verify=NO_TLS)
head = partial(httpx.head, verify=NO_TLS)
post = partial(httpx.post, verify=NO_TLS)
request = partial(httpx.request, verify=NO_TLS)

Json = dict[str, Any]
Run = Callable[..., Json]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(speed=50) as running:
        yield running


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer any-key"}
    with httpx.Client(
        base_url=sandbox.base_url, headers=headers, timeout=10, verify=NO_TLS
    ) as client:
        yield client


@pytest.fixture
def run(http: httpx.Client) -> Run:
    """Submit a request and return the finished task."""

    def finished(slug: str, **body: object) -> Json:
        answer = http.post(f"/api/v1/{slug}/async", json={"prompt": "a quiet harbour", **body})
        assert answer.status_code == 200, answer.text
        task_id = answer.json()["data"]["task_id"]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            data: Json = http.get(f"/api/v1/tasks/{task_id}").json()["data"]
            if data["status"] in {"success", "failed"}:
                return data
            time.sleep(0.005)
        raise AssertionError(task_id)

    return finished
