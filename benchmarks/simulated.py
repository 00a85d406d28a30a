"""Tasks on a clock of numbers: what the user waits for nothing, and what the service is asked.

The tests of the rule and the benchmark of the lag share this, so that both speak of the same thing.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modellix_jupyter.engine.polling import Pace, next_delay

if TYPE_CHECKING:
    from numpy.typing import NDArray

Draw = Callable[[random.Random, float], float]
"""A duration in seconds, from chance and from how far the run is, 0 to 1."""
Rule = Callable[[Sequence[float], float], float]
"""The pause before the next poll, from earlier durations and the time elapsed."""

_REMEMBERED = 50
"""Durations that the engine remembers of a model."""
_POINTS = 400
"""In how many points a distribution is looked at for its best schedule."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one task: how late it was seen, after how many polls, and what it took."""

    lag_s: float
    polls: int
    duration: float

    @property
    def lag(self) -> float:
        """The lag as a part of the duration."""
        return self.lag_s / self.duration


@dataclass(frozen=True, slots=True)
class Summary:
    """Of many tasks: the median lag, the mean lag, and the polls a task.

    Parameters
    ----------
    lag_s, mean_s
        Seconds.
    lag
        The median of the lag as a part of the duration.
    polls
        A task, on average.

    """

    lag_s: float
    mean_s: float
    lag: float
    polls: float


def summary(outcomes: Iterable[Outcome]) -> Summary:
    """Return what many tasks come to."""
    known = list(outcomes)
    return Summary(
        statistics.median(o.lag_s for o in known),
        statistics.fmean(o.lag_s for o in known),
        statistics.median(o.lag for o in known),
        statistics.fmean(o.polls for o in known),
    )


# -- how long tasks take


def steady(seconds: float, spread: float = 0.02) -> Draw:
    """As long each time, but for a part of it."""
    return lambda chance, _: seconds * chance.uniform(1 - spread, 1 + spread)


def lognormal(median: float, sigma: float) -> Draw:
    """As the times of real services are."""
    return lambda chance, _: median * math.exp(chance.gauss(0, sigma))


def two_humps(low: float, high: float) -> Draw:
    """Half of the tasks hit a warm model, half a cold one."""
    return lambda chance, _: chance.choice((low, high)) * chance.uniform(0.95, 1.05)


def drifting(first: float, last: float, sigma: float = 0.1) -> Draw:
    """Slower or quicker as time goes by."""
    return lambda chance, t: first * (last / first) ** t * math.exp(chance.gauss(0, sigma))


# -- who asks


def learned(history: Sequence[float], elapsed: float) -> float:
    """Ask by our rule, with a budget that does not bind."""
    return next_delay(history, elapsed)


def at_pace(pace: Pace) -> Rule:
    """Return our rule at another pace than ours."""
    return lambda history, elapsed: next_delay(history, elapsed, pace=pace)


def every(seconds: float) -> Rule:
    """Ask at a fixed pace, as other clients do."""
    return lambda _history, _elapsed: seconds


def drive(duration: float, history: Sequence[float], rule: Rule = learned) -> Outcome:
    """Follow one task to its end."""
    elapsed, polls = 0.0, 0
    while True:
        elapsed += rule(history, elapsed)
        polls += 1
        if elapsed >= duration:
            return Outcome(elapsed - duration, polls, duration)


def simulate(
    draw: Draw, *, rule: Rule = learned, tasks: int = 400, seen: int = 30, learning: bool = True
) -> list[Outcome]:
    """Drive tasks one after the other, each knowing what those before it took.

    Parameters
    ----------
    draw
        How long each takes.
    rule
        When it is asked about.
    tasks
        How many.
    seen
        How many there were before the first.
    learning
        Whether a task is known to those after it.

    """
    chance = random.Random(20240101)
    history = tuple(draw(chance, 0.0) for _ in range(seen))
    outcomes = []
    for number in range(tasks):
        outcomes.append(drive(draw(chance, number / tasks), history, rule))
        if learning:
            history = (outcomes[-1].duration, *history)[:_REMEMBERED]
    return outcomes


# -- what cannot be beaten


def best_mean_lag(draw: Draw, polls: float) -> float:
    """Return the least mean lag of any schedule with so many polls a task, in seconds.

    The schedule knows the distribution, which no client does. By dynamic programming over the
    moments of asking, with a price of a poll that is found by halving.
    """
    import numpy as np

    chance = random.Random(7)
    drawn = sorted(draw(chance, 0.5) for _ in range(_POINTS * 10))
    points = np.array(drawn).reshape(_POINTS, -1)
    moments, means = points[:, -1], points.mean(axis=1)
    low, high = 1e-6, float(moments[-1]) * 4
    lag = math.inf
    for _ in range(40):
        price = math.sqrt(low * high)
        asked, lag = _best(moments, means, price)
        low, high = (price, high) if asked > polls else (low, price)
    return lag


def _best(moments: NDArray[Any], means: NDArray[Any], price: float) -> tuple[float, float]:
    """Return polls and mean lag of the schedule that is best at a price of a poll."""
    import numpy as np

    count = len(moments)
    waits = np.concatenate(([0.0], np.cumsum(means)))
    cost, asked, lag = (np.zeros(count + 1) for _ in range(3))
    for at in range(count - 1, -1, -1):
        late = moments[at:] * np.arange(1, count - at + 1) - (waits[at + 1 :] - waits[at])
        total = late + cost[at + 1 :]
        then = int(np.argmin(total))
        cost[at] = total[then] + price * (count - at)
        asked[at] = asked[at + 1 + then] + (count - at)
        lag[at] = lag[at + 1 + then] + late[then]
    return float(asked[0] / count), float(lag[0] / count)
