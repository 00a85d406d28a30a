"""What the jobs of one engine share: the client, the store, the ledger, the clock, the limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from modellix_jupyter.engine import polling
from modellix_jupyter.engine.batch_writer import BatchWriter
from modellix_jupyter.engine.places import Places
from modellix_jupyter.engine.pools import started_pool
from modellix_jupyter.errors import LedgerError, ModellixError, NotOwned

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from modellix_jupyter.api.client import AsyncClient
    from modellix_jupyter.engine.polling import Pace
    from modellix_jupyter.engine.record import Record
    from modellix_jupyter.errors import ApiError
    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.settings import Settings
    from modellix_jupyter.storage.store import Store
    from modellix_jupyter.values import Task, Update

_T = TypeVar("_T")

_DOWNLOADS_AT_ONCE = 8
_REMEMBERED = 50
# How long the owner that was read from the ledger is trusted, in seconds.
_OWNED_S = 1.0


def _keep_nothing(_: ApiError) -> None:
    """Do nothing; the supervisor replaces this."""


@dataclass(kw_only=True, eq=False)
class Context:
    """The shared parts of an engine; used on its event loop only."""

    client: AsyncClient
    store: Store
    ledger: Ledger
    # The name under which this engine owns tasks.
    owner: str
    settings: Settings
    # Called with each change of a task.
    publish: Callable[[Update], None]
    # Called with messages for the user that are not about a single task.
    warn: Callable[[ModellixError], None]
    pace: Pace
    # Returns seconds since the epoch, for recorded times.
    clock: Callable[[], float]
    # Returns monotonic seconds, for pauses: setting the clock does not affect it.
    timer: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    # Called when the service refuses everything: what has not been sent is kept unsent.
    keep_unsent: Callable[[ApiError], None] = _keep_nothing
    # How many tasks run at the service.
    polled: int = 0

    def __post_init__(self) -> None:
        # What the ledger failed with, as long as it does.
        self.ledger_problems: list[str] = []
        self.writer = BatchWriter(self.ledger, self.owner)
        # not the loop's default threads, which downloads need while a database is slow
        self._readers = started_pool(2, "modellix-reader")
        self._started = self.clock() - self.timer()
        self.places = Places(self.settings.max_in_flight, self.timer, learned=self._known_places())
        self.places.on_learned = self._keep_places
        # polls first if no place is free, since a task's end frees one; else submissions first
        self.client.budget.polls_first = lambda: self.polled >= self.places.capacity
        self.downloads = asyncio.Semaphore(_DOWNLOADS_AT_ONCE)
        self._durations: dict[str, tuple[float, ...]] = {}
        self._accepted: dict[str, str] = {}

    def _known_places(self) -> int | None:
        try:
            return self.ledger.places(self.settings.base_url)
        except LedgerError:
            return None  # it is learned again by a refusal

    def _keep_places(self, places: int) -> None:
        self.writer.post(self.ledger.keep_places, self.settings.base_url, places)

    def is_past(self, moment_us: int) -> bool:
        """Whether a time has passed, by the clock and by the timer.

        So nothing is given up because somebody changed the clock.
        """
        surely = min(self.clock(), self._started + self.timer())
        return surely * 1_000_000 > moment_us

    def now_us(self) -> int:
        """Return the time in microseconds since the epoch."""
        return int(self.clock() * 1_000_000)

    async def read(self, read: Callable[..., _T], *args: object) -> _T:
        """Run a read of the ledger in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, read, *args)

    async def close(self) -> None:
        """End the threads when everything is on the disk."""
        await self.writer.close()
        self._readers.shutdown()

    def ledger_failed(self, error: LedgerError) -> bool:
        """Keep for the user that the ledger fails; False where that is known."""
        is_new = error.message not in self.ledger_problems
        if is_new:
            self.ledger_problems.append(error.message)
        return is_new

    def ledger_works(self) -> None:
        """Forget that it failed."""
        self.ledger_problems.clear()

    async def check_owner(self, record: Record) -> None:
        """Raise `NotOwned` if another kernel owns the task by now."""
        if abs(self.clock() - record.owned_at) < _OWNED_S:
            return
        try:
            owner = await self.read(self.ledger.owner, record.task.uid)
        except LedgerError:
            return  # no other kernel can take it over now either, and the running task must go on
        if owner != self.owner:
            raise NotOwned("Another kernel took this task over.")

    def check_id(self, task: Task) -> None:
        """Tell the user if the service gave the same id to two submissions."""
        first = self._accepted.setdefault(task.task_id or "", task.uid)
        if first != task.uid:
            self.warn(
                ModellixError(
                    f"The service gave two submissions the same id, {task.task_id}: both may be "
                    f"charged, and there is one result ({first[:8]} and {task.uid[:8]})."
                )
            )

    def next_delay(self, model: str, elapsed: float) -> float:
        """Return the seconds until a task of a model is polled again."""
        return polling.next_delay(
            self.durations(model),
            elapsed,
            in_flight=max(1, self.polled),
            polls_per_second=self.client.budget.polls_per_second(self.places.waiting),
            pace=self.pace,
        )

    async def load_durations(self, model: str) -> None:
        """Read the durations of a model's latest tasks in a thread, unless they are known."""
        if model not in self._durations:
            await self.read(self.durations, model)

    def durations(self, model: str) -> tuple[float, ...]:
        """Return the durations of a model's latest tasks, in seconds; read from the ledger once.

        On the loop, call `load_durations` before, so that this does not block.
        """
        if model not in self._durations:
            try:
                found = tuple(self.ledger.durations(model, self.settings.base_url))
            except LedgerError:
                found = ()  # they only help to choose when to poll: no task may fail for them
            self._durations[model] = found
        return self._durations[model]

    def learn(self, task: Task) -> None:
        """Add a task's duration to its model's."""
        model = task.request.model
        known = self.durations(model)
        if task.elapsed_s is not None and task.measured:
            self._durations[model] = (task.elapsed_s, *known)[:_REMEMBERED]
