from __future__ import annotations

import math
from copy import copy
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.api.responses import Undocumented
from modellix_jupyter.api.retry import MAX_PAUSE_S, Pause, backoff, pause, reset_hint
from modellix_jupyter.errors import (
    API_ERRORS,
    ApiError,
    BadAnswer,
    ConnectFailed,
    ModellixError,
    NoAnswer,
    RateLimited,
    ServerError,
    TaskFailed,
    TransportError,
    Unavailable,
)

NOW = 1_704_103_200.0
DAY = 86_400.0
LIMITED = RateLimited("Slow", code=429)
SERVER = ServerError("Oops", code=500)
CLOSED = Unavailable("Closed", code=503)
UNMADE = ConnectFailed("no")
SILENCE: list[ModellixError] = [NoAnswer("silence"), BadAnswer("html"), TransportError("odd")]
UNTOLD = Undocumented("HTTP 429", code=429)
REFUSALS: list[ModellixError] = [
    *(API_ERRORS[status]("No", code=status) for status in (400, 401, 402, 404)),
    *(ApiError("No", code=status) for status in (403, 409, 418, 422)),
    *(Undocumented("No", code=status) for status in (400, 401, 403, 404, 407, 413)),
]
ALL_ERRORS = [LIMITED, SERVER, CLOSED, UNMADE, UNTOLD, *SILENCE, *REFUSALS]


def ask(error: ModellixError, *, hint_s: float | None = None, **facts: Any) -> Pause | None:
    if isinstance(error, ApiError):
        error = copy(error)
        error.hint_s = hint_s
    return pause(error, **{"attempt": 1, "left_s": 600.0, "paid": True, **facts})


