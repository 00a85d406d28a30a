"""Failures on purpose: those of certain models, and those of the injector."""

import time

import httpx
import pytest

from modellix_jupyter.sandbox_server import Fault, Faults, Sandbox
from modellix_jupyter.sandbox_server.faults import POSSIBLE, Operation

from .conftest import Run, get, post, request

KEY = {"Authorization": "Bearer any-key"}
PROMPT = {"prompt": "a cat"}
OPERATIONS: tuple[Operation, ...] = ("submit", "read", "download")


def test_models_that_always_fail(http: httpx.Client, sandbox: Sandbox) -> None:
    statuses = {
        "bad-request": 400,
        "unauthorized": 401,
        "out-of-credit": 402,
        "not-found": 404,
        "always-rate-limited": 429,
        "server-error": 500,
    }
    for name, status in statuses.items():
        for _ in range(4):
            answer = http.post(f"/api/v1/sandbox/{name}/async", json=PROMPT)
            assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert sandbox.submissions == {}


@pytest.mark.parametrize(
    ("name", "status", "times"),
    [("rate-limited", 429, 2), ("flaky", 500, 2), ("unavailable", 503, 1)],
)
def test_models_that_fail_at_first(
    http: httpx.Client, sandbox: Sandbox, name: str, status: int, times: int
) -> None:
    for prompt in ("one", "two"):
        answers = [
            http.post(f"/api/v1/sandbox/{name}/async", json={"prompt": prompt})
            for _ in range(times + 2)
        ]
        assert [each.status_code for each in answers] == [status] * times + [200, 200]
    assert len(sandbox.submissions) == 4


def test_a_rate_limit_says_when_to_come_back(http: httpx.Client) -> None:
    answer = http.post("/api/v1/sandbox/rate-limited/async", json=PROMPT)
    assert float(answer.headers["X-RateLimit-Reset"]) == pytest.approx(2 / 50)

    with Sandbox() as slow:
        url = f"{slow.base_url}/api/v1/sandbox/rate-limited"
        assert post(url, json=PROMPT, headers=KEY).headers["X-RateLimit-Reset"] == "2"


def test_a_proxy_error_is_a_page_and_accepts_nothing(http: httpx.Client, sandbox: Sandbox) -> None:
    answer = http.post("/api/v1/sandbox/proxy-error/async", json=PROMPT)

    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<html>")
    assert sandbox.submissions == {}


def test_silence_accepts_and_hangs_up(http: httpx.Client, sandbox: Sandbox) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/api/v1/sandbox/silent/async", json=PROMPT)

    assert [each.body for each in sandbox.submissions.values()] == [PROMPT]


def test_garbled_accepts_and_answers_nonsense(http: httpx.Client, sandbox: Sandbox) -> None:
    answer = http.post("/api/v1/sandbox/garbled/async", json=PROMPT)

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting"):
        answer.json()
    assert len(sandbox.submissions) == 1


def test_a_refused_prompt_fails_with_its_reason(run: Run) -> None:
    data = run("sandbox/refuses")

    assert data["status"] == "failed"
    assert data["error"]["message"].startswith("Content policy: ")
    assert "result" not in data


def test_expired_and_truncated_files(run: Run) -> None:
    gone = run("sandbox/expires")["result"]["resources"][0]["url"]
    cut = run("sandbox/truncated")["result"]["resources"][0]["url"]

    assert get(gone).status_code == 404
    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"):
        get(cut)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_choices_are_repeatable_and_follow_their_rates(operation: Operation) -> None:
    faults = Faults.everywhere(0.5, seed=3)
    chosen = [faults.choose(operation, n) for n in range(1500)]

    assert chosen == [Faults.everywhere(0.5, seed=3).choose(operation, n) for n in range(1500)]
    assert chosen != [Faults.everywhere(0.5, seed=4).choose(operation, n) for n in range(1500)]
    assert 0.45 < sum(fault is not None for fault in chosen) / 1500 < 0.55
    assert set(chosen) == {*POSSIBLE[operation], None}


