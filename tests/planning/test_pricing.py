"""What a request costs, by the catalog's unit and the request's own parameters."""

from __future__ import annotations

import math
from typing import Any

import pytest

from modellix_jupyter.planning.pricing import pricing_of
from modellix_jupyter.planning.schema import ModelSchema, Parameter, parse_schema
from modellix_jupyter.values import Price, Request

PLAIN = ModelSchema({})


def cost(price: Price, schema: ModelSchema | None = PLAIN, /, **params: Any) -> Any:
    """Return the cost: a number where both ends are the same, a pair, or why there is none."""
    found = pricing_of(price, schema).cost(Request("a/b", "a cat", params))
    if isinstance(found, str):
        return found
    return found.low if found.low == found.high else tuple(found)


def fixed(unit: str | None, amount: float = 0.5) -> Price:
    return Price(low=amount, high=amount, unit=unit)


def with_default(name: str, value: Any) -> ModelSchema:
    return ModelSchema({name: Parameter(name=name, default=value)})


def bounded(name: str, minimum: float, maximum: float) -> ModelSchema:
    return ModelSchema({name: Parameter(name=name, minimum=minimum, maximum=maximum)})


@pytest.mark.parametrize("unit", ["task", "per task", "Request", "/ generation", "runs"])
def test_a_price_for_a_task_is_that_of_the_task(unit: str | None) -> None:
    assert cost(fixed(unit)) == cost(fixed(unit), n=4, duration=10) == 0.5


@pytest.mark.parametrize("unit", [None, ""])
def test_a_price_with_no_unit_is_of_all_that_is_made_or_of_each_part(unit: str | None) -> None:
    assert cost(fixed(unit)) == 0.5
    assert cost(fixed(unit), None) == "its schema cannot be read, and its price names no unit"
    assert cost(fixed(unit), n=4) == cost(fixed(unit), with_default("n", 4)) == (0.5, 2.0)
    assert cost(fixed(unit), n=2, duration=5) == (0.5, 5.0)


@pytest.mark.parametrize("unit", ["image", "images", "per image", "Image", "USD / image"])
@pytest.mark.parametrize("name", ["n", "num_images", "number_of_images", "image_count"])
def test_a_price_for_an_image_goes_by_their_number(unit: str, name: str) -> None:
    assert cost(fixed(unit)) == 0.5
    assert cost(fixed(unit), **{name: 4}) == cost(fixed(unit), None, **{name: 4}) == 2.0
    assert cost(fixed(unit), with_default(name, 2)) == 1.0
    assert cost(fixed(unit), with_default(name, 2), **{name: 3}) == 1.5
    assert cost(fixed(unit), bounded(name, 1, 4)) == (0.5, 2.0)


def test_the_price_of_an_image_is_not_guessed_where_their_number_cannot_be_read() -> None:
    assert "its schema cannot be read" in cost(fixed("image"), None)


def test_what_makes_up_to_so_many_costs_one_to_so_many() -> None:
    name, switch = "sequential_image_generation_max_images", "sequential_image_generation"
    assert cost(fixed("image"), **{name: 6}) == cost(fixed("image"), series_amount=6) == (0.5, 3.0)
    assert cost(fixed("image"), **{name: 6, switch: "disabled"}) == 0.5
    off, up_to = Parameter(name=switch, default="disabled"), Parameter(name=name, default=15)
    known = ModelSchema({switch: off, name: up_to})
    assert cost(fixed("image"), known) == 0.5
    assert cost(fixed("image"), known, **{switch: "auto"}) == (0.5, 7.5)


@pytest.mark.parametrize("unit", ["second", "seconds", "s", "sec"])
@pytest.mark.parametrize("name", ["duration", "durationSeconds", "seconds"])
def test_a_price_for_a_second_goes_by_the_duration(unit: str, name: str) -> None:
    assert "its length is not known" in cost(fixed(unit))
    assert cost(fixed(unit), **{name: 10}) == cost(fixed(unit), None, **{name: "10"}) == 5.0
    assert cost(fixed(unit), with_default(name, 5)) == 2.5
    assert cost(fixed(unit), with_default(name, 5), n=2) == 5.0
    assert "its length" in cost(fixed(unit), with_default(name, None))
    chosen = ModelSchema({name: Parameter(name=name, enum=("4", "6", "8"))})
    assert cost(fixed(unit), chosen) == (2.0, 4.0)


