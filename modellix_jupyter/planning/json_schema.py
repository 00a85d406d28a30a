"""The part of JSON Schema that is checked here, for untrusted schemas.

`clean` keeps the supported and valid parts of a schema, with local references replaced by their
targets; `problem` then checks a value. All other parts of a schema are left out and not checked;
`unchecked` names them. `pattern` is never run: a server's regular expression can run for ever.
`oneOf` also accepts a value that fits several choices, since those of real services overlap.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any, NamedTuple, TypeAlias, TypeGuard
from urllib.parse import unquote, urlsplit

from modellix_jupyter.errors import short

# A cleaned schema.
Schema: TypeAlias = Mapping[str, Any]

# Limits of what is read from a document: references can expand to a huge schema.
_MAX_DEPTH = 16
_MAX_NODES = 4000
_CHOICES = ("anyOf", "oneOf")


class Problem(NamedTuple):
    """A problem: its place in a value (``[2].image``), what it is, the part and its schema."""

    where: str
    what: str
    value: object
    schema: Schema


# -- cleaning


def clean(schema: object, document: object = None) -> Schema:
    """Return the supported part of a schema; at worst an empty one, which accepts all."""
    return _Cleaner((document, schema)).clean(schema)


class _Cleaner:
    """Reads one schema of a document, up to a number of nodes."""

    def __init__(self, roots: Sequence[object]) -> None:
        # What references point into: the document, or else the schema by itself.
        self._roots = roots
        self._left = _MAX_NODES

    def clean(self, schema: object, depth: int = 0, within: tuple[str, ...] = ()) -> Schema:
        """Read a node; `within` has the references that lead to it, to follow no cycle."""
        self._left -= 1
        if not isinstance(schema, dict):
            return {}
        if depth > _MAX_DEPTH or self._left < 0:
            return {"unchecked": ("too much is nested",)}
        pointer = schema.get("$ref")
        if isinstance(pointer, str):
            rest = self._own({k: v for k, v in schema.items() if k != "$ref"}, depth, within)
            found = next((at for r in self._roots if (at := _at(r, pointer)) is not None), None)
            if pointer in within or not isinstance(found, dict):
                return {**rest, "unchecked": (*rest.get("unchecked", ()), "$ref")}
            target = self.clean(found, depth + 1, (*within, pointer))
            return (
                {**target, **rest} if not rest.keys() & target.keys() else {"allOf": [target, rest]}
            )
        return self._own(schema, depth, within)

    def _own(self, schema: dict[str, Any], depth: int, within: tuple[str, ...]) -> Schema:
        def inner(value: object) -> Schema:
            return self.clean(value, depth + 1, within)

        found = {**_annotations(schema), **_types(schema), **_bounds(schema)}
        for key in ("allOf", *_CHOICES):
            choices = schema.get(key)
            read = [inner(each) for each in choices] if isinstance(choices, list) else []
            if read:
                found[key] = read
        properties, more = schema.get("properties"), schema.get("additionalProperties")
        if isinstance(properties, dict):
            found["properties"] = {
                name: inner(each) for name, each in properties.items() if isinstance(each, dict)
            }
        if isinstance(schema.get("items"), dict):
            found["items"] = inner(schema["items"])
        if more is False and "patternProperties" not in schema:
            found["additionalProperties"] = False
        elif isinstance(more, dict):
            found["additionalProperties"] = inner(more)
        elif more is True or "patternProperties" in schema:
            found["additionalProperties"] = {}
        required = schema.get("required")
        if isinstance(required, list):
            found["required"] = tuple(name for name in required if isinstance(name, str))
        unread = tuple(key for key in schema if _is_unread(key, schema, found))
        return {**found, "unchecked": unread} if unread else found


def _is_unread(key: str, schema: dict[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether a keyword restricts values and is not checked."""
    if key in _NEVER_CHECKED:
        return True
    limits = key in _CHECKED and schema[key] is not None and schema[key] is not False
    return limits and key not in found and _INSTEAD.get(key) not in found


def unchecked(schema: Schema, *, inside: bool = True) -> set[str]:
    """Return the unchecked keywords of a cleaned schema; with `inside`, also of its parts."""
    parts = [each for key in ("allOf", *_CHOICES) for each in schema.get(key, ())]
    if inside:
        parts += schema.get("properties", {}).values()
        parts += (schema[key] for key in ("items", "additionalProperties") if key in schema)
    deeper = (unchecked(each, inside=inside) for each in parts if isinstance(each, Mapping))
    return set(schema.get("unchecked", ())).union(*deeper)


