"""Run the benchmarks: one table of every figure, printed as they come.

`python -m benchmarks.run [--smoke] [--write] [TOPIC ...]`. A topic is a module beside this one that
has `figures(scale)`. With `--write` the table goes into `docs/performance.md`, with the date and
the machine it was measured on.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import tempfile
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import benchmarks
from benchmarks.figures import FULL, SMOKE, head, machine, row, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.figures import Figure, Scale

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
"""What stands between these on the page is written by `--write`."""


def topics() -> list[str]:
    """Return the names of the modules that yield figures."""
    names = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return [name for name in names if hasattr(import_module(f"benchmarks.{name}"), "figures")]


def measure(names: Iterable[str], scale: Scale) -> Iterator[Figure]:
    """Yield the figures of those topics, each as soon as it is known."""
    for name in names:
        with home_of_its_own():
            yield from import_module(f"benchmarks.{name}").figures(scale)


@contextmanager
def home_of_its_own() -> Iterator[Path]:
    """Keep the user's ledger, key and settings out of it."""
    before = {name: value for name, value in os.environ.items() if name.startswith("MODELLIX_")}
    with tempfile.TemporaryDirectory(prefix="modellix-bench-") as folder:
        for name in before:
            del os.environ[name]
        os.environ["MODELLIX_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ["MODELLIX_HOME"]
            os.environ.update(before)


def written(page: str, figures: Sequence[Figure]) -> str:
    """Return the page with the table between its marks exchanged.

    Raises
    ------
    ValueError
        The page has no such marks.

    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"There is no {BEGIN} with an {END} after it.")
    return f"{before}{BEGIN}\nMeasured on {machine()}.\n\n{table(figures)}\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for, and print it."""
    names = topics()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=", ".join(names))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.topics) - set(names)
    if unknown:
        parser.error(f"no topic: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    figures = []
    print(f"{machine()}\n\n{head()}", flush=True)
    for figure in measure(chosen.topics or names, SMOKE if chosen.smoke else FULL):
        figures.append(figure)
        print(row(figure), flush=True)
    if chosen.write:
        PAGE.write_text(written(PAGE.read_text("utf-8"), figures), "utf-8")


if __name__ == "__main__":
    main()
