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
# Views whose sight is remembered: a browser that was reloaded never said that its own went.
_MAX_VIEWS = 4
# Cards that one view may ask for at once; no screen shows more.
_MAX_IN_SIGHT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryCard:
    """One card as the browser gets it; `html` is escaped, each action is a name and a label."""

    uid: str
    html: str
    name: str
    actions: tuple[tuple[str, str], ...] = ()
    ticked: bool = False
    rating: int | None = None


class Gallery(anywidget.AnyWidget):
    """The list; `on_action` gets the gallery, an action, a uid, and a value from the browser."""

    _esm = _HERE / "gallery.js"
    _css = _HERE / "gallery.css"
    count = traitlets.Int(0).tag(sync=True)
    label = traitlets.Unicode("Tasks").tag(sync=True)
    empty = traitlets.Unicode("").tag(sync=True)
    max_height = traitlets.Int(812).tag(sync=True)

    def __init__(
        self,
        make: Callable[[str], GalleryCard | None],
        on_action: Callable[[Gallery, str, str, Any], None],
        **traits: Any,  # noqa: ANN401 - the traits above, by name
    ) -> None:
        self._make = make
        self._on_action = on_action
        self._lock = threading.RLock()
        self._uids: tuple[str, ...] = ()
        self._ranges: dict[str, tuple[int, int]] = {}
        self._sent: dict[int, GalleryCard] = {}
        self.on_presence: Callable[[], None] = lambda: None
        super().__init__(**traits)
        self.on_msg(self.on_message)

    @property
    def views(self) -> int:
        """How many pages show it, as far as they said."""
        return len(self._ranges)

    def show(self, uids: Sequence[str]) -> None:
        """Show these tasks, in this order."""
        with self._lock:
            if self._uids == tuple(uids):
                return
            self._uids = tuple(uids)
            self._sent.clear()
            self.count = len(self._uids)
            self._send_cards(self._in_sight(), replace_all=True)

    def paint(self, changed: Collection[str]) -> None:
        """Send the cards in sight of those tasks, as far as they look different now."""
        with self._lock:
            self._send_cards([i for i in self._in_sight() if self._uids[i] in changed])

    def _in_sight(self) -> list[int]:
        count = len(self._uids)
        return sorted({i for a, z in self._ranges.values() for i in range(a, min(z, count))})

    def _send_cards(self, indexes: Sequence[int], *, replace_all: bool = False) -> None:
        cards = []
        for index in indexes:
            card = self._make(self._uids[index])
            if card is not None and self._sent.get(index) != card:
                self._sent[index] = card
                cards.append([index, asdict(card)])
        if cards or replace_all:
            self.send({"cards": cards, "count": len(self._uids), "all": replace_all})

    def show_picture(self, content: bytes, alt: str, kind: str) -> None:
        """Show a picture as large as the window."""
        self.send({"picture": {"alt": alt, "kind": kind}}, buffers=[content])

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        """Take what a page says; see `gallery.js`."""
        match message:
            case {"view": str(view), "gone": True}:
                with self._lock:
                    self._ranges.pop(view, None)
                self.on_presence()
            case {"view": str(view), "see": [int(first), int(last)], **rest} if first >= 0:
                self._see(view[:64], first, last, rest.get("lack"))
                self.on_presence()
            case {"do": str(action), "uid": str(uid), **rest} if uid in self._uids:
                self._on_action(self, action, uid, rest.get("value"))

    def _see(self, view: str, first: int, last: int, lack: object) -> None:
        with self._lock:
            self._ranges.pop(view, None)
            self._ranges[view] = (first, min(last, first + _MAX_IN_SIGHT))
            while len(self._ranges) > _MAX_VIEWS:
                self._ranges.pop(next(iter(self._ranges)))
            for index in lack if isinstance(lack, list) else ():
                if isinstance(index, int):
                    self._sent.pop(index, None)
            self._send_cards(self._in_sight())
