"""The server as a thing: its start, its end, and what it leaves behind."""

import ast
import inspect
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from modellix_jupyter.sandbox_server import Faults, Sandbox
from modellix_jupyter.sandbox_server.catalog import MODELS
from modellix_jupyter.sandbox_server.site import Limits, Site, TaskStore

from .conftest import NO_TLS, get, post

KEY = {"Authorization": "Bearer any-key"}
FOLDER = Path(inspect.getfile(Sandbox)).parent
QWEN = MODELS["alibaba/qwen-image-plus"]


def test_a_taken_port_is_the_callers_error() -> None:
    with Sandbox() as first:
        second = Sandbox(port=int(first.base_url.rpartition(":")[2]))
        with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
            second.start()
        assert not second.running
        second.stop()


def test_start_and_stop_may_be_repeated() -> None:
    sandbox = Sandbox(speed=50)
    sandbox.stop()
    assert sandbox.start() is sandbox.start()
    url = sandbox.base_url
    post(f"{url}/api/v1/sandbox/fast", json={"prompt": "x"}, headers=KEY)
    sandbox.stop()
    sandbox.stop()
    with pytest.raises(httpx.ConnectError):
        get(url)

    sandbox.start()
    (task_id,) = sandbox.submissions
    answer = get(f"{sandbox.base_url}/api/v1/tasks/{task_id}", headers=KEY)
    sandbox.stop()
    assert answer.status_code == 200


def test_the_port_that_was_asked_for_and_the_loopback_only() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Sandbox(port=port) as sandbox:
        assert sandbox.base_url == f"http://127.0.0.1:{port}"
        assert sandbox.cdn_url.startswith("http://127.0.0.1:")
        assert sandbox.cdn_url != sandbox.base_url


def test_connections_are_kept_alive() -> None:
    with (
        Sandbox() as sandbox,
        httpx.Client(verify=NO_TLS, base_url=sandbox.base_url, headers=KEY) as client,
    ):
        answers = [client.get("/api/v1/models") for _ in range(3)]
        ports = {
            each.extensions["network_stream"].get_extra_info("client_addr") for each in answers
        }
    assert len(ports) == 1


def test_stop_does_not_wait_for_a_held_answer() -> None:
    sandbox = Sandbox(faults=Faults(submit={"hang": 1.0}, hang_seconds=60)).start()
    ended = threading.Event()

    def ask() -> None:
        url = f"{sandbox.base_url}/api/v1/sandbox/fast"
        with suppress(httpx.HTTPError):
            post(url, json={"prompt": "x"}, headers=KEY, timeout=30)
        ended.set()

    thread = threading.Thread(target=ask)
    thread.start()
    while not sandbox.submissions:
        time.sleep(0.005)
    before = time.monotonic()
    sandbox.stop()
    thread.join(5)
    assert ended.is_set()
    assert time.monotonic() - before < 3


def test_stop_in_the_middle_of_drawing_leaves_no_error(caplog: pytest.LogCaptureFixture) -> None:
    sandbox = Sandbox(speed=10_000).start()
    url = f"{sandbox.base_url}/api/v1"
    threads = []
    for seed in range(6):
        body = {"prompt": "x", "seed": seed, "duration": 1}
        sent = post(f"{url}/alibaba/qwen-image-plus", json=body, headers=KEY).json()["data"]
        time.sleep(0.005)
        task = get(f"{url}/tasks/{sent['task_id']}", headers=KEY).json()["data"]
        file = task["result"]["resources"][0]["url"]
        threads.append(threading.Thread(target=_get_and_ignore, args=(file,)))
    for thread in threads:
        thread.start()
    while sum(entry.origin == "cdn" for entry in sandbox.journal) < 6:
        time.sleep(0.005)
    sandbox.stop()
    for thread in threads:
        thread.join()
    assert [
        record
        for record in caplog.records
        if record.levelname != "DEBUG" and record.name != "httpx"
    ] == []


def _get_and_ignore(url: str) -> None:
    with suppress(httpx.HTTPError):
        get(url, timeout=20)


