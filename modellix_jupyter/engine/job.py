"""One task, driven from wherever its row says it is to its end.

The order never changes: the row says what is about to happen, then it happens, then the row says
what came of it. Whatever kills the process, the row is at most one step behind.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from modellix_jupyter.api.retry import backoff
from modellix_jupyter.engine import transitions
from modellix_jupyter.engine.record import Record
from modellix_jupyter.errors import (
    ApiError,
    ConnectFailed,
    DownloadError,
    LedgerError,
    LedgerUnavailable,
    ModellixError,
    NoAnswer,
    NotFound,
    NotOwned,
    PaymentRequired,
    ResultGone,
    TransportError,
    Unauthorized,
)
from modellix_jupyter.values import RESULT_LIFETIME_US, Activity, Status, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from modellix_jupyter.engine.context import Context
    from modellix_jupyter.values import Resource, TaskAnswer

# Statuses of an answer that say nothing about the task; a 404 that is not the documented one is
# somebody else's, a proxy's perhaps.
PASSING = frozenset({404, 408, 425, 429, *range(500, 600)})
# So many 404 for a task or a file whose day has not passed are believed: it was paid for.
SURE_AFTER = 3
# Downloads of a file that are tried while somebody waits; from then on the pauses are long.
_PATIENT_TRIES = 6
_LONG_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 900.0
_NETWORK_PAUSE_S = 15.0
# In what parts a pause is taken, in seconds; after each, what changed meanwhile counts.
_PART_S = 2.0


class Job(Record):
    """The driving of one task; `release_waiters` is called when only long pauses are left."""

    def __init__(self, task: Task, context: Context, release_waiters: Callable[[], None]) -> None:
        super().__init__(task, context)
        self.answered = asyncio.Event()
        # Whether its row is being written before the request leaves.
        self.leaving = False
        self._release_waiters = release_waiters
        self._since = context.timer()
        self._attempt = 1
        self._has_place = False
        self._poll_failures = 0
        self._not_found_times = 0
        # What the user has to change something for, by the index of the file.
        self._blocked: dict[int, ModellixError] = {}

    async def drive(self) -> None:
        """Take the task from where it stands to its end, and download its files."""
        self.stopped = None
        if self.unsaved:
            await self.save(self.task)
        if self.task.status is Status.SUBMITTING:
            await self._submit_and_poll()
        else:
            await self._poll()
        await self._download()
        self.report(None)
        await self._save_later()

    async def _save_later(self) -> None:
        """Record what could not be recorded, once there is room or the database is back."""
        for times in itertools.count():
            if not self.unsaved:
                return
            self._release_waiters()
            await self._context.sleep(min(backoff(times + 1), _NETWORK_PAUSE_S))
            await self.save(self.task)

    # -- submitting

    async def _submit_and_poll(self) -> None:
        """Hold a place at the service from before the request leaves until the task is over."""
        places = self._context.places
        try:
            if not places.free:
                self._report_wait_for_place()
            await places.acquire()
            self._has_place = True
            await self._submit()
            self.answered.set()
            await self._poll()
        finally:
            self.answered.set()
            if self._has_place:
                self._has_place = False
                places.release()

    def _report_wait_for_place(self) -> None:
        at_once = self._context.places.learned
        known = f" ({at_once} at once)" if at_once else ""
        self.report(Activity(what=f"waiting for a place{known}"))

    async def _wait_for_place(self) -> None:
        """Give the place back after a refusal because too many tasks run, and wait for another."""
        if self.task.in_flight:
            self.save_soon(transitions.held_back(self.task))
        self._has_place = False
        free = self._context.places.refused()
        self._report_wait_for_place()
        await free
        self._has_place = True
        self.report(Activity(what="submitting"))

    async def _submit(self) -> None:
        request = self.task.request
        self.report(Activity(what="submitting"))
        try:
            answer = await self._context.client.submit(
                request.model,
                request.body(),
                on_progress=self._retrying,
                before_send=self._before_send,
                wait_for_place=self._wait_for_place,
            )
        except NotOwned:
            raise
        except LedgerError as error:
            self._not_recorded(error)
        except (ApiError, ConnectFailed) as error:
            await self._refused(error)
        except TransportError as error:
            await self.save(self._unknown(error.message))
        except asyncio.CancelledError:
            # the process ends: nobody will read the answer
            if self.task.in_flight:
                self.save_soon(self._unknown("the kernel ended first"))
            raise
        except Exception:
            # a fault of ours says nothing of whether the request left
            if self.task.in_flight:
                await self.save(self._unknown("a fault of modellix-jupyter"))
            raise
        else:
            now = self._context.now_us()
            self._context.places.accepted()
            await self.save(transitions.accepted(self.task, answer, self._attempt, now))
            self._context.check_id(self.task)

    async def _refused(self, error: ApiError | ConnectFailed) -> None:
        now = self._context.now_us()
        await self.save(transitions.rejected(self.task, error, now, self._attempt))
        if isinstance(error, Unauthorized | PaymentRequired):
            self._context.keep_unsent(error)

    async def _before_send(self) -> None:
        """Record that the request leaves now; what cannot be recorded is not sent.

        Not before: a request that waits for the rate limit has not left when all ends.
        """
        self.leaving = True
        try:
            self.task = await self._recorded_as_leaving()
        except asyncio.CancelledError:
            self.save_soon(self.task)  # its row may say by now that it left, and it never does
            raise
        finally:
            self.leaving = False

    async def _recorded_as_leaving(self) -> Task:
        save = self._context.writer.save
        for times in itertools.count(1):
            try:
                if self.unsaved:
                    await save(self.task)
                    self.unsaved = False
                leaving = transitions.sending(self.task, self._context.now_us(), self._attempt)
                await save(leaving)
            except LedgerUnavailable:
                self.report(Activity(what="waiting for the ledger"))
                await self._context.sleep(min(backoff(times), _NETWORK_PAUSE_S))
            else:
                break
        return leaving

    def _retrying(self, activity: Activity) -> None:
        if self.task.status is Status.SUBMITTING and activity.attempt:
            self._attempt = activity.attempt
            # it was refused, so nothing is in flight until it is sent again
            if self.task.in_flight:
                self.save_soon(transitions.held_back(self.task))
        self.report(activity)

    def _not_recorded(self, error: LedgerError) -> None:
        self.task = transitions.rejected(self.task, error, self._context.now_us(), attempts=0)
        self.stopped = error
        self.unsaved = True

    def _unknown(self, reason: str) -> Task:
        return transitions.unknown(self.task, reason, self._attempt)

    # -- polling

    async def _poll(self) -> None:
        self._since = self._context.timer()
        self._context.polled += 1
        await self._context.read(self._context.durations, self.task.request.model)
        not_before = self.task.submitted_at or self.task.created_at
        try:
            while not self.task.status.ended:
                await self._pause_before_poll()
                polled_at = self._context.now_us()
                await self._poll_once(not_before)
                if not self._poll_failures:
                    not_before = polled_at
        except ApiError as error:
            self.stopped = error  # the row still says that it runs, so a resume takes it up
        finally:
            self._context.polled -= 1

    async def _pause_before_poll(self) -> None:
        """Pause in parts: another task of the model may end, or the machine may be asleep."""
        if self._poll_failures:
            await self._context.sleep(self._network_pause())
            return
        context, model = self._context, self.task.request.model
        known, start, paused = context.durations(model), self._elapsed(), 0.0
        pause = context.next_delay(model, start)
        while paused < pause:
            part, before = min(_PART_S, pause - paused), self._elapsed()
            await context.sleep(part)
            paused += max(part, self._elapsed() - before)
            if context.durations(model) is not known:
                known, pause = context.durations(model), context.next_delay(model, start)

    def _elapsed(self) -> float:
        """Return the seconds since the task was sent: by clock or timer, whichever says more.

        The clock may have been set back, and the timer may have stood while the machine slept.
        """
        begun = self.task.submitted_at or self.task.created_at
        by_clock = (self._context.now_us() - begun) / 1e6
        return max(by_clock, self._context.timer() - self._since)

    async def _poll_once(self, not_before: int) -> None:
        task_id = self.task.task_id or ""
        try:
            answer = await self._context.client.task(task_id, on_progress=self._retrying)
        except NotFound:
            await self._not_found()
        except (TransportError, ApiError) as error:
            if isinstance(error, ApiError) and error.code not in PASSING:
                raise
            self._unreachable(error)
        else:
            await self._answered(answer, not_before)

    async def _answered(self, answer: TaskAnswer, not_before: int) -> None:
        self._poll_failures = self._not_found_times = 0
        changed = transitions.answered(self.task, answer, not_before, self._context.now_us())
        if changed != self.task:
            await self.save(changed)
        self.report(Activity(what=f"the service says “{answer.odd}”") if answer.odd else None)
        if changed.status is Status.SUCCESS:
            self._context.learn(changed)

    async def _not_found(self) -> None:
        now = self._context.now_us()
        kept = now - (self.task.submitted_at or 0) < RESULT_LIFETIME_US
        self._not_found_times += 1
        if kept and self._not_found_times < SURE_AFTER:
            self._poll_failures += 1
        else:
            await self.save(transitions.expired(self.task, now, "the service no longer knows it"))

    def _unreachable(self, error: ModellixError) -> None:
        self._poll_failures += 1
        reason = "no connection" if isinstance(error, TransportError) else error.message
        until = self._context.clock() + self._network_pause()
        self.report(Activity(what=reason, until=until, attempt=self._poll_failures + 1))

    def _network_pause(self) -> float:
        return min(backoff(self._poll_failures), _NETWORK_PAUSE_S)

    # -- downloading

    async def _download(self) -> None:
        """Download every file, until it is here or its day has passed.

        After some tries whoever waited for the task waits no more: an outage may last the night.
        """
        gone: Counter[int] = Counter()
        for tries in itertools.count(1):
            patient = tries < _PATIENT_TRIES
            for index in self._downloadable():
                resource = await self._try_download(index, gone)
                if resource.path or resource.lost or index in self._blocked or not patient:
                    await self.save(transitions.fetched(self.task, index, resource))
            if self.stopped or not self._downloadable():
                self.stopped = next(iter(self._blocked.values()), self.stopped)
                return
            pause = backoff(tries) if patient else _long_pause(tries - _PATIENT_TRIES)
            if patient:
                until = self._context.clock() + pause
                self.report(Activity(what="download failed", until=until, attempt=tries + 1))
            else:
                self.report(None)
                self._release_waiters()
            await self._context.sleep(pause)

    def _downloadable(self) -> list[int]:
        """Return which files are to be tried again: not what the user's own settings forbid."""
        return [index for index in self.task.missing if index not in self._blocked]

    async def _try_download(self, index: int, gone: Counter[int]) -> Resource:
        """Download one file; where that fails, say why, and whether it can never succeed."""
        try:
            async with self._context.downloads:  # not during a pause: others have a use for it
                await self._context.check_owner(self.task)
                self.report(Activity(what="downloading"))
                return await self._fetch(index)
        except (DownloadError, TransportError, ApiError) as error:
            gone[index] += isinstance(error, ResultGone)
            if isinstance(error, DownloadError) and error.blocked:
                self._blocked[index] = error
            over = isinstance(error, DownloadError) and error.final
            lost = over or gone[index] == SURE_AFTER or self._day_has_passed()
            return replace(self.task.resources[index], problem=error.message, lost=lost)

    async def _fetch(self, index: int) -> Resource:
        context, limit_s = self._context, self._context.settings.download_timeout_s
        url = self.task.resources[index].url
        try:
            async with asyncio.timeout(limit_s), context.client.open(url) as response:
                length = response.headers.get("content-length", "")
                size = int(length) if length.isascii() and length.isdigit() else None
                return await context.store.save(self.task, index, response.aiter_raw(), size)
        except TimeoutError as error:
            raise NoAnswer(f"The download took longer than {limit_s:g} s.") from error

    def _day_has_passed(self) -> bool:
        until = self.task.expires_at or self.task.created_at + RESULT_LIFETIME_US
        return self._context.now_us() > until


def _long_pause(times: int) -> float:
    return min(_LONG_PAUSE_S * 2.0**times, _LONGEST_PAUSE_S)
