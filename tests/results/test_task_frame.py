from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import frames_samples as samples
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.ledger.history import KINDS
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.results.frame import ledger_frame, storable, task_frame
from modellix_jupyter.values import Status, to_datetime

COLUMNS = [
    "task_id",
    "status",
    "model",
    "provider",
    "model_id",
    "prompt",
    "params",
    "submitted_at",
    "completed_at",
    "elapsed_s",
    "duration_ms",
    "n_resources",
    "type",
    "width",
    "height",
    "format",
    "url",
    "expires_at",
    "path",
    "attempts",
    "price",
    "request_id",
    "error_code",
    "error_message",
    "service",
    "charged",
    "reused",
    "parents",
]

INTEGERS = {"duration_ms", "n_resources", "width", "height", "attempts", "error_code"}
TIMES = {"submitted_at", "completed_at", "expires_at"}


def dtype_of(name: str) -> str:
    if name in TIMES:
        return "datetime64[us, UTC]"
    if name in INTEGERS:
        return "Int64"
    if name == "reused":
        return "boolean"
    return "Float64" if name in {"elapsed_s", "price", "charged"} else "string"


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    made = Ledger(home / "ledger.sqlite3", home / "files")
    yield made
    made.close()


def param(*given_values: Any) -> pd.Series[Any]:
    frame = task_frame([samples.task(params={"x": v}) for v in given_values])
    return frame["param.x"]


def test_the_columns_are_the_contract_s_in_its_order() -> None:
    frame = task_frame([samples.task(params={})])
    assert list(frame.columns) == COLUMNS
    assert [*COLUMNS, "rating", "note"] == list(KINDS)


@pytest.mark.parametrize(
    "tasks",
    [[], [samples.bare()], [samples.task(params={})], [samples.task(params={}), samples.bare()]],
    ids=["empty", "all missing", "full", "both"],
)
def test_every_column_has_its_type(tasks: list[Any]) -> None:
    frame = task_frame(tasks)
    assert {n: str(frame[n].dtype).partition("[p")[0] for n in frame} == {
        name: dtype_of(name) for name in COLUMNS
    }
    assert len(frame) == len(tasks)


def test_a_full_row() -> None:
    row = task_frame([samples.task(status=Status.FAILED, error_code=500, error_message="no")])
    values = row.iloc[0].to_dict()
    assert values.pop("submitted_at") == to_datetime(samples.NOON)
    assert values.pop("completed_at") == to_datetime(samples.NOON + 12_500_000)
    assert values.pop("expires_at") == to_datetime(samples.NOON + 86_400_000_000)
    assert values == {
        "task_id": "task-u1",
        "status": "failed",
        "model": "ali/qwen",
        "provider": "ali",
        "model_id": "qwen-image-plus",
        "prompt": "a cat",
        "params": '{"seed": 7, "size": "1024*1024"}',
        "elapsed_s": 12.5,
        "duration_ms": 11_250,
        "n_resources": 1,
        "type": "image",
        "width": 1024,
        "height": 768,
        "format": "png",
        "url": "https://files.example/a.png",
        "path": "/home/me/a.png",
        "attempts": 1,
        "price": 0.03,
        "request_id": "req-1",
        "error_code": 500,
        "error_message": "no",
        "service": "api.example",
        "charged": None,
        "reused": False,
        "parents": None,
        "param.seed": 7,
        "param.size": "1024*1024",
    }


def test_what_was_charged_reused_and_taken_as_input_has_its_columns() -> None:
    known = samples.task(charged=0.25, reused_from="u0", parents="t1,t2")
    row = task_frame([known]).iloc[0]
    assert (row["charged"], bool(row["reused"]), row["parents"]) == (0.25, True, "t1,t2")


def test_what_is_not_known_is_missing() -> None:
    row = task_frame([samples.bare()]).iloc[0]
    known = {name: row[name] for name in COLUMNS if not pd.isna(row[name])}
    assert known == {
        "status": "submitting",
        "model": "ali/qwen",
        "provider": "ali",
        "params": "{}",
        "n_resources": 0,
        "attempts": 0,
        "service": "o",
        "reused": False,
    }


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_times_keep_every_microsecond(us: int) -> None:
    column = task_frame([samples.task(submitted_at=us, completed_at=None)])["submitted_at"]
    assert column.dt.tz_localize(None).to_numpy("datetime64[us]").astype("int64").tolist() == [us]


