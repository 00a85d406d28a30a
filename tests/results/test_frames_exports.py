from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import frames_samples as samples
import openpyxl
import pandas as pd
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from PIL import Image

from modellix_jupyter.errors import InvalidRequest, MissingExtra
from modellix_jupyter.results import export
from modellix_jupyter.results.export import ENDINGS, write_table
from modellix_jupyter.results.frame import cells, task_frame
from modellix_jupyter.values import Status

TABLE = [
    samples.task("a", params={"seed": -1, "f": 2.5, "hd": True, "x": {"y": [1]}}),
    samples.task("b", prompt='=1+1 "é"\nline', status=Status.FAILED, resources=()),
    samples.bare("c"),
]


@pytest.fixture
def frame() -> pd.DataFrame:
    remarks = {"rating": [5, None, None], "note": ["@home", None, None]}
    types = {"rating": "Int64", "note": "string"}
    return task_frame(TABLE).join(pd.DataFrame(remarks).astype(types))


def jpeg(width: int, height: int) -> bytes:
    out = BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "JPEG")
    return out.getvalue()


def sheet_of(path: Path) -> Any:
    return openpyxl.load_workbook(path)["tasks"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_writes_the_empty_table(tmp_path: Path, ending: str) -> None:
    path = write_table(task_frame([]), tmp_path / f"t{ending}")
    assert path.stat().st_size > 0 or ending == ".jsonl"


def test_the_ending_s_case_does_not_matter(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = write_table(frame, tmp_path / "T.JSON")
    assert len(json.loads(path.read_bytes())) == 3


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat(timespec="microseconds") + "Z"
        return value

    columns = [[plain(v) for v in cells(frame[name])] for name in frame]
    return [dict(zip(frame.columns, row, strict=True)) for row in zip(*columns, strict=True)]


def test_json_holds_the_rows(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = write_table(frame, tmp_path / "t.json")
    assert json.loads(path.read_text(encoding="utf-8")) == records(frame)
    assert "é" in path.read_text(encoding="utf-8")
    first = json.loads(path.read_bytes())[0]
    assert first["submitted_at"] == "2025-10-31T12:00:00.123457Z"
    assert (first["param.seed"], first["param.hd"], first["rating"]) == (-1, True, 5)
    assert first["error_code"] is None


def test_the_records_of_json_make_the_same_table_again(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = write_table(frame, tmp_path / "t.json")
    read = pd.DataFrame.from_records(json.loads(path.read_bytes()))
    assert list(read.columns) == list(frame.columns)
    for name in frame:
        if frame[name].dtype.kind == "M":
            read[name] = pd.to_datetime(read[name], utc=True).dt.as_unit("us")
    assert_frame_equal(read.astype(frame.dtypes), frame)


def test_jsonl_holds_a_row_a_line(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = write_table(frame, tmp_path / "t.jsonl")
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == records(frame)


def test_the_infinite_is_null_since_json_has_no_word_for_it(tmp_path: Path) -> None:
    infinite = task_frame([samples.task(params={"x": float("inf")})])
    path = write_table(infinite, tmp_path / "t.json")

    def refuse(word: str) -> None:
        raise AssertionError(word)

    assert json.loads(path.read_bytes(), parse_constant=refuse)[0]["param.x"] is None


def test_parquet_keeps_the_table_and_its_types(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = write_table(frame, tmp_path / "t.parquet")
    assert_frame_equal(pd.read_parquet(path), frame)
    schema = pyarrow.parquet.read_schema(path)
    assert str(schema.field("submitted_at").type) == "timestamp[us, tz=UTC]"
    assert str(schema.field("param.seed").type) == "int64"
    assert str(schema.field("param.hd").type) == "bool"


@settings(max_examples=10)
@given(st.lists(samples.tasks, max_size=3))
def test_any_table_goes_through_parquet(tmp_path_factory: Any, tasks: list[Any]) -> None:
    frame = task_frame(tasks)
    path = write_table(frame, tmp_path_factory.mktemp("p") / "t.parquet")
    assert_frame_equal(pd.read_parquet(path), frame)


def test_a_workbook_holds_the_values_by_their_types(tmp_path: Path, frame: pd.DataFrame) -> None:
    sheet = sheet_of(write_table(frame, tmp_path / "t.xlsx"))
    header, *rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert header == list(frame.columns)
    for name, column in zip(header, zip(*rows, strict=True), strict=True):
        for read, value in zip(column, cells(frame[name]), strict=True):
            if isinstance(value, datetime):
                assert abs(read - value) <= timedelta(milliseconds=1)
            else:
                assert (read, type(read)) == (value, type(value))


def test_a_workbook_is_framed_for_reading(tmp_path: Path, frame: pd.DataFrame) -> None:
    sheet = sheet_of(write_table(frame, tmp_path / "t.xlsx"))
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:{sheet.cell(4, frame.shape[1]).coordinate}"
    assert sheet["A1"].font.bold
    at = list(frame.columns).index("submitted_at") + 1
    assert sheet.cell(2, at).is_date
    assert "UTC" in sheet.cell(2, at).number_format
    assert all(8 <= size.width <= 49 for size in sheet.column_dimensions.values())


def test_a_nasty_prompt_is_a_text_in_a_workbook(tmp_path: Path) -> None:
    frame = task_frame([samples.task(prompt=p, params={p: p}) for p in samples.NASTY])
    sheet = sheet_of(write_table(frame, tmp_path / "t.xlsx"))
    at = list(frame.columns).index("prompt") + 1
    for row, prompt in enumerate(frame["prompt"], start=2):
        cell = sheet.cell(row, at)
        assert cell.hyperlink is None, prompt
        assert cell.data_type == "s", prompt
        clean = re.sub("[\x00-\x08\x0b-\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", prompt)
        assert (cell.value or "") == re.sub("\r\n?", "\n", clean), prompt


@pytest.mark.parametrize(("letter", "units"), [("x", 1), ("😀", 2)])
def test_a_text_is_cut_at_excel_s_limit(tmp_path: Path, letter: str, units: int) -> None:
    longest = 32_767 // units
    for length in (longest, longest + 1, 100_000):
        frame = task_frame([samples.task(prompt=letter * length)])
        sheet = sheet_of(write_table(frame, tmp_path / "t.xlsx"))
        value = sheet.cell(2, list(frame.columns).index("prompt") + 1).value
        assert len(value.encode("utf-16-le")) // 2 <= 32_767
        assert value.endswith("…") == (length > longest)


def test_numbers_that_excel_would_round_are_texts(tmp_path: Path) -> None:
    seeds = [999_999_999_999_999, 1_000_000_000_000_000, -(2**63)]
    frame = task_frame([samples.task(params={"seed": s}) for s in seeds])
    sheet = sheet_of(write_table(frame, tmp_path / "t.xlsx"))
    at = list(frame.columns).index("param.seed") + 1
    read = [sheet.cell(row, at).value for row in (2, 3, 4)]
    assert read == [seeds[0], str(seeds[1]), str(seeds[2])]


def test_what_excel_has_no_form_for_is_a_text(tmp_path: Path) -> None:
    early = int(datetime(1890, 1, 2, tzinfo=UTC).timestamp()) * 1_000_000
    frame = task_frame([samples.task(expires_at=early, params={"x": float("-inf")})])
    sheet = sheet_of(write_table(frame, tmp_path / "t.xlsx"))
    read = {sheet.cell(1, i).value: sheet.cell(2, i).value for i in range(1, sheet.max_column + 1)}
    assert read["param.x"] == "-inf"
    assert read["expires_at"] == "1890-01-02 00:00:00"


def test_pictures_are_embedded_beside_their_rows(tmp_path: Path, frame: pd.DataFrame) -> None:
    thumbnails = {0: jpeg(320, 200), 2: jpeg(50, 400)}
    path = write_table(frame, tmp_path / "t.xlsx", thumbnails=thumbnails)
    sheet = sheet_of(path)
    assert sheet["A1"].value == "picture"
    assert sheet["B1"].value == "task_id"
    assert sheet.freeze_panes == "B2"
    assert [image.anchor._from.row for image in sheet._images] == [1, 3]
    assert sheet.row_dimensions[2].height == 75  # points, of 100 pixels
    assert sheet.row_dimensions[3].height is None


def extent(path: Path) -> tuple[float, float]:
    """Return the first picture's size on the sheet in pixels, which is 9525 units each."""
    anchor = sheet_of(path)._images[0].anchor
    # It begins and ends within the one cell, so the offsets alone tell its size.
    assert (anchor._from.row, anchor._from.col) == (anchor.to.row, anchor.to.col)
    width = anchor.to.colOff - anchor._from.colOff
    return width / 9525, (anchor.to.rowOff - anchor._from.rowOff) / 9525


@pytest.mark.parametrize(
    ("size", "shown"),
    [((320, 200), (153.6, 96)), ((400, 40), (160, 16)), ((30, 20), (30, 20))],
)
def test_a_picture_keeps_its_shape_within_the_cell(
    tmp_path: Path, size: tuple[int, int], shown: tuple[float, float]
) -> None:
    path = write_table(
        task_frame([samples.task()]), tmp_path / "t.xlsx", thumbnails={0: jpeg(*size)}
    )
    assert extent(path) == pytest.approx(shown, abs=1)


def test_more_rows_than_excel_takes_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame
) -> None:
    monkeypatch.setattr(export, "MAX_ROWS", 3)
    with pytest.raises(InvalidRequest, match="3 rows") as caught:
        write_table(frame, tmp_path / "t.xlsx")
    assert ".parquet" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["t.txt", "t", "t.html", ".csv", "t.csv.gz"])
def test_another_ending_is_an_error_that_names_the_known(
    tmp_path: Path, frame: pd.DataFrame, name: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        write_table(frame, tmp_path / "new" / name)
    assert all(ending in caught.value.hint for ending in ENDINGS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("ending", "library"), [(".parquet", "pyarrow"), (".xlsx", "xlsxwriter")])
def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame, ending: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=library) as caught:
        write_table(frame, tmp_path / f"t{ending}")
    assert f"modellix-jupyter[{ending[1:]}]" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = write_table(frame, str(tmp_path / "a" / "b" / "t.csv"))
    assert path == tmp_path / "a" / "b" / "t.csv"
    assert [p.name for p in path.parent.iterdir()] == ["t.csv"]


def test_home_is_where_the_tilde_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert write_table(frame, "~/t.csv") == tmp_path / "t.csv"


def test_a_write_that_fails_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old", encoding="utf-8")
    write = Path.write_bytes

    def fill_the_disk(self: Path, data: bytes) -> int:
        write(self, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(InvalidRequest, match="No space left"):
        write_table(frame, path)
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_a_place_that_cannot_be_written_is_an_error_of_two_lines(
    tmp_path: Path, frame: pd.DataFrame
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    for path in ("file/t.csv", "folder.csv", "\x00.csv", "x" * 300 + ".csv"):
        with pytest.raises(InvalidRequest, match="cannot be written") as caught:
            write_table(frame, tmp_path / path)
        assert len(caught.value._render_traceback_()) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.csv"]
