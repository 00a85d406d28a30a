from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import simulated
from benchmarks.simulated import (
    Draw,
    drifting,
    drive,
    every,
    lognormal,
    simulate,
    steady,
    summary,
    two_humps,
)
from modellix_jupyter.engine.polling import (
    PACE,
    Pace,
    expected,
    next_delay,
    quantile,
    usual,
)

SECONDS = st.floats(0, 7200)
HISTORIES = st.lists(SECONDS, max_size=30)
SEEN = st.lists(st.floats(0.01, 86_399), min_size=1, max_size=50)
NONSENSE = [0.0, -5.0, -math.inf, math.inf, math.nan, 1e12, 86_400.0]
TWO_SECONDS = every(2.0)


# -- the pure facts


@pytest.mark.parametrize(
    ("q", "value"), [(0.0, 1.0), (0.5, 3.0), (1.0, 9.0), (0.25, 2.0), (0.625, 4.5)]
)
def test_quantiles_lie_between_the_numbers(q: float, value: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 6.0, 9.0], q) == pytest.approx(value)


@given(st.lists(SECONDS, min_size=1, max_size=20).map(sorted), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_are_monotone_and_inside(ordered: list[float], a: float, b: float) -> None:
    low, high = (quantile(ordered, q) for q in sorted((a, b)))
    assert ordered[0] - 1e-9 <= low <= high + 1e-9
    assert high <= ordered[-1] + 1e-9


def test_the_usual_duration_is_the_median_of_any_order() -> None:
    assert usual([]) is None
    assert usual([7.0]) == 7.0
    assert usual([9.0, 1.0, 2.0]) == 2.0
    assert usual([4.0, 1.0]) == 2.5


# -- what is expected of the next task


@given(SEEN)
def test_the_spans_follow_each_other_and_are_nearly_all_chance(history: list[float]) -> None:
    model = expected(tuple(history))
    assert model is not None
    for (_, end, _), (start, _, _) in zip(model.spans, model.spans[1:], strict=False):
        assert end == start
    assert all(start < end and chance > 0 for start, end, chance in model.spans)
    assert 0.999 < sum(chance for _, _, chance in model.spans) < 1
    assert 0 <= model.spans[0][0] < min(history)
    assert model.spans[-1][1] > max(history)


@given(SEEN, st.floats(0, 1))
def test_the_next_is_as_likely_between_any_two_neighbours(history: list[float], q: float) -> None:
    """What falls below any moment is what the places of the earlier ones say, give or take one."""
    model = expected(tuple(history))
    assert model is not None
    moment = quantile(sorted(history), q)
    below = sum(
        chance * min(1.0, max(0.0, (moment - start) / (end - start)))
        for start, end, chance in model.spans
    )
    places = len(history) + 1
    # a span may be of several that were too near to each other
    near = max(chance for _, _, chance in model.spans)
    assert sum(d <= moment for d in history) / places <= below + near + 1e-9
    assert sum(d < moment for d in history) / places >= below - near - 1e-9


@pytest.mark.parametrize("known", [[], [20.0, 22.0, 25.0]])
def test_what_cannot_be_a_duration_is_left_out(known: list[float]) -> None:
    assert expected((*NONSENSE, *known)) == expected(tuple(known))
    assert next_delay([*NONSENSE, *known], 3.0) == next_delay(known, 3.0)


def test_the_price_of_a_question_rises_with_those_who_share_the_budget() -> None:
    model = expected((20.0, 22.0, 25.0, 30.0))
    assert model is not None
    prices = [model.price(count, 10.0) for count in (1, 10, 30, 100, 1000)]
    assert prices == sorted(prices)
    assert prices[0] < prices[2] < prices[3]


def test_a_question_is_asked_where_it_costs_least_a_chance() -> None:
    """Against every moment in a fine row of them: none is better than the one in closed form."""
    model = expected((5.0, 5.2, 5.3, 9.0, 12.0, 40.0, 41.0, 44.0))
    assert model is not None

    def cost(moment: float, elapsed: float, price: float) -> float:
        found = late = 0.0
        for start, end, chance in model.spans:
            begin, until = max(start, elapsed), min(end, moment)
            if until > begin:
                part = chance * (until - begin) / (end - start)
                found += part
                late += part * (moment - (begin + until) / 2)
        return (price + late) / found if found else math.inf

    for elapsed in (0.0, 5.1, 8.0, 20.0, 40.5, 50.0):
        for price in (0.01, 0.3, 2.0, 30.0):
            when = model.best(elapsed, price)
            assert when is not None
            best = min(cost(elapsed + step * 0.02, elapsed, price) for step in range(1, 4000))
            assert cost(when, elapsed, price) <= best * (1 + 1e-9)


# -- the delay


@given(HISTORIES, st.floats(-3600, 90_000), st.integers(1, 500), st.floats(0.1, 100))
def test_a_delay_is_bounded(
    history: list[float], elapsed: float, in_flight: int, budget: float
) -> None:
    delay = next_delay(history, elapsed, in_flight, budget)
    assert math.isfinite(delay)
    assert delay >= PACE.shortest_s
    model = expected(tuple(history))
    if model is None:
        assert delay <= max(PACE.longest_s, in_flight / budget)
    elif elapsed > model.spans[0][0]:
        assert delay <= max(PACE.longest_s, elapsed / 2)
    else:
        assert delay <= model.spans[-1][1]


@given(SEEN, st.randoms(use_true_random=False), SECONDS)
def test_the_order_of_the_history_does_not_matter(
    history: list[float], order: random.Random, elapsed: float
) -> None:
    mixed = list(history)
    order.shuffle(mixed)
    assert next_delay(mixed, elapsed) == pytest.approx(next_delay(history, elapsed))


def test_a_model_never_seen_is_asked_at_the_pace_of_others_and_then_more_rarely() -> None:
    assert next_delay([], 0.0) == PACE.unseen_first_s == 2.0
    assert next_delay([], 12.0) == PACE.unseen_first_s
    assert next_delay([], 50.0) == pytest.approx(50 * PACE.fraction)
    assert next_delay([], 1000.0) == PACE.longest_s
    assert next_delay([], 0.0, in_flight=64, budget=10.0) == pytest.approx(6.4)


def test_another_pace_may_be_given() -> None:
    pace = Pace(unseen_first_s=0.02, shortest_s=0.01, longest_s=1.0)
    assert next_delay([], 0.0, budget=100.0, pace=pace) == 0.02
    assert next_delay([], 3600.0, pace=pace) == 1.0
    assert next_delay([5.0], 5.0, pace=pace) >= 0.01


def test_a_clock_that_goes_back_asks_as_at_the_start() -> None:
    assert next_delay([], -3600.0) == next_delay([], 0.0)
    assert next_delay([60.0], -3600.0) == next_delay([60.0], 0.0)


# -- many tasks, simulated: what the user feels and what the service is asked

SPREADS = {
    "1 s": lognormal(1.0, 0.25),
    "3.5 s": lognormal(3.5, 0.25),
    "20 s": lognormal(20.0, 0.25),
    "120 s": lognormal(120.0, 0.25),
    "wide": lognormal(60.0, 0.5),
    "wild": lognormal(30.0, 1.0),
    "warm or cold": two_humps(5.0, 40.0),
    "warm or cold video": two_humps(60.0, 600.0),
    "slower and slower": drifting(10.0, 40.0),
    "quicker and quicker": drifting(120.0, 20.0),
}


@pytest.mark.parametrize("duration", [1.0, 3.5, 20.0, 120.0, 600.0])
def test_a_model_that_takes_as_long_each_time_is_seen_at_once(duration: float) -> None:
    found = summary(simulate(steady(duration, 0.005)))
    assert found.lag_s <= max(0.3, 0.002 * duration)
    assert found.lag <= 0.1
    assert found.questions <= 2.5


@pytest.mark.parametrize("duration", [1.0, 3.5, 20.0, 120.0])
def test_an_even_model_is_seen_within_what_is_felt(duration: float) -> None:
    found = summary(simulate(steady(duration, 0.02)))
    assert found.lag_s <= 0.3
    assert found.questions <= max(1.1, 0.25 * duration / 2)


@pytest.mark.parametrize("name", SPREADS)
def test_a_known_model_is_asked_less_than_every_two_seconds_and_seen_sooner(name: str) -> None:
    ours = summary(simulate(SPREADS[name]))
    theirs = summary(simulate(SPREADS[name], rule=TWO_SECONDS))
    # of a task of a second the least is the one question that they ask too
    assert ours.questions < max(theirs.questions, 1.25)
    # the mean of a wide distribution is that of its long end, where a tenth is no longer seconds
    assert ours.mean_s < theirs.mean_s if name not in {"wide", "wild"} else ours.lag <= 0.1


@pytest.mark.parametrize("name", sorted(set(SPREADS) - {"1 s", "3.5 s"}))
def test_the_lag_is_at_most_a_tenth_of_the_work(name: str) -> None:
    assert summary(simulate(SPREADS[name])).lag <= 0.1


@pytest.mark.parametrize("name", ["1 s", "3.5 s", "20 s", "120 s", "wide"])
def test_the_rule_is_near_what_no_schedule_can_beat(name: str) -> None:
    """That one knows the distribution, and ours thirty to fifty durations of it."""
    ours = summary(simulate(SPREADS[name]))
    assert ours.mean_s <= 2.0 * simulated.best_mean_lag(SPREADS[name], ours.questions)


@pytest.mark.parametrize("earlier", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["20 s", "120 s"])
def test_one_earlier_duration_is_enough_to_do_better(earlier: int, name: str) -> None:
    outcomes = [
        outcome
        for number in range(60)
        for outcome in simulate(shifted(SPREADS[name], number), seen=earlier, tasks=1)
    ]
    ours = summary(outcomes)
    assert ours.lag <= 0.1
    assert ours.questions < sum(math.ceil(o.duration / 2) for o in outcomes) / len(outcomes)


def shifted(draw: Draw, number: int) -> Draw:
    """Return the same distribution with other chances."""
    chance = random.Random(number)  # noqa: S311 - a simulation must repeat itself
    return lambda _, t: draw(chance, t)


@pytest.mark.parametrize(("before", "after"), [(300.0, 30.0), (30.0, 300.0)])
def test_a_model_that_changed_is_learned_anew_within_a_few_tasks(
    before: float, after: float
) -> None:
    history: Sequence[float] = [before * (1 + number / 500) for number in range(30)]
    lags = []
    for number in range(12):
        outcome = drive(after * (1 + number / 500), history)
        history = [outcome.duration, *history]
        lags.append(outcome.lag)
    assert max(lags[6:]) <= 0.15


@pytest.mark.parametrize("duration", [0.3, 1.0, 1.9, 3.5, 9.7, 20.0, 33.0, 120.0, 600.0, 3600.0])
def test_a_model_never_seen_is_never_asked_more_than_every_two_seconds(duration: float) -> None:
    ours, theirs = drive(duration, []), drive(duration, [], TWO_SECONDS)
    assert ours.questions <= theirs.questions
    assert ours.lag_s <= max(theirs.lag_s, PACE.fraction * duration, PACE.unseen_first_s)
    if duration > 50:
        assert ours.questions < theirs.questions


@settings(deadline=None)
@given(st.floats(0.01, 86_400), st.lists(st.floats(-1e6, 1e9), max_size=50))
def test_the_questions_of_one_task_are_bounded(duration: float, history: list[float]) -> None:
    # those of the plan, and one in ten seconds where the task outlasts what was ever seen
    outcome = drive(duration, history)
    assert outcome.questions <= 300 + duration / 5


# -- many at once


def test_tasks_that_fill_the_budget_are_asked_about_once_each() -> None:
    """No question is left for trying: each waits until nearly all such tasks would be done."""
    history = [3.5 * (1 + number / 100) for number in range(-20, 21)]
    assert next_delay(history, 0.0, in_flight=1) < 3.5
    assert next_delay(history, 0.0, in_flight=64) > 3.8


def test_tasks_that_leave_room_in_the_budget_are_asked_about_as_if_alone() -> None:
    history = [120.0 * (1 + number / 100) for number in range(-20, 21)]
    assert next_delay(history, 0.0, in_flight=12) == next_delay(history, 0.0, in_flight=1)


@pytest.mark.parametrize("in_flight", [16, 64, 256])
@pytest.mark.parametrize("duration", [3.5, 20.0, 120.0])
def test_the_plan_of_many_tasks_keeps_to_the_budget(in_flight: int, duration: float) -> None:
    """A steady stream of tasks: their requests a second, the submissions included."""
    chance = random.Random(3)  # noqa: S311 - a simulation must repeat itself
    draw = lognormal(duration, 0.25)
    history = [draw(chance, 0.0) for _ in range(50)]
    crowd = lambda earlier, elapsed: next_delay(earlier, elapsed, in_flight, 10.0)  # noqa: E731
    outcomes = [drive(draw(chance, 0.0), history, crowd) for _ in range(200)]
    requests = sum(o.questions + 1 for o in outcomes)
    seconds = sum(o.duration + o.lag_s for o in outcomes) / in_flight
    least = 2.3 * len(outcomes) / seconds  # one to submit, and hardly more than one to see
    assert requests / seconds <= max(10.0, least)
