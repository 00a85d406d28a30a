"""What is shown: a task with what is being done about it, and its media."""

from __future__ import annotations

from dataclasses import dataclass

from modellix_jupyter.core.values import Activity, Media, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One task as it is shown.

    Parameters
    ----------
    task
        The task.
    activity
        What is being done about it just now.
    usual_s
        How long this model usually takes, in seconds, or None where nobody knows yet.
    media
        What there is to show of its resources.

    """

    task: Task
    activity: Activity | None = None
    usual_s: float | None = None
    media: tuple[Media, ...] = ()


__all__ = ["Card", "Media"]
