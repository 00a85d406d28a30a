from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modellix_jupyter.api import parsing
from modellix_jupyter.errors import BadAnswer, ModellixError
from modellix_jupyter.values import (
    Accepted,
    Model,
    Price,
    Resource,
    Status,
    TaskAnswer,
    UploadedFile,
    to_datetime,
)

ACCEPTED = b"""
{
  "code": 0,
  "message": "success",
  "data": {
    "status": "pending",
    "task_id": "task-abc123",
    "model_id": "qwen-image-plus",
    "get_result": {
      "method": "GET",
      "url": "https://api.modellix.ai/api/v1/tasks/task-abc123"
    }
  }
}
"""
FINISHED = b"""
{
  "code": 0,
  "message": "success",
  "data": {
    "status": "success",
    "task_id": "task-abc123",
    "model_id": "qwen-image-plus",
    "duration": 3500,
    "result": {
      "resources": [
        {
          "url": "https://cdn.example.com/images/abc123.png",
          "type": "image",
          "width": 1024,
          "height": 1024,
          "format": "png",
          "role": "primary"
        }
      ],
      "metadata": {
        "image_count": 1,
        "request_id": "req-123456"
      },
      "extensions": {
        "submit_time": "2024-01-01T10:00:00Z",
        "end_time": "2024-01-01T10:00:03Z"
      }
    }
  }
}
"""
REFUSED = b"""
{
  "code": 400,
  "message": "Invalid parameters: parameter 'prompt' is required"
}
"""
END_US = int(datetime(2024, 1, 1, 10, 0, 3, tzinfo=UTC).timestamp()) * 1_000_000
MOST = 2**53

READERS: dict[str, Callable[[bytes], Any]] = {
    "json": parsing.parse_json,
    "accepted": parsing.parse_accepted,
    "task": lambda body: parsing.parse_task(body, "task-abc123"),
    "models": parsing.parse_models,
    "validity": parsing.parse_validity,
    "balance": parsing.parse_balance,
    "upload": parsing.parse_upload,
    "error": lambda body: parsing.error_message(body, 400),
}


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def ok(data: Any, **more: Any) -> bytes:
    return dump({"code": 0, "message": "success", "data": data, **more})


def answer(**data: Any) -> TaskAnswer:
    return parsing.parse_task(ok({"status": "success", "task_id": "t", **data}), "t")


# -- what is documented, to the letter


def test_the_documented_acceptance() -> None:
    assert parsing.parse_accepted(ACCEPTED) == Accepted("task-abc123", "qwen-image-plus")


def test_the_documented_result() -> None:
    assert parsing.parse_task(FINISHED, "task-abc123") == TaskAnswer(
        status=Status.SUCCESS,
        model_id="qwen-image-plus",
        duration_ms=3500,
        resources=(
            Resource(
                url="https://cdn.example.com/images/abc123.png",
                type="image",
                width=1024,
                height=1024,
                format="png",
                role="primary",
            ),
        ),
        request_id="req-123456",
        completed_at=END_US,
    )


def test_the_documented_refusal() -> None:
    said = "Invalid parameters: parameter 'prompt' is required"
    assert parsing.error_message(REFUSED, 400) == said


# -- submissions


@pytest.mark.parametrize(
    "task_id", ["t", "a" * 256, "task_1:2/3", "~!", "0b1c6f6e-9f7d-4c6a-8a3e-000000000000"]
)
def test_ids_that_can_be_used(task_id: str) -> None:
    assert parsing.usable_task_id(task_id)
    assert parsing.parse_accepted(ok({"task_id": task_id})) == Accepted(task_id, None)


