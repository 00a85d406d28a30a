"""The form: models, prompt, parameters, repeats and variations; what it costs; and Generate."""

from __future__ import annotations

import shlex
from itertools import groupby
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.errors import InvalidRequest, ModellixError
from modellix_jupyter.html.formatting import price_range
from modellix_jupyter.html.markup import el, html, join
from modellix_jupyter.notebook.spending import Quote, confirm_later, confirmed
from modellix_jupyter.planning.cell_parser import cell_text, parse_cell, split_prompts
from modellix_jupyter.planning.plan import check_slug, make_plan
from modellix_jupyter.planning.pricing import Pricing, pricing_of
from modellix_jupyter.planning.suggestions import did_you_mean
from modellix_jupyter.widgets.controls import StatusLine, button, column, field, row, set_visible
from modellix_jupyter.widgets.form import PROMPT, ModelForm, replace_children

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from modellix_jupyter.notebook.spending import Confirm
    from modellix_jupyter.planning.schema import ModelSchema
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.values import Json, Model, Request, Task
    from modellix_jupyter.widgets.panel_context import PanelContext

READING = "reading the models …"
SEARCH = "type to search, choose one or more"
MAX_REPEAT = 1000
# Tasks of this kernel that are looked through for pictures to use again.
RECENT = 200


