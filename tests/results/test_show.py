"""A frame as people read it: which columns, what stands in a cell, what a page can do with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from grid_samples import noise, resource, task
from render_samples import INJECTIONS, Parsed

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.frame import task_frame
from modellix_jupyter.results.show import ROWS, show
from modellix_jupyter.values import Status

if TYPE_CHECKING:
    from modellix_jupyter.values import Task

UID = "0123456789abcdef"


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    path = noise(tmp_path / f"a-x-{UID[:12]}-2.png", (900, 300))
    done = task(UID, params={"seed": 1, "size": "S"}, resources=(resource(path),))
    failed = task("u2", params={"seed": 2, "size": "S"}, status=Status.FAILED)
    return [done, failed]


def shown(frame: object, columns: object = None) -> Parsed:
    return Parsed(show(frame, columns)._repr_html_())  # type: ignore[arg-type]  # as a user may


def headings(parsed: Parsed) -> int:
    return len(parsed.all("th"))


def test_a_whole_frame_is_what_people_read(tasks: list[Task]) -> None:
    parsed = shown(task_frame(tasks))
    assert parsed.text.startswith("promptmodelstatustimepricedateseed")
    for words in ("a cat", "a/x", "success", "failed", "4.2 s", "$0.03"):
        assert words in parsed.text
    for word in ("task-", "files.example", "size", "attempts"):
        assert word not in parsed.text.partition("const tables")[0]


def test_the_cost_is_what_was_charged_where_all_of_it_is_known(tasks: list[Task]) -> None:
    done, failed = tasks
    billed = replace(done, uid="u3", charged=0.01)
    assert "timechargeddate" in shown(task_frame([billed, failed])).text
    assert "timepricechargeddate" in shown(task_frame([billed, done])).text


def test_more_columns_are_a_choice(tasks: list[Task]) -> None:
    frame = task_frame(tasks)
    assert headings(shown(frame, "all")) == len(frame.columns)
    assert shown(frame, ["task_id", "price"]).text.startswith("task_idprice")
    assert shown(frame[["path", "attempts"]]).text.startswith("attempts")  # their own choice
    with pytest.raises(InvalidRequest, match="no column 'pricee'") as caught:
        show(frame, ["pricee"])
    assert "price" in caught.value.hint
    assert show(frame.drop(columns="path")).columns.tolist()[0] == "task_id"


def test_what_was_said_or_added_is_shown_too(tasks: list[Task]) -> None:
    frame = task_frame(tasks).assign(rating=[4, 2], blurred=[0.1, 0.2])
    assert "★★★★" in shown(frame).text
    assert "blurred" in shown(frame).text


def test_the_address_of_an_input_is_no_column(tasks: list[Task]) -> None:
    done, failed = tasks
    sound = replace(done.request, params={"url": "https://files.example/task-1.mp3"})
    text = shown(task_frame([replace(done, request=sound), failed])).text
    assert "dateseed" in text
    assert "files.example" not in text


def test_it_brings_what_sorts_it_without_a_kernel(tasks: list[Task]) -> None:
    markup = show(task_frame(tasks))._repr_html_()
    assert markup.count("<script") == markup.count("</script>") == 1
    assert markup.endswith("tables.enliven();</script>")


def test_every_line_has_a_box_of_one_size_and_a_picture_a_key(tasks: list[Task]) -> None:
    markup = show(task_frame(tasks))._repr_html_()
    assert markup.count("width:72px;height:72px") == 2
    failed = show(task_frame(tasks[1:]))._repr_html_()
    assert "width:72px" not in failed  # no column of boxes where there is no picture at all
    assert [div["data-mx"] for div in Parsed(markup).all("div") if "data-mx" in div] == [
        f"{UID[:12]}/1"
    ]


def test_cells_are_sorted_by_what_they_mean(tasks: list[Task]) -> None:
    cells = shown(task_frame(tasks)).all("td")
    keys = [cell["data-v"] for cell in cells if "data-v" in cell]
    assert {"4.2", "0.03", "2025-10-31T12:00:00.123457+00:00"} <= set(keys)


def test_thousands_are_counted_and_not_drawn() -> None:
    frame = pd.DataFrame({"path": [None] * 3000, "prompt": ["a cat"] * 3000})
    parsed = shown(frame)
    assert len(parsed.all("tr")) == ROWS + 1
    assert "3000 rows, the first 200 shown" in parsed.text


def test_any_text_stays_text() -> None:
    given = [task(text, text, text, {text: text}) for text in INJECTIONS]
    parsed = shown(task_frame(given), "all")
    assert {tag for tag, _ in parsed.elements} <= {
        *("div", "table", "thead", "tbody", "tr", "th", "td", "span", "strong", "bdi", "script"),
    }
    assert len(parsed.all("script")) == 1
