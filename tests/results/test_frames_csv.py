from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import frames_samples as samples
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.csvfile import read_csv
from modellix_jupyter.results.frame import task_frame
from modellix_jupyter.results.summary import summarise
from modellix_jupyter.results.table_files import write_table

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def cell(tmp_path: Path, name: str, **changes: Any) -> str:
    path = write_table(task_frame([samples.task(**changes)]), tmp_path / "t.csv")
    header, row = rows_of(path)
    return row[header.index(name)]


def roundtrip(frame: pd.DataFrame) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        return read_csv(write_table(frame, Path(folder) / "t.csv"))


@settings(deadline=None, max_examples=60)
@given(st.lists(samples.tasks, max_size=4))
def test_a_table_reads_back_exactly_types_and_all(tasks: list[Any]) -> None:
    frame = task_frame(tasks)
    assert_frame_equal(roundtrip(frame), frame)


@settings(deadline=None, max_examples=40)
@given(st.lists(samples.texts, min_size=1, max_size=5))
def test_no_text_of_a_file_begins_like_a_formula(prompts: list[str]) -> None:
    tasks = [samples.task(prompt=p, model=p, params={p: p, "x": [p]}) for p in prompts]
    with tempfile.TemporaryDirectory() as folder:
        path = write_table(task_frame(tasks), Path(folder) / "t.csv")
        for row in rows_of(path):
            assert not any(text.startswith(FORMULA) for text in row)


@pytest.mark.parametrize("prompt", samples.NASTY)
def test_a_nasty_prompt_survives_beside_a_missing_one(prompt: str) -> None:
    params = {"x": prompt, prompt: 1}
    frame = task_frame([samples.task(prompt=prompt, params=params), samples.bare()])
    assert_frame_equal(roundtrip(frame), frame)


def test_a_formula_gets_an_apostrophe(tmp_path: Path) -> None:
    assert cell(tmp_path, "prompt", prompt="=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0"


def test_an_ordinary_text_is_written_as_it_is(tmp_path: Path) -> None:
    assert cell(tmp_path, "prompt", prompt='say "hi",\nthen go') == 'say "hi",\nthen go'
    assert cell(tmp_path, "task_id", task_id="12345") == "12345"


def test_a_negative_number_stays_a_number(tmp_path: Path) -> None:
    assert cell(tmp_path, "param.seed", params={"seed": -1}) == "-1"
    assert cell(tmp_path, "param.g", params={"g": -1.5}) == "-1.5"


def test_a_text_that_looks_like_a_number_stays_a_text(tmp_path: Path) -> None:
    assert cell(tmp_path, "param.x", params={"x": "7"}) == "'7"
    frame = task_frame([samples.task(params={"x": "7", "n": 7, "f": 7.0, "b": "True"})])
    back = roundtrip(frame)
    assert back["param.x"].tolist() == ["7"]
    kept = [str(back[f"param.{c}"].dtype) for c in "nfb"]
    assert kept == ["Int64", "Float64", str(frame["param.b"].dtype)]


def test_times_are_iso_8601_in_utc(tmp_path: Path) -> None:
    assert cell(tmp_path, "submitted_at") == "2025-10-31T12:00:00.123457Z"


def test_a_column_s_name_is_guarded_too(tmp_path: Path) -> None:
    frame = pd.DataFrame({"=1+1": pd.array([1], dtype="Int64")})
    path = write_table(frame, tmp_path / "t.csv")
    assert rows_of(path)[0] == ["'=1+1"]
    assert_frame_equal(read_csv(path), frame)


def test_a_summary_reads_back_as_well(tmp_path: Path) -> None:
    table = summarise(task_frame([samples.task("a"), samples.task("b", model="x/y")]))
    assert_frame_equal(read_csv(write_table(table, tmp_path / "t.csv")), table)


def test_two_columns_of_one_name_are_both_kept() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"]).astype("Int64")
    assert_frame_equal(roundtrip(frame), frame)


def test_a_very_long_prompt_reads_back_and_the_csv_module_is_left_as_it_was() -> None:
    before = csv.field_size_limit()
    frame = task_frame([samples.task(prompt="x" * (before + 1))])
    assert_frame_equal(roundtrip(frame), frame)
    assert csv.field_size_limit() == before


def test_pandas_own_reader_sees_the_same_rows(tmp_path: Path) -> None:
    frame = task_frame(
        [samples.task(prompt='a,"b"\r\nc'), samples.task(prompt="-x"), samples.bare()]
    )
    path = write_table(frame, tmp_path / "t.csv")
    read = pd.read_csv(path, parse_dates=["submitted_at"])
    assert list(read.columns) == list(frame.columns)
    assert read["prompt"].tolist()[:2] == ['a,"b"\r\nc', "'-x"]
    assert read["price"].tolist()[:2] == [0.03, 0.03]
    assert read["submitted_at"].dt.as_unit("us").tolist()[0] == frame["submitted_at"][0]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    frame = task_frame([samples.task()])
    path = write_table(frame, tmp_path / "t.csv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert_frame_equal(read_csv(path), frame)


def test_integers_and_fractions_of_a_foreign_file_are_one_column_of_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,99999999999999999999\n2.5,1\n", encoding="utf-8")
    read = read_csv(path)
    assert read["a"].tolist() == [1.0, 2.5]
    assert read["b"].tolist() == ["99999999999999999999", "1"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,b\n1\n", "Row 1 of .* has 1 cells, and there are 2 columns"),
        (b"a\n\xff\n", "cannot be read"),
        (b'a\n"b\n', "cannot be read"),
        (b"width\nwide\n", "'width' of .* is not of the kind integer"),
        (b"price\nfree\n", "'price' of .* is not of the kind float"),
        (b"submitted_at\n31/10/2025\n", "'submitted_at' of .* is not of the kind time"),
    ],
)
def test_a_file_that_is_not_ours_is_an_error(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=told):
        read_csv(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_csv(tmp_path / "none.csv")


def test_an_empty_file_is_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").touch()
    assert read_csv(tmp_path / "t.csv").shape == (0, 0)