@pytest.mark.parametrize("task_id", ["", "a" * 257, "a b", "a\nb", "ä", "a\0", "\x7f", "\u202e"])
def test_ids_that_cannot(task_id: str) -> None:
    assert not parsing.usable_task_id(task_id)
    with pytest.raises(BadAnswer):
        parsing.parse_accepted(ok({"task_id": task_id}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"null",
        b"[]",
        b'"task-abc123"',
        dump({"code": 0}),
        dump({"code": 0, "data": None}),
        dump({"code": 0, "data": []}),
        ok({}),
        ok({"task_id": None}),
        ok({"task_id": 7.5}),
        ok({"task_id": ".."}),
        dump({"code": 429, "message": "Too many", "data": {"task_id": "t"}}),
        dump({"code": None, "data": {"task_id": "t"}}),
        ACCEPTED[:-5],
        ACCEPTED.replace(b'"pending"', b"NaN"),
    ],
)
def test_what_is_no_acceptance_is_not_read_as_one(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        parsing.parse_accepted(body)


def test_an_acceptance_needs_only_its_id() -> None:
    assert parsing.parse_accepted(dump({"data": {"task_id": "t", "new": [1]}})) == Accepted(
        "t", None
    )


# -- tasks


@pytest.mark.parametrize(
    ("said", "status"),
    [
        *[(word, Status.PENDING) for word in ("pending", "queued", "created")],
        *[(word, Status.PROCESSING) for word in ("processing", "running", "in_progress")],
        *[(word, Status.SUCCESS) for word in ("success", "succeeded", "completed", "done")],
        *[(word, Status.FAILED) for word in ("failed", "error", "canceled", "cancelled")],
        ("SUCCESS", Status.SUCCESS),
        (" Running ", Status.PROCESSING),
        ("in-progress", Status.PROCESSING),
    ],
)
def test_each_word_for_a_status(said: str, status: Status) -> None:
    read = answer(status=said)
    assert (read.status, read.odd) == (status, None)


def test_a_canceled_task_says_so_where_it_gives_no_reason() -> None:
    assert answer(status="Cancelled").reason == "the service canceled it"
    assert answer(status="canceled", error="by its owner").reason == "by its owner"
    assert answer(status="failed").reason is None


@pytest.mark.parametrize("said", ["paused", "0", "succes", "unknown", "expired", " "])
def test_an_unknown_word_is_shown_and_asked_again(said: str) -> None:
    read = answer(status=said)
    assert (read.status, read.odd) == (Status.PROCESSING, said)
    assert not read.status.ended


@pytest.mark.parametrize("said", [None, "", 1, True, ["success"], {"is": "success"}])
def test_an_answer_with_no_status_is_none(said: Any) -> None:
    with pytest.raises(BadAnswer, match="its status"):
        answer(status=said)


def test_an_answer_about_another_task_is_refused() -> None:
    with pytest.raises(BadAnswer, match="another task"):
        parsing.parse_task(FINISHED, "task-abc124")


@pytest.mark.parametrize("named", [None, "", []])
def test_an_answer_need_not_repeat_the_id(named: Any) -> None:
    assert (
        parsing.parse_task(ok({"status": "done", "task_id": named}), "t").status is Status.SUCCESS
    )


def test_an_id_that_is_a_number_was_paid_for_all_the_same() -> None:
    assert parsing.parse_accepted(ok({"task_id": 7})).task_id == "7"
    assert parsing.parse_task(ok({"status": "done", "task_id": 7}), "7").status is Status.SUCCESS
    with pytest.raises(BadAnswer, match="another task"):
        parsing.parse_task(ok({"status": "done", "task_id": 7}), "8")


U = "https://cdn.example.com/a"


@pytest.mark.parametrize(
    ("item", "resource"),
    [
        (U, Resource(url=U)),
        ({"url": U}, Resource(url=U)),
        ({"url": U, "mime_type": "video/mp4"}, Resource(url=U, type="video", format="mp4")),
        (
            {"url": U, "type": "audio", "format": "wav", "mime_type": "image/png"},
            Resource(url=U, type="audio", format="wav"),
        ),
        ({"url": U, "mime_type": "image"}, Resource(url=U, type="image")),
        ({"url": U, "mime_type": 5, "type": ""}, Resource(url=U)),
        (
            dict.fromkeys(("type", "width", "height", "format", "role", "mime_type")) | {"url": U},
            Resource(url=U),
        ),
        (
            {"url": U, "width": "1024", "height": 768.0},
            Resource(url=U, width=1024, height=768),
        ),
        ({"url": U, "width": -1, "height": 10**400}, Resource(url=U)),
        ({"url": U, "width": True, "height": "tall", "role": ["x"]}, Resource(url=U)),
    ],
)
@pytest.mark.parametrize("place", ["result", "data"])
def test_each_form_of_a_resource(item: Any, resource: Resource, place: str) -> None:
    data = {"result": {"resources": [item]}} if place == "result" else {"resources": [item]}
    assert answer(**data).resources == (resource,)


@pytest.mark.parametrize("item", [None, "", {}, {"url": None}, {"url": ""}, {"url": 3}, [], 7])
def test_what_has_no_url_is_no_resource(item: Any) -> None:
    assert answer(result={"resources": [item, U]}).resources == (Resource(url=U),)


PNG = Resource(url=U, type="image")
# The shapes that the vendor's own clients tolerate, each as its own row.
TOLERATED: list[tuple[dict[str, Any], tuple[Resource, ...]]] = [
    ({"status": "success", "result": {"resources": [U]}}, (Resource(url=U),)),
    ({"state": "succeeded", "result": {"resources": [U]}}, (Resource(url=U),)),
    ({"status": "success", "result": {"result_resources": [U]}}, (Resource(url=U),)),
    ({"status": "success", "result_resources": [U]}, (Resource(url=U),)),
    ({"status": "success", "output": {"resources": [U]}}, (Resource(url=U),)),
    ({"status": "success", "output": {"url": U, "type": "image"}}, (PNG,)),
    ({"status": "success", "output": [U]}, (Resource(url=U),)),
    ({"status": "success", "output": U}, (Resource(url=U),)),
    ({"status": "success", "result": [{"uri": U}]}, (Resource(url=U),)),
    ({"status": "success", "result": U}, (Resource(url=U),)),
    ({"status": "success", "result": {"resources": U}}, (Resource(url=U),)),
    ({"status": "success", "resources": [{"uri": U, "type": "image"}]}, (PNG,)),
    ({"status": "success", "resources": [{"image_url": U, "type": "image"}]}, (PNG,)),
    ({"status": "success", "result": {"image_url": U, "type": "image"}}, (PNG,)),
    ({"status": "success", "result": {"images": [U, {"url": U}]}}, (PNG, PNG)),
    ({"status": "success", "images": [{"uri": U, "type": None}]}, (PNG,)),
    (
        {"status": "success", "output": {"videos": [U], "audios": [{"url": U, "format": "wav"}]}},
        (Resource(url=U, type="video"), Resource(url=U, type="audio", format="wav")),
    ),
    (
        {"status": "done", "result": {"resources": []}, "videos": [{"url": U, "type": "image"}]},
        (PNG,),
    ),
]


@pytest.mark.parametrize("enveloped", [False, True], ids=["data", "data.task"])
@pytest.mark.parametrize(("data", "resources"), TOLERATED, ids=lambda value: str(value)[:60])
def test_each_tolerated_shape_of_an_answer(
    data: dict[str, Any],
    resources: tuple[Resource, ...],
    enveloped: bool,  # noqa: FBT001 - both kinds
) -> None:
    named = {"task_id": "t", **data}
    read = parsing.parse_task(ok({"task": named} if enveloped else named), "t")
    assert (read.status, read.resources, read.lacking) == (Status.SUCCESS, resources, 0)


def test_an_acceptance_may_stand_in_an_envelope() -> None:
    for task in ({"task_id": "t", "model_id": "m"}, {"id": "t", "model_id": "m"}):
        assert parsing.parse_accepted(ok({"task": task})) == Accepted("t", "m")
    assert parsing.parse_accepted(ok({"task_id": "t", "task": {"id": 7}})) == Accepted("t", None)
    with pytest.raises(BadAnswer, match="another task"):
        parsing.parse_task(ok({"task": {"id": "another", "status": "success"}}), "t")


@pytest.mark.parametrize(
    "result", [None, [], "done", 0, {"resources": "done"}, {"resources": {"0": U}}, {"images": {}}]
)
def test_a_result_of_another_shape_has_no_resources(result: Any) -> None:
    assert answer(result=result).resources == ()


def test_empty_resources_of_the_result_give_way_to_those_of_the_task() -> None:
    assert answer(result={"resources": []}, resources=[U]).resources == (Resource(url=U),)


def test_no_more_than_a_hundred_files_are_looked_at() -> None:
    many = answer(result={"resources": [f"{U}{i}" for i in range(150)]}).resources
    assert [r.url for r in many] == [f"{U}{i}" for i in range(100)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"error": "too dark"}, "too dark"),
        ({"message": "too dark"}, "too dark"),
        ({"error_message": "too dark"}, "too dark"),
        ({"result": {"error": "too dark"}}, "too dark"),
        ({"error": {"message": "too dark", "code": "dark"}}, "too dark"),
        ({"error": {"detail": "too dark"}}, "too dark"),
        ({"error": {"reason": "too dark"}}, "too dark"),
        ({"error": {"code": "dark"}}, "dark"),
        ({"result": {"error": {"message": "too dark"}}}, "too dark"),
        ({"error": {}, "message": "too dark"}, "too dark"),
        ({"error": "", "message": None, "error_message": 5, "result": []}, None),
        ({"error": {"message": {"deep": 1}}}, None),
        ({"error": "first", "message": "second"}, "first"),
        ({}, None),
    ],
)
def test_each_place_of_a_reason(data: Any, reason: str | None) -> None:
    read = answer(status="failed", **data)
    assert (read.status, read.reason) == (Status.FAILED, reason)


