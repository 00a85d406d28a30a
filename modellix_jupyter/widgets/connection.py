"""Which service this is, where the key came from, what is left; and a way to give a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.markup import html
from modellix_jupyter.keys import SecretKey, store
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.doctor import validate_key
from modellix_jupyter.notebook.functions import sandbox
from modellix_jupyter.widgets.fields import WIDE
from modellix_jupyter.widgets.inputs import SecretField
from modellix_jupyter.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.widgets.panel_context import PanelContext

_HEAD = "text-align:left;padding-right:1em;white-space:nowrap"


class Connection:
    """The service, the key and the balance.

    Parameters
    ----------
    context
        See `PanelContext`.
    close
        Ends the panel.

    """

    def __init__(self, context: PanelContext, close: Callable[[], None]) -> None:
        self._context = context
        self.status = StatusLine()
        self.state = widgets.HTML()
        self.secret = SecretField(self._use)
        self.keep = widgets.Checkbox(
            description="Keep the key on this machine for later kernels",
            value=False, indent=False, layout={"width": "auto", "max_width": "100%"},
        )  # fmt: skip
        self.again = widgets.Button(description="Check again", layout={"width": "auto"})
        self.sandbox = widgets.Button(
            description="Use the sandbox", tooltip="A local Modellix: no key, no cost",
            layout={"width": "auto"},
        )  # fmt: skip
        self.end = widgets.Button(description="Close the panel", layout={"width": "auto"})
        self.view = widgets.VBox(
            [
                self.state,
                widgets.HBox(
                    [self.again, self.sandbox, self.end], layout={"flex_flow": "row wrap"}
                ),
                self.secret,
                self.keep,
                self.status.view,
            ],
            layout=WIDE,
        )
        self.again.on_click(lambda _: self.refresh())
        self.sandbox.on_click(lambda _: self._sandbox())
        self.end.on_click(lambda _: close())

    def refresh(self) -> None:
        """Ask again, off this thread."""
        session = self._context.session
        self.sandbox.disabled = session.sandbox is not None
        self._show(session, "", "asking …")

        def ask() -> tuple[str, str]:
            return session.key().source, f"{session.balance():.2f} USD"

        def fail(error: ModellixError) -> None:
            self._show(session, "", "not known")
            self.status.error(error)

        def show(found: tuple[str, str]) -> None:
            self.status.clear()
            self._show(session, *found)

        self._context.do(ask, show, fail)

    def _show(self, session: Session, source: str, balance: str) -> None:
        what = (
            "the sandbox: a local Modellix, where nothing costs" if session.sandbox else "Modellix"
        )
        rows = [
            ("Service", f"{session.settings.base_url} ({what})"),
            ("Key", f"from {source}" if source else "not checked"),
            ("Balance", balance),
            ("Files", str(session.home)),
        ]
        lines = "".join(
            f'<tr><th scope="row" style="{_HEAD}">{html(name)}</th>'
            f'<td style="text-align:left;overflow-wrap:anywhere">{html(value)}</td></tr>'
            for name, value in rows
        )
        self.state.value = f'<table style="line-height:1.6">{lines}</table>'

    def _use(self, secret: str) -> None:
        session, keep = self._context.session, self.keep.value

        def use() -> str:
            key = SecretKey(secret, "the panel")
            found = validate_key(key, session.settings)
            now = current_session.configure(session.settings, key=key.reveal())
            kept = f" Kept in {store(key, now.home / 'key')}." if keep else ""
            return f"{found} in use in this kernel.{kept}"

        self._context.do(use, self.status.message, self.status.error)

    def _sandbox(self) -> None:
        self.status.message("Starting the sandbox …")
        self._context.do(sandbox, lambda _: self.status.clear(), self.status.error)
