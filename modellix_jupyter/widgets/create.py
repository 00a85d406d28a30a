"""The tab Create: the form, what it costs, Generate, and the pictures of this kernel beside it."""

from __future__ import annotations

import shlex
import time
import uuid
from itertools import groupby
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.errors import InvalidRequest, ModellixError
from modellix_jupyter.html.formatting import money_range
from modellix_jupyter.notebook.spending import confirmed
from modellix_jupyter.planning.cell_parser import cell_text, parse_cell, split_prompts
from modellix_jupyter.planning.plan import check_slug, make_plan
from modellix_jupyter.planning.pricing import Pricing, pricing_of, total_cost
from modellix_jupyter.planning.suggestions import did_you_mean
from modellix_jupyter.widgets.cards import Listing, listing_of
from modellix_jupyter.widgets.controls import StatusLine, box, field
from modellix_jupyter.widgets.form import PROMPT, ModelForm
from modellix_jupyter.widgets.picker import Picker
from modellix_jupyter.widgets.sending import SendButton

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from modellix_jupyter.notebook.spending import Confirm, Quote
    from modellix_jupyter.planning.schema import ModelSchema
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.values import Json, Model, Request, Task
    from modellix_jupyter.widgets.actions import Actions
    from modellix_jupyter.widgets.panel_context import PanelContext

MAX_REPEAT = 1000
# Tasks of this kernel that are looked through for pictures to use again.
RECENT = 200
EXAMPLES = (
    "A lighthouse on a cliff at dusk, oil painting, thick brush strokes",
    "Product photo of a ceramic teapot on linen, soft window light",
    "A paper-cut fox in a snowy forest, layered, warm lantern light",
)
EMPTY = {
    "title": "Nothing made yet",
    "text": "Write a prompt, choose a model and press Generate. Or begin with one of these:",
    "examples": list(EXAMPLES),
}


