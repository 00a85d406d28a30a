"""The extension in IPython: it loads, shows its help, and leaves nothing when it is unloaded."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from magic_shell import KEY

from modellix_jupyter.engine.polling import Pace
from modellix_jupyter.errors import ConfigError
from modellix_jupyter.keys import SecretKey, store
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.cell_options import COMMANDS, OPTIONS
from modellix_jupyter.planning.plan import make_plan

if TYPE_CHECKING:
    from magic_shell import Shell

    from modellix_jupyter.sandbox_server import Sandbox

pytest_plugins = ["magic_fixtures"]


def traces(shell: Shell) -> dict[str, int]:
    """Return what an extension can leave in a shell, counted: other magics load lazily."""
    manager = shell.ip.magics_manager
    configurables = [type(c).__name__ for c in shell.ip.configurables]
    return {
        "line": "modellix" in manager.magics["line"],
        "cell": "modellix" in manager.magics["cell"],
        "registry": "Modellix" in manager.registry,
        "configurables": configurables.count("Modellix"),
        "matchers": _matchers(shell.ip),
        "attributes": sum("modellix" in name for name in vars(shell.ip)),
    }


def _matchers(ip: Any) -> int:
    """Count what completes, in the way of this IPython: 7 has another list for it."""
    lists = (getattr(ip.Completer, name, ()) for name in ("custom_matchers", "magic_arg_matchers"))
    return sum("modellix" in matcher.__module__ for each in lists for matcher in each)


def test_loading_says_and_writes_nothing_where_nothing_is_unfinished(
    bare: Shell, home: Path
) -> None:
    ran = bare.good("%load_ext modellix_jupyter")
    assert ran.everything.strip() == ""
    assert not home.exists()


def test_loading_adds_one_of_everything(bare: Shell) -> None:
    before = traces(bare)
    bare.good("%load_ext modellix_jupyter")
    assert set(before.values()) == {0}
    assert set(traces(bare).values()) == {1}


def test_unloading_leaves_nothing(bare: Shell) -> None:
    before = traces(bare)
    bare.good("%load_ext modellix_jupyter")
    bare.good("%unload_ext modellix_jupyter")
    assert traces(bare) == before
    assert "not found" in bare.run("%modellix help").err


def test_on_colab_the_first_cell_says_how_what_is_made_is_kept(
    bare: Shell, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    assert bare.good("%load_ext modellix_jupyter").out == ""
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    (line,) = bare.good("%reload_ext modellix_jupyter").out.splitlines()
    assert line.startswith("Modellix: Colab deletes this machine")
    assert "MODELLIX_LEDGER to the URL" in line
    assert "Drive has no locks" in line
    assert f"Files go to {home / 'files'}; MODELLIX_FILES" in line


@pytest.mark.parametrize("again", ["load_ext", "reload_ext"])
def test_loading_twice_is_as_good_as_once(bare: Shell, again: str) -> None:
    bare.good("%load_ext modellix_jupyter")
    once = traces(bare)
    bare.good(f"%{again} modellix_jupyter")
    bare.ip.extension_manager.loaded.discard("modellix_jupyter")
    bare.good("%load_ext modellix_jupyter")
    assert traces(bare) == once


def test_it_loads_again_after_it_was_unloaded(bare: Shell) -> None:
    bare.good("%load_ext modellix_jupyter")
    once = traces(bare)
    bare.good("%unload_ext modellix_jupyter")
    bare.good("%load_ext modellix_jupyter")
    assert traces(bare) == once
    bare.good("%config Modellix.ask_above = 5")
    assert current_session.current().settings.ask_above == 5


def test_unloading_ends_the_engine(shell: Shell) -> None:
    shell.good("%modellix balance")
    assert "modellix-engine" in {t.name for t in threading.enumerate()}
    shell.good("%unload_ext modellix_jupyter")
    assert "modellix-engine" not in {t.name for t in threading.enumerate()}


def test_a_reload_keeps_the_sandbox_and_its_tasks(shell: Shell, service: Sandbox) -> None:
    sandbox = shell.good("import modellix_jupyter as mx\nmx.sandbox(speed=50)").value
    shell.good("%config Modellix.thumbnail_px = 64")
    running = shell.good("%%modellix sandbox/slow --no-wait\na cat").value
    before = len(service.journal)
    once = traces(shell)
    shell.good("%reload_ext modellix_jupyter")
    assert traces(shell) == once
    assert shell.ip.run_line_magic("config", "Modellix.thumbnail_px") == 64
    (task,) = shell.good("%%modellix sandbox/fast\na dog").value
    assert task.origin == sandbox.base_url
    running.wait()
    assert running[0].status.value == "success"
    assert len(service.journal) == before
    sandbox.stop()
    assert current_session.current().settings.base_url == service.base_url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://api.modellix.ai", "base_url must be https"),
        ("https://api.modellix.ai/api/v1", "base_url is more than an origin"),
        ("modellix", "base_url"),
    ],
)
def test_a_base_url_that_cannot_be_used_is_two_lines_and_mended_by_another(
    bare: Shell, monkeypatch: pytest.MonkeyPatch, url: str, words: str
) -> None:
    before = traces(bare)
    monkeypatch.setenv("MODELLIX_BASE_URL", url)
    ran = bare.run("%load_ext modellix_jupyter")
    assert isinstance(ran.error, ConfigError)
    first, second = ran.lines
    assert words in first
    assert "https://api.modellix.ai" in second
    assert traces(bare) == before
    monkeypatch.setenv("MODELLIX_BASE_URL", "https://api.example.com")
    bare.good("%load_ext modellix_jupyter")
    bare.good("%config Modellix.ask_above = 5")
    assert current_session.current().settings.ask_above == 5


@pytest.mark.parametrize("magic", ["%%modellix", "%modellix"])
def test_a_question_mark_shows_every_option_and_command(bare: Shell, magic: str) -> None:
    bare.good("%load_ext modellix_jupyter")
    shown = bare.ip.object_inspect_text(magic)
    assert all(option.usage in shown for option in OPTIONS)
    assert all(command.usage in shown for command in COMMANDS)
    assert "Examples" in shown


def test_a_dollar_is_no_variable_of_ipython(shell: Shell) -> None:
    shell.ip.push({"size": "256x256", "seed": 3})
    ran = shell.run("%%modellix sandbox/fast --size $size\na cat")
    assert "$size" in ran.lines[0]


def test_another_fault_than_a_users_mistake_is_not_hidden(
    bare: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modellix_jupyter.magic import commands

    def broken(_: object) -> None:
        raise ZeroDivisionError

    bare.good("%load_ext modellix_jupyter")
    monkeypatch.setitem(commands.COMMAND_FUNCTIONS, "balance", broken)
    assert isinstance(bare.run("%modellix balance").error, ZeroDivisionError)


def test_ipythons_own_names_are_no_variables(shell: Shell) -> None:
    for name in ("exit", "In", "get_ipython"):
        failed = shell.run(f"%%modellix sandbox/fast --dry-run\na {{{name}}}")
        assert f"{{{name}}} in the prompt is not a variable" in failed.everything
    shell.good("In = 'an inn'")
    assert "an inn" in shell.good("%%modellix sandbox/fast --dry-run\n{In}").everything


def test_loading_sends_no_key_to_a_service_that_it_was_not_given_for(
    bare: Shell, service: Sandbox, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELLIX_BASE_URL", service.base_url)
    session = Session(key=KEY, pace=Pace(unseen_first_s=3600))
    task = session.submit(make_plan(["left behind"], ["sandbox/fast"]))[0]
    while session.ledger.find(task.uid).task_id is None:  # type: ignore[union-attr]  # it is there
        time.sleep(0.005)
    session.close()
    store(SecretKey(KEY, "typed"), home / "key")
    before = len(service.journal)
    assert "1 task is unfinished" in bare.good("%load_ext modellix_jupyter").out
    for thread in threading.enumerate():
        if thread.name == "modellix-resume":
            thread.join(60)
    assert len(service.journal) == before
    store(SecretKey(KEY, "typed"), home / "key", service.base_url)
    bare.good("%modellix balance")
    assert len(service.journal) > before
