"""The picked items: shown side by side, or exported to a file, to a variable, or as cells."""

from __future__ import annotations

import base64
import keyword
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from modellix_jupyter.errors import ConfigError, InvalidRequest, ModellixError
from modellix_jupyter.html.elements import model_name
from modellix_jupyter.html.formatting import money, seconds
from modellix_jupyter.html.markup import el, html
from modellix_jupyter.html.table import Cell, media_table
from modellix_jupyter.notebook.display import shell
from modellix_jupyter.planning.cell_parser import cell_text
from modellix_jupyter.results.results import Results
from modellix_jupyter.widgets.actions import Actions
from modellix_jupyter.widgets.cards import Listing, longest, ratio_of
from modellix_jupyter.widgets.controls import (
    Cells,
    Markup,
    StatusLine,
    box,
    button,
    field,
    fields,
    set_visible,
)
from modellix_jupyter.widgets.panel_context import PanelContext

# The ways to look at the picked items, and the purpose of each.
MODES = {
    "Pictures": "Large, to look into and to compare in the viewer",
    "Grid": "Models across, prompts down",
    "Summary": "Count, success, seconds and price by model",
    "Plot": "Seconds by model",
}
EMPTY = {
    "title": "Nothing picked",
    "text": "Pick two or more pictures under Create or History, then look at them here.",
}
# The colour of text and axes in a plot: grey is readable on a light and on a dark page.
_INK = "#808080"
FORMATS = ("html", "csv", "json", "jsonl", "parquet", "xlsx", "folder with originals")
_FOLDER = FORMATS[-1]
# The most cells that are inserted at once.
MAX_CELLS = 12


class Compare:
    """Several ways to look at the picked items."""

    def __init__(self, context: PanelContext, actions: Actions) -> None:
        self._context = context
        self._actions = actions
        self.status = StatusLine()
        self.mode = widgets.ToggleButtons(options=list(MODES), tooltips=list(MODES.values()))
        self.mode.style.button_width = "auto"
        self.html = Markup()
        self.html.add_class("mx-table-view")
        self.gallery = actions.gallery(
            mode="picks",
            label="Picked pictures",
            empty=EMPTY,
            size=320,
        )
        self.view = box("mx-compare", self.mode, self.status.view, self.html, self.gallery)
        set_visible(self.html, visible=False)
        self.mode.observe(lambda _: self.refresh(), "value")
        actions.on_picks.append(self.refresh)

    def refresh(self) -> None:
        """Show it again, off this thread; of several calls in a row only the last is shown."""
        pictures = self.mode.value == "Pictures" or not self._actions.picked
        set_visible(self.gallery, visible=pictures)
        set_visible(self.html, visible=not pictures)
        self._context.do(self._read, self._show, self._fail, last_of=self)

    def _read(self) -> tuple[Listing, str]:
        session, items, mode = self._context.session, self._actions.picked, self.mode.value
        tasks = {uid: session.engine.get(uid) for uid in dict.fromkeys(item.uid for item in items)}
        ratios = [ratio_of(tasks[item.uid], item.place) for item in items]
        pictures = mode == "Pictures" or not items
        markup = "" if pictures else _RENDERERS[mode](session.results(tasks.values()))
        group = {"start": 0, "title": "", "longest": longest(tasks.values())}
        return Listing(tuple(items), tuple(ratios), (group,)), markup

    def _fail(self, error: ModellixError) -> None:
        self.html.value = ""
        self.status.error(error)

    def _show(self, read: tuple[Listing, str]) -> None:
        self.status.clear()
        listing, self.html.value = read
        self.gallery.show(listing)

    def paint(self, changed: set[str]) -> None:
        """Draw the changed tasks; if a picked one has ended, show everything again."""
        get = self._context.session.engine.get
        mine = {item.uid for item in self._actions.picked}
        self.gallery.paint(changed)
        if any(get(uid).is_final for uid in changed & mine):
            self.refresh()


def _grid(results: Results) -> str:
    grid = results.grid()
    return "".join(grid.page(number)._repr_html_() for number in range(1, grid.count + 1))


