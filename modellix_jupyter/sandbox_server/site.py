"""The state behind both origins: the journal, the tasks and what they cost, files and limits."""

import asyncio
import base64
import itertools
import json
import math
import random
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import Literal, TypeAlias

from modellix_jupyter.sandbox_server.faults import Fault, Faults, Operation
from modellix_jupyter.sandbox_server.models import Model, canvas, pictures, texts

Origin = Literal["api", "cdn"]
Status = Literal["pending", "processing", "success", "failed"]

#: Results and uploads are kept for a week, and each answer says until when.
KEPT_SECONDS = 7 * 24 * 3600.0
#: What a new account holds, in US dollars.
OPENING_BALANCE = 100.0
#: Requests a minute, if nobody limits them.
MANY = 60_000
#: Bounds of the journal and of the counted bodies, for a sandbox that runs for days.
_MAX_ENTRIES = 50_000
_MAX_BODIES = 10_000
#: Uploads that an account may have, and that may run at once.
MAX_UPLOADS = 10
_AT_ONCE = 2
#: How long a 429 asks to wait, in seconds, before `speed`.
_RATE_LIMIT_SECONDS = 2.0
#: The one film and the one sound of the sandbox.
_RECORDINGS = {"video": "film.webm", "audio": "tune.mp3"}
#: The format, width and height of its only film, sound and text.
_SHAPES: Mapping[str, tuple[str, int | None, int | None]] = {
    "video": ("webm", 480, 270),
    "audio": ("mp3", None, None),
    "text": ("txt", None, None),
}
#: The text of the one sound.
TRANSCRIPT = "A few notes of a bell, and then it is quiet again."


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One request."""

    origin: Origin
    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body_size: int
    at: float

    @property
    def authorized(self) -> bool:
        """Whether the request carried an Authorization header, which some must never do."""
        return "authorization" in self.headers


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission that was accepted, and so was paid for."""

    task_id: str
    model: str
    body: Mapping[str, object]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An accepted task. It never changes: its state is a function of the time."""

    id: str
    request_id: str
    model: Model
    body: Mapping[str, object]
    submitted_at: float
    queued_s: float
    total_s: float
    price: float
    owner: str = field(default="", repr=False)
    inputs: tuple["Input", ...] = field(default=(), repr=False)

    @property
    def values(self) -> dict[str, object]:
        """The body with the defaults of the parameters that it leaves out."""
        return self.model.values(self.body)

    @property
    def ended_at(self) -> float:
        """When it is or will be done, in seconds since 1970."""
        return self.submitted_at + self.total_s

    def status(self, now: float) -> Status:
        """Return the state of the task at a time."""
        if now < self.submitted_at + self.queued_s:
            return "pending"
        if now < self.ended_at:
            return "processing"
        return "failed" if self.model.quirk.refusal else "success"

    def gone(self, now: float) -> bool:
        """Whether its results are no longer kept."""
        return now >= self.ended_at + KEPT_SECONDS

    def answer(self, now: float, resources: list[dict[str, object]]) -> dict[str, object]:
        """Return the task as the API describes it."""
        status = self.status(now)
        data: dict[str, object] = {
            "status": status,
            "task_id": self.id,
            "model_id": self.model.name,
        }
        if status in {"success", "failed"}:
            data["duration"] = max(1, round(self.total_s * 1000))
        if status == "success":
            data["result"] = self._result(resources)
            data["result_expires_at"] = round((self.ended_at + KEPT_SECONDS) * 1000)
            data["billing"] = {"status": "succeeded", "amount": f"{self.price:.4f}"}
        if status == "failed":
            data["error"] = {"code": "content_policy", "message": self.model.quirk.refusal}
        return data

    def _result(self, resources: list[dict[str, object]]) -> dict[str, object]:
        """Return the results with their known properties."""
        images = sum(resource["type"] == "image" for resource in resources)
        return {
            "resources": resources,
            "metadata": {"image_count": images, "request_id": self.request_id},
            "extensions": {"submit_time": iso(self.submitted_at), "end_time": iso(self.ended_at)},
        }


#: An input picture: its bytes, or an earlier task and the name of its file.
Input: TypeAlias = bytes | tuple[Task, str]


def iso(at: float) -> str:
    """Return a time as the API writes it: UTC, whole seconds, a final Z."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class TaskStore:
    """The tasks of one sandbox, and the account that pays for them."""

    def __init__(
        self, *, seed: int = 0, speed: float = 1.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.submissions: dict[str, Submission] = {}
        self.clock = clock
        self._seed = seed
        self._speed = speed
        self._tasks: dict[str, Task] = {}
        self._numbers = itertools.count()
        self._spent = 0.0

    @property
    def balance(self) -> float:
        """The balance of the account, in US dollars, to a hundredth of a cent."""
        return round(OPENING_BALANCE - self._spent, 4)

    def accept(
        self,
        model: Model,
        body: Mapping[str, object],
        *,
        owner: str = "",
        inputs: tuple[Input, ...] = (),
    ) -> Task:
        """Accept a submission and charge its price; `owner` is the key that it was sent with."""
        rng = random.Random(f"pace {self._seed} {next(self._numbers)}")  # noqa: S311 - no secret
        queued, total = model.pace.draw(rng)
        task = Task(
            id=f"task-{secrets.token_hex(8)}",
            request_id=f"req-{secrets.token_hex(6)}",
            model=model,
            body=body,
            submitted_at=self.clock(),
            queued_s=queued / self._speed,
            total_s=total / self._speed,
            price=self.price(model, body),
            owner=owner,
            inputs=inputs,
        )
        self._forget_old(task.submitted_at)
        self._tasks[task.id] = task
        self.submissions[task.id] = Submission(task.id, model.slug, body, task.submitted_at)
        self._spent += task.price
        return task

    def price(self, model: Model, body: Mapping[str, object]) -> float:
        """Return what a submission costs, in US dollars."""
        return round(model.price.of(model.values(body)), 4)

    def find(self, task_id: str) -> Task | None:
        """Return a task that is still known, or None."""
        task = self._tasks.get(task_id)
        return None if task is None or task.gone(self.clock()) else task

    def running(self) -> int:
        """Return how many tasks have not ended."""
        now = self.clock()
        return sum(task.ended_at > now for task in self._tasks.values())

    def expire(self, task_id: str) -> None:
        """Forget a task, as if its time had passed; KeyError if there is none."""
        del self._tasks[task_id]

    def _forget_old(self, now: float) -> None:
        """Drop the oldest tasks once they are gone, so that memory stays bounded."""
        while self._tasks:
            oldest = next(iter(self._tasks.values()))
            if not oldest.gone(now):
                return
            for kept in (self._tasks, self.submissions):
                kept.pop(oldest.id, None)


class Limits:
    """The limits of an account: tasks at once, and requests in each minute that begins with one.

    A minute is one of real time, whatever the sandbox's `speed`. None means no limit of tasks, and
    a very high limit of requests: the headers are sent all the same, as by the service.
    """

    def __init__(self, concurrent: int | None = None, rpm: int | None = None) -> None:
        if any(limit is not None and limit < 1 for limit in (concurrent, rpm)):
            raise ValueError(f"limits must be at least 1, not {concurrent} and {rpm}")
        self.concurrent = concurrent
        self._rpm = rpm or MANY
        self._used = 0
        self._reset = 0.0

    def take(self, now: float) -> bool:
        """Count a request, and return whether it is within the limit."""
        if now >= self._reset:
            self._used, self._reset = 0, now + 60
        self._used += 1
        return self._used <= self._rpm

    def headers(self) -> dict[str, str]:
        """Return the three headers of every answer; the reset is in seconds since 1970."""
        return {
            "X-RateLimit-Limit": str(self._rpm),
            "X-RateLimit-Remaining": str(max(0, self._rpm - self._used)),
            "X-RateLimit-Reset": str(math.ceil(self._reset)),
        }


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """A picture that was uploaded."""

    file_id: str
    name: str
    filename: str
    content: bytes = field(repr=False)
    at: float

    def answer(self, cdn_url: str) -> dict[str, object]:
        """Return it as the API describes it."""
        return {
            "file_id": self.file_id,
            "type": "image",
            "url": f"{cdn_url}/media/{self.name}",
            "filename": self.filename,
            "size": len(self.content),
            "created_at": iso(self.at),
        }


class Site:
    """Everything the handlers share. Only the server's loop changes it."""

    def __init__(
        self,
        tasks: TaskStore,
        journal: list[JournalEntry],
        faults: Faults,
        limits: Limits,
        speed: float,
    ) -> None:
        self.tasks = tasks
        self.journal = journal
        self.limits = limits
        self.uploads: dict[str, StoredUpload] = {}
        self.uploading = asyncio.Semaphore(_AT_ONCE)
        self.api_url = ""
        self.cdn_url = ""
        self.closing = asyncio.Event()
        self._faults = faults
        self._speed = speed
        self._counters: defaultdict[Operation, itertools.count[int]] = defaultdict(itertools.count)
        self._met: Counter[str] = Counter()

    @property
    def reset_after(self) -> str:
        """The X-RateLimit-Reset of an injected 429: seconds from now."""
        return f"{_RATE_LIMIT_SECONDS / self._speed:g}"

    def record(self, entry: JournalEntry) -> None:
        """Add to the journal, and forget its older half if it has grown too long."""
        self.journal.append(entry)
        if len(self.journal) > _MAX_ENTRIES:
            del self.journal[: _MAX_ENTRIES // 2]

    def chance(self, operation: Operation) -> Fault | None:
        """Return the fault that the injector has for the next request of an operation."""
        return self._faults.choose(operation, next(self._counters[operation]))

    def lags(self, since: float) -> bool:
        """Whether an object that was written at a moment is not found yet."""
        return self.tasks.clock() < since + self._faults.lag_seconds

    def quirk(self, model: Model, body: Mapping[str, object]) -> Fault | None:
        """Return the model's own fault, until this body has met it as often as the model says."""
        if model.quirk.submit is None or model.quirk.times is None:
            return model.quirk.submit
        key = json.dumps([model.slug, body], sort_keys=True)
        if len(self._met) >= _MAX_BODIES:
            self._met.clear()
        self._met[key] += 1
        return model.quirk.submit if self._met[key] <= model.quirk.times else None

    async def hold(self) -> None:
        """Wait as long as a hanging answer is held, or until the server stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), self._faults.hang_seconds)

    def keep_upload(self, kind: str, filename: str, content: bytes) -> StoredUpload:
        """Keep a picture that was sent."""
        identifier = secrets.token_hex(12)
        name = f"{identifier}.{kind}"
        at = self.tasks.clock()
        kept = StoredUpload(f"file-{identifier}", name, filename, content, at)
        self.uploads[kept.file_id] = kept
        return kept

    def kept_uploads(self) -> list[StoredUpload]:
        """Return the uploads whose week has not passed, oldest first; forget the others."""
        now = self.tasks.clock()
        self.uploads = {i: u for i, u in self.uploads.items() if now < u.at + KEPT_SECONDS}
        return list(self.uploads.values())

    def upload_named(self, name: str) -> StoredUpload | None:
        """Return an upload by the name of its file."""
        return next((each for each in self.kept_uploads() if each.name == name), None)

    def inputs(self, body: Mapping[str, object]) -> tuple[Input, ...]:
        """Return the input pictures of a request; KeyError for one that does not exist."""
        found = map(self._input, texts(dict(body)))
        return tuple(each for each in found if each is not None)

    def _input(self, text: str) -> Input | None:
        """Return the input at a URL of the sandbox or in a data: URL; None for any other text."""
        folder, _, name = text.rpartition("/")
        if folder == f"{self.cdn_url}/media" and (upload := self.upload_named(name)):
            return upload.content
        if folder == f"{self.cdn_url}/files" and (task := self.task_of(name)):
            return task, name
        if folder in {f"{self.cdn_url}/media", f"{self.cdn_url}/files"}:
            raise KeyError(text)
        head, comma, encoded = text.partition(";base64,")
        return base64.b64decode(encoded) if comma and head.startswith("data:") else None

    def resources(self, task: Task) -> list[dict[str, object]]:
        """Return a task's files as its answer lists them."""
        media, values = task.model.media, task.values
        form, width, height = _SHAPES.get(media) or (
            str(values.get("output_format", "png")),
            *canvas(values),
        )
        return [
            {
                "url": f"{self.cdn_url}/files/{task.id}-{index}.{form}",
                "type": media,
                "width": width,
                "height": height,
                "format": form,
                "role": "primary",
            }
            for index in range(pictures(values) if media == "image" else 1)
        ]

    def task_of(self, name: str) -> Task | None:
        """Return the task that made a file, or None if there is no longer such a file."""
        task = self.tasks.find(name.rpartition("-")[0])
        if task is None or task.status(self.tasks.clock()) != "success":
            return None
        urls = [each["url"] for each in self.resources(task)]
        return task if f"{self.cdn_url}/files/{name}" in urls else None

    async def content(self, task: Task, name: str) -> bytes:
        """Return the bytes of a task's file; a picture is painted when it is asked for."""
        if task.model.media == "text":
            return TRANSCRIPT.encode()
        if task.model.media in _RECORDINGS:
            return (files(__package__) / _RECORDINGS[task.model.media]).read_bytes()
        from modellix_jupyter.sandbox_server.painter import Artwork, paint

        stem, _, form = name.partition(".")
        index, (width, height) = int(stem.rpartition("-")[2]), canvas(task.values)
        artwork = Artwork(
            look=task.model.look,
            slug=task.model.slug,
            prompt=str(task.values.get("prompt", "")),
            key=json.dumps([task.model.slug, task.values, index], sort_keys=True),
            width=width,
            height=height,
            format=form,
        )
        given = tuple([await self._bytes(each) for each in task.inputs])
        # In a thread, as it would stall every other request on the loop.
        return await asyncio.to_thread(paint, artwork, given)

    async def _bytes(self, given: Input) -> bytes:
        """Return the bytes of an input; a result of the sandbox is painted again."""
        return given if isinstance(given, bytes) else await self.content(*given)
