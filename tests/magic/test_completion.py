"""What is offered on real lines, asked for as a kernel and as a terminal ask for it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from magic_shell import Shell, a_loaded_shell

from modellix_jupyter.magic import completion
from modellix_jupyter.notebook import current_session
from modellix_jupyter.planning.cell_options import COMMANDS, OPTIONS
from modellix_jupyter.sandbox_server import Sandbox

pytest_plugins = ["magic_fixtures"]

FAST = "%%modellix sandbox/fast "


@pytest.fixture(scope="module")
def shell(service: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """One shell for all: to complete changes nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELLIX_HOME", str(tmp_path_factory.mktemp("home")))
        with a_loaded_shell(tmp_path_factory.mktemp("ipython"), service, patch) as shell:
            yield shell


@pytest.fixture(autouse=True)
def session(service: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a session that has read the catalog, so that no answer is late."""
    monkeypatch.setenv("MODELLIX_BASE_URL", service.base_url)
    monkeypatch.setenv("MODELLIX_API_KEY", "sandbox")
    for model in ("sandbox/fast", "alibaba/qwen-image-plus"):
        current_session.current().schema(model)
    current_session.current().models()


OFFERED = {
    "%%modellix alibaba/wan": [
        "alibaba/wan-2.5-t2v",
        "alibaba/wan2.6-t2i",
        "alibaba/wan2.7-i2v",
        "alibaba/wan2.7-videoedit",
    ],
    "%%modellix nano-banana-2-l": ["google/nano-banana-2-lite"],
    "%modellix describe Banana-2-LITE": ["google/nano-banana-2-lite"],
    "%%modellix alibaba/qwen-image-plus --extend": ["--prompt-extend"],
    "%%modellix alibaba/qwen-image-plus --prompt-extend f": ["false"],
    FAST + "alibaba/qwen-": ["alibaba/qwen-image-plus"],
    FAST + "--no-w": ["--no-wait"],
    FAST + "--s": ["--save", "--seed", "--size"],
    "%%modellix alibaba/qwen-image-plus --neg": ["--negative-prompt"],
    FAST + "--size 2": ["256x256"],
    FAST + "--size ": ["1024x1024", "256x256", "512x512", "512x768", "768x512"],
    FAST + "--vary s": ["seed=", "size="],
    FAST + "--param out": ["output_format="],
    FAST + "--seed 7 --re": ["--repeat", "--reuse"],
    "%modellix mo": ["models"],
    "%modellix ": sorted(command.name for command in COMMANDS),
    "%modellix h": ["help", "history"],
}


def test_what_may_stand_here_is_offered(shell: Shell) -> None:
    assert {line: sorted(shell.offered(line)) for line in OFFERED} == OFFERED


def test_values_are_offered_after_the_name_of_a_parameter(shell: Shell) -> None:
    (found,) = shell.offered(FAST + "--vary size=2")
    assert found in {"size=256x256", "256x256"}  # IPython 7 replaces what follows the sign


def test_a_word_with_a_sign_in_it_is_replaced_whole(shell: Shell) -> None:
    for end in ("1024*", "1024*1", "102"):
        code = f"%%modellix alibaba/qwen-image-plus --size {end}"
        with provisionalcompleter():
            found = list(shell.ip.Completer.completions(code, len(code)))
        lines = {code[: each.start] + each.text for each in found}
        assert "%%modellix alibaba/qwen-image-plus --size 1024*1024" in lines


def test_the_older_interface_offers_the_same(shell: Shell) -> None:
    for line in ("%%modellix alibaba/wan", FAST + "--s", "%modellix mo"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            _, found = shell.ip.complete(line.rpartition(" ")[2], line, len(line))
        assert sorted(found) == OFFERED[line]


def test_every_option_is_offered(shell: Shell) -> None:
    offered = shell.offered(FAST + "--")
    assert {f"--{option.name}" for option in OPTIONS} <= set(offered)
    assert {"--seed", "--size"} <= set(offered)
    assert "--prompt" not in offered


def test_parameters_are_those_of_all_models_of_the_line(shell: Shell) -> None:
    offered = shell.offered("%%modellix sandbox/fast alibaba/qwen-image-plus --")
    assert {"--size", "--prompt-extend", "--negative-prompt"} <= set(offered)


def test_nothing_of_ours_is_offered_elsewhere(shell: Shell) -> None:
    ours = {command.name for command in COMMANDS} | {f"--{option.name}" for option in OPTIONS}
    ours |= {model.slug for model in current_session.current().models()}
    for code in (
        "%%modellix sandbox/fast\na sand",
        "%%modellix sandbox/fast\n--s",
        "sand",
        "%modellix history h",
        "%%modellix sandbox/fast --timeout 1",
    ):
        assert ours.isdisjoint(shell.offered(code)), code


def test_an_empty_line_is_no_error(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.offered("")
    assert "Traceback" not in "".join(capsys.readouterr())


def test_the_magics_themselves_are_offered(shell: Shell) -> None:
    assert "%%modellix" in shell.offered("%%modell")


def test_others_are_still_completed(shell: Shell) -> None:
    shell.ip.push({"a_long_name_of_mine": 1})
    assert "a_long_name_of_mine" in shell.offered("a_long_na")


def test_without_a_key_the_options_are_offered_all_the_same(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MODELLIX_API_KEY")
    monkeypatch.setenv("MODELLIX_HOME", str(tmp_path / "another"))
    current_session.close_all()
    assert "--no-wait" in shell.offered(FAST + "--no")
    assert shell.offered("%%modellix sandbox/fa") == []


def test_a_service_that_hangs_does_not_hold_up_the_typing(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    answer = threading.Event()

    class Hanging:
        def models(self) -> list[object]:
            answer.wait(30)
            return []

    monkeypatch.setattr(current_session, "current", Hanging)
    began = time.monotonic()
    try:
        assert shell.offered("%%modellix sandbox/fa") == []
        assert time.monotonic() - began < completion.PATIENCE_S + 5
    finally:
        answer.set()
        for thread in threading.enumerate():
            if thread.name == "modellix-complete":
                thread.join(30)


def test_what_is_typed_is_never_written_or_sent(shell: Shell, service: Sandbox) -> None:
    before = len(service.submissions)
    shell.offered(FAST + "--no-wait ")
    assert len(service.submissions) == before
