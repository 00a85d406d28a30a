"""What can be done about a task from its card, and its doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modellix_jupyter.values import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.values import Task

LABELS = {
    "stop": "Stop waiting",
    "take_up": "Take up again",
    "send": "Send it now",
    "never": "It was never accepted",
    "again": "Run again",
    "use": "Use these settings",
    "look": "Enlarge",
}
"""The word of each action, and what its button says."""


def possible(task: Task, *, watched: bool) -> tuple[tuple[str, str], ...]:
    """Return the actions of a task, each with its label, the most urgent first.

    Parameters
    ----------
    task
        As it is now.
    watched
        Whether this kernel drives or follows it.

    """
    words = [word for word, fits in _FITS.items() if fits(task, watched)]
    return tuple((word, LABELS[word]) for word in words)


def _can_stop(task: Task, watched: bool) -> bool:  # noqa: FBT001 - a table of predicates
    return watched and not task.is_final and not task.in_flight


def _can_take_up(task: Task, watched: bool) -> bool:  # noqa: FBT001 - as above
    waits = task.status not in {Status.SUBMITTING, Status.UNKNOWN}
    return waits and not watched and not task.is_final


_FITS: dict[str, Callable[[Task, bool], bool]] = {
    "stop": _can_stop,
    "take_up": _can_take_up,
    "send": lambda task, watched: task.unsent and not watched,
    "never": lambda task, _: task.status is Status.UNKNOWN,
    "look": lambda task, _: bool(task.pictures),
    "again": lambda task, _: task.status.ended and task.status is not Status.UNKNOWN,
    "use": lambda _task, _watched: True,
}


def perform(session: Session, word: str, task: Task) -> None:
    """Do what a button of a card says; may wait for the disk.

    Raises
    ------
    ModellixError
        Why it could not be done.

    """
    engine = session.engine
    if word == "stop":
        engine.unwatch(task.uid)
    elif word == "take_up":
        engine.resume([task])
    elif word == "send":
        engine.send([task])
    elif word == "never":
        engine.resolve_unknown(task, None)
    elif word == "again":
        session.send([task.request])
