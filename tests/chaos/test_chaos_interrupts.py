"""Cells that are interrupted at any moment: what is recorded is sent, once, and ends, or never."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from chaos_processes import start, submit_under_interrupts
from chaos_world import FULL, SPEED, assert_whole, compare, hurried_session, rows, settings

from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.values import Status

pytestmark = pytest.mark.slow

CELLS = 400 if FULL else 80
TAKEN_BACK = (Status.REJECTED, "stopped before it was sent")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(speed=SPEED) as running:
        yield running


def test_what_an_interrupted_cell_recorded_is_sent_once_and_ends_or_is_taken_back(
    sandbox: Sandbox, home: Path, place: Path | str
) -> None:
    ledger = str(place) if isinstance(place, str) else ""
    ours = settings(sandbox, home, ledger=ledger)
    child = start(submit_under_interrupts, ours, "cell", CELLS)
    interrupted = child.hear()
    assert 0 < interrupted < CELLS, "the interrupts came all at the same moment"
    assert child.hear() == []
    with closing(Ledger(place, home / "files")) as other:
        other.add([], "other")  # it holds the database no more
    child.tell()
    child.end()
    session = hurried_session(ours)
    outcome = compare(sandbox, rows(session))
    session.close()
    # what was recorded and had not left is taken back, as the interrupt of any cell does
    assert {(t.status, t.error_message) for t in outcome.never.values()} <= {TAKEN_BACK}
    assert not outcome.lost_answers
    for task in outcome.known.values():
        assert task.status is Status.SUCCESS
        assert_whole(task)
