"""What a view has to say: an error in two lines, or a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from modellix_jupyter.html.markup import html

if TYPE_CHECKING:
    from modellix_jupyter.errors import ModellixError


class StatusLine:
    """A line that a screen reader reads out when it changes."""

    def __init__(self) -> None:
        self.view = widgets.HTML()

    def error(self, error: ModellixError | None) -> None:
        """Say what went wrong and what to do."""
        if error is None:
            self.clear()
            return
        self.view.value = (
            '<div role="alert" style="border-left:3px solid #e5484d;padding:2px 0 2px 10px;'
            'line-height:1.5;overflow-wrap:anywhere">'
            f"<div>{html(error.message)}</div><div>{html(error.hint)}</div></div>"
        )

    def message(self, text: str) -> None:
        """Say a sentence."""
        self.view.value = f'<div role="status" style="line-height:1.5">{html(text)}</div>'

    def clear(self) -> None:
        """Say nothing."""
        self.view.value = ""
