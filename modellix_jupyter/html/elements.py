"""Inline styles, and the elements of every page: dots, bars, notes, pictures.

An untrusted notebook loses its ``<style>``, classes and scripts, so each element has inline styles.
Text inherits its colour from the page, light or dark. Only dots, bars and borders have a colour of
their own, each beside a word of the same meaning.

The viewer needs a script, which is added from outside. This module provides the script, its style
sheet and the facts of a task that it shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from modellix_jupyter.html import formatting
from modellix_jupyter.html.markup import NOTHING, Html, data_uri_ok, el, file_anchor, html, join
from modellix_jupyter.values import Card, Media, Resource, Status, Task, to_datetime

# Each has a contrast of at least 3 to white and to #111, the minimum for graphics.
GREEN = "#2e9e5b"
RED = "#e5484d"
BLUE = "#3b82f6"
AMBER = "#b7791f"
GREY = "#868e96"

FILLED = "background-color:rgba(128,128,128,0.13)"
LINE = "rgba(128,128,128,0.30)"

# In an untrusted notebook, JupyterLab keeps only the first of the two.
BREAK = "overflow-wrap:break-word;overflow-wrap:anywhere"
ROOT = f"font-size:13px;line-height:1.5;max-width:100%;{BREAK};padding:4px 0"
ROW = "display:flex;flex-wrap:wrap;align-items:baseline;gap:0 10px"
DIM = "opacity:0.72"
RIGHT = f"margin-left:auto;{DIM};white-space:nowrap"
CODE = "font-family:monospace;font-size:12px"

COLOURS: Mapping[str, str] = {
    Status.SUCCESS: GREEN,
    Status.FAILED: RED,
    Status.REJECTED: RED,
    Status.EXPIRED: GREY,
    Status.UNKNOWN: AMBER,
    Status.PROCESSING: BLUE,
}
# Seconds in which the mark in a bar of unknown progress sweeps to the end and back.
SWEEP_S = 4
SWEEP_WIDTH = 30
# Height in pixels of the input pictures of a task.
INPUT_PX = 40
_NOUNS = {"image": "picture", "video": "video", "audio": "sound"}


def colour_of(card: Card) -> str:
    """Return the colour of the card's dot: amber while it waits for a known time."""
    held = card.activity is not None and card.activity.until is not None
    return AMBER if held and formatting.is_open(card) else COLOURS.get(card.task.status, GREY)


def dot(colour: str) -> Html:
    """Return a small disc; the word beside it has the same meaning."""
    return el(
        "span",
        style="display:inline-block;width:9px;height:9px;border-radius:50%;"
        f"background-color:{colour};margin-right:8px",
    )


def row(*parts: Html) -> Html:
    """Return parts on one line, which wraps on a narrow page."""
    return el("div", *parts, style=ROW)


def dim(text: str, style: str = DIM) -> Html:
    """Return dimmed text, or nothing for an empty text."""
    return el("span", html(text), style=style) if text else NOTHING


def dotted(parts: Sequence[str]) -> Html:
    """Return dimmed texts with dots between them."""
    return dim(" · ".join(part for part in parts if part))


def model_name(slug: str) -> Html:
    """Return the slug with its model in bold."""
    provider, slash, model = slug.rpartition("/")
    return el("span", dim(provider + slash), el("strong", html(model)))


