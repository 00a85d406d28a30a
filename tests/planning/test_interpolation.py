from __future__ import annotations

import json
import math
from decimal import Decimal
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.errors import InvalidRequest, ModellixError
from modellix_jupyter.planning.interpolation import (
    body_of,
    interpolate,
    value_of,
    values_of,
)
from modellix_jupyter.values import Json


class Shade(StrEnum):
    RED = "red"


class Silent:
    def __str__(self) -> str:
        raise RuntimeError


VARIABLES: dict[str, object] = {
    "animal": "cat",
    "seed": 7,
    "half": 0.5,
    "yes": True,
    "none": None,
    "seven": "7",
    "spaced": ' two words, "quoted" ',
    "braces": "{animal} {nothing}",
    "_": "last",
    "In": ["", "1"],
    "été": "summer",
    "seeds": [1, 2],
    "pair": (1, 2),
    "options": {"a": 1},
    "folder": PurePosixPath("/data/x"),
    "silent": Silent(),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a {animal}", "a cat"),
        ("{animal}{animal} {seed}", "catcat 7"),
        ("{yes} {none} {half}", "True None 0.5"),
        ("{braces}", "{animal} {nothing}"),
        ("{_} {In}", "last ['', '1']"),
        ("{été}", "summer"),
        ("{e\u0301te\u0301}", "summer"),
        ("{folder}", "/data/x"),
        ("{{animal}}", "{animal}"),
        ("{{nobody}} and {animal}", "{nobody} and cat"),
        ("{{ animal }} {{1 + 1}} {{}}", "{{ animal }} {{1 + 1}} {{}}"),
        ("{}", "{}"),
        ("{0} {a.b} {a[0]} {a!r} {a:>3}", "{0} {a.b} {a[0]} {a!r} {a:>3}"),
        ("{ animal }", "{ animal }"),
        ("p {color: red}", "p {color: red}"),
        ("p {color:red}", "p {color:red}"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ('{"a":"{animal}"}', '{"a":"cat"}'),
        ("{animal", "{animal"),
        ("animal}", "animal}"),
        ("$animal ${animal} \\{animal}", "$animal $cat \\cat"),
        ("  indented\n\t{animal}\r\n", "  indented\n\tcat\r\n"),
    ],
)
def test_text(text: str, expected: str) -> None:
    assert interpolate(text, VARIABLES, where="the prompt") == expected
    assert interpolate(text, None, where="the prompt") == text


@pytest.mark.parametrize("read", [interpolate, value_of])
def test_an_identifier_that_is_no_variable(read: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read("a {anmial} and {animal}", VARIABLES, where="prompt 2 of 3")
    assert "{anmial}" in caught.value.message
    assert "prompt 2 of 3" in caught.value.message
    assert "`animal`" in caught.value.hint
    assert "--no-interpolate" in caught.value.hint


@pytest.mark.parametrize("code", [json, open, len, str.join, Shade])
def test_code_is_no_text(code: object) -> None:
    for read in (interpolate, value_of):
        with pytest.raises(InvalidRequest, match="`it` is a"):
            read("a {it}", {"it": code}, where="the prompt")


def test_hidden_names_are_not_offered() -> None:
    with pytest.raises(InvalidRequest) as caught:
        interpolate("{secrets}", {"_secrets": 1, "__secrets": 2}, where="the prompt")
    assert "Did you mean" not in caught.value.hint


def test_a_variable_without_a_text() -> None:
    with pytest.raises(InvalidRequest, match="`silent` has no text: RuntimeError"):
        interpolate("{silent}", VARIABLES, where="the prompt")
    with pytest.raises(InvalidRequest, match="`silent` has no text: RuntimeError"):
        value_of("{silent}", VARIABLES, where="`--x`")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7),
        ("-1", -1),
        (" 7 ", 7),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("True", "True"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e999", "1e999"),
        ("[NaN]", "[NaN]"),
        ("007", "007"),
        ('"7"', "7"),
        ('""', ""),
        ("", ""),
        ("1024*1024", "1024*1024"),
        ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ("[" * 100_000, "[" * 100_000),
        ("9" * 5000, "9" * 5000),
        ("a, b", "a, b"),
    ],
)
def test_a_value_is_json_where_it_is_json(text: str, expected: Json) -> None:
    for namespace in (None, dict[str, object]()):
        found = value_of(text, namespace, where="`--x`")
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{seed}", 7),
        ("{half}", 0.5),
        ("{yes}", True),
        ("{none}", None),
        ("{animal}", "cat"),
        ("{seven}", "7"),
        ("{spaced}", ' two words, "quoted" '),
        ("{braces}", "{animal} {nothing}"),
        ("{seeds}", [1, 2]),
        ("{pair}", [1, 2]),
        ("{options}", {"a": 1}),
        ("{folder}/{animal}.png", "/data/x/cat.png"),
        ("{seed}*{seed}", "7*7"),
        ("1{seed}", "17"),
        ("is {yes}, {none}", "is True, None"),
        ("[{seed}, {seven}]", "[7, 7]"),
        ('["{seed}", "{seven}", "a {animal}", 1]', [7, "7", "a cat", 1]),
        ('{"n": {"m": ["{seeds}"]}, "{seed}": "{none}"}', {"n": {"m": [[1, 2]]}, "{seed}": None}),
        ('"{seed}"', 7),
        ('"{spaced}"', ' two words, "quoted" '),
        ("{color:red}", "{color:red}"),
    ],
)
def test_a_variable_in_a_value(text: str, expected: Json) -> None:
    found = value_of(text, VARIABLES, where="`--x`")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),  # noqa: FBT003 - it is the value under test
        (np.array([[1, 2]]), [[1, 2]]),
        (pd.Series([1, 2]), [1, 2]),
        ([np.int64(1), 2], [1, 2]),
        (range(3), [0, 1, 2]),
        ({10, 9, 1}, [1, 9, 10]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({1, "a"}, ["a", 1]),
        (Shade.RED, "red"),
        (Decimal("0.5"), "0.5"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (["a", PurePosixPath("b")], ["a", "b"]),
        (pd.Timestamp("2026-01-02"), "2026-01-02 00:00:00"),
    ],
)
def test_what_python_has_and_json_has_not(variable: object, expected: Json) -> None:
    found = value_of("{v}", {"v": variable}, where="`--x`")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("variable", [math.nan, math.inf, [1, math.nan], np.array([np.nan])])
