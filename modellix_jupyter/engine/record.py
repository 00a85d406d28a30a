"""A task as it stands now: here, in its row, and with those who listen."""

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


class Record:
    """A task that this engine drives, and its row, which is at most one step behind."""

    def __init__(self, task: Task, context: Context) -> None:
        # As it is now, if this engine still drives it.
        self.task = task
        self.activity: Activity | None = None
        # Why it is not waited for now.
        self.stopped: ModellixError | None = None
        # Whether the row lacks what happened last: the disk was full, say.
        self.unsaved = False
        # Whether it was left to whoever takes it up next; from then on only the row counts.
        self.released = False
        # When the ledger last said that it is this engine's, by the clock.
        self.owned_at = -math.inf
        # Whether that is being tried again just now.
        self._again = False
        self._context = context

    async def save(self, task: Task) -> None:
        """Record the task; once it has been sent, a full disk must not end it."""
        moved = task.status is not self.task.status
        try:
            await self._context.writer.save(task)
            self.unsaved = False
            self.owned_at = self._context.clock()
        except NotOwned:
            raise
        except LedgerError as error:
            self._not_saved(error)
        finally:
            self.task = task  # not before: whoever sees it may look for its row
        self.report(None if moved else self.activity)

    def save_again(self) -> None:
        """Record what could not be recorded, without waiting for it."""
        if self.unsaved and not self._again:
            self._again = True
            self._context.writer.put(self.task).add_done_callback(self._written)

    def save_soon(self, task: Task) -> None:
        """Record the task where nothing can be waited for: the loop may be ending."""
        self.task = task
        self._context.writer.put(task).add_done_callback(self._written)
        self.report(None)

    def _written(self, written: asyncio.Future[None]) -> None:
        self._again = False
        error = written.exception()
        if isinstance(error, NotOwned):
            self.released = True  # the next thing that is done about it says so
        elif isinstance(error, LedgerError):
            self._not_saved(error)
        elif error is None:
            self.unsaved = False

    def _not_saved(self, error: LedgerError) -> None:
        self.unsaved = True
        log.warning("%s", error.message)
        self._context.warn(error)

    def report(self, activity: Activity | None) -> None:
        """Tell those who listen how it stands, and what is being done."""
        self.activity = activity
        self._context.publish(Update(task=self.task, activity=activity))
