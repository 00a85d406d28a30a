"""A page of its own, to be handed on: pictures, facts and the table, in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from modellix_jupyter.html import formatting
from modellix_jupyter.html.grid import Grid, grid_html
from modellix_jupyter.html.markup import Html, data_uri_ok, el, file_anchor, html, join
from modellix_jupyter.html.picture import media_html, media_of
from modellix_jupyter.html.report_style import STYLE
from modellix_jupyter.html.table import SHORT, THUMB, Rows, aligned, cell_text, numeric_columns
from modellix_jupyter.values import Card, Media, Status

PICTURE = 384
FEW = 3
"""Pictures of a line up to which a comparison draws them large."""
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
"""Nothing is loaded and nothing runs, whatever the page was made from."""


class FileLink(NamedTuple):
    """A cell that links to a file beside the page, by its path from there."""

    path: str


class PageTable(NamedTuple):
    """A small table of a report: a heading, the names of its columns, and its rows."""

    heading: str
    columns: Sequence[str]
    rows: Rows


class PagePlot(NamedTuple):
    """A plot of a report, once for light pages and once for dark ones.

    Parameters
    ----------
    caption
        What is drawn, in words.
    light, dark
        ``data:`` URIs.

    """

    caption: str
    light: str
    dark: str


def report_html(  # noqa: PLR0913 - a page has so many parts, and each may be missing
    title: str,
    cards: Sequence[Card],
    columns: Sequence[str],
    rows: Rows,
    *,
    generated_at: datetime,
    facts: Mapping[str, object],
    grid: Grid | None = None,
    tables: Sequence[PageTable] = (),
    plots: Sequence[PagePlot] = (),
    key_columns: int | None = None,
    made_with: str = "modellix-jupyter",
) -> Html:
    """Return a whole HTML page that needs nothing but itself.

    Parameters
    ----------
    title
        What stands at its top.
    cards
        The gallery; a video or a sound plays only where it is embedded.
    columns, rows
        The table of everything; a `Media` in a cell is drawn as a small picture.
    generated_at
        When; shown with its own offset from UTC.
    facts
        A few numbers under the title, by their names.
    grid
        A comparison, which then stands in place of the gallery.
    tables
        What stands between the pictures and the table of everything.
    plots
        They follow the first of the tables.
    key_columns
        How many of the first columns are also printed; a sheet of paper has no room for all.
    made_with
        Which versions of what made it.

    Returns
    -------
    Html
        From the doctype on.

    """
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", html(title)),
        el("style", STYLE),
    )
    main = el(
        "main",
        _facts(facts),
        _gallery(cards) if grid is None else _comparison(grid),
        *map(_small_table, tables[:1]),
        _plots(plots),
        *map(_small_table, tables[1:]),
        _table(columns, rows, key_columns),
    )
    body = el("body", _header(title, generated_at), main, _footer(made_with))
    return join([Html("<!doctype html>\n"), el("html", head, body, lang="en")])


def _comparison(grid: Grid) -> Html:
    across = len(grid.rows) if grid.flows else len(grid.columns) * grid.abreast
    box = 300 if across <= FEW else 232
    heading = el("h2", html("Comparison"))
    return join([heading, el("div", grid_html(grid, box=box), class_="grid")])


def _small_table(table: PageTable) -> Html:
    shown = _rows_html(table.columns, table.rows, None)
    return join([el("h2", html(table.heading)), el("div", shown, class_="wide small")])


def _plots(plots: Sequence[PagePlot]) -> Html:
    figures = [_plot(one) for one in plots if data_uri_ok(one.light) and data_uri_ok(one.dark)]
    if not figures:
        return Html("")
    return join([el("h2", html("Plots")), el("div", *figures, class_="plots")])


def _plot(plot: PagePlot) -> Html:
    dark = el("source", media="(prefers-color-scheme: dark)", srcset=plot.dark)
    light = el("img", src=plot.light, alt=f"{plot.caption}; the numbers stand in the tables")
    return el("figure", el("picture", dark, light), el("figcaption", html(plot.caption)))


def _header(title: str, generated_at: datetime) -> Html:
    moment = generated_at.strftime("%d %B %Y, %H:%M %Z").strip().lstrip("0")
    stamp = el("time", html(moment), datetime=generated_at.isoformat())
    return el("header", el("h1", html(title)), stamp)


def _facts(facts: Mapping[str, object]) -> Html:
    pairs = [
        el("div", el("dt", html(name)), el("dd", html(cell_text(value))))
        for name, value in facts.items()
    ]
    return el("dl", *pairs) if pairs else Html("")


def _gallery(cards: Sequence[Card]) -> Html:
    if not cards:
        return Html("")
    names = formatting.varied(cards)
    figures = [_figure(card, item, names) for card in cards for item in _shown(card)]
    heading = el("h2", html("Gallery"), el("small", html(formatting.counts(cards))))
    return join([heading, el("div", *figures, class_="gallery")])


def _shown(card: Card) -> Sequence[Media | None]:
    """Return what a card shows, or one place for words where it shows nothing."""
    return (media_of(card) if card.task.status is Status.SUCCESS else ()) or (None,)


def _figure(card: Card, item: Media | None, names: Sequence[str]) -> Html:
    task = card.task
    known = [
        formatting.seconds(task.elapsed_s),
        *formatting.settings(task, names),
        formatting.price(task),
    ]
    prompt = formatting.clip(task.request.prompt or "", 400)
    return el(
        "figure",
        el("div", _content(card, item), class_="well"),
        el(
            "figcaption",
            el("b", html(task.request.model)),
            el("span", html(" · ".join(part for part in known if part))),
            el("p", html(prompt), dir="auto") if prompt else Html(""),
        ),
    )


def _content(card: Card, item: Media | None) -> Html:
    if item is not None:
        return media_html(item, formatting.alternative(card.task), PICTURE, remote=False)
    why = card.task.error_message or ""
    state = el("strong", html(formatting.state(card)))
    return el("div", state, html(formatting.clip(why, 240)), class_="reason")


def _table(columns: Sequence[str], rows: Rows, key_columns: int | None) -> Html:
    if not columns:
        return Html("")
    count = f"{len(rows)} rows" if len(rows) != 1 else "1 row"
    heading = el("h2", html("Every task"), el("small", html(count)))
    return join([heading, el("div", _rows_html(columns, rows, key_columns), class_="wide")])


def _rows_html(columns: Sequence[str], rows: Rows, key_columns: int | None) -> Html:
    count = len(columns)
    marks = ["n" if numeric else "" for numeric in numeric_columns(count, rows)]
    keys = count if key_columns is None else key_columns
    looks = [mark if i < keys else f"{mark} x".strip() for i, mark in enumerate(marks)]
    head = el("tr", *(_head(name, looks[i]) for i, name in enumerate(columns)))
    body = [
        el("tr", *(_cell(value, looks[i]) for i, value in enumerate(row)))
        for row in aligned(count, rows)
    ]
    return el("table", el("thead", head), el("tbody", *body))


def _head(name: str, look: str) -> Html:
    return el("th", html(name), scope="col", class_=look or None)


def _cell(value: object, look: str) -> Html:
    if isinstance(value, Media) and value.src and value.kind == "image":
        return el("td", media_html(value, "thumbnail", THUMB, remote=False))
    if isinstance(value, FileLink):
        return el("td", file_anchor(value.path, html(value.path)), class_=f"s {look}".strip())
    text = formatting.clip(cell_text(value), 500)
    if not look.startswith("n"):
        look = f"{'s' if len(text) <= SHORT else 'l'} {look}".strip()
    return el("td", html(text), class_=look)


def _footer(made_with: str) -> Html:
    return el("footer", html(f"Made with {made_with}."))
