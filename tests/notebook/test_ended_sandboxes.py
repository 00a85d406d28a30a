"""Tasks of a sandbox that ended with its kernel: wherever they are looked at, they say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from session_rig import UNPOLLED, Sessions, wait_until_accepted

from modellix_jupyter.notebook import current_session, doctor, functions, recovery
from modellix_jupyter.notebook.recovery import SANDBOX_ENDED
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.values import service_of

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")


@pytest.fixture
def later(home: Path, sessions: Sessions) -> Session:
    """Return a session that comes after one whose sandbox has ended, and beside one that lives."""
    with Sandbox() as gone:
        ended = Sessions(home, gone)
        session = ended(pace=UNPOLLED, max_in_flight=1)
        results = session.submit(make_plan(["gone"], ["sandbox/slow"], repeat=2))
        wait_until_accepted(session, results[:1])
        ended.close()
    other = sessions(pace=UNPOLLED)
    wait_until_accepted(other, other.submit(make_plan(["lives"], ["sandbox/slow"])))
    return current_session.push(sessions(pace=UNPOLLED))


def states(session: Session) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for task in session.ledger.tasks():
        found.setdefault(str(task.request.prompt), []).append(task.status.value)
    return {prompt: sorted(values) for prompt, values in found.items()}


ENDED = {"gone": ["expired", "rejected"], "lives": ["pending"]}


def test_the_history_says_so(later: Session) -> None:
    frame = functions.history()
    assert states(later) == ENDED
    gone = frame[frame["prompt"] == "gone"]
    assert set(gone["error_message"]) == {SANDBOX_ENDED}
    # what was never sent holds nothing any more
    assert gone["price"].notna().tolist() == (gone["status"] == "expired").tolist()


def test_the_doctor_says_so(later: Session) -> None:
    (check,) = (c for c in doctor.examine(later) if c.name == "ledger")
    assert "2 of a sandbox that ended with its kernel" in check.detail
    assert "1 unfinished" in check.detail
    assert states(later) == ENDED


def test_a_resume_says_so(later: Session) -> None:
    ended = later.end_ended()
    (line,) = (line for line in recovery.report(later, later.resume(), ended) if "sandbox" in line)
    assert line == "2 of a sandbox that ended with its kernel: they will not finish."
    assert states(later) == ENDED


# -- what is of which service


def test_the_history_is_of_the_service_in_use_and_of_every_one_where_that_is_asked_for(
    later: Session, sessions: Sessions
) -> None:
    real = sessions(base_url="https://modellix.example")
    assert service_of(real.settings.base_url) == "modellix.example"
    assert real.history().empty
    assert set(real.history("all")["service"]) == {"sandbox"}
    assert len(real.history("sandbox")) == len(later.history()) == 3
    # and so is money
    spent = real.ledger.standings("modellix.example", later.ledger.tasks()[0].created_at)
    assert all(standing.spent == 0 for standing in spent)
