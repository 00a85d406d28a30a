"""When to poll a task next: a pure function of what its model took before and of the limits.

There is no push, so between "done" and "seen" lies the pause before the next poll. A poll costs one
request; `docs/performance.md` has the curve of lag against polls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an engine polls, in seconds; a test that cannot wait makes another."""

    # The shortest pause for a model never seen: 15 s are polled at this pace.
    unseen_first_s: float = 0.75
    # The pause of a model never seen, as a part of the time taken so far.
    fraction: float = 0.05
    longest_s: float = 10.0
    # The longest pause while a task of a known model can end at any moment.
    close_s: float = 0.35
    shortest_s: float = 0.1
    # How often the row of a task that another kernel drives is read again.
    follow_s: float = 0.5


PACE = Pace()
# `close_s` for long tasks, as a part of their median duration: 1.2 s of 120 s.
CLOSE_FRACTION = 0.01
# How many polls lie between the earliest and the latest end that was seen.
POLLS_BETWEEN = 4
# No duration is known better than this: the network, and the service's own clock.
CLOCK_S = 0.03
# How much durations differ beyond what was seen, as a part of their median.
SURE = 0.005
# The same after a single task; it falls with the number of tasks seen.
UNSURE = 0.3
# So few durations may all be wrong, so that much of a pause before the first poll is believed.
FEW, FEW_AT_MOST_S = 3, 15.0
_DAY_S = 86_400.0


def usual(durations: Sequence[float]) -> float | None:
    """Return the median of a model's durations, in seconds, or None where none is known."""
    ordered = sorted(durations)
    return ordered[len(ordered) // 2] if ordered else None


def expected(durations: Sequence[float]) -> tuple[float, float] | None:
    """Return between which seconds a task is likely to end, by what earlier ones took."""
    seen = sorted(d for d in durations if 0 < d < _DAY_S)
    if not seen:
        return None
    margin = max(CLOCK_S, seen[len(seen) // 2] * (SURE + UNSURE / len(seen)))
    return max(0.0, seen[0] - margin), seen[-1] + margin


def next_delay(
    durations: Sequence[float],
    elapsed: float,
    *,
    in_flight: int = 1,
    polls_per_second: float = 10.0,
    pace: Pace = PACE,
) -> float:
    """Return the seconds until a task should be polled.

    A model never seen is polled steadily, and so is a task that outlasts all before it. A model
    that was seen is not polled before it can be done, then closely until the latest end; by one or
    two durations, it is polled now and then before. Where polls are scarce, they come late rather
    than often: one poll each, when the task is done.

    Parameters
    ----------
    durations
        What earlier tasks of the model took, in seconds.
    elapsed
        Seconds since the task was accepted.
    in_flight
        How many tasks are being polled.
    polls_per_second
        How many polls the limits allow, for all tasks together.
    pace
        The constants.

    """
    elapsed = max(0.0, elapsed)
    round_s = in_flight / polls_per_second  # a poll of each task takes as long
    steady = max(pace.unseen_first_s, min(pace.longest_s, pace.fraction * elapsed))
    likely = expected(durations)
    if likely is None or elapsed >= likely[1]:
        return max(pace.shortest_s, steady, round_s)
    earliest, latest = likely
    close = max(pace.close_s, CLOSE_FRACTION * (usual(durations) or 0.0))
    gap = max(pace.shortest_s, min(close, (latest - earliest) / POLLS_BETWEEN))
    scarce = max(0.0, round_s - gap)
    if elapsed < earliest:
        first = min(earliest + scarce, latest) - elapsed
        if len(durations) < FEW:
            first = min(first, max(FEW_AT_MOST_S, elapsed, round_s))
        return max(pace.shortest_s, first)
    return max(gap, min(round_s, latest - elapsed))