@pytest.mark.parametrize(
    ("said", "us"),
    [
        ("2024-01-01T10:00:03Z", END_US),
        ("2024-01-01T10:00:03", END_US),
        ("2024-01-01 10:00:03+00:00", END_US),
        ("2024-01-01T12:00:03+02:00", END_US),
        ("2024-01-01T10:00:03.250Z", END_US + 250_000),
        ("2024-01-01T10:00:03.000001Z", END_US + 1),
        ("2024-01-01T11:00:03.123456+01:00", END_US + 123_456),
        ("1970-01-01", 0),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("yesterday", None),
        ("2024-13-01T00:00:00Z", None),
        ("", None),
        (1704103203, None),
        (None, None),
    ],
)
def test_each_form_of_a_time(said: Any, us: int | None) -> None:
    assert answer(result={"extensions": {"end_time": said}}).completed_at == us


def test_until_when_a_result_is_kept_in_each_form() -> None:
    table = {
        END_US // 1_000_000: END_US,
        END_US // 1000: END_US,
        str(END_US // 1000): END_US,
        "2024-01-01T10:00:03Z": END_US,
        "soon": None,
        0: None,
        1e300: None,
    }
    for said, us in table.items():
        assert answer(result_expires_at=said).expires_at == us
        assert answer(expires_at=said).expires_at == us


def test_files_that_an_answer_speaks_of_and_does_not_name() -> None:
    named = [{"url": "u"}, {"type": "image"}, {"url": "v"}]
    found = answer(result={"resources": named, "metadata": {"image_count": 5}})
    assert (len(found.resources), found.lacking, found.beyond) == (2, 3, 0)
    assert found.lacks_files
    many = answer(result={"resources": [{"url": str(n)} for n in range(120)]})
    assert (len(many.resources), many.lacking, many.beyond) == (100, 0, 20)
    assert not many.lacks_files
    assert answer().lacks_files
    assert not answer(status="processing").lacks_files


@settings(max_examples=50)
@given(st.datetimes(), st.timezones() | st.none())
@example(datetime.max, None)  # noqa: DTZ901 - with no zone on purpose
@example(datetime.min, None)  # noqa: DTZ901 - with no zone on purpose
def test_a_time_that_is_read_can_be_shown(moment: datetime, zone: Any) -> None:
    said = moment.replace(tzinfo=zone or UTC).isoformat()
    shown = to_datetime(answer(result={"extensions": {"end_time": said}}).completed_at)
    if 1 < moment.year < 9999:
        assert shown == datetime.fromisoformat(said)
    assert shown is None or shown == datetime.fromisoformat(said)


@pytest.mark.parametrize(
    ("said", "ms"),
    [(3500, 3500), ("3500", 3500), (0, 0), (12.9, 12), (-1, None), (True, None), ("x", None)],
)
def test_each_form_of_a_duration(said: Any, ms: int | None) -> None:
    assert answer(duration=said).duration_ms == ms


def test_parts_of_the_wrong_type_count_as_missing() -> None:
    read = answer(model_id=5, duration=[], result={"metadata": 7, "extensions": "x"})
    assert read == TaskAnswer(status=Status.SUCCESS)


def test_text_that_utf_8_and_sqlite_cannot_hold_is_mended() -> None:
    read = answer(status="failed", error="a\ud800b\0c")
    assert read.reason == "a?b�c"


# -- the catalog

ENTRY = {
    "slug": "google/nano-banana-2",
    "type": "text-to-image",
    "docs_url": "https://docs.modellix.ai/x",
    "description": "Draws.",
}
MODEL = Model(
    slug="google/nano-banana-2",
    type="text-to-image",
    description="Draws.",
)


@pytest.mark.parametrize(
    ("body", "total"),
    [
        ({"models": [ENTRY]}, None),
        ({"code": 0, "message": "success", "data": {"models": [ENTRY]}}, None),
        ({"data": {"models": [ENTRY], "total": 41, "page": 1, "page_size": 1}}, 41),
        ({"models": [ENTRY], "total": "41"}, 41),
        ({"models": [ENTRY], "total": -1}, None),
        ({"models": [ENTRY], "data": None}, None),
        ({"items": [ENTRY], "total_count": 41}, 41),
        ({"data": {"list": [ENTRY]}}, None),
        ({"data": [ENTRY]}, None),
        ([ENTRY], None),
    ],
)
def test_each_envelope_of_the_catalog(body: Any, total: int | None) -> None:
    assert parsing.parse_models(dump(body)) == ([MODEL], total, 1, False)


@pytest.mark.parametrize(
    ("said", "more"), [(True, True), (False, False), (None, False), (1, False)]
)
def test_a_page_says_whether_there_are_more(said: Any, more: bool) -> None:  # noqa: FBT001 - see above
    assert parsing.parse_models(dump({"items": [ENTRY], "has_more": said})).has_more is more


@pytest.mark.parametrize(
    ("entry", "slug"),
    [
        ({"provider": "google", "model_id": "veo-3"}, "google/veo-3"),
        ({"provider": "google", "model_id": "google/veo-3"}, "google/veo-3"),
        ({"slug": "a/b", "provider": "google", "model_id": "veo-3"}, "a/b"),
    ],
)
def test_a_model_may_be_named_in_two_parts(entry: Any, slug: str) -> None:
    assert parsing.parse_models(dump({"models": [entry]})).models == [Model(slug=slug)]


@pytest.mark.parametrize("body", [{}, {"models": None}, {"models": {}}, None, 3, "x", {"data": {}}])
def test_what_is_no_catalog(body: Any) -> None:
    with pytest.raises(BadAnswer, match="no list of models"):
        parsing.parse_models(dump(body))


def test_odd_entries_are_left_out_and_odd_fields_empty() -> None:
    entries = [None, "x", {}, {"slug": 4}, {"slug": ""}, {"slug": "a/b", "type": 1, "docs_url": []}]
    assert parsing.parse_models(dump({"models": entries})) == (
        *([Model(slug="a/b")], None, 6),
        False,
    )


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"price": 0.04}, Price(low=0.04, high=0.04)),
        ({"price": "0.04"}, Price(low=0.04, high=0.04)),
        ({"price": 0}, Price(low=0, high=0)),
        ({"display_price": {"amount": 4, "unit": "image"}}, Price(low=4, high=4, unit="image")),
        ({"pricing": {"min": 0.1, "max": 0.5, "unit": "s"}}, Price(low=0.1, high=0.5, unit="s")),
        ({"price": {"min": 0.1}}, Price(low=0.1, high=math.inf)),
        ({"min_price": 0.1}, Price(low=0.1, high=math.inf)),
        ({"price": {"value": 2}}, Price(low=2, high=2)),
        ({"price": {"fixed": 2}}, Price(low=2, high=2)),
        ({"price": {"price": 2}}, Price(low=2, high=2)),
        ({"price": "$0.01"}, Price(low=0.01, high=0.01)),
        ({"price": "0.01 USD"}, Price(low=0.01, high=0.01)),
        ({"price": 0.1, "unit": "second"}, Price(low=0.1, high=0.1, unit="second")),
        ({"price_usd": "0.1"}, Price(low=0.1, high=0.1)),
        ({"pricing": {"usd": 0.1}}, Price(low=0.1, high=0.1)),
        ({"min_price": 0.1, "max_price": "0.2"}, Price(low=0.1, high=0.2)),
        ({"price": {"fixed": 2, "currency": "usd"}}, Price(low=2, high=2)),
        ({"price": {"fixed": 2, "currency": "EUR"}}, None),
        ({"price": {"max": 2}}, Price(low=0, high=2)),
        ({"price": {"min": 3, "max": 2}}, None),
        ({"price": -1}, None),
        ({"price": True}, None),
        ({"price": "free"}, None),
        ({"price": "Infinity"}, None),
        ({"price": 10**400}, None),
        ({"price": []}, None),
        ({"price": None, "pricing": 3}, Price(low=3, high=3)),
        ({}, None),
    ],
)
def test_each_form_of_a_price(fields: Any, price: Price | None) -> None:
    [model] = parsing.parse_models(dump({"models": [{"slug": "a/b", **fields}]})).models
    assert model.price == price