def test_nan_is_refused_by_name(variable: object) -> None:
    with pytest.raises(InvalidRequest, match="`v`"):
        value_of("{v}", {"v": variable}, where="`--x`")


def test_a_circle_is_its_text() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert value_of("{v}", {"v": circle}, where="`--x`") == "[[...]]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2", [1, 2]),
        ("1, 2 ,x", [1, 2, "x"]),
        ("7", [7]),
        ("1024*1024,512*512", ["1024*1024", "512*512"]),
        ("low,high", ["low", "high"]),
        ("true,null,NaN", [True, None, "NaN"]),
        ('["a, b", 1]', ["a, b", 1]),
        ('"a, b","c"', ["a, b", "c"]),
        ('"",a', ["", "a"]),
        ('{"a":1,"b":2},{"a":3}', [{"a": 1, "b": 2}, {"a": 3}]),
        ("[1,2],[3]", [[1, 2], [3]]),
        ("[[1,2]]", [[1, 2]]),
        ("{seeds}", [1, 2]),
        ("{pair}", [1, 2]),
        ("{seed},{seven}", [7, "7"]),
        ("{animal},{spaced}", ["cat", ' two words, "quoted" ']),
        ("{seed}*2,{animal}s", ["7*2", "cats"]),
        ("{animal}", ["cat"]),
        ('["{seed}","{seven}"]', [7, "7"]),
        ('"{seed}","{animal}s"', [7, "cats"]),
        ("{options}", [{"a": 1}]),
    ],
)
def test_values_to_vary_over(text: str, expected: list[Json]) -> None:
    found = values_of("v", text, VARIABLES)
    assert list(found) == expected
    assert list(map(type, found)) == list(map(type, expected))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no values"]),
        (",", ["empty value"]),
        ("a,,b", ["empty value"]),
        ("1,2,", ["empty value"]),
        ("[]", ["no values"]),
        ("{nothing_at_all}", ["{nothing_at_all}"]),
        ('{"a":1,"b":2},x', ["begins like JSON", "JSON list"]),
        ("[x,y]", ["begins like JSON"]),
        ("[{seed},{seven}]", ["begins like JSON"]),
        ('"a,b', ["begins like JSON"]),
        ("{spaced}", ["commas", "list"]),
    ],
)
def test_values_that_cannot_be_told(text: str, words: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        values_of("v", text, VARIABLES)
    assert "v" in caught.value.message
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        ('{"seed": "{seed}", "style": "a {animal}"}', {"seed": 7, "style": "a cat"}),
        ('{"style": "[{spaced}]"}', {"style": f"[{VARIABLES['spaced']}]"}),
        ("{options}", {"a": 1}),
    ],
)
def test_a_body(text: str, expected: dict[str, Json]) -> None:
    assert body_of(text, VARIABLES) == expected


def test_a_body_in_a_text_variable() -> None:
    assert body_of("{v}", {"v": '{"a": "{animal}"}'}) == {"a": "{animal}"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["not JSON"]),
        ("seed", ["not JSON", "single quotes"]),
        ("[1]", ["not an object"]),
        ("null", ["not an object"]),
        ('{"a": NaN}', ["not JSON"]),
        ('{"seed": {seed}}', ["not JSON"]),
        ('{"seed": 1, "seed": 2}', ["`seed`", "twice"]),
        ('{"a": {"seed": 1, "seed": 2}}', ["`seed`", "twice"]),
        ("[" * 100_000, ["not JSON"]),
    ],
)
def test_what_is_no_body(text: str, words: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        body_of(text, VARIABLES)
    assert all(word in str(caught.value) for word in words), str(caught.value)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(
    SCALARS.filter(lambda value: not (isinstance(value, float) and math.isinf(value))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_a_whole_variable_is_its_own_value(value: Any) -> None:
    assert value_of("{v}", {"v": value}, where="`--x`") == value


@given(JSON)
def test_json_on_the_line_is_that_json(value: Any) -> None:
    assert value_of(json.dumps(value), None, where="`--x`") == value


@given(st.text())
def test_a_text_inside_quotes_cannot_end_them(text: str) -> None:
    assert value_of('{"a": "<{v}>"}', {"v": text}, where="`--x`") == {"a": f"<{text}>"}


@given(st.text())
def test_a_replaced_text_is_not_looked_at_again(text: str) -> None:
    assert interpolate("[{v}{v}]", {"v": text}, where="the prompt") == f"[{text}{text}]"


PIECES = st.lists(st.sampled_from([*'{}[]",:\\ av1é', "{v}", "{w}", '"', "null"])).map("".join)


@given(PIECES | st.text(), JSON)
def test_any_text_gives_a_value_or_an_error_of_ours(text: str, variable: Any) -> None:
    for read in (interpolate, value_of):
        try:
            read(text, {"v": variable}, where="`--x`")
        except ModellixError as problem:
            assert problem.hint  # noqa: PT017 - either outcome is right, and this is the error's
    try:
        assert values_of("v", text, {"v": variable})
    except ModellixError as problem:
        assert problem.hint  # noqa: PT017 - as above
