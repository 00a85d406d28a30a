"""The parameters that a model takes, read from the service's untrusted description of it.

Whatever is odd in a description is left out, and what was left out is not checked: refusing a
request that the service would take is worse than letting it refuse one itself, for nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeGuard

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.planning.suggestions import did_you_mean, short
from modellix_jupyter.values import Json, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a model; None is what the description does not say.

    Both bounds are included, and texts are measured in code points. A parameter with a default is
    never required.
    """

    name: str
    type: str | None = None
    enum: tuple[Json, ...] | None = None
    default: Json = None
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    required: bool = False
    nullable: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class ModelSchema:
    """The parameters of a model by name, the prompt among them; some models also take others."""

    parameters: Mapping[str, Parameter]
    extensible: bool = False


def parse_schema(document: object) -> ModelSchema | None:
    """Read a model's OpenAPI fragment, or return None where it has no parameters.

    Nothing in the document is trusted, and nothing it refers to is fetched.
    """
    schema = next((s for s in map(_body_schema, _operations(document)) if s), None)
    if schema is None:
        return None
    properties, required = schema["properties"], schema.get("required")
    names = required if isinstance(required, list) else []
    parameters = {
        name: _parameter(name, _flat(value), required=name in names)
        for name, value in properties.items()
        if isinstance(name, str) and isinstance(value, dict)
    }
    more = schema.get("additionalProperties")
    return ModelSchema(MappingProxyType(parameters), more is True or isinstance(more, dict))


def check_request(request: Request, schema: ModelSchema) -> None:
    """Raise `InvalidRequest` for what the service would refuse, before it is sent."""
    body, known = request.body(), schema.parameters
    unknown = next((name for name in body if name not in known), None)
    if unknown is not None and not schema.extensible:
        raise InvalidRequest(
            f"{request.model} takes no `{unknown}`.",
            f"{did_you_mean(unknown, known)} It takes {short(', '.join(known), 400)}.".strip(),
        )
    missing = next((p for p in known.values() if p.required and p.name not in body), None)
    if missing is not None:
        raise InvalidRequest(
            f"{request.model} needs `{missing.name}`, which is not given.", _how_to_give(missing)
        )
    for name, value in body.items():
        if name in known:
            _check_value(request.model, known[name], value)


def _operations(document: object) -> Iterator[object]:
    """Find the ``post`` of a fragment: at its top, under a path, or in an envelope."""
    for level in (document, _get(document, "data")):
        yield _get(level, "post")
        paths = _get(level, "paths")
        if isinstance(paths, dict):
            yield from (_get(path, "post") for path in paths.values())


def _body_schema(operation: object) -> dict[str, Any] | None:
    content = _get(_get(_get(operation, "requestBody"), "content"), "application/json")
    schema = _get(content, "schema")
    properties = _get(schema, "properties")
    filled = isinstance(properties, dict) and bool(properties)
    return schema if isinstance(schema, dict) and filled else None