# -- bills


@pytest.mark.parametrize(
    ("billing", "charged"),
    [
        ({"status": "succeeded", "amount": "0.2400"}, 0.24),
        ({"amount": 0}, 0.0),
        ({"status": "pending", "amount": "0.24"}, None),
        ({"status": "succeeded", "amount": -1}, None),
        ({"status": "succeeded"}, None),
        ("0.24", None),
    ],
)
def test_what_was_charged_is_what_the_bill_says(billing: Any, charged: float | None) -> None:
    answer = ok({"status": "success", "task_id": "t", "billing": billing})
    assert parsing.parse_task(answer, "t").charged == charged


# -- the small answers


@pytest.mark.parametrize("valid", [True, False])
def test_validity(valid: bool) -> None:  # noqa: FBT001 - the answer is a boolean
    assert parsing.parse_validity(ok({"is_valid": valid})) is valid


@pytest.mark.parametrize("said", [None, 1, "true", []])
def test_validity_is_not_guessed(said: Any) -> None:
    with pytest.raises(BadAnswer):
        parsing.parse_validity(ok({"is_valid": said}))


@pytest.mark.parametrize(("said", "usd"), [(12.5, 12.5), (0, 0.0), ("3.20", 3.2), (-1.5, -1.5)])
def test_balance(said: Any, usd: float) -> None:
    assert parsing.parse_balance(ok({"balance": said})) == usd


