"""The button Generate, the question before a large run, and what concerns the panel's page."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from modellix_jupyter.widgets.gallery import esm

if TYPE_CHECKING:
    from collections.abc import Callable


class SendButton(anywidget.AnyWidget):
    """The button; `on_click` gets what it said, and `on_yes` or `on_no` is called for an answer.

    Clicks that queue up while the kernel is busy carry the same id, and count as one.
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
        self.on_msg(self.on_message)

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        """Take a click; see `generate.js`."""
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
        """Take an id, and hand out another."""
        if ticket != self.ticket:
            return False
        self.ticket = uuid.uuid4().hex
        return True
