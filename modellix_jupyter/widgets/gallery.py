"""A list of pictures of any length; only those in sight are sent to the browser."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

import traitlets

from modellix_jupyter.values import Media
from modellix_jupyter.widgets.cards import Item, Listing, item_of
from modellix_jupyter.widgets.controls import Scripted, esm
from modellix_jupyter.widgets.panel_context import PanelContext

Card = dict[str, Any]
# The most views that are remembered: a reloaded browser does not report that its view is gone.
_MAX_VIEWS = 4
# Items that one view may ask for at once; no screen shows more.
_MAX_IN_SIGHT = 240
# Thumbnails in one message: a long message delays the changes after it.
_THUMBS_AT_ONCE = 8
MAX_PICKED = 500


class Gallery(Scripted):
    """The list; `make` makes a card of an item, `on_action` gets an action, an item and a value.

    Cards and thumbnails are made and sent on a thread of the context, one at a time.
    """

    _esm = esm("common.js", "gallery.js")
    mode = traitlets.Unicode("tiles").tag(sync=True)
    label = traitlets.Unicode("Tasks").tag(sync=True)
    search_label = traitlets.Unicode("Search").tag(sync=True)
    empty = traitlets.Dict().tag(sync=True)
    size = traitlets.Int(220).tag(sync=True)
    picked = traitlets.List(traitlets.Unicode(), maxlen=MAX_PICKED).tag(sync=True)
    search = traitlets.Unicode("").tag(sync=True)
    sort = traitlets.Unicode("created").tag(sync=True)
    descending = traitlets.Bool(default_value=True).tag(sync=True)

    def __init__(
        self,
        context: PanelContext,
        make: Callable[[Item], Card | None],
        on_action: Callable[[Gallery, str, Item | None, Any], None],
        **traits: Any,  # noqa: ANN401 - the traits above, by name
    ) -> None:
        self._context = context
        self._make = make
        self._on_action = on_action
        # The worker's tasks. The lock is held only briefly: the kernel's thread waits for it, and
        # for nothing else here.
        self._lock = threading.Lock()
        self._listing = Listing()
        self._ranges: dict[str, tuple[int, int]] = {}
        self._stale: set[str] = set()
        self._lacks: list[object] = []
        self._working = False
        # What the page has; only the worker uses it.
        self._shown = Listing()
        self._sent: dict[int, Card] = {}
        self._thumbs: set[str] = set()
        self.on_presence: Callable[[], None] = lambda: None
        self.on_example: Callable[[int], None] = lambda _: None
        super().__init__(**traits)

    @property
    def views(self) -> int:
        """How many pages show it, by their messages."""
        return len(self._ranges)

    @property
    def items(self) -> tuple[Item, ...]:
        """The items, in their order."""
        return self._listing.items

    # -- what it shows

    def show(self, listing: Listing) -> None:
        """Show another list; items in sight stay in sight if the new list has them."""
        self._listing = listing
        self._work_soon()

    def paint(self, changed: Collection[str]) -> None:
        """Redraw the tasks with these uids that are in sight."""
        with self._lock:
            self._stale |= set(changed)
        self._work_soon()

    # -- on a thread of the context, one at a time

    def _work_soon(self) -> None:
        with self._lock:
            if self._working or not self._ranges:
                return
            self._working = True
        if not self._context.do(self._work):
            self._working = False

    def _work(self) -> None:
        try:
            while self._step():
                pass
        finally:
            with self._lock:
                self._working = False
                more = self._stale or self._lacks or self._listing is not self._shown
            if more:
                self._work_soon()

    def _step(self) -> bool:
        """Send a part of what the page lacks; return whether there may be more."""
        with self._lock:
            stale, self._stale = self._stale, set()
            lacks, self._lacks = self._lacks, []
            listing = self._listing
        for lack in lacks:
            self._forget(lack)
        self._send_listing(listing, anew="all" in lacks)
        return self._send_cards(stale) or self._send_thumbs()

    def _forget(self, lack: object) -> None:
        """Forget that the cards which a page lacks were sent, so that they are sent again."""
        if lack == "all":
            self._sent.clear()
            self._thumbs.clear()
        for index in lack if isinstance(lack, list) else ():
            card = self._sent.pop(index, None) if isinstance(index, int) else None
            if card:
                self._thumbs.discard(card["key"])

    def _send_listing(self, listing: Listing, *, anew: bool) -> None:
        before, self._shown = self._shown, listing
        if anew or (listing.items, listing.ratios) != (before.items, before.ratios):
            moved = [] if anew else self._moved(before)
            self._sent = {new: self._sent[old] for old, new in moved if old in self._sent}
            counted = {"count": len(listing.items), "ratios": listing.ratios}
            self.send({"layout": {**counted, "groups": listing.groups, "moved": moved}})
        elif listing.groups != before.groups:
            self.send({"groups": listing.groups})

    def _moved(self, before: Listing) -> list[tuple[int, int]]:
        """Return the old and the new index of each item in sight that is still in the list."""
        new = {item: index for index, item in enumerate(self._shown.items)}
        old = self._in_sight(len(before.items))
        return [(i, new[before.items[i]]) for i in old if before.items[i] in new]

    def _in_sight(self, count: int) -> list[int]:
        return sorted({i for a, z in self._ranges.values() for i in range(a, min(z, count))})

    def _send_cards(self, stale: Collection[str]) -> bool:
        items = self._shown.items
        sight = self._in_sight(len(items))
        # a changed card that is out of sight is sent again when it comes into sight
        for index in [i for i in self._sent if i not in set(sight) and items[i].uid in stale]:
            del self._sent[index]
        todo = [i for i in sight if i not in self._sent or items[i].uid in stale]
        made = [(i, self._make(items[i])) for i in todo]
        new = [(i, card) for i, card in made if card and self._sent.get(i) != card]
        self._sent.update((i, card or {}) for i, card in made)
        if new:
            self.send({"cards": new, "now": time.time()})
        return bool(new)

    def _send_thumbs(self) -> bool:
        cards = (self._sent.get(i) for i in self._in_sight(len(self._shown.items)))
        lacking = [c for c in cards if c and c["file"] and c["key"] not in self._thumbs]
        lacking = lacking[:_THUMBS_AT_ONCE]
        self._thumbs |= {card["key"] for card in lacking}
        if not lacking:
            return False
        session = self._context.session
        tasks = {card["uid"]: session.engine.get(card["uid"]) for card in lacking}
        session.media.begin(tasks.values())
        thumbs, buffers = [], []
        for card in lacking:
            item = item_of(card["key"])
            resources = tasks[card["uid"]].resources
            if item is not None and item.place < len(resources):
                media = session.media(resources[item.place])
                mime, content = _content(media)
                thumbs.append((card["key"], media.kind if content else "none", mime))
                buffers.append(content)
        self.send({"thumbs": thumbs}, buffers=buffers)
        return True

    # -- messages of a page

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - a browser may send anything
        """Take a message of a page; see `gallery.js`."""
        match message:
            case {"view": str(view), "gone": True}:
                self._ranges = {v: each for v, each in self._ranges.items() if v != view}
                self.on_presence()
            case {"view": str(view), "see": [int(first), int(last)], **rest} if first >= 0:
                self._see(view[:64], first, last, rest.get("lack"))
                self.on_presence()
            case {"example": int(index)}:
                self.on_example(index)
            case {"do": str(action), **rest}:
                self._on_action(self, action, item_of(rest.get("key")), rest.get("value"))

    def _see(self, view: str, first: int, last: int, lack: object) -> None:
        seen = {v: each for v, each in self._ranges.items() if v != view}
        seen[view] = (first, min(last, first + _MAX_IN_SIGHT))
        # a new dict, because the worker may be reading the old one
        self._ranges = dict(list(seen.items())[-_MAX_VIEWS:])
        with self._lock:
            self._lacks.append(lack)
        self._work_soon()


def _content(media: Media) -> tuple[str, bytes]:
    """Return the type and the bytes of an embedded file; no bytes if nothing is embedded."""
    head, _, data = (media.src or "").partition(",")
    mime = head.removeprefix("data:").partition(";")[0]
    return mime, base64.b64decode(data) if data else b""
