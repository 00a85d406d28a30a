from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render_samples import PIXEL, Parsed

from modellix_jupyter.html.markup import data_uri_ok, el, html, plain


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
