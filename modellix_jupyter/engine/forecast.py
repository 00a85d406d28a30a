"""How long a plan will take yet, by what is known of its models and of the limits: pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

# How many polls a task takes whose model is known, about.
POLLS_A_TASK = 1.2
# How much of its usual time a task may still take that is over it.
OVERDUE = 0.1


def work_s(usual_s: float, elapsed_s: float) -> float:
    """Return how long a task takes yet, of a model whose usual time is known."""
    return max(usual_s - elapsed_s, OVERDUE * usual_s)


def ends(works: Sequence[float], places: int) -> list[float]:
    """Return in how many seconds each task ends; they take places in their order."""
    free = [0.0] * max(1, places)
    found = []
    for work in works:
        end = heapq.heappop(free) + work
        heapq.heappush(free, end)
        found.append(end)
    return found


def requests(unsent: Iterable[bool]) -> int:
    """Return how many requests tasks take yet; of each, whether it is still to be sent."""
    return round(sum(POLLS_A_TASK + to_send for to_send in unsent))
