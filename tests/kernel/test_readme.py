"""The README, followed to the letter: its cells run in a real kernel, on the sandbox it starts."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

README = Path(__file__).parents[2] / "README.md"
PATIENCE_S = 120

pytestmark = pytest.mark.kernel


def cells() -> list[str]:
    """Return the cells of the README that are code, in their order.

    The first example is what it looks like, before the extension is loaded and with no key; from
    "Try it without a key" on the reader is asked to type along.
    """
    _, _, told = README.read_text(encoding="utf-8").partition("## Try it")
    blocks = re.findall(r"```python\n(.*?)```", told, re.DOTALL)
    # asking for a key needs somebody to answer
    return [block for block in blocks if "%modellix key" not in block]


def test_every_cell_of_the_readme_runs(tmp_path: Path) -> None:
    found = cells()
    assert any("%modellix sandbox" in cell for cell in found)
    assert sum("%%modellix" in cell for cell in found) >= 2
    assert any("mx.compare" in cell for cell in found)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in found])
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=PATIENCE_S, kernel_name="python3", resources=folder).execute()
    assert (tmp_path / "boats.html").stat().st_size > 0
    assert len(list((tmp_path / "boats").glob("*.png"))) == 8
