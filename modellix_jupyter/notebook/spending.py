"""What stands between a plan and its tasks: a quote, and whoever confirms it.

`Session.submit` is the one way to spend: it quotes, has the quote confirmed, and only then sends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.formatting import money, money_range
from modellix_jupyter.keys import not_for, shown
from modellix_jupyter.planning.pricing import Pricing, Total, cost_of, most, total_cost
from modellix_jupyter.values import Request

if TYPE_CHECKING:
    from modellix_jupyter.keys import SecretKey
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.settings import Settings

# Reasons for an unknown price that are named in one line.
_REASONS = 2


@dataclass(frozen=True)
class Quote:
    """Requests that were checked, with what they cost by model; nothing of them was sent."""

    requests: Sequence[Request]
    prices: Mapping[str, Pricing]
    settings: Settings

    @property
    def count(self) -> int:
        """How many tasks they are."""
        return len(self.requests)

    @cached_property
    def total(self) -> Total:
        """What they cost together, and what is not known of it."""
        return total_cost(self.requests, self.prices)

    @property
    def most(self) -> list[float | None]:
        """The most that each may cost, in USD, where it is known."""
        return [most(request, self.prices) for request in self.requests]

    def price_of(self, request: Request) -> str:
        """Return the price of one of them, or why there is none."""
        cost = cost_of(request, self.prices)
        return f"not known: {cost}" if isinstance(cost, str) else money_range(*cost)

    @property
    def needs_confirmation(self) -> bool:
        """Whether they are sent only after a yes."""
        return bool(self.why_confirm)

    @property
    def why_confirm(self) -> str:
        """Why they are sent only after a yes; empty where they need none."""
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
        """What they cost, to stand after their count; with a space before it."""
        total = self.total
        why = "; ".join(list(total.unknown)[:_REASONS])
        if total.count_unknown == self.count:
            return f" (no price is known: {why})" if why else ""
        more = f" and {total.count_unknown} of unknown price ({why})" if why else ""
        return f" for {money_range(*total.cost)}{more}"

    @property
    def words(self) -> str:
        """Return the count of tasks and what they cost."""
        return f"{_tasks(self.count)}{self.cost}"


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"


# Says whether to send a quote that needs a confirmation.
Confirm = Callable[[Quote], bool]


def confirmed(_: Quote) -> bool:
    """Send it: whoever calls has confirmed it already."""
    return True


def confirm_later(_: Quote) -> bool:
    """Send nothing yet: whoever calls will ask, and submit once more."""
    return False


def ask_first(option: str) -> Confirm:
    """Return what asks the user of the cell that runs; `option` is how to answer beforehand."""

    def confirm(quote: Quote) -> bool:
        needed = f"The plan has {quote.why_confirm}."
        hint = f"Nothing was sent; add {option} to send it."
        if ask(f"Send {quote.words}?", otherwise=needed, hint=hint):
            return True
        print("Nothing was sent.")
        return False

    return confirm


def ask(question: str, *, otherwise: str, hint: str = "") -> bool:
    """Ask a yes or no; where nobody can be asked, raise `InvalidRequest` with `otherwise`."""
    answer = _answer(input, f"{question} [y/N] ", otherwise, hint)
    return answer.strip().lower() in {"y", "yes"}


def confirm_origin(key: SecretKey, origin: str) -> bool:
    """Ask whether a service may have a key that was not given for it."""
    message, hint = not_for(key, origin)
    if threading.current_thread() is not threading.main_thread():
        return False  # nobody sees a question that no cell asks
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
    except (EOFError, OSError, StdinNotImplementedError):
        raise InvalidRequest(otherwise, hint) from None


def continue_batch(session: Session, quote: Quote, batch: str) -> list[str]:
    """Send what a batch does not have yet, and take up what it has; return the tasks' uids."""
    from modellix_jupyter.planning.plan import matched

    origin, engine = session.settings.base_url, session.engine
    # of a ledger on a server, other machines may work on the batch at the same time
    shared = session.ledger.path is None
    with session.ledger.continuing():
        tasks = [task for task in session.ledger.batch(batch) if task.origin == origin]
        found = matched(quote.requests, tasks, session.ledger.upload_digests(origin))
        missing = [r for r, uid in zip(quote.requests, found, strict=True) if uid is None]
        prices = Quote(missing, quote.prices, quote.settings).most
        sent = iter(engine.submit(missing, prices=prices, batch=batch, shared=shared))
    known = [task for task in tasks if task.uid in found]
    if not shared:
        engine.resume(known)
    engine.send(known, shared=shared)
    return [uid or next(sent).uid for uid in found]