@pytest.mark.parametrize("said", [None, True, "much", "NaN", 10**400, {}])
def test_balance_is_not_guessed(said: Any) -> None:
    with pytest.raises(BadAnswer):
        parsing.parse_balance(ok({"balance": said}))


def test_an_upload_says_where_the_file_is() -> None:
    assert parsing.parse_upload(ok({"file_id": "f", "url": U, "size": 3})) == UploadedFile(
        file_id="f", url=U, size=3
    )
    with pytest.raises(BadAnswer):
        parsing.parse_upload(ok({"file_id": "f"}))


@pytest.mark.parametrize("said", ["2026-11-25T10:00:00Z", 1_795_600_800, 1_795_600_800_000])
def test_a_moment_is_read_in_each_of_its_forms(said: Any) -> None:
    file = parsing.parse_upload(ok({"url": U, "expires_at": said}))
    assert file.expires_at == 1_795_600_800_000_000


@pytest.mark.parametrize("said", [None, True, -1, 1e300, "tomorrow", [], 0])
def test_a_moment_that_is_none_is_left_out(said: Any) -> None:
    assert parsing.parse_upload(ok({"url": U, "expires_at": said})).expires_at is None


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (dump({"code": 429, "message": "Slow down: x"}), 429, "Slow down: x"),
        (dump({"code": 429.0, "message": "x", "data": None}), 429, "x"),
        (dump({"code": 500, "message": "x"}), 503, None),
        (dump({"code": "500", "message": "x"}), 500, None),
        (dump({"code": 500, "message": ""}), 500, None),
        (dump({"code": 500, "message": None}), 500, None),
        (dump({"code": 500, "message": {"text": "x"}}), 500, None),
        (dump({"code": 500}), 500, None),
        (dump({"error": {"code": 500, "message": "x"}}), 500, None),
        (dump([{"code": 500, "message": "x"}]), 500, None),
        (b"<html>502</html>", 502, None),
        (b"", 500, None),
        (b"\xff\xfe", 500, None),
    ],
)
def test_what_is_a_documented_error(body: bytes, status: int, message: str | None) -> None:
    assert parsing.error_message(body, status) == message


