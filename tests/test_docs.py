"""Whatever a user can type stands in the docs, and what the docs point at is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import modellix_jupyter
from modellix_jupyter.ledger.history import KINDS
from modellix_jupyter.planning.cell_options import COMMANDS, OPTIONS
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Status

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
UNLISTED = {"__version__", "load_ipython_extension", "unload_ipython_extension", "ModellixError"}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_in_the_reference(option: object) -> None:
    usage = getattr(option, "usage", "").replace("|", "\\|")
    assert f"`{usage}`" in REFERENCE


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_in_the_reference(command: object) -> None:
    usage = getattr(command, "usage", "").replace("|", "\\|")
    assert f"`%modellix {usage}`" in REFERENCE


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_in_the_reference_with_its_default(field: object) -> None:
    name, default = getattr(field, "name", ""), getattr(field, "default", None)
    assert f"| `{name}` | `{default!r}` |" in REFERENCE


@pytest.mark.parametrize("column", sorted(KINDS.keys() - {"rating", "note"}))
def test_every_column_is_in_the_reference(column: str) -> None:
    assert f"| `{column}` |" in REFERENCE


@pytest.mark.parametrize("status", list(Status))
def test_every_status_is_in_the_reference(status: Status) -> None:
    assert f"`{status.value}`" in REFERENCE


@pytest.mark.parametrize("name", sorted(set(modellix_jupyter.__all__) - UNLISTED))
def test_every_public_name_is_in_the_reference(name: str) -> None:
    assert re.search(rf"`(?:await )?{name}\b", REFERENCE)


@pytest.mark.parametrize(
    "page", ["README.md", "docs/design.md", "docs/reference.md", "docs/team.md"]
)
def test_what_a_page_links_to_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        if not target.startswith("http"):
            assert (ROOT / page).parent.joinpath(target).exists(), target


def test_every_file_that_the_design_names_is_there() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:[a-z]+/)+[a-z_]+\.py\b", text))
    assert len(named) > 10
    for name in named:
        assert any((ROOT / base / name).exists() for base in ("", "modellix_jupyter")), name
