"""The state behind both origins: the account, the tasks, the files, the journal and the faults."""

import asyncio
import base64
import itertools
import json
import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files

from modellix_jupyter.sandbox_server.catalog import MODELS
from modellix_jupyter.sandbox_server.faults import Fault, Faults, Operation
from modellix_jupyter.sandbox_server.models import Model, canvas, pictures, texts
from modellix_jupyter.sandbox_server.painter import Artwork, paint
from modellix_jupyter.sandbox_server.tasks import (
    KEPT_SECONDS,
    Input,
    JournalEntry,
    Limits,
    Task,
    TaskStore,
    iso,
)

#: Bounds of the journal and of the counted bodies, for a sandbox that runs for days.
_MAX_ENTRIES = 50_000
_MAX_BODIES = 10_000
#: Uploads that an account may have, and that may run at once.
MAX_UPLOADS = 10
MAX_UPLOADING = 2
#: How long a 429 asks to wait, in seconds, before `speed`.
_RATE_LIMIT_SECONDS = 2.0
#: The one film and the one sound of the sandbox: file, format, width and height.
_RECORDINGS = {"video": ("film.webm", "webm", 480, 270), "audio": ("tune.mp3", "mp3", None, None)}
#: What the one sound says.
TRANSCRIPT = "A few notes of a bell, and then it is quiet again."


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
        faults: Faults | None,
        limits: Limits,
        speed: float,
    ) -> None:
        self.models: Mapping[str, Model] = MODELS
        self.tasks = tasks
        self.journal = journal
        self.limits = limits
        self.uploads: dict[str, StoredUpload] = {}
        self.uploading = 0
        self.api_url = ""
        self.cdn_url = ""
        self.closing = asyncio.Event()
        self._faults = faults or Faults()
        self._speed = speed
        self._counters: defaultdict[Operation, itertools.count[int]] = defaultdict(itertools.count)
        self._met: Counter[str] = Counter()

    @property
    def reset_after(self) -> str:
        """The X-RateLimit-Reset of an injected 429: seconds from now."""
        return f"{_RATE_LIMIT_SECONDS / self._speed:g}"

    def record(self, entry: JournalEntry) -> None:
        """Add to the journal, and forget its older half where it has grown too long."""
        self.journal.append(entry)
        if len(self.journal) > _MAX_ENTRIES:
            del self.journal[: _MAX_ENTRIES // 2]

    def chance(self, operation: Operation) -> Fault | None:
        """Return the fault that the injector has for the next request of an operation."""
        return self._faults.choose(operation, next(self._counters[operation]))

    def lags(self, since: float) -> bool:
        """Whether what was written at a moment is not found yet."""
        return self.tasks.clock() < since + self._faults.lag_seconds

    def quirk(self, model: Model, body: Mapping[str, object]) -> Fault | None:
        """Return the model's own fault, until the body has met it as often as the model says."""
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
        if folder == f"{self.cdn_url}/media":
            upload = self.upload_named(name)
            if upload is None:
                raise KeyError(text)
            return upload.content
        if folder == f"{self.cdn_url}/files":
            task = self.task_of(name)
            if task is None:
                raise KeyError(text)
            return task, name
        head, comma, encoded = text.partition(";base64,")
        return base64.b64decode(encoded) if comma and head.startswith("data:") else None

    def resources(self, task: Task) -> list[dict[str, object]]:
        """Return a task's files as its answer lists them."""
        media = task.model.media
        shapes: list[tuple[str, int | None, int | None]]
        if media in _RECORDINGS:
            shapes = [_RECORDINGS[media][1:]]
        elif media == "text":
            shapes = [("txt", None, None)]
        else:
            shapes = [(each.format, each.width, each.height) for each in artworks(task)]
        return [
            {
                "url": f"{self.cdn_url}/files/{task.token}{index:02d}.{form}",
                "type": media,
                "width": width,
                "height": height,
                "format": form,
                "role": "primary",
            }
            for index, (form, width, height) in enumerate(shapes)
        ]

    def task_of(self, name: str) -> Task | None:
        """Return the task that made a file, or None where there is no such file any longer."""
        task = self.tasks.find_by_token(name[:24])
        urls = [each["url"] for each in self.resources(task)] if task else []
        return task if f"{self.cdn_url}/files/{name}" in urls else None

    async def content(self, task: Task, name: str) -> bytes:
        """Return the bytes of a task's file; a picture is painted when it is asked for."""
        if task.model.media == "text":
            return TRANSCRIPT.encode()
        if task.model.media in _RECORDINGS:
            recording = files(__package__) / _RECORDINGS[task.model.media][0]
            return recording.read_bytes()
        given = tuple([await self._bytes(each) for each in task.inputs])
        # In a thread, as it would stall every other request on the loop.
        return await asyncio.to_thread(paint, artworks(task)[int(name[24:26])], given)

    async def _bytes(self, given: Input) -> bytes:
        """Return the bytes of an input; a result of the sandbox is painted again."""
        return given if isinstance(given, bytes) else await self.content(*given)


def artworks(task: Task) -> list[Artwork]:
    """Return what a task asks to be painted: a function of its request alone."""
    model, values = task.model, task.model.values(task.body)
    width, height = canvas(values)
    return [
        Artwork(
            look=model.look,
            slug=model.slug,
            prompt=str(values.get("prompt", "")),
            key=json.dumps([model.slug, values, index], sort_keys=True),
            width=width,
            height=height,
            format=str(values.get("output_format", "png")),
        )
        for index in range(pictures(values))
    ]
