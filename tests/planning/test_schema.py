from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.planning.schema import (
    ModelSchema,
    Parameter,
    as_choice,
    check_request,
    parse_schema,
)
from modellix_jupyter.values import Json, Request

PROPERTIES: dict[str, Any] = {
    "prompt": {"type": "string", "minLength": 1, "maxLength": 40, "description": "What to draw."},
    "quality": {"type": "string", "enum": ["low", "medium", "high"]},
    "size": {"type": "string", "enum": ["1024*1024", "512*512"], "default": "1024*1024"},
    "seed": {
        "anyOf": [{"type": "integer", "minimum": 0, "maximum": 2147483647}, {"type": "null"}],
        "default": None,
    },
    "strength": {"type": "number", "minimum": 0, "maximum": 1},
    "steps": {"type": "integer", "minimum": 1},
    "watermark": {"type": "boolean"},
    "style": {"type": "string"},
    "images": {"type": ["array", "null"]},
    "extra": {"type": "object"},
    "n": {"enum": [1, 2, 4]},
    "anything": {},
    "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    "pointer": {"$ref": "#/components/schemas/Pointer"},
    "fixed": {"const": 7},
}


def fragment(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, **more}
    content = {"application/json": {"schema": schema}}
    return {
        "servers": [{"url": "https://api.modellix.ai"}],
        "post": {"requestBody": {"content": content}},
    }


@pytest.fixture(scope="module")
def schema() -> ModelSchema:
    parsed = parse_schema(fragment(PROPERTIES, required=["prompt", "quality", "size"]))
    assert parsed is not None
    return parsed


def test_what_is_read(schema: ModelSchema) -> None:
    known = schema.parameters
    assert list(known) == list(PROPERTIES)
    assert known["prompt"] == Parameter(
        name="prompt",
        type="string",
        min_length=1,
        max_length=40,
        required=True,
        description="What to draw.",
    )
    assert known["seed"] == Parameter(
        name="seed", type="integer", minimum=0, maximum=2147483647, nullable=True
    )
    assert known["size"].default == "1024*1024"
    assert not known["size"].required  # it has a default
    assert known["images"].nullable
    assert known["images"].type == "array"
    assert known["either"].type is None
    assert known["fixed"].enum == (7,)


VALID: list[tuple[str, Json]] = [
    ("quality", "low"),
    ("seed", 7),
    ("seed", 7.0),
    ("seed", None),
    ("strength", 0),
    ("strength", 1.0),
    ("watermark", True),
    ("style", ""),
    ("images", ["u"]),
    ("images", None),
    ("extra", {"a": 1}),
    ("n", 2),
    ("n", 2.0),
    ("anything", [None]),
    ("either", 7),
    ("either", "7"),
    ("pointer", {"x": 1}),
    ("prompt", "é" * 40),
    ("fixed", 7),
]


