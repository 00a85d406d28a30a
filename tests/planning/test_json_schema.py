"""The checker against an independent validator, and what it makes of odd schemas."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from modellix_jupyter.planning.json_schema import clean, problem, unchecked

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.sampled_from([0.0, 1.0, 1.5, -2.5, 4.0])
    | st.text("ab", max_size=4)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])


def bounds(low: str, high: str, numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pairs = st.tuples(numbers, numbers).map(sorted)
    return (
        pairs.map(lambda pair: {low: pair[0], high: pair[1]})
        | numbers.map(lambda number: {low: number})
        | numbers.map(lambda number: {high: number})
    )


def nodes(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    names = st.sampled_from("abc")
    return st.one_of(
        some.map(lambda each: {"allOf": each}),
        some.map(lambda each: {"anyOf": each}),
        some.map(lambda each: {"oneOf": each}),
        inner.map(lambda each: {"type": "array", "items": each}),
        st.builds(
            lambda properties, required, more: {
                "type": "object",
                "properties": properties,
                "required": required,
                **more,
            },
            st.dictionaries(names, inner, max_size=3),
            st.lists(names, max_size=2, unique=True),
            st.sampled_from([{}, {"additionalProperties": False}])
            | inner.map(lambda each: {"additionalProperties": each}),
        ),
        st.just({"$ref": "#/components/schemas/Shared"}),
        st.builds(lambda one, other: {**one, **other}, inner, inner),
    )


LEAVES = st.one_of(
    TYPES.map(lambda name: {"type": name}),
    st.lists(TYPES, min_size=1, max_size=3, unique=True).map(lambda names: {"type": names}),
    st.lists(VALUES, min_size=1, max_size=4).map(lambda values: {"enum": values}),
    VALUES.map(lambda value: {"const": value}),
    bounds("minimum", "maximum", st.integers(-3, 5) | st.sampled_from([0.5, 1.5])),
    bounds("exclusiveMinimum", "exclusiveMaximum", st.integers(-3, 5)),
    bounds("minLength", "maxLength", st.integers(0, 4)),
    bounds("minItems", "maxItems", st.integers(0, 4)),
    st.just({"uniqueItems": True}),
)
SCHEMAS = st.one_of(LEAVES, nodes(LEAVES), nodes(LEAVES | nodes(LEAVES)))
# Each schema is tried with all of these, since few values that are made at random meet a bound.
SIMPLE = (None, True, -3, 0, 1, 2, 5, 0.5, 1.5, "", "a", "bb", "aaaa")
EACH = (
    *SIMPLE,
    *([one] for one in SIMPLE),
    *([], [1, 1], ["a", "b", "a"], [0, 1, 2, 3]),
    *({"a": one} for one in SIMPLE),
    *({}, {"a": 1, "b": "a"}, {"b": -3, "c": 5}),
)


def contradictory(schema: Any) -> bool:
    """Whether bounds that were joined exclude every value: such a pair is left out as odd."""
    if isinstance(schema, list):
        return any(map(contradictory, schema))
    if not isinstance(schema, dict):
        return False
    pairs = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"))
    crossed = any(schema.get(low, 0) > schema.get(high, 9) for low, high in pairs)
    return crossed or any(map(contradictory, schema.values()))


def independent(schema: Any) -> Any:
    """Return a schema for the independent validator, to which a choice may fit twice."""
    if isinstance(schema, list):
        return [independent(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {k: v if k in {"enum", "const"} else independent(v) for k, v in schema.items()}
    if "oneOf" in kept:
        choice = {"anyOf": kept.pop("oneOf")}
        kept["allOf"] = [*kept.get("allOf", []), choice]
    return kept


@settings(max_examples=400)
@example({"uniqueItems": True}, {}, [])
@example({"const": 1}, {}, [])
@example({"oneOf": [{"type": "string"}, {"exclusiveMinimum": 1}]}, {}, [])
@given(SCHEMAS, SCHEMAS.filter(lambda each: "$ref" not in str(each)), st.lists(VALUES, max_size=3))
def test_what_it_accepts_an_independent_validator_accepts_and_the_other_way_round(
    schema: dict[str, Any], shared: dict[str, Any], values: list[Any]
) -> None:
    if contradictory([schema, shared]):
        return
    document = {**schema, "components": {"schemas": {"Shared": shared}}}
    read, validator = clean(schema, document), Draft202012Validator(independent(document))
    assert unchecked(read) == set()
    for value in (*EACH, *values):
        expected = validator.is_valid(value)
        assert (problem(read, value) is None) is expected, (schema, shared, value)


ANYWHERE = st.sampled_from(
    [
        *({"pattern": "^a"}, {"multipleOf": 2}, {"not": {"type": "string"}}, {"minLength": "1"}),
        *({"type": "picture"}, {"required": "a"}, {"$ref": "#/nowhere"}, {"anyOf": {}}),
        {"enum": []},
    ]
)


@given(ANYWHERE, st.lists(st.sampled_from(["properties", "items", "anyOf", "allOf"]), max_size=4))
def test_what_is_not_checked_is_named_wherever_it_stands(
    odd: dict[str, Any], path: list[str]
) -> None:
    schema: Any = odd
    for step in path:
        schema = {step: {"properties": {"a": schema}, "items": schema}.get(step, [schema])}
    assert unchecked(clean(schema)) == set(odd)


@pytest.mark.parametrize(
    "schema",
    [
        {"minimum": 1, "exclusiveMinimum": True},
        {"maximum": 1, "exclusiveMaximum": False},
        {"uniqueItems": False, "nullable": False, "minLength": None},
        {"const": 3},
        {"title": "x", "default": 1, "description": "y", "example": 2, "format": "uri", "x-new": 1},
        {"additionalProperties": True, "properties": {}},
    ],
)
def test_what_limits_nothing_or_is_checked_is_not_named(schema: dict[str, Any]) -> None:
    assert unchecked(clean(schema)) == set()


def test_a_pattern_is_never_run() -> None:
    read = clean({"type": "string", "pattern": "^(a+)+$"})
    begin = time.perf_counter()
    assert problem(read, "a" * 50 + "b") is None
    assert time.perf_counter() - begin < 0.1


@pytest.mark.parametrize(
    "document",
    [
        {"a": {"$ref": "#/a"}},
        {"a": {"$ref": "#/b"}, "b": {"anyOf": [{"$ref": "#/a"}, {"$ref": "#/a"}]}},
        {"a": {"$ref": "#"}, "properties": {"x": {"$ref": "#/a"}}},
        {"a": {"$ref": "https://example.com/schema"}},
        {"a": {"$ref": "#/nowhere/at/all"}},
        {"a": {"$ref": 7}},
        {"a": {"allOf": [{"$ref": f"#/l{i}"} for i in range(9)]}}
        | {f"l{i}": {"anyOf": [{"$ref": f"#/l{j}"} for j in range(9)]} for i in range(9)},
    ],
)
def test_a_reference_that_leads_nowhere_or_everywhere_checks_nothing(document: Any) -> None:
    begin = time.perf_counter()
    assert problem(clean(document["a"], document), {"x": 1}) is None
    assert time.perf_counter() - begin < 2


WRONG: list[tuple[Any, Any, str, str]] = [
    ({"type": "array", "items": {"type": "string"}}, ["a", 7], "[1]", "must be a text"),
    ({"type": "array", "minItems": 1}, [], "", "must have at least 1 items, and has 0"),
    ({"type": "array", "maxItems": 2}, [1, 2, 3], "", "must have at most 2 items, and has 3"),
    ({"uniqueItems": True}, [1, 2, 1.0], "", "must have each item once"),
    ({"exclusiveMinimum": 0}, 0, "", "must be above 0"),
    ({"minimum": 0, "exclusiveMinimum": True}, 0, "", "must be above 0"),
    ({"exclusiveMaximum": 1}, 1.0, "", "must be below 1"),
    ({"required": ["image"]}, {}, "", "needs `image`"),
    ({"additionalProperties": False}, {"x": 1}, "", "takes no `x`"),
    ({"properties": {"a": {"items": {"type": "null"}}}}, {"a": [1]}, ".a[0]", "must be null"),
    ({"anyOf": [{"type": "string"}, {"type": "array"}]}, 7, "", "must be a text or a list"),
    (
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        [7],
        "[0]",
        "must be a text",
    ),
    ({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 3}]}, 1, "", "at least 3"),
    ({"format": "date"}, "yesterday", "", "must be a date"),
    ({"format": "date-time"}, "noon", "", "must be a time"),
    ({"format": "uri"}, "cat.png", "", "must be an address"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "where", "words"), WRONG)
def test_the_message_names_the_part_and_the_nearest(
    schema: Any, value: Any, where: str, words: str
) -> None:
    found = problem(clean(schema), value)
    assert found is not None
    assert found.where == where
    assert words in found.what


def test_what_formats_take() -> None:
    taken = {"date": "2026-11-25", "date-time": "2026-11-25T19:30:00Z", "uri": "https://a.test"}
    for name, value in taken.items():
        assert problem(clean({"format": name}), value) is None
    assert problem(clean({"format": "unheard-of"}), "anything") is None
