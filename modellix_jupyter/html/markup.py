"""The only place where text becomes markup.

`Html` is a separate type: mypy refuses plain text where markup is expected, and Jinja escapes
every other value. `html` turns text into markup; `el` makes elements.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Self
from urllib.parse import quote


class Html(str):
    """Markup that is safe to show."""

    __slots__ = ()

    def __html__(self) -> Self:
        """Return the markup itself: Jinja does not escape a value with this method."""
        return self


NOTHING = Html("")
_HIDDEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters: ESC controls a terminal, NUL ends a page
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks: they reorder text
    "\u00ad\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # invisible
    "\U000e0000-\U000e007f"  # tags: an invisible second text
    "\ud800-\udfff"  # lone surrogates cannot be written to a file
    "]"
)
_DATA = re.compile(
    r"data:(?:"
    r"(?P<image>image/(?:png|jpeg|webp|gif))|"
    r"(?P<video>video/(?:mp4|webm))|"
    r"(?P<audio>audio/(?:wav|mpeg|ogg|mp4|flac))"
    r");base64,[A-Za-z0-9+/]+={0,2}"
)
_BESIDE = re.compile(r"(?!\.)[^/\\:]+(?:/(?!\.)[^/\\:]+)*")
_VOID = frozenset({"img", "meta", "br", "source"})


def plain(text: str, *, newlines: bool = False) -> str:
    r"""Return text with invisible and control characters as their code points."""
    lines = text.replace("\r\n", "\n").replace("\t", " ").split("\n")
    shown = (_HIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", line) for line in lines)
    return ("\n" if newlines else " ").join(shown)


def html(text: str, *, newlines: bool = False) -> Html:
    r"""Return text as markup, safe in an element and in a quoted attribute."""
    return Html(escape(plain(text, newlines=newlines), quote=True))


def el(name: str, /, *children: Html, **attributes: str | float | None) -> Html:
    """Return one element; None leaves an attribute out, True gives it no value."""
    pairs = "".join(
        _attribute(key, value)
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    start = f"<{name}{pairs}>"
    return Html(start if name in _VOID else f"{start}{join(children)}</{name}>")


def _attribute(key: str, value: str | float) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html(str(value))}"'


def join(parts: Iterable[Html]) -> Html:
    """Return pieces of markup as one."""
    return Html("".join(parts))


def script_json(value: object) -> Html:
    """Return JSON that is safe in a script element."""
    text = json.dumps(value)
    return Html(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def data_uri_ok(uri: str | None, kind: str | None = None) -> bool:
    """Whether an element may load a URI: base64 of a picture, video or sound of a known type."""
    match = None if uri is None else _DATA.fullmatch(uri)
    return match is not None and (kind is None or match.lastgroup == kind)


def file_anchor(path: str | None, content: Html) -> Html:
    """Return markup as a link to a file below the page's folder; for any other path, unchanged."""
    if path is None or not _BESIDE.fullmatch(path):
        return content
    return el(
        "a",
        content,
        href=quote(path, errors="replace"),
        target="_blank",
        rel="noopener noreferrer",
        # Inherited, because the browser's blue is not readable on a dark page.
        style="color:inherit;text-decoration:underline",
    )
