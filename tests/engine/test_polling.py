"""When a task is polled: simulated with many durations, and with nothing but the pure function."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.engine.polling import PACE, Pace, expected, next_delay, usual

PLENTY = 10.0


def polled(duration: float, durations: Sequence[float] = (), **limits: float) -> tuple[float, int]:
    """Return how late the end of a task is seen, in seconds, and after how many polls."""
    elapsed, polls = 0.0, 0
    while elapsed < duration:
        in_flight = int(limits.get("in_flight", 1))
        per_second = limits.get("polls_per_second", PLENTY)
        elapsed += next_delay(durations, elapsed, in_flight=in_flight, polls_per_second=per_second)
        polls += 1
    return elapsed - duration, polls


def spread(median: float, part: float) -> list[float]:
    chance = random.Random(7)  # noqa: S311 - for repeating itself
    return [median * chance.uniform(1 - part, 1 + part) for _ in range(300)]


def lags(durations: Sequence[float], seen: Sequence[float] = (), **limits: float) -> list[float]:
    return [polled(each, seen, **limits)[0] for each in durations]


def test_a_model_never_seen_is_polled_every_three_quarters_of_a_second_at_first() -> None:
    elapsed = 0.0
    while elapsed < 15:
        pause = next_delay((), elapsed)
        assert pause == PACE.unseen_first_s
        elapsed += pause
    assert next_delay((), 60.0) == 3.0
    assert next_delay((), 3600.0) == PACE.longest_s


@pytest.mark.parametrize(
    ("median", "part", "at_most_s"),
    [(1.0, 0.02, 0.15), (3.5, 0.02, 0.15), (3.5, 0.4, 0.25), (20.0, 0.4, 0.25), (120.0, 0.4, 1.0)],
)
def test_a_model_that_was_seen_is_seen_soon(median: float, part: float, at_most_s: float) -> None:
    durations = spread(median, part)
    assert statistics.median(lags(durations[30:], durations[:30])) <= at_most_s


def test_a_model_never_seen_of_three_seconds_is_seen_within_half_a_second() -> None:
    assert statistics.median(lags(spread(3.5, 0.4))) <= 0.42


def test_ten_at_once_are_seen_in_half_the_time_of_polling_every_two_seconds() -> None:
    durations = spread(3.5, 0.4)
    every_two = [-duration % 2.0 for duration in durations]
    ours = lags(durations[30:], durations[:30], in_flight=10, polls_per_second=100)
    assert statistics.mean(ours) <= statistics.mean(every_two) / 2


def test_a_model_that_was_seen_is_not_polled_before_it_can_be_done() -> None:
    seen = [8.0, 9.0, 10.0, 8.5]
    assert next_delay(seen, 0.0) > 7
    assert next_delay(seen, 5.0) == pytest.approx(next_delay(seen, 0.0) - 5)


def test_where_polls_are_scarce_each_task_is_polled_once_when_it_is_done() -> None:
    found = [polled(3.0, [3.0] * 20, in_flight=10, polls_per_second=0.8) for _ in range(5)]
    assert all(polls == 1 and lag < 0.2 for lag, polls in found)


def test_many_never_seen_share_the_polls_there_are() -> None:
    assert next_delay((), 1.0, in_flight=30, polls_per_second=10) == 3.0


def test_a_task_that_outlasts_all_before_it_is_polled_as_one_never_seen() -> None:
    assert next_delay([2.0, 2.1], 30.0) == pytest.approx(1.5)


def test_a_single_duration_is_not_waited_for_blindly() -> None:
    late, polls = polled(3.5, [7200.0])
    assert late <= 15
    late, polls = polled(600.0, [610.0])
    assert late <= 15
    assert polls <= 40


def test_one_early_task_says_less_than_twenty() -> None:
    one, twenty = expected([10.0]), expected([10.0] * 20)
    assert one is not None
    assert twenty is not None
    assert one[1] - one[0] > 5 * (twenty[1] - twenty[0])


def test_durations_that_cannot_be_are_left_out() -> None:
    assert expected([0.0, -1.0, 1e9]) is None
    assert next_delay([0.0, -1.0, 1e9], 1.0) == PACE.unseen_first_s


def test_what_is_usual_is_the_median() -> None:
    assert usual([]) is None
    assert usual([9.0, 1.0, 2.0]) == 2.0


def test_another_pace_is_kept_to() -> None:
    assert next_delay((), 0.0, pace=Pace(unseen_first_s=0.01, shortest_s=0.005)) == 0.1


positive = st.floats(0.01, 80_000)


@given(
    st.lists(positive, max_size=50),
    st.floats(-10, 90_000),
    st.integers(1, 5_000),
    st.floats(0.02, 1_000),
)
def test_every_pause_is_bounded(
    durations: list[float], elapsed: float, in_flight: int, per_second: float
) -> None:
    pause = next_delay(durations, elapsed, in_flight=in_flight, polls_per_second=per_second)
    latest = max(durations, default=0.0) * 1.4 + 1
    assert PACE.shortest_s <= pause <= max(PACE.longest_s, in_flight / per_second, latest)


@given(st.lists(st.floats(0.01, 300), min_size=1, max_size=50), st.floats(0.01, 300))
def test_every_task_is_seen_after_a_bounded_number_of_polls(
    durations: list[float], duration: float
) -> None:
    lag, polls = polled(duration, durations)
    assert lag <= max(PACE.longest_s, max(durations) * 1.4)
    assert polls <= duration / PACE.shortest_s + 2
