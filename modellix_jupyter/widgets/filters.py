"""Which tasks, and in which order: by model, state, text and time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.ledger.search import SORTS, Search

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STATES: dict[str, tuple[str, ...]] = {
    "any state": (),
    "running": ("submitting", "pending", "processing"),
    "success": ("success",),
    "failed": ("failed", "rejected"),
    "unknown": ("unknown",),
    "expired": ("expired",),
}
HOUR_US = 3_600_000_000
TIMES: dict[str, int | None] = {
    "any time": None,
    "the last hour": HOUR_US,
    "the last day": 24 * HOUR_US,
    "the last week": 7 * 24 * HOUR_US,
    "the last month": 30 * 24 * HOUR_US,
}
ANY_MODEL = "any model"
_NARROW = {"width": "auto", "flex": "1 1 11em", "min_width": "11em", "max_width": "22em"}
_SHORT = {"description_width": "4.2em"}


class Filters:
    """A row of controls.

    Parameters
    ----------
    changed
        Called when any of them has changed.
    sorts
        What the tasks can be sorted by.
    descending
        Whether the largest or latest stands first, to begin with.

    """

    def __init__(
        self,
        changed: Callable[[], None],
        sorts: Sequence[str] = tuple(SORTS),
        *,
        descending: bool = True,
    ) -> None:
        self._changed = changed
        self._quiet = False
        common: dict[str, Any] = {"layout": _NARROW, "style": _SHORT}
        self.model = widgets.Dropdown(description="Model", options=[ANY_MODEL], **common)
        self.state = widgets.Dropdown(description="State", options=list(STATES), **common)
        self.text = widgets.Text(
            description="Text",
            placeholder="in the prompt, id or note",
            continuous_update=False,
            **common,
        )
        self.time = widgets.Dropdown(description="Made in", options=list(TIMES), **common)
        self.sort = widgets.Dropdown(description="Sort by", options=list(sorts), **common)
        self.descending = widgets.Checkbox(
            description="Largest or latest first",
            value=descending,
            indent=False,
            layout={"width": "auto"},
        )
        self.controls = (
            self.model, self.state, self.text, self.time, self.sort, self.descending
        )  # fmt: skip
        for control in self.controls:
            control.observe(self._hear, "value")
        self.view = widgets.HBox(
            self.controls, layout={"flex_flow": "row wrap", "align_items": "center"}
        )

    def _hear(self, _: object) -> None:
        if not self._quiet:
            self._changed()

    def offer(self, models: Sequence[str], sorts: Sequence[str] | None = None) -> None:
        """Offer these models, and these columns to sort by; what is chosen stays if it can."""
        self._quiet = True
        try:
            _exchange(self.model, [ANY_MODEL, *models])
            if sorts is not None:
                _exchange(self.sort, list(sorts))
        finally:
            self._quiet = False

    def search(self, **more: Any) -> Search:  # noqa: ANN401 - fields of a search
        """Return what is wanted.

        Parameters
        ----------
        **more
            Fields of `Search` that no control says.

        """
        model, span = self.model.value, TIMES[self.time.value]
        return Search(
            model=None if model == ANY_MODEL else model,
            states=STATES[self.state.value],
            text=self.text.value,
            since=None if span is None else int(time.time() * 1e6) - span,
            **more,
        )


def _exchange(control: widgets.Dropdown, options: list[str]) -> None:
    if list(control.options) == options:
        return
    chosen = control.value
    control.options = options
    control.value = chosen if chosen in options else options[0]
