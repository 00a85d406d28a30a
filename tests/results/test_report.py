from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from grid_samples import heavy, product
from jinja2 import UndefinedError
from render_samples import INJECTIONS, PAGE_TAGS, PIXEL, Parsed, done, hostile, picture, task

from modellix_jupyter.html.markup import Html, file_anchor, html
from modellix_jupyter.results import report as module
from modellix_jupyter.results.frame import task_frame
from modellix_jupyter.results.report import render, report_html, table
from modellix_jupyter.values import Card, Media, Resource, Status

pytestmark = pytest.mark.usefixtures("no_plots")

DOCTYPE = "<!doctype html>\n"
PARTS: dict[str, Any] = {
    "title": "Autumn",
    "generated_at": datetime(2027, 1, 5, 8, 30, tzinfo=UTC),
    "facts": {"tasks": 2, "price": "$0.08"},
    "heading": "Comparison",
    "grid": None,
    "tables": [],
    "plots": [],
    "made_with": "a thing 1.0",
    "known": Html("[]"),
    "originals": False,
}


def page(**parts: Any) -> Parsed:
    return Parsed(render(**PARTS | parts).removeprefix(DOCTYPE))


def report(*cards: Card, files: dict[str, str] | None = None) -> Parsed:
    frame = task_frame([card.task for card in cards])
    return Parsed(report_html(cards, frame, files).removeprefix(DOCTYPE))


def test_a_report_needs_nothing_but_itself() -> None:
    made = report_html([done()], task_frame([done().task]))
    parsed = Parsed(made.removeprefix(DOCTYPE))
    policy = next(m["content"] for m in parsed.all("meta") if "http-equiv" in m)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', made, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    assert {tag for tag, _ in parsed.elements} <= PAGE_TAGS.keys()
    assert all(str(image["src"]).startswith("data:") for image in parsed.all("img"))
    assert "url(" not in made
    assert "@import" not in made
    assert "{{" not in made


def known(made: str) -> dict[str, dict[str, Any]]:
    """Return what the viewer of a page knows, by the keys of its pictures."""
    ((kind, text),) = re.findall(r'<script type="(.*?)" id="facts">(.*?)</script>', made, re.DOTALL)
    assert kind == "application/json"
    return dict(json.loads(text))


def test_the_viewer_knows_every_picture_of_the_page() -> None:
    cards = [done(), done(uid="u2")]
    frame = task_frame([card.task for card in cards]).assign(rating=[4.0, float("nan")])
    made = report_html(cards, frame)
    facts = known(made)
    keys = set(re.findall(r'data-mx="([^"]*)"', made))
    assert keys == {"u1/0", "u2/0"} == facts.keys()
    assert (facts["u1/0"]["prompt"], facts["u1/0"]["params"]["seed"]) == ("a cat", 7)
    assert (facts["u1/0"]["rating"], facts["u2/0"].get("rating")) == (4, None)
    assert not any("path" in item for item in facts.values())  # which is of this machine


@pytest.mark.filterwarnings("ignore:Glyph")
def test_no_text_ends_the_script_or_begins_another() -> None:
    cards = [hostile(text, Status.SUCCESS, "image", PIXEL) for text in INJECTIONS]
    made = report_html(cards, task_frame([card.task for card in cards]))
    assert len(re.findall("<script", made, re.IGNORECASE)) == 2
    assert len(re.findall("</script", made, re.IGNORECASE)) == 2
    assert "<!--" not in made
    assert {item["prompt"] for item in known(made).values()} == set(INJECTIONS)


def test_a_report_has_its_title_date_facts_pictures_and_tables() -> None:
    parsed = report(done(), Card(task=task(Status.FAILED, uid="u2", error_message="too dark")))
    for words in ("Modellix results", "UTC", "tasks", "$0.04", "1 of 2 done", "2 rows", "Summary"):
        assert words in parsed.text
    assert "too dark" in parsed.text
    assert "5 January 2027, 08:30 UTC" in page().text


def test_headings_stand_in_their_order() -> None:
    tables = [table("Sums", ["n"], [[1]]), table("Rest", ["a"], [["b"]])]
    plots = [{"caption": "Seconds", "light": PIXEL, "dark": PIXEL}]
    parsed = page(grid=Html("<div>IT</div>"), tables=tables, plots=plots)
    words = ("Autumn", "Comparison", "IT", "Sums", "Plots", "Seconds", "Rest", "a thing 1.0")
    order = [parsed.text.rindex(word) for word in words]
    assert order == sorted(order)
    assert parsed.all("source") == [{"media": "(prefers-color-scheme: dark)", "srcset": PIXEL}]


def test_a_part_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="made_with"):
        render(**{name: part for name, part in PARTS.items() if name != "made_with"})


def test_only_markup_of_ours_is_not_escaped() -> None:
    made = render(**PARTS | {"title": "<b>\u202e", "made_with": Html("<b>x</b>")})
    assert "<h1>&lt;b&gt;[U+202E]</h1>" in made
    assert "Made with <b>x</b>." in made


def test_a_video_on_the_web_is_neither_played_nor_linked() -> None:
    url = "https://cdn.example.com/v.mp4"
    media = Media(kind="video", src=url, url=url)
    parsed = report(Card(task=task(resources=(Resource(url=url, type="video"),)), media=(media,)))
    assert parsed.all("video") == []
    assert parsed.all("a") == []


def test_a_page_of_many_pictures_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_BYTES", 600_000)
    monkeypatch.setattr(module, "TABLE_BYTES", 80_000)
    cards = product(heavy(tmp_path), 4, 30)
    made = report_html(cards, task_frame([card.task for card in cards]))
    assert 500_000 < len(made.encode()) <= 600_000
    assert 10 < made.count("data:image/jpeg") < len(cards)


def test_an_empty_report_is_still_a_page() -> None:
    parsed = report()
    assert len(parsed.all("h2")) == 1  # of the table with no rows
    assert "0 rows" in parsed.text


def test_only_the_key_columns_are_printed() -> None:
    parsed = page(tables=[table("T", ["a", "b"], [["x", 2]], keys=1)])
    assert [str(cell["class"]).split() for cell in parsed.all("th")] == [[], ["n", "x"]]
    assert [str(cell["class"]).split() for cell in parsed.all("td")] == [["s"], ["n", "x"]]


def test_a_file_beside_the_page_is_linked_from_there() -> None:
    card = Card(
        task=task(resources=(Resource(url=""),)), media=(picture(file="ein Rabe & co.png"),)
    )
    links = [a["href"] for a in report(card, files={"u1/0": "b c.png"}).all("a")]
    assert links == ["ein%20Rabe%20%26%20co.png", "ein%20Rabe%20%26%20co.png", "b%20c.png"]


def test_a_file_elsewhere_is_not_linked() -> None:
    paths = ["../x", "a/../x", "/etc/passwd", "javascript:alert(1)", "C:\\x", "a\\b", "", "."]
    for path in [*paths, "//x.example/a"]:
        assert file_anchor(path, html("x")) == "x", path
