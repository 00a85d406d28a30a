"""What a request costs, by the catalog's unit and the request's own parameters."""

from __future__ import annotations

from typing import Any

import pytest

from modellix_jupyter.planning.pricing import pricing_of
from modellix_jupyter.planning.schema import ModelSchema, Parameter
from modellix_jupyter.values import Price, Request


def cost(price: Price, schema: ModelSchema | None = None, /, **params: Any) -> float | None:
    found = pricing_of(price, schema)
    return None if found is None else found.cost(Request("a/b", "a cat", params))


def fixed(unit: str | None, amount: float = 0.5) -> Price:
    return Price(low=amount, high=amount, unit=unit)


def with_default(name: str, value: Any) -> ModelSchema:
    return ModelSchema({name: Parameter(name=name, default=value)})


@pytest.mark.parametrize("unit", [None, "", "task", "per task", "Request", "/ generation", "runs"])
def test_a_price_for_a_task_is_that_of_the_task(unit: str | None) -> None:
    assert cost(fixed(unit)) == cost(fixed(unit), n=4, duration=10) == 0.5


@pytest.mark.parametrize("unit", ["image", "images", "per image", "Image"])
@pytest.mark.parametrize("name", ["n", "num_images", "number_of_images", "image_count"])
def test_a_price_for_an_image_goes_by_their_number(unit: str, name: str) -> None:
    assert cost(fixed(unit)) == 0.5
    assert cost(fixed(unit), None, **{name: 4}) == 2.0
    assert cost(fixed(unit), with_default(name, 2)) == 1.0
    assert cost(fixed(unit), with_default(name, 2), **{name: 3}) == 1.5


@pytest.mark.parametrize("unit", ["second", "seconds", "s", "sec"])
def test_a_price_for_a_second_goes_by_the_duration(unit: str) -> None:
    assert cost(fixed(unit)) is None
    assert cost(fixed(unit), duration=10) == cost(fixed(unit), duration="10") == 5.0
    assert cost(fixed(unit), with_default("duration", 5)) == 2.5
    assert cost(fixed(unit), with_default("duration", None)) is None


@pytest.mark.parametrize("number", [True, None, "many", [2], {}, -1, 0, float("inf"), 10**400])
def test_a_number_that_is_none_gives_no_cost(number: Any) -> None:
    assert cost(fixed("image"), n=number) is None


def test_what_the_catalog_does_not_say_costs_nothing_known() -> None:
    assert cost(Price(low=0.1, high=0.2)) is None
    assert cost(fixed("megapixel")) is None
    assert pricing_of(None, None) is None


def test_a_cost_beyond_belief_is_none() -> None:
    assert cost(fixed("image", 1e308), n=4) is None
    assert cost(fixed("image", 1e308)) is None


def test_nothing_is_a_price_too() -> None:
    assert cost(fixed("image", 0.0), n=4) == 0.0
