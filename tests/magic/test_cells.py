"""Every option of ``%%modellix`` does what its table says, and what is wrong sends nothing."""

from __future__ import annotations

import builtins
import errno
import json
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from magic_shell import KEY, Ran, Shell
from PIL import Image

from modellix_jupyter.errors import (
    LedgerError,
    LedgerTooNew,
    PaymentRequired,
    TaskFailed,
    WaitTimeout,
)
from modellix_jupyter.notebook.display import LiveView
from modellix_jupyter.planning.cell_options import OPTIONS
from modellix_jupyter.results import export
from modellix_jupyter.sandbox_server import Sandbox

pytest_plugins = ["magic_fixtures"]


@pytest.fixture
def bodies(service: Sandbox) -> Callable[[], list[dict[str, Any]]]:
    """Return what was submitted since the test began, the oldest first."""
    before = len(service.submissions)

    def since() -> list[dict[str, Any]]:
        return [dict(s.body) for s in list(service.submissions.values())[before:]]

    return since


Bodies = Callable[[], list[dict[str, Any]]]


def answers(monkeypatch: pytest.MonkeyPatch, answer: str | type[BaseException]) -> list[str]:
    """Answer questions with a text, or with what `input` raises; return the questions."""
    asked: list[str] = []

    def reply(question: str = "") -> str:
        asked.append(question)
        if isinstance(answer, str):
            return answer
        raise answer

    monkeypatch.setattr(builtins, "input", reply)
    return asked


def sent_in_plan_order(ran: Ran) -> list[dict[str, Any]]:
    return [task.request.body() for task in ran.value]


# -- parameters and bodies


PARAMETERS = [
    "--size 256x256 --seed 7",
    "--size=256x256 --seed=7",
    "--param size=256x256 --param seed=7",
    """--body '{"size": "256x256", "seed": 7}'""",
    """--body '{"size": "256x256"}' --seed 7""",
    "--size {size} --seed {seed}",
]


def test_parameters_reach_the_service(shell: Shell, bodies: Bodies) -> None:
    shell.ip.push({"size": "256x256", "seed": 7})
    for options in PARAMETERS:
        shell.good(f"%%modellix sandbox/fast --fresh {options}\na cat")
    assert bodies() == [{"prompt": "a cat", "size": "256x256", "seed": 7}] * len(PARAMETERS)


def test_a_dash_in_a_name_is_an_underscore(shell: Shell, bodies: Bodies) -> None:
    shell.good('%%modellix alibaba/qwen-image-plus --negative-prompt "blurry, text"\na cat')
    assert bodies() == [{"prompt": "a cat", "negative_prompt": "blurry, text"}]


def test_variables_stand_in_the_prompt_and_dollars_mean_nothing(
    shell: Shell, bodies: Bodies
) -> None:
    shell.ip.push({"animal": "fox", "price": 3})
    shell.good('%%modellix sandbox/fast\na {animal} for $price, {"a": 1}\nin two lines')
    assert bodies() == [{"prompt": 'a fox for $price, {"a": 1}\nin two lines'}]


def test_no_interpolate_leaves_braces_alone(shell: Shell, bodies: Bodies) -> None:
    shell.ip.push({"animal": "fox"})
    shell.good("%%modellix sandbox/fast --no-interpolate\na {animal} and a {stranger}")
    assert bodies() == [{"prompt": "a {animal} and a {stranger}"}]


# -- many tasks in one cell


def test_vary_makes_the_product_in_the_order_of_the_plan(shell: Shell, bodies: Bodies) -> None:
    ran = shell.good(
        "%%modellix sandbox/fast --vary seed=1,2 --vary size=256x256,512x512\na cat\n---\na dog"
    )
    expected = [
        {"prompt": prompt, "seed": seed, "size": size}
        for prompt in ("a cat", "a dog")
        for seed in (1, 2)
        for size in ("256x256", "512x512")
    ]
    assert sent_in_plan_order(ran) == expected
    assert sorted(map(str, bodies())) == sorted(map(str, expected))


def test_several_models_get_the_same_prompt(shell: Shell, service: Sandbox) -> None:
    before = len(service.submissions)
    ran = shell.good("%%modellix sandbox/fast alibaba/qwen-image-plus\na cat")
    assert [t.request.model for t in ran.value] == ["sandbox/fast", "alibaba/qwen-image-plus"]
    models = {s.model for s in list(service.submissions.values())[before:]}
    assert models == {"sandbox/fast", "alibaba/qwen-image-plus"}


def test_a_failure_among_several_is_no_error_of_the_cell(shell: Shell) -> None:
    ran = shell.good("%%modellix sandbox/refuses sandbox/fast\na cat")
    assert [task.status.value for task in ran.value] == ["failed", "success"]