def test_rates_are_checked() -> None:
    with pytest.raises(ValueError, match="truncated_file"):
        Faults(submit={"truncated_file": 0.1})
    with pytest.raises(ValueError, match="at most 1"):
        Faults(read={"503": 0.6, "500": 0.6})
    with pytest.raises(ValueError, match="positive"):
        Faults(download={"503": -0.1})
    assert Faults(submit={"503": 1.0}).choose("submit", 5) is Fault.UNAVAILABLE
    assert hash(Faults()) == hash(Faults())


def served(faults: Faults, method: str, path: str) -> tuple[httpx.Response | Exception, int]:
    """Return what one request came to, and how many submissions were accepted."""
    with Sandbox(speed=50, faults=faults) as sandbox:
        try:
            answer: httpx.Response | Exception = request(
                method, sandbox.base_url + path, json=PROMPT, headers=KEY
            )
        except httpx.HTTPError as error:
            answer = error
        return answer, len(sandbox.submissions)


@pytest.mark.parametrize("status", ["400", "401", "402", "404", "429", "500", "503"])
def test_injected_statuses_accept_nothing(status: str) -> None:
    answer, accepted = served(Faults(submit={status: 1.0}), "POST", "/api/v1/sandbox/fast")

    assert isinstance(answer, httpx.Response)
    assert (answer.status_code, accepted) == (int(status), 0)


@pytest.mark.parametrize(("fault", "accepted"), [("reset_before", 0), ("reset_after", 1)])
def test_injected_resets(fault: str, accepted: int) -> None:
    answer, taken = served(Faults(submit={fault: 1.0}), "POST", "/api/v1/sandbox/fast")

    assert isinstance(answer, httpx.ReadError)
    assert taken == accepted


@pytest.mark.parametrize("fault", ["truncated_json", "garbled_json"])
def test_injected_nonsense_was_accepted(fault: str) -> None:
    answer, accepted = served(Faults(submit={fault: 1.0}), "POST", "/api/v1/sandbox/fast")

    assert isinstance(answer, httpx.Response)
    assert (answer.status_code, accepted) == (200, 1)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
        answer.json()


def test_an_injected_hang_holds_the_answer_back() -> None:
    faults = Faults(submit={"hang": 1.0}, hang_seconds=0.2)
    before = time.monotonic()
    answer, accepted = served(faults, "POST", "/api/v1/sandbox/fast")

    assert time.monotonic() - before >= 0.2
    assert isinstance(answer, httpx.Response)
    assert (answer.status_code, accepted) == (200, 1)


def test_a_read_can_name_another_task() -> None:
    with Sandbox(speed=50, faults=Faults(read={"wrong_task_id": 1.0})) as sandbox:
        url = f"{sandbox.base_url}/api/v1"
        task_id = post(f"{url}/sandbox/fast", json=PROMPT, headers=KEY).json()["data"]["task_id"]
        data = get(f"{url}/tasks/{task_id}", headers=KEY).json()["data"]

    assert data["task_id"] != task_id


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("expired_file", 404), ("truncated_file", httpx.RemoteProtocolError), ("503", 503)],
)
def test_injected_download_faults(fault: str, outcome: int | type[Exception]) -> None:
    with Sandbox(speed=1000, faults=Faults(download={fault: 1.0})) as sandbox:
        url = f"{sandbox.base_url}/api/v1"
        task_id = post(f"{url}/sandbox/fast", json=PROMPT, headers=KEY).json()["data"]["task_id"]
        time.sleep(0.01)
        data = get(f"{url}/tasks/{task_id}", headers=KEY).json()["data"]
        file = data["result"]["resources"][0]["url"]
        if isinstance(outcome, int):
            assert get(file).status_code == outcome
        else:
            with pytest.raises(outcome):
                get(file)
