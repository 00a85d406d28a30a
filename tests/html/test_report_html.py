from __future__ import annotations

from datetime import UTC, datetime

import pytest
from render_samples import PIXEL, Parsed, done, picture, task

from modellix_jupyter.html.grid import Grid
from modellix_jupyter.html.markup import file_anchor, html
from modellix_jupyter.html.report import FileLink, PagePlot, PageTable, report_html
from modellix_jupyter.values import Card, Media, Resource, Status


def page(cards: list[Card]) -> str:
    rows: list[list[object]] = [[picture(), "a cat", 0.04], [None, "a dog", 1]]
    return report_html(
        "Autumn",
        cards,
        ["picture", "prompt", "price"],
        rows,
        generated_at=datetime(2027, 1, 5, 8, 30, tzinfo=UTC),
        facts={"tasks": 2, "cost": "$0.08"},
    )


def test_a_report_needs_nothing_but_itself() -> None:
    made = page([done()])
    parsed = Parsed(made.removeprefix("<!doctype html>\n"))
    policy = next(m["content"] for m in parsed.all("meta") if "http-equiv" in m)
    assert policy == (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    )
    assert parsed.all("script") == []
    assert all(str(image["src"]).startswith("data:") for image in parsed.all("img"))
    assert "url(" not in made
    assert "@import" not in made


def test_a_report_has_title_date_facts_gallery_and_table() -> None:
    parsed = Parsed(page([done(), Card(task=task(Status.FAILED, error_message="too dark"))]))
    for words in ("Autumn", "5 January 2027, 08:30 UTC", "tasks", "$0.08", "1 of 2 done", "2 rows"):
        assert words in parsed.text
    assert "too dark" in parsed.text
    assert len(parsed.all("figure")) == 2
    assert len(parsed.all("img")) == 2
    assert len(parsed.all("td")) == 6
    assert [cell["class"] for cell in parsed.all("td") if cell.get("class") == "n"] == ["n", "n"]


def test_a_video_on_the_web_is_a_link_because_the_policy_would_not_play_it() -> None:
    url = "https://cdn.example.com/v.mp4"
    media = Media(kind="video", src=url, url=url)
    card = Card(task=task(resources=(Resource(url=url, type="video"),)), media=(media,))
    parsed = Parsed(page([card]))
    assert parsed.all("video") == []
    assert url in {anchor["href"] for anchor in parsed.all("a")}


def test_an_empty_report_is_still_a_page() -> None:
    made = report_html("T", [], [], [], generated_at=datetime(2027, 1, 5, tzinfo=UTC), facts={})
    parsed = Parsed(made.removeprefix("<!doctype html>\n"))
    assert parsed.all("h2") == []
    assert "T" in parsed.text


WHEN = datetime(2027, 1, 5, tzinfo=UTC)


def parsed_page(**parts: object) -> Parsed:
    columns, rows = parts.pop("columns", []), parts.pop("rows", [])
    made = report_html("T", [done()], columns, rows, generated_at=WHEN, facts={}, **parts)  # type: ignore[arg-type]  # parts of a page
    return Parsed(made.removeprefix("<!doctype html>\n"))


def test_a_comparison_stands_in_place_of_the_gallery() -> None:
    grid = Grid(("a/x",), ("a cat",), {(0, 0): (done(), done())})
    parsed = parsed_page(grid=grid)
    assert "Comparison" in parsed.text
    assert "Gallery" not in parsed.text
    assert len(parsed.all("img")) == 2


def test_tables_and_plots_have_their_headings() -> None:
    parsed = parsed_page(
        tables=[PageTable("Sums", ["n"], [[1]]), PageTable("Rest", ["a"], [["b"]])],
        plots=[
            PagePlot("Seconds", PIXEL, PIXEL),
            PagePlot("Bad", "https://x.example/a.png", PIXEL),
        ],
        made_with="a thing 1.0",
    )
    order = [
        parsed.text.index(word) for word in ("Sums", "Plots", "Seconds", "Rest", "a thing 1.0")
    ]
    assert order == sorted(order)
    assert "Bad" not in parsed.text
    (source,) = parsed.all("source")
    assert source == {"media": "(prefers-color-scheme: dark)", "srcset": PIXEL}


def test_only_the_key_columns_are_printed() -> None:
    parsed = parsed_page(columns=["a", "b"], rows=[["x", 2]], key_columns=1)
    assert [cell.get("class") for cell in parsed.all("th")] == [None, "n x"]
    assert [cell.get("class") for cell in parsed.all("td")] == ["s", "n x"]


def test_a_file_beside_the_page_is_linked_from_there() -> None:
    beside = picture(file="ein Rabe & co_1.png")
    card = Card(task=task(), media=(beside,))
    made = report_html("T", [card], ["f"], [[FileLink("b c.png")]], generated_at=WHEN, facts={})
    links = [a["href"] for a in Parsed(made.removeprefix("<!doctype html>\n")).all("a")]
    assert links == ["ein%20Rabe%20%26%20co_1.png", "b%20c.png"]


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../x",
        "/etc/passwd",
        "javascript:alert(1)",
        "C:\\x",
        "a\\b",
        "//x.example/a",
        "",
        ".",
    ],
)
def test_a_file_elsewhere_is_not_linked(path: str) -> None:
    assert file_anchor(path, html("x")) == "x"