def test_speed_must_be_positive() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Sandbox(speed=0)


def test_drawing_does_not_stall_the_api() -> None:
    with Sandbox(speed=10_000) as sandbox, httpx.Client(verify=NO_TLS, headers=KEY) as client:
        url = f"{sandbox.base_url}/api/v1"
        sent = client.post(f"{url}/alibaba/qwen-image-plus", json={"prompt": "x"})
        time.sleep(0.005)
        task = client.get(f"{url}/tasks/{sent.json()['data']['task_id']}").json()["data"]
        file = task["result"]["resources"][0]["url"]
        thread = threading.Thread(target=_get_and_ignore, args=(file,))
        thread.start()
        answered = 0
        while thread.is_alive():
            client.get(f"{url}/apikey/validate")
            answered += 1
        thread.join()
    assert answered >= 10


def test_the_state_of_a_task_is_a_function_of_time() -> None:
    now = [1_000_000.0]
    store = TaskStore(seed=5, clock=lambda: now[0])
    task = store.accept(QWEN, {"prompt": "x"})

    assert 2 <= task.total_s <= 6
    assert task.status(now[0]) == "pending"
    assert task.status(now[0] + task.queued_s) == "processing"
    assert task.status(task.ended_at - 0.001) == "processing"
    assert task.status(task.ended_at) == "success"
    now[0] = task.ended_at + 7 * 24 * 3600 - 1
    assert store.find(task.id) is task
    now[0] += 1
    assert store.find(task.id) is None
    store.accept(QWEN, {"prompt": "y"})
    assert task.id not in store.submissions


def test_files_are_not_there_before_the_task_is_done() -> None:
    now = [0.0]
    store = TaskStore(clock=lambda: now[0])
    task = store.accept(QWEN, {"prompt": "x"})
    site, name = Site(store, [], Faults(), Limits(), 1.0), f"{task.id}-0.png"

    assert site.task_of(name) is None
    now[0] = task.ended_at
    assert site.task_of(name) is task
    assert site.task_of(f"{task.id}-1.png") is None
    now[0] = task.ended_at + 7 * 24 * 3600
    assert site.task_of(name) is None


def test_durations_repeat_with_the_seed_and_divide_by_the_speed() -> None:
    def totals(seed: int, speed: float = 1.0) -> list[float]:
        store = TaskStore(seed=seed, speed=speed)
        return [store.accept(QWEN, {"prompt": "x"}).total_s for _ in range(20)]

    assert totals(1) == totals(1)
    assert totals(1) != totals(2)
    assert totals(1, speed=50) == pytest.approx([total / 50 for total in totals(1)])
    assert len(set(totals(1))) > 15


def test_every_model_keeps_to_its_pace() -> None:
    bounds = {"image": (0.5, 60), "video": (10, 25), "audio": (1, 4), "text": (1, 2)}
    store = TaskStore()
    for model in MODELS.values():
        low, high = bounds[model.media]
        for _ in range(20):
            assert low <= store.accept(model, {"prompt": "x"}).total_s <= high


def test_it_imports_nothing_of_the_rest_of_the_package() -> None:
    imported = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported.add(node.module or "")
            elif isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
    ours = {name for name in imported if name.startswith("modellix_jupyter")}
    assert ours
    assert all(name.startswith("modellix_jupyter.sandbox_server") for name in ours)


def test_importing_it_loads_neither_tornado_nor_pillow() -> None:
    code = (
        "import sys; from modellix_jupyter.sandbox_server import Sandbox; Sandbox();"
        "print([name for name in ('tornado', 'PIL', 'httpx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_forever_ends_on_a_signal_and_says_nothing(number: signal.Signals) -> None:
    code = (
        "from modellix_jupyter.sandbox_server import Sandbox; s = Sandbox(); s.start();"
        "print(s.base_url, flush=True); s.serve_forever(); print('ended', s.running)"
    )
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert get(f"{url}/api/v1/models").status_code == 401
    time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out.strip(), err) == (0, "ended False", "")
