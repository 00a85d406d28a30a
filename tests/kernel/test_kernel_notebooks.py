"""Whole notebooks, run as nbconvert and papermill run them: what stands in them afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from kernel_talk import PICTURE, SPEED, kernel_environment
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from modellix_jupyter.sandbox_server import Sandbox

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(speed=SPEED) as running:
        yield running


def executed(service: Sandbox, folder: Path, *cells: str) -> list[Any]:
    """Run cells as a notebook, and return them with their outputs."""
    v4: Any = nbformat.v4  # its functions have no types
    book = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        book, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=kernel_environment(service, folder))
    nbformat.validate(book)
    return list(book.cells)


def test_a_notebook_keeps_its_pictures_and_nothing_that_moves(
    service: Sandbox, tmp_path: Path
) -> None:
    cells = executed(
        service,
        tmp_path,
        "%load_ext modellix_jupyter",
        "%%modellix sandbox/slow --no-wait --out running\na meadow",
        "print('beside it')",
        "%%modellix sandbox/fast\na lighthouse",
        "_ = running.wait()",
    )
    quiet, unwaited, beside, waited, last = [cell.outputs for cell in cells]
    assert (quiet, last) == ([], [])
    assert [output.text for output in beside] == ["beside it\n"]
    for outputs in (unwaited, waited):
        (output,) = outputs
        assert output.output_type == "display_data"
        assert PICTURE in output.data["text/html"]
        assert "progressbar" not in output.data["text/html"]
        assert "success" in output.data["text/plain"]
    assert "a_meadow" not in waited[0].data["text/plain"]


def test_a_failing_cell_stops_the_notebook_and_says_why_in_two_lines(
    service: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(CellExecutionError) as caught:
        executed(
            service,
            tmp_path,
            "%load_ext modellix_jupyter",
            "%%modellix sandbox/out-of-credit\na lighthouse",
            "open('reached', 'w').close()",
        )
    assert caught.value.ename == "PaymentRequired"
    assert len(caught.value.traceback.rstrip("\n").split("\n")) < 12
    assert "  File " not in str(caught.value)
    assert not (tmp_path / "reached").exists()


def test_a_question_that_nobody_can_answer_sends_nothing(service: Sandbox, tmp_path: Path) -> None:
    sent = len(service.submissions)
    with pytest.raises(CellExecutionError) as caught:
        executed(
            service,
            tmp_path,
            "%load_ext modellix_jupyter",
            "%%modellix sandbox/fast --repeat 13\na lighthouse",
        )
    assert caught.value.ename == "UsageError"
    assert len(service.submissions) == sent
