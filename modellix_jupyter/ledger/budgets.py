"""Spending limits of a service by day, by month and in all, and how much was spent.

A task reserves its maximum price as soon as its row is written, and until the service says what it
charged. A refused task reserves nothing; one of unknown outcome keeps its reservation. Days and
months are in UTC, the same for every kernel on the ledger.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from sqlalchemy import delete, func, insert, select, update

from modellix_jupyter.errors import OverBudget
from modellix_jupyter.ledger.tables import budgets, tasks
from modellix_jupyter.values import EPOCH, amount, to_datetime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from modellix_jupyter.values import Task

Period = Literal["day", "month", "all"]
PERIODS: tuple[Period, ...] = get_args(Period)
_WORDS = {"day": "today", "month": "this month", "all": "in all"}
# A hundredth of the smallest amount that the service charges: sums of floats are not exact.
_TOLERANCE_USD = 1e-6


class Standing(NamedTuple):
    """What a service's tasks cost in a period, and the limit, in USD; `unpriced` counts tasks."""

    service: str
    period: Period
    limit: float | None
    spent: float
    unpriced: int
    renews_at: datetime | None

    def __str__(self) -> str:
        """Return it as ``$3.10 of $20 today``."""
        of = "" if self.limit is None else f" of {_dollars(self.limit)}"
        more = f", and {self.unpriced} of unknown price" if self.unpriced else ""
        return f"{amount(self.spent)}{of} {_WORDS[self.period]}{more}"


def set_budget(connection: Connection, service: str, period: str, usd: float | None) -> None:
    """Set the limit of a period, or remove it."""
    known = (budgets.c.service == service) & (budgets.c.period == period)
    if usd is None:
        connection.execute(delete(budgets).where(known))
    # updated in place: a transaction that waits for the lock of a deleted row would see no limit
    elif not connection.execute(update(budgets).where(known).values(usd=usd)).rowcount:
        row = {"service": service, "period": period, "usd": usd}
        connection.execute(insert(budgets).values(row))


def standings(
    connection: Connection, service: str, now_us: int, *, lock: bool = False
) -> list[Standing]:
    """Return the standing of each period; with `lock`, other kernels wait before they spend."""
    query = select(budgets.c.period, budgets.c.usd).where(budgets.c.service == service)
    if lock:  # always in the same order, against deadlocks; SQLite has one writer anyway
        query = query.order_by(budgets.c.period).with_for_update()
    limits = {str(period): usd for period, usd in connection.execute(query)}
    return [
        _standing(connection, service, period, limits.get(period), now_us)
        for period in PERIODS
        if period in limits or not lock
    ]


def _standing(
    connection: Connection, service: str, period: Period, limit: float | None, now_us: int
) -> Standing:
    begins, renews = bounds(period, now_us)
    held = func.coalesce(tasks.c.charged, tasks.c.price)
    query = select(
        func.coalesce(func.sum(held), 0.0),
        func.count().filter(held.is_(None), tasks.c.status != "rejected"),
    ).where(tasks.c.service == service, tasks.c.created_at >= begins)
    spent, unpriced = connection.execute(query).one()
    return Standing(service, period, limit, float(spent), int(unpriced), renews)


def bounds(period: Period, now_us: int) -> tuple[int, datetime | None]:
    """Return when the current period began, in microseconds since the epoch, and when it ends."""
    if period == "all":
        return 0, None
    now = to_datetime(now_us) or EPOCH
    day = datetime(now.year, now.month, now.day, tzinfo=UTC)
    if period == "day":
        begins, renews = day, day + timedelta(days=1)
    else:
        begins = day.replace(day=1)
        renews = (begins + timedelta(days=31)).replace(day=1)
    return (begins - EPOCH) // timedelta(microseconds=1), renews


def is_held_now(task: Task, price: float | None, now_us: int) -> bool:
    """Whether a task's price is reserved already, in the current day, month and in all."""
    return task.price == price and task.created_at >= bounds("day", now_us)[0]


def hold(connection: Connection, held: Sequence[Task], now_us: int) -> None:
    """Raise `OverBudget` if the tasks, whose rows are already written, exceed a limit.

    The error ends the caller's transaction, so either all tasks are recorded or none.
    """
    if not held:
        return
    service = held[0].service
    for standing in standings(connection, service, now_us, lock=True):
        if standing.limit is None:
            continue
        if any(task.price is None for task in held):
            raise OverBudget(
                f"The limit is {_limit(standing)}, and not every price is known.",
                "Nothing was sent; `%modellix budget off` removes the limit.",
            )
        if standing.spent > standing.limit + _TOLERANCE_USD:
            raise OverBudget(_beyond(standing, sum(task.price or 0.0 for task in held)))


def _limit(standing: Standing) -> str:
    each = "in all" if standing.period == "all" else f"a {standing.period}"
    return f"{_dollars(standing.limit or 0.0)} {each}"


def _beyond(standing: Standing, wanted: float) -> str:
    left = max(0.0, (standing.limit or 0.0) - (standing.spent - wanted))
    renews = f"; it renews at {standing.renews_at:%Y-%m-%d %H:%M} UTC" if standing.renews_at else ""
    return (
        f"This may cost {_dollars(wanted)}, and {_dollars(left)} is left of "
        f"{_limit(standing)}{renews}."
    )


def _dollars(usd: float) -> str:
    """Return ``$20``, ``$0.50``, or with more digits where there are more."""
    return amount(usd).removesuffix(".00")
