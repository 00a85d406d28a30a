"""A session within the limits of a new account: two tasks at once, a hundred requests a minute."""

from __future__ import annotations

from pathlib import Path

from session_rig import KEY

from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Status


def test_many_tasks_on_few_places_are_refused_seldom_and_all_succeed(home: Path) -> None:
    with Sandbox(concurrent=2, rpm=100, speed=4) as sandbox:
        session = Session(Settings(base_url=sandbox.base_url, home=str(home)), key=KEY)
        plan = make_plan([f"boat {n}" for n in range(12)], ["sandbox/fast"])
        results = session.submit(plan).wait(timeout=60)
        sent = [entry for entry in sandbox.journal if entry.method == "POST"]
        assert {task.status for task in results} == {Status.SUCCESS}
        assert len(sandbox.submissions) == 12
        assert len(sent) - 12 <= 4
        session.close()
