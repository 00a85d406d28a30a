"""When to ask about a task again: numbers in, a delay out, so that it can be simulated.

There is no push, so the time between "done" and "seen" is lost to the user, and every question
costs a request. What is known of a model narrows it. The rule, of which the rest is arithmetic:

    Ask at the moment at which a question costs least for each chance to find the task done.

The cost of a question is its price, which is a number of seconds of lag that it must save, and the
lag that has run up, by expectation, in the tasks that it would find done. After each "not yet" the
chances are those of a task that has lasted so long. Where tasks end at a rate h a second, this
makes pauses of sqrt(2 x price / h): the optimum of Barlow, Hunter and Proschan (1963) in the form
of Keller (1974), whose lag and number of questions have a product that no schedule can go below.
That product is `Expected.least / 2`, and gives the price for a wanted lag or a wanted number.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an engine polls; a test that cannot wait makes another."""

    unseen_first_s: float = 2.0
    """When a model that was never seen is first polled, and its shortest pause after that.

    The vendor's own clients do the same: of a model of which nothing is known, no schedule with an
    earlier poll needs fewer for every duration (see `docs/performance.md`).
    """
    fraction: float = 0.05
    """The pause of a model never seen, as a part of the time taken so far, once that is more."""
    longest_s: float = 10.0
    shortest_s: float = 0.1
    lag_s: float = 0.1
    """The mean lag for which polls are worth their requests; less is not felt."""
    lag: float = 0.001
    """The same as a part of the duration, where that is more."""
    share: float = 1.15
    """How many polls to plan for at most, by the mean duration in units of two seconds.

    The plan is for a distribution that is known; 1.15 of it comes to about 0.8 of what polling
    every two seconds needs, since the polls after the last pause are never made.
    """
    fewest: float = 0.4
    """Polls beside the last that are planned for at least: so few poll near the latest end."""
    follow_s: float = 0.5
    """How often the row of a task that another kernel drives is read again."""


PACE = Pace()
SURE = 0.005
"""How much a model's durations differ for no reason that was seen, as a part of their median."""
FEW = 0.3
"""The same where only one was seen; it falls with the number of those seen."""
_CLOCK_S = 0.03
"""What a duration is not known better than: the network, and the service's own clock."""
_DAY_S = 86_400.0
_DOUBLINGS = 12
"""Spans after the longest duration seen, each twice as long as the last and half as likely."""

Span = tuple[float, float, float]
"""From, until, and the chance that a task ends between."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the next task of a model may take.

    Parameters
    ----------
    spans
        In order, with no gap between; within one, each moment is as likely as another.
    mean, longest
        Of the durations that were seen, in seconds.
    least
        Twice the least product of mean lag and number of questions, in seconds.

    """

    spans: tuple[Span, ...]
    mean: float
    longest: float
    least: float

    def price(self, in_flight: int, budget: float, pace: Pace = PACE) -> float:
        """Return how many seconds of lag a question must save to be asked."""
        share = self.mean * budget / in_flight - 1  # one request is the next submission's
        questions = max(pace.fewest, min(pace.share * self.mean / pace.unseen_first_s, share))
        lag = max(pace.lag_s, pace.lag * self.mean)
        return max(2 * lag**2 / self.least, self.least / questions**2 / 2)

    def best(self, elapsed: float, price: float) -> float | None:
        """Return when to ask of a task that has lasted so long; None if none ever did.

        `cost` is what a question at the end of the look so far costs, were it asked there, and
        `found` the chance that it finds the task done. Within a span both are known functions of
        the moment, and the least of their ratio has a closed form.
        """
        cost, found, least, when = price, 0.0, math.inf, None
        first = bisect.bisect_right(self.spans, elapsed, key=itemgetter(1))
        left = sum(span[2] for span in self.spans[first:])
        for start, end, chance in self.spans[first:]:
            if cost >= least * left:  # whatever is found from here on, it costs more
                break
            begin = max(start, elapsed)
            rate = chance / (end - start)
            here = rate * (end - begin)
            # the moment is given by the chance until then, `until`, which lies in this span
            until = math.sqrt(max(0.0, 2 * rate * cost - found**2))
            until = min(max(until, found), found + here)
            if until > 0:
                ratio = (cost - found**2 / (2 * rate)) / until + until / (2 * rate)
                if ratio < least:
                    least, when = ratio, begin + (until - found) / rate
            cost += (found + here / 2) * (end - begin)
            found += here
        return when


