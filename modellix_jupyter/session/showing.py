"""Any frame of ours with its pictures, as the user filtered and sorted it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from modellix_jupyter.core.values import Resource
from modellix_jupyter.render import table_html

if TYPE_CHECKING:
    import pandas as pd

    from modellix_jupyter.render import Media

THUMBNAIL_PX = 96
THUMBNAIL_BYTES = 6_000
ROWS = 200
"""Rows that are drawn; the rest is a number."""
OURS = frozenset({"path", "type"})
"""The columns without which a frame is not one of ours."""


class ShownFrame:
    """A frame with a column of pictures, for a notebook and a terminal.

    Parameters
    ----------
    frame
        With the columns ``path`` and ``type``, and any others.

    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def _repr_html_(self) -> str:
        shown = self._frame.head(ROWS)
        names = [str(name) for name in shown.columns if name != "path"]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            pictures = list(pool.map(_picture, shown["path"].tolist(), shown["type"].tolist()))
        rows = [[picture, *row] for picture, row in zip(pictures, _rows(shown), strict=True)]
        return table_html(["", *names], rows, caption=self._caption())

    def __repr__(self) -> str:
        return repr(self._frame)

    def _caption(self) -> str | None:
        more = len(self._frame) - ROWS
        return f"{len(self._frame)} rows, the first {ROWS} shown" if more > 0 else None


def show(frame: pd.DataFrame) -> Any:  # noqa: ANN401 - what shows itself: ours, or the frame
    """Show a frame of ours with its pictures, filtered and sorted as it is.

    Parameters
    ----------
    frame
        From `history` or `Results.frame`, with the columns ``path`` and ``type`` still in it.

    Returns
    -------
    object
        Which shows itself; the frame, for pandas' own view, where it is not one of ours.

    """
    return ShownFrame(frame) if OURS.issubset(frame.columns) else frame


def _rows(frame: pd.DataFrame) -> list[list[object]]:
    table = frame.drop(columns="path").astype(object)
    return [list(row) for row in table.where(table.notna(), None).to_numpy()]


def _picture(path: object, kind: object) -> Media | str:
    from modellix_jupyter.files.media import embed

    if not isinstance(path, str):
        return ""
    resource = Resource(url="", path=path, type=kind if isinstance(kind, str) else None)
    return embed(resource, pixels=THUMBNAIL_PX, picture_bytes=THUMBNAIL_BYTES, media_bytes=0)