@pytest.mark.parametrize(("name", "value"), VALID)
def test_what_fits(schema: ModelSchema, name: str, value: Json) -> None:
    params = {"quality": "low", name: value}
    prompt = params.pop("prompt", "a cat")
    check_request(Request("a/x", str(prompt), params), schema)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("image", "--image VALUE"),
        ("first_frame", "--first-frame VALUE"),
        ("timeout", "--param timeout=VALUE"),
        ("no_wait", "--param no_wait=VALUE"),
        ("repaet", "--param repaet=VALUE"),
        ("a b", "--param a b=VALUE"),
    ],
)
def test_a_hint_names_the_option_that_the_cell_reads(name: str, option: str) -> None:
    parsed = parse_schema(fragment({"prompt": {}, name: {}}, required=[name]))
    assert parsed is not None
    with pytest.raises(InvalidRequest) as caught:
        check_request(Request("a/x", "a cat", {}), parsed)
    assert caught.value.hint == f"To give it in a cell: {option}."


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, ["needs `quality`", ": --quality VALUE."]),
        ({"qualty": "low"}, ["takes no `qualty`", "`quality`", "It takes prompt, quality"]),
        ({"zzz": 1}, ["takes no `zzz`", "It takes"]),
        ({"quality": "hihg"}, ["`quality`", "`low`, `medium`, `high`", "`hihg`", "mean `high`"]),
        ({"size": "1024x1024"}, ["`1024*1024`", "`1024x1024`"]),
        ({"n": 3}, ["`n`", "one of 1, 2, 4", "3"]),
        ({"n": True}, ["`n`", "one of 1, 2, 4", "true"]),
        ({"fixed": 8}, ["`fixed`", "must be 7", "8"]),
        ({"seed": -1}, ["`seed`", "0 to 2,147,483,647", "-1"]),
        ({"seed": 7.5}, ["`seed`", "whole number", "7.5"]),
        ({"seed": True}, ["`seed`", "whole number", "true"]),
        ({"seed": "7"}, ["`seed`", "whole number", "`7`"]),
        ({"strength": 1.01}, ["`strength`", "0 to 1", "1.01"]),
        ({"strength": float("nan")}, ["`strength`", "a number"]),
        ({"steps": 0}, ["`steps`", "at least 1"]),
        ({"steps": None}, ["`steps`", "whole number", "null"]),
        ({"watermark": "yes"}, ["`watermark`", "true or false", "`yes`"]),
        ({"watermark": 1}, ["`watermark`", "true or false"]),
        ({"style": 7}, ["`style`", "a text", """--param style='"7"'"""]),
        ({"style": True}, ["`style`", "a text", """--param style='"true"'"""]),
        ({"images": "u"}, ["`images`", "a list"]),
        ({"extra": []}, ["`extra`", "an object"]),
    ],
)
def test_what_does_not_fit(schema: ModelSchema, params: dict[str, Json], words: list[str]) -> None:
    quality: dict[str, Json] = {"quality": "low"} if params else {}
    with pytest.raises(InvalidRequest) as caught:
        check_request(Request("a/x", "a cat", {**quality, **params}), schema)
    assert "a/x" in caught.value.message
    assert "\n" not in caught.value.message
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (None, ["needs `prompt`", "cell's text", "What to draw."]),
        ("", ["1 to 40 characters", "has 0"]),
        ("x" * 41, ["1 to 40 characters", "has 41"]),
    ],
)
def test_a_prompt_that_does_not_fit(
    schema: ModelSchema, prompt: str | None, words: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_request(Request("a/x", prompt, {"quality": "low"}), schema)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"minLength": 5}, ["at least 5 characters"]),
        ({"maxLength": 2}, ["at most 2 characters"]),
    ],
)
def test_one_bound_of_a_text(properties: dict[str, Any], words: list[str]) -> None:
    parsed = parse_schema(fragment({"prompt": properties}))
    assert parsed is not None
    with pytest.raises(InvalidRequest) as caught:
        check_request(Request("a/x", "cat"), parsed)
    assert all(word in caught.value.message for word in words)


@pytest.mark.parametrize("more", [True, {}, {"type": "string"}])
def test_an_extensible_schema_takes_what_it_does_not_list(more: object) -> None:
    parsed = parse_schema(fragment({"prompt": {}}, additionalProperties=more))
    assert parsed is not None
    check_request(Request("a/x", "cat", {"other": 1}), parsed)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda doc: {"data": doc, "code": 0},
        lambda doc: {"paths": {"/api/v1/a/x": {"get": {}, "post": doc["post"]}}},
        lambda doc: {"data": {"paths": {"/other": None, "/x": {"post": doc["post"]}}}},
    ],
)
def test_other_places_of_the_same_fragment(wrap: Any) -> None:
    parsed = parse_schema(wrap(fragment({"prompt": {"type": "string"}})))
    assert parsed is not None
    assert list(parsed.parameters) == ["prompt"]


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        "text",
        [],
        {},
        {"post": []},
        {"paths": []},
        {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/x"}}}}}},
        fragment({}),
        fragment([]),  # type: ignore[arg-type]  # what the service may do all the same
        fragment(None),  # type: ignore[arg-type]  # as above
    ],
)
def test_what_is_no_schema(document: object) -> None:
    assert parse_schema(document) is None


