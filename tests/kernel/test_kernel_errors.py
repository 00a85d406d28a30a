"""What a cell says in a real kernel when it fails: two lines, and the notebook stops there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernel_talk import Talk, a_kernel

from modellix_jupyter.sandbox_server import Sandbox

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(speed=50) as running:
        yield running


@pytest.fixture(scope="module")
def talk(service: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with a_kernel(service, tmp_path_factory.mktemp("kernel")) as talk:
        yield talk


@pytest.mark.parametrize(
    ("model", "name", "message", "hint"),
    [
        ("out-of-credit", "PaymentRequired", "402: Payment required", "Recharge the account"),
        ("bad-request", "BadRequest", "400: ", "Change the parameter"),
        ("unauthorized", "Unauthorized", "401: ", "%modellix key"),
        ("not-found", "NotFound", "404: ", "%modellix models"),
        ("refuses", "TaskFailed", "Content policy", "Change the prompt"),
        ("silent", "OutcomeUnknown", "may have been accepted", "not sent again by itself"),
    ],
)
def test_a_failing_call_fails_the_cell_with_two_lines(
    talk: Talk, model: str, name: str, message: str, hint: str
) -> None:
    cell = talk.run(f"%%modellix sandbox/{model}\na lighthouse")
    (error,) = cell.of("error")
    assert (cell.status, cell.reply["ename"], error["ename"]) == ("error", name, name)
    assert error["traceback"] == cell.reply["traceback"]
    first, second = error["traceback"]
    assert first.startswith(f"{name}: ")
    assert message in first
    assert hint in second
    assert "File " not in first + second
    assert "\n" not in first + second
    assert "\x1b" not in first + second
    assert cell.complained == ""


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ('sandbox/fast --style "x\na cat', "a quote that never ends", "double quotes"),
        ("sandbox/fast --timout 3\na cat", "`--timout` is not an option", "`--timeout SECONDS`"),
        ("sandbox/fats\na cat", "no model `sandbox/fats`", "`sandbox/fast`"),
        ("sandbox/fast --sise 1\na cat", "sise", "`size`"),
        ("sandbox/fast\n   ", "no prompt", "below the first line"),
        ("sandbox/fast --body [1]\na cat", "--body", ""),
        ("sandbox/fast\na {catt}", "catt", ""),
        ("\na cat", "names no model", "%%modellix alibaba/qwen-image-plus"),
    ],
)
def test_a_users_mistake_is_two_lines_and_sends_nothing(
    talk: Talk, service: Sandbox, code: str, message: str, hint: str
) -> None:
    sent = len(service.submissions)
    cell = talk.run(f"%%modellix {code}")
    assert (cell.status, cell.reply["ename"]) == ("error", "UsageError")
    first, second = cell.complained.splitlines()
    assert first.startswith("UsageError: ")
    assert message in first
    assert hint in second
    assert cell.of("error", "display_data", "execute_result") == []
    assert len(service.submissions) == sent


def test_a_missing_key_says_where_one_is_made_and_offers_the_sandbox(talk: Talk) -> None:
    hide = "import os; key = os.environ.pop('MODELLIX_API_KEY')"
    assert talk.run(hide + "\n%reload_ext modellix_jupyter").status == "ok"
    try:
        cell = talk.run("%%modellix sandbox/fast\na cat")
        assert (cell.status, cell.reply["ename"]) == ("error", "UsageError")
        first, second = cell.complained.splitlines()
        assert "no Modellix API key" in first
        assert "https://modellix.ai/console/api-key" in second
        assert "%modellix sandbox" in second
    finally:
        talk.run("os.environ['MODELLIX_API_KEY'] = key\n%reload_ext modellix_jupyter")
    assert talk.run("%%modellix sandbox/fast\na cat").status == "ok"


def test_a_failed_cell_stops_those_that_wait_behind_it(talk: Talk) -> None:
    failing = talk.start("%%modellix sandbox/refuses\na lighthouse", stop_on_error=True)
    behind = talk.start("print('never')")
    assert talk.finish(failing).status == "error"
    assert talk.reply(behind)["status"] == "aborted"


def test_the_kernels_own_sandbox_needs_no_key(talk: Talk, service: Sandbox) -> None:
    sent = len(service.submissions)
    cell = talk.run("import modellix_jupyter as mx\nlocal = mx.sandbox(speed=50)")
    assert cell.status == "ok", cell.reply
    try:
        assert talk.run("%%modellix sandbox/fast\na cat").status == "ok"
        assert len(service.submissions) == sent
    finally:
        talk.run("local.stop()")
    assert talk.run("%%modellix sandbox/fast\na cat").status == "ok"
    assert len(service.submissions) == sent + 1