def _at(document: object, pointer: str) -> object:
    """Return the target of a local JSON pointer, or None; nothing is ever fetched."""
    if not pointer.startswith("#"):
        return None
    for part in unquote(pointer[1:]).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document


def _annotations(schema: dict[str, Any]) -> dict[str, Any]:
    texts = ("title", "description", "format", "pattern")
    kept = {key: schema[key] for key in texts if isinstance(schema.get(key), str)}
    return kept | {key: schema[key] for key in ("default", "example", "examples") if key in schema}


def _types(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    named = schema.get("type")
    types = tuple(named) if isinstance(named, list) else (named,)
    if types and all(isinstance(each, str) and each in TYPES for each in types):
        found["type"] = types
    if schema.get("nullable") is True:
        found["nullable"] = True
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and values:
        found["enum"] = tuple(values)
    return found


def _bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the valid bounds, without pairs that exclude every value."""
    found = {key: schema[key] for key in _NUMBERS if is_number(schema.get(key))}
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(exclusive) is True and bound in found:  # as in older versions of JSON Schema
            found[exclusive] = found.pop(bound)
    found |= {key: schema[key] for key in _LENGTHS if _is_length(schema.get(key))}
    for low, high in _PAIRS:
        if low in found and high in found and found[low] > found[high]:
            del found[low], found[high]
    if schema.get("uniqueItems") is True:
        found["uniqueItems"] = True
    return found


_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_PAIRS = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"))
_LENGTHS = ("minLength", "maxLength", "minItems", "maxItems")
_CHECKED = frozenset(
    {*_NUMBERS, *_LENGTHS, *_CHOICES, "allOf", "type", "enum", "const", "uniqueItems"}
    | {"properties", "required", "items", "additionalProperties"}
)
# The names under which some keywords are kept.
_INSTEAD = {"const": "enum", "minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}
_NEVER_CHECKED = frozenset(
    {"pattern", "patternProperties", "propertyNames", "multipleOf", "not", "if", "contains"}
    | {"prefixItems", "dependentRequired", "dependentSchemas", "dependencies"}
    | {"minProperties", "maxProperties", "unevaluatedProperties", "unevaluatedItems"}
)


# -- checking


def problem(schema: Schema, value: object) -> Problem | None:
    """Return the first problem of a value, or None."""
    return next(problems(schema, value, ""), None)


def problems(schema: Schema, value: object, where: str) -> Iterator[Problem]:
    """Yield the problems of a value."""
    if value is None and schema.get("nullable"):
        return
    own = _own_problem(schema, value)
    if own is not None:
        yield Problem(where, own, value, schema)
        return
    for each in schema.get("allOf", ()):
        yield from problems(each, value, where)
    for key in _CHOICES:
        yield from _nearest(schema.get(key, ()), value, where)
    if isinstance(value, list | tuple) and "items" in schema:
        for index, item in enumerate(value):
            yield from problems(schema["items"], item, f"{where}[{index}]")
    if isinstance(value, Mapping):
        yield from _object_problems(schema, value, where)


def _nearest(choices: Sequence[Schema], value: object, where: str) -> list[Problem]:
    """Return the problem by the choice that is nearest to the value; none if one fits."""
    found = [next(problems(choice, value, where), None) for choice in choices]
    wrong = [each for each in found if each is not None]
    if len(wrong) < len(found) or not wrong:
        return []
    if all(each.where == where and each.what.startswith("must be a") for each in wrong):
        nouns = dict.fromkeys(each.what.removeprefix("must be ") for each in wrong)
        if len(nouns) > 1:
            return [wrong[0]._replace(what=f"must be {' or '.join(nouns)}")]
    return [max(wrong, key=_nearness)]


def _nearness(found: Problem) -> tuple[int, bool]:
    """Return how nearly a value fits: with a wrong part, more nearly than with a wrong type."""
    return len(found.where), not any(found.what == f"must be {noun}" for noun, _ in TYPES.values())


def _object_problems(schema: Schema, value: Mapping[str, Any], where: str) -> Iterator[Problem]:
    known, more = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield Problem(where, f"needs `{short(name)}`", value, schema)
    for name, each in value.items():
        inside = f"{where}.{short(name)}"
        if name in known:
            yield from problems(known[name], each, inside)
        elif more is False:
            yield Problem(where, f"takes no `{short(name)}`", value, schema)
        else:
            yield from problems(more, each, inside)


def _own_problem(schema: Schema, value: object) -> str | None:
    """Return the problem of a value itself, without its items and properties."""
    if "enum" in schema and not any(same(value, choice) for choice in schema["enum"]):
        return f"must be {_one_of(schema['enum'])}"
    types = schema.get("type", ())
    if types and not any(TYPES[name][1](value) for name in types):
        return f"must be {' or '.join(TYPES[name][0] for name in types)}"
    if is_number(value):
        return _number_problem(schema, value)
    if isinstance(value, str):
        told = _outside("must have", len(value), schema.get("minLength"), schema.get("maxLength"))
        counted = told and f"{told} characters, and has {len(value):,}"
        return counted or _format_problem(schema.get("format"), value)
    if isinstance(value, list | tuple):
        return _list_problem(schema, value)
    return None


def _number_problem(schema: Schema, value: float) -> str | None:
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is not None and value <= above:
        return f"must be above {_figure(above)}"
    if below is not None and value >= below:
        return f"must be below {_figure(below)}"
    return _outside("must be", value, schema.get("minimum"), schema.get("maximum"))


def _list_problem(schema: Schema, value: Sequence[object]) -> str | None:
    told = _outside("must have", len(value), schema.get("minItems"), schema.get("maxItems"))
    if told is not None:
        return f"{told} items, and has {len(value):,}"
    twice = schema.get("uniqueItems") and any(
        same(item, other) for index, item in enumerate(value) for other in value[:index]
    )
    return "must have each item once" if twice else None


def _outside(verb: str, value: float, low: float | None, high: float | None) -> str | None:
    if low is not None and high is not None and not low <= value <= high:
        return f"{verb} {_figure(low)} to {_figure(high)}"
    if low is not None and value < low:
        return f"{verb} at least {_figure(low)}"
    if high is not None and value > high:
        return f"{verb} at most {_figure(high)}"
    return None


def _format_problem(name: str | None, value: str) -> str | None:
    noun, read = _FORMATS.get(name or "", ("", None))
    if read is None:
        return None
    with suppress(ValueError):
        if read(value):
            return None
    return f"must be {noun}"


# The checked formats, each with its description and its parser; others are not checked.
_FORMATS: dict[str, tuple[str, Callable[[str], object]]] = {
    "date": ("a date such as 2026-11-25", date.fromisoformat),
    "date-time": ("a time such as 2026-11-25T19:30:00Z", datetime.fromisoformat),
    **dict.fromkeys(("uri", "url"), ("an address", lambda text: urlsplit(text).scheme)),
}


def same(value: object, choice: object) -> bool:
    """Whether two values are equal in JSON: 1 is 1.0, but 1 is not true, at any depth."""
    if isinstance(value, bool) or isinstance(choice, bool):
        return value is choice
    if isinstance(value, list | tuple) and isinstance(choice, list | tuple):
        return len(value) == len(choice) and all(map(same, value, choice))
    if isinstance(value, Mapping) and isinstance(choice, Mapping):
        return value.keys() == choice.keys() and all(same(value[k], choice[k]) for k in value)
    return value == choice


def _one_of(values: tuple[Any, ...]) -> str:
    listed = short(", ".join(map(figure_of, values)), 400)
    return listed if len(values) == 1 else f"one of {listed}"


def figure_of(value: object) -> str:
    """Return a value as a message quotes it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return short(f"`{value}`" if isinstance(value, str) else value)


def _figure(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a finite number, and not a bool, which is a number only in Python."""
    if isinstance(value, bool):
        return False
    # Not called with an int: `math.isfinite` overflows on a large one.
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _is_length(value: object) -> bool:
    return is_number(value) and isinstance(value, int) and value >= 0


def _is_integer(value: object) -> bool:
    return is_number(value) and (isinstance(value, int) or value.is_integer())


# The types of JSON Schema, each with its name in messages and its check.
TYPES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "string": ("a text", lambda value: isinstance(value, str)),
    "integer": ("a whole number", _is_integer),
    "number": ("a number", is_number),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "array": ("a list", lambda value: isinstance(value, list | tuple)),
    "object": ("an object", lambda value: isinstance(value, Mapping)),
    "null": ("null", lambda value: value is None),
}
