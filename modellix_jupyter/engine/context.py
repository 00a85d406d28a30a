"""What the jobs of one engine share: the client, the store, the ledger, the clock, the limits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modellix_jupyter.engine import polling
from modellix_jupyter.engine.batch_writer import BatchWriter
from modellix_jupyter.engine.places import Places
from modellix_jupyter.errors import LedgerError, NotOwned

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from modellix_jupyter.api.client import AsyncClient
    from modellix_jupyter.engine.polling import Pace
    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.settings import Settings
    from modellix_jupyter.storage.store import Store
    from modellix_jupyter.values import Task, Update

_DOWNLOADS_AT_ONCE = 8
_REMEMBERED = 50


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
    # How many tasks the service works on.
    polled: int = 0

    def __post_init__(self) -> None:
        self.writer = BatchWriter(self.ledger, self.owner)
        self.places = Places(self.settings.max_in_flight, self.timer)
        # a seen end frees a place; a free place should not wait for polls
        self.client.budget.polls_first = lambda: self.polled >= self.places.capacity
        self.downloads = asyncio.Semaphore(_DOWNLOADS_AT_ONCE)
        self._durations: dict[str, tuple[float, ...]] = {}

    def now_us(self) -> int:
        """Return the time in microseconds since the epoch."""
        return int(self.clock() * 1_000_000)

    def save(self, task: Task) -> None:
        """Record a task at once; raise `NotOwned` where it is another kernel's by now."""
        self.ledger.save(task, owner=self.owner)

    def check_owner(self, task: Task) -> None:
        """Raise `NotOwned` where a task is another kernel's by now."""
        try:
            owner = self.ledger.owner(task.uid)
        except LedgerError:
            return  # nobody can take it over either, and a running task must not end of it
        if owner != self.owner:
            raise NotOwned("Another kernel took this task over.")

    def next_delay(self, model: str, elapsed: float) -> float:
        """Return the seconds until a task of a model is polled again."""
        return polling.next_delay(
            self.durations(model),
            elapsed,
            in_flight=max(1, self.polled),
            polls_per_second=self.client.budget.polls_per_second(self.places.waiting),
            pace=self.pace,
        )

    def durations(self, model: str) -> tuple[float, ...]:
        """Return what a model's latest tasks took, in seconds; read from the ledger once."""
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
        if task.elapsed_s is not None:
            self._durations[model] = (task.elapsed_s, *known)[:_REMEMBERED]
