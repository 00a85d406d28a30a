"""What is loaded when: the first cell must not wait for what only a later one needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modellix_jupyter.ledger.ledger import Ledger

LOADED = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"

EXTENSION = """
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
ip = InteractiveShell.instance(config=config)
import json, sys
before = set(sys.modules)
ip.run_line_magic("load_ext", "modellix_jupyter")
assert "modellix" in ip.magics_manager.magics["cell"]
print(json.dumps(sorted(set(sys.modules) - before)))
"""

NEEDED = {
    *("modellix_jupyter", "modellix_jupyter.settings", "modellix_jupyter.errors"),
    *("modellix_jupyter.magic", "modellix_jupyter.magic.completion"),
    "modellix_jupyter.magic.magics",
    *("modellix_jupyter.notebook", "modellix_jupyter.notebook.current_session"),
    "modellix_jupyter.notebook.recovery",
}
"""What registers the magics, the settings and the completion, and looks for a ledger."""


def loaded_by(code: str, home: Path) -> set[str]:
    """Return the modules that a fresh Python prints as the last line of a code."""
    ran = subprocess.run(  # noqa: S603 - this interpreter, with code of this module
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "MODELLIX_HOME": str(home)},
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def by_the_package(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    nowhere = tmp_path_factory.mktemp("home")
    return loaded_by(f"import modellix_jupyter\n{LOADED}", nowhere) - loaded_by(LOADED, nowhere)


@pytest.fixture(scope="module")
def by_the_extension(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return loaded_by(EXTENSION, tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize(
    "library",
    [
        *("pandas", "numpy", "matplotlib", "PIL", "ipywidgets", "httpx", "tornado", "IPython"),
        *("traitlets", "asyncio", "sqlite3", "nest_asyncio2", "platformdirs", "dataclasses"),
        *("typing", "re", "json"),
    ],
)
def test_the_package_loads_nothing_heavy(by_the_package: set[str], library: str) -> None:
    assert "modellix_jupyter" in by_the_package
    assert library not in by_the_package


@pytest.mark.parametrize(
    "library",
    [
        *("pandas", "numpy", "matplotlib", "PIL", "ipywidgets", "httpx", "tornado"),
        *("asyncio", "sqlite3", "sqlalchemy", "alembic", "nest_asyncio2", "concurrent"),
    ],
)
def test_the_extension_loads_nothing_heavy(by_the_extension: set[str], library: str) -> None:
    assert library not in {name.partition(".")[0] for name in by_the_extension}


def test_the_extension_loads_of_ours_what_registers_it(by_the_extension: set[str]) -> None:
    assert {n for n in by_the_extension if n.startswith("modellix_jupyter")} == NEEDED


def test_a_ledger_is_counted_with_no_session(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite3", tmp_path / "files").close()
    loaded = loaded_by(EXTENSION, tmp_path)
    assert loaded.isdisjoint({"sqlalchemy", "alembic"})
    ours = {n for n in loaded if n.startswith("modellix_jupyter")}
    counting = {"", ".pending_counts"}
    assert ours - NEEDED == {f"modellix_jupyter.ledger{name}" for name in counting}


@pytest.mark.parametrize("name", ["errors", "Request", "Status", "Task", "submit", "Results"])
def test_a_name_brings_no_library_before_it_is_used(name: str, tmp_path: Path) -> None:
    loaded = loaded_by(f"import modellix_jupyter\nmodellix_jupyter.{name}\n{LOADED}", tmp_path)
    assert loaded.isdisjoint({"pandas", "numpy", "PIL", "ipywidgets", "httpx", "tornado"})
