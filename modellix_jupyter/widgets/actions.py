"""The galleries and the viewer: their cards, the picked items, and the actions of a click."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from modellix_jupyter.engine.engine import Stopped
from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.elements import asset, module_js
from modellix_jupyter.html.formatting import varied
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.notebook.viewer import respond, talk_js
from modellix_jupyter.results.results import Results
from modellix_jupyter.values import Card, Task
from modellix_jupyter.widgets.cards import Item, item_of, page_card
from modellix_jupyter.widgets.controls import Scripted, esm
from modellix_jupyter.widgets.gallery import MAX_PICKED, Gallery
from modellix_jupyter.widgets.panel_context import PanelContext

# The answer to a message of a page, and its buffers, as `respond` returns them.
Answer = tuple[dict[str, Any], list[bytes]]

# Actions that concern only the engine; each may wait for the disk.
_PERFORM: dict[str, Callable[[Session, Task], object]] = {
    "take_up": lambda session, task: session.engine.resume([task]),
    "never": lambda session, task: session.engine.resolve_unknown(task, None),
}


class Viewer(Scripted):
    """The panel's viewer, with the same messages as the viewer of outputs; `answer` may wait."""

    _esm = module_js("viewer") + talk_js() + esm("panel_viewer.js")
    _css = asset("viewer.css") + esm("panel.css")

    def __init__(self, context: PanelContext, answer: Callable[[dict[str, Any]], Answer]) -> None:
        self._context = context
        self._answer = answer
        super().__init__()

    def show(self, cards: Sequence[dict[str, Any]]) -> None:
        """Open it on these cards, side by side."""
        if cards:
            self.send({"cards": cards, "key": cards[0]["key"], "compare": True})

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - a browser may send anything
        """Take a message of a page; see `viewer_talk.js`."""
        match message:
            case {"id": int(), "ask": str()}:
                self._context.do(lambda: self._say(message))

    def _say(self, message: dict[str, Any]) -> None:
        answer, buffers = self._answer(message)
        self.send({"id": message["id"], **answer}, buffers=buffers)


