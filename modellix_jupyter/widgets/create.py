"""The tab Create: the form, its cost, the button Generate, and this kernel's pictures beside it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby

import ipywidgets as widgets

from modellix_jupyter.engine.engine import Stopped
from modellix_jupyter.errors import InvalidRequest, ModellixError, did_you_mean
from modellix_jupyter.html.formatting import money, money_range
from modellix_jupyter.notebook.spending import Order
from modellix_jupyter.planning.cell_parser import parse_cell, split_prompts
from modellix_jupyter.planning.inputs import Input, noun_of
from modellix_jupyter.planning.plan import check_slug, make_plan
from modellix_jupyter.planning.schema import ModelSchema
from modellix_jupyter.values import Json, Model, Request, Task
from modellix_jupyter.widgets.actions import Actions
from modellix_jupyter.widgets.cards import Listing, listing_of
from modellix_jupyter.widgets.controls import (
    Picker,
    SendButton,
    StatusLine,
    box,
    button,
    field,
    result_input,
)
from modellix_jupyter.widgets.form import ModelForm
from modellix_jupyter.widgets.panel_context import PanelContext

MAX_REPEAT = 1000
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
STOP = "Take back what has not been sent, and stop waiting for what has"
# The button's label before anything can be sent.
GENERATE = "Generate"


class Create:
    """The form and the pictures.

    `on_spent` is called when something was sent or taken back, `on_question` when it asks.
    """

    def __init__(self, context: PanelContext, actions: Actions) -> None:
        self._context = context
        self._models: dict[str, Model] = {}
        self._schemas: dict[str, ModelSchema | None] = {}
        # The button's label at a click that waits until the parameters of the models are read.
        self._waiting: str | None = None
        # Called when the fields of the models that are chosen next are shown.
        self._then: Callable[[], None] = lambda: None
        # What makes the order again after a yes, and the label of the order.
        self._asked: tuple[Callable[[], Order | None], str] | None = None
        # A result that waits for a model that takes it as an input: the arguments of `form.give`.
        self._input: tuple[str, str, str, str | None] | None = None
        self.on_spent: Callable[[], None] = lambda: None
        self.on_question: Callable[[], None] = lambda: None
        self.status = StatusLine()
        self.prompt = field(
            widgets.Textarea,
            "Prompt",
            placeholder="What to make. A line of --- separates several prompts.",
            rows=5,
            continuous_update=True,  # the button says what it would send, while one writes
        )
        self.model = Picker(self._typed)
        self.repeat = field(
            widgets.BoundedIntText,
            "Repeat",
            value=1,
            min=1,
            max=MAX_REPEAT,
            continuous_update=True,
        )
        self.vary = field(
            widgets.Textarea,
            "Vary",
            placeholder="seed=1,2,3",
            tooltip="One parameter a line: a request for each value, and the product of several",
            continuous_update=True,
            rows=2,
        )
        self.form = ModelForm(context, self._show_cost)
        self.button = SendButton(self.generate, self._yes, self._no)
        self.stop = button("Stop", self._stop, tooltip=STOP)
        self.stop.layout.display = "none"
        self.results = Pictures(context, actions)
        self.results.gallery.on_example = lambda index: context.later(
            lambda: self._use_example(index)
        )
        self.view = box("mx-create", self._form_view(), self.results.view)
        self.model.observe(lambda _: self._on_chosen(), "chosen")
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
        foot = box("mx-foot", self.status.view, self.button, self.stop)
        return box("mx-form", fields, foot)

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

    def _typed(self, slug: str) -> None:
        """Choose a typed slug that is not in the list, if it may be that of a model."""
        try:
            check_slug(slug)
            if self._models and slug not in self._models:
                raise InvalidRequest(
                    f"There is no model `{slug}`.", did_you_mean(slug, self._models, 3)
                )
        except ModellixError as error:
            self.status.error(error)
        else:
            self.choose([*self.model.chosen, slug])
            self.model.send({"taken": True})

    def choose(self, slugs: Iterable[str], then: Callable[[], None] = lambda: None) -> None:
        """Choose these models and no others, and call `then` when their fields are shown."""
        wanted, self._then = list(dict.fromkeys(slugs)), then
        if wanted == self.model.chosen:
            self._on_chosen()
        else:
            self.model.chosen = wanted

    def _on_chosen(self) -> None:
        """Show the fields of the chosen models; their schemas are read off this thread."""
        session, wanted = self._context.session, list(self.model.chosen)
        then, self._then = self._then, lambda: None
        self.status.clear()

        def read() -> dict[str, ModelSchema | None]:
            return {slug: session.schema(slug) for slug in wanted}

        def show(schemas: dict[str, ModelSchema | None]) -> None:
            if list(self.model.chosen) != wanted:
                return  # another choice was made meanwhile
            self._schemas = schemas
            self.form.show(schemas)
            then()
            self._give()
            self._show_cost()
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                self.generate(waiting)

        self._context.do(read, show, self._refused)

    # -- the requests of the form

    def _requests(self) -> list[Request]:
        """Return the requests of the form; models with equal parameters make one plan."""
        chosen = list(self.model.chosen)
        if not chosen:
            raise InvalidRequest("No model is chosen.", "Type in the field Model to search.")
        prompts: list[str | None] = [*split_prompts(self.prompt.value)] or [None]
        if prompts == [None] and all(_needs_prompt(self._schemas.get(s)) for s in chosen):
            raise InvalidRequest("The prompt is empty.", "Write what to make.")
        params = {slug: self.form.params(slug) for slug in chosen}
        vary, repeat = self._axes(chosen), self.repeat.value
        return [
            request
            for same, models in groupby(chosen, params.__getitem__)
            for request in make_plan(prompts, list(models), params=same, vary=vary, repeat=repeat)
        ]

    def _axes(self, models: Sequence[str]) -> Mapping[str, tuple[Json, ...]]:
        """Return the values of each parameter that is varied, read as a cell reads them."""
        pairs = [line.split("=", 1) for line in self.vary.value.splitlines() if line.strip()]
        words = [shlex.quote("=".join(map(str.strip, pair))) for pair in pairs]
        line = " ".join([*models, *(f"--vary {word}" for word in words)])
        return parse_cell(line, "the prompt does not matter here").vary

    @property
    def _is_read(self) -> bool:
        """Whether the parameters of all chosen models have been read."""
        return all(slug in self.form.models for slug in self.model.chosen)

    def _show_cost(self) -> None:
        """Show on the button what it would send, after a check off this thread."""
        session = self._context.session

        def read() -> str:
            with self._context.lock:
                requests = self._requests() if self._is_read else []
            return label_of(session.order(requests)) if requests else GENERATE

        def show(label: str) -> None:
            self.button.label = label

        self._context.do(read, show, lambda _: show(GENERATE), last_of=self.button)

    # -- sending

    def generate(self, label: str) -> None:
        """Send the requests of the form if they are what the button said; else ask."""
        session = self._context.session

        def order() -> Order | None:
            with self._context.lock:
                if not self._is_read:
                    self._waiting = label
                    return None
                requests = self._requests()
            return session.order(requests)

        self.status.clear()
        self._submit(order, lambda made: _why_ask(made, label))

    def send_again(self, task: Task) -> None:
        """Send the request of a task again; ask first if it costs more than its card said."""
        session = self._context.session
        self._submit(
            lambda: session.order([task.request], reuse="off"), partial(_why_ask_again, task)
        )

    def send_held(self, task: Task) -> None:
        """Send a task that was never sent; ask first if it costs more than its card said."""
        session = self._context.session

        def order() -> Order | None:
            made = session.order_unsent([task])
            return made if made.requests else None  # it was sent meanwhile

        self._submit(order, partial(_why_ask_again, task), again=order)

    def _yes(self) -> None:
        asked = self._asked
        self._no()
        if asked is not None:
            order, label = asked
            self._submit(order, lambda made: _why_ask(made, label, confirmed=True))

    def _no(self) -> None:
        self._asked, self.button.question = None, ""

    def _submit(
        self,
        order: Callable[[], Order | None],
        why_ask: Callable[[Order], str],
        again: Callable[[], Order | None] | None = None,
    ) -> None:
        """Order requests, and send the order unless there is a reason to ask first.

        After a yes, `again` makes the order again; by default from the same requests.
        """
        self.button.busy = True
        session = self._context.session

        def work() -> tuple[Order, str] | None:
            made = order()
            if made is None:
                return None
            why = why_ask(made)
            if not why:
                session.send(made)
            return made, why

        def done(found: tuple[Order, str] | None) -> None:
            self.button.busy = self._waiting is not None
            if found is None:
                return  # the parameters are not read yet, or the task was sent meanwhile
            made, why = found
            if why:
                same = again or (lambda: session.order(made.requests, reuse=made.reuse))
                self._ask(made, why, same)
                return
            if not made.quote.count:
                self.status.message(f"Nothing was sent: {made.words}.")
            elif note := session.unchecked_note(each.model for each in made.requests):
                self.status.message(note)
            self.results.refresh()
            self._show_cost()
            self.on_spent()

        self._context.do(work, done, self._refused)

    def _ask(self, made: Order, why: str, again: Callable[[], Order | None]) -> None:
        """Ask whether to send an order, on the button."""
        self._asked = again, label_of(made)
        self.button.confirm = f"Send {made.quote.count}"
        self.button.question = f"{why}. Send {made.words}?"
        self.on_question()

    def _refused(self, error: ModellixError) -> None:
        self.button.busy, self._waiting = False, None
        self.status.error(error)

    def _stop(self) -> None:
        self._context.do(self._context.session.stop, self.stopped, self.status.error)

    def stopped(self, stopped: Stopped) -> None:
        """Say what was stopped, as a cell does."""
        self.status.message(str(stopped))
        self.on_spent()

    def paint(self, changed: set[str]) -> None:
        """Draw the changed tasks; on the painter's thread."""
        self.results.paint(changed)
        self.stop.layout.display = "" if self._context.session.engine.busy() else "none"

    # -- calls of other views

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
        """Return the first offered model that makes a picture from a text."""
        slugs = [line[0] for line in self.model.models if "text-to-image" in line[1]]
        return slugs[0] if slugs else next(iter(self._models))

    def use_as_input(self, task: Task, place: int) -> None:
        """Put a result into a field of the form; if none takes it, into one of the next model."""

        def give(found: tuple[str, Input, str, str | None]) -> None:
            kind, *_ = self._input = found
            self._give()
            if self._input is not None:
                verb = f"{kind}-to-"
                fitting = [slug for slug, each in self._models.items() if verb in each.type]
                names = " or ".join(fitting[:2]) or "another"
                self.status.message(
                    f"No chosen model takes a {noun_of(kind)}. Choose {names}: it gets this one."
                )

        session = self._context.session
        self._context.do(lambda: result_input(session, task, place), give, self.status.error)

    def _give(self) -> None:
        """Put the waiting result into a field, if there is now one that takes it."""
        label = self.form.give(*self._input) if self._input is not None else None
        if label is not None:
            self._input = None
            self.status.message(f"It is the input for {label.removesuffix(' *')}.")


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
        """Draw the changed tasks; on the painter's thread."""
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


