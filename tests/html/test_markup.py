from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render_samples import PIXEL, Parsed

from modellix_jupyter.html.markup import data_uri_ok, el, html, link, plain, web_url_ok


@given(st.text())
def test_what_is_escaped_reads_back_as_what_is_visible(text: str) -> None:
    assert Parsed(html(text, newlines=True)).text == plain(text, newlines=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a[U+202E]b"),
        ("a\u2066b\u2069", "a[U+2066]b[U+2069]"),
        ("\x1b[31mred", "[U+001B][31mred"),
        ("nul\x00", "nul[U+0000]"),
        ("c1\x9b", "c1[U+009B]"),
        ("\ud83d", "[U+D83D]"),
        ("zero\u200bwidth", "zero[U+200B]width"),
        ("tag\U000e0041", "tag[U+E0041]"),
        ("tab\there", "tab here"),
        ("two\r\nlines", "two lines"),
        ("family \U0001f468\u200d\U0001f469", "family \U0001f468\u200d\U0001f469"),
    ],
)
def test_hidden_characters_are_spelled_out(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_line_breaks_stay_where_they_are_asked_for() -> None:
    assert html("a\r\nb\rc", newlines=True) == "a\nb[U+000D]c"


def test_a_link_opens_apart_and_tells_nobody_where_it_was() -> None:
    ((tag, attributes),) = Parsed(link("https://example.com/a?b=1&c=2", "open <it>")).elements
    assert (tag, attributes["href"]) == ("a", "https://example.com/a?b=1&c=2")
    assert attributes["rel"] == "noopener noreferrer"
    assert attributes["target"] == "_blank"


def test_anything_but_a_plain_web_address_is_only_text() -> None:
    urls = [
        None,
        "",
        "javascript:alert(1)",
        " https://example.com",
        "https://",
        "//example.com",
        "ftp://example.com",
        "data:text/html,x",
        "https://user:secret@example.com",
        "https://modellix.ai@example.com",
        "https://example.com/\u202egnp.exe",
        "https://[::1",
        "https://exa mple.com",
        'https://example.com/"x',
        "https:\\\\example.com",
    ]
    for url in urls:
        assert link(url, "open <it>") == "open &lt;it&gt;", url
        assert not web_url_ok(url), url


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/x.png", "HTTPS://Example.com", "http://[::1]/"]
)
def test_web_addresses_are_links(url: str) -> None:
    assert web_url_ok(url)


def test_only_media_of_known_types_may_be_loaded() -> None:
    cases: list[tuple[str | None, str | None, bool]] = [
        (PIXEL, "image", True),
        (PIXEL, None, True),
        (PIXEL, "video", False),
        ("data:video/mp4;base64,AAAA", "video", True),
        ("data:audio/wav;base64,AAA=", "audio", True),
        ("data:audio/wav;base64,", "audio", False),
        ("data:image/svg+xml;base64,AAAA", None, False),
        ("data:text/html;base64,AAAA", None, False),
        ("data:image/png,AAAA", None, False),
        ("data:image/png;base64,AA AA", None, False),
        ("data:image/png;base64,AAAA\n", None, False),
        ('data:image/png;base64,AAAA"', None, False),
        ("https://example.com/x.png", None, False),
        (None, None, False),
    ]
    assert [case for case in cases if data_uri_ok(*case[:2]) is not case[2]] == []


def test_an_element_escapes_every_attribute_and_leaves_out_none() -> None:
    made = el("img", alt="\"><b>'", src=None, hidden=True, aria_label="x", class_="y")
    assert made == '<img alt="&quot;&gt;&lt;b&gt;&#x27;" hidden aria-label="x" class="y">'
