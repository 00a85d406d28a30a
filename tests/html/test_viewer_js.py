"""The viewer's JavaScript: its pure parts in Node, and the form in which pages get it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from modellix_jupyter.html.elements import asset, module_js

MODULES = sorted((Path(__file__).parents[2] / "modellix_jupyter" / "html").glob("*.js"))


def node() -> str:
    """Return Node, which CI must have; elsewhere its absence is said and skips the test."""
    found = shutil.which("node")
    message = (
        "NODE IS NOT INSTALLED: the viewer's JavaScript is NOT TESTED (apt-get install nodejs)"
    )
    if found is None and os.environ.get("CI"):
        pytest.fail(message)
    if found is None:
        pytest.skip(message)
    return found


def test_the_pure_parts_in_node() -> None:
    command = [node(), "--test", *map(str, sorted(Path(__file__).parent.glob("*.test.mjs")))]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own file
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^# pass [1-9]", ran.stdout, re.MULTILINE)


def test_one_name_is_defined_and_nothing_is_exported() -> None:
    script = (
        module_js("viewer") + "\nif (typeof viewer.open !== 'function') throw new Error('no open');"
    )
    ran = subprocess.run([node(), "-e", script], capture_output=True, timeout=60, check=False)  # noqa: S603 - our own script
    assert ran.returncode == 0, ran.stderr
    assert not re.search(r"^export|^import|[^.]import\(", module_js("viewer"), re.MULTILINE)


def test_no_data_becomes_markup_and_nothing_is_loaded_from_elsewhere() -> None:
    source = "".join(path.read_text("utf-8") for path in MODULES)
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert word not in source
    assert re.findall(r"https?://\S+", source) == ['http://www.w3.org/2000/svg";']  # a name
    assert "url(" not in asset("viewer.css")
    assert "@import" not in asset("viewer.css")