def test_a_price_for_a_minute_goes_by_its_seconds() -> None:
    assert cost(fixed("minute"), duration=30) == 0.25


def counting(**schema: Any) -> Any:
    """Return the schema of a body, parsed, with these keywords beside its prompt's."""
    body = {"type": "object", "properties": {"prompt": {"type": "string"}}, **schema}
    return parse_schema({"schema": body})


def test_forms_with_defaults_of_their_own_make_a_range() -> None:
    forms = [{"properties": {"n": {"type": "integer", "default": n}}} for n in (2, 4)]
    assert cost(fixed("image"), counting(oneOf=forms)) == (1.0, 2.0)
    assert cost(fixed("image"), counting(oneOf=forms), n=3) == 1.5
    bounds = [{"properties": {"n": {"minimum": 1, "maximum": n}}} for n in (2, 6)]
    assert cost(fixed("image"), counting(oneOf=bounds)) == (0.5, 3.0)


def test_a_reference_into_the_schema_is_followed_for_its_default() -> None:
    body = {
        "properties": {"prompt": {"type": "string"}, "n": {"$ref": "#/$defs/count"}},
        "$defs": {"count": {"type": "integer", "default": 4}},
    }
    assert cost(fixed("image"), parse_schema({"data": {"schema": body}})) == 2.0


@pytest.mark.parametrize("unit", [None, "image", "second"])
def test_what_counts_within_another_parameter_leaves_no_price(unit: str | None) -> None:
    inner = {"type": "object", "properties": {"n": {"type": "integer", "default": 4}}}
    found = counting(properties={"prompt": {"type": "string"}, "parameters": inner})
    why = "its `n` is within another parameter, where it is not counted"
    assert cost(fixed(unit), found) == why
    assert cost(fixed(unit), PLAIN, parameters={"n": 4}) == why
    assert cost(fixed("task"), found) == 0.5


def test_what_cannot_be_counted_is_said_as_the_catalog_says_it() -> None:
    said = cost(fixed("per 1000 characters"))
    assert said == "its price is per 1000 characters, which cannot be counted"


def test_where_only_the_lower_end_is_stated_there_is_no_price() -> None:
    assert cost(Price(low=0.1, high=math.inf)) == "the catalog says only what it costs at least"


def test_a_range_is_multiplied_at_both_ends() -> None:
    dear = Price(low=0.25, high=0.5, unit="second")
    assert cost(dear, duration=4) == (1.0, 2.0)
    assert cost(Price(low=0.1, high=0.2)) == (0.1, 0.2)


def test_a_length_that_is_left_to_the_model_is_between_its_bounds() -> None:
    known = bounded("duration", 4, 12)
    assert cost(fixed("second"), known, duration=-1) == (2.0, 6.0)


@pytest.mark.parametrize("number", [True, None, "many", [2], {}, -1, 0, float("inf"), 10**400])
def test_a_number_that_is_none_gives_no_cost(number: Any) -> None:
    assert "its `n` is" in cost(fixed("image"), n=number)


def test_what_the_catalog_does_not_say_costs_nothing_known() -> None:
    assert cost(fixed("megapixel")) == "its price is per megapixel, which cannot be counted"
    assert pricing_of(None, None).cost(Request("a/b", "p")) == "the catalog has no price for it"


def test_a_cost_beyond_belief_is_none() -> None:
    assert cost(fixed("image", 1e308), n=4) == "its price is not plausible"
    assert cost(fixed("image", 1e308)) == "its price is not plausible"


def test_nothing_is_a_price_too() -> None:
    assert cost(fixed("image", 0.0), n=4) == 0.0
