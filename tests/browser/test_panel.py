"""The panel as a person uses it, in JupyterLab: from a click to a result, and what may go wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from browser.panel_page import BANANA, QWEN, generate_two

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Locator

    from browser.conftest import Lab
    from browser.panel_page import Panel

pytestmark = pytest.mark.browser

DONE = re.compile("done$")
EDIT = "google/nano-banana-2-edit"
BLOCKING = """mx.submit("from a cell", "{model}")
import pathlib, time
until = time.monotonic() + 120
while not pathlib.Path("go-on").exists() and time.monotonic() < until:
    time.sleep(0.1)
print("the cell is over")"""
"""A task, and a cell that blocks the kernel until the test has seen what it wants to see."""

SUBMISSIONS = """from modellix_jupyter.notebook.current_session import current
print(len(current().sandbox.submissions), "submissions")"""
HELD = """from dataclasses import replace
from modellix_jupyter.notebook.current_session import current
from modellix_jupyter.values import Status
ledger = current().ledger
held = dict.fromkeys(("task_id", "submitted_at", "completed_at", "charged"))
held |= {"uid": "c" * 32, "status": Status.SUBMITTING, "resources": ()}
ledger.add([replace(ledger.tasks()[-1], **held)], "a-kernel-that-is-gone")
print("one is held")"""


def test_from_a_prompt_to_the_next_cell(panel: Panel) -> None:
    """Pick, compare, rate and export: with the mouse."""
    generate_two(panel)
    panel.pick(*panel.cards().all())
    panel.button("Compare").first.click()
    dialog = panel.page.get_by_role("dialog")
    expect(dialog.get_by_role("img")).to_have_count(2)
    expect(dialog.get_by_text("Differences")).to_be_visible()
    panel.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    card = panel.cards().first
    card.hover()
    card.get_by_role("button", name="Rate 4 of 5").click()
    expect(card.get_by_role("button", name="Rate 4 of 5")).to_have_attribute("aria-pressed", "true")
    card.get_by_role("img").click()
    expect(dialog.get_by_role("img", name="a red kite").first).to_have_js_property(
        "naturalWidth", 1024
    )
    panel.page.keyboard.press("Escape")

    panel.button("Export").first.click()
    panel.page.get_by_label("Variable", exact=True).first.fill("kept")
    panel.button("Set the variable").first.click()
    expect(panel.page.get_by_text("kept is a DataFrame of 2 rows.").first).to_be_visible()
    output = panel.run_cell("print(sorted(kept.model), kept.rating.sum())")
    expect(output).to_contain_text(f"['{QWEN}', '{BANANA}'] 4")


def test_pictures_become_cells_below_the_panel(panel: Panel) -> None:
    generate_two(panel)
    panel.pick(*panel.cards().all())
    panel.button("Export").first.click()
    cells = panel.page.locator(".jp-CodeCell")
    expect(cells).to_have_count(2)
    panel.button("As cells").first.click()
    expect(cells).to_have_count(4)
    for index, model in ((1, QWEN), (2, BANANA)):
        expect(cells.nth(index).locator(".cm-content")).to_contain_text(f"%%modellix {model}")
        expect(cells.nth(index).locator(".cm-content")).to_contain_text("a red kite")
    expect(panel.page.get_by_text("2 inserted below.").first).to_be_visible()


def test_all_of_it_by_keyboard(panel: Panel) -> None:
    page = panel.page
    generate_two(panel)
    panel.button("Hide the form").focus()
    for _ in range(3):  # the search, the slider, and the gallery: one stop for all pictures
        page.keyboard.press("Tab")
    expect(panel.cards().first).to_be_focused()
    page.keyboard.press("5")
    star = panel.cards().first.get_by_role("button", name="Rate 5 of 5")
    expect(star).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("c")
    expect(page.get_by_text("1 picked: pick another")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(panel.cards().last).to_be_focused()
    page.keyboard.press("c")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Differences")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(panel.cards().last).to_be_focused()
    page.keyboard.press("m")
    expect(panel.cards().last.get_by_role("button", name="Open")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("no such prompt")
    expect(panel.cards()).to_have_count(0)
    # none of these keys was a command of the notebook's
    expect(page.locator(".jp-Cell")).to_have_count(2)
    expect(page.locator(".jp-MarkdownCell")).to_have_count(0)


def test_the_first_of_the_models_that_fit_is_taken(panel: Panel) -> None:
    field = panel.page.get_by_label("Model", exact=True)
    field.fill("banana google 2")
    found = panel.page.get_by_role("listbox", name="Models").get_by_role("option")
    expect(found.first).to_contain_text("google/nano-banana-2")
    field.press("Enter")
    expect(panel.page.get_by_role("button", name="google/nano-banana-2 ✕")).to_be_visible()
    field.fill("no such model")
    expect(panel.page.get_by_text("No model fits")).to_be_visible()
    field.press("Enter")
    expect(panel.page.get_by_role("alert")).to_contain_text("no such model")
    expect(panel.page.get_by_role("alert")).not_to_contain_text("`")


def test_the_button_says_what_it_would_send_while_one_writes(panel: Panel) -> None:
    panel.choose(QWEN)
    field = panel.page.get_by_label("Prompt", exact=True)
    field.click()
    panel.page.keyboard.type("a red kite")
    expect(panel.button("Generate 1, $0.03")).to_be_visible()
    panel.page.keyboard.type("\n---\na blue one")
    expect(panel.button("Generate 2, $0.06")).to_be_visible()
    expect(field).to_be_focused()
    expect(field).to_have_value("a red kite\n---\na blue one")


def test_an_empty_tab_says_so_and_offers_nothing_to_do_with_nothing(panel: Panel) -> None:
    page = panel.page
    expect(page.get_by_text("Nothing made yet")).to_be_visible()
    expect(page.get_by_label("Search the pictures")).to_be_hidden()
    panel.tab("Compare")
    expect(page.get_by_text("Nothing picked")).to_be_visible()
    expect(page.get_by_role("searchbox").locator("visible=true")).to_have_count(0)
    expect(page.get_by_role("slider").locator("visible=true")).to_have_count(0)
    panel.tab("Create")
    generate_two(panel)
    page.get_by_label("Search the pictures").fill("no such words")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    expect(page.get_by_text("Nothing made yet")).to_be_hidden()


def test_the_button_follows_every_keystroke(panel: Panel) -> None:
    panel.choose(BANANA)
    panel.prompt("one")
    button = panel.page.get_by_role("button", name=re.compile("^Generate"))
    expect(button).to_have_text("Generate 1, $0.04 to 0.15")
    for name, typed, said in (
        ("Repeat", "12", "12, $0.48 to 1.80"),
        ("n", "2", "12, $0.96 to 3.60"),
    ):
        field = panel.page.get_by_label(name, exact=True)
        field.press("Control+a")
        field.press_sequentially(typed)
        expect(button).to_have_text(f"Generate {said}")
        expect(field).to_be_focused()


def test_a_refused_prompt_and_a_wrong_key(panel: Panel) -> None:
    panel.choose("sandbox/refuses")
    panel.prompt("no").press("Control+Enter")
    expect(panel.cards(re.compile("failed|refused"))).to_have_count(1)
    expect(panel.cards().first).not_to_contain_text("`")
    panel.button("sandbox/refuses ✕").click()
    panel.choose("sandbox/unauthorized")  # which answers as to a key that the service does not know
    panel.prompt("let me in").press("Control+Enter")
    refused = panel.cards("sandbox/unauthorized: let me in")
    expect(refused).to_contain_text("key")
    panel.tab("Connection")
    secret = panel.page.get_by_label("API key", exact=True)
    secret.fill("no key at all")
    panel.button("Use this key").click()
    expect(panel.page.get_by_role("alert").last).to_contain_text("characters that keys cannot have")
    expect(secret).to_have_value("")


def test_what_has_no_picture_says_what_it_is(panel: Panel) -> None:
    panel.choose("minimax/speech-2.6")
    panel.prompt("hello").press("Control+Enter")
    expect(panel.cards(DONE)).to_contain_text("audio")
    panel.button("minimax/speech-2.6 ✕").click()
    panel.choose("sandbox/refuses")
    panel.prompt("no").press("Control+Enter")
    expect(panel.cards("failed")).to_have_count(1)
    panel.tab("History")
    rows = panel.page.get_by_role("grid", name="History").get_by_role("row")
    # other tests of this kernel may have failed tasks in the history too
    icons = rows.filter(has_text="failed").locator(".mx-thumb .mx-icon")
    expect(icons.first).to_be_visible()


def test_stopped_and_taken_up_again_and_there_after_a_reload(panel: Panel) -> None:
    panel.choose("google/veo-3-fast")
    panel.prompt("the sea").press("Control+Enter")
    card = panel.cards("google/veo-3-fast: the sea")
    expect(card).to_have_count(1)
    card.hover()
    card.get_by_role("button", name="Stop waiting").click()
    expect(card).to_contain_text("nobody waits for it here")
    panel.page.locator(".jp-CodeCell .cm-content").last.click()
    panel.page.keyboard.press("Control+s")
    expect(panel.page.locator(".jp-mod-dirty")).to_have_count(0)
    panel.page.reload()
    panel.shown()
    expect(card).to_have_count(1)
    card.hover()
    card.get_by_role("button", name="Take up again").click()
    expect(card.locator("video")).to_have_count(1)


def test_pictures_as_inputs_from_a_file_a_tile_and_the_viewer(panel: Panel, tmp_path: Path) -> None:
    page = panel.page
    file = tmp_path / "mine.png"
    Image.new("RGB", (64, 48), "teal").save(file)
    panel.choose(EDIT)
    with page.expect_file_chooser() as chooser:
        panel.button("Upload for image *").click()
    chooser.value.set_files(file)
    inputs = page.get_by_role("list", name="Inputs for image *")
    expect(inputs.get_by_role("img", name="mine.png")).to_be_visible()
    panel.prompt("in the rain").press("Control+Enter")
    expect(panel.cards(DONE)).to_have_count(1)

    card = panel.cards().first
    card.hover()
    card.get_by_role("button", name="Use as input").click()
    expect(inputs.get_by_role("img", name=EDIT)).to_be_visible()
    panel.button(f"Remove {inputs.get_by_role('img').get_attribute('alt')}").click()
    expect(inputs.get_by_role("img")).to_have_count(0)
    card.get_by_role("img").drag_to(panel.button("Upload for image *"))
    expect(inputs.get_by_role("img", name=EDIT)).to_be_visible()
    panel.button(f"Remove {inputs.get_by_role('img').get_attribute('alt')}").click()
    expect(inputs.get_by_role("img")).to_have_count(0)
    panel.tab("History")
    page.get_by_role("grid", name="History").get_by_role("row").nth(1).locator("img").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Use as input").click()
    expect(dialog).to_have_count(0)
    expect(inputs.get_by_role("img", name=EDIT)).to_be_visible()
    panel.prompt("in the snow").press("Control+Enter")
    expect(panel.cards(DONE)).to_have_count(2)
    output = panel.run_cell("print(mx.history().parents.dropna().size, 'with a parent')")
    expect(output).to_contain_text("1 with a parent")
    for each in panel.cards().all():
        expect(each.get_by_title("Its inputs").locator("img")).to_have_count(1)


def test_cards_go_on_while_a_cell_blocks_and_four_clicks_are_one(panel: Panel, lab: Lab) -> None:
    panel.choose(BANANA)
    panel.prompt("by a click meanwhile")
    output = panel.run_cell(BLOCKING.format(model=QWEN))
    panel.shown()
    expect(panel.cards(DONE)).to_have_count(1)
    button = panel.page.get_by_role("button", name=re.compile("^Generate"))
    button.evaluate("button => { for (let i = 0; i < 4; i++) button.click(); }")
    expect(output).not_to_contain_text("the cell is over")
    (lab.folder / "go-on").touch()
    expect(output).to_contain_text("the cell is over")
    expect(panel.cards(DONE)).to_have_count(2)
    expect(panel.run_cell(SUBMISSIONS)).to_contain_text("2 submissions")


@pytest.fixture
def queueing(lab: Lab) -> Iterator[None]:
    """Have what a page says wait for the running cell, as with ipykernel 6 and in other pages."""
    settings = lab.settings / "@jupyterlab" / "apputils-extension"
    file = settings / "kernels-settings.jupyterlab-settings"
    file.write_text('{"commsOverSubshells": "disabled"}')
    yield
    file.unlink()


@pytest.mark.usefixtures("queueing")
def test_clicks_that_queue_up_behind_a_cell_send_once(panel: Panel, lab: Lab) -> None:
    go_on = lab.folder / "go-on"
    go_on.unlink(missing_ok=True)
    panel.choose(BANANA)
    panel.prompt("by a click").press("Control+Enter")
    expect(panel.cards(DONE)).to_have_count(1)
    expect(panel.run_cell(HELD)).to_contain_text("one is held")
    output = panel.run_cell(BLOCKING.format(model=QWEN))
    panel.shown()
    expect(panel.cards(DONE)).to_have_count(2)
    _click_four_times(panel.page.get_by_role("button", name=re.compile("^Generate")))
    card = panel.cards("by a click").first
    card.hover()
    _click_four_times(card.get_by_role("button", name="Run again"))
    go_on.touch()
    expect(output).to_contain_text("the cell is over")
    expect(panel.cards(DONE)).to_have_count(4)

    panel.tab("History")
    row = panel.page.get_by_role("grid", name="History").get_by_role("row").filter(has_text="held")
    row.hover()
    go_on.unlink()
    output = panel.run_cell(BLOCKING.format(model=QWEN))
    panel.shown()
    row.hover()
    _click_four_times(row.get_by_role("button", name="Send it now"))
    go_on.touch()
    expect(output).to_contain_text("the cell is over")
    expect(row).to_have_count(0)
    panel.tab("Create")
    expect(panel.cards(DONE)).to_have_count(6)
    expect(panel.run_cell(SUBMISSIONS)).to_contain_text("6 submissions")


def _click_four_times(button: Locator) -> None:
    """Click as somebody does who sees nothing happen: too slowly for a double click."""
    for _ in range(4):
        button.click(force=True)
        button.page.wait_for_timeout(800)


@pytest.mark.usefixtures("queueing")
def test_what_the_button_says_is_sent_also_when_the_form_changes_in_a_cell(
    panel: Panel, lab: Lab
) -> None:
    (lab.folder / "go-on").unlink(missing_ok=True)
    panel.choose(BANANA)
    panel.prompt("one")
    button = panel.page.get_by_role("button", name=re.compile("^Generate 1, "))
    expect(button).to_be_visible()
    output = panel.run_cell(BLOCKING.format(model=QWEN))
    panel.shown()
    panel.page.get_by_label("Repeat", exact=True).fill("2")  # it arrives when the cell is over
    button.click()
    (lab.folder / "go-on").touch()
    expect(output).to_contain_text("the cell is over")
    question = panel.page.get_by_role("alert").filter(has_text="The button said Generate 1")
    expect(question).to_contain_text("Send 2 tasks for")
    expect(panel.cards()).to_have_count(1)
    panel.button("Do not send").click()
    expect(panel.page.get_by_role("button", name=re.compile("^Generate 2, "))).to_be_enabled()
    expect(panel.cards()).to_have_count(1)


def test_three_thousand_tasks_leave_the_page_and_the_kernel_light(panel: Panel) -> None:
    """Work is counted, not time: tests/widgets has the test that a message waits for nothing."""
    panel.run_cell(
        "import time\n"
        "many = mx.submit([f'one of many, {n}' for n in range(3000)], 'sandbox/fast', yes=True)\n"
        "print('all sent')\n"
        "slow = []\n"
        "for gallery in p.actions.galleries:\n"
        "    def timed(*args, real=gallery.on_message):\n"
        "        begun = time.thread_time(); real(*args)\n"
        "        slow.append(time.thread_time() - begun)\n"
        "    gallery._msg_callbacks.callbacks[:] = [timed]\n"
    )
    expect(panel.page.get_by_text("all sent", exact=True)).to_be_visible()
    panel.shown()
    expect(panel.page.get_by_text("of 3000 done").first).to_be_visible()
    entries = panel.gallery.get_by_role("listitem")
    scroller = panel.page.locator(".mx-create .mx-scroller")
    for part in (0.0, 0.3, 0.6, 1.0, 0.5):
        scroller.evaluate("(e, part) => { e.scrollTop = e.scrollHeight * part; }", part)
        expect(entries.nth(6)).to_have_accessible_name(re.compile("one of many"))
        assert entries.count() <= 60
    entries.nth(6).focus()
    panel.page.keyboard.press("End")
    expect(panel.cards(re.compile("one of many, 2999"))).to_be_focused()
    output = panel.run_cell("print(f'worst {1000 * max(slow):.1f} ms of {len(slow)}')")
    expect(output).to_contain_text("worst")
    found = re.search(r"worst ([\d.]+) ms", output.inner_text())
    assert found is not None
    assert float(found[1]) < 20, output.inner_text()


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
    expect(panel.page.get_by_role("tab", name="Create", exact=True)).to_have_count(0)
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