@pytest.mark.parametrize(
    ("url", "web"),
    [
        ("https://cdn.example.com/a.png", True),
        ("http://localhost:8000/a?b#c", True),
        ("HTTPS://CDN.EXAMPLE.COM", True),
        ("https://[::1]:80/", True),
        ("ftp://a/b", False),
        ("file:///etc/passwd", False),
        ("data:image/png;base64,AA", False),
        ("javascript:alert(1)", False),
        ("//cdn.example.com/a", False),
        ("/a.png", False),
        ("https://", False),
        ("https:///a", False),
        ("https://[::1", False),
        ("https://a:99999/", False),
        ("https://a:b/", False),
        ("https://a:0/", False),
        ("", False),
    ],
)
def test_what_is_on_the_web(url: str, web: bool) -> None:  # noqa: FBT001 - the expectation
    assert parsing.is_web(url) is web


# -- no input at all raises anything else

WORDS = st.sampled_from(
    [
        *("code", "message", "data", "status", "task_id", "model_id", "duration", "result"),
        *("resources", "url", "type", "width", "height", "format", "role", "mime_type"),
        *("metadata", "request_id", "extensions", "end_time", "error", "error_message"),
        *("models", "total", "slug", "price", "pricing", "display_price", "min", "max", "unit"),
        *("amount", "is_valid", "balance", "detail", "reason"),
        *("task", "id", "state", "output", "result_resources", "uri", "image_url", "images"),
        *("videos", "audios", "items", "list", "has_more", "provider", "total_count"),
    ]
)
ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=12)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 400, 2**53, 2**63, -(2**64), 10**400, 1e308, -0.0]),
    st.integers(),
    st.floats(),
    ANY_TEXT,
    st.sampled_from(
        ["success", "task-abc123", "failed", "1e999", "nan", "-5", "2024-01-01", "9999-12-31T23:59"]
    ),
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | ANY_TEXT, inner, max_size=6)
    ),
    max_leaves=25,
)
DATA = st.dictionaries(WORDS, ANY_JSON, max_size=8)
NEAR = st.fixed_dictionaries(
    {"code": st.sampled_from([0, 0.0, False, 400])}, optional={"data": DATA, "message": ANY_JSON}
)
DEEP = 100_000


