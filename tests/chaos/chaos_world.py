"""A session in a hurry, what a sandbox accepted, and what must hold whatever has happened."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.storage.files import local_copy
from modellix_jupyter.values import Request, Status, Task

FULL = os.environ.get("MODELLIX_CHAOS") == "full"
"""Whether to run as much as `make chaos` does."""
HURRY = 20.0
"""What every pause of a hurried session is divided by: its schedule is kept, its clock is real."""
MODEL = "sandbox/slow"
"""Takes a minute at the usual speed, every time; its pictures are soon drawn."""
SPEED = 600.0
"""At which it takes a tenth of a second."""
SIZE = (256, 256)
KEY = "sandbox"


async def hurried(seconds: float) -> None:
    """Sleep as the schedule says, only faster."""
    await asyncio.sleep(seconds / HURRY)


def hurried_session(settings: Settings) -> Session:
    """Return a session whose client and engine pause for a fraction of what their rules say."""
    return Session(settings, key=KEY, sleep=hurried)


def settings(sandbox: Sandbox, home: Path, **others: object) -> Settings:
    """Return settings that speak to a sandbox, and hold nothing back for its sake."""
    usual: dict[str, object] = {"requests_per_second": 400.0, "check_requests": False}
    return Settings(base_url=sandbox.base_url, home=str(home)).changed(**usual | others)


def plan(name: str, count: int) -> list[Request]:
    """Return one request for each of so many prompts, no two of which are the same."""
    prompts = [f"{name} {number}" for number in range(count)]
    size = "x".join(map(str, SIZE))
    return make_plan(prompts, [MODEL], params={"size": size})


def prompt_of(body: object) -> str:
    assert isinstance(body, dict)
    return str(body["prompt"])


def accepted(sandbox: Sandbox, name: str = "") -> dict[str, str]:
    """Return the id of each task that the service took and was paid for, by its prompt.

    No two have one prompt, so one that was submitted twice is found here.
    """
    paid = [(prompt_of(s.body), task_id) for task_id, s in sandbox.submissions.items()]
    mine = [(prompt, task_id) for prompt, task_id in paid if prompt.startswith(name)]
    twice = [prompt for prompt, n in Counter(p for p, _ in mine).items() if n > 1]
    assert not twice, f"submitted and paid for more than once: {twice}"
    return dict(mine)


def rows(session: Session, name: str = "") -> dict[str, Task]:
    """Return the ledger's rows by prompt, each prompt once."""
    tasks = [t for t in session.ledger.tasks() if (t.request.prompt or "").startswith(name)]
    found = {t.request.prompt or "": t for t in tasks}
    assert len(found) == len(tasks), "a request has two rows"
    return found


def assert_whole(task: Task) -> None:
    """Assert that every file of a task that is not lost is here, and is the picture asked for."""
    assert task.resources, task
    for resource in task.resources:
        if resource.lost:
            assert resource.path is None
            assert resource.problem
            continue
        assert resource.path is not None, resource
        path = local_copy(resource.path)
        with Image.open(path) as image:
            image.load()
            assert image.size == SIZE
            assert image.format == "PNG"
        assert path.stat().st_size == resource.size


def lost(task: Task) -> bool:
    """Whether the service itself lost a file of the task."""
    return any(resource.lost for resource in task.resources)


def assert_once(tasks: Iterable[Task], files: Path) -> None:
    """Assert that each downloaded file is there once: no copy beside it, none of another task."""
    known = [r.path for t in tasks for r in t.resources if r.path]
    assert len(known) == len(set(known))
    there = {str(p) for p in files.rglob("*") if p.is_file() and not p.name.startswith(".part-")}
    assert there == set(known)


def fetched(sandbox: Sandbox) -> list[str]:
    """Return the path of each request for a file, in order."""
    journal = tuple(sandbox.journal)
    return [e.path for e in journal if e.origin == "cdn" and e.path.startswith("/files/")]


def path_of(url: str) -> str:
    """Return the path of a file's address."""
    return "/" + url.split("/", 3)[3]


@dataclass(frozen=True)
class Outcome:
    """How the tasks of a ledger stand to what a service took."""

    known: dict[str, Task]
    """Accepted, and the ledger has the id."""
    lost_answers: dict[str, Task]
    """Accepted, and the answer was lost: the ledger must say that it does not know."""
    never: dict[str, Task]
    """Not accepted."""


def compare(sandbox: Sandbox, ledger: dict[str, Task], name: str = "") -> Outcome:
    """Hold the ledger against what was paid for, and assert that no payment is without a row."""
    paid = accepted(sandbox, name)
    assert set(paid) <= set(ledger), "paid for, and not in the ledger"
    known, without, never = {}, {}, {}
    for prompt, task in ledger.items():
        if prompt not in paid:
            assert task.task_id is None
            never[prompt] = task
        elif task.task_id is None:
            without[prompt] = task
        else:
            assert task.task_id == paid[prompt], "another task's id"
            known[prompt] = task
    return Outcome(known, without, never)


def with_status(tasks: Iterable[Task], *wanted: Status) -> Sequence[Task]:
    return [task for task in tasks if task.status in wanted]
