"""The panel's viewer, which asks what the viewer of outputs asks, and is answered alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget

from modellix_jupyter.html.viewer import viewer_css, viewer_js
from modellix_jupyter.notebook.viewer import respond, talk_js
from modellix_jupyter.widgets.cards import item_of
from modellix_jupyter.widgets.gallery import esm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modellix_jupyter.widgets.cards import Item
    from modellix_jupyter.widgets.panel_context import PanelContext


class Viewer(anywidget.AnyWidget):
    """The viewer; `on_input` takes a picture as an input, `on_remark` tells what was remarked."""

    _esm = viewer_js() + talk_js() + esm("panel_viewer.js")
    _css = viewer_css() + esm("panel.css")

    def __init__(
        self,
        context: PanelContext,
        on_input: Callable[[Item], None],
        on_remark: Callable[[Item, dict[str, Any]], None],
    ) -> None:
        self._context = context
        self._on_input = on_input
        self._on_remark = on_remark
        super().__init__()
        self.on_msg(self.on_message)

    def show(self, cards: Sequence[dict[str, Any]], *, compare: bool) -> None:
        """Open it on these cards."""
        if cards:
            self.send({"cards": cards, "key": cards[0]["key"], "compare": compare})

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        """Take what a page says; see `viewer_talk.js`."""
        match message:
            case {"id": int(number), "ask": str()}:
                self._context.do(lambda: self._answer(number, message), lambda _: None)

    def _answer(self, number: int, message: dict[str, Any]) -> None:
        item = item_of(message.get("key"))
        if item is not None and message["ask"] == "input":
            self._on_input(item)
            self.send({"id": number, "done": True})
            return
        answer, buffers = respond(self._context.session.ledger, message)
        if item is not None and "done" in answer:
            self._on_remark(item, message)
        self.send({"id": number, **answer}, buffers=buffers)
