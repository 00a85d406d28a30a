"""Controls that several views of the panel share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.markup import el, html

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIDE = {"width": "auto", "min_width": "0"}
# Labels stand above their fields, by the style sheet.
LABEL = {"description_width": "initial"}

_ALERT = (
    "border-left:3px solid #e5484d;padding:2px 0 2px 10px;line-height:1.5;overflow-wrap:anywhere"
)


def button(label: str, click: Callable[[], object], **traits: Any) -> widgets.Button:  # noqa: ANN401 - traits
    """Return a button as wide as its label."""
    made = widgets.Button(description=label, **{"layout": {"width": "auto"}, **traits})
    made.on_click(lambda _: click())
    return made


def field(kind: type[widgets.Widget], label: str, **traits: Any) -> widgets.Widget:  # noqa: ANN401 - traits
    """Return a labelled control that reports its value when the user leaves it."""
    if hasattr(kind, "continuous_update"):
        traits["continuous_update"] = False
    if "tooltip" in traits and not hasattr(kind, "tooltip"):  # ipywidgets 7
        traits["description_tooltip"] = traits.pop("tooltip")
    return kind(description=label, **{"layout": WIDE, "style": LABEL, **traits})


def checkbox(label: str, *, value: bool = False) -> widgets.Checkbox:
    """Return a box to tick, with its label beside it."""
    layout = {"width": "auto", "max_width": "100%"}
    return widgets.Checkbox(value, description=label, indent=False, layout=layout)


def row(*children: widgets.Widget, **layout: str) -> widgets.HBox:
    """Return controls side by side, on several lines where the page is narrow."""
    wrap = {"flex_flow": "row wrap", "align_items": "center"}
    return widgets.HBox(children, layout={**wrap, **layout})


def column(*children: widgets.Widget, **layout: str) -> widgets.VBox:
    """Return controls below each other."""
    return widgets.VBox(children, layout={**WIDE, **layout})


def box(name: str, *children: widgets.Widget) -> widgets.VBox:
    """Return controls in a box that the style sheet knows by its name."""
    made = widgets.VBox(children)
    made.add_class(name)
    return made


def set_visible(widget: widgets.Widget, *, visible: bool) -> None:
    """Show a control, or take it out of the page."""
    widget.layout.display = "" if visible else "none"


def close_all(widget: widgets.Widget) -> None:
    """Close a widget and all that it is made of, their layouts and styles included."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for part in ("layout", "style"):
        owned = getattr(widget, part, None)
        if isinstance(owned, widgets.Widget):
            owned.close()
    widget.close()


class StatusLine:
    """A line that a screen reader reads out when it changes."""

    def __init__(self) -> None:
        self.view = widgets.HTML()

    def error(self, error: ModellixError) -> None:
        """Show what went wrong and what to do."""
        lines = el("div", html(error.message)), el("div", html(error.hint))
        self.view.value = el("div", *lines, role="alert", style=_ALERT)

    def message(self, text: str) -> None:
        """Show a sentence."""
        self.view.value = el("div", html(text), role="status", style="line-height:1.5")

    def clear(self) -> None:
        """Show nothing."""
        self.view.value = ""

    @contextlib.contextmanager
    def show_errors(self) -> Iterator[None]:
        """Show an error of the block instead of raising it."""
        try:
            yield
        except ModellixError as error:
            self.error(error)
