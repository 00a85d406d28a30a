"""The one way to spend: check, price, look for earlier results, confirm, reserve and send.

Cells, Python functions and clicks all come here through the session. `order` sends nothing; `send`
sends all that the order shows, or nothing.
"""

from __future__ import annotations

import math
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

from modellix_jupyter.errors import InvalidRequest, OverBudget, short
from modellix_jupyter.html.formatting import money, money_range
from modellix_jupyter.keys import SecretKey, not_for, shown
from modellix_jupyter.ledger.budgets import PERIODS, Period, Standing
from modellix_jupyter.notebook import inputs
from modellix_jupyter.planning.plan import GONE, best, is_reusable, request_keys
from modellix_jupyter.planning.pricing import Pricing, Total, cost_of, most, total_cost
from modellix_jupyter.storage.files import is_there
from modellix_jupyter.values import Request, Status, Task, amount, service_of, to_datetime

if TYPE_CHECKING:
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.settings import Settings

# The most reasons for an unknown price that are named in one line.
_REASONS = 2
_LIMIT = re.compile(r"\$?\s*(?P<usd>[0-9]+\.?[0-9]*|\.[0-9]+)\s*(?:/\s*(?P<period>day|month))?")


@dataclass(frozen=True)
class Quote:
    """Checked requests and the pricing of their models; none of them was sent."""

    requests: Sequence[Request]
    prices: Mapping[str, Pricing]
    settings: Settings

    @property
    def count(self) -> int:
        """The number of tasks."""
        return len(self.requests)

    @cached_property
    def total(self) -> Total:
        """The cost of all tasks together, and why parts of it are not known."""
        return total_cost(self.requests, self.prices)

    def price_of(self, request: Request) -> str:
        """Return the price of one request, or why it is not known."""
        cost = cost_of(request, self.prices)
        return f"not known: {cost}" if isinstance(cost, str) else money_range(*cost)

    @property
    def why_confirm(self) -> str:
        """Why the tasks need a confirmation; empty if they need none."""
        total, limits = self.total, self.settings
        if self.count > limits.ask_above:
            return f"{self.count} tasks, and more than {limits.ask_above} need a yes"
        if total.cost.high > limits.ask_above_usd:
            dearer = f"more than {money(limits.ask_above_usd)} needs a yes"
            return f"{_tasks(self.count)}{self.cost}, and {dearer}"
        if total.unknown and self.count > 1:
            return f"{self.count} tasks{self.cost}, and that needs a yes"
        return ""

    @property
    def cost(self) -> str:
        """The cost in words, to follow the count; it begins with a space."""
        total = self.total
        why = "; ".join(list(total.unknown)[:_REASONS])
        if total.count_unknown == self.count:
            return f" (no price is known: {why})" if why else ""
        more = f" and {total.count_unknown} of unknown price ({why})" if why else ""
        return f" for {money_range(*total.cost)}{more}"

    @property
    def words(self) -> str:
        """Return the count of tasks and their cost."""
        return f"{_tasks(self.count)}{self.cost}"


@dataclass(frozen=True)
class Order:
    """Requests, and for each the task that already stands for it, if there is one."""

    requests: Sequence[Request]
    keys: Sequence[str]
    found: Sequence[Task | None]
    # Uids of found tasks that were never sent and that no kernel is about to send.
    held: frozenset[str]
    prices: Mapping[str, Pricing]
    settings: Settings
    batch: str | None = None
    reuse: str = "off"

    @property
    def may_change(self) -> bool:
        """Whether another kernel may meanwhile send the missing requests."""
        missing = (self.requests[i] for i in self.missing)
        return self.batch is not None or any(is_reusable(r, self.reuse) for r in missing)

    @property
    def missing(self) -> list[int]:
        """The indexes of the requests that no task stands for."""
        return [i for i, task in enumerate(self.found) if task is None]

    @cached_property
    def quote(self) -> Quote:
        """The requests to be sent, and their cost."""
        pairs = zip(self.requests, self.found, strict=True)
        sent = [r for r, task in pairs if task is None or task.uid in self.held]
        return Quote(sent, self.prices, self.settings)

    @property
    def words(self) -> str:
        """Return the count and the cost of what is sent, and how many already have a result."""
        there = len(self.requests) - self.quote.count
        more = f"; {there} {'has' if there == 1 else 'have'} been made before" if there else ""
        return f"{self.quote.words}{more}"

    def price_words(self) -> list[str]:
        """Return the price of each request, or when its earlier result was made."""
        return [
            self.quote.price_of(request)
            if task is None or task.uid in self.held
            else made_before(task)
            for request, task in zip(self.requests, self.found, strict=True)
        ]

    def check_limit(self, max_usd: float | None) -> None:
        """Raise `OverBudget` if the order may cost more than that, or if its cost is not known."""
        total = self.quote.total
        if max_usd is None or not self.quote.count:
            return
        if total.unknown or total.cost.high > max_usd:
            raise OverBudget(
                f"The plan has {self.quote.words}, and --max-usd is {money(max_usd)}.",
                "Nothing was sent; leave something out, or raise the limit.",
            )


