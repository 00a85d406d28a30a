"""Where no IPython is, or nobody looks: plain scripts, papermill and marimo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from kernel_talk import PICTURE, SPEED, kernel_environment

from modellix_jupyter.sandbox_server import Sandbox

pytestmark = pytest.mark.kernel

SCRIPT = """
import modellix_jupyter as mx
boat = mx.generate("a red boat", "sandbox/fast")
print(boat.paths[0].suffix)
mx.generate("a red boat", "sandbox/fast", size="huge")
"""

MARIMO = """
import marimo

app = marimo.App()


@app.cell
def _():
    import modellix_jupyter as mx

    boats = mx.generate(["a red boat", "a blue boat"], "sandbox/fast")
    boats
    return (boats,)


@app.cell
def _(boats):
    boats.frame()
    return
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(speed=SPEED) as running:
        yield running


def ran(service: Sandbox, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a service, a key and a home of its own."""
    return subprocess.run(  # noqa: S603 - Python, with what the tests write
        [sys.executable, *command],
        env=kernel_environment(service, folder),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_script_has_its_output_to_itself_and_fails_by_its_exit_code(
    service: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = ran(service, tmp_path, "script.py")
    assert done.stdout == ".png\n", done.stderr
    assert "success" in done.stderr
    assert done.returncode == 1
    assert "InvalidRequest" in done.stderr.splitlines()[-2]


def papermill(service: Sandbox, folder: Path, *parameters: str) -> Any:
    """Run a notebook with parameters; return the process, and the outputs of its last cell."""
    v4: Any = nbformat.v4  # its functions have no types
    parametrised = v4.new_code_cell("colour = 'red'\nmodel = 'fast'")
    parametrised.metadata["tags"] = ["parameters"]
    cells = [
        parametrised,
        v4.new_code_cell("%load_ext modellix_jupyter"),
        v4.new_code_cell("%%modellix sandbox/{model}\na {colour} boat"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=cells, metadata=kernel), folder / "in.ipynb")
    done = ran(
        service, folder, "-m", "papermill", "in.ipynb", "out.ipynb", "--log-output", *parameters
    )
    return done, nbformat.read(folder / "out.ipynb", as_version=4).cells[-1].outputs


def test_papermill_gives_a_notebook_its_parameters(service: Sandbox, tmp_path: Path) -> None:
    done, (output,) = papermill(service, tmp_path, "-p", "colour", "blue")
    assert done.returncode == 0, done.stderr
    assert "sandbox/fast  submitting" in done.stderr
    assert PICTURE in output.data["text/html"]
    assert "a blue boat" in json.dumps(output.data)


def test_papermill_fails_where_a_task_fails(service: Sandbox, tmp_path: Path) -> None:
    done, (output, error) = papermill(service, tmp_path, "-p", "model", "refuses")
    assert done.returncode == 1
    assert "Content policy" in done.stderr
    assert error.ename == "TaskFailed"
    assert "application/vnd.jupyter.widget-view+json" not in output.data


def test_marimo_shows_results_as_they_show_themselves(service: Sandbox, tmp_path: Path) -> None:
    pytest.importorskip("marimo", reason="marimo is not among what this machine's kernel needs")
    (tmp_path / "book.py").write_text(MARIMO)
    done = ran(
        service,
        tmp_path,
        "-m",
        "marimo",
        "export",
        "html",
        "book.py",
        "-o",
        "book.html",
        "--no-sandbox",
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "book.html").read_text()
    assert page.count("data:image/jpeg;base64") >= 2
