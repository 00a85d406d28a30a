"""What a model of the sandbox is: its parameters, its price, its pace and its misfortunes."""

import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from modellix_jupyter.sandbox_server.faults import Fault

Media = Literal["image", "video", "audio"]

#: The long side in pixels of each spelling of a resolution.
_LONG_SIDE = {"1K": 1024, "2K": 2048, "4K": 4096}


def _is_integer(value: object) -> bool:
    """Tell a JSON integer; `True` is an `int` in Python but not in JSON."""
    return isinstance(value, int) and not isinstance(value, bool)


_IS: Mapping[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": lambda value: _is_integer(value) or isinstance(value, float),
}


_JSON_NAMES = {"min_length": "minLength", "max_length": "maxLength"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a model, as JSON Schema knows it."""

    type: str
    description: str
    default: object = None
    enum: tuple[object, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None

    def schema(self) -> dict[str, object]:
        """Return the parameter as a JSON Schema object, without the keys it does not use."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            _JSON_NAMES.get(name, name): list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value not in (None, ())
        }

    def problem(self, value: object) -> str | None:
        """Return what is wrong with a value, or None."""
        if not _IS[self.type](value):
            return f"must be of type {self.type}"
        if self.enum and value not in self.enum:
            return f"must be one of {', '.join(map(str, self.enum))}"
        if isinstance(value, str):
            return self._text_problem(value)
        return self._range_problem(value)

    def _text_problem(self, value: str) -> str | None:
        """Check a string's length and form."""
        if self.min_length is not None and len(value.strip()) < self.min_length:
            return f"must have at least {self.min_length} character(s)"
        if self.max_length is not None and len(value) > self.max_length:
            return f"must have at most {self.max_length} characters"
        if self.pattern is not None and not re.match(self.pattern, value):
            return f"must match {self.pattern}"
        return None

    def _range_problem(self, value: object) -> str | None:
        """Check a number's range."""
        if not isinstance(value, int | float):
            return None
        if self.minimum is not None and value < self.minimum:
            return f"must be at least {self.minimum}"
        if self.maximum is not None and value > self.maximum:
            return f"must be at most {self.maximum}"
        return None


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs."""

    amount: float
    unit: str = "image"
    by: str | None = None
    amounts: Mapping[str, float] = field(default_factory=dict)

    def display(self) -> dict[str, object]:
        """Return the price as the catalogue prints it: an amount, or the ends of a range."""
        tail: dict[str, object] = {"currency": "USD", "unit": self.unit}
        if not self.amounts:
            return {"amount": self.amount, **tail}
        return {"min": min(self.amounts.values()), "max": max(self.amounts.values()), **tail}

    def of(self, values: Mapping[str, object]) -> float:
        """Return what a request costs in US dollars."""
        each = self.amounts.get(str(values.get(self.by or "")), self.amount)
        units = {"image": values.get("n", 1), "second": values.get("duration", 1)}
        many = units.get(self.unit, 1)
        return each * (many if isinstance(many, int) else 1)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of the catalogue."""

    slug: str
    type: str
    description: str
    parameters: Mapping[str, Parameter]
    required: tuple[str, ...] = ("prompt",)
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
        if made == "video":
            return "video"
        return "audio" if made == "speech" else "image"

    def values(self, body: Mapping[str, object]) -> dict[str, object]:
        """Return the body with the defaults of what it leaves out."""
        defaults = {
            name: parameter.default
            for name, parameter in self.parameters.items()
            if parameter.default is not None
        }
        return {**defaults, **body}

    def complaint(self, body: Mapping[str, object]) -> str | None:
        """Return what is wrong with a body, or None."""
        for name in self.required:
            if name not in body:
                return f"parameter '{name}' is required"
        for name, parameter in self.parameters.items():
            problem = parameter.problem(body[name]) if name in body else None
            if problem:
                return f"parameter '{name}' {problem}"
        return None

    def entry(self, origin: str) -> dict[str, object]:
        """Return the model as the catalogue lists it."""
        return {
            "slug": self.slug,
            "type": self.type,
            "docs_url": f"{origin}/models/{self.slug}/api_schema",
            "description": self.description,
            "price": self.price.display(),
        }

    def openapi(self, origin: str) -> dict[str, object]:
        """Return the model's request as an OpenAPI fragment."""
        properties = {name: each.schema() for name, each in self.parameters.items()}
        schema = {"type": "object", "required": list(self.required), "properties": properties}
        content = {"application/json": {"schema": schema}}
        return {
            "openapi": "3.1.0",
            "info": {"title": self.slug, "version": "1", "description": self.description},
            "servers": [{"url": f"{origin}/api/v1/{self.slug}/async"}],
            "post": {
                "summary": self.description,
                "requestBody": {"required": True, "content": content},
            },
        }


def canvas(values: Mapping[str, object]) -> tuple[int, int]:
    """Return the width and height in pixels that a request asks for, however it says so."""
    width, height, size = values.get("width"), values.get("height"), str(values.get("size"))
    if isinstance(width, int) and isinstance(height, int):
        return width, height
    if exact := re.fullmatch(r"(\d+)[x*](\d+)", size):
        return int(exact[1]), int(exact[2])
    across, _, down = str(values.get("aspect_ratio", "1:1")).partition(":")
    ratio, long = int(across) / int(down), _LONG_SIDE[str(values.get("resolution", size))]
    return (long, round(long / ratio)) if ratio >= 1 else (round(long * ratio), long)
