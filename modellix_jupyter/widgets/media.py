"""The field of a parameter that takes media: files, addresses, and results of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.planning.inputs import Input, as_input, noun_of
from modellix_jupyter.storage.input_files import input_file, preview
from modellix_jupyter.values import MAX_UPLOAD
from modellix_jupyter.widgets.gallery import esm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.planning.inputs import Slot
    from modellix_jupyter.values import Json
    from modellix_jupyter.widgets.panel_context import PanelContext

# Files that a field takes at once, and characters of a name.
_MAX_FILES, _MAX_NAME = 16, 80
_ACCEPT = {"image": "image/*", "video": "video/*", "audio": "audio/*"}


class MediaField(anywidget.AnyWidget):
    """The field; `value` has what stands for the media in a request, and is in no synced state.

    Files are checked when they come, and uploaded when the request is sent, as a cell's are.
    """

    _esm = esm("common.js", "media.js")
    label = traitlets.Unicode("").tag(sync=True)
    tip = traitlets.Unicode("").tag(sync=True)
    accept = traitlets.Unicode("").tag(sync=True)
    limit = traitlets.Int(MAX_UPLOAD).tag(sync=True)
    items: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)
    value = traitlets.Tuple()

    def __init__(self, context: PanelContext, slot: Slot, label: str, tip: str) -> None:
        self._context = context
        self._slot = slot
        self._parts: dict[str, bytes] = {}
        super().__init__(label=label, tip=tip, accept=_ACCEPT.get(slot.kind, ""))
        self.on_msg(self.on_message)

    def takes(self, kind: str) -> bool:
        """Whether it takes media of a kind."""
        return self._slot.kind in {"media", kind}

    @property
    def is_full(self) -> bool:
        """Whether another one replaces what is there."""
        return bool(self.value) and not self._slot.many

    def add(self, source: str, name: str, src: str | None) -> None:
        """Add what stands for a picture, video or sound, with a small picture of it."""
        kept = self._slot.many
        item = {"name": name[:_MAX_NAME], "src": src or ""}
        self.items = [*(self.items if kept else ()), item][-_MAX_FILES:]
        self.problem = ""
        self.value = (*(self.value if kept else ()), source)[-_MAX_FILES:]

    def put(self, value: Json) -> None:
        """Show the value of a request: an address, or several."""
        several = value if isinstance(value, list) else [] if value is None else [value]
        key = self._slot.key or ""
        found = [each.get(key) if isinstance(each, dict) else each for each in several]
        texts = tuple(each for each in found if isinstance(each, str))
        self.items = [{"name": text[-_MAX_NAME:], "src": ""} for text in texts]
        self.value = texts

    def get(self) -> Any:  # noqa: ANN401 - a text, or several
        """Return the value for a request; None where there is nothing."""
        alone = len(self.value) == 1 and (self._slot.one or not self._slot.many)
        return self.value[0] if alone else list(self.value) or None

    def on_message(self, _: object, message: Any, buffers: Sequence[Any]) -> None:  # noqa: ANN401 - whatever a browser sends
        """Take what a page says; see `media.js`."""
        match message:
            case {"file": str(file), "name": str(name), "last": bool(last)} if buffers:
                self._take(file, name, bytes(buffers[0]), last=last)
            case {"text": str(text)} if text.strip():
                self._context.later(lambda: self.add(text.strip(), text.strip(), None))
            case {"remove": int(index)} if 0 <= index < len(self.value):
                self._context.later(lambda: self._remove(index))

    def _remove(self, index: int) -> None:
        self.items = [each for i, each in enumerate(self.items) if i != index]
        self.value = tuple(each for i, each in enumerate(self.value) if i != index)

    def _take(self, file: str, name: str, part: bytes, *, last: bool) -> None:
        content = self._parts.pop(file, b"") + part
        if len(content) > MAX_UPLOAD or len(self._parts) >= _MAX_FILES:
            return
        if not last:
            self._parts[file] = content
            return

        def check() -> tuple[Input, str | None]:
            kind = input_file(content, name).type
            if not self.takes(kind):
                wanted = noun_of(self._slot.kind)
                raise InvalidRequest(f"{name} is a {noun_of(kind)}, and this takes a {wanted}.")
            source = as_input(content)
            assert isinstance(source, Input)  # noqa: S101 - bytes always are one
            return source, preview(content)

        def fail(error: ModellixError) -> None:
            self.problem = ""  # so that the same one is said once more
            self.problem = error.message

        self._context.do(check, lambda found: self.add(found[0], name, found[1]), fail)