class Actions:
    """Makes galleries, and carries out the clicks in them and in the viewer.

    The panel sets the callbacks: `use` loads a task's settings into the form, `as_input` puts a
    picture into it, `again` sends a request again, `send` sends a task that was never sent,
    `stopped` reports a stop, and `export` and `delete` open their controls.
    """

    def __init__(self, context: PanelContext) -> None:
        self._context = context
        self._picked: tuple[str, ...] = ()
        self._names: dict[str, tuple[str, ...]] = {}
        # How often each task was run again: a click carries this number, so that it counts once.
        self._clicks: dict[str, int] = {}
        self.galleries: list[Gallery] = []
        self.viewer = Viewer(context, self._answer)
        self.on_picks: list[Callable[[], None]] = []
        self.use: Callable[[Task], None] = lambda _: None
        self.again: Callable[[Task], None] = lambda _: None
        self.send: Callable[[Task], None] = lambda _: None
        self.stopped: Callable[[Stopped], None] = lambda _: None
        self.as_input: Callable[[Task, int], None] = lambda _, __: None
        self.export: Callable[[], None] = lambda: None
        self.delete: Callable[[], None] = lambda: None

    def gallery(self, **traits: Any) -> Gallery:  # noqa: ANN401 - traits of a gallery
        """Return a new gallery."""
        gallery = Gallery(self._context, self.card, self._on_action, **traits)
        gallery.observe(lambda change: self.pick(change["new"]), "picked")
        self.galleries.append(gallery)
        return gallery

    # -- cards

    def card(self, item: Item) -> dict[str, Any] | None:
        """Return the present card of an item; None if its task is no longer known."""
        session = self._context.session
        try:
            card = session.card(item.uid, pictures=False)
            watched = session.engine.watches(item.uid)
        except (KeyError, ModellixError):
            return None
        made = page_card(
            card,
            item,
            watched=watched,
            origin=session.settings.base_url,
            names=self._names.get(card.task.batch, ()),
            now=time.time(),
        )
        rating = self._context.ratings.get(item.uid)
        return {**made, "rating": rating, "click": self._clicks.get(item.uid, 0)}

    def name_runs(self, runs: Iterable[Sequence[Task]]) -> None:
        """Remember the parameters in which the tasks of each run differ."""
        named = {run[0].batch: varied([Card(task=task) for task in run]) for run in runs}
        self._names = named

    def refresh(self) -> None:
        """Read the ratings, off this thread."""

        def keep(remarks: dict[str, dict[str, Any]]) -> None:
            self._context.ratings = {uid: remark["rating"] for uid, remark in remarks.items()}
            self.paint(set(remarks))

        self._context.do(self._context.session.ledger.remarks, keep)

    def paint(self, changed: set[str]) -> None:
        """Redraw these tasks in every gallery that has them in sight."""
        for gallery in self.galleries:
            gallery.paint(changed)

    # -- the picked items

    @property
    def picked(self) -> tuple[Item, ...]:
        """The picked items, in the order in which they were picked."""
        return tuple(item for key in self._picked if (item := item_of(key)))

    def pick(self, keys: Iterable[str]) -> None:
        """Pick these items and no others, in every gallery."""
        picked = tuple(dict.fromkeys(keys))[:MAX_PICKED]
        if picked == self._picked:
            return
        self._picked = picked
        for gallery in self.galleries:
            gallery.picked = list(picked)
        for callback in self.on_picks:
            callback()

    def results(self) -> Results:
        """Return the tasks of the picked items."""
        session = self._context.session
        uids = dict.fromkeys(item.uid for item in self.picked)
        return session.results(map(session.engine.get, uids))

    def compare(self) -> None:
        """Show the picked items side by side."""
        items = self.picked

        def cards() -> list[dict[str, Any]]:
            return [card for item in items if (card := self.card(item)) and card["file"]]

        self._context.do(cards, self.viewer.show)

    # -- messages of a page

    def _on_action(self, gallery: Gallery, action: str, item: Item | None, value: Any) -> None:  # noqa: ANN401 - a browser may send anything
        match action:
            case "compare":
                self.compare()
            case "export":
                self.export()
            case "delete":
                self.delete()
            case "pick":
                self._pick_range(gallery, value)
            case "rate" if item is not None:
                self._context.do(
                    lambda: self._answer({"ask": "rate", "key": item.key, "value": value})
                )
            case _ if item is not None:
                self._on_task(action, item, value)

    def _pick_range(self, gallery: Gallery, value: object) -> None:
        match value:
            case [int(first), int(last)] if 0 <= first <= last:
                self.pick([*self._picked, *(item.key for item in gallery.items[first:last])])

    def _on_task(self, action: str, item: Item, value: object) -> None:
        session = self._context.session
        if action == "stop":
            self._context.do(lambda: session.stop([session.engine.get(item.uid)]), self.stopped)
        elif action in _PERFORM:
            self._context.do(
                lambda: _PERFORM[action](session, session.engine.get(item.uid)),
                lambda _: self._context.touch(item.uid),
            )
        elif action in {"use", "again", "send", "input"}:
            self._context.do(
                lambda: session.engine.get(item.uid),
                lambda task: self._take(action, task, item, value),
            )

    def _take(self, action: str, task: Task, item: Item, value: object) -> None:
        if action == "use":
            self.use(task)
        elif action == "input":
            self.as_input(task, item.place)
        elif action == "send":
            self.send(task)
        elif value == self._clicks.get(item.uid, 0):
            self._clicks[item.uid] = self._clicks.get(item.uid, 0) + 1
            self.paint({item.uid})
            self.again(task)

    def _answer(self, message: dict[str, Any]) -> Answer:
        """Answer a message of the viewer; may wait for the disk."""
        session, item = self._context.session, item_of(message.get("key"))
        if item is not None and message["ask"] == "input":
            task = session.engine.get(item.uid)
            with self._context.lock:
                self.as_input(task, item.place)
            return {"done": True}, []
        answered = respond(session.ledger, message)
        if item is not None and message["ask"] == "rate" and "done" in answered[0]:
            self._context.ratings[item.uid] = message["value"]
            self.paint({item.uid})
        return answered