@pytest.mark.parametrize(
    "odd",
    [
        {"type": 7},
        {"type": []},
        {"type": ["string", "integer"]},
        {"type": "unheard-of"},
        {"type": {"a": 1}},
        {"enum": []},
        {"enum": "abc"},
        {"minimum": "1"},
        {"minimum": True},
        {"minimum": float("nan")},
        {"minimum": 10, "maximum": 1},
        {"minLength": -1},
        {"maxLength": 1.5},
        {"minLength": 9, "maxLength": 1},
        {"anyOf": []},
        {"anyOf": 7},
        {"anyOf": [7, None]},
        {"description": 7},
        {"maximum": 10**400},
    ],
)
def test_what_is_odd_checks_nothing(odd: dict[str, Any]) -> None:
    parsed = parse_schema(fragment({"v": odd}, required={"v": 1}))
    assert parsed is not None
    check_request(Request("a/x", None, {"v": 5}), parsed)
    check_request(Request("a/x", None, {"v": "text"}), parsed)
    check_request(Request("a/x", None, {}), parsed)


def test_a_property_that_is_no_object_is_left_out() -> None:
    parsed = parse_schema(fragment({"a": True, "b": {}}, required=["a", 7, None]))
    assert parsed is not None
    assert list(parsed.parameters) == ["b"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
KEYWORDS = ["type", "enum", "const", "default", "minimum", "maximum", "minLength", "maxLength"]
NAMES = st.sampled_from([*KEYWORDS, "anyOf", "oneOf", "nullable", "description", "$ref"])
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
PROPERTY = st.dictionaries(NAMES, JSON | TYPES | st.lists(st.dictionaries(NAMES, JSON | TYPES)))


@given(JSON)
def test_no_document_crashes_it(document: object) -> None:
    parse_schema(document)
    parse_schema({"post": document, "paths": document, "data": document})


@given(st.dictionaries(st.sampled_from("abc"), PROPERTY | JSON), JSON, JSON)
def test_no_schema_and_no_value_crash_it(
    properties: dict[str, Any], required: Any, value: Any
) -> None:
    parsed = parse_schema(fragment(properties, required=required))
    if parsed is None:
        return
    message = "fits"
    try:
        check_request(Request("a/x", None, {"a": value}), parsed)
    except InvalidRequest as problem:
        message = problem.message
    assert 0 < len(message) < 1000


@given(st.sampled_from(VALID), st.sampled_from(VALID))
def test_what_fits_survives_the_way_through_json(one: Any, other: Any) -> None:
    parsed = parse_schema(json.loads(json.dumps(fragment(PROPERTIES))))
    assert parsed is not None
    params = dict([one, other])
    check_request(Request("a/x", params.pop("prompt", None), params), parsed)


TEXT: dict[str, Any] = {"type": "string"}
OBJECT: dict[str, Any] = {"type": "object", "properties": {"prompt": TEXT}}


@pytest.mark.parametrize(
    "kind",
    [
        "application/json; charset=utf-8",
        "Application/JSON;charset=utf-8",
        "application/vnd.modellix+json",
        "application/problem+json ; a=b",
    ],
)
def test_any_media_type_of_json_is_read(kind: str) -> None:
    document = {"post": {"requestBody": {"content": {"text/plain": {}, kind: {"schema": OBJECT}}}}}
    parsed = parse_schema(document)
    assert parsed is not None
    assert list(parsed.parameters) == ["prompt"]


@pytest.mark.parametrize("document", [OBJECT, {"schema": OBJECT}, {"data": OBJECT}])
def test_a_schema_may_stand_at_the_root(document: object) -> None:
    parsed = parse_schema(document)
    assert parsed is not None
    assert list(parsed.parameters) == ["prompt"]


def test_references_and_parts_are_put_together() -> None:
    common = {"properties": {"prompt": TEXT, "seed": {"type": "integer"}}, "required": ["prompt"]}
    own = {"properties": {"size": {"$ref": "#/components/schemas/Size"}}, "required": ["size"]}
    schema = {"allOf": [{"$ref": "#/components/schemas/Common"}, own]}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}}
    parsed = parse_schema(
        {
            "post": {"requestBody": {"content": content}},
            "components": {
                "schemas": {"Request": schema, "Common": common, "Size": {"enum": ["1K", "2K"]}}
            },
        }
    )
    assert parsed is not None
    assert {n: p.required for n, p in parsed.parameters.items()} == {
        "prompt": True,
        "seed": False,
        "size": True,
    }
    check_request(Request("a/x", "cat", {"size": "1K"}), parsed)
    with pytest.raises(InvalidRequest, match="must be one of `1K`, `2K`"):
        check_request(Request("a/x", "cat", {"size": "1k"}), parsed)