def test_backoff_doubles_up_to_half_a_minute() -> None:
    assert [backoff(n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert backoff(10**6) == 30


def test_jitter_adds_up_to_half() -> None:
    assert [backoff(n, jitter=1.0) for n in (1, 2, 6)] == [1.5, 3, 45]
    assert backoff(1, jitter=0.5) == 1.25


@pytest.mark.parametrize("paid", [True, False])
def test_a_refusal_is_final(paid: bool) -> None:  # noqa: FBT001 - both kinds
    assert [error for error in REFUSALS if ask(error, paid=paid)] == []


@pytest.mark.parametrize("paid", [True, False])
@pytest.mark.parametrize(("error", "reason"), [(SERVER, "server error"), (UNMADE, "no connection")])
def test_what_is_tried_three_times_more(error: ModellixError, reason: str, paid: bool) -> None:  # noqa: FBT001 - both kinds
    pauses = [ask(error, attempt=n, paid=paid, jitter=0.9) for n in (1, 2, 3, 4, 99)]
    assert pauses == [
        *(Pause(delay, reason, attempt, 4) for delay, attempt in ((1, 2), (2, 3), (4, 4))),
        *(None, None),
    ]


def test_a_reset_of_less_than_a_second_is_believed_three_times_too() -> None:
    delays = [ask(LIMITED, attempt=9, alike=n, hint_s=0.5) for n in (3, 4)]
    assert delays == [Pause(0.5, "rate limited", 10), Pause(30, "rate limited", 10)]


@pytest.mark.parametrize(
    ("hint", "attempt", "delay"),
    [
        (7.5, 1, 7.5),
        (7.5, 9, 7.5),
        (1.0, 9, 1.0),
        (299.0, 1, 299.0),
        (301.0, 1, 300.0),
        (86_400.0, 1, 300.0),
        (None, 1, 1.25),
        (None, 4, 10.0),
        (0.0, 1, 0.0),
        (0.3, 3, 0.3),
        (0.3, 4, 10.0),
        (0.0, 40, 37.5),
    ],
)
def test_a_429_waits_as_asked(hint: float | None, attempt: int, delay: float) -> None:
    got = ask(LIMITED, hint_s=hint, attempt=attempt, jitter=0.5)
    assert got == Pause(delay, "rate limited", attempt + 1)


@pytest.mark.parametrize("error", [LIMITED, CLOSED, SERVER, UNMADE, SILENCE[0]])
def test_a_pause_that_would_pass_the_deadline_is_not_begun(error: ModellixError) -> None:
    facts: dict[str, Any] = {"attempt": 3, "hint_s": 4.0, "paid": False}
    assert ask(error, left_s=4.0, **facts) is not None
    assert ask(error, left_s=3.999, **facts) is None
    assert ask(error, left_s=-1.0, **facts) is None


@pytest.mark.parametrize("error", SILENCE, ids=lambda e: type(e).__name__)
def test_silence_is_asked_again_only_where_it_costs_nothing(error: ModellixError) -> None:
    assert ask(error, paid=True) is None
    assert ask(error, paid=False, attempt=5) == Pause(16.0, "no answer", 6)


def test_the_429_of_a_proxy_is_waited_out_only_where_it_costs_nothing() -> None:
    assert ask(UNTOLD, paid=True, hint_s=3.0) is None
    assert ask(UNTOLD, paid=False, hint_s=3.0) == Pause(3.0, "rate limited", 2)


def test_an_error_of_another_kind_is_never_retried() -> None:
    assert ask(TaskFailed("it failed"), paid=False) is None


@given(
    st.sampled_from(ALL_ERRORS),
    st.integers(1, 10**6),
    st.floats(-10, 1e4),
    st.booleans(),
    st.none() | st.floats(0, DAY),
    st.floats(0, 1),
)
def test_a_pause_is_bounded(
    error: ModellixError,
    attempt: int,
    left: float,
    paid: bool,  # noqa: FBT001 - drawn by position
    hint: float | None,
    jitter: float,
) -> None:
    got = ask(error, attempt=attempt, left_s=left, paid=paid, hint_s=hint, jitter=jitter)
    if got is not None:
        assert 0 <= got.delay <= min(MAX_PAUSE_S, left)
        assert got.attempt == attempt + 1
        assert got.delay >= 1 or attempt <= 3
        assert got.of is None or got.attempt <= got.of


# -- what the headers of a 429 say


@pytest.mark.parametrize(
    ("reset", "hint"),
    [
        ("0", 0.0),
        ("2.5", 2.5),
        (" 30 ", 30.0),
        ("86400", DAY),
        (str(NOW + 12), 12.0),
        (str(int(NOW)), 0.0),
        (str(NOW + DAY), DAY),
        (str((NOW + 12) * 1000), 12.0),
        (str(int((NOW + 0.5) * 1000)), 0.5),
        # what lies
        ("-5", None),
        (str(NOW - 1), None),
        (str((NOW - 1) * 1000), None),
        (str(NOW + DAY + 1), None),
        (str((NOW + DAY + 1) * 1000), None),
        (str(NOW + 365 * DAY), None),
        (str(NOW * 1e6), None),
        ("86401", None),
        ("1e400", None),
        ("9" * 5000, None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("soon", None),
        ("2024-01-01T10:00:03Z", None),
        ("12s", None),
        ("1,2", None),
        ("", None),
        ("\ud800", None),
    ],
)
def test_each_reading_of_the_reset(reset: str, hint: float | None) -> None:
    got = reset_hint({"x-ratelimit-reset": reset}, NOW)
    assert got == (None if hint is None else pytest.approx(hint, abs=1e-3))


def at(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("after", "hint"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("86400", DAY),
        (at(90), 90.0),
        (at(0), 0.0),
        ("Mon, 01 Jan 2024 10:00:30 -0000", 30.0),
        ("-1", None),
        ("86401", None),
        ("nan", None),
        (at(-1), None),
        (at(2 * DAY), None),
        ("Mon, 01 Jan 0000 00:00:00 GMT", None),
        ("Mon, 99 Jan 2024 10:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 10:00:00 GMT", None),
        ("tomorrow", None),
        (",,,", None),
        ("", None),
    ],
)
def test_each_form_of_retry_after(after: str, hint: float | None) -> None:
    assert reset_hint({"retry-after": after}, NOW) == hint


@pytest.mark.parametrize(
    ("reset", "after", "hint"),
    [("5", "9", 9.0), ("9", "5", 9.0), ("soon", "5", 5.0), ("5", "later", 5.0), ("x", "y", None)],
)
def test_the_longer_of_both_counts(reset: str, after: str, hint: float | None) -> None:
    assert reset_hint({"x-ratelimit-reset": reset, "retry-after": after}, NOW) == hint


def test_no_headers_say_nothing() -> None:
    assert reset_hint({}, NOW) is None


@given(st.text() | st.floats().map(str) | st.integers().map(str), st.text(), st.floats(0, 1e11))
def test_no_header_breaks_the_reading(reset: str, after: str, now: float) -> None:
    for headers in ({"x-ratelimit-reset": reset, "retry-after": after}, {"retry-after": reset}):
        hint = reset_hint(headers, now)
        assert hint is None or (math.isfinite(hint) and 0 <= hint <= DAY)
