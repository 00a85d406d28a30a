from __future__ import annotations

from typing import Any

import frames_samples as samples
import pandas as pd
import pytest

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.frame import task_frame
from modellix_jupyter.results.summary import summarise
from modellix_jupyter.values import Status, Task

MEASURES = [
    "count",
    "success_rate",
    "median_s",
    "p90_s",
    "images_per_minute",
    "price",
    "price_per_image",
]


def took(seconds: float, **changes: Any) -> Task:
    return samples.task(completed_at=samples.NOON + int(seconds * 1e6), **changes)


def none_of(status: Status, **changes: Any) -> Task:
    return samples.task(status=status, resources=(), **changes)


def only(*tasks: Task) -> dict[str, Any]:
    table = summarise(task_frame(tasks))
    assert len(table) == 1
    return {name: None if pd.isna(table[name][0]) else table[name][0] for name in table.columns}


def test_each_model_has_a_row_sorted() -> None:
    frame = task_frame([samples.task(model=m) for m in ("b/y", "a/x", "b/y")])
    table = summarise(frame)
    assert list(table.columns) == ["model", *MEASURES]
    assert table["model"].tolist() == ["a/x", "b/y"]
    assert table["count"].tolist() == [1, 2]


def test_the_measures_of_successes() -> None:
    two = (samples.picture(), samples.picture())
    row = only(took(10, price=0.1, resources=two), took(20, price=0.2), took(60, price=0.3))
    assert row["count"] == 3
    assert row["success_rate"] == 1
    assert row["median_s"] == 20
    assert row["p90_s"] == pytest.approx(52)
    assert row["images_per_minute"] == pytest.approx(4 / 1.5)
    assert row["price"] == pytest.approx(0.6)
    assert row["price_per_image"] == pytest.approx(0.15)


def test_what_was_charged_is_the_price_where_all_of_it_is_known() -> None:
    billed = took(1, price=0.15, charged=0.04)
    assert only(billed, billed)["price"] == pytest.approx(0.08)
    assert only(billed, billed)["price_per_image"] == pytest.approx(0.04)
    vain = none_of(Status.FAILED, price=0.15)
    assert only(billed, vain)["price"] == pytest.approx(0.04)
    # never one sum of both
    assert only(billed, took(1, price=0.15))["price"] == pytest.approx(0.3)


def test_success_is_a_share_of_what_ended() -> None:
    pending = none_of(Status.PENDING, completed_at=None)
    row = only(samples.task(), none_of(Status.FAILED), none_of(Status.EXPIRED), pending)
    assert row["count"] == 4
    assert row["success_rate"] == pytest.approx(1 / 3)


def test_nothing_is_known_of_tasks_that_only_began() -> None:
    row = only(none_of(Status.PENDING, completed_at=None, price=None))
    assert row.pop("model") == "ali/qwen"
    assert row.pop("count") == 1
    assert set(row.values()) == {None}


def test_what_failed_is_paid_for_by_the_images_that_came() -> None:
    row = only(took(30, price=0.1), none_of(Status.FAILED, price=0.1))
    assert row["price"] == pytest.approx(0.2)
    assert row["price_per_image"] == pytest.approx(0.2)
    assert row["images_per_minute"] == pytest.approx(2)


def test_what_was_rejected_costs_nothing() -> None:
    row = only(samples.task(price=0.1), none_of(Status.REJECTED, price=5.0, completed_at=None))
    assert row["price"] == pytest.approx(0.1)
    assert row["success_rate"] == pytest.approx(0.5)


def test_an_image_without_a_price_does_not_make_the_others_cheaper() -> None:
    row = only(samples.task(price=0.1), samples.task(price=None))
    assert row["price_per_image"] == pytest.approx(0.1)


def test_only_failures_have_no_price_of_an_image() -> None:
    row = only(none_of(Status.FAILED, price=0.1))
    assert row["price"] == pytest.approx(0.1)
    assert row["price_per_image"] is None
    assert row["success_rate"] == 0


def test_a_success_without_a_time_counts_for_no_speed() -> None:
    row = only(took(30), samples.task(completed_at=None))
    assert row["images_per_minute"] == pytest.approx(2)


@pytest.mark.parametrize("tasks", [[], [samples.bare()], [samples.task()]])
def test_every_column_is_typed(tasks: list[Task]) -> None:
    frame = task_frame(tasks)
    table = summarise(frame, ["model", "submitted_at", "width"])
    assert [str(t) for t in table.dtypes[3:]] == ["Int64", *["Float64"] * 6]
    for name in ("model", "submitted_at", "width"):
        assert table[name].dtype == frame[name].dtype
    assert len(table) == len(tasks)


def test_by_several_columns_and_missing_ones_are_a_group() -> None:
    frame = task_frame([samples.task(params={"seed": s}) for s in (2, None, 1, 2)])
    table = summarise(frame, ["model", "param.seed"])
    assert table["param.seed"].fillna(-1).tolist() == [1, 2, -1]
    assert table["count"].tolist() == [1, 2, 1]


def test_by_any_column_of_the_frame() -> None:
    frame = task_frame([samples.task(), samples.bare()])
    for name in frame.columns:
        table = summarise(frame, name)
        assert table["count"].sum() == 2, name
        assert table.columns[0] == ("by.price" if name == "price" else name)


def test_an_index_with_gaps_does_not_matter() -> None:
    frame = task_frame([samples.task(model="a/x"), samples.task(model="b/y")])
    table = summarise(pd.concat([frame.iloc[[1]], frame.iloc[[1]]]))
    assert table["model"].tolist() == ["b/y"]
    assert table["count"].tolist() == [2]


def test_an_unknown_column_is_an_error_with_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="'modle'") as caught:
        summarise(task_frame([]), "modle")
    assert "`model`" in caught.value.hint


def test_a_column_like_no_other_is_an_error_with_all_of_them() -> None:
    with pytest.raises(InvalidRequest) as caught:
        summarise(task_frame([]), "zzz")
    assert "task_id, status" in caught.value.hint


def test_no_column_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="group by"):
        summarise(task_frame([]), [])


def test_a_table_without_the_measured_columns_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="'price'"):
        summarise(task_frame([samples.task()]).drop(columns="price"))


def test_each_service_is_a_group_of_its_own_where_there_are_several() -> None:
    real = took(1, price=0.2)
    fake = took(1, price=0.1, origin="http://127.0.0.1:8765")
    table = summarise(task_frame([real, fake, real]))
    assert list(table.columns) == ["model", "service", *MEASURES]
    assert dict(zip(table["service"], table["price"], strict=True)) == {
        real.service: pytest.approx(0.4),
        "sandbox": pytest.approx(0.1),
    }
    assert "service" not in summarise(task_frame([fake, fake]))
