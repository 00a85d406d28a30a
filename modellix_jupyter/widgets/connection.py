"""The service in use, where the key came from, the balance, the budget, and ways to set them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as widgets

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.formatting import money
from modellix_jupyter.html.markup import el, html, join
from modellix_jupyter.keys import SecretKey, store
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.doctor import validate_key
from modellix_jupyter.notebook.functions import sandbox
from modellix_jupyter.notebook.session import Session, without_name
from modellix_jupyter.notebook.spending import set_limit, standing_of
from modellix_jupyter.widgets.controls import (
    Markup,
    SecretField,
    StatusLine,
    box,
    button,
    checkbox,
    field,
    fields,
    row,
)
from modellix_jupyter.widgets.panel_context import PanelContext


class Connection:
    """The service, the key and the spending; `close` closes the panel."""

    def __init__(self, context: PanelContext, close: Callable[[], None]) -> None:
        self._context = context
        self.on_limit: Callable[[], None] = lambda: None
        self.status = StatusLine()
        self.state = Markup()
        self.secret = SecretField(self._use)
        self.keep = checkbox("Keep the key on this machine for later kernels")
        self.sandbox = button(
            "Use the sandbox", self._use_sandbox, tooltip="A local Modellix: no key, no cost"
        )
        buttons = row(
            button("Check again", self.refresh), self.sandbox, button("Close the panel", close)
        )
        self.limit = field(widgets.Text, "Limit in USD", placeholder="20/day, 300/month, 50 or off")
        limit = fields(self.limit, button("Set the limit", self._set_limit))
        parts = self.state, buttons, limit, self.secret, self.keep, self.status.view
        self.view = box("mx-connection", *parts)

    def refresh(self) -> None:
        """Ask the service again, off this thread."""
        session = self._context.session
        self.sandbox.disabled = session.sandbox is not None
        self._show(session, "", "asking …")

        def ask() -> tuple[str, str, list[str]]:
            source, balance = session.key().source, money(session.balance())
            return source, balance, standing_of(session).lines

        def fail(error: ModellixError) -> None:
            self._show(session, "", "not known")
            self.status.error(error)

        def show(found: tuple[str, str, list[str]]) -> None:
            self.status.clear()
            self._show(session, *found)

        self._context.do(ask, show, fail)

    def _set_limit(self) -> None:
        session, text = self._context.session, self.limit.value.strip()

        def done(_: None) -> None:
            self.limit.value = ""
            self.refresh()
            self.on_limit()

        self._context.do(lambda: set_limit(session, text), done, self.status.error)

    def _show(self, session: Session, source: str, balance: str, spent: Sequence[str] = ()) -> None:
        what = "the sandbox: a local Modellix, where nothing costs"
        facts = {
            "Service": [f"{session.settings.base_url} ({what if session.sandbox else 'Modellix'})"],
            "Key": [f"from {source}" if source else "not checked"],
            "Balance": [balance],
            "Spent": spent,
            "Files": [without_name(str(session.home)) or ""],
        }
        rows = [
            el("tr", el("th", html(name), scope="row"), el("td", *(el("div", html(t)) for t in of)))
            for name, of in facts.items()
        ]
        self.state.value = el("table", join(rows), class_="mx-about")

    def _use(self, secret: str) -> None:
        session, keep = self._context.session, self.keep.value

        def use() -> str:
            key = SecretKey(secret, "the panel")
            found = validate_key(key, session.settings)
            now = current_session.configure(session.settings, key=key)
            origin = session.settings.base_url
            kept = f" Kept in {store(key, now.home / 'key', origin)}." if keep else ""
            return f"{found} in use in this kernel.{kept}"

        self._context.do(use, self.status.message, self.status.error)

    def _use_sandbox(self) -> None:
        self.status.message("Starting the sandbox …")
        self._context.do(sandbox, lambda _: self.status.clear(), self.status.error)
