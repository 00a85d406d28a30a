"""When a task is asked about: clocks that are set, machines that sleep, kernels that share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_fakes import (
    HANG_S,
    PROCESSING,
    FakeService,
    Rig,
    a_task,
    ended,
    picture,
    request,
    stopped_kernel,
    success,
)

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.engine import sharing
from modellix_jupyter.engine.engine import Engine
from modellix_jupyter.engine.polling import Pace
from modellix_jupyter.errors import NoAnswer
from modellix_jupyter.ledger.kernel_locks import Owner
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.notebook.service import RestService
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.storage.store import MIB, Limits, Store
from modellix_jupyter.values import Request, Resource, Status, Task, TaskAnswer

pytest_plugins = ["engine_fixtures"]
pytestmark = pytest.mark.usefixtures("no_thread_left")

DAY_US = 86_400_000_000


def record(rig: Rig, seconds: float, count: int = 10) -> None:
    """Let the ledger know tasks of the model that took so long."""
    now = 1_799_000_000_000_000
    for number in range(count):
        task = a_task(
            uid=f"{number:032x}",
            status=Status.SUCCESS,
            submitted_at=now,
            completed_at=now + int(seconds * 1e6),
        )
        stopped_kernel(rig, task)


def over_at(rig: Rig, seconds: float) -> float:
    """Return the moment on the timer at which a task that is sent now is over."""
    return rig.time.timer() + seconds


# -- clocks


def test_a_clock_that_is_set_back_makes_no_question_wait(rig: Rig, service: FakeService) -> None:
    record(rig, 60.0)
    over = over_at(rig, 63.0)

    async def read(_task_id: str) -> TaskAnswer:
        rig.time.set_by = -3600.0
        return success(picture()) if rig.time.timer() >= over else PROCESSING

    service.on_read = read
    engine = rig.engine()
    ended(engine, *engine.submit([request()]))
    assert len(service.asked) > 1
    assert rig.time.timer() < over + 10.0


def test_a_machine_that_slept_asks_at_once_and_gives_nothing_up(
    rig: Rig, service: FakeService
) -> None:
    record(rig, 600.0)
    begun = rig.time.timer()

    async def asleep() -> None:
        rig.time.set_by = 7200.0  # the clock went on, and the timer stood

    rig.time.on_sleep = asleep
    engine = rig.engine()
    task = ended(engine, *engine.submit([request()]))
    assert task.status is Status.SUCCESS
    assert len(service.asked) == 1
    assert rig.time.timer() - begun < 10.0


def test_a_pause_knows_what_was_learned_meanwhile(rig: Rig, service: FakeService) -> None:
    """Of a model that took ten minutes, once; and another task of it just took four seconds."""
    record(rig, 600.0, count=1)
    engine = rig.engine()
    begun = rig.time.timer()

    async def another_ended() -> None:
        rig.time.on_sleep = None
        for number in range(10):
            now = 1_799_000_000_000_000
            engine._context.learn(
                a_task(submitted_at=now, completed_at=now + 4_000_000 + number, uid=f"{number:x}")
            )

    rig.time.on_sleep = another_ended
    ended(engine, *engine.submit([request()]))
    assert len(service.asked) == 1
    assert rig.time.timer() - begun < 20.0


# -- places


def test_a_download_that_waits_to_be_tried_again_takes_nobodys_place(
    rig: Rig, service: FakeService
) -> None:
    files = [
        stopped_kernel(
            rig,
            a_task(
                uid=f"{number:032x}",
                status=Status.SUCCESS,
                task_id=f"t{number}",
                submitted_at=1,
                completed_at=2,
                expires_at=int(rig.time() * 1e6) + DAY_US,
                resources=(picture(),),
            ),
        )
        for number in range(9)
    ]
    failing, last = {task.uid for task in files[:8]}, files[8].uid
    fetch, there = service.fetch, threading.Event()

    async def fetch_or_fail(task: Task, place: int) -> Resource:
        if task.uid in failing:
            failing.discard(task.uid)
            raise NoAnswer("reset")
        resource = await fetch(task, place)
        if task.uid == last:
            there.set()
        return resource

    async def until_the_last_is_there() -> None:
        assert await asyncio.to_thread(there.wait, HANG_S)

    service.fetch = fetch_or_fail  # type: ignore[method-assign]  # a fake of a fake
    rig.time.on_sleep = until_the_last_is_there
    engine = rig.engine()
    engine.resume(files)
    assert all(ended(engine, task).missing == () for task in files)


# -- one budget for all kernels of a ledger


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LOOK_EVERY_S", 0.01)


class Held(FakeService):
    """A service whose tasks end when the test says so."""

    def __init__(self, files: Path) -> None:
        super().__init__(files)
        self.over = threading.Event()
        self.seen = threading.Condition()

    async def read(self, task_id: str, on_progress: object) -> TaskAnswer:
        del task_id, on_progress
        return success() if self.over.is_set() else PROCESSING

    def share(self, kernels: int) -> None:
        with self.seen:
            super().share(kernels)
            self.seen.notify_all()

    def told(self, kernels: int) -> bool:
        """Wait until the service is told of so many kernels at work."""
        with self.seen:
            return self.seen.wait_for(lambda: self.shares[-1:] == [kernels], HANG_S)


@pytest.mark.usefixtures("often")
def test_only_kernels_that_have_something_to_do_share_the_budget(rig: Rig) -> None:
    one, two = Held(rig.files), Held(rig.files)
    first, second, idle = rig.engine(one), rig.engine(two), rig.engine(Held(rig.files))
    assert idle.busy() == 0
    first.submit([request()])
    assert one.told(1)
    (task,) = second.submit([request()])
    assert one.told(2)
    assert two.told(2)
    assert second._context.share.budget == 5.0
    two.over.set()
    ended(second, task)
    assert one.told(1)
    one.over.set()


@pytest.mark.usefixtures("often")
def test_a_kernel_at_another_service_or_gone_shares_nothing(rig: Rig) -> None:
    owners = rig.home / "owners"
    elsewhere, gone = Owner(owners), Owner(owners)
    elsewhere.begin("https://other.test")
    gone.begin("https://service.test")
    gone._lock.release()  # as the system does when its process ends
    service = Held(rig.files)
    engine = rig.engine(service)
    engine.submit([request()])
    assert service.told(1)
    assert [path.stem for path in owners.glob("*.busy") if path.stem == gone.name] == []
    service.over.set()
    elsewhere.close()
    assert list(owners.glob(f"{elsewhere.name}*")) == []


class Kernel:
    """An engine with a real client, on a ledger that it shares."""

    def __init__(self, home: Path, origin: str, budget: float) -> None:
        self._owner = Owner(home / "owners")
        self._ledger = Ledger(home / "ledger.sqlite3", home / "files")
        settings = Settings(base_url=origin, home=str(home), requests_per_second=budget)
        store = Store(home / "files", Limits(MIB, MIB, 1))
        self.engine = Engine(
            lambda: RestService(AsyncClient("key", settings=settings), store, 60.0),
            self._ledger,
            self._owner,
            settings,
            pace=Pace(unseen_first_s=0.1),
        )

    def close(self) -> None:
        self.engine.close(0.2)
        self._ledger.close()
        self._owner.close()


@pytest.fixture
def sandbox(no_thread_left: None) -> Iterator[Sandbox]:
    del no_thread_left
    with Sandbox() as running:
        yield running


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_two_engines_together_ask_no_more_than_the_budget(home: Path, sandbox: Sandbox) -> None:
    """By the service's own count: enough tasks that each engine alone would fill the budget."""

    budget, tasks = 40.0, 30
    kernels = [Kernel(home, sandbox.base_url, budget) for _ in range(3)]
    try:
        for kernel in kernels[:2]:  # the third has nothing to do
            kernel.engine.submit([Request("sandbox/slow", "a cat", {}) for _ in range(tasks)])
        while len(sandbox.journal) < 2 * tasks + 40:  # all are sent, and the engines share
            assert kernels[0].engine.busy() == tasks
            threading.Event().wait(0.01)
        before = len(sandbox.journal)
        while len(sandbox.journal) < before + 120:
            threading.Event().wait(0.01)
        asked = [entry.at for entry in sandbox.journal[before : before + 120]]
    finally:
        for kernel in kernels:
            kernel.close()
    # two seconds' worth may have been saved up, one by each
    assert len(asked) <= budget * (asked[-1] - asked[0] + 1)