def check_text(value: object, *, empty: bool = False) -> None:
    assert value is None or type(value) is str
    if isinstance(value, str):
        assert value or empty
        value.encode()
        assert "\0" not in value


def check_count(value: object) -> None:
    assert value is None or (type(value) is int and 0 <= value < MOST)


def check_task(read: TaskAnswer) -> None:
    assert type(read.status) is Status
    assert read.status in {Status.PENDING, Status.PROCESSING, Status.SUCCESS, Status.FAILED}
    for text in (read.odd, read.model_id, read.request_id, read.reason):
        check_text(text)
    check_count(read.duration_ms)
    assert read.completed_at is None or type(read.completed_at) is int
    assert (to_datetime(read.completed_at) is None) is (read.completed_at is None)
    assert type(read.resources) is tuple
    assert len(read.resources) <= 100
    for resource in read.resources:
        assert resource.url
        for text in (resource.url, resource.type, resource.format, resource.role):
            check_text(text)
        check_count(resource.width)
        check_count(resource.height)
        assert (resource.path, resource.size, resource.problem, resource.lost) == (
            *(None, None, None),
            False,
        )


def check_models(read: parsing.CatalogPage) -> None:
    check_count(read.total)
    check_count(read.size)
    for model in read.models:
        assert model.slug
        for text in (model.slug, model.type, model.description):
            check_text(text, empty=True)
        if model.price is not None:
            assert 0 <= model.price.low <= model.price.high < float("inf")
            check_text(model.price.unit)


