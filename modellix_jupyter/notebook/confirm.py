"""Questions to whoever sits at the notebook, and what a plan above the limit of tasks needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.formatting import usd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modellix_jupyter.planning.plan import Plan
    from modellix_jupyter.planning.pricing import Pricing


def agreed(plan: Plan, prices: Mapping[str, Pricing], ask_above: int, *, add: str) -> bool:
    """Ask whether to send a plan that is above the limit; True for any other.

    Parameters
    ----------
    plan
        What would be sent.
    prices
        By model, as far as they are known.
    ask_above
        The limit, in tasks.
    add
        What answers the question beforehand, as it is written: ``--yes`` or ``yes=True``.

    Raises
    ------
    InvalidRequest
        There is nobody to answer.

    """
    if plan.count <= ask_above:
        return True
    needed = f"The plan has {plan.count} tasks, and more than {ask_above} need a yes."
    hint = f"Nothing was sent; add {add} to send it."
    if ask(f"Send {plan.count} tasks{cost_words(plan, prices)}?", otherwise=needed, hint=hint):
        return True
    print("Nothing was sent.")  # noqa: T201 - the answer to a question that was just asked
    return False


def cost_words(plan: Plan, prices: Mapping[str, Pricing]) -> str:
    """Return what a plan costs, to stand after its count; with a space before it."""
    total, without = plan.price(prices)
    if without == plan.count:
        return " (no price is known)"
    more = f" and {without} of unknown price" if without else ""
    return f" for {usd(total)}{more}"


def ask(question: str, *, otherwise: str, hint: str = "") -> bool:
    """Ask a yes or no; where nobody can be asked, refuse.

    Raises
    ------
    InvalidRequest
        There is nobody to answer: `otherwise` says why an answer is needed, and `hint` how to do
        without.

    """
    try:
        answer = input(f"{question} [y/N] ")
    except (EOFError, OSError, _no_stdin()):
        raise InvalidRequest(otherwise, hint) from None
    return answer.strip().lower() in {"y", "yes"}


def ask_hidden(question: str) -> str:
    """Ask for a secret, which is not shown as it is typed.

    Raises
    ------
    InvalidRequest
        There is nobody to answer.

    """
    from getpass import getpass

    try:
        return getpass(question)
    except (EOFError, OSError, _no_stdin()):
        raise InvalidRequest(
            "Nobody can be asked for a key here.", "Set the variable MODELLIX_API_KEY instead."
        ) from None


def _no_stdin() -> type[BaseException]:
    from IPython.core.error import StdinNotImplementedError

    return StdinNotImplementedError