def label_of(order: Order) -> str:
    """Return the button's label for an order: how many tasks it sends, and their cost."""
    quote, there = order.quote, len(order.requests) - order.quote.count
    total = quote.total
    parts = [str(quote.count)]
    if total.count_unknown < quote.count:
        parts.append(money_range(*total.cost))
    if 0 < total.count_unknown < quote.count:
        parts[-1] += f" and {total.count_unknown} of unknown price"
    return f"{GENERATE} {', '.join([*parts, *([f'{there} made before'] if there else [])])}"


def _why_ask(order: Order, label: str, *, confirmed: bool = False) -> str:
    """Return why an order needs a yes; empty if it needs none."""
    if label not in {GENERATE, label_of(order)}:
        return f"The button said {label}"
    return "" if confirmed else order.quote.why_confirm


def _why_ask_again(task: Task, order: Order) -> str:
    """Return why it needs a yes to send a task's request; empty if it needs none."""
    total = order.quote.total
    if not total.unknown and total.cost.high > (task.price or 0.0):
        said = "no price" if task.price is None else money(task.price)
        return f"Its card said {said}"
    return order.quote.why_confirm


def _searched(task: Task) -> str:
    request = task.request
    return f"{request.prompt or ''} {request.model} {task.status} {task.task_id}".lower()


def _needs_prompt(schema: ModelSchema | None) -> bool:
    name = schema.prompt_parameter if schema else None
    return schema is None or (name is not None and schema.parameters[name].required)
