"""A model of the sandbox: its schema, its price, how long it takes and its faults."""

import math
import operator
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from modellix_jupyter.sandbox_server.faults import Fault

Media = Literal["image", "video", "audio", "text"]
#: A JSON Schema.
Schema = Mapping[str, Any]

#: The long side in pixels of each spelling of a resolution.
_LONG_SIDE = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
#: The place in a document of the schemas that others refer to.
_DEFINITIONS = "#/components/schemas/"
#: Seconds of the sandbox's only film; a film that is edited has as many.
_FILM_SECONDS = 4


_TYPES: Mapping[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": int | float,
    "array": list,
    "object": dict,
}
#: For each keyword in the catalogue: the check of a value, and the message if it fails.
_RULES: Mapping[str, tuple[Callable[[Any, Any], bool], str]] = {
    "enum": (lambda value, known: value in known, "must be one of {}"),
    "minLength": (lambda text, n: len(text.strip()) >= n, "must have at least {} character(s)"),
    "maxLength": (lambda text, n: len(text) <= n, "must have at most {} characters"),
    "pattern": (lambda text, form: re.match(form, text) is not None, "must match {}"),
    "minItems": (lambda items, n: len(items) >= n, "must have at least {} item(s)"),
    "maxItems": (lambda items, n: len(items) <= n, "must have at most {} items"),
    "required": (lambda value, names: value.keys() >= set(names), "must have '{}'"),
    "minimum": (operator.ge, "must be at least {}"),
    "maximum": (operator.le, "must be at most {}"),
    "exclusiveMinimum": (operator.gt, "must be above {}"),
}


