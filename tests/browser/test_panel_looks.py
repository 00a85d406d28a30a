"""How the panel looks: in both themes, narrow, in Notebook 7, with no kernel, attacked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from browser.panel_page import (
    BANANA,
    QWEN,
    START,
    TABS,
    Panel,
    generate_two,
    notebook,
    opened,
    shoot,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from browser.conftest import Lab

pytestmark = pytest.mark.browser


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest, lab: Lab) -> Iterator[str]:
    """Have JupyterLab open in a theme."""
    lab.set_theme(request.param)
    yield request.param
    lab.set_theme("light")


def test_screenshot_of_each_tab_and_no_serious_finding(theme: str, panel: Panel) -> None:
    panel.page.set_viewport_size({"width": 1280, "height": 1250})
    panel.page.keyboard.press("Control+b")  # the file browser, which says nothing here
    for model in (QWEN, BANANA, "black-forest-labs/flux-2-pro"):
        panel.choose(model)
    panel.prompt("a lighthouse at dusk\n---\na paper-cut fox in the snow").press("Control+Enter")
    expect(panel.cards(re.compile("done$"))).to_have_count(6)
    expect(panel.cards().get_by_role("img")).to_have_count(6)
    assert_boxes(panel)
    # what one line has room for leaves no empty second one
    assert set(
        panel.page.locator(".mx-caption").evaluate_all("all => all.map(e => e.dataset.lines)")
    ) == {"1"}
    panel.pick(*panel.cards().all()[:2])
    panel.page.mouse.move(0, 0)
    found = []
    for name in TABS:
        panel.tab(name)
        panel.page.wait_for_timeout(1500)  # a tab reads what it shows; nothing is asserted of it
        shoot(panel, f"{name.lower()}-{theme}")
        found += serious(panel, name)
    assert found == []


def serious(panel: Panel, name: str) -> list[tuple[str, str, list[str]]]:
    """Return what axe-core finds in an open tab and calls serious."""
    violations = Axe().run(panel.page, context=".mx-panel").response["violations"]
    return [
        (name, each["id"], [node["html"] for node in each["nodes"]][:3])
        for each in violations
        if each["impact"] in {"serious", "critical"}
    ]


def assert_boxes(panel: Panel) -> None:
    """Measure the pictures: in their aspect ratio, and most of the tile that they are on."""
    boxes = panel.gallery.evaluate(
        """list => [...list.querySelectorAll("img")].map(img => {
            const tile = img.closest("[role=listitem]").getBoundingClientRect();
            const { width, height } = img.getBoundingClientRect();
            const ratio = width / height / (img.naturalWidth / img.naturalHeight);
            return [width, ratio, width * height / (tile.width * tile.height)];
        })"""
    )
    assert boxes
    for width, ratio, share in boxes:
        assert width >= 140
        assert abs(ratio - 1) < 0.02
        assert share >= 0.7


def test_screenshot_of_a_narrow_page_that_holds_the_whole_panel(
    browser: Browser, lab: Lab, tmp_path: Path, theme: str
) -> None:
    context = browser.new_context(viewport={"width": 400, "height": 900})
    file = lab.add(notebook(tmp_path, f"narrow-{theme}", START, ""))
    panel = opened(context.new_page(), lab.notebook(file))
    generate_two(panel)
    assert_boxes(panel)
    facts = panel.page.locator(".mx-run .mx-dim").first
    assert facts.evaluate("e => e.scrollWidth <= e.clientWidth"), "what became of a run is cut"
    for name in TABS:
        panel.tab(name)
        wide = panel.page.locator(".mx-panel").evaluate("e => e.scrollWidth - e.clientWidth")
        assert wide <= 1, f"{name} is {wide} pixels too wide"
        assert serious(panel, name) == []
    panel.tab("Create")
    # the button that sends stays in sight, however long the form is
    scroller = panel.page.locator(".jp-WindowedPanel-outer").first
    scroller.evaluate("e => e.scrollTo(0, 0)")
    expect(panel.page.get_by_role("button", name=re.compile("^Generate"))).to_be_in_viewport()
    panel.page.set_viewport_size({"width": 400, "height": 1700})
    if theme == "light":
        shoot(panel, "narrow")
    context.close()


def test_the_same_in_notebook_7(page: Page, lab: Lab, tmp_path: Path) -> None:
    file = lab.add(notebook(tmp_path, "classic", START, ""))
    panel = opened(page, lab.notebook(file))
    generate_two(panel)
    panel.cards().first.get_by_role("img").click()
    picture = page.get_by_role("dialog").get_by_role("img", name="a red kite").first
    expect(picture).to_have_js_property("naturalWidth", 1024)
    page.keyboard.press("Escape")
    panel.pick(panel.cards().first)
    panel.button("Export").first.click()
    panel.button("As cells").first.click()
    cells = page.locator(".jp-CodeCell")
    expect(cells.nth(1).locator(".cm-content")).to_contain_text("a red kite")


def test_where_no_cell_can_be_inserted_each_is_copied(panel: Panel) -> None:
    generate_two(panel)
    page = panel.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    # as in a page that is not JupyterLab
    page.evaluate(
        "document.querySelectorAll('[data-command=\"notebook:insert-cell-below\"]')"
        ".forEach(button => button.removeAttribute('data-command'))"
    )
    panel.pick(*panel.cards().all())
    panel.button("Export").first.click()
    panel.button("As cells").first.click()
    panel.button("Copy Cell 2").first.click()
    expect(page.get_by_text("Cell 2 is copied.").first).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"%%modellix {BANANA}")
    expect(page.locator(".jp-CodeCell")).to_have_count(2)


def test_a_saved_panel_shows_its_pictures_with_no_kernel(page: Page, lab: Lab) -> None:
    name = lab.add(Path(__file__).parents[2] / "notebooks" / "panel.ipynb")
    page.goto(lab.lab(name))
    expect(page.get_by_text("The panel as it was").first).to_be_visible()
    still = page.locator(".jp-OutputArea-output").filter(has_text="The panel as it was")
    expect(still.locator("img")).to_have_count(2)
    saved = json.loads((lab.folder / name).read_text("utf-8"))
    assert "widgets" not in saved["metadata"]


INJECTION = "<img src=x onerror='window.canary=1'><script>window.canary=1</script>"


def test_nothing_sings_in_the_panel(panel: Panel) -> None:
    panel.choose("sandbox/fast")
    panel.prompt(INJECTION).press("Control+Enter")
    expect(panel.cards(re.compile("done$"))).to_have_count(1)
    panel.page.get_by_label("Model", exact=True).fill(INJECTION)
    panel.page.get_by_label("Model", exact=True).press("Enter")
    expect(panel.page.get_by_role("alert").first).to_be_visible()
    panel.cards().first.get_by_role("img").click()
    expect(panel.page.get_by_role("dialog").get_by_text(INJECTION).first).to_be_visible()
    panel.page.keyboard.press("Escape")
    panel.pick(panel.cards().first)
    panel.button("Export").first.click()
    panel.button("As cells").first.click()
    for name in TABS:
        panel.tab(name)
        panel.page.wait_for_timeout(700)  # a tab reads what it shows; the canary would have sung
    panel.tab("Compare")
    for mode in ("Grid", "Summary", "Plot"):
        panel.button(mode).click()
        panel.page.wait_for_timeout(700)
    assert panel.page.evaluate("window.canary") is None
