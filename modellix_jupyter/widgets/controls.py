"""The controls of the panel's views: those of ipywidgets, and those with scripts of our own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

from modellix_jupyter.errors import InvalidRequest, ModellixError
from modellix_jupyter.html.elements import ticked
from modellix_jupyter.html.formatting import clip, price_range
from modellix_jupyter.html.markup import el, html
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.inputs import Input, Slot, as_input, noun_of
from modellix_jupyter.storage.input_files import input_file, preview
from modellix_jupyter.storage.thumbnails import jpeg_of
from modellix_jupyter.values import MAX_UPLOAD, Json, Model, Task
from modellix_jupyter.widgets.cards import Item, item_of
from modellix_jupyter.widgets.panel_context import PanelContext

_WIDE = {"width": "auto", "min_width": "0"}
# The style sheet puts labels above their fields.
_LABEL = {"description_width": "initial"}
_ALERT = (
    "border-left:3px solid #e5484d;padding:2px 0 2px 10px;line-height:1.5;overflow-wrap:anywhere"
)
# Characters of a model's description in the list of models.
_MAX_DESCRIPTION = 160
# The most files in a field, and the most characters of a name.
_MAX_FILES, _MAX_NAME = 16, 80
# The value of a field that the user leaves to the service.
UNSET: Any = object()
_ACCEPT = {"image": "image/*", "video": "video/*", "audio": "audio/*"}


def button(label: str, click: Callable[[], object], **traits: Any) -> widgets.Button:  # noqa: ANN401 - traits
    """Return a button as wide as its label."""
    made = widgets.Button(description=label, **{"layout": {"width": "auto"}, **traits})
    made.on_click(lambda _: click())
    return made


def field(kind: type[widgets.Widget], label: str, **traits: Any) -> widgets.Widget:  # noqa: ANN401 - traits
    """Return a labelled control that reports its value when the user leaves it, or as it says."""
    if hasattr(kind, "continuous_update"):
        traits.setdefault("continuous_update", False)
    if "tooltip" in traits and not hasattr(kind, "tooltip"):  # ipywidgets 7
        traits["description_tooltip"] = traits.pop("tooltip")
    return kind(description=label, **{"layout": _WIDE, "style": _LABEL, **traits})


def checkbox(label: str, *, value: bool = False) -> widgets.Checkbox:
    """Return a box to tick, with its label beside it."""
    layout = {"width": "auto", "max_width": "100%"}
    return widgets.Checkbox(value, description=label, indent=False, layout=layout)


def row(*children: widgets.Widget) -> widgets.HBox:
    """Return controls side by side, on several lines if the page is narrow."""
    return widgets.HBox(children, layout={"flex_flow": "row wrap", "align_items": "center"})


def fields(*children: widgets.Widget) -> widgets.HBox:
    """Return labelled controls side by side."""
    made = row(*children)
    made.add_class("mx-filters")
    return made


def box(name: str, *children: widgets.Widget) -> widgets.VBox:
    """Return controls in a box that the style sheet knows by its name."""
    made = widgets.VBox(children)
    made.add_class(name)
    return made


def set_visible(widget: widgets.Widget, *, visible: bool) -> None:
    """Show a control, or hide it."""
    widget.layout.display = "" if visible else "none"


def close_all(widget: widgets.Widget) -> None:
    """Close a widget and its descendants, with their layouts and styles."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for part in ("layout", "style"):
        owned = getattr(widget, part, None)
        if isinstance(owned, widgets.Widget):
            owned.close()
    widget.close()


class Markup(widgets.HTML):  # type: ignore[misc]  # ipywidgets has no types
    """A place for HTML; its value is a plain text, as marimo writes no other."""

    @traitlets.validate("value")
    def _as_text(self, proposal: dict[str, Any]) -> str:
        return str(proposal["value"])


