"""The engine's interface: submit requests, read tasks, wait for futures.

Every method may be called from any thread. Listeners are called on the engine's thread, with values
only; they must be quick, and their exceptions are logged, not raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import uuid
from concurrent.futures import Future
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from modellix_jupyter.engine import forecast, polling, transitions
from modellix_jupyter.engine.context import Context
from modellix_jupyter.engine.pools import started_pool
from modellix_jupyter.engine.supervisor import Ownership, Supervisor
from modellix_jupyter.errors import ModellixError
from modellix_jupyter.ledger.uninterrupted import uninterrupted
from modellix_jupyter.values import Request, Status, Task, Update

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

    from modellix_jupyter.api.client import AsyncClient
    from modellix_jupyter.engine.polling import Pace
    from modellix_jupyter.ledger.kernel_locks import KernelLock, ServerLock
    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.settings import Settings
    from modellix_jupyter.storage.store import Store

    Listener = Callable[[Update], None]

_T = TypeVar("_T")

log = logging.getLogger("modellix_jupyter.engine")

# How long an exit waits for answers to submissions in flight, in seconds.
_GRACE_S = 5.0
# Threads that resolve host names and check files; as many as concurrent downloads.
_THREADS = 8


class Stopped(NamedTuple):
    """How many tasks were taken back, still run at the service, and are just being sent."""

    taken_back: int
    going_on: int
    sending: int

    def __str__(self) -> str:
        """Return it in a sentence."""
        parts = [
            f"{self.taken_back} taken back before {_were(self.taken_back)} sent",
            f"{self.going_on} still running at the service, and charged (see `%modellix wait`)",
            f"{self.sending} just being sent",
        ]
        said = [part for part, count in zip(parts, self, strict=True) if count]
        return f"Stopped: {'; '.join(said)}." if said else "Nothing is running."


def _were(count: int) -> str:
    return "it was" if count == 1 else "they were"


class Engine:
    """Submits, polls and downloads the tasks of one session, on an event loop in its own thread.

    It closes the client. Tests replace `clock`, `timer` and `sleep`, which are as in `Context`.
    """

    def __init__(  # noqa: PLR0913 - what an engine is made of
        self,
        client: AsyncClient,
        store: Store,
        ledger: Ledger,
        lock: KernelLock | ServerLock,
        settings: Settings,
        *,
        pace: Pace = polling.PACE,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._warnings: list[str] = []
        store.warn = self._warn
        self._ledger = ledger
        self._owner = lock.name
        self._origin = settings.base_url
        self._listeners: list[Listener] = []
        self._closing = threading.Lock()
        self._sending = threading.Lock()
        self._closed = False
        self._context = Context(
            client=client,
            store=store,
            ledger=ledger,
            owner=lock.name,
            settings=settings,
            publish=self._publish,
            warn=self._warn,
            pace=pace,
            clock=clock,
            timer=timer,
            sleep=sleep,
        )
        self._thread = LoopThread("modellix-engine")
        self._ownership = Ownership(ledger, lock)
        self._supervisor = Supervisor(self._thread.call, self._context, self._ownership)

    @property
    def warnings(self) -> list[str]:
        """What the user should know that is about no single task."""
        return [*self._warnings, *self._context.ledger_problems]

    # -- submitting and resuming

    @uninterrupted
    def submit(
        self,
        requests: Sequence[Request],
        *,
        prices: Sequence[float | None] = (),
        keys: Sequence[str] = (),
        found: Sequence[Task | None] = (),
        batch: str | None = None,
        shared: bool = False,
    ) -> list[Task]:
        """Record the requests, one paid task each, and start to send them; does not wait.

        `prices` are the maximum prices in USD, None if unknown; equal requests have equal `keys`. A
        request with a task in `found` is not sent: it is recorded with that task's result. With
        `shared`, every kernel that works on the batch may send them: each takes as many as it has
        places for.

        Raises `LedgerError` if they cannot be recorded, and `OverBudget` if they may exceed a
        limit; then none is sent.
        """
        self._check_open()
        known = {"batch": batch or uuid.uuid4().hex}
        now = self._context.now_us()
        tasks = []
        for request, price, key, of in zip_longest(requests, prices, keys, found):
            each = known | {"price": price, "request_key": key}
            task = transitions.intent(request, self._origin, now, **each)
            tasks.append(task if of is None else transitions.reused(of, task))
        self._ledger.add(tasks, None if shared else self._owner)
        for task in tasks:
            self._start(task, fresh=not shared, wanted=shared)
        return tasks

    @uninterrupted
    def resume(self, tasks: Iterable[Task]) -> list[Task]:
        """Resume tasks that this engine does not drive; return those that it now watches.

        A submission that was in flight when its kernel ended becomes `unknown`; a task that was
        never sent stays unsent until `send`; a task of another living kernel is followed.
        """
        taken = []
        for task in tasks:
            if not self.watches(task.uid):
                now = self._resumable(task)
                if now is None:
                    continue
                self._start(now)
            taken.append(task)
        return taken

    def _resumable(self, task: Task) -> Task | None:
        """Return the task's current state if there is something to watch, else None."""
        job = self._supervisor.job(task.uid)
        if job is not None and not job.released:
            # this engine may know more than the row: the disk may have been full
            over = job.task.status is Status.SUBMITTING or job.task.is_final
            return None if over and not job.unsaved else job.task
        if task.is_final or task.origin != self._origin:
            return None
        if task.status is Status.SUBMITTING:
            return self._ownership.claim_orphan(task.uid)
        return self._ledger.get(task.uid) or task

    @uninterrupted
    def send(self, tasks: Iterable[Task], *, shared: bool = False) -> list[Task]:
        """Send tasks that were recorded but never sent, because their kernel ended.

        With `shared`, all unfinished tasks are taken up: followed while another kernel drives them,
        and sent, if they were not, as soon as none does. Tasks for another service stay unsent:
        this service may have other prices.
        """
        known = [task for task in tasks if task.origin == self._origin]
        with self._sending:  # no other thread may claim between this claim and the start
            offered = [t for t in known if shared or (self.watches(t.uid) and t.unsent)]
            sent = {task.uid: task for task in offered if self._offer(task)}
            apart = {task.uid for task in offered}
            left = [task.uid for task in known if task.uid not in apart]
            for intent in self._ownership.claim_unsent(left):
                self._start(intent, fresh=True)
                sent[intent.uid] = intent
        return [sent[task.uid] for task in known if task.uid in sent]

    def _offer(self, task: Task) -> bool:
        """Send a task when no other kernel owns it; False if it has ended or is driven here."""
        job = self._supervisor.job(task.uid)
        if task.is_final or (job is not None and not job.released):
            return False
        self._start(task, wanted=True)
        return True

    @uninterrupted
    def take_over(self, tasks: Iterable[Task]) -> list[Task]:
        """Take tasks over from other kernels, because the user says that these are suspended.

        What they were sending becomes `unknown`; if they wake up, their writes are refused.
        """
        known = list(tasks)
        self._ownership.take_over([task.uid for task in known])
        return self.resume(known)

    @uninterrupted
    def resolve_unknown(self, task: Task, task_id: str | None) -> Task:
        """Record what the user found out about a submission of unknown outcome.

        `task_id` is the service's id, and the task is then watched like any other; None means that
        it was never accepted.
        """
        resolved = transitions.resolved(task, task_id, self._context.now_us())
        self._change(resolved)
        if task_id is not None:
            self.resume([resolved])
        return resolved

    @uninterrupted
    def revive(self, tasks: Iterable[Task]) -> list[Task]:
        """Resume given-up tasks whose result may still be kept; return those now watched."""
        may_be_kept = [task for task in tasks if not self._context.is_past(task.kept_until)]
        revived = [transitions.revived(task) for task in may_be_kept]
        for task in revived:
            self._change(task)
        return self.resume(revived)

    def _change(self, task: Task) -> None:
        """Record a task's state as the user says it is, whoever drove it."""
        self._ownership.take_over([task.uid])
        self._ledger.save(task, owner=self._owner)
        self._supervisor.forget_job(task.uid)
        self._publish(Update(task=task))

    def is_held(self, task: Task) -> bool:
        """Whether a task was never sent and no kernel is about to send it."""
        if not task.unsent or self._supervisor.will_send(task.uid):
            return False
        return not self._ownership.driven_elsewhere(self._ledger.owner(task.uid))

    def _start(self, task: Task, *, fresh: bool = False, wanted: bool = False) -> None:
        with self._closing:
            self._check_open()
            if task.reused_from is None:
                self._supervisor.start(task, fresh=fresh, wanted=wanted)
            else:
                self._supervisor.add_ended(task)

    # -- reading and waiting

    def get(self, uid: str) -> Task:
        """Return a task's current state; KeyError if neither engine nor ledger knows it."""
        known = self._supervisor.known(uid)
        if known is not None and (known.is_final or not self._closed):
            return known
        task = self._ledger.get(uid) or known
        if task is None:
            raise KeyError(uid)
        return task

    def update(self, uid: str) -> Update:
        """Return a task's current state, and what its job is doing."""
        job = self._supervisor.job(uid)
        return Update(task=self.get(uid), activity=job.now_doing() if job else None)

    def problem(self, uid: str) -> ModellixError | None:
        """Return why this engine stopped driving a task for now, or None."""
        job = self._supervisor.job(uid)
        return job.stopped if job else None

    def usual_s(self, model: str) -> float | None:
        """Return the median duration of a model's tasks, in seconds, or None if unknown."""
        return polling.usual(self._context.durations(model))

    def remaining_s(self) -> dict[str, float]:
        """Return the estimated remaining seconds of each open task.

        Empty if a model among them is new, since it is then unknown when a place becomes free.
        """
        context, now = self._context, self._context.now_us()
        tasks = self._supervisor.open_tasks()
        usual = {model: self.usual_s(model) for model in {t.request.model for t in tasks}}
        works = []
        for task in tasks:
            usual_s = usual[task.request.model]
            if usual_s is None:
                return {}
            works.append(forecast.work_s(usual_s, (now - (task.submitted_at or now)) / 1e6))
        ends = forecast.ends(works, context.places.capacity)
        requests = forecast.requests(task.unsent for task in tasks)
        sent_s = context.client.budget.time_for_s(requests)
        return {
            task.uid: max(end, sent_s) if task.unsent else end
            for task, end in zip(tasks, ends, strict=True)
        }

    def future(self, uid: str) -> Future[Task]:
        """Return a future of the task's state when this engine is done with it.

        It never holds an exception: a failed task is a value too. Cancelling it does not affect the
        task.
        """
        found = self._supervisor.future(uid)
        if found is not None:
            return found
        done: Future[Task] = Future()
        done.set_result(self.get(uid))
        return done

    def futures(self) -> list[Future[Task]]:
        """Return the futures of all tasks that this engine watches or watched."""
        return list(self._supervisor.futures().values())

    def watched(self) -> list[str]:
        """Return the uids of all tasks that this engine watches or watched, oldest first."""
        return list(self._supervisor.futures())

    def watches(self, uid: str) -> bool:
        """Whether a task is driven or followed now."""
        return self._supervisor.watches(uid)

    def busy(self) -> int:
        """Return the number of tasks that this engine is not done with."""
        return sum(not future.done() for future in self.futures())

    def unwatch(self, uid: str) -> bool:
        """Stop watching a task, which goes on at the service; `resume` or `send` take it up again.

        False if it has ended, or if its request is in flight: its answer would be lost.
        """
        if not self.watches(uid):
            return False
        if not self._thread.run(self._supervisor.unwatch(uid)).result():
            return False
        self._publish(self.update(uid))
        return True

    @uninterrupted
    def take_back(self, uids: Sequence[str]) -> int:
        """Take back tasks that were not sent: they become `rejected`. Return how many."""
        taken = self._thread.run(self._supervisor.take_back(uids)).result()
        return len(taken) + self._take_back_held(uids)

    def _take_back_held(self, uids: Sequence[str]) -> int:
        """Take back tasks that no kernel is about to send; return how many."""
        left = [u for u in uids if self.get(u).unsent and not self._supervisor.will_send(u)]
        now = self._context.now_us()
        back = [transitions.taken_back(task, now) for task in self._ownership.claim_unsent(left)]
        self._ledger.save(*back, owner=self._owner)
        for task in back:
            self._supervisor.forget_job(task.uid)
            self._supervisor.add_ended(task)
            self._publish(Update(task=task))
        return len(back)

    def stop(self, uids: Sequence[str]) -> Stopped:
        """Take back tasks that were not sent, and stop waiting for those that were."""
        taken = self.take_back(uids)
        left = [uid for uid in uids if self.watches(uid)]
        unwatched = sum(self.unwatch(uid) for uid in left)
        return Stopped(taken, unwatched, len(left) - unwatched)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call the listener with each change from now on; return a function that ends this."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return unsubscribe

    def run(self, call: Callable[[], Coroutine[Any, Any, _T]]) -> Future[_T]:
        """Run a coroutine function on the engine's loop, which owns the client's connections."""
        self._check_open()
        return self._thread.run(call())

    def close(self, grace_s: float = _GRACE_S) -> None:
        """Wait briefly for answers to submissions in flight, then stop the loop.

        Accepted tasks stay in the ledger, for the next kernel.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
        with contextlib.suppress(Exception):
            self._thread.run(self._shut(grace_s)).result(grace_s + 2)
        self._thread.stop(grace_s)
        for uid in self.watched():
            self._supervisor.finish(uid)

    def _check_open(self) -> None:
        if self._closed:
            raise ModellixError("This session is closed.", "Call it on a new one.")

    async def _shut(self, grace_s: float) -> None:
        await self._supervisor.shut(grace_s)
        # cancel calls about models or the balance: their connections would outlive the client
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._context.close()
        await self._context.client.aclose()

    # -- on the loop

    def _publish(self, update: Update) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(update)
            except Exception:
                log.exception("A listener failed")

    def _warn(self, error: ModellixError) -> None:
        if error.message not in self._warnings:
            self._warnings.append(error.message)


class LoopThread:
    """An event loop in a daemon thread; errors of its start are raised, and its end is joined."""

    def __init__(self, name: str) -> None:
        started: Future[asyncio.AbstractEventLoop] = Future()
        # so that nothing is scheduled after the end, when nothing would run it
        self._handing_over = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=_run, args=(started,), name=name, daemon=True)
        self._thread.start()
        self.loop = started.result()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Schedule a function on the loop; does nothing if the loop has ended."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *args)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Run a coroutine on the loop; its future is cancelled if the loop has ended."""
        with self._handing_over:
            if not self._ended:
                return asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        coroutine.close()
        cancelled: Future[_T] = Future()
        cancelled.cancel()
        # `concurrent.futures.wait` counts a cancelled future as done only after this
        cancelled.set_running_or_notify_cancel()
        return cancelled

    def stop(self, timeout: float) -> None:
        """Cancel what still runs on the loop, stop it, and join the thread."""
        with self._handing_over:
            self._ended = True
        self.call(self.loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)


def _run(started: Future[asyncio.AbstractEventLoop]) -> None:
    try:
        # not by the event loop policy, which may give uvloop or the notebook's patched loop
        loop = asyncio.SelectorEventLoop()
        pool = started_pool(_THREADS, "modellix-names-and-files")
    except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
        started.set_exception(error)
        return
    asyncio.set_event_loop(loop)
    loop.set_default_executor(pool)
    loop.call_soon(started.set_result, loop)
    try:
        loop.run_forever()
    finally:
        _cancel_all(loop)
        pool.shutdown()
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
