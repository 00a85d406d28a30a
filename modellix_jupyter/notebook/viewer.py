"""The kernel's side of the viewer: answers a page's messages with facts and files of tasks.

One widget without a view serves all outputs of a kernel. The outputs stay plain HTML, which a saved
notebook keeps. A message is untrusted: it names a task of the ledger, never a path.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files
from typing import Any

import anywidget

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.elements import asset, facts_of, module_js
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.notebook.current_session import current
from modellix_jupyter.storage.thumbnails import read_part
from modellix_jupyter.values import Resource, Task

# The most keys in a message, and the most characters in a note.
MAX_KEYS, MAX_NOTE = 1000, 10_000
BEST = 5
# Characters of a uid in the name of a file; a table of files has only those.
NAMED = 12

_link: ViewerLink | None = None
_linking = threading.Lock()


def _script(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def talk_js() -> str:
    """Return the JavaScript of `Link`, which sends the messages that `respond` answers."""
    return _script("viewer_talk.js")


class ViewerLink(anywidget.AnyWidget):
    """Answers `viewer_talk.js` on threads of its own: it may take long to read a remote file."""

    _esm = _script("viewer_boot.js")

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="modellix-viewer")
        super().__init__()
        self.on_msg(self.on_message)

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - a browser may send anything
        """Take a message of a page, and answer it on a thread."""
        if isinstance(message, dict) and isinstance(message.get("id"), int):
            self._pool.submit(self._answer, message)

    def _answer(self, message: dict[str, Any]) -> None:
        if message.get("ask") == "script":
            script = (
                module_js("viewer") + module_js("tables") + talk_js() + _script("viewer_link.js")
            )
            self.send({"id": message["id"], "script": script, "style": asset("viewer.css")})
            return
        answer, buffers = respond(current().ledger, message)
        self.send({"id": message["id"], **answer}, buffers=buffers)


def respond(ledger: Ledger, message: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Return the answer to a message, or an answer with an `error`; and the bytes to send."""
    try:
        match message:
            case {"ask": "facts", "keys": list(keys)}:
                return {"facts": facts(ledger, keys[:MAX_KEYS])}, []
            case {"ask": "part", "key": str(key), "start": int(start)} if start >= 0:
                part = read_part(_found(ledger, key)[1], start)
                return {"size": part.size, "mime": part.mime}, [part.data]
            case {"ask": "rate", "key": str(key), "value": stars} if _is_rating(stars):
                ledger.rate(_found(ledger, key)[0].uid, stars)
                return {"done": True}, []
            case {"ask": "note", "key": str(key), "value": str(note)} if len(note) <= MAX_NOTE:
                ledger.note(_found(ledger, key)[0].uid, note or None)
                return {"done": True}, []
    except ModellixError as error:
        return {"error": f"{error.message} {error.hint}".strip()}, []
    return {"error": "The viewer asked for something unknown."}, []


def _is_rating(value: object) -> bool:
    return value is None or (type(value) is int and 1 <= value <= BEST)


def _found(ledger: Ledger, key: str) -> tuple[Task, Resource]:
    """Return the task and the resource of a key in an output."""
    uid, _, place = key.rpartition("/")
    task = ledger.get(uid) or (ledger.of_file(uid) if len(uid) == NAMED else None)
    if task is None or not place.isdecimal() or int(place) >= len(task.resources):
        raise ModellixError("The ledger does not know this picture.")
    return task, task.resources[int(place)]


def facts(ledger: Ledger, keys: list[Any]) -> list[dict[str, Any]]:
    """Return the facts that the viewer shows, for each picture that the ledger knows."""
    remarks = ledger.remarks()
    items = []
    for key in keys:
        with suppress(ModellixError):
            task, resource = _found(ledger, str(key))
            known = {**facts_of(task, resource), "path": resource.path}
            items.append({"id": str(key), **known, **remarks.get(task.uid, {})})
    return items


def connect() -> None:
    """Let pages that show this kernel's outputs open their pictures; once is enough."""
    global _link  # noqa: PLW0603 - one for the process, as there is one kernel
    with _linking:
        _link = _link or ViewerLink()