def test_a_time_outside_the_calendar_is_missing() -> None:
    frame = task_frame([samples.task(expires_at=253_402_300_800_000_000)])
    assert frame["expires_at"].isna().all()


def test_a_count_beyond_64_bits_is_missing() -> None:
    frame = task_frame([samples.task(duration_ms=2**63), samples.task(duration_ms=2**63 - 1)])
    assert frame["duration_ms"].isna().tolist() == [True, False]
    assert frame["duration_ms"][1] == 2**63 - 1


def test_params_are_json_that_is_equal_for_equal_values() -> None:
    one, two = {"b": [1, "é"], "a": {"d": None, "c": True}}, {"a": {"c": True, "d": None}}
    frame = task_frame([samples.task(params=one), samples.task(params=two | {"b": [1, "é"]})])
    assert frame["params"][0] == frame["params"][1]
    assert "é" in frame["params"][0]
    assert json.loads(frame["params"][0]) == one


@pytest.mark.parametrize(
    ("given_values", "dtype", "expected"),
    [
        ((7, None), "Int64", [7, None]),
        ((2**63 - 1, -(2**63)), "Int64", [2**63 - 1, -(2**63)]),
        ((1, 2.5), "Float64", [1.0, 2.5]),
        ((float("nan"), 1.5), "Float64", [None, 1.5]),
        ((True, None, False), "boolean", [True, None, False]),
        (("a", None, ""), "string", ["a", None, ""]),
        ((None, None), "string", [None, None]),
        ((True, 1), "string", ["true", "1"]),
        ((1.5, False), "string", ["1.5", "false"]),
        ((7, "7"), "string", ["7", '"7"']),
        ((2**63, 1), "string", [str(2**63), "1"]),
        ((2**53 + 1, 0.5), "string", [str(2**53 + 1), "0.5"]),
        (([2, 1], {"b": 1, "a": "é"}), "string", ["[2, 1]", '{"a": "é", "b": 1}']),
    ],
)
def test_a_parameter_s_column_has_the_type_of_its_values(
    given_values: tuple[Any, ...], dtype: str, expected: list[Any]
) -> None:
    column = param(*given_values)
    assert column.dtype == dtype
    gone = column.isna().tolist()
    assert [None if g else v for v, g in zip(column.tolist(), gone, strict=True)] == expected


def test_parameters_are_sorted_whatever_the_order_of_the_rows() -> None:
    rows = [samples.task(params={"z": 1}), samples.task(params={"a": 1, "m": 2})]
    for order in (rows, rows[::-1]):
        added = list(task_frame(order).columns)[len(COLUMNS) :]
        assert added == ["param.a", "param.m", "param.z"]


def test_a_parameter_named_like_a_column_does_not_replace_it() -> None:
    frame = task_frame([samples.task(params={"price": "x"})])
    assert frame["price"].tolist() == [0.03]
    assert frame["param.price"].tolist() == ["x"]


def test_the_primary_resource_stands_for_the_task() -> None:
    first = samples.picture(role=None, width=1, path="/first")
    second = samples.picture(role="primary", width=2, path=None)
    frame = task_frame([samples.task(resources=(first, second)), samples.task(resources=(first,))])
    assert frame["width"].tolist() == [2, 1]
    assert frame["path"].isna().tolist() == [True, False]
    assert frame["n_resources"].tolist() == [2, 1]


def test_by_resource_there_is_a_row_for_each_and_one_for_none() -> None:
    two = tuple(samples.picture(width=w) for w in (10, 20))
    frame = task_frame(iter([samples.task("a", resources=two), samples.bare("b")]), by="resource")
    assert list(frame.columns)[: len(COLUMNS)] == COLUMNS
    assert frame["width"].tolist()[:2] == [10, 20]
    assert frame["width"].isna().tolist() == [False, False, True]
    assert frame["n_resources"].tolist() == [2, 2, 0]
    assert frame["param.seed"].tolist()[:2] == [7, 7]


def test_another_by_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="'model'"):
        task_frame([], by="model")  # type: ignore[arg-type] # that it is wrong is the test


