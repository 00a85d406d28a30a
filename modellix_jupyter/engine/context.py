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
# How long what the ledger said of an owner is believed, in seconds.
_OWNED_S = 1.0


def _keep_nothing(_: ApiError) -> None:
    """Stand for the supervisor until there is one."""


@dataclass(kw_only=True, eq=False)
class Context:
    """The shared parts of an engine, used on its loop only."""

    client: AsyncClient
    store: Store
    ledger: Ledger
    # The name under which this engine drives tasks.
    owner: str
    settings: Settings
    # Takes each change of a task.
    publish: Callable[[Update], None]
    # Takes what the user should know that is about no single task.
    warn: Callable[[ModellixError], None]
    pace: Pace
    # Returns seconds since the epoch, for what is recorded.
    clock: Callable[[], float]
    # Returns seconds from any start, for pauses: no user and no server sets it.
    timer: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    # Keeps unsent what has not left, because the service refuses all of it.
    keep_unsent: Callable[[ApiError], None] = _keep_nothing
    # How many tasks the service works on.
    polled: int = 0

    def __post_init__(self) -> None:
        self.writer = BatchWriter(self.ledger, self.owner)
        # apart from the loop's own threads, which downloads need while a database makes wait
        self._readers = started_pool(2, "modellix-reader")
        self._started = self.clock() - self.timer()
        self.places = Places(self.settings.max_in_flight, self.timer, learned=self._known_places())
        self.places.on_learned = self._keep_places
        # a seen end frees a place; a free place should not wait for polls
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
        """Whether a moment has passed, by the clock and by the timer beside it.

        Nothing is given up because somebody set the clock, or had set it before.
        """
        surely = min(self.clock(), self._started + self.timer())
        return surely * 1_000_000 > moment_us

    def now_us(self) -> int:
        """Return the time in microseconds since the epoch."""
        return int(self.clock() * 1_000_000)

    async def read(self, read: Callable[..., _T], *args: object) -> _T:
        """Call what reads the ledger, with no waiting on the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, read, *args)

    async def close(self) -> None:
        """End the threads once everything is on the disk."""
        await self.writer.close()
        self._readers.shutdown()

    async def check_owner(self, record: Record) -> None:
        """Raise `NotOwned` where a task is another kernel's by now."""
        if abs(self.clock() - record.owned_at) < _OWNED_S:
            return
        try:
            owner = await self.read(self.ledger.owner, record.task.uid)
        except LedgerError:
            return  # nobody can take it over either, and a running task must not end of it
        if owner != self.owner:
            raise NotOwned("Another kernel took this task over.")

    def check_id(self, task: Task) -> None:
        """Say so where the service gave one id to two submissions."""
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
        """Read what a model's latest tasks took, beside the loop, where that is not known yet."""
        if model not in self._durations:
            await self.read(self.durations, model)

    def durations(self, model: str) -> tuple[float, ...]:
        """Return what a model's latest tasks took, in seconds; read from the ledger once.

        On the loop, only after `load_durations`.
        """
        if model not in self._durations:
            try:
                found = tuple(self.ledger.durations(model, self.settings.base_url))
            except LedgerError:
                found = ()  # they only help to guess when to poll: no task may fail for them
            self._durations[model] = found
        return self._durations[model]

    def learn(self, task: Task) -> None:
        """Remember how long a task took."""
        model = task.request.model
        known = self.durations(model)
        if task.elapsed_s is not None and task.measured:
            self._durations[model] = (task.elapsed_s, *known)[:_REMEMBERED]
