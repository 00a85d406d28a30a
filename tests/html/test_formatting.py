from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render_samples import NOW, done, task

from modellix_jupyter.html.formatting import (
    clip,
    file_size,
    fraction,
    money,
    seconds,
    span,
    total_price,
    varied,
    waiting,
)
from modellix_jupyter.values import Activity, Card, Json, Request, Status


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
