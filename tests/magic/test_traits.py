"""``%config Modellix``: every setting is there, is checked, and does what it says."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from magic_shell import Shell, a_shell
from PIL import Image
from traitlets.config import Config

from modellix_jupyter.errors import ConfigError
from modellix_jupyter.notebook import current_session
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import SETTING_NAMES, Settings

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["magic_fixtures"]


def test_every_setting_is_listed_with_its_help_and_its_value(shell: Shell) -> None:
    listed = " ".join(shell.good("%config Modellix").out.split())
    for setting in fields(Settings):
        value = getattr(current_session.current().settings, setting.name)
        text = setting.metadata["help"]
        assert f"Modellix.{setting.name}=" in listed
        assert f"{' '.join(text.split())} Current: {value!r}" in listed


def test_every_setting_can_be_read_as_it_is_in_force(shell: Shell) -> None:
    read = {name: shell.good(f"%config Modellix.{name}").value for name in SETTING_NAMES}
    settings = current_session.current().settings
    assert read == {name: getattr(settings, name) for name in SETTING_NAMES}


REFUSED = [
    ("ask_above = 0", "ask_above is 0; it must be a number of at least 1."),
    ("max_in_flight = -1", "max_in_flight is -1; it must be a number of at least 1."),
    ("requests_per_second = float('nan')", "requests_per_second is nan"),
    ("submit_path = '/elsewhere'", 'submit_path is neither "/async" nor ""'),
    ("base_url = 'http://api.modellix.ai'", "base_url must be https"),
    ("schema_url = 'ftp://x'", "schema_url must be https"),
    ("ask_above = 'many'", "expected an int"),
    ("check_requests = 'sometimes'", "expected a boolean"),
]


def test_a_value_that_cannot_be_is_refused_in_a_sentence_and_put_back(
    shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    before = current_session.current().settings
    for line, words in REFUSED:
        name = line.partition(" ")[0]
        caplog.clear()
        shell.good(f"%config Modellix.{line}")
        (record,) = caplog.records
        assert words in record.getMessage()
        assert len(record.getMessage().splitlines()) <= 2
        assert current_session.current().settings == before
        assert shell.good(f"%config Modellix.{name}").value == getattr(before, name)
    shell.good("%config Modellix.ask_above = 3")  # a good value after them is taken
    assert current_session.current().settings.ask_above == 3


def test_ipythons_own_configuration_is_taken_over(tmp_path: Path) -> None:
    config = Config()
    config.Modellix.ask_above = 3
    config.Modellix.thumbnail_px = 128
    with a_shell(tmp_path, config) as shell:
        shell.good("%load_ext modellix_jupyter")
        settings = current_session.current().settings
        assert (settings.ask_above, settings.thumbnail_px) == (3, 128)
        assert shell.good("%config Modellix.ask_above").value == 3


def test_a_wrong_value_of_ipythons_own_configuration_is_two_lines(tmp_path: Path) -> None:
    config = Config()
    config.Modellix.ask_above = 0
    with a_shell(tmp_path, config) as shell:
        ran = shell.run("%load_ext modellix_jupyter")
        assert isinstance(ran.error, ConfigError)
        assert len(ran.lines) == 2
        assert "ask_above is 0" in ran.lines[0]


def test_check_requests_off_leaves_the_judgement_to_the_service(
    shell: Shell, service: Sandbox
) -> None:
    before = len(service.journal)
    assert shell.run("%%modellix sandbox/fast --size 1x1\na cat").lines[0].startswith("UsageError")
    assert "POST" not in {entry.method for entry in service.journal[before:]}
    shell.good("%config Modellix.check_requests = False")
    assert shell.run("%%modellix sandbox/fast --size 1x1\na cat").lines[0].startswith("BadRequest")
    assert [entry.method for entry in service.journal][-1] == "POST"


def test_submit_path_is_where_the_request_goes(shell: Shell, service: Sandbox) -> None:
    shell.good("%config Modellix.submit_path = ''")
    shell.good("%%modellix sandbox/fast\na cat")
    posted = [entry.path for entry in service.journal if entry.method == "POST"]
    assert posted[-1] == "/api/v1/sandbox/fast"


def test_base_url_is_where_everything_goes_once_the_user_says_so(
    shell: Shell, service: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "y"

    with Sandbox(speed=100) as other:
        before = len(service.journal)
        shell.good(f"%config Modellix.base_url = {other.base_url!r}")
        first, second = shell.run("%%modellix sandbox/fast\na cat").lines
        assert f"not given for {other.base_url}" in first
        assert "`%modellix key`" in second
        assert other.journal == []
        monkeypatch.setattr("builtins.input", answer)
        shell.good("%%modellix sandbox/fast\na cat")
        assert [other.base_url in words for words in asked] == [True]
        assert len(other.submissions) == 1
        assert len(service.journal) == before
        current_session.close_all()


def test_thumbnail_px_is_the_size_of_what_is_embedded(shell: Shell) -> None:
    shell.good("%config Modellix.thumbnail_px = 64")
    results = shell.good("%%modellix sandbox/fast\na cat").value
    (card,) = results.cards()
    with Image.open(BytesIO(b64decode(card.media[0].src.partition(",")[2]))) as picture:
        assert picture.size == (64, 64)


def test_home_is_where_the_files_go(shell: Shell, tmp_path: Path) -> None:
    shell.good(f"%config Modellix.home = {str(tmp_path / 'elsewhere')!r}")
    shell.good("%%modellix sandbox/fast\na cat")
    assert (tmp_path / "elsewhere" / "ledger.sqlite3").exists()


def test_a_setting_that_needs_a_new_engine_loses_no_running_task(shell: Shell) -> None:
    running = shell.good("%%modellix sandbox/slow --no-wait\na cat").value
    shell.good("%config Modellix.max_in_flight = 3")
    assert running.wait(30)[0].status.value == "success"
