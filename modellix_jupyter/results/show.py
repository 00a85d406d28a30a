"""Results, tasks or a frame of them with the pictures, as the user filtered and sorted it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.table import table_html
from modellix_jupyter.values import Resource, Task

if TYPE_CHECKING:
    import pandas as pd

    from modellix_jupyter.values import Media

THUMBNAIL_PX = 96
THUMBNAIL_BYTES = 6_000
# Rows that are drawn; the rest is a number.
ROWS = 200
# The column that brings the pictures.
FILES = "path"


class ShownFrame:
    """A frame with a column of pictures, for a notebook and a terminal.

    Parameters
    ----------
    frame
        With the column ``path``, and any others; ``type`` tells a film in an MP4 from a sound.

    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def _repr_html_(self) -> str:
        shown = self._frame.head(ROWS)
        names = [str(name) for name in shown.columns if name != FILES]
        kinds = shown["type"].tolist() if "type" in shown.columns else [None] * len(shown)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            pictures = list(pool.map(_picture, shown[FILES].tolist(), kinds))
        rows = [[picture, *row] for picture, row in zip(pictures, _rows(shown), strict=True)]
        return table_html(["", *names], rows, caption=self._caption())

    def __repr__(self) -> str:
        return repr(self._frame)

    def _caption(self) -> str | None:
        more = len(self._frame) - ROWS
        return f"{len(self._frame)} rows, the first {ROWS} shown" if more > 0 else None


def show(frame: pd.DataFrame | Sequence[Task]) -> Any:  # noqa: ANN401 - what shows itself: ours, or the frame
    """Show a frame of ours with its pictures, filtered and sorted as it is.

    Parameters
    ----------
    frame
        From `history` or `Results.frame`, with the column ``path`` still in it; or results, or
        tasks, whose frame is shown.

    Returns
    -------
    object
        Which shows itself; the frame, for pandas' own view, where it has no column ``path``.

    Raises
    ------
    InvalidRequest
        It is none of these.

    """
    table = _table(frame)
    return ShownFrame(table) if FILES in table.columns else table


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
        f"There is nothing to show of type {type(what).__name__}.",
        "Give a frame, results, or a list of tasks, as in show(history()).",
    )


def _rows(frame: pd.DataFrame) -> list[list[object]]:
    table = frame.drop(columns=FILES).astype(object)
    return [list(row) for row in table.where(table.notna(), None).to_numpy()]


def _picture(path: object, kind: object) -> Media | str:
    from modellix_jupyter.storage.thumbnails import embed

    if not isinstance(path, str):
        return ""
    resource = Resource(url="", path=path, type=kind if isinstance(kind, str) else None)
    return embed(resource, pixels=THUMBNAIL_PX, picture_bytes=THUMBNAIL_BYTES, media_bytes=0)
