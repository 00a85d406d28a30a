"""A panel on a real sandbox, with no browser: a test sends what a page would."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ipywidgets

from modellix_jupyter.values import Task
from modellix_jupyter.widgets.gallery import Gallery
from modellix_jupyter.widgets.panel import TABS, Panel

HANG_S = 30.0
"""After that long a test has hung; none waits anywhere near it."""


def living() -> dict[str, Any]:
    """Return all widgets of this process that are not closed, by their model ids."""
    known = getattr(ipywidgets.widgets.widget, "_instances", None)
    return dict(ipywidgets.Widget.widgets if known is None else known)  # of ipywidgets 7


def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + HANG_S
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


class Page:
    """Does with a panel what a person does, and sees what a page would show.

    Parameters
    ----------
    panel
        Whose galleries get a view each.

    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.create = panel.create
        self.gallery = panel.create.results.gallery
        self.sent: list[tuple[Gallery, dict[str, Any]]] = []
        for gallery in panel.actions.galleries:
            self._listen(gallery)
            self.say(gallery, {"view": "page", "see": [0, 24], "lack": "all"})

    def _listen(self, gallery: Gallery) -> None:
        def send(content: dict[str, Any], buffers: object = None) -> None:
            del buffers
            self.sent.append((gallery, content))

        object.__setattr__(gallery, "send", send)

    def say(self, widget: Any, message: object) -> None:
        """Say to Python what a browser would."""
        widget.on_message(widget, message, [])

    def until(self, true: Callable[[], object]) -> None:
        """Wait until something is so, as it is between two changes of the panel."""

        def looked() -> object:
            with self.panel.context.lock, suppress(KeyError):  # of a card that is on its way
                return true()
            return False

        until(looked)

    def leave(self) -> None:
        """Take every view away, as when the output is cleared."""
        for gallery in self.panel.actions.galleries:
            self.say(gallery, {"view": "page", "gone": True})

    def choose(self, *models: str) -> None:
        """Choose models by their slugs, and wait for their fields."""
        self.until(lambda: self.create.model.models)
        self.create.model.chosen = [*models]
        self.until(lambda: self.create.form.models == models)

    def click(self) -> None:
        """Click Generate before it has said how many it sends."""
        self.say(self.create.button, {"send": self.create.button.ticket, "label": "Generate"})

    def generate(self, prompt: str, *models: str) -> list[Task]:
        """Fill in the form, press Generate, and wait until the tasks are over."""
        before = set(self.panel.context.uids())
        self.choose(*models)
        self.create.prompt.value = prompt
        self.click()
        self.until(lambda: set(self.panel.context.uids()) - before)
        self.until_final()
        return [task for task in self.tasks() if task.uid not in before]

    def tasks(self) -> list[Task]:
        """Return the tasks of this kernel as they are now."""
        return [self.panel.context.session.engine.get(uid) for uid in self.panel.context.uids()]

    def until_final(self) -> None:
        """Wait until every task is over."""
        self.until(lambda: all(task.is_final for task in self.tasks()))

    def open(self, tab: str) -> None:
        """Turn to a tab."""
        self.panel.tabs.selected_index = TABS.index(tab)

    def press(self, uid: str, action: str, value: object = None) -> None:
        """Press a button of a task's first picture."""
        self.say(self.gallery, {"do": action, "key": f"{uid}/0", "value": value})

    def pick(self, *uids: str) -> None:
        """Pick the first picture of each of these tasks."""
        self.gallery.picked = [f"{uid}/0" for uid in uids]

    def seen(self, gallery: Gallery | None = None) -> dict[str, dict[str, Any]]:
        """Return the cards that a page would have now, by their tasks."""
        mine = [message for f, message in self.sent if f is (gallery or self.gallery)]
        return {card["uid"]: card for message in mine for _, card in message.get("cards", ())}

    def layouts(self) -> list[dict[str, Any]]:
        """Return the lists that the page was sent, but for empty ones."""
        mine = [message.get("layout", {}) for f, message in self.sent if f is self.gallery]
        return [layout for layout in mine if layout.get("count")]

    def thumbs(self, gallery: Gallery | None = None) -> list[str]:
        """Return the keys of the pictures that were sent."""
        mine = [message for f, message in self.sent if f is (gallery or self.gallery)]
        return [key for message in mine for key, *_ in message.get("thumbs", ())]