class Create:
    """The form; `sent` is called with the results when requests have been handed over."""

    def __init__(self, context: PanelContext, actions: Actions) -> None:
        self._context = context
        self._models: dict[str, Model] = {}
        self._schemas: dict[str, ModelSchema | None] = {}
        self._unconfirmed: Sequence[Request] = ()
        self.status = StatusLine()
        self.prompt = field(
            widgets.Textarea,
            "Prompt",
            placeholder="What to make. A line of --- separates several prompts.",
            rows=5,
        )
        self.model = Picker(self._typed)
        self.repeat = field(widgets.BoundedIntText, "Repeat", value=1, min=1, max=MAX_REPEAT)
        self.vary = field(
            widgets.Textarea,
            "Vary",
            placeholder="seed=1,2,3",
            tooltip="One parameter a line: a request for each value, and the product of several",
            rows=2,
        )
        self.form = ModelForm(self._upload, self._earlier, self._show_cost)
        self.button = SendButton(self.generate, self._answer)
        self.results = Pictures(context, actions)
        self.results.gallery.on_example = lambda index: context.later(
            lambda: self._use_example(index)
        )
        self.view = box("mx-create", self._form_view(), self.results.view)
        self.model.observe(lambda change: self._on_chosen(change["new"]), "chosen")
        for control in (self.prompt, self.repeat, self.vary):
            control.observe(lambda _: self._show_cost(), "value")

    def _form_view(self) -> widgets.Widget:
        self.prompt.add_class("mx-prompt-field")
        advanced = widgets.ToggleButton(description="Advanced")
        advanced.add_class("mx-advanced-toggle")
        fields = box(
            "mx-fields",
            *(self.prompt, self.model, self.form.view, self.repeat),
            *(advanced, box("mx-advanced", self.vary, self.form.advanced)),
        )
        return box("mx-form", fields, box("mx-foot", self.status.view, self.button))

    # -- models

    def refresh(self) -> None:
        """Read the catalog again, off this thread, and offer its models."""
        session = self._context.session

        def read() -> tuple[list[Model], list[str]]:
            recent = session.ledger.recent_models(session.settings.base_url)
            return session.models(), recent

        self._context.do(read, self._offer, self.status.error)

    def _offer(self, read: tuple[list[Model], list[str]]) -> None:
        models, recent = read
        self._models = {model.slug: model for model in models}
        self.model.offer(models, recent)

    def _typed(self, slug: str) -> bool:
        """Choose what was typed and is in no list; return whether it may be a model."""
        try:
            check_slug(slug)
            if self._models and slug not in self._models:
                raise InvalidRequest(
                    f"There is no model `{slug}`.", did_you_mean(slug, self._models, 3)
                )
        except ModellixError as error:
            self.status.error(error)
            return False
        self.choose([*self.model.chosen, slug])
        return True

    def choose(self, slugs: Iterable[str], then: Callable[[], None] = lambda: None) -> None:
        """Choose these models and no others."""
        wanted = list(dict.fromkeys(slugs))
        if wanted == self.model.chosen:
            self._read_schemas(then)
        else:
            self._then = then
            self.model.chosen = wanted

    _then: Callable[[], None] = staticmethod(lambda: None)

    def _on_chosen(self, _: list[str]) -> None:
        then, self._then = self._then, lambda: None
        self.status.clear()
        self._read_schemas(then)

    def _read_schemas(self, then: Callable[[], None]) -> None:
        """Show the fields of the chosen models; their schemas are read off this thread."""
        session, wanted = self._context.session, list(self.model.chosen)

        def read() -> dict[str, ModelSchema | None]:
            return {slug: session.schema(slug) for slug in wanted}

        def show(schemas: dict[str, ModelSchema | None]) -> None:
            if list(self.model.chosen) != wanted:
                return  # another choice was made meanwhile
            self._schemas = schemas
            self.form.show(schemas)
            then()
            self._show_cost()

        self._context.do(read, show, self.status.error)

    # -- what it would send

    def _plans(self) -> list[dict[str, Any]]:
        """Return the arguments of `make_plan`, once for the models that share their parameters."""
        chosen = list(self.model.chosen)
        if not chosen:
            raise InvalidRequest("No model is chosen.", "Type in the field Model to search.")
        missing = [slug for slug in chosen if slug not in self.form.models]
        if missing:
            raise InvalidRequest(f"{missing[0]} is still being read.", "Try again in a moment.")
        prompts: list[str | None] = [*split_prompts(self.prompt.value)] or [None]
        if prompts == [None] and all(_needs_prompt(self._schemas.get(s)) for s in chosen):
            raise InvalidRequest("The prompt is empty.", "Write what to make.")
        params = {slug: self.form.params(slug) for slug in chosen}
        more = {"prompts": prompts, "vary": self._axes(chosen), "repeat": self.repeat.value}
        return [
            {"models": list(models), "params": same, **more}
            for same, models in groupby(chosen, params.__getitem__)
        ]

    def _requests(self) -> list[Request]:
        return [request for plan in self._plans() for request in make_plan(**plan)]

    def _axes(self, models: Sequence[str]) -> Mapping[str, tuple[Json, ...]]:
        """Return the values of each parameter that is varied, read as a cell reads them."""
        pairs = [line.split("=", 1) for line in self.vary.value.splitlines() if line.strip()]
        words = [shlex.quote("=".join(map(str.strip, pair))) for pair in pairs]
        line = " ".join([*models, *(f"--vary {word}" for word in words)])
        return parse_cell(line, "the prompt does not matter here").vary

    def _show_cost(self) -> None:
        """Say on the button how many tasks it sends, and what they cost."""
        with self._context.lock:
            try:
                requests = self._requests()
            except ModellixError:
                self.button.label = "Generate"
                return
            cost = self._cost(requests)
            self.button.label = f"Generate {len(requests)}" + (f", {cost}" if cost else "")

    def _cost(self, requests: Sequence[Request]) -> str:
        """Return what requests cost, from at least to at most; empty where nobody knows."""
        total = total_cost(requests, self._prices())
        if total.count_unknown == len(requests):
            return ""
        unknown = total.count_unknown
        return money_range(*total.cost) + (f" and {unknown} of unknown price" if unknown else "")

    def _prices(self) -> dict[str, Pricing]:
        known = [slug for slug in self._schemas if slug in self._models]
        return {slug: pricing_of(self._models[slug].price, self._schemas[slug]) for slug in known}

    # -- sending

    def generate(self, click: str) -> None:
        """Send what the form says, off this thread; ask first where it is much."""
        self.status.clear()
        with self._context.lock, self.status.show_errors():
            self._send(self._requests(), click)

    def send(self, requests: Sequence[Request]) -> None:
        """Send requests that were made before, and ask first where it is much."""
        with self._context.lock:
            self._send(requests, uuid.uuid4().hex)

    def _answer(self, click: str | None) -> None:
        with self._context.lock:
            requests, self._unconfirmed = self._unconfirmed, ()
            self.button.question = ""
            if click is not None and requests:
                self._send(requests, click, confirmed)

    def _send(
        self, requests: Sequence[Request], click: str, confirm: Confirm | None = None
    ) -> None:
        self.button.busy = True
        asked: list[Quote] = []

        def ask_later(quote: Quote) -> bool:
            asked.append(quote)
            return False

        def done(results: Results) -> None:
            self.button.busy = False
            if asked and not results:
                self._ask(requests, asked[0])
            else:
                self.results.refresh()

        session = self._context.session
        how = confirm or ask_later
        self._context.do(
            lambda: session.submit(requests, confirm=how, click=click), done, self._refused
        )

    def _ask(self, requests: Sequence[Request], quote: Quote) -> None:
        self._unconfirmed = requests
        self.button.confirm = f"Send {quote.count}"
        self.button.question = f"{quote.why_confirm}. Send {quote.words}?"

    def _refused(self, error: ModellixError) -> None:
        self.button.busy = False
        self.status.error(error)

    # -- from elsewhere

    def use(self, task: Task) -> None:
        """Load the settings of a task."""
        request = task.request
        self.prompt.value = request.prompt or ""
        self.repeat.value, self.vary.value = 1, ""
        self.choose([request.model], lambda: self.form.put(request.model, request.params))

    def _use_example(self, index: int) -> None:
        if 0 <= index < len(EXAMPLES):
            self.prompt.value = EXAMPLES[index]
            if not self.model.chosen and self._models:
                self.choose([self._first_for_text()])

    def _first_for_text(self) -> str:
        """Return the first offered model that makes a picture of a text."""
        slugs = [line[0] for line in self.model.models if "text-to-image" in line[1]]
        return slugs[0] if slugs else next(iter(self._models))

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


