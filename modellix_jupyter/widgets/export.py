"""Takes what is picked away: to a file, to a variable of the notebook, or as cells."""

from __future__ import annotations

import keyword
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets as widgets

from modellix_jupyter.errors import ConfigError, InvalidRequest
from modellix_jupyter.notebook.display import shell
from modellix_jupyter.planning.cell_parser import cell_text
from modellix_jupyter.widgets.controls import StatusLine, box, button, field, row, set_visible
from modellix_jupyter.widgets.gallery import esm

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from modellix_jupyter.widgets.actions import Actions
    from modellix_jupyter.widgets.panel_context import PanelContext

FORMATS = ("html", "csv", "json", "jsonl", "parquet", "xlsx", "folder with originals")
_FOLDER = FORMATS[-1]
# Cells that are inserted at once; of more, the first.
MAX_CELLS = 12


class Cells(anywidget.AnyWidget):
    """A button that inserts cells below; `on_make` gets a function that sends them to its page."""

    _esm = esm("common.js", "cells.js")

    def __init__(self, on_make: Callable[[Callable[[list[str]], None]], None]) -> None:
        self._on_make = on_make
        super().__init__()
        self.on_msg(self.on_message)

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        """Take a click; see `cells.js`."""
        token = message.get("make") if isinstance(message, dict) else None
        if isinstance(token, str):
            self._on_make(
                lambda texts: self.send(
                    {"cells": texts[:MAX_CELLS], "count": len(texts), "to": token}
                )
            )


class Export:
    """What opens at the button Export of a selection; one for all tabs, in each a view."""

    def __init__(self, context: PanelContext, actions: Actions) -> None:
        self._context = context
        self._actions = actions
        self.status = StatusLine()
        self.format = field(widgets.Dropdown, "Format", options=FORMATS)
        self.path = field(widgets.Text, "File", value="modellix.html")
        self.variable = field(widgets.Text, "Variable", value="tasks")
        self.cells = Cells(self._write)
        save = row(self.format, self.path, button("Save", self._export, button_style="primary"))
        close = button("Close", lambda: self.open(visible=False))
        more = row(self.variable, button("Set the variable", self._bind), close)
        for each in (save, more):
            each.add_class("mx-filters")
        self.view = box("mx-export", save, more, self.cells, self.status.view)
        self.open(visible=False)
        self.format.observe(lambda _: self._rename(), "value")
        actions.export = lambda _: self.open(visible=True)
        actions.on_picks.append(self._on_picks)

    def open(self, *, visible: bool) -> None:
        """Show it, or take it away."""
        self.status.clear()
        set_visible(self.view, visible=visible)

    def _on_picks(self) -> None:
        if not self._actions.picked:
            self.open(visible=False)

    def _rename(self) -> None:
        path = Path(self.path.value or "modellix.html")
        stem = path.with_suffix("") if path.suffix else path
        folder = self.format.value == _FOLDER
        self.path.value = f"{stem}/" if folder else f"{stem}.{self.format.value}"

    def _export(self) -> None:
        wanted, actions = self.path.value.strip(), self._actions

        def write() -> Path:
            if not wanted:
                raise InvalidRequest("There is no file name.", "As in: modellix.html")
            return actions.results().export(_unused(wanted))

        self.status.message(f"Writing {wanted} …")
        self._context.do(
            write, lambda written: self.status.message(f"Written: {written}"), self.status.error
        )

    def _bind(self) -> None:
        ip, actions = shell(), self._actions
        # the form under which Python looks for it
        name = unicodedata.normalize("NFKC", self.variable.value.strip())

        def bind(frame: pd.DataFrame) -> None:
            ip.user_ns[name] = frame
            self.status.message(f"{name} is a DataFrame of {len(frame)} rows.")

        with self.status.show_errors():
            if ip is None:
                raise ConfigError("There is no notebook here.", "Export to a file instead.")
            if not name.isidentifier() or keyword.iskeyword(name):
                raise InvalidRequest("This is not the name of a variable.", "As in: tasks")
            self._context.do(lambda: actions.results().frame(), bind, self.status.error)

    def _write(self, send: Callable[[list[str]], None]) -> None:
        """Send a cell for each different request, as they were made."""
        actions = self._actions

        def texts() -> list[str]:
            requests = [task.request for task in actions.results()]
            made = [cell_text(r.prompt, r.model, r.params) for r in requests]
            return list(dict.fromkeys(made))

        self._context.do(texts, send, self.status.error)


def _unused(path: str) -> str:
    """Return the path, or the first with a number behind it where there is such a file."""
    target = Path(path)
    if not target.exists() or path.endswith(("/", "\\")):
        return path
    numbers = range(2, 10_000)
    others = (target.with_name(f"{target.stem}-{number}{target.suffix}") for number in numbers)
    return str(next((other for other in others if not other.exists()), target))
