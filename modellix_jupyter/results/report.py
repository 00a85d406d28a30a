"""The exported page: the comparison, a summary, plots and every task in one HTML file."""

from __future__ import annotations

import base64
import hashlib
import platform
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from modellix_jupyter.errors import InvalidRequest, MissingExtra
from modellix_jupyter.html.elements import asset, facts_of, media_html, module_js, shown_of
from modellix_jupyter.html.formatting import clip, listed, total_price, value_of
from modellix_jupyter.html.grid import grid_html
from modellix_jupyter.html.markup import Html, file_anchor, html, script_json
from modellix_jupyter.html.table import SHORT, THUMB, aligned, cell_text
from modellix_jupyter.results.frame import rows_of
from modellix_jupyter.results.grid import arrange, lighter, markup_bytes
from modellix_jupyter.values import Media

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from modellix_jupyter.html.grid import Grid
    from modellix_jupyter.values import Card

# The columns of the frame that come first and are also printed.
KEY_COLUMNS = "model prompt status elapsed_s price rating note submitted_at task_id error_message"
# A path is valid only on this machine, a URL for a day; the parameters have their own columns.
LEFT_OUT = frozenset({"path", "url", "params"})
# Limits of a page and of one picture: pictures shrink to fit, and the last ones are left out.
PAGE_BYTES, PICTURE_BYTES = 8_000_000, 96_000
# The same for the thumbnails of the table, which repeat the pictures of the comparison.
TABLE_BYTES, SMALL_BYTES = 1_500_000, 4_000
MAX_VALUES = 12
# The colour of the text in a plot, by the colour scheme of the page.
INKS = {"light": "#16181d", "dark": "#e6e8ec"}
CAPTIONS = {
    "seconds": "Seconds by model, each task a point",
    "price": "Price against seconds",
    "success": "Success by model",
}
SUMMARY = {
    "model": "model",
    "count": "tasks",
    "success_rate": "success, %",
    "median_s": "median, s",
    "p90_s": "90 % within, s",
    "images_per_minute": "images a minute",
    "price": "USD",
    "price_per_image": "USD an image",
}


def report_html(
    cards: Sequence[Card], frame: pd.DataFrame, files: Mapping[str, str] | None = None
) -> str:
    """Return tasks as a page; `files` maps keys of originals to their copies beside the page."""
    grid = arrange(cards)
    parts: dict[str, object] = {
        "title": _title(cards),
        "generated_at": datetime.now(UTC),
        "facts": _facts(cards),
        "heading": "Comparison" if _compares(grid) else "Gallery",
        "grid": None,
        "tables": [*_summary(frame), *_parameters(cards), *_every_task(cards, frame, files or {})],
        "plots": _plots(frame),
        "made_with": _versions(),
        "known": script_json(_known(cards, frame)),
        "originals": files is not None,
    }
    if cards:
        remaining = PAGE_BYTES - len(render(**parts).encode()) - markup_bytes(grid)
        parts["grid"] = grid_html(grid.mapped(lighter(cards, remaining, PICTURE_BYTES)))
    return render(**parts)


