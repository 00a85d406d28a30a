"""The command, as a shell runs it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from modellix_jupyter import cli
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.functions import submit
from modellix_jupyter.sandbox_server import Sandbox

KEY = "sk-a-key-that-must-not-be-seen"


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(speed=100) as running:
        yield running


@pytest.fixture
def pointed(service: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELLIX_BASE_URL", service.base_url)
    monkeypatch.setenv("MODELLIX_API_KEY", KEY)


@pytest.fixture
def one_task(pointed: None) -> str:
    """A ledger with one finished task, of another process as far as the command can know."""
    results = submit("a paper crane", "sandbox/fast", size="256x256").wait(30)
    current_session.close_all()
    return str(results[0].task_id) if pointed is None else ""


@contextmanager
def a_sandbox(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command and return it with the address that it prints."""
    command = [sys.executable, "-m", "modellix_jupyter.cli", "sandbox", *arguments]
    with subprocess.Popen(  # noqa: S603 - this interpreter, with our own arguments
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://\S+:\d+", process.stdout.readline())
            assert address is not None
            export = f"export MODELLIX_BASE_URL={address[0]} MODELLIX_API_KEY=sandbox\n"
            assert process.stdout.readline() == export
            yield process, address[0]
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_the_sandbox_answers_until_it_is_told_to_end(how: signal.Signals) -> None:
    with a_sandbox("--port", "0") as (process, address):
        key = {"Authorization": f"Bearer {KEY}"}
        answer = httpx.get(f"{address}/api/v1/models", headers=key, timeout=30)
        assert answer.status_code == 200
        assert "sandbox/fast" in {model["slug"] for model in answer.json()["models"]}
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert (out, err) == ("", "")


def test_the_sandbox_takes_the_limits_of_an_account() -> None:
    with a_sandbox("--port", "0", "--concurrent", "1", "--rpm", "9") as (_, address):
        key = {"Authorization": f"Bearer {KEY}"}
        url = f"{address}/api/v1/sandbox/slow"
        answers = [httpx.post(url, json={"prompt": "x"}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert "Concurrent limit exceeded" in answers[1].json()["message"]
    assert answers[1].headers["X-RateLimit-Remaining"] == "7"


def test_a_limit_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for limit in ("0", "-1", "many"):
        with pytest.raises(SystemExit):
            cli.main(["sandbox", "--rpm", limit])
        assert "not a whole number above 0" in capsys.readouterr().err


def test_a_port_that_is_taken_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["sandbox", "--port", str(port)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert f"port {port}" in first
    assert "--port" in second


@pytest.mark.usefixtures("pointed")
def test_doctor_finds_all_well(capsys: pytest.CaptureFixture[str], service: Sandbox) -> None:
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert service.base_url in out
    assert "the key is valid" in out
    assert "WRONG" not in out
    assert KEY not in out


def test_doctor_fails_where_something_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "WRONG" in out
    assert "https://modellix.ai/console/api-key" in out


def test_a_wrong_base_url_is_two_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELLIX_BASE_URL", "http://api.modellix.ai")
    assert cli.main(["doctor"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_history_shows_every_task(one_task: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["history"]) == 0
    out = capsys.readouterr().out
    assert one_task in out
    assert "a paper crane" in out
    assert "success" in out


def test_history_needs_no_key(
    one_task: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELLIX_API_KEY")
    assert cli.main(["history"]) == 0
    assert one_task in capsys.readouterr().out


def test_a_history_of_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["history"]) == 0
    assert capsys.readouterr().out == "The ledger has no tasks yet.\n"


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize("ending", ["csv", "json", "html"])
def test_export_writes_the_history(
    one_task: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"all.{ending}"
    assert cli.main(["export", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert one_task in path.read_text(encoding="utf-8")


def test_export_to_another_format_is_two_lines(
    one_task: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert one_task
    assert cli.main(["export", str(tmp_path / "all.docx")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert not (tmp_path / "all.docx").exists()


def test_a_ledger_that_cannot_be_written_is_two_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MODELLIX_HOME", str(tmp_path / "file" / "home"))
    assert cli.main(["history"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("LedgerError: ")
    assert "MODELLIX_HOME" in second


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["paint"], ["export"], ["sandbox", "--port"], ["sandbox", "--port", "x"]),
        *(["sandbox", "--port=-1"], ["sandbox", "--port", "65536"]),
    ],
)
def test_what_is_no_command_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: modellix-jupyter" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("sandbox", "doctor", "history", "export"))


def test_the_installed_command_is_this_one() -> None:
    command = Path(sys.executable).with_name("modellix-jupyter")
    asked = subprocess.run(  # noqa: S603 - the command beside this interpreter
        [command, "history"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
    )
    assert (asked.returncode, asked.stdout) == (0, "The ledger has no tasks yet.\n")