class Create:
    """The form; `sent` is called with the results when requests have been handed over."""

    def __init__(self, context: PanelContext, sent: Callable[[Results], None]) -> None:
        self._context = context
        self._sent = sent
        self._models: dict[str, Model] = {}
        self._chosen: dict[str, ModelSchema | None] = {}
        self._unconfirmed: Sequence[Request] = ()
        self.status = StatusLine()
        self.model = field(widgets.Combobox, "Model", placeholder=READING, disabled=True)
        self.chips = row()
        self.about = widgets.HTML()
        self.prompt = field(
            widgets.Textarea,
            "Prompt",
            placeholder="What to make. A line of --- separates several prompts.",
            rows=4,
        )
        self.vary = field(
            widgets.Textarea,
            "Vary",
            placeholder="seed=1,2,3",
            tooltip="One parameter a line: a request for each value, and the product of several",
            rows=1,
        )
        self.repeat = field(widgets.BoundedIntText, "Repeat", value=1, min=1, max=MAX_REPEAT)
        self.form = ModelForm(self._upload, self._earlier, self._show_cost)
        self.view = column(
            *(self.model, self.chips, self.about, self.prompt, *self._make_buttons()),
            *(self.status.view, self.vary, self.repeat, self.form.view),
        )
        self.model.observe(self._on_model, "value")
        for control in (self.prompt, self.repeat, self.vary):
            control.observe(lambda _: self._show_cost(), "value")

    def _make_buttons(self) -> tuple[widgets.Widget, ...]:
        self.button = button(
            "Generate", self.generate, button_style="primary", tooltip="Ctrl+Enter", layout={}
        )
        self.button.add_class("mx-generate")  # which Ctrl+Enter presses
        self.cost = widgets.HTML()
        self.yes = button("Send them all", lambda: self._confirm(send=True), button_style="warning")
        self.no = button("Do not send", lambda: self._confirm(send=False))
        self.question = row(self.yes, self.no, display="none")
        return row(self.button, self.cost), self.question

    # -- models

    def refresh(self) -> None:
        """Read the catalog again, off this thread, and offer its models."""
        session = self._context.session

        def read() -> tuple[list[Model], list[str]]:
            recent = session.ledger.recent_models(session.settings.base_url)
            return session.models(), recent

        # ipywidgets empties the field when its options come: nobody may be typing then
        self.model.disabled, self.model.placeholder = True, READING
        self._context.do(read, self._offer, self._no_catalog)

    def _no_catalog(self, error: ModellixError) -> None:
        self.status.error(error)
        self.model.placeholder, self.model.disabled = SEARCH, False

    def _offer(self, read: tuple[list[Model], list[str]]) -> None:
        models, recent = read
        self._models = {model.slug: model for model in models}
        rank = {slug: index for index, slug in enumerate(recent)}
        ordered = sorted(self._models, key=lambda slug: (rank.get(slug, len(rank)), slug))
        self.model.options = tuple(_option(self._models[slug]) for slug in ordered)
        self.model.placeholder, self.model.disabled = SEARCH, False
        self._show_chosen()

    def _on_model(self, change: dict[str, Any]) -> None:
        slug, *_ = change["new"].split() or [""]
        if slug:
            with self.status.show_errors():
                self._choose(slug)
                self.model.value = ""

    def _choose(self, slug: str) -> None:
        check_slug(slug)
        if self._models and slug not in self._models:
            raise InvalidRequest(
                f"There is no model `{slug}`.", did_you_mean(slug, self._models, 3)
            )
        self.status.clear()
        self.choose_all([*self._chosen, slug])

    def choose_all(self, slugs: Iterable[str], then: Callable[[], None] = lambda: None) -> None:
        """Choose these models and no others; their schemas are read off this thread."""
        with self._context.lock:
            wanted = list(dict.fromkeys(slugs))
            self._chosen = {slug: self._chosen.get(slug) for slug in wanted}
            replace_children(self.chips, [self._chip(slug) for slug in wanted])
            self._show_chosen()
        session = self._context.session

        def read() -> dict[str, ModelSchema | None]:
            return {slug: session.schema(slug) for slug in wanted}

        def show(schemas: dict[str, ModelSchema | None]) -> None:
            if list(self._chosen) != wanted:
                return  # another choice was made meanwhile
            self._chosen = schemas
            self.form.show(schemas)
            then()
            self._show_cost()

        self._context.do(read, show, self.status.error)

    def _chip(self, slug: str) -> widgets.Button:
        def remove() -> None:
            self.choose_all(other for other in self._chosen if other != slug)

        return button(f"{slug} ✕", remove, tooltip=f"Remove {slug}")

    def _show_chosen(self) -> None:
        """Describe the chosen models, as the catalog does."""
        known = [self._models[slug] for slug in self._chosen if slug in self._models]
        lines = [el("div", html(" · ".join([model.slug, *_facts(model)]))) for model in known]
        self.about.value = join(lines)

    # -- what it would send

    def _plans(self) -> list[dict[str, Any]]:
        """Return the arguments of `make_plan`, once for the models that share their parameters."""
        if not self._chosen:
            raise InvalidRequest("No model is chosen.", "Type in the field Model to search.")
        prompts: list[str | None] = [*split_prompts(self.prompt.value)] or [None]
        if prompts == [None] and all(_needs_prompt(s) for s in self._chosen.values()):
            raise InvalidRequest("The prompt is empty.", "Write what to make.")
        vary, repeat = self._axes(), self.repeat.value
        params = {slug: self.form.params(slug) for slug in self._chosen}
        more = {"prompts": prompts, "vary": vary, "repeat": repeat}
        return [
            {"models": list(models), "params": same, **more}
            for same, models in groupby(self._chosen, params.__getitem__)
        ]

    def _requests(self) -> list[Request]:
        return [request for plan in self._plans() for request in make_plan(**plan)]

    def _axes(self) -> Mapping[str, tuple[Json, ...]]:
        """Return the values of each parameter that is varied, read as a cell reads them."""
        pairs = [line.split("=", 1) for line in self.vary.value.splitlines() if line.strip()]
        words = [shlex.quote("=".join(map(str.strip, pair))) for pair in pairs]
        line = " ".join([*self._chosen, *(f"--vary {word}" for word in words)])
        return parse_cell(line, "the prompt does not matter here").vary

    def _show_cost(self) -> None:
        """Show beside the button how many tasks it would send, and what they cost."""
        with self._context.lock:
            try:
                text = self._cost()
            except ModellixError:
                text = ""
            self.cost.value = el("span", html(text), style="margin-left:6px") if text else ""

    def _cost(self) -> str:
        requests = self._requests()
        return Quote(requests, self._prices(), self._context.session.settings).words

    def _prices(self) -> dict[str, Pricing]:
        known = [slug for slug in self._chosen if slug in self._models]
        return {slug: pricing_of(self._models[slug].price, self._chosen[slug]) for slug in known}

    # -- sending

    def generate(self) -> None:
        """Send what the form says, off this thread; ask first above the limit."""
        self.status.clear()
        with self._context.lock, self.status.show_errors():
            self._send(self._requests(), confirm_later)

    def _confirm(self, *, send: bool) -> None:
        with self._context.lock:
            requests, self._unconfirmed = self._unconfirmed, ()
            set_visible(self.question, visible=False)
            self.status.clear()
            if send and requests:
                self._send(requests, confirmed)

    def _send(self, requests: Sequence[Request], confirm: Confirm) -> None:
        self.button.disabled = True
        self._unconfirmed = ()
        set_visible(self.question, visible=False)
        self.status.message(f"Sending {len(requests)} …")
        session = self._context.session

        def done(results: Results) -> None:
            self.button.disabled = False
            if results:
                self.status.clear()
                self._sent(results)
            else:
                self._ask(requests)

        self._context.do(lambda: session.submit(requests, confirm=confirm), done, self._refused)

    def _ask(self, requests: Sequence[Request]) -> None:
        limit = self._context.session.settings.ask_above
        self._unconfirmed = requests
        set_visible(self.question, visible=True)
        self.status.message(f"This sends {len(requests)} tasks, more than {limit}. Send them?")

    def _refused(self, error: ModellixError) -> None:
        self.button.disabled = False
        self.status.error(error)

    # -- from elsewhere

    def use(self, task: Task) -> None:
        """Load the settings of a task."""
        request = task.request
        self.prompt.value = request.prompt or ""
        self.repeat.value, self.vary.value = 1, ""
        self.choose_all([request.model], lambda: self.form.put(request.model, request.params))

    def cell(self) -> str:
        """Return the cells that do the same as the form; raise `InvalidRequest` if none does."""
        self._requests()  # what cannot be sent has no cell either
        return "\n".join(cell_text(**plan) for plan in self._plans())

    def _upload(self, path: Path, then: Callable[[str], None], fail: Callable[[str], None]) -> None:
        session = self._context.session
        self._context.do(
            lambda: session.upload(path), then, lambda error: fail(f"{error.message} {error.hint}")
        )

    def _earlier(self) -> list[Task]:
        uids = self._context.uids()[-RECENT:]
        return [self._context.session.engine.get(uid) for uid in reversed(uids)]


def _option(model: Model) -> str:
    return " · ".join([f"{model.slug} ", *_facts(model, 60)])


def _facts(model: Model, length: int | None = None) -> list[str]:
    """Return a model's type, price and description, as far as they are known."""
    description = " ".join(model.description.split())[:length]
    return [fact for fact in (model.type, price_range(model.price), description) if fact]


def _needs_prompt(schema: ModelSchema | None) -> bool:
    prompt = schema.parameters.get(PROMPT) if schema else None
    return schema is None or (prompt is not None and prompt.required)
