"""Estimates how long a plan will still take, from the models' durations and the limits; pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

# About how many polls a task of a known model takes.
POLLS_A_TASK = 1.2
# The remaining time of a task that exceeds its usual duration, as a fraction of it.
OVERDUE = 0.1


def work_s(usual_s: float, elapsed_s: float) -> float:
    """Return the remaining seconds of a task whose model's usual duration is known."""
    return max(usual_s - elapsed_s, OVERDUE * usual_s)


def ends(works: Sequence[float], places: int) -> list[float]:
    """Return in how many seconds each task ends, if they get places in this order."""
    free = [0.0] * max(1, places)
    found = []
    for work in works:
        end = heapq.heappop(free) + work
        heapq.heappush(free, end)
        found.append(end)
    return found


def requests(unsent: Iterable[bool]) -> int:
    """Return how many requests tasks still need; `unsent` says of each whether it must be sent."""
    return round(sum(POLLS_A_TASK + to_send for to_send in unsent))
