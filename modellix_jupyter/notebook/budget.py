"""What may be spent, and what was: `%modellix budget` and `budget` in Python."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.ledger.budgets import PERIODS, Period, Standing
from modellix_jupyter.ledger.tables import service_of
from modellix_jupyter.notebook.current_session import current
from modellix_jupyter.planning.suggestions import short
from modellix_jupyter.values import amount

if TYPE_CHECKING:
    from modellix_jupyter.notebook.session import Session

_LIMIT = re.compile(r"\$?\s*(?P<usd>[0-9.]+)\s*(?:/\s*(?P<period>day|month))?")


class Budget(tuple[Standing, ...]):
    """How the limits of a service stand: one `Standing` for the day, the month and all time."""

    __slots__ = ()

    def __repr__(self) -> str:
        limited = any(standing.limit is not None for standing in self)
        hint = "" if limited else " `%modellix budget 20/day` sets a limit for every kernel."
        where = f"Service: {self[0].service}. Each has limits of its own.{hint}"
        return "\n".join([*self.lines, where])

    @property
    def lines(self) -> list[str]:
        """Return a line for the day, the month and all time."""
        return [_line(standing) for standing in self]

    @property
    def words(self) -> str:
        """Return the limits in one line, or what was spent today where there is none."""
        limited = [str(standing) for standing in self if standing.limit is not None]
        return "; ".join(limited) or str(self[0])


def _line(standing: Standing) -> str:
    if standing.limit is None:
        return str(standing)
    left = max(0.0, standing.limit - standing.spent)
    renews = f", renews at {standing.renews_at:%Y-%m-%d %H:%M} UTC" if standing.renews_at else ""
    return f"{standing}; {amount(left)} left{renews}"


def budget(limit: str | float | None = None) -> Budget:
    """Show what was spent at the service in use, or set a limit for every kernel on the ledger.

    What tasks may cost is held before they are sent, and counts until the service says what it
    charged; a plan that may cost more than what is left is refused as a whole. Days and months are
    those of UTC.

    Parameters
    ----------
    limit
        In USD: ``"20/day"``, ``"300/month"``, ``50`` in all, or ``"off"`` to remove every limit.

    Returns
    -------
    Budget
        What was spent today, this month and in all, each with its limit.

    Raises
    ------
    InvalidRequest
        It is none of these.

    """
    session = current()
    if limit is not None:
        set_limit(session, str(limit).strip())
    return standing_of(session)


def standing_of(session: Session) -> Budget:
    """Return how the limits of a session's service stand."""
    service = service_of(session.settings.base_url)
    return Budget(session.ledger.standings(service, time.time_ns() // 1000))


def set_limit(session: Session, text: str) -> None:
    """Set a limit as it is written, or raise `InvalidRequest`."""
    service = service_of(session.settings.base_url)
    if text == "off":
        for period in PERIODS:
            session.ledger.set_budget(service, period, None)
        return
    found = _LIMIT.fullmatch(text)
    try:
        usd = float(found["usd"]) if found else math.nan
    except ValueError:
        usd = math.nan
    if found is None or not math.isfinite(usd):
        raise InvalidRequest(
            f"`{short(text)}` is not a limit.", "Write 20/day, 300/month, 50 (in all), or off."
        )
    periods: dict[str | None, Period] = {"day": "day", "month": "month", None: "all"}
    session.ledger.set_budget(service, periods[found["period"]], usd)
