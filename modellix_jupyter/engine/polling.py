"""When to poll a task next: a pure function of the model's earlier durations and the limits.

The service has no push, so a task's end is seen at the next poll. Each poll is one request;
`docs/performance.md` has the curve of lag against polls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an engine polls, in seconds; tests use shorter pauses."""

    # The shortest pause for a new model, used for the first 15 s.
    unseen_first_s: float = 0.75
    # The pause for a new model, as a fraction of the elapsed time.
    fraction: float = 0.05
    longest_s: float = 10.0
    # The longest pause while a task of a known model may end at any moment.
    close_s: float = 0.35
    shortest_s: float = 0.1
    # How often the row of another kernel's task is read.
    follow_s: float = 0.5


PACE = Pace()
# `close_s` for long tasks, as a fraction of the median duration: 1.2 s for 120 s.
CLOSE_FRACTION = 0.01
# The number of polls between the earliest and the latest expected end.
POLLS_BETWEEN = 4
# The accuracy of a measured duration, limited by the network and the service's clock.
CLOCK_S = 0.03
# How far durations may lie outside the range that was seen, as a fraction of the median.
SURE = 0.005
# What is added to that after a single task; divided by the number of tasks seen.
UNSURE = 0.3
# With fewer durations than this, the first poll comes after at most this many seconds.
FEW, FEW_AT_MOST_S = 3, 15.0
_DAY_S = 86_400.0


def usual(durations: Sequence[float]) -> float | None:
    """Return the median duration of a model, in seconds, or None if none is known."""
    ordered = sorted(durations)
    return ordered[len(ordered) // 2] if ordered else None


def expected(durations: Sequence[float]) -> tuple[float, float] | None:
    """Return the range in which a task is likely to end, in seconds, by earlier durations."""
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

    A task of a new model is polled steadily, and so is one that takes longer than all before. A
    task of a known model is not polled before its earliest expected end, then often until the
    latest; if only one or two durations are known, it is also polled a few times before. If polls
    are scarce, each task is polled once, when it has probably ended.

    Parameters
    ----------
    durations
        Durations of the model's earlier tasks, in seconds.
    elapsed
        Seconds since the task was accepted.
    in_flight
        The number of tasks being polled.
    polls_per_second
        The number of polls that the limits allow, for all tasks together.
    pace
        The constants.

    """
    elapsed = max(0.0, elapsed)
    round_s = in_flight / polls_per_second  # the time in which each task can be polled once
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
