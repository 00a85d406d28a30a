"""Show results, tasks or a frame as a table with pictures, filtered and sorted by the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html import elements, formatting
from modellix_jupyter.html.markup import Html, el, html
from modellix_jupyter.html.table import Cell, cell_text, media_table, thumbnail
from modellix_jupyter.results.frame import check_columns, rows_of
from modellix_jupyter.values import Resource, Task

if TYPE_CHECKING:
    import pandas as pd

THUMBNAIL_PX = 160
THUMBNAIL_BYTES = 6_000
# Rows that are drawn; the others are only counted.
ROWS = 200
# The column with the paths of the pictures.
FILES = "path"
# The columns shown of a whole frame, in this order, and others that are shown if they have values.
USUAL = ("prompt", "model", "status", "elapsed_s", "price", "charged", "submitted_at")
AS_WELL = ("rating", "note", "error_message")
HEADINGS = {"elapsed_s": "time", "submitted_at": "date", "error_message": "error"}
_MAX_PARAMS = 4
# The end of a downloaded file's name: the beginning of its task's uid, and its index from 1.
_NAME = re.compile(r"-([0-9a-f]{12})-(\d+)\.\w+$")


class ShownFrame:
    """A frame with a column of pictures, for a notebook and a terminal.

    Parameters
    ----------
    frame
        A frame with the column ``path``; ``type`` tells whether an MP4 is a video or a sound.
    columns
        The columns to show, in this order.

    """

    def __init__(self, frame: pd.DataFrame, columns: Sequence[str]) -> None:
        self._frame = frame
        self._columns = [*columns]

    def _repr_html_(self) -> str:
        shown = self._frame.head(ROWS)
        names = [name for name in self._columns if name != FILES]
        rows = [
            [picture, *map(_cell, names, row)]
            for picture, row in zip(_pictures(shown), rows_of(shown[names]), strict=True)
        ]
        headings = [HEADINGS.get(name, name.removeprefix("param.")) for name in names]
        count = len(self._frame)
        caption = f"{count} rows, the first {ROWS} shown" if count > ROWS else ""
        return media_table(["", *headings], rows, caption) + _sorting()

    def __repr__(self) -> str:
        return repr(self._frame[self._columns])


def show(frame: pd.DataFrame | Sequence[Task], columns: str | Sequence[str] | None = None) -> Any:  # noqa: ANN401 - a `ShownFrame`, or the frame
    """Show tasks as a table with their pictures; a frame keeps its rows and their order.

    A click on a heading sorts the table, and it can be searched, with no kernel too where the
    notebook is trusted. With one, its pictures open in the viewer.

    Parameters
    ----------
    frame
        A frame from `history` or `Results.frame` that still has the column ``path``; or results, or
        tasks, whose frame is shown.
    columns
        The names of the columns to show, or ``"all"``. By default, the most useful ones of a whole
        frame, and all of a frame whose columns you chose.

    Returns
    -------
    object
        A table that shows itself; the frame, for pandas' own view, if it has no column ``path``.

    Raises
    ------
    InvalidRequest
        `frame` is none of these, or there is no such column.

    """
    table = _table(frame)
    chosen = _chosen(table, columns)
    if FILES in table.columns:
        return ShownFrame(table, chosen)
    return table if columns is None else table[chosen]


def _table(what: object) -> pd.DataFrame:
    import pandas as pd

    from modellix_jupyter.results.frame import task_frame
    from modellix_jupyter.results.results import Results

    if isinstance(what, pd.DataFrame):
        return what
    if isinstance(what, Results):
        return what.frame()
    given = what if isinstance(what, Sequence) else [what]
    tasks = [task for task in given if isinstance(task, Task)]
    if len(tasks) == len(given):
        return task_frame(tasks)
    raise InvalidRequest(
        f"There is no way to show a value of type {type(what).__name__}.",
        "Give a frame, results, or a list of tasks, as in show(history()).",
    )


def _chosen(table: pd.DataFrame, columns: str | Sequence[str] | None) -> list[str]:
    """Return the names of the columns to show."""
    known = [str(name) for name in table.columns]
    if columns is None and {*USUAL, "params", "url", "attempts"} <= set(known):
        return _usual(table, known)
    if columns is None or columns == "all":
        return known
    asked = [columns] if isinstance(columns, str) else list(columns)
    check_columns(table, asked)
    return asked


def _usual(table: pd.DataFrame, known: Sequence[str]) -> list[str]:
    """Return the usual columns, parameters that vary, remarks, and columns that a user added."""
    from modellix_jupyter.ledger.history import KINDS

    params = [
        n for n in known if n.startswith("param.") and _tells_apart(table[n].unique().tolist())
    ]
    added = [name for name in known if name not in KINDS and not name.startswith("param.")]
    more = [name for name in dict.fromkeys((*AS_WELL, *added)) if name in known]
    filled = [name for name in more if table[name].notna().any()]
    charged = table["charged"].notna()
    estimated = not charged.any() or bool((table["status"].eq("success") & ~charged).any())
    needless = {"price": not estimated, "charged": not charged.any()}
    usual = [name for name in USUAL[2:] if not needless.get(name)]
    return [*USUAL[:2], *usual, *params[:_MAX_PARAMS], *filled]


def _tells_apart(values: Sequence[object]) -> bool:
    """Whether there are several values, and none is the address of an input."""
    return len(values) > 1 and not any(map(formatting.is_address, values))


@cache
def _sorting() -> Html:
    """Return the script that sorts and searches the table, with no kernel too."""
    script = f'<script type="module">{elements.module_js("tables")}tables.enliven();</script>'
    return Html(script)


def _prompt(value: object) -> Html:
    return elements.two_lines(str(value), "min-width:160px;max-width:420px")


def _status(value: object) -> Html:
    mark = elements.dot(elements.COLOURS.get(str(value), elements.GREY))
    return el("span", mark, html(str(value)), style="white-space:nowrap")


def _plain(value: object) -> Html:
    return elements.two_lines(cell_text(value), "max-width:320px")


def _date(value: datetime) -> Html:
    # A pandas Timestamp cannot be converted to the local time zone.
    local = datetime.fromtimestamp(value.timestamp()).astimezone()
    return el("span", html(local.strftime("%d %b %Y, %H:%M")), style="white-space:nowrap")


_CELLS: dict[str, Callable[[Any], Html]] = {
    "prompt": _prompt,
    "model": lambda value: el("div", elements.model_name(str(value)), style="white-space:nowrap"),
    "status": _status,
    "elapsed_s": lambda value: html(formatting.seconds(value)),
    "price": lambda value: html(formatting.money(value)),
    "charged": lambda value: html(formatting.money(value)),
    "rating": lambda value: html("★" * int(value)),
}


def _cell(name: str, value: object) -> Cell:
    """Return a formatted value and its sort key."""
    if value is None:
        return Cell(html(""), "")
    if isinstance(value, datetime):
        return Cell(_date(value), value.isoformat())
    number = isinstance(value, int | float) and not isinstance(value, bool)
    key = float(value) if number else None  # type: ignore[arg-type]  # checked above
    return Cell(_CELLS.get(name, _plain)(value), key, right=number and name != "rating")


def _pictures(frame: pd.DataFrame) -> list[Cell]:
    """Return the thumbnails of the rows, made on several threads."""
    rows = rows_of(frame.reindex(columns=[FILES, "type", "prompt"]))
    if not any(isinstance(path, str) for path, *_ in rows):
        return [Cell(html(""))] * len(rows)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_picture, rows))


def _picture(row: Sequence[object]) -> Cell:
    from modellix_jupyter.storage.thumbnails import embed

    path, kind, prompt = row
    if not isinstance(path, str):
        return Cell(thumbnail(None, ""))
    resource = Resource(url="", path=path, type=kind if isinstance(kind, str) else None)
    media = embed(resource, pixels=THUMBNAIL_PX, picture_bytes=THUMBNAIL_BYTES, media_bytes=0)
    found = _NAME.search(path)
    key = f"{found[1]}/{int(found[2]) - 1}" if found and not media.problem else ""
    alt = formatting.clip(str(prompt), 160) if isinstance(prompt, str) else "thumbnail"
    return Cell(thumbnail(media, alt, key))
