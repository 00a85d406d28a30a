"""The field Model: type any part of a name, a type or a price; Enter takes the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from modellix_jupyter.html.formatting import clip, money
from modellix_jupyter.widgets.gallery import esm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modellix_jupyter.values import Model, Price

READING = "Reading the models …"
SEARCH = "Search by name, type or price"
_MAX_DESCRIPTION = 160


class Picker(anywidget.AnyWidget):
    """The field; `on_typed` gets what was typed where no model of the list fits."""

    _esm = esm("common.js", "picker.js")
    models: traitlets.List[tuple[str, str, str, str]] = traitlets.List().tag(sync=True)
    recent = traitlets.Int(0).tag(sync=True)
    chosen = traitlets.List(traitlets.Unicode(), maxlen=100).tag(sync=True)
    placeholder = traitlets.Unicode(READING).tag(sync=True)

    def __init__(self, on_typed: Callable[[str], bool]) -> None:
        self._on_typed = on_typed
        super().__init__()
        self.on_msg(self.on_message)

    def offer(self, models: Sequence[Model], recent: Sequence[str]) -> None:
        """Offer these models, those used last first."""
        rank = {slug: index for index, slug in enumerate(recent)}
        ordered = sorted(models, key=lambda m: (rank.get(m.slug, len(rank)), m.slug))
        self.recent = sum(model.slug in rank for model in models)
        self.models = [_line(model) for model in ordered]
        self.placeholder = SEARCH

    def on_message(self, _: object, message: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        """Take what was typed; see `picker.js`."""
        typed = message.get("typed") if isinstance(message, dict) else None
        if isinstance(typed, str) and self._on_typed(typed.strip()):
            self.send({"taken": True})


def _line(model: Model) -> tuple[str, str, str, str]:
    description = clip(" ".join(model.description.split()), _MAX_DESCRIPTION)
    return model.slug, model.type, _price(model.price), description


def _price(price: Price | None) -> str:
    """Return a price as it stands in a list: ``$0.03 / image``, ``$0.04 to 0.15``."""
    if price is None:
        return ""
    high = "" if price.low == price.high else f" to {money(price.high)[1:]}"
    return f"{money(price.low)}{high}" + (f" / {price.unit}" if price.unit else "")
