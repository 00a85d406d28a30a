"""A cell that was written asks, when it is read, for what it was written from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.planning.cell_parser import cell_text, parse_cell

MODEL = "a/b"
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.text("abcxyz_0129", min_size=1, max_size=8).filter(lambda name: name != "prompt")


def read(text: str) -> Any:
    first, _, body = text.partition("\n")
    return parse_cell(first.removeprefix("%%modellix"), body, {})


def test_a_plain_request_is_a_plain_cell() -> None:
    text = cell_text("a cat", "a/b", {"seed": 7, "size": "1024*1024"})
    assert text == "%%modellix a/b --seed 7 --size '1024*1024'\na cat\n"


def test_a_request_without_a_prompt_is_a_cell_of_one_line() -> None:
    text = cell_text(None, MODEL, {"image": "a.png"})
    assert text == "%%modellix a/b --image a.png\n\n"
    assert read(text).prompts == ()


@pytest.mark.parametrize(
    "value",
    [
        "7",
        "true",
        "null",
        "a b",
        "it's",
        '"',
        "\\",
        "--x",
        "-1",
        "",
        " ",
        "{name}",
        "a\nb",
        "é",
        "😀",
    ],
)
def test_a_text_stays_the_same_text(value: str) -> None:
    command = read(cell_text("a cat", MODEL, {"style": value}))
    assert command.params == {"style": value}
    assert type(command.params["style"]) is str


@pytest.mark.parametrize("name", ["save", "out", "repeat", "timout", "a.b", "x" * 128])
def test_a_parameter_may_have_any_name_that_a_cell_can_say(name: str) -> None:
    assert read(cell_text("a cat", MODEL, {name: 1})).params == {name: 1}


@pytest.mark.parametrize("name", ["a-b", "a b", "ü"])
def test_other_names_stand_in_the_body(name: str) -> None:
    text = cell_text("a cat", MODEL, {name: 1})
    assert "--body" in text
    assert read(text).params == {name: 1}


def test_braces_that_are_no_variables_are_left_alone() -> None:
    text = cell_text("a {cat}", MODEL, {})
    assert "--no-interpolate" in text
    assert read(text).prompts == ("a {cat}",)


@pytest.mark.parametrize("prompt", ["a\n---\nb", " a", "a\n"])
def test_what_no_cell_says_is_refused(prompt: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be written as a cell"):
        cell_text(prompt, MODEL, {})


@given(prompt=st.text(min_size=1), params=st.dictionaries(names, values, max_size=4))
def test_whatever_is_written_is_read_as_it_was(prompt: str, params: dict[str, Any]) -> None:
    try:
        text = cell_text(prompt, MODEL, params)
    except InvalidRequest:
        return
    command = read(text)
    assert (command.prompts, command.models) == ((prompt,), (MODEL,))
    assert command.params == params


@given(params=st.dictionaries(names, values, max_size=4))
def test_a_usual_prompt_can_always_be_written(params: dict[str, Any]) -> None:
    assert read(cell_text("a cat, {indoors}", MODEL, params)).params == params