def ticked(text: str) -> Html:
    """Return text with the parts between backticks as code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return html(text)
    return join(
        [el("code", html(p), style=CODE) if i % 2 else html(p) for i, p in enumerate(pieces)]
    )


def note(text: str) -> Html:
    """Return a dimmed note below other content, or nothing for an empty text."""
    return el("div", ticked(text), style=f"{DIM};margin-top:6px") if text else NOTHING


def bar(part: float | None, elapsed_s: float, *, label: str) -> Html:
    """Return a progress bar; if `part` is unknown, a mark sweeps through it."""
    if part is not None:
        return track([(100 * part, BLUE, "")], label=label, value=int(part * 100))
    phase = elapsed_s % SWEEP_S / SWEEP_S
    left = (100 - SWEEP_WIDTH) * (1 - abs(2 * phase - 1))
    sweep = (SWEEP_WIDTH, BLUE, f"margin-left:{left:.1f}%;opacity:0.6;")
    return track([sweep], label=label, value=None)


def track(segments: Iterable[tuple[float, str, str]], *, label: str, value: int | None) -> Html:
    """Return a bar of segments, each of which has per cent, a colour and further style."""
    filled = [
        el("div", style=f"width:{size:.1f}%;height:5px;background-color:{colour};{more}")
        for size, colour, more in segments
        if size > 0
    ]
    return el(
        "div",
        *filled,
        role="progressbar",
        aria_label=label,
        aria_valuemin=0,
        aria_valuemax=100,
        aria_valuenow=value,
        style="display:flex;width:100%;height:5px;border-radius:3px;overflow:hidden;"
        "background-color:rgba(128,128,128,0.25)",
    )


def media_of(card: Card) -> tuple[Media, ...]:
    """Return the media of a card, or else a link for each resource of its task."""
    return card.media or tuple(_linked(resource) for resource in card.task.resources)


def _linked(resource: Resource) -> Media:
    return Media(
        kind=resource.type if resource.type in _NOUNS else "link",
        width=resource.width,
        height=resource.height,
        path=resource.path,
        url=resource.url,
        size=resource.size,
        problem=resource.problem,
    )


def fit(media: Media, box: int) -> tuple[int | None, int | None]:
    """Return the size in the page: within the box, never larger than the original."""
    if not media.width or not media.height or media.width < 0 or media.height < 0:
        return None, None
    scale = min(box / media.width, box / media.height, 1)
    return max(round(media.width * scale), 1), max(round(media.height * scale), 1)


class Shown(NamedTuple):
    """A file of a card, the key of its original for the viewer, and its number among the files."""

    key: str = ""
    media: Media | None = None
    number: str = ""  # as in "2 of 4"; empty for the only one


def shown_of(card: Card) -> list[Shown]:
    """Return the files of a card; of an open card, those that are already downloaded."""
    if formatting.is_open(card) and not card.media:
        return []
    resources = card.task.resources
    shown = [i for i, one in enumerate(resources) if one.path or one.lost]
    media = media_of(card)
    places = shown if len(shown) == len(media) else range(len(media))
    several = len(media) > 1
    return [
        Shown(f"{card.task.uid}/{place}", item, f"{i} of {len(media)}" if several else "")
        for i, (place, item) in enumerate(zip(places, media, strict=True), 1)
    ]


def media_html(media: Media, alt: str, box: int, key: str = "") -> Html:
    """Return an element that shows a resource within a square, or a text in its place.

    With a key, a click or Enter on it opens the viewer, if our script is loaded.
    """
    if media.text is not None:
        return _text(media.text)
    embeds = media.problem is None and data_uri_ok(media.src, media.kind)
    shown = _embedded(media, alt, box) if embeds else fallback(media)
    return opens(shown, media, key) if key and media.path else shown


def opens(shown: Html, media: Media, key: str, css: str = "width:100%") -> Html:
    """Wrap content so that a click or Enter opens the viewer, if our script is loaded."""
    kind = media.kind if media.kind in {"video", "audio"} else None
    style = f"cursor:zoom-in;{css}"
    return el("div", shown, data_mx=key, data_mx_type=kind, tabindex=0, style=style)


def _text(text: str) -> Html:
    """Return a text unchanged, in a box that scrolls if the text is long."""
    style = "white-space:pre-wrap;overflow-wrap:anywhere;max-height:16em;overflow:auto;width:100%"
    return el("div", html(text), style=f"{style};{FILLED};border-radius:6px;padding:10px")


def _embedded(media: Media, alt: str, box: int) -> Html:
    if media.kind == "image":
        return _image(media, alt, box)
    audio = f"width:{box}px;max-width:100%"
    video = f"display:block;max-width:100%;max-height:{box}px;border-radius:6px"
    return el(
        media.kind,
        controls=True,
        preload="metadata",
        src=media.src,
        aria_label=alt,
        style=audio if media.kind == "audio" else video,
    )


def _image(media: Media, alt: str, box: int) -> Html:
    width, height = fit(media, box)
    # As wide as its container, but no wider than the box or the original. The attributes are for
    # pages that remove the style, and reserve the space while the picture is decoded.
    limit = f"width:100%;max-width:{width}px" if width else f"max-width:100%;max-height:{box}px"
    picture = el(
        "img",
        src=media.src,
        alt=alt,
        width=width,
        height=height,
        title=media.path,
        style=f"{limit};height:auto;display:block;border-radius:6px;margin:0",
    )
    return file_anchor(media.file, picture) if media.file else picture


def inputs(media: Sequence[Media]) -> Html:
    """Return the input pictures of a task, small and on one line."""
    style = f"height:{INPUT_PX}px;width:auto;border-radius:4px;display:block;margin:0"
    pictures = [
        el("img", src=each.src, alt="input", height=INPUT_PX, title=each.path, style=style)
        for each in media
        if data_uri_ok(each.src, "image")
    ]
    return el("div", *pictures, style="display:flex;gap:4px;margin:3px 0") if pictures else NOTHING


def fallback(media: Media) -> Html:
    """Return a tile in place of a picture: its type, the problem, and its path."""
    noun = _NOUNS.get(media.kind, "file")
    size = formatting.dimensions(media.width, media.height)
    about = " · ".join(part for part in (noun, size, formatting.file_size(media.size)) if part)
    plays = media.kind in {"video", "audio"} and not media.problem
    lines = (
        el("div", html("▶"), style="font-size:26px;line-height:1.2") if plays else NOTHING,
        el("strong", html(about)),
        dim(formatting.clip(media.problem or "", 300)),
        file_anchor(media.file, html(f"open the {noun}")) if media.file else NOTHING,
        dim(media.path or "", f"{DIM};font-size:11px"),
    )
    usual = "16/9" if media.kind == "video" else "4/1"
    ratio = f"{media.width}/{media.height}" if fit(media, 1)[0] else usual
    shape = f"aspect-ratio:{ratio};" if plays or ratio != usual else ""
    return el(
        "div",
        *(el("div", line) for line in lines if line),
        style=f"{shape}{FILLED};border-radius:6px;padding:10px;box-sizing:border-box;width:100%;"
        "overflow-wrap:anywhere;display:flex;flex-direction:column;justify-content:center;"
        "align-items:center;text-align:center",
    )


def chips(parts: Sequence[str]) -> Html:
    """Return short texts, each in its own frame."""
    style = (
        f"display:inline-block;border:1px solid {LINE};border-radius:9px;padding:0 7px;"
        "margin:2px 4px 0 0;font-size:11px;line-height:17px"
    )
    return join([el("span", html(part), style=style) for part in parts if part])


def two_lines(text: str | None, css: str = "") -> Html:
    """Return a prompt on at most two lines, in its own text direction."""
    line = " ".join((text or "").split())
    if not line:
        return NOTHING
    clamp = "display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;overflow:hidden"
    return el("div", el("bdi", html(formatting.clip(line, 300))), style=f"{clamp};{css}")


def figure(task: Task, content: Html, lines: Iterable[Html], css: str = "") -> Html:
    """Return a picture, or text in its place, with the lines of its caption below."""
    return el(
        "figure",
        content,
        el(
            "figcaption",
            *(el("div", line) for line in lines if line),
            style="font-size:12px;line-height:1.4;margin-top:4px",
        ),
        title=task.task_id or task.uid,
        style=f"margin:0;{css}",
    )


def frame(shape: str, lines: Sequence[Html], below: Html = NOTHING) -> Html:
    """Return a grey frame of an aspect ratio, with lines in the middle and a bar below."""
    middle = el(
        "div",
        *(el("div", line) for line in lines if line),
        style="flex:1;display:flex;flex-direction:column;justify-content:center;text-align:center",
    )
    return el(
        "div",
        middle,
        below,
        style=f"aspect-ratio:{shape};min-height:96px;{FILLED};border-radius:6px;overflow:hidden;"
        "display:flex;flex-direction:column;padding:10px;box-sizing:border-box;font-size:12px",
    )


_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)


@cache
def asset(name: str) -> str:
    """Return the text of one of our scripts or style sheets."""
    return files(__package__).joinpath(name).read_text("utf-8")


@cache
def module_js(name: str) -> str:
    """Return JavaScript that defines one of our modules as an object of its exports.

    The module of an anywidget cannot import another one, so their texts are joined. ``viewer`` is
    the viewer; ``tables`` makes tables sortable and searchable.
    """
    text = asset(f"{name}.js")
    names = ", ".join(_EXPORT.findall(text))
    return f"const {name} = (() => {{\n{_EXPORT.sub('', text)}\nreturn {{ {names} }};\n}})();\n"


def facts_of(task: Task, resource: Resource) -> dict[str, Any]:
    """Return the facts that the viewer shows beside a picture, video or sound."""
    ended = to_datetime(task.completed_at)
    known = {
        "type": resource.type if resource.type in {"video", "audio"} else "image",
        "width": resource.width,
        "height": resource.height,
        "prompt": task.request.prompt,
        "model": task.request.model,
        "params": dict(task.request.params),
        "price": task.price if task.charged is None else None,
        "charged": task.charged,
        "seconds": task.elapsed_s,
        "date": ended.astimezone().strftime("%d %b %Y, %H:%M") if ended else None,
    }
    return {name: value for name, value in known.items() if value is not None}