def test_remarks_come_last_and_only_where_a_row_has_one(ledger: Ledger) -> None:
    ledger.add([samples.task("a"), samples.task("b"), samples.task("c")], "me")
    ledger.rate("a", 4)
    ledger.note("b", "soft")
    frame = ledger_frame(ledger)
    assert list(frame.columns)[-3:] == ["param.size", "rating", "note"]
    assert frame["rating"].dtype == "Int64"
    assert frame["rating"].fillna(0).tolist() == [4, 0, 0]
    assert frame["note"].dtype == "string"
    assert frame["note"].isna().tolist() == [True, False, True]
    assert "rating" not in ledger_frame(ledger, ["c"])


def test_some_tasks_of_a_ledger_stand_in_their_order(ledger: Ledger) -> None:
    two = tuple(samples.picture(width=w) for w in (10, 20))
    ledger.add([samples.task("a", resources=two), samples.task("b"), samples.task("c")], "me")
    assert ledger_frame(ledger, ["c", "a", "nobody"])["task_id"].tolist() == ["task-c", "task-a"]
    by_resource = ledger_frame(ledger, ["b", "a"], "resource")
    assert by_resource["width"].tolist() == [1024, 10, 20]
    assert len(ledger_frame(ledger, [])) == 0
    assert len(ledger_frame(ledger, ["a", *(f"nobody {n}" for n in range(40_000))])) == 1


def test_the_view_of_the_database_is_the_same_table(place: Path | str) -> None:
    tasks = [samples.task("a"), samples.bare("b"), samples.task("c", model="x", params={})]
    with closing(Ledger(place, Path("/home/me"), user="ann")) as ledger:
        ledger.add(tasks, "me")
        ledger.rate("c", 2)
        frame = ledger_frame(ledger)
    is_shared = isinstance(place, str)
    assert [*frame.get("user", [])] == ["ann"] * 3 * is_shared
    engine = create_engine(place if isinstance(place, str) else f"sqlite:///{place}")
    with engine.connect() as connection:
        read = pd.read_sql("SELECT * FROM history", connection)
    engine.dispose()
    frame = frame.drop(columns=["param.seed", "param.size"])
    assert list(read.columns) == list(frame.columns)
    read["path"] = "/home/me/" + read["path"].str.removeprefix("/home/me/")
    for name in TIMES:
        read[name] = pd.to_datetime(read[name], format="ISO8601", utc=True).dt.as_unit("us")
    read = read.sort_values("task_id", na_position="last").reset_index(drop=True)
    frame = frame.sort_values("task_id", na_position="last").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        read.astype(frame.dtypes), frame.assign(path=read["path"].astype("string"))
    )


def test_halves_of_characters_are_made_safe() -> None:
    frame = task_frame([samples.task(prompt="a\ud800b", params={"k\udc00": ["\ud800"]})])
    assert frame["prompt"].tolist() == ["a?b"]
    assert frame["param.k?"].tolist() == ['["?"]']


@given(st.text(st.characters(codec=None)))
@example("\ud83d\ude00")
def test_storable_text_is_sound_and_sound_text_unchanged(text: str) -> None:
    safe = storable(text)
    assert safe.encode().decode() == safe
    assert not any(c in safe for c in map(chr, range(0xD800, 0xE000)))
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert safe == text


@settings(max_examples=20)
@given(st.lists(samples.tasks, max_size=5), st.sampled_from(["task", "resource"]))
def test_any_task_has_a_typed_row(tasks: list[Any], by: Any) -> None:
    frame = task_frame(tasks, by)
    assert list(frame.columns)[: len(COLUMNS)] == COLUMNS
    assert not any(frame[name].dtype == np.dtype(object) for name in frame)
    per_task = [max(len(t.resources), 1) if by == "resource" else 1 for t in tasks]
    assert len(frame) == sum(per_task)
    repeated = [t for t, n in zip(tasks, per_task, strict=True) for _ in range(n)]
    assert frame["status"].tolist() == [t.status.value for t in repeated]
    assert frame["model"].tolist() == [
        t.request.model.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        for t in repeated
    ]
    assert frame["n_resources"].tolist() == [len(t.resources) for t in repeated]
    assert all(isinstance(json.loads(text), dict) for text in frame["params"])
