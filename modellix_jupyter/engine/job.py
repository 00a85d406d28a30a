"""One task, driven from wherever its row says it is to its end.

The order never changes: the row says what is about to happen, then it happens, then the row says
what came of it. Whatever kills the process, the row is at most one step behind.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from modellix_jupyter.api.retry import backoff
from modellix_jupyter.engine import transitions
from modellix_jupyter.errors import (
    ApiError,
    ConnectFailed,
    DownloadError,
    LedgerError,
    ModellixError,
    NotFound,
    ResultGone,
    TransportError,
)
from modellix_jupyter.values import RESULT_LIFETIME_US, Activity, Status, Task, Update

if TYPE_CHECKING:
    from modellix_jupyter.engine.context import Context
    from modellix_jupyter.values import Resource

log = logging.getLogger("modellix_jupyter.engine")

PASSING = frozenset({404, 408, 425, 429, *range(500, 600)})
"""Statuses of an answer that say nothing about the task; a 404 that is not the documented one is
somebody else's, a proxy's perhaps."""
SURE_AFTER = 3
"""So many 404 for a task or a file whose day has not passed are believed: it was paid for."""
_DOWNLOAD_TRIES = 6
_NETWORK_PAUSE_S = 15.0
_PART_S = 2.0
"""In what parts a pause is taken, in seconds; after each, what changed meanwhile counts."""


class Job:
    """The driving of one task.

    Parameters
    ----------
    task
        As its row says it is.
    context
        What all jobs of an engine share.

    Attributes
    ----------
    task
        As it is now, if this engine still drives it.
    activity, stopped
        What is being done about it; why it was given up for now.
    unsaved
        Whether the row lacks what happened last: the disk was full, say.
    released
        Whether it was left to whoever takes it up next; from then on only the row counts.

    """

    def __init__(self, task: Task, context: Context) -> None:
        self.task = task
        self.activity: Activity | None = None
        self.stopped: ModellixError | None = None
        self.answered = asyncio.Event()
        self._context = context
        self._since = context.timer()
        self._attempt = 1
        self._not_found_times = 0
        self.unsaved = False
        self.released = False

    async def drive(self) -> None:
        """Take the task from where it stands to its end, and every file of it home."""
        self.stopped = None
        if self.unsaved:
            await self._save(self.task)
        if self.task.status is Status.SUBMITTING:
            async with self._place():
                try:
                    await self._submit()
                finally:
                    self.answered.set()
                await self._poll()
        else:
            await self._poll()
        await self._download()
        self._tell(None)

    @property
    def waits_for_files(self) -> bool:
        """Whether only files are missing, and trying again may bring them."""
        done = self.task.status is Status.SUCCESS and self.stopped is None
        return done and bool(self.task.missing)

    def _place(self) -> asyncio.Semaphore:
        if self._context.places.locked():
            self._tell(Activity(what="waiting for a place"))
        return self._context.places

    # -- the three things that are done about a task

    async def _submit(self) -> None:
        service = self._context.service
        self._tell(Activity(what="submitting"))
        try:
            answer = await service.submit(
                self.task.request, self._retrying, before_send=self._about_to_leave
            )
        except LedgerError as error:
            self._not_recorded(error)
        except (ApiError, ConnectFailed) as error:
            now = self._context.now_us()
            await self._save(transitions.rejected(self.task, error, now, self._attempt))
        except TransportError as error:
            await self._save(transitions.unknown(self.task, error.message, self._attempt))
        except asyncio.CancelledError:
            # the process ends: nobody will read the answer
            self._without_an_answer("the kernel ended first")
            raise
        except Exception:
            # a fault of ours says nothing of whether the request left
            self._without_an_answer("a fault of modellix-jupyter")
            raise
        else:
            now = self._context.now_us()
            await self._save(transitions.accepted(self.task, answer, self._attempt, now))

    async def _about_to_leave(self) -> None:
        """Record that the request leaves now; what cannot be recorded is not sent.

        At once, and not with others' rows: from here on an exit waits for the answer. And not
        before: a request that waits for its place in the budget has not left when all ends.
        """
        leaving = transitions.sending(self.task, self._context.now_us(), self._attempt)
        self._context.ledger.save(leaving)
        self.task = leaving

    def _not_recorded(self, error: LedgerError) -> None:
        self.task = transitions.rejected(self.task, error, self._context.now_us(), attempts=0)
        self.stopped = error
        self.unsaved = True

    def _without_an_answer(self, reason: str) -> None:
        """Record that nobody knows what came of a request, unless it never left."""
        if self.task.in_flight:
            self._save_now(transitions.unknown(self.task, reason, self._attempt))

    async def _poll(self) -> None:
        self._since = self._context.timer()
        self._context.waiting += 1
        try:
            await self._ask_until_it_ends()
        except ApiError as error:
            self._stop(error)
        finally:
            self._context.waiting -= 1

    async def _ask_until_it_ends(self) -> None:
        not_before = self.task.submitted_at or self.task.created_at
        failures = 0
        while not self.task.status.ended:
            if failures:
                await self._context.sleep(_network_pause(failures))
            else:
                await self._rest()
            asked = self._context.now_us()
            failures = await self._ask(not_before, failures)
            if not failures:
                not_before = asked

    async def _rest(self) -> None:
        """Pause until the next question.

        In parts: another task of the model may have ended, which says more of when this one will;
        or the machine was asleep, and the task is long over.
        """
        context, model = self._context, self.task.request.model
        known, asked, rested = context.durations(model), self._elapsed(), 0.0
        pause = context.next_delay(model, asked)
        while rested < pause:
            part, before = min(_PART_S, pause - rested), self._elapsed()
            await context.sleep(part)
            rested += max(part, self._elapsed() - before)
            if context.durations(model) is not known:
                known, pause = context.durations(model), context.next_delay(model, asked)

    def _elapsed(self) -> float:
        """Return the seconds since the task was sent: by clock or timer, whichever says more.

        The clock may have been set back, and the timer may have stood while the machine slept.
        """
        begun = self.task.submitted_at or self.task.created_at
        by_clock = (self._context.now_us() - begun) / 1e6
        return max(by_clock, self._context.timer() - self._since)

    async def _ask(self, not_before: int, failures: int) -> int:
        """Ask once; return how many questions have failed in a row."""
        context, task_id = self._context, self.task.task_id or ""
        try:
            answer = await context.service.read(task_id, self._retrying)
        except NotFound:
            return await self._not_found(failures)
        except (TransportError, ApiError) as error:
            if isinstance(error, ApiError) and error.code not in PASSING:
                raise
            self._tell(self._unreachable(error, failures + 1))
            return failures + 1
        self._not_found_times = 0
        changed = transitions.answered(self.task, answer, not_before, context.now_us())
        if changed != self.task:
            await self._save(changed)
        self._tell(Activity(what=f"the service says “{answer.odd}”") if answer.odd else None)
        if changed.status is Status.SUCCESS:
            context.learn(changed)
        return 0

    async def _not_found(self, failures: int) -> int:
        now = self._context.now_us()
        kept = now - (self.task.submitted_at or 0) < RESULT_LIFETIME_US
        self._not_found_times += 1
        if kept and self._not_found_times < SURE_AFTER:
            return failures + 1
        await self._save(transitions.expired(self.task, now, "the service no longer knows it"))
        return 0

    def _unreachable(self, error: ModellixError, failures: int) -> Activity:
        reason = "no connection" if isinstance(error, TransportError) else error.message
        until = self._context.clock() + _network_pause(failures)
        return Activity(what=reason, until=until, attempt=failures + 1)

    async def _download(self) -> None:
        for place in self.task.missing:
            await self._save(transitions.fetched(self.task, place, await self._fetch(place)))

    async def _fetch(self, place: int) -> Resource:
        """Fetch one file, trying again what may pass; what does not is said in the row."""
        context, resource = self._context, self.task.resources[place]
        gone = 0
        for attempt in range(1, _DOWNLOAD_TRIES + 1):
            try:
                async with context.downloads:  # not during a pause: others have a use for it
                    self._tell(Activity(what="downloading"))
                    return await context.service.fetch(self.task, place)
            except (DownloadError, TransportError, ApiError) as error:
                problem = error.message
                gone += isinstance(error, ResultGone)
                over = isinstance(error, DownloadError) and error.final
            if over or gone == SURE_AFTER or self._day_has_passed():
                return replace(resource, problem=problem, lost=True)
            if attempt < _DOWNLOAD_TRIES:
                until = context.clock() + backoff(attempt)
                self._tell(Activity(what="download failed", until=until, attempt=attempt + 1))
                await context.sleep(backoff(attempt))
        return replace(resource, problem=problem)

    def _day_has_passed(self) -> bool:
        until = self.task.expires_at or self.task.created_at + RESULT_LIFETIME_US
        return self._context.now_us() > until

    # -- what the outside is told, and what the ledger is told

    def _retrying(self, activity: Activity) -> None:
        if self.task.status is Status.SUBMITTING and activity.attempt:
            self._attempt = activity.attempt
            # it was refused, so nothing is on its way until it is sent again
            if self.task.in_flight:
                self._save_now(transitions.held_back(self.task))
        self._tell(activity)

    async def _save(self, task: Task) -> None:
        """Record the task; once it has been sent, a full disk must not end it."""
        moved = task.status is not self.task.status
        try:
            await self._context.writer.save(task)
            self.unsaved = False
        except LedgerError as error:
            self._not_saved(error)
        finally:
            self.task = task  # not before: whoever sees it may look for its row
        self._tell(None if moved else self.activity)

    def _save_now(self, task: Task) -> None:
        """Record the task though the loop ends, or this task of it: nothing can be waited for."""
        self.task = task
        try:
            self._context.ledger.save(task)
        except LedgerError as error:
            self._not_saved(error)
        self._tell(None)

    def _not_saved(self, error: LedgerError) -> None:
        self.unsaved = True
        log.warning("%s", error.message)
        self._context.warn(error)

    def _stop(self, error: ModellixError) -> None:
        """Give up for now; the row still says that it runs, so a resume takes it up."""
        self.stopped = error

    def _tell(self, activity: Activity | None) -> None:
        self.activity = activity
        self._context.publish(Update(task=self.task, activity=activity))


def _network_pause(failures: int) -> float:
    return min(backoff(failures), _NETWORK_PAUSE_S)
