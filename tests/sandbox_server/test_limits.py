"""The limits of an account: requests a minute, and tasks at once."""

import time

import httpx
import pytest

from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.sandbox_server.site import Limits

from .conftest import NO_TLS, get

HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
PROMPT = {"prompt": "a cat"}


def client(sandbox: Sandbox) -> httpx.Client:
    key = {"Authorization": "Bearer any-key"}
    return httpx.Client(base_url=f"{sandbox.base_url}/api/v1", headers=key, verify=NO_TLS)


def test_without_limits_the_headers_allow_many_requests(http: httpx.Client) -> None:
    answer = http.get("/api/v1/models")

    assert [name for name in HEADERS if name not in answer.headers] == []
    assert int(answer.headers["X-RateLimit-Remaining"]) > 50_000


def test_requests_above_the_rate_are_refused_with_all_three_headers() -> None:
    with Sandbox(rpm=3) as sandbox, client(sandbox) as http:
        answers = [http.get("/models") for _ in range(3)] + [
            http.post("/sandbox/fast", json=PROMPT)
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json() == {"code": 429, "message": "Too many requests: Rate limit exceeded"}
    assert sandbox.submissions == {}
    limits, remaining, resets = ([answer.headers[name] for answer in answers] for name in HEADERS)
    assert limits == ["3"] * 4
    assert remaining == ["2", "1", "0", "0"]
    assert len(set(resets)) == 1
    assert 55 < int(resets[0]) - time.time() < 62


def test_errors_tell_the_limits_too() -> None:
    with Sandbox(rpm=9) as sandbox, client(sandbox) as http:
        answers = [http.post("/sandbox/fast", json={}), http.get("/tasks/task-none")]

    assert [answer.status_code for answer in answers] == [400, 404]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["8", "7"]


def test_a_place_is_free_again_when_a_task_has_ended() -> None:
    with Sandbox(concurrent=1, rpm=500, speed=2) as sandbox, client(sandbox) as http:
        accepted = http.post("/sandbox/fast", json=PROMPT)
        refused = http.post("/sandbox/fast", json=PROMPT)
        task = f"/tasks/{accepted.json()['data']['task_id']}"
        while (read := http.get(task)).json()["data"]["status"] != "success":
            time.sleep(0.01)
        again = http.post("/sandbox/fast", json=PROMPT)

    assert (accepted.status_code, refused.status_code, again.status_code) == (200, 429, 200)
    assert refused.json()["message"] == "Too many requests: Concurrent limit exceeded"
    assert int(refused.headers["X-RateLimit-Remaining"]) == 498
    assert refused.headers["X-RateLimit-Reset"] == read.headers["X-RateLimit-Reset"]
    assert len(sandbox.submissions) == 2


def test_downloads_and_schemas_do_not_count() -> None:
    with Sandbox(rpm=2, speed=1000) as sandbox, client(sandbox) as http:
        task = http.post("/sandbox/fast", json=PROMPT).json()["data"]["task_id"]
        schema = get(f"{sandbox.base_url}/models/sandbox/fast/api_schema")
        time.sleep(0.01)
        file = http.get(f"/tasks/{task}").json()["data"]["result"]["resources"][0]["url"]
        files = [get(file) for _ in range(3)]

    assert [answer.status_code for answer in (schema, *files)] == [200] * 4
    assert not [name for name in HEADERS for answer in files if name in answer.headers]


def test_a_new_minute_begins_with_its_first_request() -> None:
    limits = Limits(rpm=2)

    taken = [limits.take(at) for at in (1000.5, 1030.0, 1060.0, 1060.5, 1060.6, 1060.7)]

    assert taken == [True, True, False, True, True, False]
    assert limits.headers()["X-RateLimit-Reset"] == "1121"


def test_a_limit_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Sandbox(concurrent=0)
    with pytest.raises(ValueError, match="at least 1"):
        Sandbox(rpm=-1)