def test_the_failure_of_all_is_an_error_of_the_cell(shell: Shell) -> None:
    ran = shell.run("%%modellix sandbox/refuses --repeat 2 --out refused\na cat")
    assert isinstance(ran.error, TaskFailed)
    assert len({task.task_id for task in shell.ip.user_ns["refused"]}) == 2


# -- what is done with the results


def test_out_binds_the_value_of_the_cell(shell: Shell) -> None:
    ran = shell.good("%%modellix sandbox/fast --out cats\na cat")
    assert shell.ip.user_ns["cats"] is ran.value
    assert shell.ip.user_ns["_"] is ran.value
    assert len(ran.value) == 1
    assert ran.value[0].status.value == "success"
    assert [picture.size for picture in ran.value.images] == [(512, 512)]


def test_out_is_bound_where_the_task_fails_too(shell: Shell) -> None:
    ran = shell.run("%%modellix sandbox/out-of-credit --out cats\na cat")
    assert isinstance(ran.error, PaymentRequired)
    assert len(ran.lines) == 2
    assert shell.ip.user_ns["cats"][0].status.value == "rejected"


def test_save_copies_the_files(shell: Shell, tmp_path: Path) -> None:
    ran = shell.good("%%modellix sandbox/fast --seed 7 --save out/here\na cat")
    (copy,) = (tmp_path / "out" / "here").iterdir()
    assert copy.name.startswith("a-cat_fast_seed7_")
    assert copy.read_bytes() == Path(ran.value[0].path).read_bytes()


