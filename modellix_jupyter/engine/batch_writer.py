"""Rows on their way to the disk: many in one transaction, and none of them holding up the loop.

A row stands for money, so each write waits for the disk, and for whoever else writes. A thread does
that waiting; what comes meanwhile goes into the next transaction together. Whoever saves goes on
when its own row is on the disk, and not before: the order of what is recorded and what is done is
each job's, as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from modellix_jupyter.engine.pools import started_pool
from modellix_jupyter.errors import LedgerError, LedgerUnavailable

if TYPE_CHECKING:
    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.values import Task

    Waiting = tuple[Task, asyncio.Future[None]]

_T = TypeVar("_T")

# The shortest time between the beginnings of two transactions, in seconds. What comes meanwhile is
# written by one: 100 tasks a second take half the CPU for writing, and a row alone does not wait.
_BETWEEN_S = 0.02


class BatchWriter:
    """Writes tasks into a ledger, from one loop.

    Parameters
    ----------
    ledger, owner
        Where they are written, and whose they have to be.

    """

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self._owner = owner
        self._lock = threading.Lock()
        self._waiting: deque[Waiting] = deque()
        self._next_at = 0.0
        # one thread: writes go one after the other anyway, and other work has threads of its own
        self._thread = started_pool(1, "modellix-ledger")

    def put(self, task: Task) -> asyncio.Future[None]:
        """Record how a task stands now; the future is done when that is on the disk.

        Rows of one task are written in the order in which they were put, also where nobody waits.
        """
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._waiting.append((task, written))
        self._thread.submit(self._write_next, loop)
        return written

    async def save(self, task: Task) -> None:
        """Record how a task stands now; returns when that is on the disk.

        Whoever gives up waiting stops nothing: the row is written all the same, before the loop
        ends.

        Raises
        ------
        LedgerError
            It could not be recorded.

        """
        await asyncio.shield(self.put(task))

    async def call(self, write: Callable[..., _T], *args: object) -> _T:
        """Call what writes something else into the ledger, in its turn."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, write, *args)

    def post(self, write: Callable[..., None], *args: object) -> None:
        """Call what writes into the ledger and may be missing there: nobody waits for it."""

        def attempt() -> None:
            with contextlib.suppress(LedgerError):
                write(*args)

        self._thread.submit(attempt)

    async def close(self) -> None:
        """End the thread once everything is on the disk."""
        await self.call(_nothing)
        self._thread.shutdown()

    def _write_next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._gather()
        batch = self._take()
        for part, error in self._write(batch) if batch else ():
            with contextlib.suppress(RuntimeError):  # the loop has ended; nobody waits
                loop.call_soon_threadsafe(_tell, part, error)

    def _gather(self) -> None:
        """Wait for what may go into one transaction with what waits already."""
        if self._waiting:
            time.sleep(max(0.0, self._next_at - time.monotonic()))
            self._next_at = time.monotonic() + _BETWEEN_S

    def _take(self) -> list[Waiting]:
        """Take what waits, up to the second row of one task: each has to follow the one before."""
        batch: dict[str, Waiting] = {}
        with self._lock:
            while self._waiting and self._waiting[0][0].uid not in batch:
                task, written = self._waiting.popleft()
                batch[task.uid] = task, written
        return list(batch.values())

    def _write(self, batch: list[Waiting]) -> list[tuple[list[Waiting], Exception | None]]:
        """Write a batch; where that fails, each row alone, so that one says nothing of another."""
        try:
            self._ledger.save(*(task for task, _ in batch), owner=self._owner)
        except Exception as error:  # noqa: BLE001 - handed to whoever saves, whatever it is
            if len(batch) == 1 or isinstance(error, LedgerUnavailable):
                return [(batch, error)]
            return [outcome for each in batch for outcome in self._write([each])]
        return [(batch, None)]


def _nothing() -> None:
    """Come after everything before it."""


def _tell(batch: list[Waiting], error: Exception | None) -> None:
    for _, written in batch:
        if written.done():
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
