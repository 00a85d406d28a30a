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
from modellix_jupyter.widgets.gallery import Feed, FeedCard

if TYPE_CHECKING:
    from collections.abc import Callable

    from modellix_jupyter.values import Card, Resource, Task
    from modellix_jupyter.widgets.panel_context import Board

STARS = 5
LARGEST_LOOK = 32_000_000
"""Bytes of a picture that is sent whole to be looked at; a larger one stays on the disk."""
_SHOWN = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}


class Deck:
    """Makes cards, and hears what is done to them.

    Parameters
    ----------
    board
        See `Board`.
    use
        Loads a task's settings into the form.

    """

    def __init__(self, board: Board, use: Callable[[Task], None]) -> None:
        self._board = board
        self._use = use
        self._ratings: dict[str, int | None] = {}
        self.on_tick: list[Callable[[], None]] = []
        self.feeds: list[Feed] = []

    def feed(self, **traits: Any) -> Feed:  # noqa: ANN401 - traits of a feed
        """Return another list of cards."""
        made: list[Feed] = []
        feed = Feed(
            self.card, lambda word, uid, value: self._hear(made[0], word, uid, value), **traits
        )
        made.append(feed)
        self.feeds.append(feed)
        return feed

    def card(self, uid: str) -> FeedCard | None:
        """Return the card of a task as it is now; None where nobody knows the task any more."""
        session = self._board.session
        try:
            card = session.card(uid)
            watched = session.engine.watches(uid)
        except (KeyError, ModellixError):
            return None
        prompt = " ".join((card.task.request.prompt or "").split())[:60]
        held = "" if watched or card.task.settled or card.activity else _resting(card.task)
        return FeedCard(
            uid=uid,
            html=cards_html([_without_paths(card)], time.time()) + held,
            name=f"{card.task.request.model}: {prompt}" if prompt else card.task.request.model,
            actions=possible(card.task, watched=watched),
            ticked=uid in self._board.ticked,
            rating=self._ratings.get(uid),
        )

    def refresh(self) -> None:
        """Read the ratings, off this thread."""
        session = self._board.session

        def keep(remarks: dict[str, dict[str, Any]]) -> None:
            self._ratings = {uid: remark["rating"] for uid, remark in remarks.items()}
            self.paint(set(self._ratings))

        self._board.do(session.ledger.remarks, keep)

    def paint(self, changed: set[str]) -> None:
        """Draw the cards of these tasks wherever they are in sight."""
        for feed in self.feeds:
            feed.paint(changed)

    def _hear(self, feed: Feed, word: str, uid: str, value: Any) -> None:  # noqa: ANN401 - whatever a browser sends
        with self._board.lock:
            if word == "tick":
                self._tick(uid, on=value is True)
            elif word == "rate" and type(value) is int and 1 <= value <= STARS:
                self._rate(uid, None if self._ratings.get(uid) == value else value)
            elif word == "look":
                self._look(feed, uid, value if type(value) is int else 0)
            elif word == "act":
                self._act(feed, uid, value)

    def _tick(self, uid: str, *, on: bool) -> None:
        self._board.ticked.pop(uid, None)
        if on:
            self._board.ticked[uid] = None
        self.paint({uid})
        for tell in self.on_tick:
            tell()

    def _rate(self, uid: str, rating: int | None) -> None:
        session = self._board.session

        def keep(_: None) -> None:
            self._ratings[uid] = rating
            self.paint({uid})

        self._board.do(lambda: session.ledger.rate(uid, rating), keep)

    def _act(self, feed: Feed, uid: str, word: str) -> None:
        session = self._board.session
        task = session.engine.get(uid)
        if word == "use":
            self._use(task)
        elif word == "look":
            self._look(feed, uid, 0)
        else:
            self._board.do(lambda: perform(session, word, task), lambda _: self._board.touch(uid))

    def _look(self, feed: Feed, uid: str, place: int) -> None:
        task = self._board.session.engine.get(uid)
        if not 0 <= place < len(task.pictures):
            return
        alt = " ".join((task.request.prompt or task.request.model).split())[:200]

        def show(read: tuple[bytes, str]) -> None:
            feed.show_file(read[0], alt, read[1])

        self._board.do(lambda: _read(task.pictures[place]), show)


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
