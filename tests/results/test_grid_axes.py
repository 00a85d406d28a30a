from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from grid_samples import card, product

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.grid import arrange
from modellix_jupyter.values import Card, Status


def shape(cards: list[Card], **axes: Any) -> tuple[tuple[str, str, str], int, int]:
    grid = arrange(cards, **axes)
    return grid.axes, len(grid.columns), len(grid.rows)


def test_models_stand_across_and_prompts_down() -> None:
    grid = arrange(product(None, models=3, prompts=2))
    assert grid.axes == ("model", "prompt", "")
    assert grid.columns == ("a/m0", "a/m1", "a/m2")
    assert grid.rows == ("prompt 0", "prompt 1")
    assert all(len(cards) == 1 for cards in grid.cells.values())


def test_one_prompt_gives_the_rows_to_the_parameter_that_varies() -> None:
    grid = arrange(product(None, models=2, prompts=1, seeds=3))
    assert grid.axes == ("model", "param.seed", "")
    assert grid.rows == ("0", "1", "2")
    assert grid.common == (("prompt", "prompt 0"),)


def test_one_model_gives_the_columns_to_a_parameter_where_prompts_stand_down() -> None:
    grid = arrange(product(None, models=1, prompts=2, seeds=3))
    assert grid.axes == ("param.seed", "prompt", "")
    assert grid.common == (("model", "a/m0"),)


def test_six_seeds_of_one_request_are_a_column_that_flows() -> None:
    grid = arrange(product(None, models=1, prompts=1, seeds=6))
    assert (grid.axes, len(grid.rows), grid.flows) == (("model", "param.seed", ""), 6, True)


def test_repeats_stand_side_by_side_and_can_be_an_axis() -> None:
    cards = [card(f"u{i}", model=model) for model in ("a/x", "b/y") for i in range(3)]
    grid = arrange(cards)
    assert (len(grid.rows), grid.abreast) == (1, 3)
    assert arrange(cards, rows="repeat").rows == ("1", "2", "3")


@pytest.mark.parametrize("name", ["seed", "param.seed"])
def test_a_parameter_is_named_with_or_without_its_prefix(name: str) -> None:
    cards = product(None, models=2, prompts=2, seeds=3)
    assert shape(cards, columns=name) == (("param.seed", "prompt", ""), 3, 2)


def test_what_is_no_heading_stands_in_the_captions() -> None:
    cards = product(None, models=2, prompts=2, seeds=3)
    assert arrange(cards).captions == ("param.seed",)
    assert arrange(cards, columns="seed").captions == ("model",)
    assert arrange(cards, rows="seed", pages="model").captions == ()
    assert arrange(cards, rows="seed").captions == ("prompt",)


def test_pages_are_sections_that_have_only_their_own_rows() -> None:
    cards = product(None, models=2, prompts=2, seeds=2)[:-2]
    grid = arrange(cards, rows="seed", columns="prompt", pages="model")
    assert grid.sections == ("a/m0", "a/m0", "a/m1", "a/m1")
    assert [grid.begins(r) for r in range(4)] == [True, False, True, False]
    assert len(grid.cards()) == len(cards)
    only = arrange(cards[:3], rows="seed", columns="prompt", pages="model")
    assert (only.sections, only.rows) == (("a/m0", "a/m0", "a/m1"), ("0", "1", "0"))


def test_every_card_has_a_place_under_any_axes() -> None:
    cards = product(None, models=2, prompts=3, seeds=2)
    for columns, rows, pages in permutations(["model", "prompt", "seed", "repeat"], 3):
        grid = arrange(cards, columns=columns, rows=rows, pages=pages)
        assert sorted(c.task.uid for c in grid.cards()) == sorted(c.task.uid for c in cards)


def test_an_unknown_axis_is_an_error_with_the_nearest_name() -> None:
    cards = product(None, models=2, prompts=2, seeds=2)
    with pytest.raises(InvalidRequest, match="no axis 'sead'") as caught:
        arrange(cards, rows="sead")
    assert "`seed`" in caught.value.hint
    with pytest.raises(InvalidRequest) as caught:
        arrange(cards, pages="zzz")
    assert "model, prompt, repeat, seed" in caught.value.hint
    with pytest.raises(InvalidRequest):
        arrange(cards, columns=3)  # type: ignore[arg-type]  # that it is wrong is the test


def test_a_seed_of_its_own_for_each_prompt_makes_no_column() -> None:
    cards = [card(f"{n}", prompt=f"prompt {n}", params={"seed": n}) for n in range(20)]
    assert shape(cards) == (("model", "prompt", ""), 1, 20)
    assert arrange(cards).captions == ("param.seed",)
    assert shape(cards, columns="seed") == (("param.seed", "prompt", ""), 20, 20)


def test_an_axis_is_taken_once() -> None:
    cards = product(None, models=2, prompts=2)
    with pytest.raises(InvalidRequest, match="`model` is asked for twice"):
        arrange(cards, columns="model", rows="model")


def test_an_axis_that_is_taken_by_the_rows_leaves_the_columns() -> None:
    assert shape(product(None, models=2, prompts=3), rows="model")[0] == ("prompt", "model", "")


def test_values_that_are_missing_say_so() -> None:
    cards = [card("u1", params={"size": "S"}), card("u2", prompt=None, status=Status.PENDING)]
    assert arrange(cards, columns="size").columns == ("S", "not set")
    assert arrange(cards).rows == ("a cat", "(no prompt)")


def test_a_parameter_of_any_kind_is_an_axis() -> None:
    values: list[Any] = [[1, 2], {"a": None}, True, 1, "1.5", 1.5, None]
    cards = [card(f"u{i}", params={"x": value}) for i, value in enumerate(values)]
    grid = arrange(cards)
    assert grid.rows == ("[1, 2]", '{"a": null}', "true", "1", "1.5", "null")
    assert len(grid.cells[4, 0]) == 2


def test_no_cards_are_an_empty_grid() -> None:
    assert arrange([]).cards() == []
    assert arrange([], rows="prompt").rows == ()
