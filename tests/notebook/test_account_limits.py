"""A session within the limits of a new account: two tasks at once, a hundred requests a minute."""

from __future__ import annotations

from pathlib import Path

from session_rig import KEY

from modellix_jupyter.notebook.display import LiveView
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Status


class Seen:
    """A screen that keeps what it shows."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def draw(self, bundle: dict[str, str], *, last: bool) -> None:
        del last
        self.texts.append(bundle["text/plain"])


def test_many_tasks_on_few_places_are_refused_seldom_and_all_succeed(home: Path) -> None:
    with Sandbox(concurrent=2, rpm=100, speed=4) as sandbox:
        settings = Settings(base_url=sandbox.base_url, home=str(home))
        session, seen = Session(settings, key=KEY), Seen()
        plan = make_plan([f"boat {n}" for n in range(12)], ["sandbox/fast"])
        results = session.submit(plan)
        LiveView(session, [task.uid for task in results], seen).start()
        results.wait(timeout=60)
        sent = [entry for entry in sandbox.journal if entry.method == "POST"]
        assert {task.status for task in results} == {Status.SUCCESS}
        assert len(sandbox.submissions) == 12
        assert len(sent) - 12 <= 4
        assert any("waiting for a place (2 at once)" in text for text in seen.texts)
        assert any("left" in text for text in seen.texts)
        session.close()

        again = Session(settings, key=KEY)  # what was learned is in the ledger
        again.submit(make_plan([f"train {n}" for n in range(4)], ["sandbox/fast"])).wait(timeout=60)
        assert sum(entry.method == "POST" for entry in sandbox.journal) == len(sent) + 4
        again.close()
