from __future__ import annotations

from dataclasses import replace

import pytest
from render_samples import NOW, Parsed, done, picture, resource, task

from modellix_jupyter.html.cards import cards_html
from modellix_jupyter.html.grid import Grid, grid_html, grid_text
from modellix_jupyter.values import Card, Request, Status

FAILED = Card(task=task(Status.FAILED, error_message="too dark"))
GRID = Grid(
    ("a/x", "b/y"),
    ("a cat", "a dog"),
    {(0, 0): (done(), done()), (0, 1): (done(),), (1, 0): (FAILED,)},
    captions=("param.seed",),
    facts="3 of 4 done, 1 failed",
)


def test_models_are_across_and_prompts_down() -> None:
    parsed = Parsed(grid_html(GRID))
    heads = parsed.all("th")
    assert [head["scope"] for head in heads] == ["col", "col", "rowgroup", "rowgroup"]
    assert heads[2]["colspan"] == "2"
    assert len(parsed.all("td")) == 4
    assert parsed.text.index("a cat") < parsed.text.index("a dog")


def test_pictures_have_captions_alternatives_and_links() -> None:
    parsed = Parsed(grid_html(GRID))
    assert len(parsed.all("img")) == 3
    assert {image["alt"] for image in parsed.all("img")} == {"a cat (alibaba/qwen-image-plus)"}
    assert parsed.all("a") == []  # the service's address ends in a day
    assert sum("data-mx" in div for div in parsed.all("div")) == 3
    assert parsed.text.count("12.4 s · seed 7 · $0.04") == 3


def test_pictures_share_one_box() -> None:
    sizes = {(i["width"], i["height"]) for i in Parsed(grid_html(GRID)).all("img")}
    assert sizes == {("320", "240")}


def test_what_failed_or_was_not_run_says_so() -> None:
    text = Parsed(grid_html(GRID)).text
    assert "too dark" in text
    assert "not run" in text


def test_every_card_of_the_grid_is_listed_row_by_row() -> None:
    assert GRID.cards() == [done(), done(), done(), FAILED]
    assert Parsed(cards_html(GRID.cards(), NOW)).text.startswith("3 of 4 done, 1 failed")


def test_a_grid_for_a_terminal() -> None:
    lines = grid_text(GRID, width=120).split("\n")
    assert lines[0].split() == ["prompt", "a/x", "b/y"]
    assert "success, 12.4 s" in lines[2]
    assert "not run" in lines[3]


def seeds(count: int) -> Grid:
    cells = {(r, 0): (done(request=Request("a/x", "a cat", {"seed": r})),) for r in range(count)}
    rows = tuple(map(str, range(count)))
    return Grid(("a/x",), rows, cells, axes=("model", "param.seed", ""), captions=())


def test_a_single_column_flows_with_each_heading_below_its_picture() -> None:
    parsed = Parsed(grid_html(seeds(6)))
    assert parsed.all("table") == []
    assert len(parsed.all("img")) == 6
    assert parsed.text.index("a/x") < parsed.text.index("seed 0") < parsed.text.index("seed 5")


def test_a_single_column_with_several_in_a_place_does_not_flow() -> None:
    grid = replace(seeds(2), cells={(0, 0): (done(), done()), (1, 0): (done(),)})
    assert len(Parsed(grid_html(grid)).all("table")) == 1


def test_sections_are_headed_once() -> None:
    grid = replace(
        GRID, axes=("model", "prompt", "param.size"), sections=("S", "M"), captions=("param.seed",)
    )
    text = Parsed(grid_html(grid)).text
    assert text.index("size S") < text.index("a cat") < text.index("size M") < text.index("a dog")
    assert text.count("size S") == 1
    plain = grid_text(grid, width=120)
    assert plain.index("size S") < plain.index("a cat") < plain.index("size M")


def test_captions_are_what_the_grid_says() -> None:
    text = Parsed(grid_html(replace(GRID, captions=("model", "prompt", "param.size")))).text
    assert "alibaba/qwen-image-plus · 12.4 s · size 1024*1024 · $0.04 · a cat" in text
    assert "seed" not in text


def test_the_lead_has_the_counts_and_what_all_share() -> None:
    text = Parsed(grid_html(replace(GRID, common=(("prompt", "only this"),)))).text
    assert text.startswith("only this3 of 4 done, 1 failed")


def test_a_part_speaks_of_the_whole_and_keeps_its_captions() -> None:
    part = GRID.part([1])
    assert part.rows == ("a dog",)
    assert part.cards() == [FAILED]
    assert part.captions == ("param.seed",)
    assert "3 of 4 done" in Parsed(grid_html(part)).text


def test_a_long_grid_names_the_column_below_each_picture() -> None:
    cells = {(r, c): (done(),) for r in range(6) for c in range(2)}
    grid = Grid(("provider/zebra", "b/y"), tuple(map(str, range(6))), cells)
    text = Parsed(grid_html(grid)).text
    assert text.count("zebra") == 7


def test_each_file_of_a_task_is_seen_and_counted() -> None:
    card = replace(done(), media=(picture(),) * 3)
    parsed = Parsed(grid_html(Grid(("a/x",), ("a cat",), {(0, 0): (card,)})))
    assert len(parsed.all("img")) == 3
    assert all(f"{i} of 3" in parsed.text for i in (1, 2, 3))


def test_a_picture_is_linked_to_its_address_only_where_that_is_http() -> None:
    card = Card(task=task(resources=(resource(),)), media=(picture(url="javascript:alert(1)"),))
    parsed = Parsed(grid_html(Grid(("a/x",), ("a cat",), {(0, 0): (card,)})))
    assert (len(parsed.all("img")), parsed.all("a")) == (1, [])


def test_nothing_of_a_grid_depends_on_a_style_sheet() -> None:
    for grid in (GRID, seeds(4)):
        parsed = Parsed(grid_html(grid))
        assert not {"style", "script", "svg"} & {tag for tag, _ in parsed.elements}
        assert not any({"class", "id"} & set(a) for _, a in parsed.elements)


@pytest.mark.parametrize("width", [20, 80, 200])
def test_a_note_stands_below_in_both_forms(width: int) -> None:
    grid = replace(GRID, note="Row 1 of 9.")
    assert "Row 1 of 9." in Parsed(grid_html(grid)).text
    assert grid_text(grid, width=width).endswith("Row 1 of 9.")


def test_an_empty_grid_is_no_error() -> None:
    empty = Grid((), (), {})
    assert "no tasks" in Parsed(grid_html(empty)).text
    assert grid_text(empty) == "no tasks"
