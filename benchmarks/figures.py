"""What a benchmark yields, how large it is, on what it ran, and how it is printed."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD = ("What", "Ours", "Against", "Ratio", "Goal", "Met")
_LIBRARIES = ("httpx", "ipython", "pandas", "pillow", "tornado")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure, beside what it is compared with.

    Parameters
    ----------
    what
        What was measured: "Lag of a 3.5 s task, model seen before".
    ours
        As it is printed: "0.12 s".
    against
        What it is compared with, and its figure: "polling every 2 s: 0.98 s".
    ratio
        Ours by theirs; None where there is nothing to divide.
    goal
        What is to be reached: "at most 0.3 s"; empty where nothing is promised.
    met
        Whether it was; None where there is no goal.

    """

    what: str
    ours: str
    against: str
    ratio: float | None
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much a run measures.

    Parameters
    ----------
    name
        "full" or "smoke".
    repeats
        How often a short measurement is repeated; the median counts.
    rows
        Sizes of the ledgers that are read as frames.
    export_rows
        Rows of each exported table.
    in_flight
        Numbers of tasks that are driven at once.
    live_tasks, live_s
        Tasks of each lag that is measured against a real server, and their durations in seconds.
    simulated_tasks
        Tasks of each lag that is simulated.
    pictures
        Pictures of the saved notebook.
    panel_tasks
        Tasks that the panel shows.
    seconds
        How long a rate, such as bytes a second, is measured.

    """

    name: str
    repeats: int
    rows: tuple[int, ...]
    export_rows: int
    in_flight: tuple[int, ...]
    live_tasks: int
    live_s: tuple[float, ...]
    simulated_tasks: int
    pictures: int
    panel_tasks: int
    seconds: float


FULL = Scale(
    name="full",
    repeats=9,
    rows=(1_000, 100_000, 1_000_000),
    export_rows=100_000,
    in_flight=(1, 100, 1_000),
    live_tasks=10,
    live_s=(1.0, 3.5),
    simulated_tasks=2_000,
    pictures=24,
    panel_tasks=1_000,
    seconds=10.0,
)
SMOKE = Scale(
    name="smoke",
    repeats=1,
    rows=(100, 1_000),
    export_rows=200,
    in_flight=(2,),
    live_tasks=1,
    live_s=(0.2,),
    simulated_tasks=40,
    pictures=2,
    panel_tasks=10,
    seconds=0.5,
)


def machine() -> str:
    """Return the date and what the figures depend on, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    facts = (
        f"{datetime.now(UTC):%Y-%m-%d}",
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in _LIBRARIES),
        f"SQLite {sqlite3.sqlite_version}",
    )
    return "; ".join(facts)


def _processor() -> str:
    """Return the processor's name, as far as the system says it."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def head() -> str:
    """Return the first two lines of the Markdown table."""
    return f"{_line(HEAD)}\n|{'---|' * len(HEAD)}"


def row(figure: Figure) -> str:
    """Return a figure as a line of the Markdown table."""
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
    met = "" if figure.met is None else "yes" if figure.met else "**no**"
    return _line((figure.what, figure.ours, figure.against, ratio, figure.goal, met))


def table(figures: Iterable[Figure]) -> str:
    """Return figures as one Markdown table."""
    return "\n".join((head(), *map(row, figures)))


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
