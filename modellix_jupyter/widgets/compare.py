"""What is picked, side by side: pictures to look into, the grid, the numbers and the plot."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import ipywidgets as widgets

from modellix_jupyter.html.markup import el
from modellix_jupyter.html.table import table_html
from modellix_jupyter.widgets.cards import Item, Listing, ratio_of
from modellix_jupyter.widgets.controls import StatusLine, box, set_visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.widgets.actions import Actions
    from modellix_jupyter.widgets.panel_context import PanelContext

# The ways to look at what is picked, and what each is for.
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
# Of a plot: grey is read on a light page and on a dark one.
_INK = "#808080"


class Compare:
    """Several ways to look at what is picked."""

    def __init__(self, context: PanelContext, actions: Actions) -> None:
        self._context = context
        self._actions = actions
        self._run = 0
        self.status = StatusLine()
        self.mode = widgets.ToggleButtons(options=list(MODES), tooltips=list(MODES.values()))
        self.mode.style.button_width = "auto"
        self.html = widgets.HTML()
        self.html.add_class("mx-table-view")
        self.gallery = actions.gallery(
            mode="picks",
            label="Picked pictures",
            search_label="Search what is picked",
            empty=EMPTY,
            size=320,
        )
        self.view = box("mx-compare", self.mode, self.status.view, self.html, self.gallery)
        set_visible(self.html, visible=False)
        self.mode.observe(lambda _: self.refresh(), "value")
        actions.on_picks.append(self.refresh)

    def refresh(self) -> None:
        """Show it anew, off this thread; of several calls in a row only the last is shown."""
        with self._context.lock:
            self._run += 1
            run, mode = self._run, str(self.mode.value)
            items, session = self._actions.picked, self._context.session
        set_visible(self.gallery, visible=mode == "Pictures" or not items)
        set_visible(self.html, visible=mode != "Pictures" and bool(items))
        self._context.do(
            lambda: _read(session, items, mode), lambda shown: self._show(run, *shown), self._fail
        )

    def _fail(self, error: ModellixError) -> None:
        self.html.value = ""
        self.status.error(error)

    def _show(self, run: int, listing: Listing, markup: str) -> None:
        if run == self._run:
            self.status.clear()
            self.html.value = markup
            self.gallery.show(listing)

    def paint(self, changed: set[str]) -> None:
        """Show it anew where a picked task has ended."""
        get = self._context.session.engine.get
        mine = {item.uid for item in self._actions.picked}
        self.gallery.paint(changed)
        if any(get(uid).is_final for uid in changed & mine):
            self.refresh()


def _read(session: Session, items: Sequence[Item], mode: str) -> tuple[Listing, str]:
    """Read what is shown of the picked items."""
    tasks = {uid: session.engine.get(uid) for uid in dict.fromkeys(item.uid for item in items)}
    ratios = [ratio_of(tasks[item.uid], item.place) for item in items]
    listing = Listing(tuple(items), tuple(ratios))
    if mode == "Pictures" or not items:
        return listing, ""
    return listing, _RENDERERS[mode](session.results(tasks.values()))


def _grid(results: Results) -> str:
    grid = results.grid()
    return "".join(grid.page(number)._repr_html_() for number in range(1, grid.count + 1))


def _summary(results: Results) -> str:
    from modellix_jupyter.results.frame import rows_of

    table = results.summary().reset_index()
    return table_html([str(name) for name in table.columns], rows_of(table))


def _plot(results: Results) -> str:
    from modellix_jupyter.results.summary import plot_png

    data = base64.b64encode(plot_png(results.frame(), "seconds", ink=_INK)).decode()
    return el(
        "img",
        alt="Seconds by model, a point for each task",
        src=f"data:image/png;base64,{data}",
        style="max-width:100%",
    )


_RENDERERS = {"Grid": _grid, "Summary": _summary, "Plot": _plot}
