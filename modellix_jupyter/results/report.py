"""What stands in a report: the comparison, the numbers, the plots, and every task."""

from __future__ import annotations

import base64
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest, MissingExtra
from modellix_jupyter.html.formatting import total_price, value_of
from modellix_jupyter.html.report import FileLink, PagePlot, PageTable, report_html
from modellix_jupyter.results.grid_layout import arrange
from modellix_jupyter.results.output_budget import lighter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from modellix_jupyter.html.grid import Grid
    from modellix_jupyter.values import Card, Media

KEY_COLUMNS = (
    "model",
    "prompt",
    "status",
    "elapsed_s",
    "price",
    "rating",
    "note",
    "submitted_at",
    "task_id",
    "error_message",
)
"""What of the frame comes first, and is also printed."""
LEFT_OUT = frozenset({"path", "url", "params"})
"""A path is of this machine, a URL ends in a day, and the parameters have columns of their own."""
PAGE_BYTES = 8_000_000
"""What all media of a page weigh at most; the pictures shrink first."""
PICTURE_BYTES = 96_000
SMALL_PX, SMALL_BYTES = 144, 3_000
"""A thumbnail of the table, which would otherwise repeat each picture of the comparison."""
MOST_VALUES = 12
INKS = ("#16181d", "#e6e8ec")
"""Of a plot on a light page and on a dark one."""
CAPTIONS = {
    "seconds": "Seconds by model, each task a point",
    "price": "Price against seconds",
    "success": "Success by model",
}


def page_of(
    cards: Sequence[Card],
    frame: pd.DataFrame,
    *,
    files: Mapping[tuple[str, int], str] | None = None,
) -> str:
    """Return tasks as a page of its own.

    Parameters
    ----------
    cards
        As they are shown.
    frame
        One row each, in the same order.
    files
        Where the originals lie beside the page, by the uid of a task and the place of its resource.

    """
    light = lighter(cards, PAGE_BYTES, PICTURE_BYTES)
    grid = arrange(cards)
    columns, rows, keys = _table(cards, frame, files or {})
    return report_html(
        _title(cards),
        list(map(light, cards)),
        columns,
        rows,
        generated_at=datetime.now(UTC),
        facts=_facts(cards),
        grid=grid.mapped(light) if _compares(grid) else None,
        tables=[*_summary(frame), *_parameters(cards)],
        plots=_plots(frame),
        key_columns=keys,
        made_with=_versions(),
    )


def _compares(grid: Grid) -> bool:
    """Whether there is more than one model, prompt or value of a parameter."""
    return len(grid.rows) > 1 or len(grid.columns) > 1 or bool(_told_apart(grid))


def _told_apart(grid: Grid) -> list[str]:
    return [axis for axis in grid.caption_axes() if axis != "param.seed"]


def _title(cards: Sequence[Card]) -> str:
    models = {card.task.request.model for card in cards}
    prompts = {card.task.request.prompt for card in cards}
    if len(models) > 1:
        return f"{len(models)} models compared"
    return f"{len(prompts)} prompts compared" if len(prompts) > 1 else "Modellix results"


def _facts(cards: Sequence[Card]) -> dict[str, object]:
    tasks = [card.task for card in cards]
    facts: dict[str, object] = {
        "tasks": len(tasks),
        "succeeded": sum(task.status.value == "success" for task in tasks),
        "models": len({task.request.model for task in tasks}),
        "files": sum(len(task.resources) for task in tasks),
    }
    price = total_price(cards)
    return facts | ({"price": price} if price else {})


def _summary(frame: pd.DataFrame) -> list[PageTable]:
    from modellix_jupyter.results.summary import summarise

    if frame.empty:
        return []
    table = summarise(frame, "model")
    table["success_rate"] = table["success_rate"] * 100
    names = {
        "model": "model",
        "count": "tasks",
        "success_rate": "success, %",
        "median_s": "median, s",
        "p90_s": "90 % within, s",
        "images_per_minute": "images a minute",
        "price": "USD",
        "price_per_image": "USD an image",
    }
    rounded = table.round({"success_rate": 1, "median_s": 2, "p90_s": 2, "images_per_minute": 2})
    return [PageTable("Summary", list(names.values()), _cells(rounded[list(names)]))]


def _cells(table: pd.DataFrame) -> list[list[object]]:
    plain = table.astype(object).where(table.notna(), None)
    return [list(row) for row in plain.to_numpy()]


def _parameters(cards: Sequence[Card]) -> list[PageTable]:
    values: dict[str, dict[str, None]] = {}
    for card in cards:
        for name, value in card.task.request.params.items():
            values.setdefault(name, {})[value_of(value)] = None
    rows = [[name, _listed(list(known))] for name, known in values.items()]
    return [PageTable("Parameters", ["name", "values"], rows)] if rows else []


def _listed(values: Sequence[str]) -> str:
    more = len(values) - MOST_VALUES
    text = ", ".join(values[:MOST_VALUES])
    return f"{text} and {more} more" if more > 0 else text


def _plots(frame: pd.DataFrame) -> list[PagePlot]:
    """Return what can be drawn of the table; nothing where matplotlib is not installed."""
    plots = []
    for kind, caption in CAPTIONS.items():
        try:
            light, dark = (_png(frame, kind, ink) for ink in INKS)
        except InvalidRequest:  # no task has what this one shows
            continue
        except MissingExtra:
            return []
        plots.append(PagePlot(caption, light, dark))
    return plots


def _png(frame: pd.DataFrame, kind: str, ink: str) -> str:
    from modellix_jupyter.results.plots import plot_png

    data = plot_png(frame, kind, ink=ink)  # type: ignore[arg-type]  # the kinds are keys of ours
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _table(
    cards: Sequence[Card], frame: pd.DataFrame, files: Mapping[tuple[str, int], str]
) -> tuple[list[str], list[list[object]], int]:
    """Return the table of every task: its columns, its rows, and how many columns are the key."""
    filled = [str(name) for name in frame.columns if frame[name].notna().any()]
    keys = [name for name in KEY_COLUMNS if name in filled]
    spread_out = [name for name in filled if name.startswith("param.")]
    keys[2:2] = spread_out[:4]
    rest = [name for name in filled if name not in LEFT_OUT and name not in keys]
    front = ["picture", *(["file"] if files else [])]
    rows = [
        [_small(card), *([_file(card, files)] if files else []), *row]
        for card, row in zip(cards, _cells(frame[[*keys, *rest]]), strict=True)
    ]
    return [*front, *keys, *rest], rows, len(front) + len(keys)


def _small(card: Card) -> Media | None:
    from modellix_jupyter.storage.thumbnails import smaller

    if not card.media:
        return None
    return smaller(card.media[0], pixels=SMALL_PX, picture_bytes=SMALL_BYTES)


def _file(card: Card, files: Mapping[tuple[str, int], str]) -> FileLink | None:
    places = range(len(card.task.resources))
    found = (files.get((card.task.uid, place)) for place in places)
    return next((FileLink(name) for name in found if name), None)


def _versions() -> str:
    """Return what made the page, with the versions that a reader may have to know."""
    names = ("modellix-jupyter", "pandas")
    ours, pandas = (f"{name} {metadata.version(name)}" for name in names)
    return f"{ours}, Python {platform.python_version()} and {pandas}"
