"""The tasks of this kernel, the newest first, as they go on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import ipywidgets as widgets

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.cards import overview
from modellix_jupyter.widgets.fields import WIDE

if TYPE_CHECKING:
    from modellix_jupyter.values import Task
    from modellix_jupyter.widgets.card_controller import CardController
    from modellix_jupyter.widgets.panel_context import PanelContext

NOTHING_YET = "Nothing yet: write a prompt, choose a model, and Generate."


class TasksView:
    """A live list of cards, and one line for all of them.

    Parameters
    ----------
    context, controller
        See `PanelContext` and `CardController`.

    """

    def __init__(self, context: PanelContext, controller: CardController) -> None:
        self._context = context
        self.line = widgets.HTML()
        self.gallery = controller.gallery(label="Tasks, the newest first", empty=NOTHING_YET)
        self.view = widgets.VBox([self.line, self.gallery], layout=WIDE)

    def uids(self) -> list[str]:
        """Return the tasks of this kernel, the newest first."""
        try:
            return self._context.session.engine.watched()[::-1]
        except ModellixError:
            return []

    def tasks(self) -> list[Task]:
        """Return them as they are now."""
        engine = self._context.session.engine
        return [engine.get(uid) for uid in self.uids()]

    def refresh(self) -> None:
        """Show the tasks of the session in use."""
        uids = self.uids()
        self.gallery.show(uids)
        self._summarise(uids)

    def paint(self, changed: set[str]) -> None:
        """Show what changed."""
        uids = self.uids()
        if len(uids) != self.gallery.count:
            self.gallery.show(uids)
        self.gallery.paint(changed)
        self._summarise(uids)

    def _summarise(self, uids: list[str]) -> None:
        session = self._context.session
        cards = [session.plain_card(uid) for uid in uids]
        self.line.value = overview(cards, time.time()) if cards else ""
