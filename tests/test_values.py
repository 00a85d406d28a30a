from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modellix_jupyter.errors import (
    ApiError,
    BadRequest,
    ModellixError,
    OutcomeUnknown,
    TaskExpired,
    TaskFailed,
)
from modellix_jupyter.values import (
    RESULT_LIFETIME_US,
    Activity,
    Request,
    Resource,
    Status,
    Task,
    Update,
    text_of,
    to_datetime,
)


def task(**facts: Any) -> Task:
    return Task(
        **{
            "uid": "u1",
            "batch": "b1",
            "origin": "https://api.modellix.ai",
            "request": Request("alibaba/qwen-image-plus", "a cat", {"seed": 7}),
            "status": Status.PENDING,
            "created_at": 1,
            **facts,
        }
    )


TRANSCRIPTS = [
    (b"hello", "hello"),
    ("\ufeffh\u00e9".encode(), "h\u00e9"),
    (b'{"text": "said", "words": []}', "said"),
    (b'{"words": []}', '{"words": []}'),
    (b"[1]", "[1]"),
    (b"\xff\xfe", "\ufffd\ufffd"),
    (b"PDF\0binary", None),
]


@pytest.mark.parametrize(("content", "text"), TRANSCRIPTS)
def test_what_a_text_file_says(tmp_path: Path, content: bytes, text: str | None) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    assert text_of(path) == text
    assert text_of(tmp_path / "none") is None


def test_the_statuses_are_those_of_the_frame() -> None:
    assert [str(s) for s in Status] == [
        *("submitting", "unknown", "rejected", "pending", "processing"),
        *("success", "failed", "expired"),
    ]


def test_what_is_open_may_still_change() -> None:
    assert {s for s in Status if not s.ended} == {
        Status.SUBMITTING,
        Status.PENDING,
        Status.PROCESSING,
    }


def test_the_body_is_the_prompt_and_the_parameters() -> None:
    request = Request("alibaba/qwen-image-plus", "a cat", {"size": "1024*1024", "n": None})
    assert request.body() == {"prompt": "a cat", "size": "1024*1024", "n": None}
    assert list(request.body()) == ["prompt", "size", "n"]
    assert request.provider == "alibaba"


def test_a_model_that_takes_no_prompt_is_sent_none() -> None:
    assert Request("a/b", None, {"image": "u"}).body() == {"image": "u"}
    assert Request("a/b", None).body() == {}
    assert Request("a/b", "").body() == {"prompt": ""}


def test_a_body_is_a_copy() -> None:
    request = Request("a/b", "x", {"seed": 1})
    request.body()["seed"] = 2
    assert request.body()["seed"] == 1


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Request("a/b", "x"), "prompt"),
        (Resource(url="u"), "path"),
        (task(), "status"),
        (Activity(what="downloading"), "until"),
        (Update(task=task()), "task"),
    ],
)
def test_what_crosses_threads_cannot_be_changed(value: Any, name: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)


@pytest.mark.parametrize(
    ("submitted", "completed", "elapsed"),
    [(None, 5, None), (5, None, None), (1_000_000, 3_500_000, 2.5), (0, 0, 0.0)],
)
def test_elapsed_is_known_when_both_ends_are(
    submitted: int | None, completed: int | None, elapsed: float | None
) -> None:
    assert task(submitted_at=submitted, completed_at=completed).elapsed_s == elapsed


def test_a_task_is_settled_when_each_file_is_here_or_given_up() -> None:
    here, lost, open_ = (
        Resource(url="a", path="/x/a.png"),
        Resource(url="b", lost=True),
        Resource(url="c", problem="the network failed"),
    )
    mixed = task(status=Status.SUCCESS, resources=(lost, open_, here, open_))
    assert mixed.missing == (1, 3)
    assert mixed.path == "/x/a.png"
    assert not mixed.is_final
    assert task(status=Status.SUCCESS, resources=(lost, here)).is_final
    assert not task(status=Status.PROCESSING, resources=(lost, here)).is_final
    assert task(status=Status.FAILED).is_final
    assert task().path is None


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (Status.FAILED, TaskFailed, "alibaba/qwen-image-plus (t-1) failed: too dark"),
        (Status.EXPIRED, TaskExpired, "expired: too dark"),
        (Status.UNKNOWN, OutcomeUnknown, "may have been accepted and charged: too dark"),
    ],
)
def test_a_bad_end_is_an_error_that_names_the_task(
    status: Status, kind: type[ModellixError], says: str
) -> None:
    error = task(status=status, task_id="t-1", error_message="too dark").error()
    assert type(error) is kind
    assert says in str(error)


def test_without_an_id_or_a_reason_the_error_still_says_which() -> None:
    error = task(status=Status.FAILED).error()
    assert error is not None
    assert error.message == "alibaba/qwen-image-plus (u1) failed: no reason given"


@pytest.mark.parametrize(
    "status", [Status.SUBMITTING, Status.PENDING, Status.PROCESSING, Status.SUCCESS]
)
def test_what_goes_well_is_no_error(status: Status) -> None:
    assert task(status=status, error_message="an old one").error() is None


def test_a_refusal_is_the_error_it_was() -> None:
    refused = task(
        status=Status.REJECTED,
        error_code=400,
        error_message="Invalid parameters: parameter 'prompt' is required",
        attempts=2,
    ).error()
    assert type(refused) is BadRequest
    assert (refused.category, refused.attempts) == ("Invalid parameters", 2)
    odd = task(status=Status.REJECTED, error_code=418, error_message="teapot").error()
    assert type(odd) is ApiError
    never = task(status=Status.REJECTED, error_message="no connection").error()
    assert type(never) is ModellixError
    assert never.hint == "Nothing was charged."


def test_times_are_utc() -> None:
    assert to_datetime(None) is None
    assert to_datetime(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert to_datetime(1_704_103_203_000_000) == datetime(2024, 1, 1, 10, 0, 3, tzinfo=UTC)
    assert timedelta(hours=24) == timedelta(microseconds=RESULT_LIFETIME_US)
