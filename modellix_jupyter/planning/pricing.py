"""The minimal and the maximal cost of a request, by the catalog's price and its parameters.

The catalog has a display price, perhaps a range, and a unit: 0.03 USD an image, 0.10 to 0.15 USD a
second. The number of units of a request follows from its parameters and from the defaults of the
model's schema. If that cannot be counted, there is a reason instead of a price: no figure is better
than one that is four times too low.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from modellix_jupyter.errors import short
from modellix_jupyter.planning.json_schema import Schema
from modellix_jupyter.planning.schema import ModelSchema, Parameter, alternatives
from modellix_jupyter.values import Json, Price, Request, number


class Cost(NamedTuple):
    """The minimal and the maximal cost of requests in USD."""

    low: float
    high: float

    def times(self, other: Cost) -> Cost:
        """Return the product of both ends."""
        return Cost(self.low * other.low, self.high * other.high)


_ONE = Cost(1.0, 1.0)
# Parameters that say how many files a request makes.
_COUNTS = (
    *("n", "num_images", "number_of_images", "numberOfImages", "image_count", "num_outputs"),
    *("batch_size", "sample_count", "sampleCount", "num_videos"),
)
# Parameters that say how many files a request makes at most.
_COUNTS_AT_MOST = ("sequential_image_generation_max_images", "series_amount")
# For each of those, the parameter and the value that switch it off.
_SWITCHES: Mapping[str, tuple[str, str]] = {
    "sequential_image_generation_max_images": ("sequential_image_generation", "disabled"),
    "series_amount": ("result_type", "single"),
}
_SECONDS = ("duration", "duration_seconds", "durationSeconds", "seconds", "video_length")
_COUNTED = frozenset({*_COUNTS, *_COUNTS_AT_MOST, *_SECONDS})
_FLAT_UNITS = frozenset({"task", "request", "generation", "call", "run"})
_FILE_UNITS = frozenset(
    {"image", "picture", "video", "clip", "song", "track", "audio", "file", "output", "result"}
)
# Seconds in each unit of time.
_TIME_UNITS = {"second": 1.0, "sec": 1.0, "s": 1.0, "minute": 60.0, "min": 60.0}
# USD for one request: a price from here on is not believed, so that sums stay finite.
_BEYOND_BELIEF = 1e9


class _Unknown(Exception):
    """Why a request has no price; it never leaves this module."""


@dataclass(frozen=True, slots=True)
class Pricing:
    """The price of requests to one model; `parameters` is None if its schema cannot be read."""

    price: Price | None
    parameters: Mapping[str, Parameter] | None = field(default_factory=dict)
    # Why there is no price.
    why: str = "the catalog has no price for it"

    def cost(self, request: Request) -> Cost | str:
        """Return the cost of a request, or why it cannot be known."""
        if self.price is None:
            return self.why
        if not math.isfinite(self.price.high):
            return "the catalog says only what it costs at least"
        try:
            units = self._units(_plain_unit(self.price.unit or ""), request)
        except _Unknown as why:
            return str(why)
        cost = Cost(self.price.low, self.price.high).times(units)
        return cost if cost.high < _BEYOND_BELIEF else "its price is not plausible"

    def _units(self, stated: str, request: Request) -> Cost:
        unit = stated.removesuffix("s") if len(stated) > 1 else stated
        if unit in _FLAT_UNITS:
            return _ONE
        if unit and unit not in _FILE_UNITS and unit not in _TIME_UNITS:
            raise _Unknown(f"its price is per {short(stated, 40)}, which cannot be counted")
        self._check_nested(request)
        files = self._files(request)
        if unit in _FILE_UNITS:
            if self.parameters is None and not any(name in request.params for name in _COUNTS):
                raise _Unknown(f"its schema cannot be read, and its price is per {unit}")
            return files
        if unit in _TIME_UNITS:
            seconds = self._seconds(request)
            if seconds is None:
                raise _Unknown(f"its price is per {unit}, and its length is not known")
            each = 1 / _TIME_UNITS[unit]
            return files.times(seconds).times(Cost(each, each))
        if self.parameters is None:
            raise _Unknown("its schema cannot be read, and its price names no unit")
        # without a unit, it may be the price of the whole request, or of each file or second
        return Cost(1.0, max(1.0, files.times(self._seconds(request) or _ONE).high))

    def _check_nested(self, request: Request) -> None:
        """Refuse to count where a part of a parameter says how much is made."""
        parts = {name: each for name, each in request.params.items() if isinstance(each, Mapping)}
        for name, known in (self.parameters or {}).items():
            for each in alternatives(known.schema):
                parts.setdefault(name, each.get("properties", {}))
        inner = next((i for part in parts.values() for i in part if i in _COUNTED), None)
        if inner is not None:
            raise _Unknown(f"its `{inner}` is within another parameter, where it is not counted")

    def _files(self, request: Request) -> Cost:
        found = _ONE
        for name in _COUNTS:
            found = found.times(self._number(name, request) or _ONE)
        for name in _COUNTS_AT_MOST:
            if not self._switched_off(name, request):
                most = self._number(name, request) or _ONE
                found = found.times(Cost(1.0, max(1.0, most.high)))
        return found

    def _switched_off(self, name: str, request: Request) -> bool:
        switch, off = _SWITCHES[name]
        return self._value(switch, request) == off

    def _seconds(self, request: Request) -> Cost | None:
        found = (self._number(name, request) for name in _SECONDS)
        return next((seconds for seconds in found if seconds is not None), None)

    def _value(self, name: str, request: Request) -> Json:
        known = (self.parameters or {}).get(name)
        return request.params.get(name, known.default if known else None)

    def _number(self, name: str, request: Request) -> Cost | None:
        """Return a parameter's number, or its bounds if the model chooses it.

        None if neither the request nor the schema has the parameter.
        """
        known, value = (self.parameters or {}).get(name), self._value(name, request)
        given = number(value)
        if given is not None and given > 0:
            return Cost(given, given)
        is_given = name in request.params
        bounds = None if known is None else _bounds(known, with_defaults=not is_given)
        if bounds is None and (is_given or value is not None):
            raise _Unknown(f"its `{name}` is {short(value)}, which cannot be counted")
        return bounds


def _bounds(parameter: Parameter, *, with_defaults: bool) -> Cost | None:
    """Return the smallest and the largest number that a parameter takes, if both are known."""
    own = {"enum": parameter.enum, "minimum": parameter.minimum, "maximum": parameter.maximum}
    stated = _stated(own, with_defaults=False)
    if stated is not None:
        return stated
    # forms of a request may have one parameter with defaults and bounds of their own
    each = (_stated(one, with_defaults=with_defaults) for one in alternatives(parameter.schema))
    found = [cost for cost in each if cost is not None]
    return Cost(min(c.low for c in found), max(c.high for c in found)) if found else None


def _stated(schema: Schema, *, with_defaults: bool) -> Cost | None:
    """Return the bounds of a number that one level of a schema states."""
    default = number(schema.get("default")) if with_defaults else None
    choices = map(number, schema.get("enum") or ())
    stated = [default] if default is not None and default > 0 else choices
    positive = [one for one in stated if one is not None and one > 0]
    if positive:
        return Cost(min(positive), max(positive))
    low, high = schema.get("minimum"), schema.get("maximum")
    return Cost(max(low or 0.0, 0.0), high) if high is not None and high > 0 else None


# The pricing of a model that is not looked up.
UNCHECKED = Pricing(None, why="the setting check_requests is off")


def pricing_of(price: Price | None, schema: ModelSchema | None) -> Pricing:
    """Return the pricing of a model from its price and its schema."""
    return Pricing(price, None if schema is None else schema.parameters)


class Total(NamedTuple):
    """The cost of requests together, and the number without a price for each reason."""

    cost: Cost
    unknown: Counter[str]

    @property
    def count_unknown(self) -> int:
        """The number of requests without a price."""
        return self.unknown.total()


def total_cost(requests: Sequence[Request], prices: Mapping[str, Pricing]) -> Total:
    """Return the cost of requests together; each reason names its model."""
    known, unknown = [], Counter[str]()
    for request in requests:
        cost = cost_of(request, prices)
        if isinstance(cost, str):
            unknown[f"{request.model}: {cost}"] += 1
        else:
            known.append(cost)
    return Total(Cost(math.fsum(c.low for c in known), math.fsum(c.high for c in known)), unknown)


def most(request: Request, prices: Mapping[str, Pricing]) -> float | None:
    """Return the maximal cost of a request in USD, or None if it is unknown."""
    cost = cost_of(request, prices)
    return None if isinstance(cost, str) else cost.high


def cost_of(request: Request, prices: Mapping[str, Pricing]) -> Cost | str:
    """Return the cost of a request, or why it cannot be known."""
    pricing = prices.get(request.model)
    return "the catalog could not be read" if pricing is None else pricing.cost(request)


def _plain_unit(unit: str) -> str:
    return unit.lower().strip(" /").removeprefix("usd").strip(" /").removeprefix("per ").strip()
