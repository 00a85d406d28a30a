"""What a saved notebook shows of a panel where no kernel runs: the last results, as plain HTML.

A widget without a kernel is an empty place in every front end, so this is an output of its own
beside the widget's. The page hides it as soon as a kernel has answered the panel.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from modellix_jupyter.html.cards import cards_html
from modellix_jupyter.html.markup import html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modellix_jupyter.values import Card

MOST = 24
"""Tasks that it shows, the newest."""
EVERY_S = 2.0
"""How often it is written at most, in seconds."""
BYTES_S = 50_000
"""What it may cost at most, in bytes a second: nobody sees it while the panel lives."""
NOTE = "The panel as it was. Run its cell again to use it."


class Snapshot:
    """One output that is exchanged for a newer one as tasks end.

    Parameters
    ----------
    name
        The class that it has in the page.
    budget
        Bytes that it may weigh.

    """

    def __init__(self, name: str, budget: int) -> None:
        self._class = name
        self._budget = budget
        self._handle: Any = None
        self._status = ""
        self._written_at = 0.0

    def show(self) -> None:
        """Put it below what the cell has shown so far."""
        from IPython.display import display

        self._status = self._page(())
        self._handle = display(self._bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types here

    @property
    def shown(self) -> bool:
        """Whether there is an output to write to."""
        return self._handle is not None

    @property
    def due(self) -> bool:
        """Whether it may be written again by now."""
        pause = max(EVERY_S, len(self._status) / BYTES_S)
        return self._handle is not None and time.monotonic() - self._written_at >= pause

    def write(self, cards: Sequence[Card]) -> None:
        """Write it anew, if it says something else now."""
        page = self._page(cards)
        self._written_at = time.monotonic()
        if page != self._status and self._handle is not None:
            self._status = page
            self._handle.update(self._bundle(), raw=True)

    def _page(self, cards: Sequence[Card]) -> str:
        shown = cards_html(cards, time.time(), stopped=NOTE, budget=self._budget) if cards else ""
        return f'<div class="{self._class}">{shown or html(NOTE)}</div>'

    def _bundle(self) -> dict[str, str]:
        return {"text/html": self._status, "text/plain": NOTE}