def render(**parts: object) -> str:
    """Return the template with its parts filled in: `Html` unchanged, anything else escaped."""
    environment = Environment(
        loader=PackageLoader("modellix_jupyter", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Html) else html(str(value)),
    )
    script = module_js("viewer") + module_js("tables") + asset("viewer_page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    ours = {"style": Html(asset("viewer.css")), "script": Html(script), "digest": digest}
    return environment.get_template("report.html.jinja").render(parts | ours)


def _known(cards: Sequence[Card], frame: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """Return the key of each picture, with the facts that the viewer shows beside it."""
    names = [name for name in ("rating", "note") if name in frame.columns]
    remarks = [dict(zip(names, row, strict=True)) for row in rows_of(frame[names])]
    return [
        (
            f"{card.task.uid}/{i}",
            facts_of(card.task, resource) | {n: v for n, v in said.items() if v is not None},
        )
        for card, said in zip(cards, remarks, strict=True)
        for i, resource in enumerate(card.task.resources)
    ]


def _compares(grid: Grid) -> bool:
    """Whether there is more than one model, prompt or value of a parameter."""
    told_apart = any(axis != "param.seed" for axis in grid.captions)
    return len(grid.rows) > 1 or len(grid.columns) > 1 or told_apart


def _title(cards: Sequence[Card]) -> str:
    models = {card.task.request.model for card in cards}
    prompts = {card.task.request.prompt for card in cards}
    if len(models) > 1:
        return f"{len(models)} models compared"
    return f"{len(prompts)} prompts compared" if len(prompts) > 1 else "Modellix results"


def _facts(cards: Sequence[Card]) -> dict[str, object]:
    tasks = [card.task for card in cards]
    price = total_price(cards)
    return {
        "tasks": len(tasks),
        "succeeded": sum(task.status.value == "success" for task in tasks),
        "models": len({task.request.model for task in tasks}),
        "files": sum(len(task.resources) for task in tasks),
        **({"price": price} if price else {}),
    }


def table(
    heading: str, columns: Sequence[str], rows: Sequence[Sequence[object]], keys: int | None = None
) -> dict[str, Any]:
    """Return a table for the template; only the first `keys` columns are also printed."""
    numeric, full = aligned(len(columns), rows)
    printed = [""] * len(columns[:keys]) + ["x"] * len(columns)
    kinds = [("n " if number else "") + x for number, x in zip(numeric, printed, strict=False)]
    body = [[_cell(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in full]
    head = list(zip(columns, kinds, strict=True))
    return {"heading": heading, "count": "", "head": head, "rows": body}


def _cell(value: object, kind: str) -> tuple[str, str]:
    """Return the content of a cell and its class in the style sheet."""
    text = value if isinstance(value, Html) else clip(cell_text(value), 500)
    if not kind.startswith("n"):
        kind = f"{'s' if len(text) <= SHORT or isinstance(value, Html) else 'l'} {kind}"
    return text, kind


def _summary(frame: pd.DataFrame) -> list[dict[str, Any]]:
    from modellix_jupyter.results.summary import summarise

    if frame.empty:
        return []
    sums = summarise(frame, "model")
    sums["success_rate"] = sums["success_rate"] * 100
    sums = sums.round({"success_rate": 1, "median_s": 2, "p90_s": 2, "images_per_minute": 2})
    headings = {"service": "service"} | SUMMARY if "service" in sums else SUMMARY
    return [table("Summary", list(headings.values()), rows_of(sums[list(headings)]))]


def _parameters(cards: Sequence[Card]) -> list[dict[str, Any]]:
    values: dict[str, dict[str, None]] = {}
    for card in cards:
        for name, value in card.task.request.params.items():
            values.setdefault(name, {})[value_of(value)] = None
    rows = [[name, listed(list(known), MAX_VALUES)] for name, known in values.items()]
    return [table("Parameters", ["name", "values"], rows)] if rows else []


def _plots(frame: pd.DataFrame) -> list[dict[str, str]]:
    """Return the plots that the table has values for; none if matplotlib is not installed."""
    from modellix_jupyter.results.summary import plot_png
    from modellix_jupyter.storage.thumbnails import data_uri

    plots = []
    for kind, caption in CAPTIONS.items():
        try:
            pngs = {scheme: plot_png(frame, kind, ink=ink) for scheme, ink in INKS.items()}  # type: ignore[arg-type]  # the kinds are our own keys
        except InvalidRequest:  # no task has the values of this plot
            continue
        except MissingExtra:
            return []
        uris = {scheme: data_uri("image/png", png) for scheme, png in pngs.items()}
        plots.append({"caption": caption, **uris})
    return plots


def _every_task(
    cards: Sequence[Card], frame: pd.DataFrame, files: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the table of the frame with thumbnails, the most important columns first."""
    filled = [str(name) for name in frame.columns if frame[name].notna().any()]
    keys = [name for name in KEY_COLUMNS.split() if name in filled]
    keys[2:2] = [name for name in filled if name.startswith("param.")][:4]
    rest = [name for name in filled if name not in LEFT_OUT and name not in keys]
    front = ["picture", "file"] if files else ["picture"]
    firsts = [replace(card, media=card.media[:1]) for card in cards]
    light = lighter(firsts, TABLE_BYTES, SMALL_BYTES)
    rows = [
        [_small(card, light(card).media), *([_link(card, files)] if files else []), *row]
        for card, row in zip(cards, rows_of(frame[[*keys, *rest]]), strict=True)
    ]
    made = table("Every task", [*front, *keys, *rest], rows, len(front) + len(keys))
    return [made | {"count": f"{len(rows)} rows" if len(rows) != 1 else "1 row"}]


def _small(card: Card, media: Sequence[Media]) -> Html | None:
    """Return the thumbnail of a task's first file, which opens the viewer."""
    if not media or not media[0].src or media[0].kind != "image":
        return None
    return media_html(media[0], "thumbnail", THUMB, shown_of(card)[0].key)


def _link(card: Card, files: Mapping[str, str]) -> Html | None:
    """Return a link to the first copy of the files of a task."""
    names = (files.get(f"{card.task.uid}/{i}") for i in range(len(card.task.resources)))
    return next((file_anchor(name, html(name)) for name in names if name), None)


def _versions() -> str:
    """Return the versions of the software that made the page."""
    ours, pandas = map(metadata.version, ("modellix-jupyter", "pandas"))
    return f"modellix-jupyter {ours}, Python {platform.python_version()} and pandas {pandas}"
