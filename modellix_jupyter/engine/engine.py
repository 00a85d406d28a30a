"""The engine as the outside sees it: hand over requests, get values, wait for futures.

Every method may be called from any thread. Listeners are called on the engine's thread, with values
only; what they do must be quick, and what they raise is logged and goes no further.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import uuid
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from modellix_jupyter.engine import polling, transitions
from modellix_jupyter.engine.context import Context
from modellix_jupyter.engine.loop import LoopThread
from modellix_jupyter.engine.ownership import Ownership
from modellix_jupyter.engine.supervisor import Supervisor
from modellix_jupyter.errors import ModellixError
from modellix_jupyter.values import Request, Status, Task, Update

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from modellix_jupyter.engine.polling import Pace
    from modellix_jupyter.engine.service import Service
    from modellix_jupyter.ledger.kernel_locks import KernelLock
    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.planning.pricing import Pricing
    from modellix_jupyter.settings import Settings

    Listener = Callable[[Update], None]

_T = TypeVar("_T")

log = logging.getLogger("modellix_jupyter.engine")

_GRACE_S = 5.0
"""How long an exit waits for the answers to submissions that are on their way, in seconds."""


class Engine:
    """Drives every task of one session to its end, on a loop of its own.

    Parameters
    ----------
    make_service
        Called on the engine's loop, once, to open the service.
    ledger, owner
        Where tasks are recorded, and under whose name.
    settings
        The limits; see `Settings`.
    pace
        How often tasks are polled.
    clock
        Seconds since the epoch, for what is recorded.
    timer
        Seconds from any start, for pauses: no user and no server sets it.
    sleep
        Waits that many seconds.

    Raises
    ------
    ModellixError
        Whatever `make_service` raised.

    """

    def __init__(  # noqa: PLR0913 - what a test replaces
        self,
        make_service: Callable[[], Service],
        ledger: Ledger,
        owner: KernelLock,
        settings: Settings,
        *,
        pace: Pace = polling.PACE,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ledger = ledger
        self._owner = owner
        self._origin = settings.base_url
        self._pace = pace
        self._clock = clock
        self._timer = timer
        self._listeners: list[Listener] = []
        self._closing = threading.Lock()
        self._sending = threading.Lock()
        self._closed = False
        self.warnings: list[str] = []
        self._thread = LoopThread("modellix-engine")
        try:
            self._context = self._thread.run(self._open(make_service, settings, sleep)).result()
        except BaseException:
            self._thread.stop(_GRACE_S)
            raise
        self._ownership = Ownership(ledger, owner)
        self._supervisor = Supervisor(self._thread, self._context, self._ownership)

    async def _open(
        self,
        make_service: Callable[[], Service],
        settings: Settings,
        sleep: Callable[[float], Awaitable[None]],
    ) -> Context:
        service = make_service()
        return Context(
            service,
            self._ledger,
            origin=self._origin,
            publish=self._publish,
            warn=self._warn,
            max_in_flight=settings.max_in_flight,
            budget=settings.requests_per_second,
            pace=self._pace,
            clock=self._clock,
            timer=self._timer,
            sleep=sleep,
        )

    # -- handing over

    def submit(
        self,
        requests: Sequence[Request],
        *,
        prices: Mapping[str, Pricing] | None = None,
        batch: str | None = None,
    ) -> list[Task]:
        """Record the requests and begin to send them; returns at once.

        Parameters
        ----------
        requests
            One paid task each.
        prices
            By model; what each task costs stands in its row.
        batch
            The name that their rows share; a new one where it is not given.

        Raises
        ------
        LedgerError
            They could not be recorded; none was sent.

        """
        self._check_open()
        tasks = self._intents(requests, prices or {}, batch or uuid.uuid4().hex)
        self._ledger.add(tasks, self._owner.name)
        for task in tasks:
            self._begin(task, fresh=True)
        return tasks

    def _intents(
        self, requests: Sequence[Request], prices: Mapping[str, Pricing], batch: str
    ) -> list[Task]:
        now = int(self._clock() * 1e6)
        return [
            Task(
                uid=uuid.uuid4().hex,
                batch=batch,
                origin=self._origin,
                request=request,
                status=Status.SUBMITTING,
                created_at=now,
                price=prices[request.model].cost(request) if request.model in prices else None,
            )
            for request in requests
        ]

    def resume(self, tasks: Iterable[Task]) -> list[Task]:
        """Take up tasks that this engine does not drive; returns those that it now watches.

        A submission that was interrupted on its way becomes `unknown`; one that never left stays
        as it is until `send` is called for it; one that another living kernel drives is followed.
        """
        taken = []
        for task in tasks:
            if not self.watches(task.uid):
                now = self._resumable(task)
                if now is None:
                    continue
                self._begin(now)
            taken.append(task)
        return taken

    def _resumable(self, task: Task) -> Task | None:
        """Return the task as it is now where there is something to watch, else None."""
        job = self._supervisor.job(task.uid)
        if job is not None and not job.released:
            # what this engine knows may be newer than the row: the disk may have been full
            over = job.task.status is Status.SUBMITTING or job.task.is_final
            return None if over and not job.unsaved else job.task
        if task.is_final or task.origin != self._origin:
            return None
        if task.status is Status.SUBMITTING:
            return self._ownership.orphan(task.uid)
        return self._ledger.get(task.uid) or task

    def send(self, tasks: Iterable[Task]) -> list[Task]:
        """Send intents that never left, because their kernel ended first."""
        sent = []
        with self._sending:  # from the claim to the start: no other thread's claim in between
            for task in tasks:
                intent = None if self.watches(task.uid) else self._ownership.unsent(task.uid)
                if intent is not None:
                    self._begin(intent, fresh=True)
                    sent.append(intent)
        return sent

    def resolve_unknown(self, task: Task, task_id: str | None) -> Task:
        """Record what the user found out about a submission of unknown outcome.

        Parameters
        ----------
        task
            Whose status is `unknown`.
        task_id
            The id that the service gave it, which is then watched like any other; None where it
            was never accepted.

        """
        self._ownership.take_over(task.uid)
        resolved = transitions.resolved(task, task_id, int(self._clock() * 1e6))
        self._ledger.save(resolved)
        self._supervisor.forget_job(task.uid)
        self._publish(Update(task=resolved))
        if task_id is not None:
            self.resume([resolved])
        return resolved

    def _begin(self, task: Task, *, fresh: bool = False) -> None:
        with self._closing:
            self._check_open()
            self._supervisor.begin(task, fresh=fresh)

    # -- looking

    def get(self, uid: str) -> Task:
        """Return a task as it is now.

        Raises
        ------
        KeyError
            Neither this engine nor the ledger knows it.

        """
        known = self._supervisor.remembered(uid)
        if known is not None and (known.is_final or not self._closed):
            return known
        task = self._ledger.get(uid) or known
        if task is None:
            raise KeyError(uid)
        return task

    def update(self, uid: str) -> Update:
        """Return a task as it is now, and what is being done about it."""
        job = self._supervisor.job(uid)
        return Update(task=self.get(uid), activity=job.activity if job else None)

    def problem(self, uid: str) -> ModellixError | None:
        """Return why this engine gave a task up for now, or None."""
        job = self._supervisor.job(uid)
        return job.stopped if job else None

    def usual_s(self, model: str) -> float | None:
        """Return the median of what the model's tasks took, in seconds."""
        return polling.usual(self._context.durations(model))

    def future(self, uid: str) -> Future[Task]:
        """Return a future of the task as it is when this engine is through with it.

        It never holds an error: a task that failed is a value too. Cancelling it does nothing to
        the task.
        """
        found = self._supervisor.future(uid)
        if found is not None:
            return found
        done: Future[Task] = Future()
        done.set_result(self.get(uid))
        return done

    def futures(self) -> list[Future[Task]]:
        """Return the futures of all tasks that this engine watches or has watched."""
        return list(self._supervisor.futures().values())

    def watched(self) -> list[str]:
        """Return our names of all tasks that this engine watches or has watched, oldest first."""
        return list(self._supervisor.futures())

    def watches(self, uid: str) -> bool:
        """Whether a task is being driven or followed now."""
        return self._supervisor.watches(uid)

    def unwatch(self, uid: str) -> bool:
        """Stop watching a task, which lives on: `resume` takes it up, `send` one that never left.

        Returns
        -------
        bool
            False where nothing is let go: it is over, or its request is on its way, and whoever
            looked away now would never learn what came of it.

        """
        if not self.watches(uid):
            return False
        if not self._thread.run(self._supervisor.unwatch(uid)).result():
            return False
        self._publish(self.update(uid))
        return True

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call the listener with each change from now on; returns what ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return unsubscribe

    def run(self, call: Callable[[Service], Awaitable[_T]]) -> Future[_T]:
        """Call something of the service on the engine's loop: the catalog, the balance."""
        self._check_open()

        async def body() -> _T:
            return await call(self._context.service)

        return self._thread.run(body())

    def busy(self) -> int:
        """Return how many tasks this engine is not yet through with."""
        return sum(not future.done() for future in self.futures())

    def close(self, grace_s: float = _GRACE_S) -> None:
        """End: wait a little for answers to submissions on their way, then stop the loop.

        What was accepted stays in the ledger, for the next kernel.
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
        # questions about models or the balance: a connection in use would outlive the client
        asked = asyncio.all_tasks() - {asyncio.current_task()}
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await self._context.service.aclose()

    # -- what the loop says

    def _publish(self, update: Update) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(update)
            except Exception:
                log.exception("A listener failed")

    def _warn(self, error: ModellixError) -> None:
        if error.message not in self.warnings:
            self.warnings.append(error.message)
