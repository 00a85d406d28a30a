"""The outputs of cells in JupyterLab: pictures, their boxes, the viewer, the table, reopened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from browser.panel_page import Panel, notebook
from browser.test_quickstart import PATIENCE_MS, run_all

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from browser.conftest import Lab

pytestmark = pytest.mark.browser

INJECTION = "<img src=x onerror='window.canary=1'>\u202e"
# in the folder of the notebook, so that a picture has a link that works without a kernel
START = """import os
os.environ["MODELLIX_HOME"] = os.path.abspath("made-FOLDER")
import modellix_jupyter as mx
sandbox = mx.sandbox(speed=20)"""
BOATS = """boats = mx.compare("a lighthouse in a storm",
    ["alibaba/qwen-image-plus", "bytedance/seedream-4"], vary={"seed": [1, 2]})"""
FILM = "film = mx.generate('a boat sails by', 'alibaba/wan-2.5-t2v')"
TABLE = "mx.show(mx.history())"
# anywidget gives a model two seconds to begin, and the kernel answers nothing meanwhile
BUSY = "import time; time.sleep(3)"
DONE = "print('everything', 'is', 'done')"


@pytest.fixture(params=["light"])
def theme(request: pytest.FixtureRequest, lab: Lab) -> Iterator[str]:
    """Have JupyterLab open in a theme."""
    lab.set_theme(request.param)
    yield request.param
    lab.set_theme("light")


def ran(page: Page, lab: Lab, folder: Path, *cells: str) -> Panel:
    """Open a notebook of these cells and run them all."""
    file = lab.add(
        notebook(folder, folder.name, START.replace("FOLDER", folder.name), *cells, DONE, "")
    )
    page.goto(lab.lab(file))
    expect(page.locator(".jp-CodeCell").first).to_be_visible(timeout=PATIENCE_MS)
    run_all(page)
    page.keyboard.press("Control+b")  # the file browser, which says nothing here
    expect(page.get_by_text("everything is done", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function("globalThis.modellixViewerLinks?.size === 1")
    return Panel(page)


def boxes(pictures: Locator) -> list[tuple[float, float, float]]:
    """Return width, height and the shape that it should have of each picture."""
    found: list[tuple[float, float, float]] = pictures.evaluate_all(
        """all => all.map(e => [e.getBoundingClientRect(), e.naturalWidth / e.naturalHeight])
                     .map(([b, shape]) => [b.width, b.height, shape])"""
    )
    return found


def assert_shaped(pictures: Locator, least: int) -> None:
    assert pictures.count() > 0
    for width, height, shape in boxes(pictures):
        assert min(width, height) >= least
        assert width / height == pytest.approx(shape, rel=0.02)


def serious(page: Page, within: str) -> list[tuple[str, list[str]]]:
    return [
        (each["id"], [node["html"][:200] for node in each["nodes"]][:3])
        for each in Axe().run(page, context=within).response["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


def shoot(page: Page, name: str) -> None:
    folder = os.environ.get("MODELLIX_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(__file__).parents[2] / folder / f"{name}.png")


@pytest.mark.parametrize("theme", ["light", "dark"], indirect=True)
def test_screenshot_of_outputs_their_boxes_and_the_viewer(
    page: Page, lab: Lab, tmp_path: Path, theme: str
) -> None:
    page.set_viewport_size({"width": 1280, "height": 2400})
    panel = ran(page, lab, tmp_path, BOATS, "boats[0]", "boats.grid()", FILM, TABLE)
    outputs = page.locator(".jp-OutputArea-output")
    assert_shaped(outputs.locator("figure img"), 200)
    assert_shaped(outputs.locator("table[data-mx-table] img"), 60)
    assert serious(page, ".jp-Notebook [data-mx-group]") == []
    page.set_viewport_size({"width": 1280, "height": 1100})
    page.locator(".jp-Notebook").evaluate("n => n.scrollTo(0, 0)")
    page.wait_for_timeout(500)
    shoot(page, f"outputs-{theme}")
    page.set_viewport_size({"width": 1280, "height": 800})
    figure = outputs.locator("figure img").first
    figure.click()
    # the thumbnail has 512 pixels, and the original on the disk more
    page.wait_for_function("document.querySelector('.mxv-stage img')?.naturalWidth === 1024")
    expect(page.locator(".mxv-prompt")).to_have_text("a lighthouse in a storm")
    expect(page.locator(".mxv-count")).to_have_text("1 of 4")
    for key in ("5", "s"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Differences")).to_be_visible()
    page.wait_for_timeout(300)
    shoot(page, f"viewer-{theme}")
    assert serious(page, ".mxv") == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Viewer")).to_be_hidden()
    expect(panel.run_cell("print(boats.frame()['rating'].tolist())")).to_contain_text("[5, ")


def test_a_narrow_page_shows_two_abreast_and_nothing_too_wide(
    page: Page, lab: Lab, tmp_path: Path
) -> None:
    ran(page, lab, tmp_path, BOATS, BUSY, "boats.grid()", TABLE)
    page.set_viewport_size({"width": 520, "height": 900})
    page.wait_for_timeout(500)  # the notebook lays itself out anew
    assert_shaped(page.locator(".jp-OutputArea-output figure img"), 100)
    wide = page.locator(".jp-OutputArea-output [data-mx-group]").evaluate_all(
        "all => all.map(e => e.scrollWidth - e.clientWidth)"
    )
    assert max(wide) <= 1
    first, second = page.locator("figure").all()[:2]
    assert first.bounding_box()["y"] == second.bounding_box()["y"]  # type: ignore[index]  # they are visible


def test_a_video_plays_from_the_disk_and_a_table_is_sorted_and_searched(
    page: Page, lab: Lab, tmp_path: Path
) -> None:
    made = f"mx.submit({INJECTION!r}, 'sandbox/fast').wait();"
    page.set_viewport_size({"width": 1280, "height": 2000})
    ran(page, lab, tmp_path, BOATS, FILM, made, TABLE)
    table = page.locator("table[data-mx-table]")
    page.get_by_role("button", name="prompt").click()
    expect(table.locator("tbody tr").first).to_contain_text("<img src=x")
    page.get_by_role("button", name="prompt").click()
    expect(table.locator("th[aria-sort=descending]")).to_have_text("prompt ▼")
    page.get_by_label("Search the table").fill("seedream storm")
    expect(page.get_by_text("2 of 6")).to_be_visible()
    page.get_by_label("Search the table").fill("sails")
    table.locator("[data-mx]:visible").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.mxv video')?.readyState >= 2")
    page.keyboard.press(" ")
    page.wait_for_function("document.querySelector('.mxv video').currentTime > 0.2")
    page.keyboard.press("Escape")
    page.get_by_label("Search the table").fill("onerror")
    table.locator("[data-mx]:visible").click()
    expect(page.locator(".mxv-prompt")).to_have_text(INJECTION.replace("\u202e", "[U+202E]"))
    assert page.evaluate("window.canary") is None


def test_saved_and_opened_with_no_kernel_a_picture_links_its_file_and_a_table_is_sorted(
    page: Page, lab: Lab, tmp_path: Path
) -> None:
    ran(page, lab, tmp_path, BOATS, TABLE)
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)  # the file is written
    page.goto("about:blank")
    lab.end_kernel(f"{tmp_path.name}.ipynb")
    page.goto(lab.lab(f"{tmp_path.name}.ipynb").replace("/workspaces/", "/workspaces/again-"))
    pictures = page.locator(".jp-OutputArea-output figure img")
    expect(pictures).to_have_count(4, timeout=PATIENCE_MS)
    assert_shaped(pictures, 100)
    link = page.locator(".jp-OutputArea-output figure a").first
    expect(link).to_have_attribute("href", re.compile(r"made-[\w-]+/files/.*png"))
    answer = page.request.get(str(link.evaluate("a => a.href")))
    assert answer.ok
    assert answer.headers["content-type"] == "image/png"
    table = page.locator("table[data-mx-table]")
    page.get_by_role("button", name="model", exact=True).click()
    expect(table.locator("th[aria-sort=ascending]")).to_have_text("model ▲")
    assert page.evaluate("globalThis.modellixViewerLinks") is None, "a kernel of ours runs"
