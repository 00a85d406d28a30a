"""Rows on their way to the disk: many in one transaction, and none of them holding up the loop.

A row stands for money, so each write waits for the disk. A thread does that waiting; what comes
meanwhile goes into the next transaction together. Whoever saves goes on when its own row is on the
disk, and not before: the order of what is recorded and what is done is each job's, as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.values import Task

    Waiting = tuple[Task, asyncio.Future[None]]


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
        self._waiting: list[Waiting] = []
        self._writing = False

    async def save(self, task: Task) -> None:
        """Record how a task stands now; returns when that is on the disk.

        Whoever gives up waiting stops nothing: the row is written all the same, before the loop
        ends.

        Raises
        ------
        LedgerError
            It could not be recorded.

        """
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._waiting.append((task, written))
            begin, self._writing = not self._writing, True
        if begin:
            loop.run_in_executor(None, self._write_all, loop)
        await asyncio.shield(written)

    def _write_all(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._lock:
                batch, self._waiting = self._waiting, []
                if not batch:
                    self._writing = False
                    return
            for part, error in self._write(batch):
                with contextlib.suppress(RuntimeError):  # the loop has ended; nobody waits
                    loop.call_soon_threadsafe(_tell, part, error)

    def _write(self, batch: list[Waiting]) -> list[tuple[list[Waiting], Exception | None]]:
        """Write a batch; where that fails, each row alone, so that one says nothing of another."""
        try:
            self._ledger.save(*(task for task, _ in batch), owner=self._owner)
        except Exception as error:  # noqa: BLE001 - handed to whoever saves, whatever it is
            if len(batch) == 1:
                return [(batch, error)]
            return [outcome for each in batch for outcome in self._write([each])]
        return [(batch, None)]


def _tell(batch: list[Waiting], error: Exception | None) -> None:
    for _, written in batch:
        if written.done():
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
