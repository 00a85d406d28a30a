"""The panel's viewer: originals go to the page in parts, read off the kernel's thread."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.viewer import viewer_css, viewer_js
from modellix_jupyter.storage.files import local_copy
from modellix_jupyter.widgets.cards import item_of
from modellix_jupyter.widgets.gallery import esm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modellix_jupyter.values import Resource
    from modellix_jupyter.widgets.cards import Item
    from modellix_jupyter.widgets.panel_context import PanelContext

# Of a message with a part of an original.
PART_BYTES = 2_000_000
_MIME_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}


class Viewer(anywidget.AnyWidget):
    """The viewer; `on_action` does what is clicked in it and raises why it cannot be done."""

    _esm = viewer_js() + esm("panel_viewer.js")
    _css = viewer_css() + esm("panel.css")

    def __init__(self, context: PanelContext, on_action: Callable[[str, Item, Any], None]) -> None:
        self._context = context
        self._on_action = on_action
        super().__init__()
        self.on_msg(self.on_message)

    def show(self, cards: Sequence[dict[str, Any]], *, compare: bool) -> None:
        """Open it on these cards."""
        if cards:
            self.send({"cards": cards, "key": cards[0]["key"], "compare": compare})

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        """Take what a page says; see `panel_viewer.js`."""
        item = (
            item_of(message.get("read", message.get("key"))) if isinstance(message, dict) else None
        )
        if item is None:
            return
        match message:
            case {"read": str(), "offset": int(offset), "request": int(request)} if offset >= 0:
                self._answer(request, lambda: self._part(item, offset))
            case {"do": str(action), "request": int(request), **rest}:
                self._answer(request, lambda: self._do(action, item, rest.get("value")))

    def _answer(self, request: int, work: Callable[[], tuple[dict[str, Any], list[bytes]]]) -> None:
        def send(answer: tuple[dict[str, Any], list[bytes]]) -> None:
            self.send({"request": request, **answer[0]}, buffers=answer[1])

        def fail(error: ModellixError) -> None:
            self.send({"request": request, "failed": f"{error.message} {error.hint}".strip()})

        self._context.do(work, send, fail)

    def _do(self, action: str, item: Item, value: object) -> tuple[dict[str, Any], list[bytes]]:
        self._on_action(action, item, value)
        return {"done": True}, []

    def _part(self, item: Item, offset: int) -> tuple[dict[str, Any], list[bytes]]:
        task = self._context.session.engine.get(item.uid)
        resource = task.resources[item.place] if item.place < len(task.resources) else None
        if resource is None or resource.path is None:
            raise ModellixError("This file is not on this disk.")
        path = local_copy(resource.path)
        try:
            with path.open("rb") as file:
                total = path.stat().st_size
                file.seek(min(offset, total))
                part = file.read(PART_BYTES)
        except OSError as error:
            raise ModellixError(f"{path} cannot be read: {error.strerror}.") from error
        return {"total": total, "mime": _mime(resource, path)}, [part]


def _mime(resource: Resource, path: Path) -> str:
    """Return a type that a page may show; what is none of these is not executed there."""
    guessed = mimetypes.guess_type(path.name)[0] or ""
    found = _MIME_TYPES.get((resource.format or "").lower(), guessed)
    return (
        found
        if found.partition("/")[0] in {"image", "video", "audio"} and "svg" not in found
        else ""
    )
