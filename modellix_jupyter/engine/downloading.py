"""Downloads the files of a task, until each is here or the service may have deleted it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from modellix_jupyter.api.retry import backoff
from modellix_jupyter.engine import transitions
from modellix_jupyter.errors import ApiError, DownloadError, NoAnswer, ResultGone, TransportError
from modellix_jupyter.values import Activity

if TYPE_CHECKING:
    from collections.abc import Callable

    from modellix_jupyter.engine.context import Context
    from modellix_jupyter.engine.record import Record
    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.values import Resource

# After so many attempts, whoever waits is released and the pauses become long.
PATIENT_TRIES = 6
_LONG_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 900.0


def long_pause(times: int) -> float:
    """Return a pause of 1, 2, 4 ... at most 15 minutes, in seconds, for long outages."""
    return min(_LONG_PAUSE_S * 2.0**times, _LONGEST_PAUSE_S)


class Downloads:
    """Downloads one task's files; `release_waiters` as in `Job`."""

    def __init__(
        self, record: Record, context: Context, release_waiters: Callable[[], None]
    ) -> None:
        self._record = record
        self._context = context
        self._release_waiters = release_waiters
        # Errors that only a change by the user can mend, by the index of the file.
        self._blocked: dict[int, ModellixError] = {}

    async def run(self) -> None:
        """Download every file, until each is here or may have been deleted.

        After some attempts, whoever waits for the task is released: an outage may be long.
        """
        record = self._record
        for tries in itertools.count(1):
            patient = tries < PATIENT_TRIES
            gone = [await self._download(index, patient=patient) for index in self._remaining()]
            if record.stopped or not self._remaining():
                record.stopped = next(iter(self._blocked.values()), record.stopped)
                return
            if any(gone):
                await self._read_addresses()
            pause = backoff(tries) if patient else long_pause(tries - PATIENT_TRIES)
            if patient:
                until = self._context.clock() + pause
                record.report(Activity(what="download failed", until=until, attempt=tries + 1))
            else:
                record.report(None)
                self._release_waiters()
            await self._context.sleep(pause)

    def _remaining(self) -> list[int]:
        """Return the indices of files to try again: not those that the user's settings forbid."""
        return [index for index in self._record.task.missing if index not in self._blocked]

    async def _download(self, index: int, *, patient: bool) -> bool:
        """Download one file; return whether the service answered that it does not exist."""
        record = self._record
        try:
            async with self._context.downloads:  # released during a pause, for other downloads
                await self._context.check_owner(record)
                record.report(Activity(what="downloading"))
                resource = await self._fetch(index)
        except (DownloadError, TransportError, ApiError) as error:
            resource = self._failed(index, error)
            if resource.lost or index in self._blocked or not patient:
                await record.save(transitions.fetched(record.task, index, resource))
            return isinstance(error, ResultGone)
        await record.save(transitions.fetched(record.task, index, resource))
        return False

    def _failed(self, index: int, error: ModellixError) -> Resource:
        """Return a resource with the reason of its failed download, and whether that is final."""
        if isinstance(error, DownloadError) and error.blocked:
            self._blocked[index] = error
        final = isinstance(error, DownloadError) and error.final
        task = self._record.task
        lost = final or self._context.is_past(task.kept_until)
        return replace(task.resources[index], problem=error.message, lost=lost)

    async def _fetch(self, index: int) -> Resource:
        context, task = self._context, self._record.task
        limit_s = context.settings.download_timeout_s
        try:
            async with (
                asyncio.timeout(limit_s),
                context.client.open(task.resources[index].url) as response,
            ):
                length = response.headers.get("content-length", "")
                size = int(length) if length.isascii() and length.isdigit() else None
                return await context.store.save(task, index, response.aiter_raw(), size)
        except TimeoutError as error:
            raise NoAnswer(f"The download took longer than {limit_s:g} s.") from error

    async def _read_addresses(self) -> None:
        """Read the task again: a file that was not found may have a new URL."""
        task = self._record.task
        try:
            answer = await self._context.client.task(task.task_id or "", on_progress=_ignore)
        except (TransportError, ApiError):
            return  # it is tried again later
        resources = transitions.merged(task.resources, answer.resources)
        if resources != task.resources:
            await self._record.save(replace(task, resources=resources))


def _ignore(_: Activity) -> None:
    """Do nothing: the pause that follows is shown instead."""