def problem(schema: Schema, value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Return what is wrong with a value, or None."""
    if "anyOf" in schema:
        found = [problem(choice, value) for choice in schema["anyOf"]]
        return None if None in found else found[0]
    kind = schema["type"]
    # `True` is an `int` in Python but not in JSON.
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return f"must be of type {kind}"
    for keyword, (complies, complaint) in _RULES.items():
        if keyword in schema and not complies(value, stated := schema[keyword]):
            return complaint.format(", ".join(stated) if isinstance(stated, list) else stated)
    return _inner_problem(schema, value)


def _inner_problem(schema: Schema, value: object) -> str | None:
    """Check the items of a list and the properties of an object."""
    if isinstance(value, list):
        wrong = next(filter(None, (problem(schema["items"], item) for item in value)), None)
        return f"has an item that {wrong}" if wrong else None
    if isinstance(value, dict):
        for name, each in schema["properties"].items():
            if name in value and (wrong := problem(each, value[name])):
                return f"has a '{name}' that {wrong}"
    return None


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs; `form` is how the catalogue writes it, which differs in the service."""

    amount: float
    unit: str = "image"
    by: str | None = None
    amounts: Mapping[str, float] = field(default_factory=dict)
    form: Literal["object", "beside", "text", "fixed", "usd"] = "object"

    def entry(self) -> dict[str, object]:
        """Return the price as the catalogue prints it: an amount, or the ends of a range."""
        tail: dict[str, object] = {"currency": "USD", "unit": self.unit}
        if self.amounts:
            low, high = min(self.amounts.values()), max(self.amounts.values())
            return {"price": {"min": low, "max": high, **tail}}
        forms: Mapping[str, dict[str, object]] = {
            "object": {"price": {"amount": self.amount, **tail}},
            "fixed": {"price": {"fixed": self.amount, "unit": self.unit}},
            "beside": {"price": self.amount, "unit": self.unit},
            "text": {"price": f"${self.amount:g}", "unit": f"per {self.unit}"},
            "usd": {"pricing": {"usd": self.amount, "unit": self.unit}},
        }
        return forms[self.form]

    def of(self, values: Mapping[str, object]) -> float:
        """Return what a request costs in US dollars."""
        each = self.amounts.get(str(values.get(self.by or "")), self.amount)
        units = {"image": pictures(values), "second": seconds(values)}
        return each * units.get(self.unit, 1)


def pictures(values: Mapping[str, object]) -> int:
    """Return how many pictures a request asks for, however it says so."""
    names = ["n", "series_amount"]
    if values.get("sequential_image_generation") == "auto":
        names.append("sequential_image_generation_max_images")
    found = (value for name in names if isinstance(value := values.get(name), int))
    return next(found, 1)


def seconds(values: Mapping[str, object]) -> int:
    """Return how long a film a request asks for; some models take the number as a text."""
    return int(str(values.get("duration", values.get("durationSeconds", _FILM_SECONDS))))


@dataclass(frozen=True, slots=True)
class Pace:
    """How long tasks take: lognormal, as the times of real services are, inside two bounds."""

    median: float
    low: float
    high: float

    def draw(self, rng: random.Random) -> tuple[float, float]:
        """Return one task's seconds in the queue, and its seconds in all."""
        total = self.median * math.exp(rng.gauss(0, 0.25))
        total = min(max(total, self.low), self.high)
        return total * rng.uniform(0.1, 0.3), total


@dataclass(frozen=True, slots=True)
class Quirk:
    """The faults that a model has on purpose."""

    submit: Fault | None = None
    times: int | None = None
    download: Fault | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One of the forms that a request may have: what it needs, and what only others take."""

    needs: tuple[str, ...]
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of the catalogue.

    A request needs the `required` parameters and, if there are `options`, those of exactly one of
    them. `content_type`, `common` (parameters that are defined apart, and referred to) and `bare`
    (a schema with no document around it) are ways in which the service writes its schemas. `look`
    is the style and the colours of its pictures.
    """

    slug: str
    type: str = "text-to-image"
    description: str
    parameters: Mapping[str, Schema]
    required: tuple[str, ...] = ("prompt",)
    options: tuple[Option, ...] = ()
    content_type: str = "application/json"
    common: tuple[str, ...] = ()
    bare: bool = False
    price: Price
    pace: Pace
    look: tuple[str, str] = ("", "")
    featured: bool = False
    quirk: Quirk = Quirk()

    @property
    def name(self) -> str:
        """The second half of the slug, which answers call `model_id`."""
        return self.slug.partition("/")[2]

    @property
    def media(self) -> Media:
        """What the model makes."""
        made = self.type.rpartition("-")[2]
        kinds: Mapping[str, Media] = {"video": "video", "speech": "audio", "text": "text"}
        return kinds.get(made, "image")

    def values(self, body: Mapping[str, object]) -> dict[str, object]:
        """Return the body with the defaults of the parameters that it leaves out."""
        known = self.parameters.items()
        return {**{name: each["default"] for name, each in known if "default" in each}, **body}

    def complaint(self, body: Mapping[str, object]) -> str | None:
        """Return what is wrong with a body, or None."""
        for name in self.required:
            if name not in body:
                return f"parameter '{name}' is required"
        fitting = sum(all(name in body for name in option.needs) for option in self.options)
        if self.options and fitting != 1:
            needs = " or ".join(f"'{', '.join(option.needs)}'" for option in self.options)
            return f"exactly one of these is required: {needs}"
        for name, schema in self.parameters.items():
            if name in body and (wrong := problem(schema, body[name])):
                return f"parameter '{name}' {wrong}"
        return None

    def entry(self, origin: str) -> dict[str, object]:
        """Return the model as the catalogue lists it."""
        return {
            "slug": self.slug,
            "type": self.type,
            "docs_url": f"{origin}/models/{self.slug}/api_schema",
            "description": self.description,
            **self.price.entry(),
        }

    def openapi(self, origin: str) -> dict[str, object]:
        """Return the model's request and its answer as an OpenAPI fragment."""
        schema, definitions = self._schema()
        if self.bare:
            return schema
        content = {self.content_type: {"schema": schema, "examples": self._examples()}}
        return {
            "openapi": "3.1.0",
            "info": {"title": self.slug, "version": "1", "description": self.description},
            "servers": [{"url": f"{origin}/api/v1/{self.slug}/async"}],
            "post": {
                "summary": self.description,
                "requestBody": {"required": True, "content": content},
                "responses": {"200": _RECEIPT},
            },
            "components": {"schemas": definitions},
        }

    def _schema(self) -> tuple[dict[str, object], dict[str, object]]:
        """Return the schema of a request, and those that it refers to."""
        if self.options:
            forms = enumerate(self.options, 1)
            return {"oneOf": [self._option(number, option) for number, option in forms]}, {}
        if not self.common:
            return _object(self.parameters, self.required), {}
        apart = {name: self.parameters[name] for name in self.common}
        rest = {n: each for n, each in self.parameters.items() if n not in self.common}
        shared = _object(apart, [name for name in self.required if name in apart])
        own = _object(rest, [name for name in self.required if name in rest])
        return {"allOf": [{"$ref": f"{_DEFINITIONS}Common"}, own]}, {"Common": shared}

    def _option(self, number: int, option: Option) -> dict[str, object]:
        known = {n: each for n, each in self.parameters.items() if n not in option.lacks}
        return {"title": f"Option {number}", **_object(known, (*self.required, *option.needs))}

    def _examples(self) -> dict[str, object]:
        needed = self.required + (self.options[0].needs if self.options else ())
        known = {name: self.parameters[name] for name in needed}
        value = {
            n: each.get("example", (*each.get("enum", ()), "a cat")[0]) for n, each in known.items()
        }
        return {"short": {"summary": "What is required", "value": value}}


def _object(properties: Mapping[str, Schema], required: Sequence[str] = ()) -> dict[str, object]:
    return {"type": "object", "required": list(required), "properties": dict(properties)}


_TEXT = {"type": "string"}
_GET_RESULT = _object({"method": _TEXT, "url": _TEXT})
_DATA = _object({"status": _TEXT, "task_id": _TEXT, "model_id": _TEXT, "get_result": _GET_RESULT})
_ENVELOPE = _object({"code": {"type": "integer"}, "message": _TEXT, "data": _DATA})
#: The answer to a submission, which the service describes beside the request.
_RECEIPT = {
    "description": "The task was accepted.",
    "content": {"application/json": {"schema": _ENVELOPE}},
}


def texts(value: object) -> Iterator[str]:
    """Yield every text in a JSON value except a mask, which is not an input picture."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name != "mask":
                yield from texts(item)


def canvas(values: Mapping[str, object]) -> tuple[int, int]:
    """Return the width and height in pixels that a request asks for, however it says so."""
    width, height, size = values.get("width"), values.get("height"), str(values.get("size"))
    if isinstance(width, int) and isinstance(height, int):
        return width, height
    if exact := re.fullmatch(r"(\d+)[x*](\d+)", size):
        return int(exact[1]), int(exact[2])
    shape = values.get("aspect_ratio", values.get("aspectRatio", "1:1"))
    across, _, down = str(shape).partition(":")
    named = values.get("resolution", values.get("imageSize", size))
    ratio, long = int(across) / int(down), _LONG_SIDE.get(str(named), 1024)
    return (long, round(long / ratio)) if ratio >= 1 else (round(long * ratio), long)
