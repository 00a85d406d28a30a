from __future__ import annotations

import base64
import re
from dataclasses import replace
from io import BytesIO

import pytest
from grid_samples import card, heavy, product
from PIL import Image

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.grid import MIN_BYTES, Budget, ResultsGrid, arrange, level
from modellix_jupyter.values import Card, Media

BUDGET = Budget(500_000, 64_000)
"""A quarter of the usual, for a quarter of the pictures."""
SOURCE = re.compile(r'src="(data:[^"]+)"')


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    return heavy(tmp_path_factory.mktemp("noise"))


def shown(cards: list[Card], budget: Budget = BUDGET) -> ResultsGrid:
    return ResultsGrid(arrange(cards), budget)


def pictures(grid: ResultsGrid) -> list[str]:
    return SOURCE.findall(grid._repr_html_())


def pixels(source: str) -> int:
    with Image.open(BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
        image.load()
        return max(image.size)


@pytest.mark.parametrize(("models", "prompts"), [(3, 2), (4, 4), (4, 25)], ids=["6", "16", "100"])
def test_a_grid_of_any_size_stays_within_its_budget(
    media: Media, models: int, prompts: int
) -> None:
    grid = shown(product(media, models, prompts))
    total = 0
    for number in range(1, grid.count + 1):
        page = grid.page(number)
        assert len(page._repr_html_().encode()) <= BUDGET.output
        sources = pictures(page)
        assert all(len(source) <= BUDGET.picture for source in sources)
        total += len(sources)
    assert total == models * prompts


def test_six_pictures_keep_their_full_size(media: Media) -> None:
    grid = shown(product(media, 3, 2))
    assert {pixels(source) for source in pictures(grid)} == {pixels(str(media.src))}
    assert grid.count == 1


def test_sixteen_pictures_shrink_before_there_are_pages(media: Media) -> None:
    grid = shown(product(media, 4, 4))
    sources = pictures(grid)
    assert grid.count == 1
    assert len(sources) == 16
    assert all(160 <= pixels(source) < 384 for source in sources)
    assert len(grid._repr_html_()) > 0.8 * BUDGET.output  # what is allowed is also used


@pytest.fixture(scope="module")
def hundred(media: Media) -> ResultsGrid:
    return shown(product(media, 4, 25))


def test_a_hundred_pictures_go_to_pages_that_say_so(hundred: ResultsGrid) -> None:
    grid = hundred
    assert 1 < grid.count < 4
    html = grid._repr_html_()
    rows = grid._pages[0].stop
    assert f"Rows 1 to {rows} of 25: page 1 of {grid.count}" in html
    assert ".page(2)" in html
    assert f"page 1 of {grid.count}" in repr(grid)
    assert "100 of 100 done" in html  # of the whole, not of the page
    last = grid.page(grid.count)
    assert ".page(1)" in last._repr_html_()
    assert "prompt 24" in last._repr_html_()


@pytest.mark.parametrize("number", [0, 2, -1, True, "1", 1.0])
def test_a_page_that_is_not_there_is_an_error(number: object) -> None:
    with pytest.raises(InvalidRequest, match="no page"):
        shown(product(None, 2, 2)).page(number)  # type: ignore[arg-type]  # some are no numbers


def test_a_video_that_does_not_fit_is_a_link_and_the_pictures_stay(media: Media) -> None:
    film = Media(kind="video", src="data:video/mp4;base64," + "A" * 375_000, path="/v.mp4")
    cards = [
        card("u1", replace(film), model="a/film"),
        card("u2", replace(film), model="b/film"),
        card("u3", replace(media), model="c/still"),
    ]
    grid = shown(cards)
    sources = pictures(grid)
    assert [source[:10] for source in sources] == ["data:video", "data:image"]
    assert len(grid._repr_html_()) <= BUDGET.output
    assert "/v.mp4" in grid._repr_html_()


def test_a_row_that_no_page_can_hold_has_words_for_the_rest(media: Media) -> None:
    small = Budget(60_000, 64_000)
    grid = shown(product(media, 20, 1), small)
    assert 0 < len(pictures(grid)) < 20
    assert len(grid._repr_html_()) <= small.output
    assert grid._repr_html_().count("picture · 5") == 20 - len(pictures(grid))


def test_the_setting_for_a_picture_holds_where_there_is_remaining_for_more(media: Media) -> None:
    grid = shown(product(media, 2, 2), Budget(500_000, 16_000))
    assert all(len(source) <= 16_000 for source in pictures(grid))


def test_pages_begin_anew_with_their_section(media: Media) -> None:
    cards = product(media, 2, 2, seeds=10)
    grid = ResultsGrid(arrange(cards, rows="seed", pages="prompt"), Budget(100_000, 64_000))
    assert grid.count > 2
    for number in range(1, grid.count + 1):
        assert "prompt " in grid.page(number)._repr_html_()


@pytest.mark.parametrize(
    ("sizes", "remaining", "expected"),
    [([10, 20, 30], 100, 30), ([10, 20, 30], 45, 17), ([5, 5, 90], 40, 30), ([], 7, 7)],
)
def test_the_level_is_where_all_fit(sizes: list[int], remaining: int, expected: int) -> None:
    assert level(sizes, remaining) == expected
    assert sum(min(size, level(sizes, remaining)) for size in sizes) <= remaining


def test_a_picture_is_never_shrunk_below_what_shows_something(hundred: ResultsGrid) -> None:
    sources = pictures(hundred)
    assert all(pixels(source) >= 64 for source in sources)
    assert all(len(source) > MIN_BYTES // 2 for source in sources)
