"""Whatever text stands in a field, the markup keeps its own tags and attributes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render_samples import INJECTIONS, NOW, PAGE_TAGS, PIXEL, TAGS, Parsed, hostile

from modellix_jupyter.html.cards import cards_html, cards_text
from modellix_jupyter.html.grid import Grid, grid_html
from modellix_jupyter.html.markup import data_uri_ok, file_anchor, html, script_json
from modellix_jupyter.html.table import table_html
from modellix_jupyter.results.report import render, table
from modellix_jupyter.values import Card, Status

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KINDS = ["image", "video", "audio", "link", "<b>"]
DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
BESIDE = re.compile(r"[A-Za-z0-9_~%-][A-Za-z0-9_.~%/-]*")
"""A path from the page's own folder on; it has no scheme, for it has no colon."""
OUR_STYLE = re.compile(r"[a-z0-9 :;,.#%()/-]*")

markup_heavy = st.text(st.sampled_from("<>&\"'`=/ \n\t\x00\x1b\u202e\ud800ab:;-!")) | st.text()
texts = markup_heavy | st.sampled_from(INJECTIONS)


def assert_ours(markup: str, tags: dict[str, set[str]]) -> Parsed:
    parsed = Parsed(markup)
    assert parsed.others == []
    for tag, attributes in parsed.elements:
        assert tag in tags
        assert set(attributes) <= tags[tag]
        assert OUR_STYLE.fullmatch(attributes.get("style") or "")
        if "href" in attributes:
            assert BESIDE.fullmatch(str(attributes["href"]))
            assert attributes["rel"] == "noopener noreferrer"
        if "src" in attributes:
            assert_loads_only_media(tag, attributes["src"])
    markup.encode("utf-8")
    return parsed


def assert_loads_only_media(tag: str, src: str | None) -> None:
    assert data_uri_ok(src, "image" if tag == "img" else tag)


def every_status(text: str, kind: str) -> list[Card]:
    return [hostile(text, status, kind) for status in Status]


@given(text=texts, kind=st.sampled_from(KINDS), status=st.sampled_from(list(Status)))
def test_a_single_card_keeps_its_markup_with_any_text(text: str, kind: str, status: Status) -> None:
    assert_ours(cards_html([hostile(text, status, kind)], NOW, stopped=text), TAGS)


@given(text=texts, kind=st.sampled_from(KINDS))
def test_a_batch_keeps_its_markup_with_any_text(text: str, kind: str) -> None:
    cards = every_status(text, kind)
    assert_ours(cards_html(cards, NOW), TAGS)
    assert_ours(cards_html(cards * 2, NOW), TAGS)


@given(text=texts, kind=st.sampled_from(KINDS))
def test_a_grid_keeps_its_markup_with_any_text(text: str, kind: str) -> None:
    cards = tuple(every_status(text, kind))
    assert_ours(grid_html(Grid((text, text), (text,), {(0, 0): cards})), TAGS)
    assert_ours(grid_html(wordy(text, cards[:2])), TAGS)


def wordy(text: str, cards: Sequence[Card]) -> Grid:
    """Return a grid that has the text wherever it holds any, in a single column."""
    return Grid(
        (text,),
        (text,) * len(cards),
        {(r, 0): (card,) for r, card in enumerate(cards)},
        axes=("param." + text, "param." + text, "prompt"),
        sections=(text,) * len(cards),
        captions=("model", "prompt", "param." + text),
        common=(("prompt", text), ("model", text)),
        note=text,
    )


@given(text=texts)
def test_a_table_keeps_its_markup_with_any_text(text: str) -> None:
    assert_ours(table_html([text, text], [[text], [None, 1, 2]], caption=text), TAGS)


@given(text=texts, kind=st.sampled_from(KINDS))
def test_a_report_keeps_its_markup_with_any_text(text: str, kind: str) -> None:
    media = hostile(text, Status.SUCCESS, kind).media[1]
    page = render(
        title=text,
        generated_at=datetime(2027, 1, 15, tzinfo=UTC),
        facts={text: text},
        heading=text,
        grid=grid_html(wordy(text, every_status(text, kind))),
        tables=[table(text, [text, "n"], [[text, 1], [media, file_anchor(text, html(text))]], 1)],
        plots=[{"caption": text, "light": PIXEL, "dark": PIXEL}],
        made_with=text,
        known=script_json([[text, {text: text}]]),
        originals=True,
    )
    assert_ours(page.removeprefix("<!doctype html>\n"), PAGE_TAGS)


def test_an_injection_is_shown_as_the_text_it_is() -> None:
    def letters(text: str) -> str:
        return "".join(c for c in text if c.isalnum() and c.isascii())

    for text in INJECTIONS:
        shown = Parsed(cards_html([hostile(text, Status.FAILED, "image")], NOW)).text
        assert letters(text) in letters(re.sub(r"\[U\+[0-9A-F]+\]", "", shown)), text


def test_markup_in_a_prompt_is_escaped_and_not_dropped() -> None:
    card = hostile("<b>'\"&</b>", Status.PENDING, "image")
    markup = cards_html([card], NOW)
    assert "&lt;b&gt;&#x27;&quot;&amp;&lt;/b&gt;" in markup


def test_a_picture_is_never_loaded_from_a_url() -> None:
    card = hostile("https://example.com/pixel.png", Status.SUCCESS, "image")
    parsed = Parsed(cards_html([card], NOW))
    assert {attributes["src"] for attributes in parsed.all("img")} == {PIXEL}


@given(text=texts, status=st.sampled_from(list(Status)))
def test_a_terminal_is_never_driven(text: str, status: Status) -> None:
    shown = cards_text([hostile(text, status, "image")] * 3, NOW, stopped=text)
    assert all(category(char) not in {"Cc", "Cs", "Zl", "Zp"} for char in shown if char != "\n")
    assert not set(shown) & set(DIRECTIONS)


@pytest.mark.browser
def test_no_script_of_the_corpus_runs_in_a_browser(browser: Browser) -> None:
    cards = [hostile(text, status, "image") for text in INJECTIONS for status in Status]
    shown = "".join(cards_html([card], NOW) for card in cards) + cards_html(cards, NOW)
    page = browser.new_page()
    page.route("**/*", lambda route: route.abort())
    page.set_content("".join(INJECTIONS[:4]).encode("utf-8", "replace").decode())
    page.wait_for_function("window.canary === 1")  # the corpus does bite where it is raw
    page.set_content("about to be replaced")
    page.evaluate("delete window.canary")
    page.set_content(f"<body>{shown}</body>")
    for element in page.locator("img, figure, a").all()[:20]:
        element.dispatch_event("mouseover")
    assert page.evaluate("window.canary === undefined")
    assert page.locator("script, iframe, svg, object, embed").count() == 0
    page.close()
