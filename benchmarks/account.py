"""Within the limits of a real account: tasks at once, and requests a minute."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figure
from benchmarks.rig import EVEN, Kernel, Server, requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Scale


@dataclass(frozen=True, slots=True)
class Account:
    """What is sent, and what the account allows."""

    tasks: int
    seconds: float
    concurrent: int
    rpm: int
    goal_s: float
    goal: str

    @property
    def ideal_s(self) -> float:
        """The time that the limits leave: of the places, or of two requests a task."""
        by_places = math.ceil(self.tasks / self.concurrent) * self.seconds
        windows, rest = divmod(2 * self.tasks - 1, self.rpm)
        last = math.ceil((rest + 1) / 2 / self.concurrent) * self.seconds
        return max(by_places, 60 * windows + last)


NEW = Account(12, 2.0, 2, 100, 18.0, "at most 18 s, and 4 refusals")
LARGER = Account(200, 3.0, 10, 100, 1.25 * 195, "within 1.25 of what the limits allow")


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield the figures of this topic."""
    if scale.name == "smoke":
        yield _measured(Account(4, 0.2, 2, 100, 5.0, "at most 5 s"))
        return
    yield _measured(NEW)
    yield _measured(LARGER)


def _measured(account: Account) -> Figure:
    work = requests(EVEN, account.tasks)
    limits = {"concurrent": account.concurrent, "rpm": account.rpm}
    with (
        Server(EVEN, account.seconds, **limits) as server,
        tempfile.TemporaryDirectory() as home,
        Kernel(Path(home), server.url) as kernel,
    ):
        begun = time.monotonic()
        kernel.run(work)
        wall = time.monotonic() - begun
        refusals = kernel.client.refusals
    what = f"{account.tasks} tasks of {account.seconds:g} s"
    return Figure(
        what=f"{what} at {account.concurrent} places and {account.rpm} requests a minute",
        ours=f"{wall:.1f} s, {refusals} refusals",
        against=f"what the limits allow: {account.ideal_s:.0f} s",
        ratio=wall / account.ideal_s,
        goal=account.goal,
        met=wall <= account.goal_s and (account is not NEW or refusals <= 4),
    )