FRAME = {"first_frame": {"type": "string"}}
CLIP = {"first_clip": {"type": "string"}, "keep": {"type": "boolean"}}
FORMS = fragment({})["post"]
FORMS["requestBody"]["content"]["application/json"]["schema"] = {
    "oneOf": [
        {"title": "Option 1", "properties": {"prompt": TEXT, **FRAME}, "required": ["first_frame"]},
        {"title": "Option 2", "properties": {"prompt": TEXT, **CLIP}, "required": ["first_clip"]},
    ]
}


def test_a_request_must_have_one_of_the_forms() -> None:
    parsed = parse_schema({"post": FORMS})
    assert parsed is not None
    assert list(parsed.parameters) == ["prompt", "first_frame", "first_clip", "keep"]
    assert not any(parameter.required for parameter in parsed.parameters.values())
    right: list[dict[str, Json]] = [{"first_frame": "a"}, {"first_clip": "a", "keep": True}]
    for params in right:
        check_request(Request("a/x", None, params), parsed)
    wrong: list[tuple[dict[str, Json], list[str]]] = [
        ({}, ["needs `first_frame`", "2 forms", "“Option 1”"]),
        ({"keep": True}, ["needs `first_clip`", "“Option 2”"]),
        ({"first_frame": "a", "first_clip": "b"}, ["takes no `first_clip` together"]),
        ({"first_clip": 7}, ["`first_clip`", "must be a text", "“Option 2”"]),
    ]
    for params, words in wrong:
        with pytest.raises(InvalidRequest) as caught:
            check_request(Request("a/x", None, params), parsed)
        assert all(word in str(caught.value) for word in words), str(caught.value)


def test_more_forms_than_can_be_checked_check_nothing() -> None:
    many = {"anyOf": [{"properties": {f"p{i}": TEXT}, "required": [f"p{i}"]} for i in range(9)]}
    parsed = parse_schema({"allOf": [many, many]})
    assert parsed is not None
    check_request(Request("a/x", "anything", {"other": 1}), parsed)


@pytest.mark.parametrize(
    ("properties", "required", "name"),
    [
        ({"prompt": TEXT, "text": TEXT}, ["prompt"], "prompt"),
        ({"prompt": TEXT, "text": TEXT}, ["text"], "text"),
        ({"prompt": TEXT, "text": TEXT}, [], "prompt"),
        ({"voice": TEXT, "text": TEXT}, [], "text"),
        ({"image": TEXT}, ["image"], None),
    ],
)
def test_where_the_prompt_goes(
    properties: dict[str, Any], required: list[str], name: str | None
) -> None:
    parsed = parse_schema(fragment(properties, required=required))
    assert parsed is not None
    assert parsed.prompt_parameter == name


def test_a_model_without_a_prompt_says_so() -> None:
    parsed = parse_schema(fragment({"image": TEXT}))
    assert parsed is not None
    with pytest.raises(InvalidRequest, match=r"takes no prompt\.\s+Leave it out"):
        check_request(Request("a/x", "a cat", {"image": "u"}), parsed)


def test_every_model_of_the_sandbox_is_read() -> None:
    from modellix_jupyter.sandbox_server.catalog import MODELS

    for slug, model in MODELS.items():
        parsed = parse_schema(json.loads(json.dumps(model.openapi("http://127.0.0.1:1"))))
        assert parsed is not None, slug
        assert list(parsed.parameters) == sorted(
            model.parameters, key=list(parsed.parameters).index
        )
        for name in model.required:
            assert parsed.parameters[name].required or "default" in model.parameters[name]


@pytest.mark.parametrize(
    ("value", "sent"),
    [(4, "4"), (8.0, "8"), (5, 5), ("4", "4"), (True, True), ([4], [4]), (0.5, "0.5")],
)
def test_a_number_is_the_text_that_stands_for_it_among_the_choices(value: Json, sent: Json) -> None:
    assert as_choice(value, Parameter(name="durationSeconds", enum=("4", "8", "0.5"))) == sent
    assert as_choice(value, Parameter(name="durationSeconds", enum=(4, 8, 0.5))) == value
