"""The cards of a panel, in whichever list they stand, and what a click on one does."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.cards import cards_html
from modellix_jupyter.html.markup import html
from modellix_jupyter.widgets.actions import perform, possible
from modellix_jupyter.widgets.gallery import Gallery, GalleryCard

if TYPE_CHECKING:
    from collections.abc import Callable

    from modellix_jupyter.values import Card, Resource, Task
    from modellix_jupyter.widgets.panel_context import PanelContext

STARS = 5
LARGEST_LOOK = 32_000_000
"""Bytes of a picture that is sent whole to be looked at; a larger one stays on the disk."""
_SHOWN = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}


class CardController:
    """Makes cards, and hears what is done to them.

    Parameters
    ----------
    context
        See `PanelContext`.
    use
        Loads a task's settings into the form.

    """

    def __init__(self, context: PanelContext, use: Callable[[Task], None]) -> None:
        self._context = context
        self._use = use
        self._ratings: dict[str, int | None] = {}
        self.on_tick: list[Callable[[], None]] = []
        self.galleries: list[Gallery] = []

    def gallery(self, **traits: Any) -> Gallery:  # noqa: ANN401 - traits of a gallery
        """Return another list of cards."""
        made: list[Gallery] = []
        gallery = Gallery(
            self.card, lambda word, uid, value: self._hear(made[0], word, uid, value), **traits
        )
        made.append(gallery)
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
        prompt = " ".join((card.task.request.prompt or "").split())[:60]
        held = "" if watched or card.task.is_final or card.activity else _resting(card.task)
        return GalleryCard(
            uid=uid,
            html=cards_html([_without_paths(card)], time.time()) + held,
            name=f"{card.task.request.model}: {prompt}" if prompt else card.task.request.model,
            actions=possible(card.task, watched=watched),
            ticked=uid in self._context.ticked,
            rating=self._ratings.get(uid),
        )

    def refresh(self) -> None:
        """Read the ratings, off this thread."""
        session = self._context.session

        def keep(remarks: dict[str, dict[str, Any]]) -> None:
            self._ratings = {uid: remark["rating"] for uid, remark in remarks.items()}
            self.paint(set(self._ratings))

        self._context.do(session.ledger.remarks, keep)

    def paint(self, changed: set[str]) -> None:
        """Draw the cards of these tasks wherever they are in sight."""
        for gallery in self.galleries:
            gallery.paint(changed)

    def _hear(self, gallery: Gallery, word: str, uid: str, value: Any) -> None:  # noqa: ANN401 - whatever a browser sends
        with self._context.lock:
            if word == "tick":
                self._tick(uid, on=value is True)
            elif word == "rate" and type(value) is int and 1 <= value <= STARS:
                self._rate(uid, None if self._ratings.get(uid) == value else value)
            elif word == "look":
                self._look(gallery, uid, value if type(value) is int else 0)
            elif word == "act":
                self._act(gallery, uid, value)

    def _tick(self, uid: str, *, on: bool) -> None:
        self._context.ticked.pop(uid, None)
        if on:
            self._context.ticked[uid] = None
        self.paint({uid})
        for tell in self.on_tick:
            tell()

    def _rate(self, uid: str, rating: int | None) -> None:
        session = self._context.session

        def keep(_: None) -> None:
            self._ratings[uid] = rating
            self.paint({uid})

        self._context.do(lambda: session.ledger.rate(uid, rating), keep)

    def _act(self, gallery: Gallery, uid: str, word: str) -> None:
        session = self._context.session
        task = session.engine.get(uid)
        if word == "use":
            self._use(task)
        elif word == "look":
            self._look(gallery, uid, 0)
        else:
            self._context.do(
                lambda: perform(session, word, task), lambda _: self._context.touch(uid)
            )

    def _look(self, gallery: Gallery, uid: str, place: int) -> None:
        task = self._context.session.engine.get(uid)
        if not 0 <= place < len(task.pictures):
            return
        alt = " ".join((task.request.prompt or task.request.model).split())[:200]

        def show(read: tuple[bytes, str]) -> None:
            gallery.show_file(read[0], alt, read[1])

        self._context.do(lambda: _read(task.pictures[place]), show)


def _without_paths(card: Card) -> Card:
    """Leave out where a file lies that is seen anyway: a card is small."""
    return replace(card, media=tuple(replace(m, path=None) if m.src else m for m in card.media))


def _resting(task: Task) -> str:
    where = "It goes on at the service" if task.task_id else "It was not sent"
    return f'<div style="opacity:0.8">{html(where)}; nobody waits for it here.</div>'


def _read(resource: Resource) -> tuple[bytes, str]:
    """Return a picture's bytes and mime type.

    Raises
    ------
    ModellixError
        It is gone, or nothing that a browser shows.

    """
    path, kind = Path(resource.path or ""), _SHOWN.get((resource.format or "").lower())
    try:
        if kind is None or path.stat().st_size > LARGEST_LOOK:
            raise ModellixError("This picture cannot be shown here.", f"It is in {path}.")
        return path.read_bytes(), kind
    except OSError as error:
        raise ModellixError(f"{path} cannot be read: {error.strerror}.") from error