def made_before(task: Task) -> str:
    """Return in words that a task is not paid for again."""
    moment = to_datetime(task.submitted_at or task.created_at)
    state = "made" if task.status is Status.SUCCESS else str(task.status)
    return f"$0.00: {state} at {moment:%Y-%m-%d %H:%M} UTC"


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"


# Says whether to send a quote that needs a confirmation.
Confirm = Callable[[Quote], bool]


def confirmed(_: Quote) -> bool:
    """Confirm: the caller has already done so."""
    return True


def ask_first(option: str, *, yes: bool) -> Confirm:
    """Return a function that asks the user of the running cell, or if `yes`, one that confirms."""
    if not isinstance(yes, bool):  # "no" would be a yes
        raise InvalidRequest(
            f"yes={short(yes)} is neither True nor False.", f"Nothing was sent; write {option}."
        )

    def confirm(quote: Quote) -> bool:
        needed = f"The plan has {quote.why_confirm}."
        hint = f"Nothing was sent; add {option} to send it."
        if ask(f"Send {quote.words}?", otherwise=needed, hint=hint):
            return True
        print("Nothing was sent.")
        return False

    return confirmed if yes else confirm


def ask(question: str, *, otherwise: str, hint: str = "") -> bool:
    """Ask for a yes or no; if nobody can be asked, raise `InvalidRequest` with `otherwise`."""
    answer = _answer(input, f"{question} [y/N] ", otherwise, hint)
    return answer.strip().lower() in {"y", "yes"}


def confirm_origin(key: SecretKey, origin: str) -> bool:
    """Ask whether a service may have a key that was not given for it."""
    message, hint = not_for(key, origin)
    if threading.current_thread() is not threading.main_thread():
        return False  # off the main thread there is no cell to show a question
    question = f"The key from {key.source} was not given for {shown(origin)}. Send it there?"
    return ask(question, otherwise=message, hint=hint)


def ask_hidden(question: str) -> str:
    """Ask for a secret, which is not shown as it is typed."""
    from getpass import getpass

    hint = "Set the variable MODELLIX_API_KEY instead."
    return _answer(getpass, question, "Nobody can be asked for a key here.", hint)


def _answer(read: Callable[[str], str], question: str, otherwise: str, hint: str) -> str:
    from IPython.core.error import StdinNotImplementedError

    try:
        return read(question)
    except (EOFError, OSError, RuntimeError, StdinNotImplementedError):
        raise InvalidRequest(otherwise, hint) from None


def order(
    session: Session, requests: Sequence[Request], *, batch: str | None = None, reuse: str = ""
) -> Order:
    """Check requests, price them, and find the tasks that already stand for them; send nothing."""
    requests = inputs.prepared(session, requests)
    prices = session.prices(requests)
    known = session.settings
    keys = request_keys(requests, service_of(known.base_url), inputs.digests(session, requests))
    made = Order(requests, keys, (), frozenset(), prices, known, batch, reuse or known.reuse)
    return _with_found(session, made, range(len(requests)))


def _with_found(session: Session, made: Order, places: Iterable[int]) -> Order:
    """Return an order with the tasks that stand for the requests at these indexes."""
    found = list(made.found) or [None] * len(made.requests)
    of_batch = {} if made.batch is None else _of_batch(session, made.batch)
    wanted = [i for i in places if is_reusable(made.requests[i], made.reuse)]
    known = session.ledger.requested([made.keys[i] for i in wanted]) if wanted else {}
    for i in places:
        found[i] = of_batch.get(made.keys[i])
    for i in wanted:
        found[i] = found[i] or best(_readable(known.get(made.keys[i], ())), made.settings.base_url)
    held = {task.uid for task in found if task is not None and session.engine.is_held(task)}
    return replace(made, found=found, held=frozenset(held))


def _of_batch(session: Session, name: str) -> dict[str | None, Task]:
    origin = session.settings.base_url
    tasks = (task for task in session.ledger.batch(name) if task.origin == origin)
    return {task.request_key: task for task in tasks if task.status not in GONE}


def _readable(tasks: Iterable[Task]) -> list[Task]:
    """Return the tasks whose files are all still there."""
    return [t for t in tasks if all(r.path is None or is_there(r.path) for r in t.resources)]