# What the summary's columns are called for people, and how their values are written.
_SUMMARY: dict[str, tuple[str, Callable[[Any], str]]] = {
    "model": ("Model", str),
    "count": ("Tasks", str),
    "success_rate": ("Done", "{:.0%}".format),
    "median_s": ("Median time", seconds),
    "p90_s": ("9 of 10 within", seconds),
    "images_per_minute": ("Pictures a minute", "{:.1f}".format),
    "price": ("Cost", money),
    "price_per_image": ("Cost of a picture", money),
}


def _summary(results: Results) -> str:
    from modellix_jupyter.results.frame import rows_of

    table = results.summary()
    names = [str(name) for name in table.columns]
    rows = [list(map(_summary_cell, names, row)) for row in rows_of(table)]
    return media_table([_SUMMARY.get(name, (name,))[0] for name in names], rows)


def _summary_cell(name: str, value: Any) -> Cell:  # noqa: ANN401 - of any column
    if name == "model":
        return Cell(el("div", model_name(value), style="white-space:nowrap"))
    written = _SUMMARY.get(name, ("", str))[1]
    return Cell(html("" if value is None else written(value)), right=True)


def _plot(results: Results) -> str:
    from modellix_jupyter.results.summary import plot_png

    data = base64.b64encode(plot_png(results.frame(), "seconds", ink=_INK)).decode()
    return el(
        "img",
        alt="Seconds by model, a point for each task",
        src=f"data:image/png;base64,{data}",
        style="width:750px;max-width:100%",
    )


_RENDERERS = {"Grid": _grid, "Summary": _summary, "Plot": _plot}


class Export:
    """The controls that the button Export of a selection opens; all tabs show the same."""

    def __init__(self, context: PanelContext, actions: Actions) -> None:
        self._context = context
        self._actions = actions
        self.status = StatusLine()
        self.format = field(widgets.Dropdown, "Format", options=FORMATS)
        self.path = field(widgets.Text, "File", value="modellix.html")
        self.variable = field(widgets.Text, "Variable", value="tasks")
        self.cells = Cells(self._write)
        close = button("Close", lambda: self.open(visible=False))
        save = button("Save", self._export, button_style="primary")
        file = fields(self.format, self.path, save, close)
        more = fields(self.variable, button("Set the variable", self._bind), self.cells)
        self.view = box("mx-export", file, more, self.status.view)
        self.open(visible=False)
        self.format.observe(lambda _: self._rename(), "value")
        actions.export = lambda: self.open(visible=True)
        actions.on_picks.append(self._on_picks)

    def open(self, *, visible: bool) -> None:
        """Show it, or hide it."""
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

        def write() -> str:
            if not wanted:
                raise InvalidRequest("There is no file name.", "As in: modellix.html")
            return f"Written: {actions.results().export(_unused(wanted))}"

        self.status.message(f"Writing {wanted} …")
        self._context.do(write, self.status.message, self.status.error)

    def _bind(self) -> None:
        ip, actions = shell(), self._actions
        # Python looks up names in this form
        name = unicodedata.normalize("NFKC", self.variable.value.strip())

        def bind() -> str:
            if ip is None:
                raise ConfigError("There is no notebook here.", "Export to a file instead.")
            if not name.isidentifier() or keyword.iskeyword(name):
                raise InvalidRequest("This is not the name of a variable.", "As in: tasks")
            frame = ip.user_ns[name] = actions.results().frame()
            return f"{name} is a DataFrame of {len(frame)} rows."

        self._context.do(bind, self.status.message, self.status.error)

    def _write(self, page: str) -> None:
        """Send a page one cell for each different request of the picked tasks."""

        def texts() -> list[str]:
            requests = [task.request for task in self._actions.results()]
            return list(dict.fromkeys(cell_text(r.prompt, r.model, r.params) for r in requests))

        def send(cells: list[str]) -> None:
            self.cells.send({"cells": cells[:MAX_CELLS], "count": len(cells), "to": page})

        self._context.do(texts, send, self.status.error)


def _unused(path: str) -> str:
    """Return the path, or if that file exists, the first unused one with a number behind it."""
    target = Path(path).expanduser()
    if not target.exists() or path.endswith(("/", "\\")):
        return path
    numbers = range(2, 10_000)
    others = (target.with_name(f"{target.stem}-{number}{target.suffix}") for number in numbers)
    return str(next((other for other in others if not other.exists()), target))
