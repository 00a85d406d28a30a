"""A service in a process of its own, and a kernel without a notebook that works with it."""

from __future__ import annotations

import asyncio
import platform
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from benchmarks.simulated import Outcome
from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.engine.engine import Engine
from modellix_jupyter.errors import RateLimited
from modellix_jupyter.ledger.kernel_locks import KernelLock
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.settings import Settings
from modellix_jupyter.storage.files import MIB, Files
from modellix_jupyter.storage.store import Limits, Store
from modellix_jupyter.values import Request, Status, Task, Update

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from modellix_jupyter.api.client import OnProgress
    from modellix_jupyter.values import TaskAnswer

KEY = "sandbox"
EVEN = "sandbox/slow"
"""A minute each time, at the sandbox's own speed."""
UNEVEN = "alibaba/qwen-image-plus"
"""3.2 s in the median, with a sigma of 0.25."""
QUICK = "sandbox/fast"
"""A few moments: for what has to be done once."""
USUAL_S = {EVEN: 60.0, UNEVEN: 3.2}
SMALL: dict[str, str] = {"size": "256x256"}
"""Parameters of the others: their pictures are soon drawn."""
_SERVE = """
import sys
from modellix_jupyter.sandbox_server import Sandbox
concurrent, rpm = (int(given) or None for given in sys.argv[2:4])
with Sandbox(speed=float(sys.argv[1]), concurrent=concurrent, rpm=rpm) as sandbox:
    print(sandbox.base_url, flush=True)
    sys.stdin.read()
"""


class Server:
    """A sandbox in another process, whose work is on nobody's account.

    Parameters
    ----------
    model
        The one that is used.
    seconds
        What its tasks are to take, in the median.
    concurrent, rpm
        The limits of an account: tasks at once, requests a minute; 0 is none.

    """

    def __init__(self, model: str, seconds: float, *, concurrent: int = 0, rpm: int = 0) -> None:
        self.model = model
        self._limits = (str(concurrent), str(rpm))
        self._speed = USUAL_S[model] / seconds
        self.url = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", _SERVE, str(self._speed), *self._limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._process.stdout is not None:
            self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()


class CountingClient(AsyncClient):
    """The client of a session, which counts the polls of each task, and the refusals."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(KEY, settings=settings)
        self.polls: Counter[str] = Counter()
        self.refusals = 0

    async def _send(self, method: str, path: str, **more: Any) -> bytes:  # noqa: ANN401 - as its base has it
        try:
            return await super()._send(method, path, **more)
        except RateLimited:
            self.refusals += 1
            raise

    async def task(self, task_id: str, *, on_progress: OnProgress | None = None) -> TaskAnswer:
        """Poll a task."""
        self.polls[task_id] += 1
        return await super().task(task_id, on_progress=on_progress)


class Kernel:
    """An engine on a ledger, as a session has it."""

    def __init__(self, home: Path, url: str, **changes: object) -> None:
        self.settings = Settings(base_url=url, home=str(home)).changed(**changes)
        self._ledger = Ledger(home / "ledger.sqlite3", home / "files")
        self._owner = KernelLock(home / "owners")
        store = Store(Files(home), Limits(MIB * 64, MIB * 64, 10))
        self.client = CountingClient(self.settings)
        self.engine = Engine(self.client, store, self._ledger, self._owner, self.settings)
        self._seen: dict[str, float] = {}
        self.engine.subscribe(self._hear)

    def _hear(self, update: Update) -> None:
        if update.task.status.ended:
            self._seen.setdefault(update.task.uid, time.time())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.engine.close()
        self._ledger.close()
        self._owner.close()

    def run(self, requests: Sequence[Request]) -> list[Task]:
        """Drive tasks to their ends, their files included.

        Raises
        ------
        RuntimeError
            One did not succeed, so that nothing is measured by it.

        """
        begun = self.engine.submit(requests)
        tasks = [self.engine.future(task.uid).result() for task in begun]
        bad = [task for task in tasks if task.status is not Status.SUCCESS or task.missing]
        if bad:
            raise RuntimeError(f"{len(bad)} of {len(tasks)} failed: {bad[0]}")
        return tasks

    def lags(self, requests: Sequence[Request]) -> list[Outcome]:
        """Return how late each task was seen, from when the service says it was over."""
        return [
            outcome(
                self._seen[task.uid],
                (task.submitted_at or 0) / 1e6,
                self.client.polls[task.task_id or ""],
                task.duration_ms or 0,
            )
            for task in self.run(requests)
        ]


def outcome(seen: float, sent: float, polls: int, duration_ms: int) -> Outcome:
    """Return the outcome of a task that was sent and seen at those times of the clock."""
    return Outcome(seen - sent - duration_ms / 1000, polls, duration_ms / 1000)


async def polled(url: str, work: Sequence[Request], every: float) -> list[Outcome]:
    """Submit tasks and ask about each at a fixed pace, as other clients do."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        return await asyncio.gather(*(_polled(client, request, every) for request in work))


async def _polled(client: httpx.AsyncClient, request: Request, every: float) -> Outcome:
    sent = time.time()
    path = f"/api/v1/{request.model}/async"
    accepted = (await client.post(path, json=request.body())).json()["data"]
    polls = 0
    while True:
        await asyncio.sleep(every)
        polls += 1
        answer = (await client.get(f"/api/v1/tasks/{accepted['task_id']}")).json()["data"]
        if answer["status"] == "success":
            return outcome(time.time(), sent, polls, answer["duration"])


def requests(model: str, count: int) -> list[Request]:
    """Return so many requests, all alike: the server draws their picture once, and not after."""
    return [Request(model, "a cat", {} if model == UNEVEN else dict(SMALL))] * count


def peak_kib() -> int:
    """Return the most memory that this process ever held, in KiB."""
    if platform.system() == "Linux":  # what getrusage says there begins with the parent's
        status = Path("/proc/self/status").read_text("utf-8")
        return int(status.partition("VmHWM:")[2].split()[0])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if platform.system() == "Darwin" else peak
