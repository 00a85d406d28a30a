"""The panel as a person uses it: by role and name, in JupyterLab and in Notebook 7."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

    from browser.conftest import Lab

pytestmark = pytest.mark.browser

PATIENCE_MS = 40_000
QWEN, BANANA = "alibaba/qwen-image-plus", "google/nano-banana-2"
TABS = ("Compose", "Compare", "History", "Export", "Connection")
START = """%load_ext modellix_jupyter
import modellix_jupyter as mx
sandbox = mx.sandbox(speed=8)
mx.panel()"""

BLOCKING = """mx.submit("from a cell", "{model}")
import pathlib, time
until = time.monotonic() + 120
while not pathlib.Path("go-on").exists() and time.monotonic() < until:
    time.sleep(0.1)
print("the cell is over")"""
"""A task, and a cell that blocks the kernel until the test has seen what it wants to see."""

expect.set_options(timeout=PATIENCE_MS)


class Panel:
    """A page with a panel in it, and what a person does there."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def shown(self) -> None:
        """Bring it into sight: JupyterLab takes out of the page what is far from it."""
        self.page.locator(".jp-Notebook").first.evaluate("n => n.scrollTo(0, 0)")
        expect(self.page.get_by_role("tab", name="Compose", exact=True)).to_be_visible()

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

    def cards(self, text: str | re.Pattern[str] = "") -> Locator:
        found = self.page.get_by_role("list", name="Tasks, the newest first")
        return found.get_by_role("listitem").filter(has_text=text)

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
    for _ in range(20):
        page.locator(".jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(1000)
        if taken.inner_text().strip() not in {"", "[ ]:"}:
            break
    expect(page.get_by_role("tab", name="Compose", exact=True)).to_be_visible()
    return Panel(page)


@pytest.fixture
def panel(page: Page, lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Panel:
    name = re.sub(r"\W", "-", request.node.name)
    file = lab.add(notebook(tmp_path, name, START, ""))
    return opened(page, lab.lab(file))


def generate_two(panel: Panel) -> None:
    """Compose, generate with two models, and see both pictures."""
    panel.choose(QWEN)
    panel.choose(BANANA)
    panel.prompt("a red kite").press("Control+Enter")
    expect(panel.cards("success")).to_have_count(2)
    expect(panel.cards().locator("img")).to_have_count(2)


def shoot(panel: Panel, name: str) -> None:
    """Keep a screenshot for the docs, where that is asked for."""
    folder = os.environ.get("MODELLIX_SCREENSHOTS")
    if folder:
        root = Path(__file__).parents[2]
        panel.page.locator(".mx-panel").last.screenshot(path=root / folder / f"panel-{name}.png")


def test_from_a_prompt_to_the_next_cell(panel: Panel) -> None:
    generate_two(panel)
    for box in panel.page.get_by_role("checkbox", name="Compare").all():
        box.check()
    panel.tab("Compare")
    expect(panel.page.locator(".mx-panel table img")).to_have_count(2)
    panel.button("Cards").click()
    card = panel.page.get_by_role("list", name="Ticked tasks").get_by_role("listitem").first
    card.get_by_role("button", name="Rate 4 of 5").click()
    expect(card.get_by_role("button", name="Rate 4 of 5")).to_have_attribute("aria-pressed", "true")
    card.get_by_role("button", name="Enlarge").click()
    look = panel.page.get_by_role("dialog")
    expect(look.get_by_role("img")).to_have_js_property("naturalWidth", 1024)
    panel.page.keyboard.press("Escape")
    expect(look).to_have_count(0)

    panel.tab("Export")
    panel.page.get_by_label("Variable", exact=True).fill("kept")
    panel.button("Set the variable").click()
    expect(panel.page.get_by_text("kept is a DataFrame of 2 rows.")).to_be_visible()
    panel.button("The form as a cell").click()
    cell = panel.page.get_by_label("Cell", exact=True)
    expect(cell).to_have_value(f"%%modellix {QWEN} {BANANA}\na red kite\n")
    said = panel.run_cell("print(sorted(kept.model), kept.rating.sum())")
    expect(said).to_contain_text(f"['{QWEN}', '{BANANA}'] 4")


def test_a_refused_prompt_and_a_wrong_key(panel: Panel) -> None:
    panel.choose("sandbox/refuses")
    panel.prompt("no").press("Control+Enter")
    expect(panel.cards(re.compile("failed|rejected"))).to_have_count(1)
    panel.button("sandbox/refuses ✕").click()
    panel.choose("sandbox/unauthorized")  # which answers as to a key that the service does not know
    panel.prompt("let me in").press("Control+Enter")
    refused = panel.page.get_by_role("listitem", name="sandbox/unauthorized: let me in")
    expect(refused).to_contain_text("401")
    expect(refused).to_contain_text("key")
    panel.tab("Connection")
    secret = panel.page.get_by_label("API key", exact=True)
    secret.fill("no key at all")
    panel.button("Use this key").click()
    expect(panel.page.get_by_role("alert")).to_contain_text("characters that no key has")
    expect(secret).to_have_value("")


def test_stopped_and_taken_up_again_and_there_after_a_reload(panel: Panel) -> None:
    panel.choose("google/veo-3-fast")
    panel.prompt("the sea").press("Control+Enter")
    card = panel.page.get_by_role("listitem", name="google/veo-3-fast: the sea")
    expect(card).to_have_count(1)
    card.get_by_role("button", name="Stop waiting").click()
    expect(card).to_contain_text("nobody waits for it here")
    panel.page.locator(".jp-CodeCell .cm-content").last.click()
    panel.page.keyboard.press("Control+s")
    expect(panel.page.locator(".jp-mod-dirty")).to_have_count(0)
    panel.page.reload()
    panel.shown()
    expect(card).to_have_count(1)
    card.get_by_role("button", name="Take up again").click()
    expect(card.locator("video")).to_have_count(1)


def test_cards_go_on_while_a_cell_blocks_and_a_click_is_not_lost(panel: Panel, lab: Lab) -> None:
    panel.choose(BANANA)
    panel.prompt("by a click meanwhile")
    said = panel.run_cell(BLOCKING.format(model=QWEN))
    panel.shown()
    expect(panel.cards("success")).to_have_count(1)
    panel.button("Generate").click()
    expect(said).not_to_contain_text("the cell is over")
    (lab.folder / "go-on").touch()
    expect(said).to_contain_text("the cell is over")
    expect(panel.cards("success")).to_have_count(2)


def test_five_hundred_tasks_leave_the_page_light(panel: Panel) -> None:
    panel.run_cell('many = mx.submit(["one of many"] * 500, "sandbox/fast"); many.wait(); None')
    feed = panel.page.get_by_role("list", name="Tasks, the newest first")
    panel.shown()
    expect(panel.page.get_by_text("500 of 500 done").first).to_be_visible()
    expect(feed.get_by_role("listitem").first).to_contain_text("success")
    assert 0 < feed.get_by_role("listitem").count() <= 30
    # from the click to what the user sees of it, in the page's own clock
    took = feed.evaluate(
        """async (list) => {
            const box = list.querySelector("input[type=checkbox]");
            const star = list.querySelector("[aria-label^='Rate 3']");
            const begun = performance.now();
            star.click();
            while (star.getAttribute("aria-pressed") !== "true") {
              await new Promise(requestAnimationFrame);
              if (performance.now() - begun > 10000) break;
            }
            return [performance.now() - begun, star.getAttribute("aria-pressed")];
        }"""
    )
    assert took[1] == "true", "a click has no effect"
    feed.evaluate("list => { list.scrollTop = list.scrollHeight / 2; }")
    expect(feed.get_by_role("listitem").first).to_contain_text("success")
    assert feed.get_by_role("listitem").count() <= 30


def test_clearing_the_output_frees_the_panel(panel: Panel) -> None:
    said = panel.run_cell(
        "from IPython import get_ipython\n"
        "import threading; print('before', [t.name for t in threading.enumerate()"
        " if t.name.startswith('modellix-pa')])"
    )
    expect(said).to_contain_text("modellix-painter")
    panel.page.get_by_role("menuitem", name="Edit", exact=True).click()
    panel.page.get_by_role("menuitem", name="Clear Outputs of All Cells").click()
    expect(panel.page.get_by_role("tab", name="Compose", exact=True)).to_have_count(0)
    # what the page says on its way out is heard between two cells
    for _ in range(20):
        said = panel.run_cell(
            "print('after', [t.name for t in threading.enumerate()"
            " if t.name.startswith('modellix-pa')], len(sandbox._session.engine._listeners))"
        )
        expect(said).to_contain_text("after [")
        if "after [] 0" in said.inner_text():
            break
    expect(said).to_contain_text("after [] 0")


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest, lab: Lab) -> Iterator[str]:
    """Have JupyterLab open in a theme."""
    lab.set_theme(request.param)
    yield request.param
    lab.set_theme("light")


def test_screenshot_of_each_tab_and_no_serious_finding(theme: str, panel: Panel) -> None:
    panel.page.set_viewport_size({"width": 1280, "height": 1250})
    panel.page.keyboard.press("Control+b")  # the file browser, which says nothing here
    generate_two(panel)
    for box in panel.page.get_by_role("checkbox", name="Compare").all():
        box.check()
    found = []
    for name in TABS:
        panel.tab(name)
        panel.page.wait_for_timeout(1500)  # a tab reads what it shows; nothing is asserted of it
        shoot(panel, f"{name.lower()}-{theme}")
        violations = Axe().run(panel.page, context=".mx-panel").response["violations"]
        found += [
            (name, each["id"], [node["html"] for node in each["nodes"]][:3])
            for each in violations
            if each["impact"] in {"serious", "critical"}
        ]
    assert found == []


def test_a_narrow_page_holds_the_whole_panel(browser: Browser, lab: Lab, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 400, "height": 900})
    file = lab.add(notebook(tmp_path, "narrow", START, ""))
    panel = opened(context.new_page(), lab.notebook(file))
    for name in TABS:
        panel.tab(name)
        wide = panel.page.locator(".mx-panel").evaluate("e => e.scrollWidth - e.clientWidth")
        assert wide <= 1, f"{name} is {wide} pixels too wide"
    panel.tab("Compose")
    shoot(panel, "narrow")
    context.close()


