"""Every command of ``%modellix`` does what its table says."""

from __future__ import annotations

import builtins
import getpass
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from magic_shell import KEY, Shell

from modellix_jupyter.magic.commands import COMMAND_FUNCTIONS
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.functions import SandboxSession
from modellix_jupyter.planning.cell_options import COMMANDS
from modellix_jupyter.sandbox_server import Sandbox

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["magic_fixtures"]

OTHER_KEY = "sk-another-key-that-was-typed"


def keys_sent(service: Sandbox) -> list[str]:
    """Return the keys of all requests so far, the newest last."""
    headers = (entry.headers.get("authorization", "") for entry in service.journal)
    return [header.removeprefix("Bearer ") for header in headers if header]


def typed(monkeypatch: pytest.MonkeyPatch, key: str, keep: str = "n") -> list[str]:
    """Type a key where it is asked for, hidden; and answer whether to keep it."""
    asked: list[str] = []

    def hidden(prompt: str = "") -> str:
        asked.append(prompt)
        return key

    monkeypatch.setattr(getpass, "getpass", hidden)
    monkeypatch.setattr(builtins, "input", lambda _="": keep)
    return asked


def test_every_command_of_the_table_has_a_function_and_no_other_has() -> None:
    assert list(COMMAND_FUNCTIONS) == [command.name for command in COMMANDS]


def test_help_names_every_command(shell: Shell) -> None:
    for line in ("", "help", "--help", "-h"):
        out = shell.good(f"%modellix {line}".strip()).out
        assert all(f"%modellix {command.usage}" in out for command in COMMANDS)


def test_an_unknown_command_suggests_the_nearest(shell: Shell) -> None:
    assert shell.run("%modellix histroy").lines == [
        "UsageError: `histroy` is not a command of %modellix.",
        "Did you mean `history`? `%modellix help` lists them.",
    ]


def test_a_command_with_too_many_words_says_how_it_is_written(shell: Shell) -> None:
    first, second = shell.run("%modellix balance now").lines
    assert "takes nothing" in first
    assert second == "Write `%modellix balance`."
    assert "spaces between quotes" in shell.run("%modellix export a b.csv").lines[1]


# -- the key


