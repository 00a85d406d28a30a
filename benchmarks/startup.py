"""What the start costs: the import, and ``%load_ext``, over an interpreter that does neither.

Every measurement is a process of its own, with bytecode from a folder of its own that a first round
has filled, as an installation fills it; a smoke run takes the bytecode that is there. Ours, theirs
and the bare one take turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.figures import Scale

IMPORT_MS, LOAD_MS = 30.0, 60.0
"""The goals: over a bare interpreter, and over a bare shell."""
_IMPORTS = {
    "bare": "pass",
    "ours": "import modellix_jupyter",
    "httpx": "import httpx",
    "ipywidgets": "import ipywidgets",
}
_SHELL = """
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
shell = TerminalInteractiveShell.instance(config=config)
"""
_IN_A_SHELL = {
    "bare": "pass",
    "ours": "shell.run_line_magic('load_ext', 'modellix_jupyter')",
    "httpx": "import httpx",
    "ipywidgets": "import ipywidgets",
}
_CLOCK = """
import time
begun = time.perf_counter()
{0}
print((time.perf_counter() - begun) * 1e3)
"""


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield the milliseconds of the import, and those of loading the extension."""
    import_ms = _in_turn({n: _CLOCK.format(code) for n, code in _IMPORTS.items()}, scale)
    yield from _figures("import modellix_jupyter, over a bare interpreter", import_ms, IMPORT_MS)
    codes = {name: _SHELL + _CLOCK.format(code) for name, code in _IN_A_SHELL.items()}
    load_ms = _in_turn(codes, scale)
    yield from _figures("%load_ext modellix_jupyter, over a bare IPython", load_ms, LOAD_MS)


def _figures(what: str, took: Mapping[str, float], goal: float) -> Iterator[Figure]:
    ours = took["ours"] - took["bare"]
    for other in ("httpx", "ipywidgets"):
        theirs = took[other] - took["bare"]
        yield Figure(
            what=f"{what}; beside {other}",
            ours=f"{ours:.1f} ms",
            against=f"import {other}: {theirs:.0f} ms",
            ratio=ours / theirs,
            goal=f"under {goal:g} ms",
            met=ours < goal,
        )


def _in_turn(codes: Mapping[str, str], scale: Scale) -> dict[str, float]:
    """Return the median milliseconds of each, after a round that only fills the bytecode."""
    took: dict[str, list[float]] = {name: [] for name in codes}
    with tempfile.TemporaryDirectory() as folder:
        # as a newcomer has it: where the platform puts user data is found out too
        changes = {"HOME": folder, "XDG_DATA_HOME": str(Path(folder, "data"))}
        if full := scale.name == "full":
            changes["PYTHONPYCACHEPREFIX"] = str(Path(folder, "bytecode"))
        for turn in range(scale.repeats + full):
            for name, code in codes.items():
                ms = _ran(code, changes)
                if turn >= full:
                    took[name].append(ms)
    return {name: median(each) for name, each in took.items()}


def _ran(code: str, changes: Mapping[str, str]) -> float:
    environment = os.environ | changes
    environment.pop("MODELLIX_HOME", None)
    # a setting that keeps bytecode from being written would measure the compiler
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    ran = subprocess.run(  # noqa: S603 - this interpreter, with code of this module
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return float(ran.stdout.split()[-1])