class StatusLine:
    """A line that a screen reader reads out when it changes."""

    def __init__(self) -> None:
        self.view = Markup()

    def error(self, error: ModellixError) -> None:
        """Show what went wrong and what to do."""
        lines = el("div", ticked(error.message)), el("div", ticked(error.hint))
        self.view.value = el("div", *lines, role="alert", style=_ALERT)

    def message(self, text: str) -> None:
        """Show a sentence."""
        self.view.value = el("div", html(text), role="status", style="line-height:1.5")

    def clear(self) -> None:
        """Show nothing."""
        self.view.value = ""


# -- controls with scripts of our own


def esm(*names: str) -> str:
    """Return several modules as one: the module of a widget cannot import files beside it."""
    here = Path(__file__).parent
    return "\n".join((here / name).read_text("utf-8") for name in names)


class Scripted(anywidget.AnyWidget):
    """A widget with a script of ours; `on_message` gets the messages of its page."""

    def __init__(self, **traits: Any) -> None:  # noqa: ANN401 - traits of the widget, by name
        super().__init__(**traits)
        self.on_msg(self.on_message)


class TextSource(Scripted):
    """A widget whose page sends texts; `on_text` gets them."""

    def __init__(self, on_text: Callable[[str], object]) -> None:
        self._on_text = on_text
        super().__init__()

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - a browser may send anything
        """Take a text."""
        match message:
            case {"text": str(text)}:
                self._on_text(text)


class SecretField(TextSource):
    """A password field whose value is in no trait, and so in no saved notebook."""

    _esm = esm("common.js", "secret.js")


class Cells(TextSource):
    """A button that inserts the cells it is sent; the text that it sends is its page's token."""

    _esm = esm("common.js", "cells.js")


class Picker(TextSource):
    """The field Model, searched by name, type or price; it sends the texts that fit no model."""

    _esm = esm("common.js", "picker.js")
    models: traitlets.List[tuple[str, str, str, str]] = traitlets.List().tag(sync=True)
    recent = traitlets.Int(0).tag(sync=True)
    chosen = traitlets.List(traitlets.Unicode(), maxlen=100).tag(sync=True)
    placeholder = traitlets.Unicode("Reading the models …").tag(sync=True)

    def offer(self, models: Sequence[Model], recent: Sequence[str]) -> None:
        """Offer these models, the recently used ones first."""
        rank = {slug: index for index, slug in enumerate(recent)}
        ordered = sorted(models, key=lambda m: (rank.get(m.slug, len(rank)), m.slug))
        self.recent = sum(model.slug in rank for model in models)
        self.models = [_line(model) for model in ordered]
        self.placeholder = "Search by name, type or price"


def _line(model: Model) -> tuple[str, str, str, str]:
    description = clip(" ".join(model.description.split()), _MAX_DESCRIPTION)
    return model.slug, model.type, price_range(model.price), description


class SendButton(Scripted):
    """The button; `on_click` gets its label, and `on_yes` or `on_no` is called for an answer.

    Clicks that queue up while the kernel is busy carry the same ticket, and count as one.
    """

    _esm = esm("common.js", "generate.js")
    label = traitlets.Unicode("Generate").tag(sync=True)
    busy = traitlets.Bool(default_value=False).tag(sync=True)
    ticket = traitlets.Unicode("").tag(sync=True)
    question = traitlets.Unicode("").tag(sync=True)
    confirm = traitlets.Unicode("").tag(sync=True)
    snapshot = traitlets.Unicode("mx-no-snapshot").tag(sync=True)

    def __init__(
        self,
        on_click: Callable[[str], None],
        on_yes: Callable[[], None],
        on_no: Callable[[], None],
    ) -> None:
        self._on_click = on_click
        self._on_yes = on_yes
        self._on_no = on_no
        super().__init__(ticket=uuid.uuid4().hex)

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - a browser may send anything
        """Take a message of a page; see `generate.js`."""
        match message:
            case {"hello": True}:
                self.send({"alive": True})
            case {"click": str(ticket)} if ticket == self.ticket:
                self.send({"settle": ticket})
            case {"send": str(ticket), "label": str(label)} if self._taken(ticket):
                self._on_click(label)
            case {"yes": str(ticket)} if self._taken(ticket):
                self._on_yes()
            case {"no": True}:
                self._on_no()

    def _taken(self, ticket: str) -> bool:
        """Accept a ticket once, and hand out another."""
        if ticket != self.ticket:
            return False
        self.ticket = uuid.uuid4().hex
        return True


