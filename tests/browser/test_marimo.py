"""A marimo notebook in Chromium: the panel, and the results of a cell."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import environment, free_port, wait_for
from browser.panel_page import Panel

pytestmark = pytest.mark.browser

BOOK = """
import marimo

app = marimo.App(width="full")


@app.cell
def _():
    import marimo as mo
    import modellix_jupyter as mx

    mx.sandbox(speed=8)
    again = mo.ui.run_button(label="Run the cell again")
    again
    return again, mo, mx


@app.cell
def _(again, mo, mx):
    again
    {panel}
    return


@app.cell
def _(again, mo):
    import threading

    again
    mo.md(f"{{sum(t.name == 'modellix-panel' for t in threading.enumerate())}} threads")
    return


@app.cell
def _(mx):
    mx.generate("a green boat", "sandbox/fast")
    return
"""


@contextmanager
def served(folder: Path, panel: str) -> Iterator[str]:
    """Run a notebook as an app, with a home of its own, and yield its address."""
    pytest.importorskip("marimo")
    (folder / "book.py").write_text(BOOK.format(panel=panel))
    port = free_port()
    command = [sys.executable, "-m", "marimo", "run", "book.py", "--headless", "--no-token"]
    command += ["--no-sandbox", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "marimo.log").open("w") as log:
        server = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env=environment(folder)
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=30)


@pytest.fixture(params=["mx.panel()", "mo.ui.anywidget(mx.panel())"])
def panel(page: Page, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Panel]:
    """Return the panel, as marimo shows a value, and as it is asked to show an anywidget."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    with served(tmp_path, request.param) as url:
        page.goto(url)
        expect(page.get_by_role("tab", name="Create", exact=True)).to_be_visible()
        yield Panel(page)
        assert faults == []


def test_the_panel_generates_and_shows_in_marimo_what_it_shows_in_jupyterlab(panel: Panel) -> None:
    page = panel.page
    expect(page.get_by_text("Sandbox: no key, no cost").first).to_be_visible()
    expect(page.get_by_role("img", name="a green boat").first).to_be_visible()  # of the cell
    expect(page.get_by_text("$0.001 today")).to_be_visible()
    panel.choose("sandbox/fast")
    # fields that were made after the cell had run
    page.get_by_label("size", exact=True).select_option("256x256")
    page.get_by_label("n", exact=True).fill("2")
    panel.prompt("a red kite")
    page.get_by_role("button", name=re.compile(r"^Generate")).click()
    card = panel.cards(re.compile("a red kite.*done$")).first
    expect(card.get_by_role("img")).to_be_visible()
    # the viewer, which stands beside the shadow that the panel is in
    card.get_by_role("img").click()
    viewer = page.get_by_role("dialog")
    expect(viewer.get_by_text("$0.002")).to_be_visible()
    expect(viewer).to_have_css("display", "flex")  # by the style sheet
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    panel.tab("History")
    rows = page.get_by_role("grid").get_by_role("row")
    expect(rows.filter(has_text="a red kite")).not_to_have_count(0)
    expect(rows.filter(has_text="a green boat")).to_have_count(1)
    panel.tab("Connection")
    page.get_by_label("Limit in USD").fill("20/day")
    panel.button("Set the limit").click()
    expect(page.get_by_text("of $20").first).to_be_visible()


@pytest.mark.parametrize("panel", ["mx.panel()"], indirect=True)
def test_keys_work_in_marimo_although_the_panel_stands_in_a_shadow(panel: Panel) -> None:
    panel.choose("sandbox/fast")
    panel.prompt("a red kite").press("Control+Enter")
    card = panel.cards(re.compile("a red kite.*done$"))
    expect(card).to_have_count(1)
    card.focus()
    panel.page.keyboard.press("4")
    expect(card.get_by_role("button", name="Rate 4 of 5", pressed=True)).to_be_visible()


@pytest.mark.parametrize("panel", ["mx.panel()"], indirect=True)
def test_a_panel_whose_cell_is_run_again_ends(panel: Panel) -> None:
    page = panel.page
    new = page.get_by_placeholder("Search by name, type or price")
    for _ in range(2):
        expect(new).to_be_visible()
        panel.choose("sandbox/fast")
        expect(page.get_by_label("size", exact=True)).to_be_visible()  # it is at rest
        panel.button("Run the cell again").click()
    expect(new).to_be_visible()
    expect(page.get_by_text(re.compile(r"^[1-8] threads$"))).to_be_visible()
