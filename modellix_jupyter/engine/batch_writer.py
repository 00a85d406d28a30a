"""Writes rows to the ledger from a thread, many in one transaction, so that the loop never waits.

A row stands for money, so each write waits for the disk, and for other writers. A thread does that
waiting; rows that arrive meanwhile are written together in the next transaction. A job goes on only
when its own row is on the disk, so each job's steps stay in order.
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

# The shortest time from the start of a transaction to the next, in seconds. Rows are gathered in
# between: at 100 tasks a second that halves the CPU for writing. A single row does not wait.
_BETWEEN_S = 0.02


class BatchWriter:
    """Writes tasks to a ledger, for one event loop.

    Parameters
    ----------
    ledger, owner
        Where tasks are written, and the owner that they must have.

    """

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self._owner = owner
        self._lock = threading.Lock()
        self._waiting: deque[Waiting] = deque()
        self._next_at = 0.0
        # one thread, since writes are serial anyway; other blocking work has threads of its own
        self._thread = started_pool(1, "modellix-ledger")

    def put(self, task: Task) -> asyncio.Future[None]:
        """Record a task's state; the future is done when it is on the disk.

        Rows of one task are written in the order in which they were put, even if nobody waits.
        """
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._waiting.append((task, written))
        self._thread.submit(self._write_next, loop)
        return written

    async def save(self, task: Task) -> None:
        """Record a task's state; return when it is on the disk.

        A caller that is cancelled does not stop the write: the row is written before the loop ends.

        Raises
        ------
        LedgerError
            It could not be recorded.

        """
        await asyncio.shield(self.put(task))

    async def call(self, write: Callable[..., _T], *args: object) -> _T:
        """Run another write to the ledger, in turn."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, write, *args)

    def post(self, write: Callable[..., None], *args: object) -> None:
        """Run another write to the ledger that nobody waits for, and that may fail."""

        def attempt() -> None:
            with contextlib.suppress(LedgerError):
                write(*args)

        self._thread.submit(attempt)

    async def close(self) -> None:
        """End the thread when everything is on the disk."""
        await self.call(_nothing)
        self._thread.shutdown()

    def _write_next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._gather()
        batch = self._take()
        for part, error in self._write(batch) if batch else ():
            with contextlib.suppress(RuntimeError):  # the loop has ended, so nobody waits
                loop.call_soon_threadsafe(_tell, part, error)

    def _gather(self) -> None:
        """Wait until the next transaction may begin, so that more rows go into it."""
        if self._waiting:
            time.sleep(max(0.0, self._next_at - time.monotonic()))
            self._next_at = time.monotonic() + _BETWEEN_S

    def _take(self) -> list[Waiting]:
        """Take the waiting rows, up to a task's second one: a task's rows are written in order."""
        batch: dict[str, Waiting] = {}
        with self._lock:
            while self._waiting and self._waiting[0][0].uid not in batch:
                task, written = self._waiting.popleft()
                batch[task.uid] = task, written
        return list(batch.values())

    def _write(self, batch: list[Waiting]) -> list[tuple[list[Waiting], Exception | None]]:
        """Write a batch; if that fails, write each row alone, so that one error affects one row."""
        try:
            self._ledger.save(*(task for task, _ in batch), owner=self._owner)
        except Exception as error:  # noqa: BLE001 - handed to whoever saves, whatever it is
            if len(batch) == 1 or isinstance(error, LedgerUnavailable):
                return [(batch, error)]
            return [outcome for each in batch for outcome in self._write([each])]
        return [(batch, None)]


def _nothing() -> None:
    """Do nothing: marks the end of the queue."""


def _tell(batch: list[Waiting], error: Exception | None) -> None:
    for _, written in batch:
        if written.done():
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
