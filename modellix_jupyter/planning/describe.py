"""A model in words: what each of its parameters takes, and a cell that calls it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from modellix_jupyter.planning.inputs import Slot, noun_of, slots_of
from modellix_jupyter.planning.json_schema import Schema, figure_of, unchecked
from modellix_jupyter.planning.schema import ModelSchema, Parameter
from modellix_jupyter.planning.suggestions import short

COLUMNS = ("parameter", "type", "required", "default", "values", "description")
# What an example has for a parameter that takes media.
_FILES = {"image": "picture.png", "video": "film.mp4", "audio": "sound.mp3", "media": "file.png"}


def describe(schema: ModelSchema) -> list[dict[str, Any]]:
    """Return a row for each parameter, those that are needed first."""
    slots = slots_of(schema)
    known = sorted(schema.parameters.values(), key=lambda each: not each.required)
    return [_row(parameter, slots.get(parameter.name)) for parameter in known]


def forms_in_words(schema: ModelSchema) -> str:
    """Return what each form of a request needs; nothing where there is one form."""
    if len(schema.forms) < 2:  # noqa: PLR2004 - one is no choice
        return ""
    each = (", ".join(sorted(form.required)) or form.title for form in schema.forms)
    return f"A request needs one of: {'; or '.join(each)}."


def unchecked_in_words(schema: ModelSchema) -> str:
    """Return what only the service checks; nothing where all is checked before it is sent."""
    names: dict[str, list[str]] = {keyword: ["the request"] for keyword in schema.unchecked}
    for name, each in schema.parameters.items():
        for keyword in unchecked(each.schema):
            names.setdefault(keyword, []).append(name)
    told = (f"{keyword} of {', '.join(names[keyword])}" for keyword in sorted(names))
    return f"Unchecked before it is sent: {short('; '.join(told), 400)}." if names else ""


def example_cell(model: str, schema: ModelSchema) -> str:
    """Return a cell that calls a model with all that it needs."""
    text, slots = schema.prompt_parameter, slots_of(schema)
    needed = [each for each in schema.parameters.values() if each.required and each.name != text]
    if len(schema.forms) > 1:
        needed += [schema.parameters[n] for n in sorted(schema.forms[0].required) if n != text]
    options = (f"--{p.name.replace('_', '-')} {_example(p, slots.get(p.name))}" for p in needed)
    line = " ".join(["%%modellix", model, *dict.fromkeys(options)])
    prompts = {"prompt": "what to make", "text": "what to say"}
    return f"{line}\n{prompts.get(text or '', '')}".strip()


def _row(parameter: Parameter, slot: Slot | None) -> dict[str, Any]:
    return {
        "parameter": parameter.name,
        "type": _type(parameter, slot),
        "required": parameter.required,
        "default": "" if parameter.default is None else figure_of(parameter.default).strip("`"),
        "values": ", ".join(_values(parameter.schema)),
        "description": " ".join(parameter.description.split()),
    }


def _type(parameter: Parameter, slot: Slot | None) -> str:
    if slot is None:
        named = parameter.type or "any"
        return "text" if named == "string" else named
    noun = noun_of(slot.kind)
    if not slot.many:
        return noun
    return f"{noun} or list of {noun}s" if slot.one else f"list of {noun}s"


def _values(schema: Schema) -> Iterator[str]:
    """Yield what a value must be, in a few words each."""
    if "enum" in schema:
        yield short(" ".join(str(value) for value in schema["enum"]), 200)
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        yield f"{low} to {high}"
    words = {
        "exclusiveMinimum": "above {}",
        "exclusiveMaximum": "below {}",
        "minItems": "at least {} of them",
        "maxItems": "at most {} of them",
        "maxLength": "at most {} characters",
    }
    if low is None or high is None:
        words |= {"minimum": "at least {}", "maximum": "at most {}"}
    yield from (text.format(schema[key]) for key, text in words.items() if key in schema)
    for key in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(key, ()):
            yield from _values(each)


def _example(parameter: Parameter, slot: Slot | None) -> str:
    if slot is not None:
        return _FILES[slot.kind]
    if parameter.enum:
        return shlex.quote(str(parameter.enum[0]))
    stated = parameter.schema.get("example")
    if stated is not None:
        return shlex.quote(stated if isinstance(stated, str) else json.dumps(stated))
    return {"integer": "1", "number": "1.0", "boolean": "true"}.get(parameter.type or "", "VALUE")