def test_a_typed_key_is_checked_and_used(
    shell: Shell, service: Sandbox, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    asked = typed(monkeypatch, OTHER_KEY)
    ran = shell.good("%modellix key")
    assert asked == ["Modellix API key (not shown): "]
    assert ran.out == "The key is valid, and in use in this kernel.\n"
    assert service.journal[-1].path == "/api/v1/apikey/validate"
    assert keys_sent(service)[-1] == OTHER_KEY
    shell.good("%modellix balance")
    assert keys_sent(service)[-1] == OTHER_KEY
    assert not (home / "key").exists()
    assert "from `%modellix key`" in shell.good("%modellix doctor").text


def test_a_key_is_kept_for_its_owner_only_where_the_answer_is_yes(
    shell: Shell, service: Sandbox, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    typed(monkeypatch, OTHER_KEY, keep="y")
    ran = shell.good("%modellix key")
    assert f"Kept in {home / 'key'}." in ran.out
    assert OTHER_KEY not in ran.everything
    assert (home / "key").read_text() == OTHER_KEY
    assert stat.S_IMODE((home / "key").stat().st_mode) == 0o600
    monkeypatch.delenv("MODELLIX_API_KEY")
    shell.good("%reload_ext modellix_jupyter")  # the next session finds it there
    shell.good("%modellix balance")
    assert keys_sent(service)[-1] == OTHER_KEY


def test_a_key_that_the_service_refuses_is_not_used(
    shell: Shell, service: Sandbox, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    for key in ("wrong-key", "expired-key"):
        typed(monkeypatch, key, keep="y")
        ran = shell.run("%modellix key")
        assert ran.lines[0] == "UsageError: The service does not take this key."
        assert key not in ran.everything
    assert not (home / "key").exists()
    shell.good("%modellix balance")
    assert keys_sent(service)[-1] == KEY


def test_what_cannot_be_a_key_is_refused_without_a_request(
    shell: Shell, service: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(service.journal)
    for key in ("", "   ", "two words", "kéy", "k" * 20_000):
        typed(monkeypatch, key)
        ran = shell.run("%modellix key")
        assert len(ran.lines) == 2
        assert not key.strip() or key not in ran.everything
    assert len(service.journal) == before


def test_where_nobody_can_type_a_key_the_variable_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: str = "") -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", nobody)
    assert "MODELLIX_API_KEY" in shell.run("%modellix key").lines[1]


# -- looking


def test_doctor_finds_all_well_and_never_shows_the_key(shell: Shell, service: Sandbox) -> None:
    ran = shell.good("%modellix doctor")
    for word in (service.base_url, "from MODELLIX_API_KEY", "the key is valid", "100.00 USD"):
        assert word in ran.text
    assert "WRONG" not in ran.text
    assert KEY not in ran.everything


def test_doctor_says_what_is_wrong(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELLIX_API_KEY", "wrong-key-of-mine")
    shell.good("%reload_ext modellix_jupyter")
    ran = shell.good("%modellix doctor")
    assert "WRONG" in ran.text
    assert "wrong-key-of-mine" not in ran.everything


def test_doctor_needs_no_key(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELLIX_API_KEY")
    text = " ".join(shell.good("%modellix doctor").text.split())
    assert "https://modellix.ai/console/api-key" in text
    assert "%modellix sandbox" in text


def test_budget_shows_what_was_spent_and_sets_limits_for_every_kernel(
    shell: Shell, service: Sandbox
) -> None:
    where = "Service: sandbox. Each has limits of its own."
    *spent, last = shell.good("%modellix budget").out.splitlines()
    assert spent == ["$0.00 today", "$0.00 this month", "$0.00 in all"]
    assert last == f"{where} `%modellix budget 20/day` sets a limit for every kernel."
    shell.good("%%modellix alibaba/qwen-image-plus\na cat")
    day, month, everything, last = shell.good("%modellix budget 0.05/Day").out.splitlines()
    assert last == where
    assert day.startswith("$0.03 of $0.05 today; $0.02 left, renews at 20")
    assert (month, everything) == ("$0.03 this month", "$0.03 in all")
    sent = len(service.submissions)
    first, second = shell.run("%%modellix alibaba/qwen-image-plus\na cat").lines
    assert "This may cost $0.03, and $0.02 is left of $0.05 a day; it renews at 20" in first
    assert second.startswith("Nothing was sent")
    assert len(service.submissions) == sent
    shell.good("%modellix budget OFF")
    shell.good("%%modellix alibaba/qwen-image-plus\na cat")
    for wrong in ("twenty", "20/week", "-5", "1.2.3", "0x1"):
        first, second = shell.run(f"%modellix budget {wrong}").lines
        assert f"`{wrong}` is not a limit" in first
        assert "20/day" in second


def test_stop_takes_back_what_was_not_sent(shell: Shell) -> None:
    assert shell.good("%modellix stop").out == "Nothing is running.\n"
    shell.good("%config Modellix.max_in_flight = 1")
    results = shell.good("%%modellix sandbox/slow --repeat 3 --no-wait\na cat").value
    while results[0].task_id is None:
        time.sleep(0.01)
    out = shell.good("%modellix stop").out
    assert out.startswith("Stopped: 2 taken back before they were sent; 1 still running")
    assert [task.status.value for task in results][1:] == ["rejected"] * 2
    assert shell.run("%modellix stop no-such-task").lines[0].endswith("task `no-such-task`.")


def test_a_history_without_tasks_says_so_and_what_to_do(shell: Shell) -> None:
    for line in ("%modellix history", "%modellix history --all"):
        ran = shell.good(line)
        assert ran.value is None
        assert ran.out.startswith("No task was sent yet: ")
        assert "%%modellix alibaba/qwen-image-plus" in ran.out
    shell.good("%%modellix sandbox/fast\na cat")
    shell.good("%config Modellix.base_url = 'https://modellix.example'")
    ran = shell.good("%modellix history")
    assert ran.value is None
    assert ran.out.startswith("No task was sent to this service yet: `%modellix history --all`")
    assert len(shell.good("%modellix history --all").value) == 1


def test_history_takes_only_all(shell: Shell) -> None:
    shell.good("%%modellix sandbox/fast\na cat")
    assert list(shell.good("%modellix history").value["service"]) == ["sandbox"]
    assert list(shell.good("%modellix history --all").value["service"]) == ["sandbox"]
    first, second = shell.run("%modellix history everything").lines
    assert "`everything` is not an option" in first
    assert "--all" in second


def test_models_lists_them_with_what_they_cost_or_those_with_a_text(shell: Shell) -> None:
    every = shell.good("%modellix models").text
    assert all(t in every for t in ("alibaba/qwen-image-plus", "$0.03 / image", "text-to-video"))
    found = shell.good("%modellix models Text-to-VIDEO").text
    assert found.startswith("3 models that match “text-to-video”")
    assert "google/veo-3-fast" in found
    assert "sandbox/fast" not in found
    assert shell.good("%modellix models zeppelin").text.startswith("0 models")
    assert shell.good("%modellix models qwen-image-plus").text.startswith("1 model that matches")


def test_history_is_a_frame_of_every_task(shell: Shell) -> None:
    shell.good("%%modellix sandbox/fast --seed 7\na cat")
    shell.run("%%modellix sandbox/out-of-credit\na dog")
    frame = shell.good("%modellix history").value
    shown = frame._repr_html_()  # in a notebook it is a table for people, the newest first
    assert isinstance(frame, pd.DataFrame)
    assert type(frame.head()) is pd.DataFrame
    assert "data-mx-table" in shown
    assert shown.index("a dog") < shown.index("a cat")
    assert "task_id" not in shown
    assert list(frame["prompt"]) == ["a cat", "a dog"]
    assert list(frame["status"]) == ["success", "rejected"]
    assert frame["param.seed"][0] == 7


def test_export_writes_the_history(shell: Shell, tmp_path: Path) -> None:
    shell.good("%%modellix sandbox/fast\na cat")
    for ending in ("csv", "json", "parquet", "xlsx", "html"):
        ran = shell.good(f"%modellix export 'all of it.{ending}'")
        written = tmp_path / f"all of it.{ending}"
        assert f"all of it.{ending}" in ran.out
        assert written.stat().st_size > 100
        assert KEY.encode() not in written.read_bytes()
    refused = shell.run("%modellix export all.docx")
    assert len(refused.lines) == 2
    assert "csv" in "".join(refused.lines)
    assert not (tmp_path / "all.docx").exists()


def test_balance_is_in_dollars(shell: Shell) -> None:
    assert shell.good("%modellix balance").out.endswith(" USD\n")


# -- waiting and taking up


def test_wait_waits_for_what_is_not_done(shell: Shell) -> None:
    running = shell.good("%%modellix sandbox/slow --no-wait\na cat").value
    waited = shell.good("%modellix wait").value
    assert [task.uid for task in waited] == [task.uid for task in running]
    assert waited[0].status.value == "success"


def test_wait_takes_ids(shell: Shell) -> None:
    pair = shell.good("%%modellix sandbox/fast --vary seed=1,2\na cat").value
    waited = shell.good(f"%modellix wait {pair[1].task_id} {pair[0].task_id}").value
    assert [task.task_id for task in waited] == [pair[1].task_id, pair[0].task_id]


def test_wait_for_an_id_that_nobody_knows_says_so(shell: Shell) -> None:
    first, second = shell.run("%modellix wait task-unheard-of").lines
    assert "`task-unheard-of`" in first
    assert "`%modellix history`" in second


def test_nothing_unfinished_is_said(shell: Shell) -> None:
    for command in ("wait", "resume"):
        assert shell.good(f"%modellix {command}").out.strip() == "Nothing is unfinished."
    for command in ("send", "send --yes", "take-over"):
        assert shell.good(f"%modellix resume {command}").out.strip() == "Nothing was taken up."


def test_resume_takes_up_what_an_earlier_session_left(shell: Shell, service: Sandbox) -> None:
    sent = len(service.submissions)
    running = shell.good("%%modellix sandbox/slow --no-wait\na cat").value
    (uid,) = [task.uid for task in running]
    current_session.close_all()
    ran = shell.good("%modellix resume")
    assert [task.uid for task in ran.value] == [uid]
    assert ran.value[0].status.value == "success"
    assert "1 task taken up." in ran.out
    assert len(service.submissions) == sent + 1


def test_resume_says_what_may_have_been_charged_and_sends_nothing(
    shell: Shell, service: Sandbox
) -> None:
    shell.run("%%modellix sandbox/silent\na quiet cat")
    sent = len(service.submissions)
    out = shell.good("%modellix resume").out
    assert "1 submitted with no readable answer" in out
    assert "sandbox/silent  a quiet cat" in out
    assert len(service.submissions) == sent


# -- the panel and the sandbox


def test_describe_shows_every_parameter_the_price_and_a_cell(shell: Shell) -> None:
    told = shell.good("%modellix describe alibaba/wan2.7-i2v")
    assert told.text.startswith("alibaba/wan2.7-i2v (image-to-video), $0.10 / second.")
    for words in ("A request needs one of: first_frame; or first_clip.", "first_clip", "2 to 15"):
        assert words in told.text
    assert "Unchecked before it is sent: pattern of first_frame, " in told.text
    assert "%%modellix alibaba/wan2.7-i2v --first-frame picture.png" in told.out
    assert "google/nano-banana-2-lite" in shell.good("%modellix describe nano-banana-2-lite").text
    for name, words in (("zeppelin", "There is no model"), ("alibaba", "There is no model")):
        assert words in shell.run(f"%modellix describe {name}").lines[0]


def test_a_model_named_by_its_last_part_is_suggested_and_nothing_is_sent(
    shell: Shell, service: Sandbox
) -> None:
    before = dict(service.submissions)
    ran = shell.run("%%modellix nano-banana-2-lite\na cat")
    assert ran.lines[0] == "UsageError: `nano-banana-2-lite` is not the name of a model."
    assert ran.lines[1].startswith("Did you mean `google/nano-banana-2-lite`")
    ran = shell.run("import modellix_jupyter as mx\nmx.generate('a cat', 'nano-banana-2-lite')")
    assert "Did you mean `google/nano-banana-2-lite`" in ran.everything
    assert service.submissions == before


def test_models_and_describe_return_frames(shell: Shell) -> None:
    shell.good(
        "import modellix_jupyter as mx\nevery, some = mx.models(), mx.models('VIDEO sea')\n"
        "banana = mx.describe('google/nano-banana-2-edit').set_index('parameter')"
    )
    every, some = shell.ip.user_ns["every"], shell.ip.user_ns["some"]
    assert list(every) == ["model", "type", "price", "description"]
    assert 0 < len(some) < len(every)
    banana = shell.ip.user_ns["banana"]
    assert banana.type.to_dict() == {
        "prompt": "text",
        "image": "picture",
        "seed": "integer",
        "aspectRatio": "text",
        "imageSize": "text",
        "output_format": "text",
    }
    assert banana.required.sum() == 2
    assert banana["values"]["imageSize"] == "1K 2K"
    assert banana.default["imageSize"] == "1K"


def test_panel_is_a_widget_that_knows_the_models(shell: Shell) -> None:
    panel = shell.good("%modellix panel").value
    try:
        offered = panel.create.model
        deadline = time.monotonic() + 20
        while "sandbox/fast" not in [slug for slug, *_ in offered.models]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        panel.close()


def test_sandbox_needs_no_key_and_sends_nothing_elsewhere(
    shell: Shell, service: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELLIX_API_KEY")
    before = len(service.journal)
    ran = shell.good("%modellix sandbox")
    assert isinstance(ran.value, SandboxSession)
    assert ran.value.base_url in ran.out
    assert ran.value.base_url != service.base_url
    assert shell.good("%%modellix sandbox/fast\na cat").value[0].origin == ran.value.base_url
    assert len(service.journal) == before
    ran.value.stop()
    assert current_session.current().settings.base_url == service.base_url
