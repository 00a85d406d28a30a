"""The exported page of a comparison, in a light and a dark theme and on a narrow window."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import modellix_jupyter as mx

if TYPE_CHECKING:
    from typing import Literal

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Compare two models and one that refuses, and export the page."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELLIX_HOME", str(folder / "home"))
        server = mx.sandbox(speed=20)
        assert server is not None
        with server:
            results = mx.compare(
                ["a paper boat on a pond", "a lighthouse in a storm"],
                ["alibaba/qwen-image-plus", "bytedance/seedream-4", "sandbox/refuses"],
                vary={"seed": [1, 2]},
            )
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
