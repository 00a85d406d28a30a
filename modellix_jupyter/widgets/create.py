"""The form: models, prompt, parameters, repeats and variations; what it costs; and Generate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.errors import InvalidRequest, ModellixError
from modellix_jupyter.html.formatting import price_words, usd
from modellix_jupyter.html.markup import html
from modellix_jupyter.planning.cell_parser import split_prompts
from modellix_jupyter.planning.cell_writer import cell_text
from modellix_jupyter.planning.interpolation import values_of
from modellix_jupyter.planning.plan import check_slug, make_plan
from modellix_jupyter.planning.pricing import Pricing, pricing_of
from modellix_jupyter.planning.suggestions import did_you_mean
from modellix_jupyter.widgets.fields import LABEL, WIDE
from modellix_jupyter.widgets.form import ModelForm, close_all
from modellix_jupyter.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from modellix_jupyter.planning.plan import Plan
    from modellix_jupyter.planning.schema import ModelSchema
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.values import Json, Model, Request, Task
    from modellix_jupyter.widgets.panel_context import PanelContext

READING = "reading the models …"
SEARCH = "type to search, choose one or more"
MAX_REPEAT = 1000
RECENT = 200
"""Tasks of this kernel that are looked through for pictures to use again."""


class Create:
    """The form.

    Parameters
    ----------
    context
        See `PanelContext`.
    sent
        Called with the results when requests have been handed over.

    """

    def __init__(self, context: PanelContext, sent: Callable[[Results], None]) -> None:
        self._context = context
        self._sent = sent
        self._models: dict[str, Model] = {}
        self._chosen: dict[str, ModelSchema | None] = {}
        self._asked: tuple[Request, ...] = ()
        self.status = StatusLine()
        self.model = widgets.Combobox(
            description="Model",
            placeholder=READING,
            disabled=True,
            ensure_option=False,
            continuous_update=False,
            layout=WIDE,
            style=LABEL,
        )
        self.chips = widgets.HBox(layout={"flex_flow": "row wrap"})
        self.about = widgets.HTML()
        self.prompt = widgets.Textarea(
            description="Prompt",
            placeholder="What to make. A line of --- separates several prompts.",
            rows=4,
            continuous_update=False,
            layout=WIDE,
            style=LABEL,
        )
        self.form = ModelForm(self._upload, self._earlier, self._weigh)
        self.repeat = widgets.BoundedIntText(
            description="Repeat", value=1, min=1, max=MAX_REPEAT, layout=WIDE, style=LABEL
        )
        self.vary = widgets.Textarea(
            description="Vary",
            placeholder="seed=1,2,3",
            tooltip="One parameter a line: a request for each value, and the product of several",
            rows=1,
            continuous_update=False,
            layout=WIDE,
            style=LABEL,
        )
        self.button = widgets.Button(
            description="Generate", button_style="primary", tooltip="Ctrl+Enter"
        )
        self.button.add_class("mx-generate")
        self.count = widgets.HTML()
        self.yes = widgets.Button(description="Send them all", button_style="warning")
        self.no = widgets.Button(description="Do not send")
        self.question = widgets.HBox([self.yes, self.no], layout={"display": "none"})
        self.view = widgets.VBox(
            [
                self.model,
                self.chips,
                self.about,
                self.prompt,
                widgets.HBox(
                    [self.button, self.count],
                    layout={"flex_flow": "row wrap", "align_items": "center"},
                ),
                self.question,
                self.status.view,
                self.vary,
                self.repeat,
                self.form.box,
            ],
            layout=WIDE,
        )
        self.view.add_class("mx-create")
        self.model.observe(self._typed, "value")
        for control in (self.prompt, self.repeat, self.vary):
            control.observe(lambda _: self._weigh(), "value")
        self.button.on_click(lambda _: self.generate())
        self.yes.on_click(lambda _: self._confirmed(send=True))
        self.no.on_click(lambda _: self._confirmed(send=False))

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
        rank = {slug: place for place, slug in enumerate(recent)}
        ordered = sorted(self._models, key=lambda slug: (rank.get(slug, len(rank)), slug))
        self.model.options = tuple(_offered(self._models[slug]) for slug in ordered)
        self.model.placeholder, self.model.disabled = SEARCH, False
        self._describe()

    def _typed(self, change: dict[str, Any]) -> None:
        slug = (change["new"].split() or [""])[0]
        if not slug:
            return
        try:
            self.choose(slug)
        except InvalidRequest as error:
            self.status.error(error)
        else:
            self.model.value = ""

    def choose(self, slug: str) -> None:
        """Add a model to those chosen.

        Raises
        ------
        InvalidRequest
            There is no such model.

        """
        check_slug(slug)
        if self._models and slug not in self._models:
            raise InvalidRequest(
                f"There is no model `{slug}`.", did_you_mean(slug, self._models, 3)
            )
        self.status.clear()
        self.choose_all([*self._chosen, slug])

    def choose_all(self, slugs: Sequence[str], then: Callable[[], None] = lambda: None) -> None:
        """Choose these models and no others; their schemas are read off this thread."""
        with self._context.lock:
            wanted = list(dict.fromkeys(slugs))
            self._chosen = {slug: self._chosen.get(slug) for slug in wanted}
            self._show_chips()
        session = self._context.session

        def read() -> dict[str, ModelSchema | None]:
            return {slug: session.schema_if_known(slug) for slug in wanted}

        def show(schemas: dict[str, ModelSchema | None]) -> None:
            if list(self._chosen) != wanted:
                return  # another choice was made meanwhile
            self._chosen = schemas
            self.form.show(schemas)
            then()
            self._weigh()

        self._context.do(read, show, self.status.error)

    def _show_chips(self) -> None:
        gone = self.chips.children
        self.chips.children = [self._chip(slug) for slug in self._chosen]
        for chip in gone:
            close_all(chip)
        self._describe()

    def _chip(self, slug: str) -> widgets.Button:
        chip = widgets.Button(
            description=f"{slug} ✕", tooltip=f"Remove {slug}", layout={"width": "auto"}
        )
        chip.on_click(lambda _: self.choose_all([s for s in self._chosen if s != slug]))
        return chip

    def _describe(self) -> None:
        known = [self._models[slug] for slug in self._chosen if slug in self._models]
        lines = [f"<div>{html(_description(model))}</div>" for model in known]
        self.about.value = f'<div style="line-height:1.5">{"".join(lines)}</div>' if lines else ""

    # -- what it would send

    def plans(self) -> list[Plan]:
        """Return a plan for each model, or one for all where none has settings of its own.

        Raises
        ------
        InvalidRequest
            It names what is missing or cannot be read.

        """
        slugs = list(self._chosen)
        if not slugs:
            raise InvalidRequest("No model is chosen.", "Type in the field Model to search.")
        prompts: list[str | None] = [*split_prompts(self.prompt.value)] or [None]
        if prompts == [None] and all(_wants_prompt(s) for s in self._chosen.values()):
            raise InvalidRequest("The prompt is empty.", "Write what to make.")
        vary = self._axes()
        groups: list[tuple[list[str], dict[str, Json]]] = []
        for slug in slugs:
            params = self.form.params(slug)
            if groups and groups[-1][1] == params:
                groups[-1][0].append(slug)
            else:
                groups.append(([slug], params))
        return [
            make_plan(prompts, models, params=params, vary=vary, repeat=self.repeat.value)
            for models, params in groups
        ]

    def _axes(self) -> dict[str, tuple[Json, ...]]:
        axes: dict[str, tuple[Json, ...]] = {}
        for line in filter(str.strip, self.vary.value.splitlines()):
            name, equals, values = line.strip().partition("=")
            if not equals:
                raise InvalidRequest(
                    f"`{line.strip()[:40]}` in Vary has no equals sign.", "As in: seed=1,2,3"
                )
            if name.strip() in axes:
                raise InvalidRequest(
                    f"The parameter {name.strip()!r} is given twice in Vary.", "Write it once."
                )
            axes[name.strip()] = values_of(name.strip(), values.strip(), None)
        return axes

    def _weigh(self) -> None:
        """Say beside the button how many tasks it would send, and what they cost."""
        with self._context.lock:
            try:
                plans = self.plans()
            except ModellixError:
                self.count.value = ""
                return
            count = sum(plan.count for plan in plans)
            costs = [plan.price(self._prices()) for plan in plans]
            total, unpriced = sum(c for c, _ in costs), sum(u for _, u in costs)
            words = f"{count} {'task' if count == 1 else 'tasks'}"
            if unpriced < count:
                words += f", {usd(total)}"
                words += f" and {unpriced} of unknown price" if unpriced else ""
            else:
                words += ", price unknown"
            self.count.value = f'<span style="margin-left:6px">{html(words)}</span>'

    def _prices(self) -> dict[str, Pricing]:
        known = [slug for slug in self._chosen if slug in self._models]
        priced = {slug: pricing_of(self._models[slug].price, self._chosen[slug]) for slug in known}
        return {slug: cost for slug, cost in priced.items() if cost is not None}

    # -- sending

    def generate(self) -> None:
        """Send what the form says, off this thread."""
        with self._context.lock:
            self.status.clear()
            try:
                requests = tuple(r for plan in self.plans() for r in plan.requests)
            except ModellixError as error:
                self.status.error(error)
                return
            limit = self._context.session.settings.ask_above
            if len(requests) > limit:
                self._asked = requests
                self.question.layout.display = ""
                self.status.message(
                    f"This sends {len(requests)} tasks, more than {limit}. Send them?"
                )
                return
            self._send(requests)

    def _confirmed(self, *, send: bool) -> None:
        with self._context.lock:
            asked, self._asked = self._asked, ()
            self.question.layout.display = "none"
            self.status.clear()
            if send and asked:
                self._send(asked)

    def _send(self, requests: Sequence[Request]) -> None:
        self.button.disabled = True
        self.status.message(f"Sending {len(requests)} …")
        session = self._context.session
        self._context.do(lambda: session.send(requests), self._done, self._refused)

    def _done(self, results: Results) -> None:
        self.button.disabled = False
        self.status.clear()
        self._sent(results)

    def _refused(self, error: ModellixError) -> None:
        self.button.disabled = False
        self.status.error(error)

    # -- from elsewhere

    def use(self, task: Task) -> None:
        """Load what a task was asked with."""
        request = task.request
        self.prompt.value = request.prompt or ""
        self.repeat.value, self.vary.value = 1, ""
        self.choose_all([request.model], lambda: self.form.put(request.model, request.params))

    def cell(self) -> str:
        """Return the cells that do the same as the form.

        Raises
        ------
        InvalidRequest
            The form is not complete, or no cell says this.

        """
        return "\n".join(
            cell_text(p.prompts, p.models, params=p.params, vary=p.vary, repeat=p.repeat)
            for p in self.plans()
        )

    def _upload(self, path: Path, then: Callable[[str], None], fail: Callable[[str], None]) -> None:
        session = self._context.session
        self._context.do(
            lambda: session.upload(path), then, lambda error: fail(f"{error.message} {error.hint}")
        )

    def _earlier(self) -> list[Task]:
        try:
            engine = self._context.session.engine
            return [engine.get(uid) for uid in reversed(engine.watched()[-RECENT:])]
        except ModellixError:
            return []


def _offered(model: Model) -> str:
    parts = [model.type, price_words(model.price), " ".join(model.description.split())[:60]]
    return " · ".join([f"{model.slug} ", *filter(None, parts)])


def _description(model: Model) -> str:
    parts = [model.slug, model.type, price_words(model.price), " ".join(model.description.split())]
    return " · ".join(filter(None, parts))


def _wants_prompt(schema: ModelSchema | None) -> bool:
    prompt = schema.parameters.get("prompt") if schema else None
    return schema is None or (prompt is not None and prompt.required)
