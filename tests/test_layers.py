"""Imports point down only: the table of the layers, and every import of the package against it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import modellix_jupyter

LAYERS = {
    "errors": 0,
    "core": 1,
    "config": 1,
    "client": 2,
    "ledger": 2,
    "files": 2,
    "render": 2,
    "frames": 2,
    "simulator": 2,
    "engine": 3,
    "session": 4,
    "magic": 5,
    "widgets": 5,
    "cli": 5,
}
"""A layer for each package and each module beside `__init__`, which is above them all."""

STRANGERS = frozenset({"client", "ledger", "files", "render", "frames", "simulator"})
"""Parts of one layer that must not know each other: the session alone puts them together."""

NAME = "modellix_jupyter"
ROOT = Path(modellix_jupyter.__file__).parent
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def part_of(module: Path) -> str:
    """Return the name of the table under which a module stands."""
    return module.parts[0].removesuffix(".py")


def imports(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the part of every import of ours, wherever in the module it stands."""
    package = [NAME, *module.parts[:-1]]
    for node in ast.walk(ast.parse((ROOT / module).read_text("utf-8"))):
        for name in imported(node, package):
            ours, _, rest = name.partition(".")
            if ours == NAME:
                yield getattr(node, "lineno", 0), rest.partition(".")[0] or NAME


def imported(node: ast.AST, package: list[str]) -> list[str]:
    """Return the absolute names that a statement imports, as far as they say a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = package[: len(package) - node.level + 1] if node.level else []
    base = ".".join([*above, node.module] if node.module else above)
    return [f"{base}.{alias.name}" for alias in node.names] if base == NAME else [base]


def problem(here: str, there: str) -> str | None:
    """Return what is wrong with one part importing another, or None."""
    if here == there:
        return None
    if here == "simulator":
        return "the simulator is an independent check, and imports none of ours"
    if there not in LAYERS:
        return f"{there} is above every layer"
    if LAYERS[there] > LAYERS[here]:
        return f"{there} is above {here}"
    if {here, there} <= STRANGERS:
        return f"{here} and {there} must not know each other"
    return None


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_down(module: Path) -> None:
    if module.parts == ("__init__.py",):
        return
    here = part_of(module)
    assert here in LAYERS, f"{here} has no layer"
    wrong = [
        f"line {line}: {reason}"
        for line, there in imports(module)
        if (reason := problem(here, there)) is not None
    ]
    assert wrong == []


def test_every_part_of_the_table_exists() -> None:
    assert set(LAYERS) == {part_of(m) for m in MODULES} - {"__init__"}


@pytest.mark.parametrize(
    ("here", "there", "allowed"),
    [
        ("core", "errors", True),
        ("core", "config", True),
        ("errors", "core", False),
        ("render", "core", True),
        ("render", "frames", False),
        ("engine", "ledger", True),
        ("ledger", "engine", False),
        ("simulator", "errors", False),
        ("session", "simulator", True),
        ("session", "magic", False),
        ("magic", "widgets", True),
        ("session", NAME, False),
    ],
)
def test_the_rule_itself(here: str, there: str, *, allowed: bool) -> None:
    assert (problem(here, there) is None) == allowed


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import modellix_jupyter.core.plan", ["modellix_jupyter.core.plan"]),
        ("from modellix_jupyter.core import plan", ["modellix_jupyter.core"]),
        ("from modellix_jupyter import cli, errors", [f"{NAME}.cli", f"{NAME}.errors"]),
        ("from . import results", [f"{NAME}.session"]),
        ("from .results import Results", [f"{NAME}.session.results"]),
        ("from ..core import plan", [f"{NAME}.core"]),
        ("from .. import cli", [f"{NAME}.cli"]),
        ("def f():\n    import json", ["json"]),
    ],
)
def test_every_way_to_import_is_seen(code: str, expected: list[str]) -> None:
    nodes = ast.walk(ast.parse(code))
    found = [name for node in nodes for name in imported(node, [NAME, "session"])]
    assert found == expected
