"""Tables and sentences, in a notebook or a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modellix_jupyter.html.table import table_html, table_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDEST = 400
"""Columns of a table in a terminal, which wraps what is longer; a name that is cut is no use."""


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str | None = None
) -> None:
    """Show a table in the cell that runs."""
    from IPython.display import display

    text = table_text(columns, rows, width=_WIDEST)
    display(  # type: ignore[no-untyped-call]  # IPython has no types here
        {
            "text/html": table_html(columns, rows, caption=caption),
            "text/plain": f"{caption}\n{text}" if caption else text,
        },
        raw=True,
    )


def say(text: str) -> None:
    """Show a sentence in the cell that runs."""
    print(text)  # noqa: T201 - what a command answers
