"""What a request costs, where the catalog's price and the request itself say it.

The catalog has a display price and a unit: 0.03 USD an image, 0.05 USD a second. How many units a
request has is in its parameters, under names that models agree on. Where the unit or their number
is not known, neither is the cost: no figure is better than one that is four times too low.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from modellix_jupyter.planning.schema import ModelSchema
from modellix_jupyter.values import Json, Price, Request, number

_IMAGES = ("n", "num_images", "number_of_images", "image_count")
_SECONDS = ("duration", "duration_seconds", "seconds")
_COUNTED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("", "task", "request", "generation", "call", "run"), ()),
    **dict.fromkeys(("image", "picture"), _IMAGES),
    **dict.fromkeys(("second", "sec", "s"), _SECONDS),
}
"""The parameters that say how many of a unit a request has; none where a request is one."""

_BEYOND_BELIEF = 1e9
"""USD for one request: whoever says that is not believed, and sums stay finite."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """What requests to one model cost.

    Parameters
    ----------
    each
        In USD, for one unit.
    counted
        The parameters that say how many units a request has; none where each has one.
    usual
        How many it has where it does not say; None where that is not known.

    """

    each: float
    counted: tuple[str, ...] = field(default=())
    usual: float | None = 1.0

    def of(self, request: Request) -> float | None:
        """Return the cost of a request in USD, or None where it is not known."""
        given = [request.params[name] for name in self.counted if name in request.params]
        units = _units(given[0]) if given else self.usual
        cost = None if units is None else self.each * units
        return cost if cost is not None and cost < _BEYOND_BELIEF else None


def tariff(price: Price | None, schema: ModelSchema | None) -> Tariff | None:
    """Return what requests to a model cost, or None where that cannot be said.

    Parameters
    ----------
    price
        By the catalog; a range says nothing of a single request.
    schema
        Of the model; its defaults count where a request does not say how many.

    """
    if price is None or price.low != price.high or not math.isfinite(price.low):
        return None
    counted = _COUNTED.get(_singular(price.unit or ""))
    if counted is None:
        return None
    known = schema.parameters if schema else {}
    defaults = [known[name].default for name in counted if name in known]
    default = next((value for value in defaults if value is not None), None)
    one = counted is not _SECONDS  # a request makes one image unless it says more
    return Tariff(price.low, counted, 1.0 if default is None and one else _units(default))


def _singular(unit: str) -> str:
    word = unit.lower().strip(" /").removeprefix("per ").strip()
    return word.removesuffix("s") if len(word) > 1 else word


def _units(value: Json) -> float | None:
    """Return a number of units; some models take "5" for five seconds."""
    units = number(value)
    return units if units is not None and units > 0 else None
