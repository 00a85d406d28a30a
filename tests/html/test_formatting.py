from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render_samples import NOW, done, task

from modellix_jupyter.html.formatting import (
    clip,
    cost,
    counts,
    file_size,
    fraction,
    left,
    money,
    price,
    price_range,
    seconds,
    span,
    total_price,
    varied,
    waiting,
)
from modellix_jupyter.values import Activity, Card, Json, Price, Request, Status


@pytest.mark.parametrize(
    ("value", "shown", "live"),
    [
        (None, "", ""),
        (float("nan"), "", ""),
        (-1.0, "0.0 s", "0 s"),
        (7.44, "7.4 s", "7 s"),
        (59.94, "59.9 s", "59 s"),
        (59.96, "1 min 00 s", "1 min 00 s"),
        (65.0, "1 min 05 s", "1 min 05 s"),
        (7385.0, "2 h 03 min", "2 h 03 min"),
    ],
)
def test_durations(value: float | None, shown: str, live: str) -> None:
    assert seconds(value) == shown
    assert seconds(value, live=True) == live


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.04, "$0.04"), (0.0035, "$0.0035"), (12, "$12.00"), (0.1, "$0.10"), (None, "")],
)
def test_money(value: float | None, shown: str) -> None:
    assert money(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (1300, "1.3 kB"),
        (18_400_000, "18.4 MB"),
        (2_500_000_000_000, "2500.0 GB"),
    ],
)
def test_file_sizes(value: int | None, shown: str) -> None:
    assert file_size(value) == shown


@given(st.lists(st.floats(0, 1e7), min_size=2).map(sorted), st.floats(0.01, 1e5, allow_nan=False))
def test_progress_grows_and_never_arrives(moments: list[float], usual: float) -> None:
    parts = [fraction(moment, usual) or 0.0 for moment in moments]
    assert parts == sorted(parts)
    assert parts[0] >= 0
    assert parts[-1] < 1


def test_a_countdown_that_is_over_goes_on_now() -> None:
    assert waiting(Activity(what="resting", until=NOW - 3), NOW) == "resting, goes on now"
    assert waiting(Activity(what="resting", until=float("inf")), NOW) == "resting"
    assert waiting(Activity(what="trying", attempt=3), NOW) == "trying, attempt 3"


def test_a_total_says_of_how_many_the_price_is_known() -> None:
    assert total_price([done(), done(price=None)]) == "$0.04 for 1 of 2"
    assert total_price([done(price=None)]) == ""
    assert total_price([Card(task=task(Status.FAILED))]) == ""


def test_a_price_of_which_only_the_lower_end_is_known_says_so() -> None:
    assert price_range(Price(low=0.1, high=math.inf, unit="per image")) == "from $0.10 / image"


def test_the_money_of_a_sandbox_is_in_no_sum_with_real_money() -> None:
    fake = Card(task=replace(done().task, origin="http://127.0.0.1:8765"))
    assert total_price([fake, fake]) == "$0.08"
    assert total_price([done(), fake, done()]) == "api.modellix.ai: $0.08; sandbox: $0.04"


def test_the_cost_is_the_charge_where_it_is_known() -> None:
    known = done().task
    assert cost(known) == "$0.04"
    assert cost(replace(known, charged=0.01)) == "$0.01"
    assert price(replace(known, charged=0.01)) == "$0.01 charged"
    assert cost(replace(known, reused_from="earlier")) == "$0.00"
    assert cost(task(Status.FAILED)) == ""


def test_the_seed_and_what_differs_tell_tasks_apart() -> None:
    params: list[dict[str, Json]] = [
        {"seed": 1, "n": 2, "size": "a"},
        {"seed": 1, "n": 3, "size": "a"},
    ]
    cards = [Card(task=task(request=Request("a/b", "p", p))) for p in params]
    assert varied(cards) == ("seed", "n")


def test_the_span_ends_with_the_last_task() -> None:
    ended = [
        done(submitted_at=0, completed_at=5_000_000),
        done(submitted_at=0, completed_at=9_000_000),
    ]
    assert span(ended, NOW) == 9
    assert span([Card(task=task(Status.PENDING))], NOW) == pytest.approx(20)


@given(st.text(), st.integers(1, 50))
def test_clipped_text_is_within_its_limit(text: str, limit: int) -> None:
    assert len(clip(text, limit)) <= limit


def _waiting(what: str, until: float | None = None) -> Card:
    unsent = task(status=Status.SUBMITTING, submitted_at=None)
    return Card(task=unsent, activity=Activity(what=what, until=until))


def test_the_queue_is_counted_by_what_it_waits_for() -> None:
    shown = counts(
        [
            done(),
            Card(task=task(status=Status.PROCESSING)),
            *[_waiting("waiting for a place (2 at once)")] * 3,
            *[_waiting("waiting for the rate limit", NOW + n) for n in range(2)],
            _waiting("submitting"),
        ]
    )
    renewed = time.strftime("%H:%M:%S", time.localtime(NOW + 1))
    assert shown == (
        "1 of 8 done, 1 running, 1 submitting, 3 waiting for a place (2 at once), "
        f"2 waiting for the rate limit until {renewed}"
    )
    assert "until" not in counts([_waiting("waiting for the rate limit", float("inf"))])


def test_what_is_left_is_said_where_it_is_known_of_all() -> None:
    running = task(status=Status.PROCESSING)
    known = [Card(task=running, left_s=seconds) for seconds in (20.0, 45.0)]
    assert left([*known, done()]) == "about 45 s left"
    assert left([*known, Card(task=running)]) == ""
    assert left([done()]) == ""
