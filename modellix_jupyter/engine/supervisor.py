"""Every task that one engine watches: driven here, or followed while another kernel drives it.

`begin` and what only looks may be called from any thread; the rest happens on the loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from modellix_jupyter.engine.job import Job
from modellix_jupyter.errors import LedgerError, ModellixError
from modellix_jupyter.values import Status, Task, Update

if TYPE_CHECKING:
    from modellix_jupyter.engine.context import Context
    from modellix_jupyter.engine.loop import LoopThread
    from modellix_jupyter.engine.ownership import Ownership

log = logging.getLogger("modellix_jupyter.engine")

_RETRY_FIRST_S, _RETRY_LONGEST_S = 60.0, 900.0
"""Pauses between attempts at files that could not be fetched soon: the first, the longest."""
_FOLLOWED_A_SECOND = 50
"""How many such rows are read a second at most: each read takes time from what is driven here."""


class Supervisor:
    """The tasks of one engine, and a future for each of them.

    Parameters
    ----------
    thread
        The engine's loop.
    context
        What the driving of tasks shares.
    ownership
        Whose a task is.

    """

    def __init__(self, thread: LoopThread, context: Context, ownership: Ownership) -> None:
        self._thread = thread
        self._context = context
        self._ownership = ownership
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._futures: dict[str, Future[Task]] = {}
        self._followed: dict[str, Task] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    # -- looking, from any thread

    def job(self, uid: str) -> Job | None:
        """Return the driving of a task, which may be over; None where it is not driven here."""
        return self._jobs.get(uid)

    def remembered(self, uid: str) -> Task | None:
        """Return a task as it is now, where it is or was watched."""
        job = self._jobs.get(uid)
        return self._followed.get(uid) if job is None or job.released else job.task

    def watches(self, uid: str) -> bool:
        """Whether a task is being driven or followed now."""
        future = self.future(uid)
        return future is not None and not future.done()

    def future(self, uid: str) -> Future[Task] | None:
        """Return the future of a task that is or was watched."""
        with self._lock:
            return self._futures.get(uid)

    def futures(self) -> dict[str, Future[Task]]:
        """Return the futures of all tasks that are or were watched, oldest first."""
        with self._lock:
            return dict(self._futures)

    # -- beginning, from any thread

    def begin(self, task: Task, *, fresh: bool = False) -> None:
        """Begin to drive or to follow a task; only a fresh one is ever submitted."""
        with self._lock:
            known = self._futures.get(task.uid)
            if known is not None and not known.done():
                return
            self._futures[task.uid] = Future()
            job = self._jobs.get(task.uid)
            if job is not None and job.released:
                del self._jobs[task.uid]  # another kernel may have driven it since
            if fresh:
                self._jobs[task.uid] = Job(task, self._context)
            elif task.uid not in self._jobs:
                self._followed[task.uid] = task
        self._thread.call(self._spawn, task)

    def forget_job(self, uid: str) -> None:
        """Let the next look be at the row: somebody else has changed it."""
        with self._lock:
            self._jobs.pop(uid, None)

    def finish(self, uid: str) -> None:
        """Give a task's future what is known of it, once."""
        future = self.future(uid)
        if future is not None and not future.done() and future.set_running_or_notify_cancel():
            known = self.remembered(uid) or self._context.ledger.get(uid)
            if known is None:
                raise KeyError(uid)
            future.set_result(known)

    # -- on the loop

    def _spawn(self, task: Task) -> None:
        before = self._running.get(task.uid)
        running = self._thread.loop.create_task(self._watch(task, before), name=task.uid)
        self._running[task.uid] = running
        running.add_done_callback(self._ended)

    def _ended(self, running: asyncio.Task[None]) -> None:
        if self._running.get(running.get_name()) is running:
            del self._running[running.get_name()]

    async def _watch(self, task: Task, before: asyncio.Task[None] | None) -> None:
        """Drive the task, or follow the kernel that does, and say when that is over."""
        if before is not None:  # it goes on for files that nobody waits for: now somebody does
            before.cancel()
            await asyncio.wait([before])
        try:
            await self._drive_or_follow(task)
        finally:
            self.finish(task.uid)
        await self._keep_downloading(task.uid)

    async def _drive_or_follow(self, task: Task) -> None:
        """Drive the task, or follow the kernel that does until it ends or is gone."""
        try:
            while task.uid not in self._jobs and not self._ownership.mine(task.uid):
                await self._context.sleep(self._follow_pause())
                task = self._context.ledger.get(task.uid) or task
                self._followed[task.uid] = task
                self._context.publish(Update(task=task))
                if task.is_final:
                    return
            await self._drive(task)
        except LedgerError as error:
            self._context.warn(error)

    async def _keep_downloading(self, uid: str) -> None:
        """Fetch what could not be fetched, until it is here or its day has passed.

        Whoever waited for the task waits no more: an outage may last the night.
        """
        pause, job = _RETRY_FIRST_S, self._jobs.get(uid)
        while job is not None and job.waits_for_files:
            await self._context.sleep(pause)
            await self._drive(job.task)
            pause = min(2 * pause, _RETRY_LONGEST_S)
        self._release(uid)

    def _release(self, uid: str) -> None:
        """Leave to others what was given up here: they may have the key that helps."""
        job, known = self._jobs.get(uid), self.remembered(uid)
        if known is None or known.is_final or (job is not None and job.unsaved):
            return
        try:
            self._ownership.release(uid)
        except LedgerError as error:
            self._context.warn(error)
        else:
            if job is not None:
                job.released = True

    def _follow_pause(self) -> float:
        return max(self._context.pace.follow_s, len(self._running) / _FOLLOWED_A_SECOND)

    async def _drive(self, task: Task) -> None:
        job = self._jobs.get(task.uid)
        if job is None:
            task = self._ownership.left_behind(task)
            if task.status is Status.SUBMITTING:  # it never left, and only the user sends it
                self._followed[task.uid] = task
                return
            job = self._jobs[task.uid] = Job(task, self._context)
        self._followed.pop(task.uid, None)
        try:
            await job.drive()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("A fault of modellix-jupyter while it drove task %s", task.uid)
            job.stopped = ModellixError(
                "A fault of modellix-jupyter; the log has the details.",
                "The task is in the ledger: `%modellix resume` takes it up.",
            )

    async def unwatch(self, uid: str) -> bool:
        """Stop watching a task; False where it is over, or its request is on its way."""
        running = self._running.get(uid)
        if running is None or uid in self._in_flight():
            return False
        running.cancel()
        await asyncio.wait([running])
        self._release(uid)
        self.finish(uid)  # it may have ended before it began, and so without its own last words
        return True

    async def shut(self, grace_s: float) -> None:
        """End all watching, once the answers to submissions on their way are read or late."""
        in_flight = self._in_flight()
        for uid, running in self._running.items():
            if uid not in in_flight:
                running.cancel()
        answers = [asyncio.ensure_future(job.answered.wait()) for job in in_flight.values()]
        if answers:
            await asyncio.wait(answers, timeout=grace_s)
        left = (*answers, *self._running.values())
        for waiting in left:
            waiting.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _in_flight(self) -> dict[str, Job]:
        return {uid: job for uid, job in self._jobs.items() if job.task.in_flight}
