"""What ipywidgets does not have: a secret that is not synced, and what a whole page needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE = Path(__file__).parent


class SecretField(anywidget.AnyWidget):
    """A password field whose value is in no trait, and so in no saved notebook.

    Parameters
    ----------
    use
        Takes what was typed, once.

    """

    _esm = _HERE / "secret.js"
    _css = _HERE / "secret.css"
    label = traitlets.Unicode("API key").tag(sync=True)
    button = traitlets.Unicode("Use this key").tag(sync=True)

    def __init__(self, use: Callable[[str], None]) -> None:
        self._use = use
        super().__init__()
        self.on_msg(self._hear)

    def _hear(self, _: object, said: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        secret = said.get("secret") if isinstance(said, dict) else None
        if isinstance(secret, str):
            self._use(secret)


class PageParts(anywidget.AnyWidget):
    """What concerns a panel's page: Ctrl+Enter, its style, and the hiding of its still picture.

    The traits are names of classes: of the panel, of the button that Ctrl+Enter presses, and of
    the still picture.
    """

    _esm = _HERE / "page.js"
    _css = _HERE / "page.css"
    scope = traitlets.Unicode().tag(sync=True)
    target = traitlets.Unicode().tag(sync=True)
    still = traitlets.Unicode().tag(sync=True)

    def __init__(self, **classes: str) -> None:
        super().__init__(**classes)
        self.on_msg(self._hear)

    def _hear(self, _: object, said: Any, __: object) -> None:  # noqa: ANN401 - whatever a browser sends
        if isinstance(said, dict) and said.get("hello") is True:
            self.send({"alive": True})
