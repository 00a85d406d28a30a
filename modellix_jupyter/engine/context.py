"""What the jobs of one engine share: the service, the ledger, the clock, and the places."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from modellix_jupyter.engine import polling
from modellix_jupyter.engine.batch_writer import BatchWriter
from modellix_jupyter.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from modellix_jupyter.engine.polling import Pace
    from modellix_jupyter.engine.service import Service
    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.values import Task, Update

_DOWNLOADS_AT_ONCE = 8
_REMEMBERED = 50


class Context:
    """The shared parts of an engine; used on its loop only.

    Parameters
    ----------
    service, ledger
        Where tasks are sent, and where they are recorded.
    origin
        The service's address: what a model takes is learned from its tasks there.
    publish
        Takes each change of a task.
    warn
        Takes what the user should be told that is about no single task.
    max_in_flight
        Tasks at the service at once.
    budget
        Requests a second.
    pace
        How often tasks are polled.
    clock
        Seconds since the epoch, for what is recorded.
    timer
        Seconds from any start, for pauses.
    sleep
        Waits that many seconds.

    """

    def __init__(  # noqa: PLR0913 - what an engine is made of
        self,
        service: Service,
        ledger: Ledger,
        *,
        origin: str,
        publish: Callable[[Update], None],
        warn: Callable[[ModellixError], None],
        max_in_flight: int,
        budget: float,
        pace: Pace,
        clock: Callable[[], float],
        timer: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.service = service
        self.ledger = ledger
        self.origin = origin
        self.writer = BatchWriter(ledger)
        self.publish = publish
        self.warn = warn
        self.budget = budget
        self.pace = pace
        self.clock = clock
        self.timer = timer
        self.sleep = sleep
        self.places = asyncio.Semaphore(max_in_flight)
        self.downloads = asyncio.Semaphore(_DOWNLOADS_AT_ONCE)
        self.waiting = 0
        """Tasks that the service works on, and that are asked about."""
        self._durations: dict[str, tuple[float, ...]] = {}

    def now_us(self) -> int:
        """Return the time in microseconds since the epoch."""
        return int(self.clock() * 1_000_000)

    def next_delay(self, model: str, elapsed: float) -> float:
        """Return the seconds until a task of a model is asked about again."""
        waiting = max(1, self.waiting)
        known = self.durations(model)
        return polling.next_delay(
            known, elapsed, in_flight=waiting, polls_per_second=self.budget, pace=self.pace
        )

    def durations(self, model: str) -> tuple[float, ...]:
        """Return what a model's latest tasks took, in seconds; read from the ledger once."""
        if model not in self._durations:
            try:
                self._durations[model] = tuple(self.ledger.durations(model, self.origin))
            except LedgerError:
                # when to ask is only a guess then; a running task must not end of it
                self._durations[model] = ()
        return self._durations[model]

    def learn(self, task: Task) -> None:
        """Remember how long a task took."""
        model = task.request.model
        known = self.durations(model)
        if task.elapsed_s is not None:
            self._durations[model] = (task.elapsed_s, *known)[:_REMEMBERED]
