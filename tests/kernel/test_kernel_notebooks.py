"""Whole notebooks, run as nbconvert and papermill run them: what stands in them afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import nbformat
import pytest
from kernel_talk import PICTURE, SPEED, kernel_environment
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.planning.plan import is_reusable
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.values import Task

pytestmark = pytest.mark.kernel

EXAMPLES = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PATIENCE_S = 120
"""An example draws plots and writes reports, on a machine that may have other work."""


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


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_a_second_run_of_an_example_pays_for_nothing_that_has_a_seed(
    service: Sandbox, tmp_path: Path, path: Path
) -> None:
    run_all(service, tmp_path, path)
    paid = paid_for(tmp_path)
    taken = len(service.submissions)
    run_all(service, tmp_path, path)
    seeds = [is_reusable(task.request, "seeded") for task in paid]
    assert any(seeds) == (path.stem in {"quickstart", "compare", "batch"})
    more = paid_for(tmp_path)[len(paid) :]
    assert [
        (t.request.model, t.status, t.error_message)
        for t in more
        if is_reusable(t.request, "seeded")
    ] == []
    # of the examples that start a sandbox of their own, this one sees nothing
    assert len(service.submissions) - taken in {len(more), 0}


def run_all(service: Sandbox, folder: Path, path: Path) -> None:
    """Run every cell of a notebook in a kernel of its own."""
    book = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(book, timeout=PATIENCE_S, kernel_name="python3", resources=where)
    client.execute(env=kernel_environment(service, folder))


def paid_for(folder: Path) -> list[Task]:
    """Return what a service took and the ledger has, oldest first."""
    with closing(Ledger(folder / "home" / "ledger.sqlite3", folder)) as ledger:
        return [t for t in ledger.tasks() if t.task_id and t.reused_from is None]