def read_all(body: bytes) -> None:
    """Give a body to every reader: a value of the promised type, or an error of ours."""
    for name, reader in READERS.items():
        try:
            read = reader(body)
        except ModellixError:
            assert name != "error"
            continue
        if isinstance(read, TaskAnswer):
            check_task(read)
        elif isinstance(read, Accepted):
            assert parsing.usable_task_id(read.task_id)
            check_text(read.model_id)
        elif name == "models":
            check_models(read)
        elif name == "validity":
            assert type(read) is bool
        elif name == "balance":
            assert type(read) is float
            assert abs(read) < float("inf")
        elif name in {"upload", "error"}:
            check_text(read)
            assert read is not None or name == "error"


@settings(max_examples=100)
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf{}")
@example(b"\xff\xfe\x00")
@example('{"code": 0}'.encode("utf-16"))
@example(b'{"code": 0, "data": {"status": "\xff"}}')
def test_any_bytes(body: bytes) -> None:
    read_all(body)


@settings(max_examples=60)
@given(st.one_of(NEAR, ANY_JSON))
def test_any_json(value: Any) -> None:
    read_all(dump(value))


@given(DATA, st.data())
def test_an_answer_cut_short_or_with_a_byte_changed(value: Any, data: st.DataObject) -> None:
    body = bytearray(dump({"code": 0, "data": value}))
    place = data.draw(st.integers(0, len(body) - 1))
    read_all(bytes(body[:place]))
    body[place] = data.draw(st.integers(0, 255))
    read_all(bytes(body))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"data":' * DEEP + b"1" + b"}" * DEEP,
        b'{"code":0,"data":{"status":"x","result":' + b"[" * DEEP + b"]" * DEEP + b"}}",
        b'{"code":0,"data":{"status":"x","error":' + b'{"message":' * 500 + b"1" + b"}" * 502,
        b'{"code":400,"message":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"code":' + b"9" * 5000 + b"}",
        b'{"code":0,"data":{"status":"x","duration":' + b"9" * 4000 + b'},"models":[]}',
        b'{"code":0,"data":{"balance":' + b"9" * 4000 + b"}}",
        b'{"code":0,"data":{"balance":"' + b"9" * 9000 + b'"}}',
        b'{"code":0,"data":{"balance":NaN}}',
        b'{"code":0,"data":{"balance":-Infinity}}',
        b'{"code":0,"data":{"balance":1e999}}',
        b'{"code":NaN,"data":{"task_id":"t"}}',
        b'{"code":0,"data":{"status":"\\ud800","task_id":"\\udfff"}}',
        b'{"code":400,"message":"\\ud800"}',
        b'{"models":' + b"[" + b"{}," * 100_000 + b"{}]}",
    ],
    ids=lambda body: body[:32].decode() + "...",
)
def test_bodies_made_to_break_a_parser(body: bytes) -> None:
    read_all(body)


def test_the_last_of_a_key_given_twice_counts() -> None:
    twice = b'{"code":400,"code":0,"data":{"task_id":"a"},"data":{"task_id":"b"}}'
    assert parsing.parse_accepted(twice) == Accepted("b", None)
    read_all(twice)


@pytest.mark.parametrize("body", [b"NaN", b"Infinity", b"[-Infinity]", b'{"a": NaN}'])
def test_what_only_python_calls_json_is_none(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        parsing.parse_json(body)


def test_json_itself_comes_through_as_it_is() -> None:
    value = {"a": [1, 2.5, True, None, "ü"]}
    assert parsing.parse_json(json.dumps(value)) == value
    assert parsing.parse_json(dump(value)) == value
