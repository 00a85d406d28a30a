"""What the viewer asks of the kernel, and what the kernel answers to anything else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from session_rig import HANG_S

from modellix_jupyter.notebook import viewer
from modellix_jupyter.notebook.viewer import respond
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.storage import thumbnails

FAST = "sandbox/fast"

if TYPE_CHECKING:
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.values import Task


@pytest.fixture
def task(session: Session) -> Task:
    plan = make_plan(["a <b>boat</b>\u202e"], [FAST], params={"size": "256x256", "seed": 7})
    return session.submit(plan).wait(HANG_S)[0]


def test_the_original_comes_in_bounded_parts(
    session: Session, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "PART_BYTES", 1000)
    whole, got = Path(task.path or "").read_bytes(), b""
    while True:
        asked = {"ask": "part", "key": f"{task.uid}/0", "start": len(got)}
        answer, buffers = respond(session.ledger, asked)
        assert answer == {"size": len(whole), "mime": "image/png"}
        if not buffers[0]:
            break
        assert len(buffers[0]) <= 1000
        got += buffers[0]
    assert got == whole


def test_facts_are_of_the_pictures_that_the_ledger_knows(session: Session, task: Task) -> None:
    session.ledger.rate(task.uid, 4)
    asked = {"ask": "facts", "keys": [f"{task.uid}/0", "nobody/0", f"{task.uid}/9", 7, None]}
    (item,) = respond(session.ledger, asked)[0]["facts"]
    assert (item["id"], item["rating"], item["params"]["seed"]) == (f"{task.uid}/0", 4, 7)
    assert (item["width"], item["height"]) == (256, 256)
    assert item["prompt"] == "a <b>boat</b>\u202e"
    assert item["path"] == task.path
    assert item["charged"] == task.charged
    assert "price" not in item  # what it cost is known


def test_stars_and_notes_stand_in_the_ledger(session: Session, task: Task) -> None:
    key = f"{task.uid}/0"
    for ask, value in (("rate", 5), ("note", "the best")):
        assert respond(session.ledger, {"ask": ask, "key": key, "value": value}) == (
            {"done": True},
            [],
        )
    assert session.ledger.remarks()[task.uid] == {"rating": 5, "note": "the best"}
    respond(session.ledger, {"ask": "rate", "key": key, "value": None})
    assert session.ledger.remarks()[task.uid]["rating"] is None


def test_whatever_else_a_page_says_is_refused(session: Session, task: Task) -> None:
    key = f"{task.uid}/0"
    wrong: list[dict[str, Any]] = [
        {},
        {"ask": "part", "key": "../../etc/passwd", "start": 0},
        {"ask": "part", "key": f"{task.uid}/-1", "start": 0},
        {"ask": "part", "key": f"{task.uid}/0", "start": -1},
        {"ask": "part", "key": key, "start": "0"},
        {"ask": "rate", "key": key, "value": 6},
        {"ask": "rate", "key": key, "value": True},
        {"ask": "rate", "key": key, "value": "5"},
        {"ask": "rate", "key": "nobody/0", "value": 5},
        {"ask": "note", "key": key, "value": "x" * (viewer.MAX_NOTE + 1)},
        {"ask": "send", "key": key, "value": 1},
        {"ask": ["rate"], "key": key, "value": 1},
    ]
    for message in wrong:
        answer, buffers = respond(session.ledger, message)
        assert set(answer) == {"error"}, message
        assert buffers == []
    assert session.ledger.remarks() == {}


def test_a_file_that_is_gone_or_no_picture_is_an_answer_too(session: Session, task: Task) -> None:
    asked = {"ask": "part", "key": f"{task.uid}/0", "start": 0}
    Path(task.path or "").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")
    assert "cannot show this kind" in respond(session.ledger, asked)[0]["error"]
    Path(task.path or "").unlink()
    assert "cannot be read" in respond(session.ledger, asked)[0]["error"]
