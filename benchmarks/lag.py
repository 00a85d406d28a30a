"""From ready to seen, and what it costs in polls: ours, other clients', and the best there is.

`python -m benchmarks.lag --curve` prints what one is for the other as a table, and draws it into
`docs/images/polling.svg`.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figure
from benchmarks.rig import EVEN, UNEVEN, Kernel, Server, polled, requests
from benchmarks.simulated import (
    Draw,
    Summary,
    at_pace,
    best_mean_lag,
    drifting,
    every,
    lognormal,
    simulate,
    steady,
    summary,
    two_humps,
)
from modellix_jupyter.engine.polling import PACE, Pace

if TYPE_CHECKING:
    from benchmarks.figures import Scale

DURATIONS = (1.0, 3.5, 20.0, 120.0)
OTHERS = {2.0: "every 2 s", 0.1: "every 0.1 s"}
LIVE_NAMES = {EVEN: "even", UNEVEN: "uneven (sigma 0.25)"}
GOAL_FOR_S, UNSEEN_S, SEEN_S = 3.5, 0.45, 0.3
"""For which duration there is a goal, and the median lag of a model never seen, and of one seen."""
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "polling.svg"
CLOSE_S = (0.1, 0.2, PACE.close_s, 0.7, 1.5)
"""Values of the main constant that the curve shows."""
CURVES: dict[str, Draw] = {
    "even, 20 s (2 %)": steady(20.0),
    "lognormal, 3.5 s, sigma 0.25": lognormal(3.5, 0.25),
    "lognormal, 20 s, sigma 0.25": lognormal(20.0, 0.25),
    "lognormal, 120 s, sigma 0.25": lognormal(120.0, 0.25),
    "lognormal, 20 s, sigma 0.5": lognormal(20.0, 0.5),
    "two humps, 5 s or 40 s": two_humps(5.0, 40.0),
    "drifting, 10 s to 40 s": drifting(10.0, 40.0),
}


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield the lag of each duration, simulated; then against a real server."""
    for duration in DURATIONS:
        yield from _simulated(duration, scale.simulated_tasks)
    for duration in scale.live_s:
        for model in LIVE_NAMES if scale.name == "full" else (EVEN,):
            yield from _live(model, duration, scale.live_tasks)


# -- simulated


@dataclass(frozen=True, slots=True)
class Case:
    """A model as it is known, and how much its tasks differ."""

    name: str
    draw: Draw
    seen: int


def _cases(duration: float) -> tuple[Case, ...]:
    return (
        Case("model never seen", lognormal(duration, 0.25), 0),
        Case("seen before, even (2 %)", steady(duration), 30),
        Case("seen before, uneven (sigma 0.25)", lognormal(duration, 0.25), 30),
    )


def _simulated(duration: float, tasks: int) -> Iterator[Figure]:
    for case in _cases(duration):
        known = bool(case.seen)
        ours = summary(simulate(case.draw, tasks=tasks, seen=case.seen, learning=known))
        two, often = (
            summary(simulate(case.draw, rule=every(pause), tasks=tasks, seen=case.seen))
            for pause in OTHERS
        )
        best = best_mean_lag(case.draw, ours.polls)
        said = f"{_others(two, often)}; best for as many: mean {best:.2f} s"
        goal_s = SEEN_S if known else UNSEEN_S
        yield _judged(f"Lag of a {duration:g} s task, {case.name}", ours, two, said, goal_s)


def _others(two: Summary, often: Summary) -> str:
    return f"{OTHERS[2.0]}: {_said(two)}; {OTHERS[0.1]}: {_said(often)}"


def _said(known: Summary) -> str:
    return f"{known.lag_s:.2f} s, {known.polls:.2f} polls"


def _judged(
    what: str, ours: Summary, two: Summary, against: str, goal_s: float | None, why: str = ""
) -> Figure:
    if f" {GOAL_FOR_S:g} s task" not in what:
        goal_s = None
    return Figure(
        what=what,
        ours=f"{_said(ours)} (mean {ours.mean_s:.2f} s)",
        against=against,
        ratio=ours.lag_s / two.lag_s,
        goal="" if goal_s is None else f"at most {goal_s:.3g} s{why}",
        met=None if goal_s is None else ours.lag_s <= goal_s,
    )


