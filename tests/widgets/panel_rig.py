"""A panel on a real sandbox, with no browser: what a page would say is said by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from modellix_jupyter.values import Task
from modellix_jupyter.widgets.gallery import Feed
from modellix_jupyter.widgets.panel import TABS, Panel

HANG_S = 30.0
"""After that long a test has hung; none waits anywhere near it."""


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
        Whose feeds get a view each.

    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.sent: list[tuple[Feed, dict[str, Any]]] = []
        for feed in panel.deck.feeds:
            self._listen(feed)
            self.say(feed, {"here": "page"})

    def _listen(self, feed: Feed) -> None:
        def send(content: dict[str, Any], buffers: object = None) -> None:
            del buffers
            self.sent.append((feed, content))

        object.__setattr__(feed, "send", send)

    def say(self, feed: Feed, message: object) -> None:
        """Say to Python what a browser would."""
        feed.hear(feed, message, [])

    def until(self, true: Callable[[], object]) -> None:
        """Wait until something is so, as it is between two changes of the panel."""

        def looked() -> object:
            with self.panel.board.lock:
                return true()

        until(looked)

    def leave(self) -> None:
        """Take every view away, as when the output is cleared."""
        for feed in self.panel.deck.feeds:
            self.say(feed, {"gone": "page"})

    def choose(self, *models: str) -> None:
        """Choose models by their slugs, and wait for their fields."""
        compose = self.panel.compose
        self.until(lambda: compose.model.options)
        for model in models:
            compose.model.value = model
        self.until(lambda: set(models) <= set(compose.form._more))

    def generate(self, prompt: str, *models: str) -> list[Task]:
        """Fill in the form, press Generate, and wait until the tasks are over."""
        before = set(self.panel.watch.uids())
        self.choose(*models)
        self.panel.compose.prompt.value = prompt
        self.panel.compose.button.click()
        self.until(lambda: set(self.panel.watch.uids()) - before)
        self.until(lambda: all(task.settled for task in self.panel.watch.tasks()))
        return [task for task in self.panel.watch.tasks() if task.uid not in before]

    def open(self, tab: str) -> None:
        """Turn to a tab."""
        self.panel.tabs.selected_index = TABS.index(tab)

    def press(self, uid: str, word: str, feed: Feed | None = None) -> None:
        """Press a button of a card."""
        self.say(feed or self.panel.watch.feed, {"act": word, "uid": uid})

    def tick(self, *uids: str) -> None:
        """Tick Compare on cards."""
        for uid in uids:
            self.say(self.panel.watch.feed, {"tick": uid, "on": True})

    def seen(self, feed: Feed) -> dict[str, dict[str, Any]]:
        """Return the cards that a page would have now, by their tasks."""
        cards = [card for f, said in self.sent if f is feed for _, card in said.get("cards", ())]
        return {card["uid"]: card for card in cards}
