"""The Binder configuration, executed step by step as repo2docker does it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"
PATIENCE_S = 600

pytestmark = [pytest.mark.kernel, pytest.mark.slow]


def run(command: list[str], cwd: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own commands
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_binder_opens_the_quickstart_on_the_sandbox(tmp_path: Path) -> None:
    # 1. the Python that runtime.txt names
    named = (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if named != running:
        pytest.skip(f"binder/runtime.txt names Python {named}, and this is {running}")
    prefix = tmp_path / "binder"
    venv.create(prefix, with_pip=True)
    # 2. the repository, copied, and the requirements installed from its root
    repository = tmp_path / "repository"
    ignored = shutil.ignore_patterns(".venv*", ".git", "demo", "dist", "build", ".*_cache")
    shutil.copytree(ROOT, repository, ignore=ignored)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("MODELLIX_")
    }
    home = tmp_path / "jovyan"
    home.mkdir()
    # a new home, but not every wheel a second time
    environment.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    environment |= {"HOME": str(home), "PATH": f"{prefix / 'bin'}:/usr/bin:/bin"}
    python = str(prefix / "bin" / "python")
    run(
        [python, "-m", "pip", "install", "-q", "-r", "binder/requirements.txt"],
        repository,
        environment,
    )
    # 3. postBuild, in the repository
    run([str(repository / "binder" / "postBuild")], repository, environment)
    # 4. what a visitor does: the quickstart, with no key and no settings
    command = [python, "-m", "nbconvert", "--to", "notebook", "--execute", "--output", "done"]
    run([*command, "notebooks/quickstart.ipynb"], repository, environment)
    done = nbformat.read(repository / "notebooks" / "done.ipynb", as_version=4)
    html = [
        output.data.get("text/html", "")
        for cell in done.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "data" in output
    ]
    assert sum("data:image/jpeg;base64," in text for text in html) >= 2
    assert (repository / "notebooks" / "results" / "quickstart.xlsx").stat().st_size > 0
