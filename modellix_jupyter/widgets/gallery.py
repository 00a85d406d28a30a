"""A list of cards of any length, of which only those in sight are ever sent to the browser."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_HERE = Path(__file__).parent
_MOST_VIEWS = 4
"""Views whose sight is remembered: a browser that was reloaded never said that its own went."""
_UNASKED = 12
"""Cards that a view is sent before it has said what it sees: it may not be heard for a while,
because a kernel that runs a cell hears nothing in most front ends."""
_MOST_IN_SIGHT = 200
"""Cards that one view may ask for at once; no screen shows more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryCard:
    """One card as the browser gets it.

    Parameters
    ----------
    uid
        Our own name of its task.
    html
        What it shows, escaped.
    name
        What a screen reader calls it.
    actions
        A word for us and a label for the user, each a button.
    ticked
        Whether it is among those to compare.
    rating
        From 1 to 5, or None.

    """

    uid: str
    html: str
    name: str
    actions: tuple[tuple[str, str], ...] = ()
    ticked: bool = False
    rating: int | None = None


class Gallery(anywidget.AnyWidget):
    """The list; by hand, because ipywidgets has none that sends only what is in sight.

    Parameters
    ----------
    make
        Makes the card of a task by our own name of it.
    hear
        Takes what the user did: a word, our own name of the task, and a value.
    label
        What a screen reader calls the list.
    empty
        What stands there while it has no card.
    card_width, card_height
        In pixels; the width is the least.
    height
        Of the whole list at most, in pixels.

    """

    _esm = _HERE / "gallery.js"
    _css = _HERE / "gallery.css"
    count = traitlets.Int(0).tag(sync=True)
    label = traitlets.Unicode("Tasks").tag(sync=True)
    empty = traitlets.Unicode("").tag(sync=True)
    card_width = traitlets.Int(235).tag(sync=True)
    card_height = traitlets.Int(400).tag(sync=True)
    height = traitlets.Int(812).tag(sync=True)

    def __init__(
        self,
        make: Callable[[str], GalleryCard | None],
        hear: Callable[[str, str, Any], None],
        **traits: Any,  # noqa: ANN401 - the traits above, by name
    ) -> None:
        self._make = make
        self._hear_user = hear
        self._guard = threading.RLock()
        self._uids: tuple[str, ...] = ()
        self._sight: dict[str, tuple[int, int]] = {}
        self._sent: dict[int, GalleryCard] = {}
        self.on_presence: Callable[[], None] = lambda: None
        super().__init__(**traits)
        self.on_msg(self.hear)

    @property
    def views(self) -> int:
        """How many views of it there are, as far as they said."""
        return len(self._sight)

    def show(self, uids: Sequence[str]) -> None:
        """Show these tasks, in this order."""
        with self._guard:
            if self._uids == tuple(uids):
                return
            self._uids = tuple(uids)
            self._sent.clear()
            self.count = len(self._uids)
            self._send_cards(self._in_sight(), whole=True)

    def paint(self, changed: Collection[str]) -> None:
        """Send the cards in sight of those tasks, as far as they look different now."""
        with self._guard:
            self._send_cards([at for at in self._in_sight() if self._uids[at] in changed])

    def uids_in_sight(self) -> list[str]:
        """Return the tasks whose cards somebody sees."""
        with self._guard:
            return [self._uids[at] for at in self._in_sight()]

    def _in_sight(self) -> list[int]:
        ranges = self._sight.values()
        places = {at for first, last in ranges for at in range(first, min(last, len(self._uids)))}
        return sorted(places)

    def _send_cards(self, places: Sequence[int], *, whole: bool = False) -> None:
        cards = []
        for at in places:
            card = self._make(self._uids[at])
            if card is not None and self._sent.get(at) != card:
                self._sent[at] = card
                cards.append([at, asdict(card)])
        if cards or whole:
            self.send({"cards": cards, "count": len(self._uids), "all": whole})

    def show_file(self, content: bytes, alt: str, kind: str) -> None:
        """Show a picture as large as the window."""
        self.send({"look": {"alt": alt, "kind": kind}}, buffers=[content])

    def hear(self, _: object, said: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        """Take what a page says; see `gallery.js`."""
        if not isinstance(said, dict):
            return
        view = str(said.get("view", ""))[:64]
        if "see" in said:
            self._look_at(view, said["see"], said.get("lack"))
        elif "here" in said:
            self._look_at(str(said["here"])[:64], [0, _UNASKED], None)
        elif "gone" in said:
            with self._guard:
                self._sight.pop(str(said["gone"])[:64], None)
            self.on_presence()
        else:
            self._pass_on(said)

    def _look_at(self, view: str, sight: object, lack: object) -> None:
        match sight:
            case [int(first), int(last)] if 0 <= first <= last:
                pass
            case _:
                return
        with self._guard:
            self._sight.pop(view, None)
            self._sight[view] = (first, min(last, first + _MOST_IN_SIGHT))
            while len(self._sight) > _MOST_VIEWS:
                self._sight.pop(next(iter(self._sight)))
            for at in lack if isinstance(lack, list) else ():
                self._sent.pop(at, None)
            self._send_cards(self._in_sight())
        self.on_presence()

    def _pass_on(self, said: dict[str, Any]) -> None:
        word = next((w for w in ("act", "tick", "rate", "look") if w in said), None)
        uid = said.get("uid") if word == "act" else said.get(word or "")
        if word is None or uid not in self._uids:
            return
        value = {"act": said.get("act"), "tick": said.get("on"), "rate": said.get("stars")}
        self._hear_user(word, uid, value.get(word, said.get("place")))
