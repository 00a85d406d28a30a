"""The cards of a panel, in whichever gallery they stand, and what a click on one does."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.cards import cards_html, overview
from modellix_jupyter.html.formatting import alternative
from modellix_jupyter.html.markup import el, html
from modellix_jupyter.storage.files import local_copy
from modellix_jupyter.values import Status
from modellix_jupyter.widgets.controls import column, title
from modellix_jupyter.widgets.gallery import Gallery, GalleryCard

if TYPE_CHECKING:
    from collections.abc import Callable

    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.values import Card, Resource, Task
    from modellix_jupyter.widgets.panel_context import PanelContext

STARS = 5
# Of a picture that is sent whole to be enlarged; a larger one stays on the disk.
MAX_PICTURE_BYTES = 32_000_000
_MIME_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}


# What the actions do that concern more than the panel; they may wait for the disk.
PERFORM: dict[str, Callable[[Session, Task], object]] = {
    "stop": lambda session, task: session.engine.unwatch(task.uid),
    "take_up": lambda session, task: session.engine.resume([task]),
    "send": lambda session, task: session.engine.send([task]),
    "never": lambda session, task: session.engine.resolve_unknown(task, None),
    "again": lambda session, task: session.submit([task.request]),
}


def _actions_of(task: Task, *, watched: bool) -> tuple[tuple[str, str], ...]:
    """Return the name and the label of each action that a task has, the most urgent first."""
    open_, unknown = not task.is_final, task.status is Status.UNKNOWN
    accepted = not unknown and task.status is not Status.SUBMITTING
    fitting = {
        ("stop", "Stop waiting"): open_ and watched and not task.in_flight,
        ("take_up", "Take up again"): open_ and not watched and accepted,
        ("send", "Send it now"): task.unsent and not watched,
        ("never", "It was never accepted"): unknown,
        ("enlarge", "Enlarge"): bool(task.pictures),
        ("again", "Run again"): task.status.ended and not unknown,
        ("use", "Use these settings"): True,
    }
    return tuple(action for action, fits in fitting.items() if fits)


class CardController:
    """Makes cards, and does what is clicked; `use` loads a task's settings into the form."""

    def __init__(self, context: PanelContext, use: Callable[[Task], None]) -> None:
        self._context = context
        self._use = use
        self._ratings: dict[str, int | None] = {}
        self.on_tick: list[Callable[[], None]] = []
        self.galleries: list[Gallery] = []

    def gallery(self, **traits: Any) -> Gallery:  # noqa: ANN401 - traits of a gallery
        """Return another list of cards."""
        gallery = Gallery(self.card, self._on_action, **traits)
        self.galleries.append(gallery)
        return gallery

    def card(self, uid: str) -> GalleryCard | None:
        """Return the card of a task as it is now; None where nobody knows the task any more."""
        session = self._context.session
        try:
            card = session.card(uid)
            watched = session.engine.watches(uid)
        except (KeyError, ModellixError):
            return None
        task = card.task
        left = "" if watched or task.is_final or card.activity else _left_alone(task)
        return GalleryCard(
            uid=uid,
            html=cards_html([_without_paths(card)], time.time()) + left,
            name=title(task),
            actions=_actions_of(task, watched=watched),
            ticked=uid in self._context.ticked,
            rating=self._ratings.get(uid),
        )

    def refresh(self) -> None:
        """Read the ratings, off this thread."""

        def keep(remarks: dict[str, dict[str, Any]]) -> None:
            self._ratings = {uid: remark["rating"] for uid, remark in remarks.items()}
            self.paint(set(self._ratings))

        self._context.do(self._context.session.ledger.remarks, keep)

    def paint(self, changed: set[str]) -> None:
        """Draw the cards of these tasks wherever they are in sight."""
        for gallery in self.galleries:
            gallery.paint(changed)

    def _on_action(self, gallery: Gallery, name: str, uid: str, value: Any) -> None:  # noqa: ANN401 - whatever a browser sends
        with self._context.lock:
            if name == "tick":
                self._tick(uid, on=value is True)
            elif name == "rate" and type(value) is int and 1 <= value <= STARS:
                self._rate(uid, None if self._ratings.get(uid) == value else value)
            elif name == "enlarge":
                self._enlarge(gallery, uid, value if type(value) is int else 0)
            elif name == "use":
                self._use(self._context.session.engine.get(uid))
            elif name in PERFORM:
                self._perform(name, uid)

    def _tick(self, uid: str, *, on: bool) -> None:
        self._context.ticked.pop(uid, None)
        if on:
            self._context.ticked[uid] = None
        self.paint({uid})
        for callback in self.on_tick:
            callback()

    def _rate(self, uid: str, rating: int | None) -> None:
        session = self._context.session

        def keep(_: None) -> None:
            self._ratings[uid] = rating
            self.paint({uid})

        self._context.do(lambda: session.ledger.rate(uid, rating), keep)

    def _enlarge(self, gallery: Gallery, uid: str, index: int) -> None:
        task = self._context.session.engine.get(uid)
        if 0 <= index < len(task.pictures):
            self._context.do(
                lambda: _read(task.pictures[index]),
                lambda read: gallery.show_picture(read[0], alternative(task), read[1]),
            )

    def _perform(self, name: str, uid: str) -> None:
        session = self._context.session
        task = session.engine.get(uid)
        self._context.do(lambda: PERFORM[name](session, task), lambda _: self._context.touch(uid))


def _without_paths(card: Card) -> Card:
    """Leave out where a file lies that is seen anyway: a card is small."""
    return replace(card, media=tuple(replace(m, path=None) if m.src else m for m in card.media))


def _left_alone(task: Task) -> str:
    where = "It goes on at the service" if task.task_id else "It was not sent"
    return el("div", html(f"{where}; nobody waits for it here."), style="opacity:0.8")


def _read(picture: Resource) -> tuple[bytes, str]:
    """Return a picture's bytes and mime type, or raise why it cannot be shown."""
    path, kind = local_copy(picture.path or ""), _MIME_TYPES.get((picture.format or "").lower())
    try:
        if kind is None or path.stat().st_size > MAX_PICTURE_BYTES:
            raise ModellixError("This picture cannot be shown here.", f"It is in {path}.")
        return path.read_bytes(), kind
    except OSError as error:
        raise ModellixError(f"{path} cannot be read: {error.strerror}.") from error


class TasksView:
    """The tasks of this kernel, the newest first, and one line for all of them."""

    def __init__(self, context: PanelContext, controller: CardController) -> None:
        self._context = context
        self.line = widgets.HTML()
        self.gallery = controller.gallery(
            label="Tasks, the newest first",
            empty="Nothing yet: write a prompt, choose a model, and Generate.",
        )
        self.view = column(self.line, self.gallery)

    def refresh(self) -> None:
        """Show the tasks of the session in use."""
        self.paint(set())

    def paint(self, changed: set[str]) -> None:
        """Draw what changed."""
        session, uids = self._context.session, self._context.uids()
        self.gallery.show(uids[::-1])
        self.gallery.paint(changed)
        cards = [session.card(uid, pictures=False) for uid in uids]
        self.line.value = overview(cards, time.time()) if cards else ""