# A kind of media, its value in a request, its name, and a small picture of it.
_Found = tuple[str, Input, str, str | None]


def result_input(session: Session, task: Task, place: int) -> _Found:
    """Return a result of a task as an input; may wait for the disk."""
    resource, source = task.resources[place], str(task.task_id or task.uid)
    value = Input(resource.url or resource.path or source, resource)
    src = preview(jpeg_of(session.media(resource)) or b"")
    return resource.type or "image", value, f"{task.request.model} {source[:8]}", src


class MediaField(Scripted):
    """The field of a parameter that takes media: files, addresses, and results of tasks.

    `value` has the values of the media in a request, and is not synced with the page.
    Files are checked when they arrive, and uploaded when the request is sent, as for a cell.
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

    def takes(self, kind: str) -> bool:
        """Whether it takes media of a kind."""
        return self._slot.kind in {"media", kind}

    @property
    def is_full(self) -> bool:
        """Whether a new input would replace the present one."""
        return bool(self.value) and not self._slot.many

    def add(self, source: str, name: str, src: str | None) -> None:
        """Add an input by its value in a request, its name and a small picture of it."""
        kept = self._slot.many
        item = {"name": name[:_MAX_NAME], "src": src or ""}
        self.items = [*(self.items if kept else ()), item][-_MAX_FILES:]
        self.problem = ""
        self.value = (*(self.value if kept else ()), source)[-_MAX_FILES:]

    def put(self, value: Json) -> None:
        """Show the value in a request: an address, or several."""
        several = value if isinstance(value, list) else [value]
        key = self._slot.key or ""
        found = [each.get(key) if isinstance(each, dict) else each for each in several]
        texts = tuple(each for each in found if isinstance(each, str))
        self.items = [{"name": text[-_MAX_NAME:], "src": ""} for text in texts]
        self.value = texts

    def get(self) -> Any:  # noqa: ANN401 - a text, or several
        """Return the value for a request; `UNSET` if there is none."""
        alone = len(self.value) == 1 and (self._slot.one or not self._slot.many)
        return self.value[0] if alone else list(self.value) or UNSET

    def on_message(self, _: object, message: Any, buffers: Sequence[Any]) -> None:  # noqa: ANN401 - a browser may send anything
        """Take a message of a page; see `media.js`."""
        match message:
            case {"file": str(file), "name": str(name), "last": bool(last)} if buffers:
                self._take(file, name, bytes(buffers[0]), last=last)
            case {"text": str(text)} if text.strip():
                self._context.later(lambda: self.add(text.strip(), text.strip(), None))
            case {"result": key} if (item := item_of(key)) is not None:
                self._check(lambda: self._result(item))
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

        def read() -> _Found:
            kind, source = input_file(content, name).type, as_input(content)
            assert isinstance(source, Input)  # noqa: S101 - bytes always are one
            return kind, source, name, preview(content)

        self._check(read)

    def _result(self, item: Item) -> _Found:
        session = self._context.session
        return result_input(session, session.engine.get(item.uid), item.place)

    def _check(self, read: Callable[[], _Found]) -> None:
        """Read an input that a page sent, and add it if it is of the right kind."""

        def check() -> _Found:
            kind, _, name, _ = found = read()
            if not self.takes(kind):
                wanted = noun_of(self._slot.kind)
                raise InvalidRequest(f"{name} is a {noun_of(kind)}, and this takes a {wanted}.")
            return found

        def fail(error: ModellixError) -> None:
            self.problem = ""  # so that an equal message is shown again
            self.problem = error.message

        self._context.do(check, lambda found: self.add(*found[1:]), fail)
