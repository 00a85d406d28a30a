"""The values that every layer uses: a request, a resource, a task and its activity.

All are immutable: the engine's thread hands them to the notebook's, and neither can change what
the other sees. Times are integers, microseconds since the epoch in UTC, because that is what
SQLite stores and what pandas reads without a copy.
"""

from __future__ import annotations

import ipaddress
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from modellix_jupyter.errors import (
    API_ERRORS,
    ApiError,
    ModellixError,
    OutcomeUnknown,
    TaskExpired,
    TaskFailed,
)

# Types of results that are text, and the most bytes of one that are read.
TEXTS = frozenset({"text", "document"})
_MAX_TEXT = 1024 * 1024
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How long the service keeps a result, in microseconds (its REST page: "saved for 24 hours").
RESULT_LIFETIME_US = 24 * 3600 * 1_000_000
# If the service does not state how long, nothing is given up before this (its newer plugin's time).
KEPT_US = 7 * RESULT_LIFETIME_US
# The most bytes of an uploaded picture.
MAX_UPLOAD = 16 * 1024 * 1024


@lru_cache(maxsize=64)  # asked for each task of an output, at each redraw
def service_of(origin: str) -> str:
    """Return the host of a base URL; a service on this machine is a sandbox."""
    try:
        host = urlsplit(origin).hostname or origin
    except ValueError:
        return origin
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return "sandbox" if local else host


class Status(StrEnum):
    """The state of a task; the values are those of the frame's column ``status``."""

    # Recorded; the request is about to be, or is being, sent.
    SUBMITTING = "submitting"
    # Sent, with no readable answer: it may have been accepted.
    UNKNOWN = "unknown"
    # The service refused it, or it never left; nothing was charged.
    REJECTED = "rejected"
    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILED = "failed"
    # Accepted once, and no longer known to the service.
    EXPIRED = "expired"

    @property
    def ended(self) -> bool:
        """Whether the service will no longer change the task."""
        return self not in _OPEN


_OPEN = frozenset({Status.SUBMITTING, Status.PENDING, Status.PROCESSING})


