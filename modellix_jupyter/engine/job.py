"""Drives one task, from the state in its row to its end.

The order is always the same: record what is about to happen, do it, record the outcome. So if the
process is killed, the row is at most one step behind.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from modellix_jupyter.api.retry import backoff
from modellix_jupyter.engine import transitions
from modellix_jupyter.engine.downloading import PATIENT_TRIES, Downloads, long_pause
from modellix_jupyter.engine.record import Record
from modellix_jupyter.errors import (
    ApiError,
    ConnectFailed,
    LedgerError,
    LedgerUnavailable,
    ModellixError,
    NotFound,
    NotOwned,
    PaymentRequired,
    TransportError,
    Unauthorized,
)
from modellix_jupyter.values import Activity, Status, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from modellix_jupyter.engine.context import Context
    from modellix_jupyter.values import TaskAnswer

# HTTP statuses that say nothing about the task; an undocumented 404 may come from a proxy.
PASSING = frozenset({404, 408, 425, 429, *range(500, 600)})
# After so many 404s a task counts as gone, but only when its result may have been deleted.
SURE_AFTER = 3
# How often a finished task is polled again if its answer lacks files: for half a minute.
_LACKING_TRIES = 5
# If a pause ends so many seconds late, the machine slept or the clock was set.
_STOOD_S = 5.0
_NETWORK_PAUSE_S = 15.0
_WAITING = "waiting for a place"
# Pauses are divided into parts of so many seconds, with a new decision after each.
_PART_S = 2.0


class Job(Record):
    """Drives one task; `release_waiters` is called when only long pauses are left."""

    def __init__(self, task: Task, context: Context, release_waiters: Callable[[], None]) -> None:
        super().__init__(task, context)
        self.answered = asyncio.Event()
        # Whether its row is being written just before the request is sent.
        self.leaving = False
        self._release_waiters = release_waiters
        self._since, self._since_us = context.timer(), context.now_us()
        self._sent_before = task.attempts
        self._attempt = self._sent_before + 1
        self._has_place = False
        self._poll_failures = 0
        self._not_found_times = 0
        self._lacking_times = 0
        self._ended_at: int | None = None

    async def drive(self) -> None:
        """Drive the task from its current state to its end, and download its files."""
        self.stopped = None
        if self.unsaved:
            await self.save(self.task)
        if self.task.status is Status.SUBMITTING:
            await self._submit_and_poll()
        else:
            await self._poll()
        await Downloads(self, self._context, self._release_waiters).run()
        self.report(None)
        await self._save_later()

    async def _save_later(self) -> None:
        """Retry a failed save until the disk has room or the database is back."""
        for times in itertools.count():
            if not self.unsaved:
                return
            self._release_waiters()
            # soon, since the first write also takes the kernel's lock again
            await self._context.sleep(min(backoff(times + 1), _PART_S))
            await self.save(self.task)

    # -- submitting

    async def _submit_and_poll(self) -> None:
        """Hold a place at the service from before the submission until the task has ended."""
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
            self._leave_place()

    def _leave_place(self) -> None:
        if self._has_place:
            self._has_place = False
            self._context.places.release()

    def now_doing(self) -> Activity | None:
        """Return what the job is doing; the number of places may have changed since a report."""
        waits = self.activity is not None and self.activity.what.startswith(_WAITING)
        return self._wait_for_place_now() if waits else self.activity

    def _wait_for_place_now(self) -> Activity:
        at_once = self._context.places.learned
        return Activity(what=f"{_WAITING} ({at_once} at once)" if at_once else _WAITING)

    def _report_wait_for_place(self) -> None:
        self.report(self._wait_for_place_now())

    async def _wait_for_place(self) -> None:
        """After a refusal because too many tasks run, release the place and wait for another."""
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
            # the process is ending: nobody will read the answer
            if self.task.in_flight:
                self.save_soon(self._unknown("the kernel ended first"))
            raise
        except Exception:
            # after a bug of ours it is unknown whether the request was sent
            if self.task.in_flight:
                await self.save(self._unknown("a bug in modellix-jupyter"))
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
        """Record that the request is being sent; if that fails, it is not sent.

        As late as possible: a request that still waits for the rate limit counts as unsent.
        """
        self.leaving = True
        try:
            self.task = await self._recorded_as_leaving()
        except asyncio.CancelledError:
            self.save_soon(self.task)  # its row may already say that it was sent, but it never is
            raise
        finally:
            self.leaving = False

    async def _recorded_as_leaving(self) -> Task:
        save = self._context.writer.save
        for times in itertools.count(1):
            try:
                if self.unsaved:
                    await save(self.task)
                    self._saved()
                leaving = transitions.sending(self.task, self._context.now_us(), self._attempt)
                await save(leaving)
            except LedgerUnavailable as error:
                self._ledger_failed(error)
                self.report(Activity(what="waiting for the ledger"))
                await self._context.sleep(min(backoff(times), _PART_S))
            else:
                break
        self._context.ledger_works()
        return leaving

    def _retrying(self, activity: Activity) -> None:
        if self.task.status is Status.SUBMITTING and activity.attempt:
            self._attempt = self._sent_before + activity.attempt
            # after a refusal nothing is in flight until it is sent again
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
        await self._context.load_durations(self.task.request.model)
        self._since, self._since_us = self._context.timer(), self._context.now_us()
        not_before = self.task.submitted_at or self.task.created_at
        try:
            while not self.task.status.ended:
                planned = await self._pause_before_poll()
                polled_at = self._context.now_us()
                await self._poll_once(not_before, planned)
                if not self._poll_failures:
                    not_before = polled_at
        except ApiError as error:
            self.stopped = error  # its row still says that it is running, so `resume` finds it
        finally:
            self._context.polled -= 1

    async def _pause_before_poll(self) -> float:
        """Pause in parts, since another task of the model may end or the machine may sleep.

        Returns the intended length of the pause, in seconds.
        """
        if self._poll_failures:
            pause = self._failure_pause()
            self.save_again()
            await self._context.sleep(pause)
            return pause
        context, model = self._context, self.task.request.model
        known, start, paused = context.durations(model), self._elapsed(), 0.0
        pause = context.next_delay(model, start)
        while paused < pause:
            self.save_again()
            part, before = min(_PART_S, pause - paused), self._elapsed()
            await context.sleep(part)
            paused += max(part, self._elapsed() - before)
            if context.durations(model) is not known:
                known, pause = context.durations(model), context.next_delay(model, start)
        return pause

    def _elapsed(self) -> float:
        """Return the seconds since the task was sent, by clock or timer, whichever is longer.

        The clock may have been set back, and the timer may stop while the machine sleeps.
        """
        begun = self.task.submitted_at or self.task.created_at
        by_clock = (self._context.now_us() - begun) / 1e6
        return max(by_clock, self._context.timer() - self._since)

    async def _poll_once(self, not_before: int, planned: float) -> None:
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
            self._poll_failures = self._not_found_times = 0
            self.stopped = None
            if answer.lacks_files and self._lacking_times < _LACKING_TRIES:
                self._wait_for_files()
            else:
                await self._answered(answer, not_before, planned)

    async def _answered(self, answer: TaskAnswer, not_before: int, planned: float) -> None:
        now = self._ended_at or self._context.now_us()
        changed = transitions.answered(self.task, answer, not_before, now)
        if changed.status is Status.SUCCESS:
            changed = replace(changed, measured=self._is_measured(answer, not_before, now, planned))
            self._context.learn(changed)
        if changed != self.task:
            await self.save(changed)
        self.report(Activity(what=f"the service says “{answer.odd}”") if answer.odd else None)

    def _is_measured(self, answer: TaskAnswer, not_before: int, now: int, planned: float) -> bool:
        """Whether the time of the task's end is known well: it is not if the machine slept."""
        by_timer = self._context.timer() - self._since
        clock_was_set = abs((self._context.now_us() - self._since_us) / 1e6 - by_timer) > _STOOD_S
        seen_late = (now - not_before) / 1e6 > planned + _STOOD_S
        return not clock_was_set and (answer.duration_ms is not None or not seen_late)

    def _wait_for_files(self) -> None:
        """Poll a finished task again if its answer lacks files, which may come later."""
        self._ended_at = self._ended_at or self._context.now_us()
        self._lacking_times += 1
        self._poll_failures = self._lacking_times
        self._leave_place()
        self._report_pause("done, its files are not named yet")

    async def _not_found(self) -> None:
        """Count a task as gone only after several 404s, when its result may have been deleted."""
        self._not_found_times += 1
        self._poll_failures += 1
        if self._not_found_times >= SURE_AFTER and self._context.is_past(self.task.kept_until):
            now = self._context.now_us()
            await self.save(transitions.expired(self.task, now, "the service no longer knows it"))
            return
        self._report_pause("the service does not find it")
        if self._not_found_times == PATIENT_TRIES:
            self.stopped = ModellixError(
                f"The service does not find the task {self.task.task_id}.",
                "It is asked again in the background for as long as the result may be kept; "
                "`%modellix resume` asks at once.",
            )
            self._leave_place()
            self._release_waiters()

    def _unreachable(self, error: ModellixError) -> None:
        self._poll_failures += 1
        self._report_pause("no connection" if isinstance(error, TransportError) else error.message)

    def _report_pause(self, reason: str) -> None:
        until = self._context.clock() + self._failure_pause()
        self.report(Activity(what=reason, until=until, attempt=self._poll_failures + 1))

    def _failure_pause(self) -> float:
        if self._not_found_times >= PATIENT_TRIES:
            return long_pause(self._not_found_times - PATIENT_TRIES)
        return min(backoff(self._poll_failures), _NETWORK_PAUSE_S)
