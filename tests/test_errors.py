from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter import errors
from modellix_jupyter.api.responses import Undocumented
from modellix_jupyter.errors import (
    API_ERRORS,
    ApiError,
    BadRequest,
    DownloadError,
    MissingExtra,
    MissingKey,
    ModellixError,
    NotFound,
    PaymentRequired,
    RateLimited,
    ServerError,
    TaskFailed,
    Unauthorized,
    Unavailable,
    WaitInterrupted,
    WaitTimeout,
)

HOSTILE = "red \x1b[31m text\x07, \u202egnp.exe\u202c, a\rb\nc\u2028d, \x9b2J, \ud800"


def drawn() -> Iterator[tuple[str, str]]:
    """Read the tree of the docstring as pairs of a class and its parent."""
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r" {4}((?:│ {3}| {4})*)(├── |└── )?([A-Z]\w+)(?: {2,}.*)?", line)
        if match is None:
            continue
        indent, branch, name = match.groups()
        depth = len(indent) // 4 + (1 if branch else 0)
        above[depth:] = [name]
        if depth:
            yield name, above[depth - 1]


def below(kind: type[ModellixError]) -> Iterator[type[ModellixError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from below(child)


def example(kind: type[ModellixError], message: str = "Category: it broke") -> ModellixError:
    """Make one of any class, whatever it is made from."""
    if issubclass(kind, ApiError):
        return kind(message, code=kind.status or 418, call="POST /api/v1/a/b", attempts=3)
    if issubclass(kind, MissingExtra):
        return kind(message, "pandas", "frames")
    return kind(message)


KINDS: list[type[ModellixError]] = [ModellixError, *below(ModellixError)]
EXAMPLES: list[Any] = [
    *(example(kind) for kind in KINDS),
    WaitInterrupted("Stopped.", "The tasks go on."),
    Undocumented("HTTP 429", code=429),
]


def test_the_tree_that_is_drawn_is_the_tree_there_is() -> None:
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in below(ModellixError)}
    assert dict(drawn()) == real
    assert len(real) > 20


def test_the_table_is_that_of_the_service() -> None:
    expected: dict[int, type[ApiError]] = {
        400: BadRequest,
        401: Unauthorized,
        402: PaymentRequired,
        404: NotFound,
        429: RateLimited,
        500: ServerError,
        503: Unavailable,
    }
    assert expected == API_ERRORS
    assert all(kind.status == status for status, kind in API_ERRORS.items())


def test_every_error_of_the_api_says_its_status_in_the_drawing() -> None:
    rows = dict(re.findall(r"── (\w+) +(\d{3}) ", errors.__doc__ or ""))
    assert {int(code): name for name, code in rows.items()} == {
        status: kind.__name__ for status, kind in API_ERRORS.items()
    }


@pytest.mark.parametrize("kind", list(API_ERRORS.values()))
def test_an_error_of_the_api_says_what_to_do(kind: type[ApiError]) -> None:
    error = kind("Invalid parameters: parameter 'prompt' is required", code=kind.status)
    assert error.message == f"{kind.status}: Invalid parameters: parameter 'prompt' is required"
    assert error.category == "Invalid parameters"
    assert error.detail == "parameter 'prompt' is required"
    assert error.hint == kind.default_hint != ""


@pytest.mark.parametrize(
    ("answer", "category", "detail"),
    [
        ("Busy: wait: a while", "Busy", "wait: a while"),
        ("no colon ", "", "no colon"),
        (":only", "", "only"),
        ("", "", ""),
    ],
)
def test_the_halves_of_an_answer(answer: str, category: str, detail: str) -> None:
    error = BadRequest(answer, code=400)
    assert (error.category, error.detail) == (category, detail)


def test_attempts_are_told_where_there_were_several() -> None:
    assert "after 4 attempts" in str(ServerError("x", code=500, attempts=4))
    assert "attempt" not in ServerError("x", code=500).message
    assert ServerError("", code=500).message == "500: ServerError"


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_a_notebook_is_shown_the_message_and_the_hint(error: Any) -> None:
    lines = error._render_traceback_()
    assert error.message in lines[0]
    assert lines[1:] == ([error.hint] if error.hint else [])


@pytest.mark.parametrize("kind", [k for k in KINDS if k.__subclasses__() == []])
def test_every_error_that_is_raised_has_a_hint_or_is_told_one(kind: type[ModellixError]) -> None:
    asks = {errors.InvalidRequest}  # what to mend is in its message
    assert kind in asks or example(kind).hint


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_drives_a_terminal_is_shown(kind: type[ModellixError]) -> None:
    error = example(kind, HOSTILE)
    error.hint = HOSTILE
    lines = error._render_traceback_()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert "red �[31m text�, �gnp.exe�, a b c d, �2J, �" in lines[0]


@given(st.text(), st.text(min_size=1))
def test_whatever_the_service_says_two_printable_lines_are_shown(message: str, hint: str) -> None:
    lines = TaskFailed(message, hint)._render_traceback_()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_a_message_in_any_language_is_shown_as_it_is() -> None:
    assert TaskFailed("提示词 не принят — 🐱", "")._render_traceback_() == [
        "TaskFailed: 提示词 не принят — 🐱"
    ]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("way", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])  # noqa: S301 - our own bytes
def test_an_error_survives_a_trip_to_another_process(error: Any, way: Any) -> None:
    again = way(error)
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def test_what_was_added_to_an_error_survives_too() -> None:
    limited = RateLimited("Slow down: please", code=429, call="GET /x", attempts=2)
    limited.hint_s = 7.5
    limited.add_note("seen at noon")
    again = pickle.loads(pickle.dumps(limited))  # noqa: S301 - our own bytes
    assert (again.hint_s, again.call, again.attempts, again.code) == (7.5, "GET /x", 2, 429)
    assert again.__notes__ == ["seen at noon"]
    lost = pickle.loads(pickle.dumps(DownloadError("gone", "", final=False)))  # noqa: S301 - our own bytes
    assert (lost.final, lost.hint) == (False, "")


def test_an_empty_hint_is_not_the_default_one() -> None:
    assert MissingKey("none", "").hint == ""
    assert MissingKey("none").hint == MissingKey.default_hint
    assert str(MissingKey("none", "")) == "none"
    assert str(MissingKey("none", "do this")) == "none\ndo this"


def test_what_python_already_has_a_name_for_is_caught_by_it() -> None:
    assert issubclass(WaitTimeout, TimeoutError)
    assert issubclass(WaitInterrupted, KeyboardInterrupt)
    assert not issubclass(WaitInterrupted, Exception)
    assert "pip install 'modellix-jupyter[xlsx]'" in MissingExtra("A sheet", "x", "xlsx").hint