class Pictures:
    """The tasks of this kernel, run by run, the newest first."""

    def __init__(self, context: PanelContext, actions: Actions) -> None:
        self._context = context
        self._actions = actions
        self.gallery = actions.gallery(
            label="Pictures, the newest first", search_label="Search the pictures", empty=EMPTY
        )
        self.view = box("mx-results", self.gallery)
        self.gallery.observe(lambda _: self.refresh(), "search")

    def refresh(self) -> None:
        """Show the tasks of the session in use, off this thread."""
        self._context.do(self._listing, self.gallery.show)

    def paint(self, changed: set[str]) -> None:
        """Draw what changed; on the painter's thread."""
        self.gallery.show(self._listing())
        self.gallery.paint(changed)

    def _listing(self) -> Listing:
        session = self._context.session
        tasks = [session.engine.get(uid) for uid in self._context.uids()]
        words = self.gallery.search.lower().split()
        by_batch: dict[str, list[Task]] = {}
        for task in tasks:
            if all(word in _searched(task) for word in words):
                by_batch.setdefault(task.batch, []).append(task)
        runs = list(by_batch.values())[::-1]
        self._actions.name_runs(runs)
        return listing_of(runs, time.time())


def _searched(task: Task) -> str:
    request = task.request
    return f"{request.prompt or ''} {request.model} {task.status} {task.task_id}".lower()


def _needs_prompt(schema: ModelSchema | None) -> bool:
    prompt = schema.parameters.get(PROMPT) if schema else None
    return schema is None or (prompt is not None and prompt.required)
