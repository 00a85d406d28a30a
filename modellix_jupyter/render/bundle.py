"""The MIME bundle that a notebook is handed."""

from __future__ import annotations

from collections.abc import Sequence

from modellix_jupyter.render.cards import cards_html
from modellix_jupyter.render.text import cards_text
from modellix_jupyter.render.values import Card


def mimebundle(cards: Sequence[Card], now: float, *, stopped: str | None = None) -> dict[str, str]:
    """Return the tasks in both forms, by MIME type.

    Parameters
    ----------
    cards
        The tasks of one cell, in their order.
    now
        Seconds since the epoch.
    stopped
        Why nobody waits any more, in one sentence.

    """
    return {
        "text/plain": cards_text(cards, now, stopped=stopped),
        "text/html": cards_html(cards, now, stopped=stopped),
    }