# -- against a real server


def _live(model: str, duration: float, tasks: int) -> Iterator[Figure]:
    """Yield the lag of tasks that a real server works on, ours and others' in turn."""
    work = requests(model, tasks)
    # the budget is for another figure: here many at once only save time
    with (
        Server(model, duration) as server,
        tempfile.TemporaryDirectory() as home,
        Kernel(Path(home), server.url, requests_per_second=1000.0) as kernel,
    ):
        unseen = summary(kernel.lags(work))
        two = summary(asyncio.run(polled(server.url, work, 2.0)))
        kernel.run(work)
        seen = summary(kernel.lags(work))
        often = summary(asyncio.run(polled(server.url, work, 0.1)))
    what = f"Lag of a {duration:g} s task on a real server, {LIVE_NAMES[model]}"
    said = _others(two, often)
    first = f"{what}: a first batch of {tasks}"
    # tasks of exactly 3.5 s happen to be seen early by a poll at 4 s
    goal_s = None if model == EVEN else two.lag_s / 2
    yield _judged(first, unseen, two, said, goal_s, ": half of every 2 s")
    yield _judged(f"{what}: seen before", seen, two, said, SEEN_S)


# -- the curve


@dataclass(frozen=True, slots=True)
class Point:
    """What one value of the main constant comes to."""

    close_s: float
    ours: Summary
    best: float


def points(draw: Draw, tasks: int = 1000) -> list[Point]:
    """Return the curve of a distribution: lag against polls."""
    found = []
    for close_s in CLOSE_S:
        rule = at_pace(Pace(close_s=close_s))
        ours = summary(simulate(draw, rule=rule, tasks=tasks))
        found.append(Point(close_s, ours, best_mean_lag(draw, ours.polls)))
    return found


def chosen(draw: Draw, tasks: int = 1000) -> tuple[Summary, Summary]:
    """Return what the constants as they are come to, and polling every two seconds."""
    two = summary(simulate(draw, rule=every(2.0), tasks=tasks))
    return summary(simulate(draw, tasks=tasks)), two


def curve() -> str:
    """Return the trade-off of each distribution as a Markdown table, and draw it."""
    curves = {name: points(draw) for name, draw in CURVES.items()}
    marks = {name: chosen(draw) for name, draw in CURVES.items()}
    _draw(curves, marks)
    head = [f"`close_s` {close_s:g}" for close_s in CLOSE_S]
    lines = [
        f"| Durations | {' | '.join(head)} | as it is | every 2 s |",
        f"|---{'|---' * len(CLOSE_S)}|---|---|",
    ]
    for name, found in curves.items():
        cells = [f"{p.ours.polls:.1f}: {p.ours.mean_s:.2f} s ({p.best:.2f})" for p in found]
        cells += [f"{each.polls:.1f}: {each.mean_s:.2f} s" for each in marks[name]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _draw(curves: dict[str, list[Point]], marks: dict[str, tuple[Summary, Summary]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "polling"  # the same picture for the same figures
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, found in curves.items():
        (line,) = axes.plot(
            [p.ours.polls for p in found], [p.ours.mean_s for p in found], label=name
        )
        color = line.get_color()
        best = [p.best for p in found]
        axes.plot([p.ours.polls for p in found], best, color=color, ls=":", lw=1)
        for summed, marker in zip(marks[name], ("o", "x"), strict=True):
            axes.plot(summed.polls, summed.mean_s, marker, color=color)
    axes.set(xscale="log", yscale="log", xlabel="polls a task", ylabel="mean lag in seconds")
    axes.set_title("o as it is, x every 2 s, dotted: no schedule can be better", fontsize=10)
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend(fontsize=8)
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    """Print and draw the curve."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--curve", action="store_true", required=True)
    parser.parse_args()
    print(curve())


if __name__ == "__main__":
    main()
