from __future__ import annotations

import math
import time
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.planning.plan import (
    EXAMPLE_MODEL,
    MAX_REQUESTS,
    check_slug,
    make_plan,
    plan_rows,
)
from modellix_jupyter.planning.pricing import Pricing, total_cost
from modellix_jupyter.values import Price, Request


def test_one_request() -> None:
    plan = make_plan(["a cat"], ["a/x"], params={"size": "1024*1024"})
    assert plan == [Request("a/x", "a cat", {"size": "1024*1024"})]


def test_the_order_is_prompts_models_axes_repeats() -> None:
    plan = make_plan(
        ["cat", "dog"], ["a/x", "b/y"], vary={"seed": [1, 2], "size": ["s", "l"]}, repeat=2
    )
    expected = product(("cat", "dog"), ("a/x", "b/y"), (1, 2), ("s", "l"), (0, 1))
    found = [
        (*(row[name] for name in ("prompt", "model", "param.seed", "param.size", "repeat")),)
        for row in plan_rows(plan, repeat=2)
    ]
    assert found == list(expected)


def test_a_request_without_a_prompt() -> None:
    plan = make_plan([None], ["a/x"], params={"image": "u"})
    assert plan[0].body() == {"image": "u"}


def test_rows_are_values_under_the_names_of_the_frame() -> None:
    plan = make_plan(["cat"], ["a/x"], params={"n": 1}, vary={"seed": [1, 2]})
    assert plan_rows(plan) == [
        {"prompt": "cat", "model": "a/x", "param.n": 1, "param.seed": 1},
        {"prompt": "cat", "model": "a/x", "param.n": 1, "param.seed": 2},
    ]
    assert [
        row["repeat"] for row in plan_rows(make_plan(["cat"], ["a/x"], repeat=2), repeat=2)
    ] == [0, 1]


def test_a_parameter_called_model_or_repeat_collides_with_nothing() -> None:
    plan = make_plan(["cat"], ["a/x"], params={"repeat": 3}, vary={"model": ["m", "n"]}, repeat=2)
    assert plan_rows(plan, repeat=2)[0] == {
        "prompt": "cat",
        "model": "a/x",
        "param.repeat": 3,
        "param.model": "m",
        "repeat": 0,
    }


def priced(amount: float, unit: str = "task") -> Pricing:
    return Pricing(Price(low=amount, high=amount, unit=unit))


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ({}, (0.0, 6)),
        ({"a/x": priced(0.1)}, (0.3, 3)),
        ({"a/x": priced(0.1), "b/y": priced(0.0)}, (0.3, 0)),
        ({"a/x": priced(0.1, "image"), "b/y": priced(0.2, "second")}, (0.3, 3)),
        ({"c/z": priced(1.0)}, (0.0, 6)),
    ],
)
def test_the_price(prices: dict[str, Pricing], expected: tuple[float, int]) -> None:
    plan = make_plan(["cat"], ["a/x", "b/y"], repeat=3)
    cost, unknown = total_cost(plan, prices)
    assert (cost.low, unknown.total()) == (cost.high, unknown.total()) == pytest.approx(expected)


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompts": []}, ["no prompt"]),
        ({"prompts": ["cat", " \n"]}, ["Prompt 2 of 2", "empty"]),
        ({"prompts": [""]}, ["The prompt", "empty"]),
        ({"prompts": ["cat", math.nan]}, ["Prompt 2 of 2", "float"]),
        ({"prompts": ["half \ud83d"]}, ["The prompt", "JSON"]),
        ({"models": []}, ["no model"]),
        ({"models": ["a/x", "a/x"]}, ["a/x", "twice", "--repeat"]),
        ({"models": ["x"]}, ["`x`", EXAMPLE_MODEL]),
        ({"models": [None]}, ["`None`"]),
        ({"params": {"strength": math.nan}}, ["`strength`", "JSON"]),
        ({"params": {"strength": [math.inf]}}, ["`strength`", "JSON"]),
        ({"params": {"image": object()}}, ["`image`", "JSON"]),
        ({"params": {"loop": CIRCLE}}, ["`loop`", "JSON"]),
        ({"params": {"style": "\udc00"}}, ["`style`", "JSON"]),
        ({"params": {"prompt": "dog"}}, ["prompt", "not a parameter"]),
        ({"params": {"": 1}}, ["no name"]),
        ({"vary": {"prompt": ["dog"]}}, ["prompt", "not a parameter"]),
        ({"vary": "seed=1,2"}, ["vary", "str"]),
        ({"vary": {"seed": 5}}, ["`seed`", "not a list"]),
        ({"vary": {"seed": []}}, ["`seed`", "no values"]),
        ({"vary": {"seed": "123"}}, ["`seed`", "not a list"]),
        ({"vary": {"seed": {"a": 1}}}, ["`seed`", "not a list"]),
        ({"vary": {"seed": [1, math.nan]}}, ["`seed`", "JSON"]),
        ({"vary": {"seed": [1, 2, 1]}}, ["`seed`", "1 twice"]),
        ({"vary": {"seed": [1, 1.0]}}, ["`seed`", "1 twice"]),
        ({"vary": {"box": [{"a": 1, "b": 2}, {"b": 2, "a": 1}]}}, ["`box`", "twice"]),
        ({"vary": {"seed": [1]}, "params": {"seed": 2}}, ["`seed`", "varied"]),
        ({"repeat": 0}, ["0", "repeats"]),
        ({"repeat": -1}, ["-1", "repeats"]),
        ({"repeat": True}, ["True", "repeats"]),
        ({"repeat": 1.5}, ["1.5", "repeats"]),
        ({"repeat": MAX_REQUESTS + 1}, ["10,001", "10,000"]),
        ({"repeat": 10**40}, ["10,000"]),
        ({"repeat": 6000, "vary": {"seed": [1, 2]}}, ["2 seed", "6,000 repeat", "12,000"]),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        make_plan(**{"prompts": ["a cat"], "models": ["a/x"], **arguments})
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert caught.value.hint


