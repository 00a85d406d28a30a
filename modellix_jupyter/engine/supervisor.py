"""Every task that an engine watches: driven here, or followed while another kernel drives it.

`start` and the read-only methods may be called from any thread; the rest happens on the loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from modellix_jupyter.engine import transitions
from modellix_jupyter.engine.job import Job
from modellix_jupyter.errors import (
    LedgerError,
    LedgerUnavailable,
    ModellixError,
    NotOwned,
    RowGone,
)
from modellix_jupyter.values import Status, Task, Update

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from modellix_jupyter.engine.context import Context
    from modellix_jupyter.errors import ApiError
    from modellix_jupyter.ledger.kernel_locks import KernelLock, ServerLock
    from modellix_jupyter.ledger.ledger import Ledger

log = logging.getLogger("modellix_jupyter.engine")

# How many rows of other kernels' tasks are read per second at most.
_FOLLOWED_A_SECOND = 2000
# Tasks of a shared batch that are claimed per place at the service: one running and the next one.
_HELD_FOR_A_PLACE = 2

# The shortest pause while the ledger cannot be reached, in seconds.
_AWAY_S = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """The state of a followed task."""

    task: Task
    # Whether this engine owns it.
    mine: bool
    # Whether another living kernel owns it.
    elsewhere: bool


class Ownership:
    """Claims of tasks in a shared ledger: only one kernel drives a task at a time.

    The owner is always read before the row, since a kernel's last write may be the task's id.
    """

    def __init__(self, ledger: Ledger, lock: KernelLock | ServerLock) -> None:
        self._ledger = ledger
        self._lock = lock

    def driven_elsewhere(self, was: str | None) -> bool:
        """Whether the owner is another engine that still runs."""
        return was != self._lock.name and self._lock.is_alive(was)

    def look(self, uids: Sequence[str], wanted: Collection[str], room: int) -> dict[str, Found]:
        """Read tasks that are not driven here, and claim those of dead kernels.

        Of tasks that were never sent, only wanted ones are claimed, and at most `room`: another
        kernel may have room for the rest. Tasks without a row are left out.
        """
        rows = self._ledger.rows(uids)
        living = {owner for owner, _ in rows.values() if self.driven_elsewhere(owner)}
        for was in {owner for owner, _ in rows.values()} - living - {self._lock.name}:
            left = {uid: task for uid, (owner, task) in rows.items() if owner == was}
            begun = [uid for uid, task in left.items() if not (task.unsent or task.is_final)]
            unsent = [uid for uid, task in left.items() if task.unsent and uid in wanted]
            self._claim(begun, was)
            room -= self._claim(unsent, was, unsent=True, limit=max(0, room))
        return {
            uid: Found(self._as_claimed(task, owner), owner == self._lock.name, owner in living)
            for uid, (owner, task) in self._ledger.rows(uids).items()
        }

    def _claim(self, uids: list[str], was: str | None, **how: Any) -> int:  # noqa: ANN401 - as of the ledger's
        """Claim tasks; return how many were claimed."""
        return len(self._ledger.claim_all(uids, self._lock.name, was=was, **how)) if uids else 0

    def _as_claimed(self, task: Task, owner: str | None) -> Task:
        return self.claimed(task) if task.in_flight and owner == self._lock.name else task

    def take_over(self, uids: Sequence[str]) -> None:
        """Claim tasks because their user says so, whoever owns them."""
        self._ledger.take_over(uids, self._lock.name)

    def tell_id(self, task: Task) -> bool:
        """Record the id of a submission that another kernel marked as `unknown`."""
        was, row = self._ledger.owner(task.uid), self._ledger.get(task.uid)
        unanswered = row is not None and row.status is Status.UNKNOWN and row.task_id is None
        if not unanswered or task.task_id is None:
            return False
        if not self._ledger.claim(task.uid, self._lock.name, was=was):
            return False
        self._ledger.save(task, owner=self._lock.name)
        return True

    def release(self, uid: str) -> None:
        """Release a task of this engine for any kernel."""
        self._ledger.claim(uid, None, was=self._lock.name)

    def claim_unsent(self, uids: Sequence[str]) -> list[Task]:
        """Claim the unsent tasks among these whose kernel is dead, and return them.

        The claim checks the row itself: a task may have been sent since the caller read it.
        """
        owners = {uid: owner for uid, (owner, _) in self._ledger.rows(uids).items()}
        claimed = []
        for was in {owner for owner in owners.values() if not self.driven_elsewhere(owner)}:
            left = [uid for uid, owner in owners.items() if owner == was]
            claimed += self._ledger.claim_all(left, self._lock.name, was=was, unsent=True)
        return [task for _, task in self._ledger.rows(claimed).values()]

    def claim_orphan(self, uid: str) -> Task | None:
        """Claim a task whose kernel is dead; None if there is nothing to watch."""
        was = self._ledger.owner(uid)
        alive = self.driven_elsewhere(was)
        task = self._ledger.get(uid)
        if task is None or alive or task.status is not Status.SUBMITTING:
            return task
        if task.in_flight and self._ledger.claim(uid, self._lock.name, was=was):
            self.claimed(task)
        return None

    def claimed(self, task: Task) -> Task:
        """Return a claimed task from its row; a request that was in flight becomes `unknown`."""
        now = self._ledger.get(task.uid) or task
        if now.in_flight:
            now = transitions.unknown(now, "the kernel ended first", now.attempts)
            self._ledger.save(now, owner=self._lock.name)
        return now


class Supervisor:
    """The tasks of one engine, with a future for each; `call` schedules a call on its loop."""

    def __init__(self, call: Callable[..., None], context: Context, ownership: Ownership) -> None:
        self._call = call
        self._context = context
        self._ownership = ownership
        # reentrant, since a future's callback may read other tasks
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._futures: dict[str, Future[Task]] = {}
        self._followed: dict[str, Task] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._letting_go: dict[str, asyncio.Task[bool]] = {}
        # Tasks that are sent as soon as this engine owns them.
        self._wanted: set[str] = set()
        # Futures that wait for the next read of followed tasks.
        self._waiting: dict[str, asyncio.Future[Found | None]] = {}
        self._looking: asyncio.Task[None] | None = None
        context.keep_unsent = self.keep_unsent

    # -- from any thread

    def job(self, uid: str) -> Job | None:
        """Return the job of a task, which may have ended; None if it is not driven here."""
        return self._jobs.get(uid)

    def known(self, uid: str) -> Task | None:
        """Return a task's current state if it is or was watched, else None."""
        job = self._jobs.get(uid)
        return self._followed.get(uid) if job is None or job.released else job.task

    def watches(self, uid: str) -> bool:
        """Whether a task is driven or followed now."""
        future = self._futures.get(uid)
        return future is not None and not future.done()

    def will_send(self, uid: str) -> bool:
        """Whether this engine sends an unsent task, now or as soon as it owns it."""
        job = self._jobs.get(uid)
        driven = job is not None and not job.released and self.watches(uid)
        return driven or uid in self._wanted

    def future(self, uid: str) -> Future[Task] | None:
        """Return the future of a task that is or was watched."""
        return self._futures.get(uid)

    def futures(self) -> dict[str, Future[Task]]:
        """Return the futures of all tasks that are or were watched, oldest first."""
        with self._lock:
            return dict(self._futures)

    def open_tasks(self) -> list[Task]:
        """Return the tasks that are driven here and have not ended at the service, in order."""
        with self._lock:
            jobs = [self._jobs[uid] for uid in tuple(self._running) if uid in self._jobs]
        return [job.task for job in jobs if not job.task.status.ended]

    def start(self, task: Task, *, fresh: bool = False, wanted: bool = False) -> None:
        """Start to drive or to follow a task.

        It is submitted only if it is fresh, or if it is wanted and no other kernel owns it.
        """
        with self._lock:
            if wanted:
                self._wanted.add(task.uid)
            if self.watches(task.uid):
                return
            future = self._futures[task.uid] = Future()
            job = self._jobs.get(task.uid)
            if job is not None and job.released:
                del self._jobs[task.uid]  # another kernel may have driven it since
            if fresh:
                self._jobs[task.uid] = self._make_job(task)
            elif task.uid not in self._jobs:
                self._followed[task.uid] = task
        self._call(self._spawn, task, future)

    def add_ended(self, task: Task) -> None:
        """Add a task for which there is nothing to do."""
        with self._lock:
            self._followed[task.uid] = task
            self._futures[task.uid] = Future()
        self.finish(task.uid)

    def _make_job(self, task: Task) -> Job:
        return Job(task, self._context, partial(self.finish, task.uid))

    def forget_job(self, uid: str) -> None:
        """Forget a task's job, so that its row is read next time: another has changed it."""
        with self._lock:
            self._jobs.pop(uid, None)

    def finish(self, uid: str, future: Future[Task] | None = None) -> None:
        """Set the result of a task's future, by default its latest, unless it is set already."""
        future = future or self._futures.get(uid)
        if future is not None and not future.done() and future.set_running_or_notify_cancel():
            known = self.known(uid) or self._context.ledger.get(uid)
            if known is None:
                raise KeyError(uid)
            future.set_result(known)

    # -- on the loop

    def _finish_unless_wanted(self, uid: str, future: Future[Task]) -> bool:
        """Set a future's result; False if the task is to be sent since it was last read."""
        with self._lock:
            job = self._jobs.get(uid)
            known = self._followed.get(uid) if job is None else job.task
            if uid in self._wanted and known is not None and known.unsent:
                if job is not None and job.released:  # another kernel may have driven it since
                    self._followed[uid] = self._jobs.pop(uid).task
                return False
            self.finish(uid, future)
        return True

    def _spawn(self, task: Task, future: Future[Task]) -> None:
        before = self._running.get(task.uid)
        running = asyncio.create_task(self._run(task, future, before), name=task.uid)
        self._running[task.uid] = running
        running.add_done_callback(self._ended)

    def _ended(self, running: asyncio.Task[None]) -> None:
        if self._running.get(running.get_name()) is running:
            del self._running[running.get_name()]

    async def _run(
        self, task: Task, future: Future[Task], before: asyncio.Task[None] | None
    ) -> None:
        """Drive the task, or follow the kernel that does, and finish its future.

        If it is cancelled, the canceller finishes the future, perhaps after other work.
        """
        if before is not None:  # it still downloads files that nobody waited for until now
            before.cancel()
            await asyncio.wait([before])
        try:
            while True:
                while (job := await self._take_up(task)) is not None:
                    if await self._drive(job):
                        break
                await self._release(task.uid)
                if self._finish_unless_wanted(task.uid, future):
                    break
        except LedgerError as error:
            self._context.warn(error)
        except Exception:
            log.exception("A bug in modellix-jupyter while it watched task %s", task.uid)
        self.finish(task.uid, future)

    async def _take_up(self, task: Task) -> Job | None:
        """Follow another kernel's task until it is ours; None if there is nothing to do."""
        uid, context = task.uid, self._context
        while uid not in self._jobs:
            try:
                found = await self._look(uid)
            except LedgerUnavailable as error:
                context.ledger_failed(error)
                await context.sleep(max(_AWAY_S, self._follow_pause()))
                continue
            context.ledger_works()
            if found is None:
                raise RowGone("The ledger has no row any more of a task that was followed.")
            known = self._followed.get(uid)
            if known is not None and known.is_final:  # it was taken back meanwhile
                return None
            self._followed[uid] = found.task
            context.publish(Update(task=found.task))
            if self._is_over(found):
                return None
            if found.mine:
                self._jobs[uid] = self._make_job(found.task)
            else:
                await context.sleep(self._follow_pause())
        self._followed.pop(uid, None)
        self._wanted.discard(uid)
        return self._jobs[uid]

    def _is_over(self, found: Found) -> bool:
        """Whether there is nothing to do: it has ended, or waits for its user to send it."""
        task = found.task
        left = task.unsent and not found.elsewhere and task.uid not in self._wanted
        return task.is_final or left

    def _follow_pause(self) -> float:
        return max(self._context.pace.follow_s, len(self._running) / _FOLLOWED_A_SECOND)

    async def _look(self, uid: str) -> Found | None:
        """Return the state of a task; all that are read at the same moment share one query."""
        waiting = self._waiting.get(uid)
        if waiting is None:
            waiting = self._waiting[uid] = asyncio.get_running_loop().create_future()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_at_all())
        return await waiting

    async def _look_at_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # so that all that start at this moment are included
            waiting, self._waiting = self._waiting, {}
            outcome: dict[str, Found] | Exception
            try:
                outcome = await self._context.writer.call(
                    self._ownership.look, list(waiting), frozenset(self._wanted), self._room()
                )
            except Exception as error:  # noqa: BLE001 - handed to whoever waits, whatever it is
                outcome = error
            for uid, future in waiting.items():
                if future.done():
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome.get(uid))
        self._looking = None

    def _room(self) -> int:
        """Return how many tasks of a shared batch may be claimed now."""
        held = (job for uid, job in self._jobs.items() if uid in self._running)
        busy = sum(not job.task.status.ended for job in held)
        return _HELD_FOR_A_PLACE * self._context.places.capacity - busy

    async def _drive(self, job: Job) -> bool:
        """Drive a task; False if another kernel took it over, which is then followed."""
        try:
            await job.drive()
        except NotOwned:
            await self._lost(job)
            return False
        except Exception:
            log.exception("A bug in modellix-jupyter while it drove task %s", job.task.uid)
            job.stopped = ModellixError(
                "A bug in modellix-jupyter; the log has the details.",
                "The task is in the ledger: `%modellix resume` takes it up.",
            )
        return True

    async def _lost(self, job: Job) -> None:
        """Use only the row from now on, after adding the id if only this kernel knows it."""
        uid = job.task.uid
        told = await self._context.writer.call(self._ownership.tell_id, job.task)
        row = await self._context.read(self._context.ledger.get, uid) or job.task
        if not told and job.task.task_id not in {None, row.task_id}:
            self._context.warn(
                NotOwned(
                    f"Another kernel took over a task that the service accepted as "
                    f"{job.task.task_id}.",
                    f"`%modellix resume {uid[:8]}={job.task.task_id}` takes it up.",
                )
            )
        job.released = True
        job.unsaved = False
        self._followed[uid] = row
        self.forget_job(uid)

    async def _release(self, uid: str) -> None:
        """Release a task that was given up here: another kernel may have the right key."""
        job, known = self._jobs.get(uid), self.known(uid)
        if known is None or known.is_final or (job is not None and job.unsaved):
            return
        if job is not None:
            job.released = True  # at once, so that a later `send` waits until the task is released
        try:
            await self._context.writer.call(self._ownership.release, uid)
        except LedgerError as error:
            self._context.warn(error)

    async def unwatch(self, uid: str) -> bool:
        """Stop watching a task; False if it has ended, or if its request is in flight."""
        return await asyncio.shield(self._let_go(uid))

    def _let_go(self, uid: str) -> asyncio.Task[bool]:
        """Start to stop watching a task, only once: a second call would finish it too early."""
        if uid not in self._letting_go:
            going = self._letting_go[uid] = asyncio.create_task(self._leave(uid))
            going.add_done_callback(lambda _: self._letting_go.pop(uid))
        return self._letting_go[uid]

    async def _leave(self, uid: str) -> bool:
        running = self._running.get(uid)
        if running is None or uid in self._in_flight():
            return False
        self._wanted.discard(uid)
        running.cancel()
        await asyncio.wait([running])
        await self._release(uid)
        future = self._futures[uid]
        if not self._finish_unless_wanted(uid, future):
            self._spawn(self._followed[uid], future)
        return True

    def keep_unsent(self, error: ApiError) -> None:
        """Keep all unsent tasks unsent: the service refuses everything for now."""
        why = ModellixError(
            f"Not sent, because the service refuses: {error.message}.",
            f"{error.hint} Then `%modellix resume send` sends what is left.",
        )
        self._wanted.clear()  # another kernel may have a key that the service accepts
        unsent = {uid: job for uid, job in self._jobs.items() if job.task.unsent}
        kept = [uid for uid, job in unsent.items() if not job.leaving and uid in self._running]
        for uid in kept:
            self._jobs[uid].stopped = why
            self._let_go(uid)
        if kept:  # for scripts, which have no live status
            log.warning("%d tasks: %s %s", len(kept), why.message, why.hint)

    async def take_back(self, uids: Sequence[str]) -> list[Task]:
        """End the tasks among these that were not sent, record that, and return them.

        Tasks of a shared batch that no kernel owns are no longer wanted here.
        """
        ended = []
        self._wanted.difference_update(uids)
        for job in [job for uid in uids if (job := self._jobs.get(uid)) and self._is_waiting(job)]:
            job.task = transitions.taken_back(job.task, self._context.now_us())
            job.activity = None
            ended.append(self._running[job.task.uid])
            ended[-1].cancel()
        if ended:
            await asyncio.wait(ended)
        taken = [self._jobs[each.get_name()].task for each in ended]
        await asyncio.gather(*(self._context.writer.save(task) for task in taken))
        for task in taken:
            self.finish(task.uid)
            self._context.publish(Update(task=task))
        return taken

    def _is_waiting(self, job: Job) -> bool:
        uid = job.task.uid
        return job.task.unsent and uid in self._running and not (job.leaving or job.released)

    async def shut(self, grace_s: float) -> None:
        """Stop watching all tasks, after the answers to submissions in flight or a time-out."""
        in_flight = self._in_flight()
        for uid, running in self._running.items():
            if uid not in in_flight:
                running.cancel()
        if self._looking is not None:
            self._looking.cancel()
        answers = [asyncio.ensure_future(job.answered.wait()) for job in in_flight.values()]
        if answers:
            await asyncio.wait(answers, timeout=grace_s)
        left = (*answers, *self._running.values())
        for waiting in left:
            waiting.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _in_flight(self) -> dict[str, Job]:
        jobs = self._jobs.items()
        return {uid: job for uid, job in jobs if job.leaving or job.task.in_flight}