def quantile(ordered: Sequence[float], q: float) -> float:
    """Return the q-quantile of sorted numbers, by linear interpolation."""
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def usual(durations: Sequence[float]) -> float | None:
    """Return the median of a model's earlier durations in seconds, or None where there are none."""
    return quantile(sorted(durations), 0.5) if durations else None


@lru_cache(maxsize=256)
def expected(durations: tuple[float, ...]) -> Expected | None:
    """Return what a model's next task may take, from what its earlier ones took, in any order.

    The next of so many like it is as likely to fall between any two neighbours as before the first
    or after the last of them: so nothing is supposed of the form of the distribution, and two
    humps are two humps. What cannot be a duration is left out; None where nothing remains.
    """
    seen = sorted(d for d in durations if 0 < d < _DAY_S)
    if not seen:
        return None
    spans = tuple(_spans(seen))
    return Expected(spans, sum(seen) / len(seen), seen[-1], _least(spans))


def _spans(seen: list[float]) -> list[Span]:
    """Return the spans between neighbours, those too narrow to mean anything as one."""
    count = len(seen)
    unsure = max(_CLOCK_S, quantile(seen, 0.5) * (SURE + FEW / count))
    start = max(0.0, seen[0] - unsure)
    ends = [(end, 1 / (count + 1)) for end in seen]
    width = max(unsure, 2 * (seen[-1] - seen[0]) / count)
    for step in range(_DOUBLINGS):
        ends.append((ends[-1][0] + width * 2**step, 0.5 ** (step + 1) / (count + 1)))
    spans, chance = [], 0.0
    for end, more in ends:
        chance += more
        if end - start >= unsure:
            spans.append((start, end, chance))
            start, chance = end, 0.0
    return spans


def _least(spans: Sequence[Span]) -> float:
    """Return the square of the integral of sqrt(density x chance to last so long)."""
    total, lasting = 0.0, 1.0
    for start, end, chance in spans:
        after = max(0.0, lasting - chance)
        total += 2 / 3 * math.sqrt((end - start) / chance) * (lasting**1.5 - after**1.5)
        lasting = after
    return total**2


def next_delay(
    durations: Sequence[float],
    elapsed: float,
    in_flight: int = 1,
    budget: float = 10.0,
    pace: Pace = PACE,
) -> float:
    """Return the seconds until a task should be asked about again.

    Parameters
    ----------
    durations
        What earlier tasks of the model took, in seconds, in any order; may be empty.
    elapsed
        Seconds since this task was accepted.
    in_flight
        How many tasks share the budget, this one included.
    budget
        Requests a second, for all of them together.

    Returns
    -------
    float
        At least the shortest pause. What was never seen may happen: between two humps a task is
        asked about after half as long again, or the longest pause, and beyond the longest before
        it as one of a model never seen.

    """
    elapsed = max(0.0, elapsed)
    unseen = max(pace.unseen_first_s, min(pace.longest_s, pace.fraction * elapsed))
    model = expected(tuple(durations))
    if model is None:
        return max(pace.shortest_s, unseen, in_flight / budget)
    when = model.best(elapsed, model.price(in_flight, budget, pace))
    pause = unseen if when is None else when - elapsed
    if elapsed > model.longest:
        pause = min(pause, unseen)
    elif elapsed > model.spans[0][0]:
        pause = min(pause, max(pace.longest_s, elapsed / 2))
    return max(pace.shortest_s, pause)