def test_a_product_that_is_too_large_is_counted_and_not_built() -> None:
    axes: dict[str, list[Any]] = {f"p{i}": list(range(100)) for i in range(20)}
    start = time.perf_counter()
    with pytest.raises(InvalidRequest, match="requests"):
        make_plan(["a cat"], ["a/x"], vary=axes)
    assert time.perf_counter() - start < 2


def test_numbers_of_numpy_are_numbers() -> None:
    axes: dict[str, Any] = {"seed": np.arange(1, 2), "s": [np.ones(2)]}
    plan = make_plan(["cat"], ["a/x"], params={"n": np.int64(3)}, vary=axes)
    assert [request.params for request in plan] == [{"n": 3, "seed": 1, "s": [1.0, 1.0]}]


def test_true_and_one_are_two_values() -> None:
    assert len(make_plan(["cat"], ["a/x"], vary={"v": [1, True, "1", None, "null"]})) == 5


def test_the_plan_does_not_change_with_what_it_was_made_of() -> None:
    size, seeds, params = [1, 2], [1], {"n": 1}
    plan = make_plan(["cat"], ["a/x"], params={"size": size, **params}, vary={"seed": seeds})
    size.append(3)
    seeds.append(2)
    assert plan == [Request("a/x", "cat", {"size": [1, 2], "n": 1, "seed": 1})]


def test_tuples_become_lists_as_in_json() -> None:
    shape: Any = (1, 2)
    assert make_plan(["cat"], ["a/x"], params={"s": shape})[0].params == {"s": [1, 2]}


@pytest.mark.parametrize("slug", ["a/x", "alibaba/qwen-image-plus", "A1._-/0.9", "a/" + "b" * 128])
def test_slugs(slug: str) -> None:
    assert check_slug(slug) == slug


@pytest.mark.parametrize(
    "slug",
    ["", "a", "a/", "/x", "a/x/y", "a/x ", "a/x\n", "-a/x", "a/..", "a/é", "a/" + "b" * 129, 7],
)
def test_what_is_no_slug(slug: object) -> None:
    with pytest.raises(InvalidRequest, match="not the name of a model"):
        check_slug(slug)


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)


@given(
    st.lists(TEXTS.filter(str.strip), min_size=1, max_size=3),
    st.lists(st.sampled_from(["a/x", "b/y", "c/z"]), min_size=1, unique=True),
    st.dictionaries(
        st.sampled_from(["seed", "size", "n"]),
        st.lists(st.integers(), min_size=1, max_size=3, unique=True),
    ),
    st.integers(1, 3),
)
def test_the_count_and_the_order_agree(
    prompts: list[str], models: list[str], vary: dict[str, list[Any]], repeat: int
) -> None:
    plan = make_plan(prompts, models, vary=vary, repeat=repeat)
    expected = [
        (prompt, model, dict(zip(vary, values, strict=True)))
        for prompt, model, values, _ in product(
            prompts, models, product(*vary.values()), range(repeat)
        )
    ]
    assert [(r.prompt, r.model, r.params) for r in plan] == expected
    assert len(plan_rows(plan, repeat)) == len(expected)