def test_the_same_in_notebook_7(page: Page, lab: Lab, tmp_path: Path) -> None:
    file = lab.add(notebook(tmp_path, "classic", START, ""))
    panel = opened(page, lab.notebook(file))
    generate_two(panel)
    panel.tab("Export")
    panel.page.get_by_label("Variable", exact=True).fill("kept")
    panel.button("Set the variable").click()
    expect(panel.page.get_by_text("kept is a DataFrame of 2 rows.")).to_be_visible()
    said = panel.run_cell("print(len(kept), 'rows')")
    expect(said).to_contain_text("2 rows")


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
    expect(panel.cards("success")).to_have_count(1)
    panel.page.get_by_label("Model", exact=True).first.fill(INJECTION)
    panel.page.get_by_label("Model", exact=True).first.press("Enter")
    expect(panel.page.get_by_role("alert")).to_be_visible()
    panel.page.get_by_role("checkbox", name="Compare").first.check()
    for name in TABS:
        panel.tab(name)
        panel.page.wait_for_timeout(700)  # a tab reads what it shows; the canary would have sung
    panel.tab("Compare")
    for look in ("Cards", "Summary", "Table", "Plot"):
        panel.button(look).click()
        panel.page.wait_for_timeout(700)
    assert panel.page.evaluate("window.canary") is None
