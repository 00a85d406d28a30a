"""A model in words, for every model of the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from modellix_jupyter.planning.cell_parser import parse_cell
from modellix_jupyter.planning.inputs import place, slots_of
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.planning.schema import (
    COLUMNS,
    ModelSchema,
    check_request,
    example_cell,
    parameter_rows,
    parse_schema,
    unchecked_in_words,
)
from modellix_jupyter.sandbox_server.catalog import MODELS
from modellix_jupyter.values import Request


def schema_of(slug: str) -> ModelSchema:
    schema = parse_schema(MODELS[slug].openapi(""))
    assert schema is not None
    return schema


@pytest.mark.parametrize("slug", [slug for slug in MODELS if not slug.startswith("sandbox/")])
def test_the_example_is_a_cell_that_the_model_takes(slug: str) -> None:
    schema = schema_of(slug)
    line, _, body = example_cell(slug, schema).partition("\n")
    command = parse_cell(line.removeprefix("%%modellix "), body)
    (plan,) = make_plan(command.prompts or (None,), command.models, params=command.params)
    params = place(plan.params, slots_of(schema), lambda *_: "https://a.test/file")
    where = schema.prompt_parameter or "prompt"
    check_request(Request(slug, plan.prompt, params, where), schema)


def test_the_example_gives_a_parameter_with_the_name_of_an_option_by_param() -> None:
    of = {"timeout": {"type": "integer"}, "voice_name": {"type": "string"}}
    schema = parse_schema({"type": "object", "properties": of, "required": [*of]})
    assert schema is not None
    line, _, _ = example_cell("a/x", schema).partition("\n")
    assert parse_cell(line.removeprefix("%%modellix "), "").params == {
        "timeout": 1,
        "voice_name": "VALUE",
    }


def test_what_is_said_of_each_parameter() -> None:
    rows = {row["parameter"]: row for row in parameter_rows(schema_of("openai/gpt-image-2-edit"))}
    assert list(rows)[:2] == ["prompt", "image"]
    assert tuple(rows["image"]) == COLUMNS
    assert rows["image"]["type"] == "list of pictures"
    assert rows["image"]["values"] == "at least 1 of them, at most 16 of them"
    assert rows["n"]["values"] == "1 to 10"
    assert rows["n"]["default"] == "1"
    assert rows["size"]["values"].startswith("1024x1024 ")
    several = schema_of("bytedance/seedream-5.0-lite-edit")
    either = {row["parameter"]: row for row in parameter_rows(several)}
    assert either["image"]["type"] == "picture or list of pictures"
    assert either["image"]["description"] == "One picture, or a list of 1 to 14."


def test_what_only_the_service_checks_is_named() -> None:
    assert unchecked_in_words(schema_of("sandbox/fast")) == ""
    frames = unchecked_in_words(schema_of("vidu/viduq2-pro-multi-frame"))
    assert frames == "Unchecked before it is sent: pattern of start_image, key_images."
    odd = {
        "properties": {"width": {"type": "integer", "multipleOf": 8}, "seed": {"type": "dice"}},
        "dependentRequired": {"width": ["seed"]},
    }
    schema = parse_schema({"schema": odd})
    assert schema is not None
    assert unchecked_in_words(schema) == (
        "Unchecked before it is sent: dependentRequired of the request; multipleOf of width; "
        "type of seed."
    )
    many: dict[str, Any] = {"oneOf": [{"properties": {f"p{n}": {}}} for n in range(40)]}
    schema = parse_schema({"schema": many})
    assert schema is not None
    assert "more than 32 forms of the request" in unchecked_in_words(schema)
