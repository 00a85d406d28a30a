"""The public surface is data: a name that appears or goes is a decision, made here."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path

import pytest

import modellix_jupyter as mx

PUBLIC = [
    "AsyncClient",
    "ModellixError",
    "Request",
    "Resource",
    "Results",
    "Status",
    "Task",
    "__version__",
    "agenerate",
    "budget",
    "compare",
    "describe",
    "errors",
    "generate",
    "history",
    "load_ipython_extension",
    "models",
    "panel",
    "sandbox",
    "show",
    "submit",
    "submit_frame",
    "unload_ipython_extension",
    "upload",
]

SIGNATURES = {
    "agenerate": ["prompt", "model", "timeout", "yes", "params"],
    "budget": ["limit"],
    "compare": ["prompts", "models", "vary", "repeat", "timeout", "yes", "params"],
    "generate": ["prompt", "model", "timeout", "yes", "params"],
    "history": ["service"],
    "panel": [],
    "models": ["text"],
    "describe": ["model"],
    "sandbox": ["speed", "unless_key"],
    "show": ["frame", "columns"],
    "submit": ["prompt", "model", "yes", "params"],
    "submit_frame": ["frame", "model", "batch", "yes"],
    "upload": ["path"],
}

RESULTS = [
    "block",
    "cards",
    "check",
    "count",
    "done",
    "export",
    "frame",
    "grid",
    "images",
    "index",
    "note",
    "paths",
    "plot",
    "rate",
    "save",
    "show",
    "stop",
    "summary",
    "wait",
    "wait_async",
]


def test_the_names_are_these_and_no_others() -> None:
    assert sorted(mx.__all__) == sorted(PUBLIC)
    assert sorted(dir(mx)) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_is_there(name: str) -> None:
    assert getattr(mx, name) is not None


@pytest.mark.parametrize(("name", "parameters"), SIGNATURES.items())
def test_the_functions_take_what_they_took(name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(mx, name)).parameters) == parameters


def test_results_can_do_what_they_could() -> None:
    assert [name for name in dir(mx.Results) if not name.startswith("_")] == RESULTS


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"modellix_jupyter.*no attribute 'nothing'"):
        _ = mx.nothing


def test_the_version_is_the_projects() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    assert tomllib.loads(project.read_text("utf-8"))["project"]["version"] == mx.__version__
