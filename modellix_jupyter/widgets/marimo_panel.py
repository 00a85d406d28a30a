"""The panel in marimo: one anywidget that draws all others, and threads that marimo knows."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from typing import Any

import traitlets

from modellix_jupyter.html.elements import asset
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.widgets.controls import esm
from modellix_jupyter.widgets.panel import Panel
from modellix_jupyter.widgets.panel_context import THREADS, Pool

log = logging.getLogger("modellix_jupyter.panel")


class MarimoPanel(Panel):
    """The panel, as marimo shows it; `mo.ui.anywidget` takes it too."""

    _esm = traitlets.Unicode(esm("common.js", "marimo.js")).tag(sync=True)
    _css = traitlets.Unicode(asset("viewer.css") + esm("panel.css", "marimo.css")).tag(sync=True)

    def __init__(self, session: Session | None = None) -> None:
        import marimo

        self._of_cell = marimo.Thread()  # is never started, but knows of its cell
        super().__init__(session)
        self.on_msg(self._answer)

    def _answer(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        """Answer what waits for the messages before it; see `marimo.js`."""
        match message:
            case {"settle": str(wait)}:
                self.send({"settled": wait})

    @property
    def abandoned(self) -> bool:
        """Whether its cell was run again, or no page shows it any more."""
        return self._of_cell.should_exit or super().abandoned

    @staticmethod
    def new_pool() -> Pool:
        """Return threads for the panel."""
        return MarimoPool()

    def _display_(self) -> object:
        import marimo

        return marimo.ui.anywidget(self)


class MarimoPool:
    """Threads as marimo has them: only in these does it learn of new widgets."""

    def __init__(self) -> None:
        import marimo

        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        for _ in range(THREADS):
            marimo.Thread(target=self._work, name="modellix-panel", daemon=True).start()

    def submit(self, call: Callable[[], None]) -> None:
        """Call it on one of the threads."""
        self._calls.put(call)

    def shutdown(self, **_: bool) -> None:
        """End the threads, once what they were given is done."""
        for _thread in range(THREADS):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception:
                log.exception("A bug in modellix-jupyter, in the panel")
