"""A panel in a page, and what a person does there: by role and name."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PATIENCE_MS = 40_000
QWEN, BANANA = "alibaba/qwen-image-plus", "google/nano-banana-2"
TABS = ("Create", "Compare", "History", "Connection")
START = """%load_ext modellix_jupyter
import modellix_jupyter as mx
sandbox = mx.sandbox(speed=8)
p = mx.panel()
p"""

expect.set_options(timeout=PATIENCE_MS)


class Panel:
    """A page with a panel in it, and what a person does there."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def shown(self) -> None:
        """Bring it into sight: JupyterLab takes out of the page what is far from it."""
        self.page.locator(".jp-Notebook").first.evaluate("n => n.scrollTo(0, 0)")
        expect(self.page.get_by_role("tab", name="Create", exact=True)).to_be_visible()

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).last.click()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def choose(self, model: str) -> None:
        field = self.page.get_by_label("Model", exact=True).first
        field.fill(model)
        field.press("Enter")
        expect(self.button(f"{model} ✕")).to_be_visible()

    def prompt(self, text: str) -> Locator:
        field = self.page.get_by_label("Prompt", exact=True)
        field.fill(text)
        return field

    @property
    def gallery(self) -> Locator:
        return self.page.get_by_role("list", name="Pictures, the newest first")

    def cards(self, name: str | re.Pattern[str] = "") -> Locator:
        """Return the tiles whose accessible name, which ends with their state, has that in it."""
        return self.gallery.get_by_role("listitem", name=name)

    def pick(self, *cards: Locator) -> None:
        for card in cards:
            card.hover()
            card.get_by_role("checkbox").click()

    def run_cell(self, code: str) -> Locator:
        """Run code in the last cell, which is empty, and return its outputs."""
        cells = self.page.locator(".jp-CodeCell")
        cell = cells.nth(cells.count() - 1)  # a new one is added below it
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")
        return cell.locator(".jp-OutputArea")


def notebook(folder: Path, name: str, *cells: str) -> Path:
    """Write a notebook of these cells."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    made.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    target = folder / f"{name}.ipynb"
    nbformat.write(made, target)
    return target


def opened(page: Page, url: str) -> Panel:
    """Open a notebook and run its first cell."""
    page.goto(url)
    expect(page.locator(".jp-CodeCell").first).to_be_visible()
    # before the kernel is there, what is run goes nowhere, or JupyterLab asks which one to start
    if "/lab/" in url:
        expect(page.get_by_role("button", name="| Idle")).to_be_visible()
    taken = page.locator(".jp-CodeCell .jp-InputPrompt").first
    which = page.locator(".jp-Dialog button.jp-mod-accept")
    for _ in range(20):
        # Notebook 7 does not show the kernel's state: it asks where something was run too early
        with suppress(AssertionError, PlaywrightTimeout):
            if which.count():
                which.first.click(timeout=2000)
            page.locator(".jp-CodeCell .cm-content").first.click(timeout=2000)
            page.keyboard.press("Shift+Enter")
            expect(taken).not_to_have_text(re.compile(r"^(\[ \]:)?\s*$"), timeout=1000)
            break
    expect(page.get_by_role("tab", name="Create", exact=True)).to_be_visible()
    return Panel(page)


def generate_two(panel: Panel) -> None:
    """Fill in the form, generate with two models, and see both pictures."""
    panel.choose(QWEN)
    panel.choose(BANANA)
    panel.prompt("a red kite").press("Control+Enter")
    expect(panel.cards(re.compile("done$"))).to_have_count(2)
    expect(panel.cards().get_by_role("img")).to_have_count(2)


def shoot(panel: Panel, name: str) -> None:
    """Keep a screenshot for the docs, where that is asked for."""
    folder = os.environ.get("MODELLIX_SCREENSHOTS")
    if folder:
        root = Path(__file__).parents[2]
        panel.page.locator(".mx-panel").last.screenshot(path=root / folder / f"panel-{name}.png")
