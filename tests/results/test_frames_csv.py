"""CSV: what a spreadsheet would run goes in as text, and pandas reads the same rows."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import frames_samples as samples
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.results.export import write_table
from modellix_jupyter.results.frame import task_frame

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - the full-width forms are meant


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def cell(tmp_path: Path, name: str, **changes: Any) -> str:
    path = write_table(task_frame([samples.task(**changes)]), tmp_path / "t.csv")
    header, row = rows_of(path)
    return row[header.index(name)]


@given(st.lists(samples.texts, min_size=1, max_size=5))
def test_no_text_of_a_file_begins_like_a_formula(prompts: list[str]) -> None:
    tasks = [samples.task(prompt=p, model=p, params={p: p, "x": [p]}) for p in prompts]
    with tempfile.TemporaryDirectory() as folder:
        path = write_table(task_frame(tasks), Path(folder) / "t.csv")
        for row in rows_of(path):
            assert not any(text.startswith(FORMULA) for text in row)


def test_a_formula_gets_an_apostrophe(tmp_path: Path) -> None:
    assert cell(tmp_path, "prompt", prompt="=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0"


def test_no_formula_comes_out_with_another_separator(tmp_path: Path) -> None:
    prompts = ["a;=1+1", "a\t=1+1", "a; =1+1", 'a;"=1+1"', "a\n=1+1", "a;@x", "a;-x", "＝x;＝x"]  # noqa: RUF001
    path = write_table(task_frame([samples.task(prompt=p) for p in prompts]), tmp_path / "t.csv")
    for separator in ";\t":
        with path.open(encoding="utf-8", newline="") as file:
            cells = [c.strip(' "') for row in csv.reader(file, delimiter=separator) for c in row]
        assert [c for c in cells if c.startswith(FORMULA)] == []
    assert cell(tmp_path, "prompt", prompt="a;=1+1") == "a;'=1+1"


def test_an_ordinary_text_is_written_as_it_is(tmp_path: Path) -> None:
    assert cell(tmp_path, "prompt", prompt='say "hi",\nthen go') == 'say "hi",\nthen go'
    assert cell(tmp_path, "task_id", task_id="12345") == "12345"
    assert cell(tmp_path, "param.x", params={"x": "'quoted'"}) == "'quoted'"


def test_a_negative_number_stays_a_number(tmp_path: Path) -> None:
    assert cell(tmp_path, "param.seed", params={"seed": -1}) == "-1"
    assert cell(tmp_path, "param.g", params={"g": -1.5}) == "-1.5"


def test_times_are_iso_8601_in_utc(tmp_path: Path) -> None:
    assert cell(tmp_path, "submitted_at") == "2025-10-31T12:00:00.123457Z"


def test_a_column_s_name_is_guarded_too(tmp_path: Path) -> None:
    frame = pd.DataFrame({"=1+1": pd.array([1], dtype="Int64")})
    assert rows_of(write_table(frame, tmp_path / "t.csv"))[0] == ["'=1+1"]


def test_two_columns_of_one_name_are_both_kept(tmp_path: Path) -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"]).astype("Int64")
    assert rows_of(write_table(frame, tmp_path / "t.csv")) == [["a", "a"], ["1", "2"]]


def test_pandas_sees_the_same_rows(tmp_path: Path) -> None:
    frame = task_frame(
        [samples.task(prompt='a,"b"\r\nc'), samples.task(prompt="-x"), samples.bare()]
    )
    path = write_table(frame, tmp_path / "t.csv")
    read = pd.read_csv(path, parse_dates=["submitted_at"])
    assert list(read.columns) == list(frame.columns)
    assert read["prompt"].tolist()[:2] == ['a,"b"\r\nc', "'-x"]
    assert read["price"].tolist()[:2] == [0.03, 0.03]
    assert read["submitted_at"].dt.as_unit("us").tolist()[0] == frame["submitted_at"][0]
