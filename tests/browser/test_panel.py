"""The panel as a person uses it, in JupyterLab: from a click to a result, and what may go wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.panel_page import BANANA, QWEN, generate_two

if TYPE_CHECKING:
    from browser.conftest import Lab
    from browser.panel_page import Panel

pytestmark = pytest.mark.browser

BLOCKING = """mx.submit("from a cell", "{model}")
import pathlib, time
until = time.monotonic() + 120
while not pathlib.Path("go-on").exists() and time.monotonic() < until:
    time.sleep(0.1)
print("the cell is over")"""
"""A task, and a cell that blocks the kernel until the test has seen what it wants to see."""


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
    dialog = panel.page.get_by_role("dialog")
    expect(dialog.get_by_role("img")).to_have_js_property("naturalWidth", 1024)
    panel.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    panel.tab("Export")
    panel.page.get_by_label("Variable", exact=True).fill("kept")
    panel.button("Set the variable").click()
    expect(panel.page.get_by_text("kept is a DataFrame of 2 rows.")).to_be_visible()
    panel.button("The form as a cell").click()
    cell = panel.page.get_by_label("Cell", exact=True)
    expect(cell).to_have_value(f"%%modellix {QWEN} {BANANA}\na red kite\n")
    output = panel.run_cell("print(sorted(kept.model), kept.rating.sum())")
    expect(output).to_contain_text(f"['{QWEN}', '{BANANA}'] 4")


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
    output = panel.run_cell(BLOCKING.format(model=QWEN))
    panel.shown()
    expect(panel.cards("success")).to_have_count(1)
    panel.button("Generate").click()
    expect(output).not_to_contain_text("the cell is over")
    (lab.folder / "go-on").touch()
    expect(output).to_contain_text("the cell is over")
    expect(panel.cards("success")).to_have_count(2)


def test_five_hundred_tasks_leave_the_page_light(panel: Panel) -> None:
    panel.run_cell(
        'many = mx.submit(["one of many"] * 500, "sandbox/fast", yes=True); many.wait(); None'
    )
    gallery = panel.page.get_by_role("list", name="Tasks, the newest first")
    panel.shown()
    expect(panel.page.get_by_text("500 of 500 done").first).to_be_visible()
    expect(gallery.get_by_role("listitem").first).to_contain_text("success")
    assert 0 < gallery.get_by_role("listitem").count() <= 30
    # from the click to what the user sees of it, in the page's own clock
    took = gallery.evaluate(
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
    gallery.evaluate("list => { list.scrollTop = list.scrollHeight / 2; }")
    expect(gallery.get_by_role("listitem").first).to_contain_text("success")
    assert gallery.get_by_role("listitem").count() <= 30


def test_clearing_the_output_frees_the_panel(panel: Panel) -> None:
    output = panel.run_cell(
        "from IPython import get_ipython\n"
        "from modellix_jupyter.notebook.current_session import current\n"
        "import threading; print('before', [t.name for t in threading.enumerate()"
        " if t.name.startswith('modellix-pa')])"
    )
    expect(output).to_contain_text("modellix-painter")
    panel.page.get_by_role("menuitem", name="Edit", exact=True).click()
    panel.page.get_by_role("menuitem", name="Clear Outputs of All Cells").click()
    expect(panel.page.get_by_role("tab", name="Compose", exact=True)).to_have_count(0)
    # what the page says on its way out is heard between two cells
    for _ in range(20):
        output = panel.run_cell(
            "print('after', [t.name for t in threading.enumerate()"
            " if t.name.startswith('modellix-pa')], len(current().engine._listeners))"
        )
        expect(output).to_contain_text("after [")
        if "after [] 0" in output.inner_text():
            break
    expect(output).to_contain_text("after [] 0")
