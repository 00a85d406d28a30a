"""The exported page of a comparison, in a light and a dark theme and on a narrow window."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import modellix_jupyter as mx

if TYPE_CHECKING:
    from typing import Literal

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Compare two models and one that refuses, and export the page."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELLIX_HOME", str(folder / "home"))
        patch.chdir(folder)  # so that the files lie below, and have links in a notebook
        server = mx.sandbox(speed=20)
        assert server is not None
        with server:
            results = mx.compare(
                ["a paper boat on a pond", "a lighthouse in a storm"],
                ["alibaba/qwen-image-plus", "bytedance/seedream-4", "sandbox/refuses"],
                vary={"seed": [1, 2]},
            )
            results.export(f"{folder}/folder/")
            yield results.export(folder / "compare.html")


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [("light", 1100, "light"), ("dark", 1100, "dark"), ("narrow", 400, "light")],
)
def test_screenshot_of_a_comparison(
    browser: Browser, report: Path, name: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    page.goto(report.as_uri())
    decoded = "[...document.images].filter(i => i.complete && i.naturalWidth > 60).length"
    assert page.evaluate(decoded) >= 8
    # nothing but its own boxes scrolls sideways
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0]")
    assert (int(shade) < 60) is (scheme == "dark")
    assert page.get_by_text("Content policy").count() >= 4
    folder = os.environ.get("MODELLIX_SCREENSHOTS")
    if folder:
        page.screenshot(path=ROOT / folder / f"compare-{name}.png")
    page.close()


def opened(browser: Browser, file: Path) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(file.as_uri())
    return page


def test_what_was_refused_is_as_large_as_a_picture(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(report.as_uri())
    tops = page.locator("td figcaption").evaluate_all(
        "all => all.map(e => Math.round(e.getBoundingClientRect().top))"
    )
    # two prompts with two seeds each: the captions of the models stand on four lines
    assert (len(tops), len(set(tops))) == (12, 4)
    page.close()


def test_the_viewer_is_in_the_page(browser: Browser, report: Path) -> None:
    page = opened(browser, report)
    page.locator("[data-mx]").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Viewer")
    expect(dialog.get_by_text("1 of 8")).to_be_visible()
    expect(dialog.locator(".mxv-prompt")).to_have_text("a paper boat on a pond")
    expect(dialog.get_by_text("alibaba/qwen-image-plus")).to_be_visible()
    # who only has the page has no file beside it, and can rate nothing
    assert page.locator("main a[href]").count() == 0
    expect(dialog.get_by_text("The browser cannot show this file.")).to_have_count(0)
    expect(dialog.get_by_role("button", name="Rate 1 of 5")).to_have_count(0)
    page.keyboard.press("s")
    expect(dialog.get_by_role("heading", name="Differences")).to_be_visible()
    drawn = "all => all.every(i => i.complete && i.naturalWidth > 100)"
    assert dialog.locator(".mxv-stage img").evaluate_all(drawn)
    with page.expect_download() as download:
        page.keyboard.press("d")
    assert download.value.suggested_filename.endswith(".jpg")
    page.keyboard.press("Escape")
    expect(page.locator("[data-mx]").first).to_be_focused()
    page.close()


def test_a_picture_of_the_table_opens_it_too(browser: Browser, report: Path) -> None:
    page = opened(browser, report)
    page.locator("td [data-mx]").last.click()
    expect(page.get_by_role("dialog").get_by_text("8 of 8")).to_be_visible()
    page.close()


def test_the_viewer_of_a_folder_has_the_originals(browser: Browser, report: Path) -> None:
    page = opened(browser, report.parent / "folder" / "index.html")
    page.locator("[data-mx] img").first.click()
    picture = page.locator(".mxv-stage img")
    page.wait_for_function("document.querySelector('.mxv-stage img')?.naturalWidth === 1024")
    assert str(picture.get_attribute("src")).endswith(".png")
    page.close()


def test_the_policy_lets_no_other_script_run(browser: Browser, report: Path) -> None:
    page = browser.new_page()
    made = report.read_text("utf-8").replace(
        "<main", "<script>window.canary = 1</script><img src=x onerror='window.canary = 1'><main"
    )
    other = report.with_name("attacked.html")
    other.write_text(made, "utf-8")
    page.goto(other.as_uri())
    page.locator("[data-mx]").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("window.canary") is None
    page.close()