def _get(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """Fold ``anyOf`` and ``oneOf`` into one level where only null stands beside one choice.

    With several real choices nothing is folded, and so nothing of them is checked.
    """
    for key in ("anyOf", "oneOf"):
        choices = schema.get(key)
        if not isinstance(choices, list):
            continue
        real = [choice for choice in choices if _get(choice, "type") != "null"]
        if len(real) < len(choices):
            schema = {**schema, "nullable": True}
        if len(real) == 1 and isinstance(real[0], dict):
            schema = {**real[0], **schema}
        elif real:
            schema = {"type": None, **schema}
    return schema


def _parameter(name: str, schema: dict[str, Any], *, required: bool) -> Parameter:
    kind, null_type = _type(schema.get("type"))
    enum = _enum(schema)
    minimum, maximum = _bounds(schema, "minimum", "maximum", _is_number)
    min_length, max_length = _bounds(schema, "minLength", "maxLength", _is_length)
    description = schema.get("description")
    return Parameter(
        name=name,
        type=kind,
        enum=enum,
        default=schema.get("default"),
        minimum=minimum,
        maximum=maximum,
        min_length=min_length,
        max_length=max_length,
        required=required and schema.get("default") is None,
        nullable=null_type or schema.get("nullable") is True or (enum is not None and None in enum),
        description=description if isinstance(description, str) else "",
    )


def _type(value: object) -> tuple[str | None, bool]:
    """Return the one type that is meant, if it is one, and whether null is allowed beside it."""
    types = value if isinstance(value, list) else [value]
    real = [kind for kind in types if kind != "null"]
    one = real[0] if len(real) == 1 else None
    return one if isinstance(one, str) and one in _TYPES else None, len(real) < len(types)


def _enum(schema: dict[str, Any]) -> tuple[Json, ...] | None:
    if "const" in schema:
        return (schema["const"],)
    values = schema.get("enum")
    return tuple(values) if isinstance(values, list) and values else None


def _bounds(
    schema: dict[str, Any], low: str, high: str, fits: Callable[[object], bool]
) -> tuple[Any, Any]:
    """Return two bounds without what is no bound; neither, where they exclude every value."""
    minimum, maximum = (bound if fits(bound) else None for bound in map(schema.get, (low, high)))
    if minimum is not None and maximum is not None and minimum > maximum:
        return None, None
    return minimum, maximum


def _check_value(model: str, parameter: Parameter, value: Json) -> None:
    problem = _problem(parameter, value)
    if problem is not None:
        message = f"`{parameter.name}` of {model} {problem}; it is {_shown(value)}."
        raise InvalidRequest(message, _hint(parameter, value))


def _problem(parameter: Parameter, value: Json) -> str | None:
    """Return what a value should be and is not, or None."""
    if value is None and parameter.nullable:
        return None
    if parameter.enum is not None:
        fits = any(_same(value, choice) for choice in parameter.enum)
        return None if fits else f"must be {_one_of(parameter.enum)}"
    if parameter.type is not None:
        noun, fits_type = _TYPES[parameter.type]
        if not fits_type(value):
            return f"must be {noun}"
    if _is_number(value):
        return _outside("must be", value, parameter.minimum, parameter.maximum)
    if isinstance(value, str):
        low, high = parameter.min_length, parameter.max_length
        problem = _outside("must have", len(value), low, high)
        return problem and f"{problem} characters, and has {len(value):,}"
    return None


def _outside(verb: str, value: float, low: float | None, high: float | None) -> str | None:
    if low is not None and high is not None and not low <= value <= high:
        return f"{verb} {_figure(low)} to {_figure(high)}"
    if low is not None and value < low:
        return f"{verb} at least {_figure(low)}"
    if high is not None and value > high:
        return f"{verb} at most {_figure(high)}"
    return None


def _hint(parameter: Parameter, value: Json) -> str:
    if parameter.enum is not None and isinstance(value, str):
        suggestion = did_you_mean(value, [c for c in parameter.enum if isinstance(c, str)])
        if suggestion:
            return suggestion
    if parameter.type == "string" and (value is None or isinstance(value, bool | int | float)):
        # A value on the magic's line is JSON where it can be, and so 7 is a number there.
        return f"To give it as a text in a cell: --param {parameter.name}='\"{_shown(value)}\"'."
    return _how_to_give(parameter)


def _how_to_give(parameter: Parameter) -> str:
    about = " ".join(parameter.description.split())
    says = f" The service says of it: {short(about, 200)}" if about else ""
    if parameter.name == "prompt":
        return f"The prompt is the cell's text.{says}"
    # `--param` and not `--NAME`, because it holds also for a name that an option has taken.
    return f"To give it in a cell: --param {parameter.name}=VALUE.{says}"


def _same(value: Json, choice: Json) -> bool:
    """Compare as JSON does: 1 is 1.0, but is not true."""
    return isinstance(value, bool) is isinstance(choice, bool) and value == choice


def _one_of(values: tuple[Json, ...]) -> str:
    listed = short(", ".join(map(_shown, values)), 400)
    return listed if len(values) == 1 else f"one of {listed}"


def _shown(value: Json) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return short(f"`{value}`" if isinstance(value, str) else value)


def _figure(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a finite number; in Python, and not in JSON, a bool is one."""
    if isinstance(value, bool):
        return False
    # An int is not asked: `math.isfinite` overflows on a long one.
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _is_length(value: object) -> bool:
    return _is_number(value) and isinstance(value, int) and value >= 0


def _is_integer(value: object) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


_TYPES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "string": ("a text", lambda value: isinstance(value, str)),
    "integer": ("a whole number", _is_integer),
    "number": ("a number", _is_number),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "array": ("a list", lambda value: isinstance(value, list | tuple)),
    "object": ("an object", lambda value: isinstance(value, Mapping)),
}