@dataclass(frozen=True, slots=True)
class Request:
    """One call of one model: exactly what will be sent, and paid for.

    Parameters
    ----------
    model
        The slug, ``provider/model``.
    prompt
        The text, or None for a model that takes none.
    params
        The rest of the body, as JSON values.
    prompt_parameter
        The name of the prompt in the body: `text` with some models.
    parents
        The ids of the tasks whose results are its inputs.

    """

    model: str
    prompt: str | None
    params: Mapping[str, Json] = field(default_factory=dict)
    prompt_parameter: str = "prompt"
    parents: tuple[str, ...] = field(default=(), compare=False)

    @property
    def provider(self) -> str:
        """The part of the slug before the slash."""
        return self.model.partition("/")[0]

    def body(self) -> dict[str, Json]:
        """Return the JSON body of the submission."""
        prompt: dict[str, Json] = (
            {} if self.prompt is None else {self.prompt_parameter: self.prompt}
        )
        return {**prompt, **self.params}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One result of a task: a picture, a video or a sound, and where its copy is.

    Everything but the URL may be missing from an answer.

    Parameters
    ----------
    url
        Where the service keeps it for 24 hours; untrusted.
    type
        ``image``, ``video``, ``audio``, or another word of the service.
    width, height
        In pixels.
    format
        As the service states it (``png``), or as found in the file.
    role
        As the service states it (``primary``).
    path
        The downloaded file, absolute, or None if it is not on this disk.
    size
        Of the downloaded file, in bytes.
    problem
        Why there is no file, in one sentence.
    lost
        Whether there will never be a file.

    """

    url: str
    type: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    role: str | None = None
    path: str | None = None
    size: int | None = None
    problem: str | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One resource as it is shown.

    Parameters
    ----------
    kind
        ``image``, ``video``, ``audio``, ``text`` or ``link``; anything else is shown as a link.
    src
        A ``data:`` URI made from the downloaded file, or None.
    width, height
        Of the original, in pixels.
    path
        The original on this disk.
    url
        Where the service keeps it, for 24 hours; untrusted.
    size
        Of the original, in bytes.
    file
        The path of the original from the folder of the page or the notebook; a link uses it in
        place of the URL.
    problem
        Why there is nothing to show, in one sentence.
    text
        The content of a text file.

    """

    kind: str
    src: str | None = None
    width: int | None = None
    height: int | None = None
    path: str | None = None
    url: str | None = None
    size: int | None = None
    file: str | None = None
    problem: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request and all that is known of it: a row of the ledger.

    Parameters
    ----------
    uid
        Our own id of it, which exists before the service has given one.
    batch
        The same for all tasks that one cell or call started.
    origin
        The base URL it was sent to; no other service is asked about it.
    created_at, submitted_at, completed_at, expires_at
        Microseconds since the epoch. ``submitted_at`` is None while nothing was sent.
    duration_ms
        The service's own measure of the work, in milliseconds.
    measured
        Whether ``completed_at`` is exact; it is not if the machine slept, or its clock was set.
    attempts
        How many times the submission was sent.
    price
        In USD: the most that it may cost, by the catalog when the request was made. None if that
        has no price, and 0 if the ledger already had the result.
    charged
        In USD, as the service billed it; None until it says so.
    request_key
        The same for equal requests; see `planning.plan`.
    reused_from
        The uid of the task whose result was taken instead of sending the request.
    parents
        The ids of the tasks whose results are its inputs, separated by commas.
    error_code
        The HTTP status of the refusal, if there was one.
    user
        Its user, if it was read from a shared ledger.

    """

    uid: str
    batch: str
    origin: str
    request: Request
    status: Status
    created_at: int
    task_id: str | None = None
    model_id: str | None = None
    submitted_at: int | None = None
    completed_at: int | None = None
    expires_at: int | None = None
    duration_ms: int | None = None
    resources: tuple[Resource, ...] = ()
    measured: bool = True
    attempts: int = 0
    price: float | None = None
    charged: float | None = None
    request_key: str | None = None
    reused_from: str | None = None
    parents: str | None = None
    request_id: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    user: str | None = field(default=None, compare=False)

    @property
    def service(self) -> str:
        """The host of its service, or ``sandbox``."""
        return service_of(self.origin)

    @property
    def elapsed_s(self) -> float | None:
        """Seconds from the submission to the moment its end was known."""
        if self.submitted_at is None or self.completed_at is None:
            return None
        return (self.completed_at - self.submitted_at) / 1e6

    @property
    def kept_until(self) -> int:
        """When its result may be deleted: as the service stated, else a week after it ended."""
        begun = self.completed_at or self.submitted_at or self.created_at
        if self.expires_at is None or self.expires_at == begun + RESULT_LIFETIME_US:
            return begun + KEPT_US
        return self.expires_at

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen: it ended, and every file is here or given up."""
        return self.status.ended and not self.missing

    @property
    def unsent(self) -> bool:
        """Whether it was recorded but never sent; nothing was charged."""
        return self.status is Status.SUBMITTING and self.submitted_at is None

    @property
    def in_flight(self) -> bool:
        """Whether its request has left, and no answer has been read yet."""
        return self.status is Status.SUBMITTING and self.submitted_at is not None

    @property
    def pictures(self) -> tuple[Resource, ...]:
        """Those of its resources that are pictures on this disk."""
        return tuple(r for r in self.resources if r.path and r.type == "image")

    @property
    def text(self) -> str | None:
        """The content of its first text (a transcript, for example) that is on this disk."""
        found = (r.path for r in self.resources if r.path and r.type in TEXTS)
        return next((text for text in map(text_of, found) if text is not None), None)

    @property
    def missing(self) -> tuple[int, ...]:
        """The indexes in `resources` of files that are still to be downloaded."""
        return tuple(i for i, r in enumerate(self.resources) if not (r.path or r.lost))

    @property
    def path(self) -> str | None:
        """The first downloaded file."""
        return next((r.path for r in self.resources if r.path), None)

    def error(self) -> ModellixError | None:
        """Return the error to show to the user, or None if nothing went wrong."""
        who = f"{self.request.model} ({self.task_id or self.uid})"
        reason = self.error_message or "no reason given"
        if self.status is Status.REJECTED:
            return self._rejection(reason)
        if self.status is Status.FAILED:
            return TaskFailed(f"{who} failed: {reason}")
        if self.status is Status.EXPIRED:
            return TaskExpired(f"{who} expired: {reason}")
        if self.status is Status.UNKNOWN:
            return OutcomeUnknown(f"{who} may have been accepted and charged: {reason}")
        return None

    def _rejection(self, reason: str) -> ModellixError:
        if self.error_code is None:
            return ModellixError(f"{self.request.model}: {reason}", "Nothing was charged.")
        kind = API_ERRORS.get(self.error_code, ApiError)
        return kind(reason, code=self.error_code, call=self.request.model, attempts=self.attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What the engine is doing for a task now; shown, never stored.

    Parameters
    ----------
    what
        In the user's words: ``rate limited``, ``waiting for a place``, ``downloading``.
    until
        When it goes on, in seconds since the epoch, or None if that is not known.
    attempt
        The number of the next attempt, counted from 1, or None for the first.
    of
        The most attempts, or None if only a deadline limits them.

    """

    what: str
    until: float | None = None
    attempt: int | None = None
    of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What the engine sends to its listeners: a task as it is now, and its activity."""

    task: Task
    activity: Activity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One task as it is shown.

    Parameters
    ----------
    task
        The task.
    activity
        What the engine is doing for it now.
    held
        Whether it was never sent, and no kernel is about to send it.
    usual_s
        How long this model usually takes, in seconds, or None if that is not known yet.
    left_s
        The expected seconds until it ends, by the state of the whole queue, or None.
    media
        Its resources as they are shown.
    inputs
        Small pictures of its inputs.

    """

    task: Task
    activity: Activity | None = None
    held: bool = False
    usual_s: float | None = None
    left_s: float | None = None
    media: tuple[Media, ...] = ()
    inputs: tuple[Media, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a submission that was accepted: from here on it costs money."""

    task_id: str
    model_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    """A picture that the service keeps as an input; times are microseconds since the epoch."""

    file_id: str
    url: str
    filename: str = ""
    size: int | None = None
    created_at: int | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAnswer:
    """The answer to a question about a task.

    Parameters
    ----------
    status
        One of the four that a service can answer.
    odd
        The word of the answer, if it is not a known one: it is shown, and the task is polled again.
    duration_ms
        The service's own measure, in milliseconds.
    completed_at
        Microseconds since the epoch, from the answer's ``end_time``.
    expires_at
        Until when the result is kept, in microseconds since the epoch, if that is stated.
    lacking
        How many of the files that it counts have no usable address.
    beyond
        How many of the files that it counts are above the most that are taken.
    charged
        In USD, as the service billed it.

    """

    status: Status
    odd: str | None = None
    model_id: str | None = None
    duration_ms: int | None = None
    resources: tuple[Resource, ...] = ()
    request_id: str | None = None
    completed_at: int | None = None
    expires_at: int | None = None
    lacking: int = 0
    beyond: int = 0
    reason: str | None = None
    charged: float | None = None

    @property
    def lacks_files(self) -> bool:
        """Whether it is a success that does not name all of its files."""
        return self.status is Status.SUCCESS and (self.lacking > 0 or not self.resources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A display price of the catalog, in USD: fixed if both ends are equal; see `pricing_of`.

    The upper end is infinite if the catalog does not state one.
    """

    low: float
    high: float
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One entry of the catalog."""

    slug: str
    type: str = ""
    description: str = ""
    price: Price | None = None

    @property
    def text(self) -> str:
        """All its words in lower case, to be searched."""
        return f"{self.slug} {self.type} {self.description}".lower()


def to_datetime(us: int | None) -> datetime | None:
    """Return microseconds since the epoch as an aware datetime in UTC."""
    return None if us is None else EPOCH + timedelta(microseconds=us)


def text_of(path: str | Path) -> str | None:
    """Return the content of a text file, up to a bound; None if it is no text, or not here.

    From a transcript in JSON, return only the spoken text.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_TEXT)
    except (OSError, ValueError):
        return None
    if b"\0" in content:
        return None
    text = content.decode("utf-8-sig", "replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return text
    inside = said.get("text") if isinstance(said, dict) else None
    return inside if isinstance(inside, str) else text


def amount(usd: float) -> str:
    """Return US dollars with two to four decimals."""
    whole, _, cents = f"{usd:.4f}".partition(".")
    return f"${whole}.{cents.rstrip('0').ljust(2, '0')}"


def number(value: Json) -> float | None:
    """Return a finite number; numbers written as text count, booleans do not."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
