"""The quickstart as a newcomer runs it: open it, run all cells from the menu, see the pictures."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Lab

pytestmark = pytest.mark.browser

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PATIENCE_MS = 90_000


def cleared(source: Path, folder: Path) -> Path:
    """Copy a notebook without its outputs, so that what is seen was made now."""
    notebook = nbformat.read(source, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    target = folder / source.name
    nbformat.write(notebook, target)
    return target


def run_all(page: Page) -> None:
    """Wait for the kernel, then choose Run > Run All Cells."""
    # before it is there, JupyterLab asks which one to start
    expect(page.get_by_role("button", name="| Idle")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def pictures(page: Page) -> int:
    """Count the embedded pictures that the browser has really decoded."""
    return int(
        page.evaluate(
            "[...document.querySelectorAll('.jp-OutputArea img[src^=\"data:image\"]')]"
            ".filter(i => i.complete && i.naturalWidth > 100).length"
        )
    )


def shoot(page: Page, name: str) -> None:
    """Keep a screenshot for the README, where that is asked for."""
    folder = os.environ.get("MODELLIX_SCREENSHOTS")
    if folder:
        root = Path(__file__).parents[2]
        page.screenshot(path=root / folder / f"{name}.png")


def test_screenshot_of_the_quickstart_run_from_the_menu(
    page: Page, lab: Lab, tmp_path: Path
) -> None:
    name = lab.add(cleared(NOTEBOOKS / "quickstart.ipynb", tmp_path))
    page.goto(lab.lab(name))
    expect(page.locator(".jp-Notebook .jp-CodeCell").first).to_be_visible(timeout=PATIENCE_MS)
    run_all(page)
    # the last cell prints where the exports are
    page.locator(".jp-Notebook").evaluate("n => n.scrollTo(0, 1e6)")
    expect(page.get_by_text("results/quickstart.parquet", exact=False).last).to_be_visible(
        timeout=PATIENCE_MS
    )
    errors = page.locator(".jp-OutputArea [data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0
    page.keyboard.press("Control+b")  # the file browser, which says nothing here
    page.locator('.jp-OutputArea img[src^="data:image/jpeg"]').first.scroll_into_view_if_needed()
    assert pictures(page) >= 1
    caption = page.locator("figcaption").filter(has_text=re.compile(r"alibaba/.* s · .*\$0\."))
    expect(caption.first).to_be_visible()
    shoot(page, "quickstart")


def test_the_saved_quickstart_shows_its_pictures_with_no_kernel(page: Page, lab: Lab) -> None:
    name = lab.add(NOTEBOOKS / "quickstart.ipynb")
    page.goto(lab.lab(name).replace("/workspaces/quickstart", "/workspaces/saved"))
    expect(page.locator(".jp-Notebook .jp-CodeCell").first).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function(
        "[...document.querySelectorAll('.jp-OutputArea img[src^=\"data:image\"]')]"
        ".some(i => i.complete && i.naturalWidth > 100)"
    )
