"""What a request costs, where the catalog's price and the request itself say it.

The catalog has a display price and a unit: 0.03 USD an image, 0.05 USD a second. How many units a
request has is in its parameters, under names that models agree on. Where the unit or their number
is not known, neither is the cost: no figure is better than one that is four times too low.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modellix_jupyter.planning.schema import ModelSchema
from modellix_jupyter.values import Json, Price, Request, number

_IMAGES = ("n", "num_images", "number_of_images", "image_count")
_SECONDS = ("duration", "duration_seconds", "seconds")
# The parameters that say how many of a unit a request has; none where a request is one.
_UNIT_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("", "task", "request", "generation", "call", "run"), ()),
    **dict.fromkeys(("image", "picture"), _IMAGES),
    **dict.fromkeys(("second", "sec", "s"), _SECONDS),
}

# USD for one request: whoever says that is not believed, and sums stay finite.
_BEYOND_BELIEF = 1e9


@dataclass(frozen=True, slots=True)
class Pricing:
    """What requests to one model cost: the price of a unit, and how many units each has."""

    unit_price: float
    unit_parameters: tuple[str, ...] = field(default=())
    default_units: float | None = 1.0

    def cost(self, request: Request) -> float | None:
        """Return the cost of a request in USD, or None where it is not known."""
        given = [request.params[name] for name in self.unit_parameters if name in request.params]
        units = _units(given[0]) if given else self.default_units
        cost = None if units is None else self.unit_price * units
        return cost if cost is not None and cost < _BEYOND_BELIEF else None


def pricing_of(price: Price | None, schema: ModelSchema | None) -> Pricing | None:
    """Return what requests to a model cost, or None where the catalog does not say it."""
    # a range says nothing of a single request
    if price is None or price.low != price.high or not math.isfinite(price.low):
        return None
    parameters = _UNIT_PARAMETERS.get(_singular(price.unit or ""))
    if parameters is None:
        return None
    known = schema.parameters if schema else {}
    defaults = [known[name].default for name in parameters if name in known]
    default = next((value for value in defaults if value is not None), None)
    one = parameters is not _SECONDS  # a request makes one image unless it says more
    return Pricing(price.low, parameters, 1.0 if default is None and one else _units(default))


def total_cost(requests: Sequence[Request], prices: Mapping[str, Pricing]) -> tuple[float, int]:
    """Return what requests cost in USD, and how many of them have no known price."""
    costs = [prices[r.model].cost(r) for r in requests if r.model in prices]
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known), len(requests) - len(known)


def _singular(unit: str) -> str:
    word = unit.lower().strip(" /").removeprefix("per ").strip()
    return word.removesuffix("s") if len(word) > 1 else word


def _units(value: Json) -> float | None:
    """Return a number of units; some models take "5" for five seconds."""
    units = number(value)
    return units if units is not None and units > 0 else None
