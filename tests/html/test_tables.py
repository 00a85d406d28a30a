from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render_samples import Parsed

from modellix_jupyter.html.formatting import terminal_width
from modellix_jupyter.html.table import table_html, table_text

ROWS: list[list[object]] = [["a/x", 0.04, None, True], ["b/y", 1, "sure", False]]


def test_numbers_are_right_aligned_with_equal_decimals() -> None:
    parsed = Parsed(table_html(["model", "price", "note", "free"], ROWS, caption="2 models"))
    cells = parsed.all("td")
    assert ["text-align:right" in str(cell["style"]) for cell in cells] == [
        False,
        True,
        False,
        False,
    ] * 2
    assert "0.04" in parsed.text
    assert "1.00" in parsed.text
    assert "yes" in parsed.text
    assert parsed.text.startswith("2 models")
    assert len(parsed.all("th")) == 4


def test_a_wide_table_scrolls_in_its_own_box() -> None:
    (tag, attributes), *_ = Parsed(table_html(["a"], [["b"]])).elements
    assert tag == "div"
    assert "overflow-x:auto" in str(attributes["style"])


def test_short_rows_are_filled_and_no_rows_are_said() -> None:
    assert len(Parsed(table_html(["a", "b"], [["x"]])).all("td")) == 2
    assert "nothing to show" in Parsed(table_html(["a"], [])).text


def test_a_table_for_a_terminal() -> None:
    assert table_text(["model", "price"], [["a/x", 0.04], ["猫/y", 12]], caption="Two").split(
        "\n"
    ) == [
        "Two",
        "model  price",
        "-----  -----",
        "a/x     0.04",
        "猫/y   12.00",
    ]


@given(
    st.lists(st.lists(st.text() | st.floats() | st.none() | st.booleans(), max_size=4), max_size=5),
    st.integers(40, 100),
)
def test_no_line_is_wider_than_the_terminal(rows: list[list[object]], width: int) -> None:
    shown = table_text(["first", "second", "third", "fourth"], rows, width=width)
    assert max(terminal_width(line) for line in shown.split("\n")) <= width


@pytest.mark.parametrize("rows", [[], [[]], [["a"]]])
def test_odd_tables_are_no_error(rows: list[list[object]]) -> None:
    assert "x" in table_text(["x"], rows)