def send(session: Session, made: Order) -> list[str]:
    """Send what an order shows, and reserve what it may cost; return the uids of all its tasks.

    If it is interrupted, the caller does not get the tasks that are already recorded, so it ends
    like an interrupted wait for them.
    """
    batch = made.batch or uuid.uuid4().hex
    try:
        return _send(session, made, batch)
    except KeyboardInterrupt:
        tasks = session.ledger.batch(batch)
        if not tasks:
            raise
        raise session.results(tasks)._interrupted() from None  # noqa: SLF001 - not for users to call


def _send(session: Session, made: Order, batch: str) -> list[str]:
    engine = session.engine
    # with a ledger on a server, other machines may work on the batch at the same time
    shared = made.batch is not None and session.ledger.path is None
    with session.ledger.continuing() if made.may_change else nullcontext():
        # another kernel may have sent the same since
        made = _with_found(session, made, made.missing) if made.may_change else made
        held = [task for task in made.found if task and task.uid in made.held]
        _hold_again(session, held, made.prices)
        kept = [None if _is_copied(task, made.batch) else task for task in made.found]
        new = [i for i, task in enumerate(kept) if task is None]
        requests = _with_inputs(session, made, new)
        sent = engine.submit(
            requests,
            prices=[most(request, made.prices) for request in requests],
            keys=[made.keys[i] for i in new],
            found=[made.found[i] for i in new],
            batch=batch,
            shared=shared,
        )
    known = [task for task in kept if task is not None]
    if not shared:
        engine.resume(known)
    engine.send(known if shared else held, shared=shared)
    following = iter(sent)
    return [task.uid if task else next(following).uid for task in kept]


def _with_inputs(session: Session, made: Order, places: Sequence[int]) -> list[Request]:
    """Return the requests at these indexes; upload the inputs of those that will be sent."""
    sent = iter(inputs.sent(session, [made.requests[i] for i in places if made.found[i] is None]))
    return [next(sent) if made.found[i] is None else made.requests[i] for i in places]


def _is_copied(task: Task | None, batch: str | None) -> bool:
    """Whether a request gets a row of its own with a copy of a task's result."""
    return (
        task is not None
        and task.status is Status.SUCCESS
        and task.batch != batch
        and not task.missing
    )


def _hold_again(session: Session, unsent: Sequence[Task], prices: Mapping[str, Pricing]) -> None:
    """Reserve again what unsent tasks may cost: at today's prices, within today's limits."""
    most_each = [most(task.request, prices) for task in unsent]
    session.ledger.hold_again(unsent, most_each, time.time_ns() // 1000)


def order_unsent(session: Session, unsent: Sequence[Task]) -> Order:
    """Price unsent tasks of this service that no kernel is about to send; send nothing."""
    here, is_held = session.settings.base_url, session.engine.is_held
    held = [task for task in unsent if task.origin == here and is_held(task)]
    requests = [task.request for task in held]
    return Order(
        requests,
        [task.request_key or "" for task in held],
        held,
        frozenset(task.uid for task in held),
        session.prices(requests),
        session.settings,
    )


# -- limits


class Budget(tuple[Standing, ...]):
    """What was spent at a service: a `Standing` each for the day, the month and all time."""

    __slots__ = ()

    def __repr__(self) -> str:
        limited = any(standing.limit is not None for standing in self)
        hint = "" if limited else " `%modellix budget 20/day` sets a limit for every kernel."
        where = f"Service: {self[0].service}. Each has limits of its own.{hint}"
        return "\n".join([*self.lines, where])

    @property
    def lines(self) -> list[str]:
        """Return one line each for the day, the month and all time."""
        return [_line(standing) for standing in self]

    @property
    def words(self) -> str:
        """Return the limits in one line, or what was spent today if there is none."""
        limited = [str(standing) for standing in self if standing.limit is not None]
        return "; ".join(limited) or str(self[0])


def _line(standing: Standing) -> str:
    if standing.limit is None:
        return str(standing)
    left = max(0.0, standing.limit - standing.spent)
    renews = f", renews at {standing.renews_at:%Y-%m-%d %H:%M} UTC" if standing.renews_at else ""
    return f"{standing}; {amount(left)} left{renews}"


def standing_of(session: Session) -> Budget:
    """Return what was spent at a session's service, with its limits."""
    service = service_of(session.settings.base_url)
    return Budget(session.ledger.standings(service, time.time_ns() // 1000))


def set_limit(session: Session, text: str) -> None:
    """Set a limit from its text; raise `InvalidRequest` if it is not one."""
    service, wanted = service_of(session.settings.base_url), text.lower()
    if wanted == "off":
        for period in PERIODS:
            session.ledger.set_budget(service, period, None)
        return
    found = _LIMIT.fullmatch(wanted)
    if found is None or math.isinf(usd := float(found["usd"])):
        raise InvalidRequest(
            f"`{short(text)}` is not a limit.", "Write 20/day, 300/month, 50 (in all), or off."
        )
    session.ledger.set_budget(service, cast("Period", found["period"] or "all"), usd)
