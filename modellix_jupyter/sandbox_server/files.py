"""Result files: which task made which, drawn when first asked for and kept while there is room."""

import asyncio
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from modellix_jupyter.sandbox_server.drawing import Artwork
from modellix_jupyter.sandbox_server.model import Model, canvas
from modellix_jupyter.sandbox_server.seeding import fingerprint
from modellix_jupyter.sandbox_server.studio import draw, picture_format
from modellix_jupyter.sandbox_server.tasks import Task

CONTENT_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "webm": "video/webm",
    "wav": "audio/wav",
}
_DRAWN_BYTES = 64 * 2**20
_UPLOADED_BYTES = 128 * 2**20
_WORKERS = 2


def artworks(model: Model, body: Mapping[str, object]) -> list[Artwork]:
    """Return what a request asks to be drawn: a function of the request alone.

    Parameters
    ----------
    model, body
        The request.

    Returns
    -------
    list of Artwork
        One for each file.
    """
    values = model.values(body)
    forms = {"video": "webm", "audio": "wav", "image": str(values.get("output_format", "png"))}
    style = str(values["voice"]) if model.media == "audio" else model.style
    width, height = (0, 0) if model.media == "audio" else canvas(model.media, values)
    many, seconds = values.get("n", 1), values.get("duration", 0)
    return [
        Artwork(
            style=style,
            slug=model.slug,
            prompt=str(values["prompt"]),
            key=fingerprint(model.slug, values, place),
            width=width,
            height=height,
            format=forms[model.media],
            seconds=seconds if isinstance(seconds, int) else 0,
            source=str(values.get("image", "")),
        )
        for place in range(many if isinstance(many, int) else 1)
    ]


def resources(task: Task, origin: str) -> list[dict[str, object]]:
    """Return a task's files as its answer lists them.

    Parameters
    ----------
    task
        A task.
    origin
        Where files are served.

    Returns
    -------
    list of dict
        JSON objects.
    """
    return [
        {
            "url": f"{origin}/files/{task.token}{place:02d}.{made.format}",
            "type": CONTENT_TYPES[made.format].partition("/")[0],
            "width": made.width or None,
            "height": made.height or None,
            "format": made.format,
            "role": "primary",
        }
        for place, made in enumerate(artworks(task.model, task.body))
    ]


def artwork_named(
    name: str, find_task: Callable[[str], Task | None]
) -> tuple[Task, Artwork] | None:
    """Return what a file's name stands for.

    Parameters
    ----------
    name
        A name such as `resources` gives.
    find_task
        Returns the task of a token.

    Returns
    -------
    tuple of Task and Artwork, or None
        None where there is no such file, or no longer.
    """
    parts = re.fullmatch(r"([0-9a-f]{24})(\d\d)\.(\w+)", name)
    task = find_task(parts[1]) if parts else None
    if parts is None or task is None:
        return None
    made = artworks(task.model, task.body)
    place = int(parts[2])
    return (task, made[place]) if place < len(made) and made[place].format == parts[3] else None


class Shelf:
    """Bytes by key, of which the least recently used make room for new ones.

    Parameters
    ----------
    capacity
        In bytes.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: OrderedDict[object, bytes] = OrderedDict()
        self._size = 0

    def get(self, key: object) -> bytes | None:
        """Return what is held under a key, or None."""
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def put(self, key: object, content: bytes) -> None:
        """Hold bytes under a key, at the expense of others if need be."""
        self._size += len(content) - len(self._held.pop(key, b""))
        self._held[key] = content
        while self._size > self._capacity and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self._size -= len(dropped)


class Files:
    """The files of one sandbox: those it makes, and those it was sent.

    Drawing happens in threads of its own, as it would stall every other request on the loop.
    """

    def __init__(self) -> None:
        self._drawn = Shelf(_DRAWN_BYTES)
        self._uploads = Shelf(_UPLOADED_BYTES)
        self._drawing: dict[Artwork, asyncio.Future[bytes]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def keep_upload(self, content: bytes, kind: str) -> str:
        """Keep a file that was sent, and return its new name."""
        name = f"{secrets.token_hex(12)}.{kind}"
        self._uploads.put(name, content)
        return name

    def upload(self, name: str) -> bytes | None:
        """Return a file that was sent, or None."""
        return self._uploads.get(name)

    async def content(self, artwork: Artwork) -> bytes:
        """Return the bytes of an artwork, drawn once however many ask at the same time.

        Parameters
        ----------
        artwork
            What to draw.

        Returns
        -------
        bytes
            A whole file.
        """
        if held := self._drawn.get(artwork):
            return held
        if artwork not in self._drawing:
            self._drawing[artwork] = self._begin(artwork)
        try:
            content = await self._drawing[artwork]
        finally:
            self._drawing.pop(artwork, None)
        self._drawn.put(artwork, content)
        return content

    async def checked_format(self, content: bytes) -> str | None:
        """Return the format of a picture that was sent, or None where it is not one."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads(), picture_format, content
        )

    def close(self) -> None:
        """Wait for the drawing threads; those that have not begun never will."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _begin(self, artwork: Artwork) -> asyncio.Future[bytes]:
        """Start to draw; only pictures that this sandbox itself holds are used as a source."""
        folder, _, name = artwork.source.rpartition("/")
        source = self._uploads.get(name) if folder.endswith("/media") else None
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads(), draw, artwork, source)

    def _threads(self) -> ThreadPoolExecutor:
        """Return the drawing threads, started when they are first needed."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="modellix-sandbox-draw")
        return self._pool
