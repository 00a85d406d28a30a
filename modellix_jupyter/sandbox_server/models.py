"""What a model of the sandbox is: its schema, its price, its pace and its misfortunes."""

import math
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
#: Where the schemas that others refer to stand in a document.
_DEFINITIONS = "#/components/schemas/"
#: Seconds of the sandbox's only film, which is what a film that is edited has too.
_FILM_SECONDS = 4


def _is_integer(value: object) -> bool:
    """Tell a JSON integer; `True` is an `int` in Python but not in JSON."""
    return isinstance(value, int) and not isinstance(value, bool)


_IS: Mapping[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": lambda value: _is_integer(value) or isinstance(value, float),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def problem(schema: Schema, value: object) -> str | None:
    """Return what is wrong with a value, or None."""
    if "anyOf" in schema:
        found = [problem(choice, value) for choice in schema["anyOf"]]
        return None if None in found else found[0]
    if not _IS[schema["type"]](value):
        return f"must be of type {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"must be one of {', '.join(map(str, schema['enum']))}"
    return _inner_problem(schema, value)


def _inner_problem(schema: Schema, value: object) -> str | None:
    """Check what a value of the right type holds."""
    if isinstance(value, str):
        return _text_problem(schema, value)
    if isinstance(value, list):
        return _list_problem(schema, value)
    if isinstance(value, dict):
        return _object_problem(schema, value)
    return _range_problem(schema, value)


def _text_problem(schema: Schema, value: str) -> str | None:
    """Check a string's length and form."""
    if len(value.strip()) < schema.get("minLength", 0):
        return f"must have at least {schema['minLength']} character(s)"
    if len(value) > schema.get("maxLength", math.inf):
        return f"must have at most {schema['maxLength']} characters"
    if "pattern" in schema and not re.match(schema["pattern"], value):
        return f"must match {schema['pattern']}"
    return None


def _list_problem(schema: Schema, value: Sequence[object]) -> str | None:
    """Check a list's length and its items."""
    if len(value) < schema.get("minItems", 0):
        return f"must have at least {schema['minItems']} item(s)"
    if len(value) > schema.get("maxItems", math.inf):
        return f"must have at most {schema['maxItems']} items"
    found = (problem(schema["items"], item) for item in value)
    wrong = next((each for each in found if each), None)
    return f"has an item that {wrong}" if wrong else None


def _object_problem(schema: Schema, value: Mapping[str, object]) -> str | None:
    """Check what an object has to have, and what it has."""
    for name in schema.get("required", ()):
        if name not in value:
            return f"must have '{name}'"
    for name, each in schema["properties"].items():
        wrong = problem(each, value[name]) if name in value else None
        if wrong:
            return f"has a '{name}' that {wrong}"
    return None


def _range_problem(schema: Schema, value: object) -> str | None:
    """Check a number's range."""
    if not isinstance(value, int | float):
        return None
    if value < schema.get("minimum", -math.inf):
        return f"must be at least {schema['minimum']}"
    if value > schema.get("maximum", math.inf):
        return f"must be at most {schema['maximum']}"
    if value <= schema.get("exclusiveMinimum", -math.inf):
        return f"must be above {schema['exclusiveMinimum']}"
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
    spread: float = 0.25

    def draw(self, rng: random.Random) -> tuple[float, float]:
        """Return one task's seconds in the queue, and its seconds altogether."""
        total = self.median * math.exp(rng.gauss(0, self.spread))
        total = min(max(total, self.low), self.high)
        return total * rng.uniform(0.1, 0.3), total


@dataclass(frozen=True, slots=True)
class Quirk:
    """What a model does wrong on purpose."""

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

    A request needs what is `required` and, where there are `options`, what exactly one of them
    needs. `content_type`, `common` (parameters that stand apart, and are referred to) and `bare`
    (nothing stands around the schema) are ways in which the service writes its schemas.
    """

    slug: str
    type: str
    description: str
    parameters: Mapping[str, Schema]
    required: tuple[str, ...] = ("prompt",)
    options: tuple[Option, ...] = ()
    content_type: str = "application/json"
    common: tuple[str, ...] = ()
    bare: bool = False
    price: Price
    pace: Pace
    style: str = ""
    palette: str = ""
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
        """Return the body with the defaults of what it leaves out."""
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
            wrong = problem(schema, body[name]) if name in body else None
            if wrong:
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


def _object(properties: Mapping[str, Schema], required: Sequence[str]) -> dict[str, object]:
    return {"type": "object", "required": list(required), "properties": dict(properties)}


_DATA = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["pending"]},
        "task_id": {"type": "string"},
        "model_id": {"type": "string"},
        "get_result": {
            "type": "object",
            "properties": {"method": {"type": "string"}, "url": {"type": "string"}},
        },
    },
}
#: The answer to a submission, which the service describes beside the request.
_RECEIPT = {
    "description": "The task was accepted.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "code": {"type": "integer"},
                    "message": {"type": "string"},
                    "data": _DATA,
                },
            }
        }
    },
}


def texts(value: object) -> Iterator[str]:
    """Yield every text in a JSON value, but for a mask, which is no picture to begin from."""
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
