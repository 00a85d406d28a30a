"""A task's current state, kept in step with its row and with the listeners."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from modellix_jupyter.errors import LedgerError, NotOwned
from modellix_jupyter.values import Activity, Task, Update

if TYPE_CHECKING:
    import asyncio

    from modellix_jupyter.engine.context import Context
    from modellix_jupyter.errors import ModellixError

log = logging.getLogger("modellix_jupyter.engine")

_GOES_ON = "What runs goes on and is recorded as soon as it can be; until then nothing new is sent."


class Record:
    """A task that this engine drives; its row is at most one step behind."""

    def __init__(self, task: Task, context: Context) -> None:
        # Its current state, if this engine still drives it.
        self.task = task
        self.activity: Activity | None = None
        # Why the engine stopped driving it for now.
        self.stopped: ModellixError | None = None
        # Whether the row lacks the last change, because the disk was full, for example.
        self.unsaved = False
        # Whether it was released for other kernels; from then on only the row counts.
        self.released = False
        # When the ledger last confirmed that this engine owns it, by the clock.
        self.owned_at = -math.inf
        # Whether a retry of the save is running.
        self._again = False
        self._context = context

    async def save(self, task: Task) -> None:
        """Record the task; after it was sent, a full disk must not end its job."""
        moved = task.status is not self.task.status
        try:
            await self._context.writer.save(task)
            self._saved()
            self.owned_at = self._context.clock()
        except NotOwned:
            raise
        except LedgerError as error:
            self._not_saved(error)
        finally:
            self.task = task  # not before, since a listener may read the row
        self.report(None if moved else self.activity)

    def save_again(self) -> None:
        """Retry a failed save, without waiting for it."""
        if self.unsaved and not self._again:
            self._again = True
            self._context.writer.put(self.task).add_done_callback(self._written)

    def save_soon(self, task: Task) -> None:
        """Record the task without waiting, since the loop may be ending."""
        self.task = task
        self._context.writer.put(task).add_done_callback(self._written)
        self.report(None)

    def _written(self, written: asyncio.Future[None]) -> None:
        self._again = False
        error = written.exception()
        if isinstance(error, NotOwned):
            self.released = True  # the next step of the job reports it
        elif isinstance(error, LedgerError):
            self._not_saved(error)
        elif error is None:
            self._saved()

    def _saved(self) -> None:
        self.unsaved = False
        self._context.ledger_works()

    def _not_saved(self, error: LedgerError) -> None:
        self._ledger_failed(error)
        self.unsaved = True

    def _ledger_failed(self, error: LedgerError) -> None:
        """Log it once, however many tasks and tries there are."""
        if self._context.ledger_failed(error) and not self.unsaved:
            log.warning("%s\n%s %s", error.message, error.hint, _GOES_ON)

    def report(self, activity: Activity | None) -> None:
        """Tell the listeners the task's state, and what its job is doing."""
        self.activity = activity
        self._context.publish(Update(task=self.task, activity=activity))