def test_save_to_what_is_no_folder_sends_nothing(
    shell: Shell, tmp_path: Path, bodies: Bodies
) -> None:
    (tmp_path / "taken").write_text("a file")
    ran = shell.run("%%modellix sandbox/fast --save taken/here\na cat")
    assert len(ran.lines) == 2
    assert "--save" in ran.lines[0]
    assert bodies() == []


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full after a part of each copy."""

    def copy(_: object, part: Path) -> None:
        part.write_bytes(b"a part")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export, "shutil", SimpleNamespace(copyfile=copy))


@pytest.mark.usefixtures("full_disk")
def test_a_save_that_fails_fails_the_cell_in_two_lines_and_leaves_nothing(
    shell: Shell, tmp_path: Path
) -> None:
    ran = shell.run("%%modellix sandbox/fast --out cats --save out\na cat")
    first, second = ran.lines
    assert first.startswith("UsageError: --save: ")
    assert first.endswith("cannot be written: No space left on device.")
    assert second.startswith("The originals are kept: `Results.save`")
    assert list((tmp_path / "out").iterdir()) == []
    assert shell.ip.user_ns["cats"].paths[0].is_file()


@pytest.mark.usefixtures("full_disk")
def test_a_save_that_fails_after_its_cell_says_so_below_the_pictures(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(LiveView, "note", lambda _, text: notes.put(text))
    shell.good("%%modellix sandbox/slow --no-wait --save out\na cat")
    assert notes.get(timeout=30).startswith("--save: ")


def test_no_wait_returns_at_once_and_saves_all_the_same(shell: Shell, tmp_path: Path) -> None:
    ran = shell.good("%%modellix sandbox/slow --no-wait --out cats --save out\na cat")
    savers = [t for t in threading.enumerate() if t.name.startswith("modellix-saver")]
    assert ran.value is shell.ip.user_ns["cats"]
    assert not ran.value.done
    assert ran.value.wait(30)[0].status.value == "success"
    for saver in savers:
        saver.join(30)
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


def test_timeout_ends_the_wait_and_not_the_task(shell: Shell, bodies: Bodies) -> None:
    ran = shell.run("%%modellix sandbox/slow --timeout 0.05 --out cats\na cat")
    assert isinstance(ran.error, WaitTimeout)
    assert len(ran.lines) == 2
    assert "`%modellix wait`" in ran.lines[1]
    assert shell.ip.user_ns["cats"].wait(30)[0].status.value == "success"
    assert len(bodies()) == 1


# -- before anything is sent


def test_a_dry_run_shows_the_plan_and_sends_nothing(shell: Shell, bodies: Bodies) -> None:
    ran = shell.good("%%modellix sandbox/fast --dry-run --vary seed=1,2 --out cats\na cat")
    assert ran.value is None
    assert ran.text.startswith("2 tasks for $0.002; nothing was sent.")
    assert ran.text.count("$0.001") == 2
    assert ran.text.count("a cat") == 2
    assert "param.seed" in ran.text
    assert "cats" not in shell.ip.user_ns
    assert bodies() == []
    assert "No task was sent yet" in shell.good("%modellix history").out


def test_a_dry_run_needs_no_key_and_no_question(
    shell: Shell, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELLIX_API_KEY")
    asked = answers(monkeypatch, "y")
    ran = shell.good("%%modellix sandbox/fast --dry-run --repeat 60\na cat")
    assert ran.text.startswith(
        "60 tasks (no price is known: sandbox/fast: the catalog could not be read); nothing"
    )
    assert (asked, bodies()) == ([], [])


def test_a_dry_run_checks_the_plan(shell: Shell) -> None:
    ran = shell.run("%%modellix sandbox/fast --dry-run --seed never\na cat")
    assert "seed" in ran.lines[0]


def test_a_plan_above_the_limit_is_asked_about(
    shell: Shell, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.good("%config Modellix.ask_above = 2")
    for answer, count in [("n", 0), ("", 0), ("y", 3), ("YES ", 6)]:
        asked = answers(monkeypatch, answer)
        ran = shell.good("%%modellix sandbox/fast --repeat 3\na cat")
        assert asked == ["Send 3 tasks for $0.003? [y/N] "]
        assert len(bodies()) == count
        assert ("Nothing was sent." in ran.out) == (ran.value is None) == (count == 0)


def test_where_nobody_answers_the_answer_is_no(
    shell: Shell, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    for silence in (EOFError, OSError):
        answers(monkeypatch, silence)
        ran = shell.run("%%modellix sandbox/fast --repeat 13\na cat")
        assert ran.lines == [
            "UsageError: The plan has 13 tasks, and more than 12 need a yes.",
            "Nothing was sent; add --yes to send it.",
        ]
    answers(monkeypatch, KeyboardInterrupt)
    ran = shell.run("%%modellix sandbox/fast --repeat 13\na cat")
    assert isinstance(ran.error, KeyboardInterrupt)
    assert bodies() == []


def test_yes_asks_nothing_and_neither_does_a_plan_at_the_limit(
    shell: Shell, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.good("%config Modellix.ask_above = 2")
    asked = answers(monkeypatch, "n")
    shell.good("%%modellix sandbox/fast --repeat 3 --yes\na cat")
    shell.good("%%modellix sandbox/fast --repeat 2\na cat")
    assert (asked, len(bodies())) == ([], 5)


def test_help_names_every_option_and_sends_nothing(shell: Shell, bodies: Bodies) -> None:
    ran = shell.good("%%modellix sandbox/fast --help\na cat")
    assert all(option.usage in ran.out for option in OPTIONS)
    assert bodies() == []


# -- bad input: two lines, nothing lost, nothing sent

KEYS = "https://modellix.ai/console/api-key"


MISTAKES = [
    ("sandbox/fats\na cat", "There is no model `sandbox/fats`.", "`sandbox/fast`"),
    ("fast\na cat", "`fast` is not the name of a model.", "`sandbox/fast`"),
    ("qwen/image-plus\na cat", "no model `qwen/image-plus`", "`alibaba/qwen-image-plus`"),
    ("sandbox/fast --rpeat 2\na cat", "`--rpeat` is not an option", "--repeat N"),
    ("sandbox/fast --sied 2\na cat", "`sied`", "`seed`"),
    ("sandbox/fast --size 1x1\na cat", "size", "512x512"),
    ("sandbox/fast --body [1,2]\na cat", "`--body` is JSON, but not an object", ""),
    ("sandbox/fast --body {\na cat", "`--body` is not JSON", ""),
    ("sandbox/fast\n \n\t", "The cell has no prompt.", "below the first line"),
    ("sandbox/fast\na cat\n---\n", "Prompt 2 of 2 is empty.", "three dashes"),
    ("sandbox/fast\na {catt}", "{catt} in the prompt is not a variable", "`catty`"),
    ("sandbox/fast --timeout soon\na cat", "`--timeout soon`", "--timeout 300"),
    ("sandbox/fast --repeat 0\na cat", "`--repeat 0`", "--repeat 4"),
    ("sandbox/fast --out 1x\na cat", "`--out 1x`", "--out pictures"),
    ("sandbox/fast --seed 'x\na cat", "a quote that never ends", "double quotes"),
]


def test_bad_input_is_one_sentence_and_sends_nothing(shell: Shell, bodies: Bodies) -> None:
    shell.ip.push({"catty": "a cat"})
    for code, message, hint in MISTAKES:
        ran = shell.run(f"%%modellix {code}")
        first, second = ran.lines
        assert first.startswith("UsageError: ")
        assert message in first
        assert hint in second
        assert ran.out == ""
    assert bodies() == []


def test_a_cell_with_nothing_below_says_what_is_missing(shell: Shell) -> None:
    ran = shell.run("%%modellix sandbox/fast")
    assert ran.lines[0] == "UsageError: The cell has no prompt."
    ran = shell.run("%%modellix sandbox/fast --seed 7\n\n")
    assert "sandbox/fast needs `prompt`, which is not given." in ran.lines[0]


# -- media and models that take no prompt


def test_a_file_and_a_variable_are_inputs(shell: Shell, bodies: Bodies, tmp_path: Path) -> None:
    Image.linear_gradient("L").save(tmp_path / "cat.png")
    edit = "%%modellix google/nano-banana-2-edit"
    shell.good(f"{edit} --image {tmp_path / 'cat.png'} --out cats\na cat")
    shell.good(f"{edit} --image {{cats}}\nat night")
    shell.good("%%modellix openai/gpt-image-2-edit --image {cats}\nat night")
    first, second, third = (body["image"] for body in bodies())
    (result,) = (each.url for each in shell.ip.user_ns["cats"][0].resources)
    assert first.rpartition("/")[0].endswith("/media")
    assert (second, third) == (result, [result])


def test_a_model_without_a_prompt_is_called_by_an_empty_cell(shell: Shell, bodies: Bodies) -> None:
    shell.good("%%modellix minimax/speech-2.6 --out spoken\nla la la")
    shell.good("%%modellix alibaba/qwen3-asr-flash --url {spoken}")
    shell.good("%%modellix alibaba/qwen3-tts-flash --voice Ethan\nhello")
    assert [set(body) for body in bodies()] == [{"prompt"}, {"url"}, {"text", "voice"}]


def test_a_file_that_is_not_there_costs_nothing(shell: Shell, bodies: Bodies) -> None:
    Path("cat.png").touch()
    ran = shell.run("%%modellix google/nano-banana-2-edit --image cat.pgn\na cat")
    assert ran.lines[0] == "UsageError: There is no file `cat.pgn` for `image`."
    assert ran.lines[1].startswith("Did you mean `cat.png`?")
    assert bodies() == []
    assert bodies() == []


def test_a_missing_key_says_where_one_is_made_and_offers_the_sandbox(
    shell: Shell, bodies: Bodies, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.delenv("MODELLIX_API_KEY")
    ran = shell.run("%%modellix sandbox/fast\na cat")
    first, second = ran.lines
    assert first == "UsageError: There is no Modellix API key yet."
    assert KEYS in second
    assert "`%modellix sandbox`" in second
    assert bodies() == []
    assert not home.exists()


def test_a_key_of_the_wrong_form_is_not_repeated(
    shell: Shell, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELLIX_API_KEY", "two words-of-a-key")
    ran = shell.run("%%modellix sandbox/fast\na cat")
    assert len(ran.lines) == 2
    assert "words-of-a-key" not in ran.everything
    assert bodies() == []


def test_a_home_that_cannot_be_written_sends_nothing(
    shell: Shell, bodies: Bodies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MODELLIX_HOME", str(tmp_path / "file" / "home"))
    shell.good("%reload_ext modellix_jupyter")
    ran = shell.run("%%modellix sandbox/fast\na cat")
    assert isinstance(ran.error, LedgerError)
    first, second = ran.lines
    assert "cannot be opened" in first
    assert "MODELLIX_HOME" in second
    assert bodies() == []
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_ledger_of_a_newer_version_is_left_untouched(
    shell: Shell, bodies: Bodies, home: Path
) -> None:
    home.mkdir()
    path = home / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("CREATE TABLE things_to_come (what)")
        ledger.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    ran = shell.run("%%modellix sandbox/fast\na cat")
    assert isinstance(ran.error, LedgerTooNew)
    first, second = ran.lines
    assert "version 99" in first
    assert "Upgrade modellix-jupyter" in second
    assert bodies() == []
    assert path.read_bytes() == before
    loaded = shell.good("%reload_ext modellix_jupyter")
    assert len(loaded.out.splitlines()) == 1
    assert "version 99" in loaded.out


def test_nothing_that_is_written_holds_the_key(shell: Shell, home: Path) -> None:
    ran = [
        shell.run(f"%%modellix sandbox/{model} --save out\na cat")
        for model in ("fast", "refuses", "unauthorized")
    ]
    assert all(KEY not in each.everything for each in ran)
    written = [path for path in home.rglob("*") if path.is_file()]
    assert len(written) >= 2
    assert all(KEY.encode() not in path.read_bytes() for path in written)
    assert KEY not in json.dumps([t.request.body() for each in ran[:1] for t in each.value])
