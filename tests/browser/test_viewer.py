"""The viewer in a page of its own: by keyboard, narrow, dark, compared, attacked."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect
from render_samples import INJECTIONS

from modellix_jupyter.html.elements import asset, module_js
from modellix_jupyter.html.markup import plain

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]
HARNESS = """
window.heard = [];
const hear = (name) => async (item, value) => {
  window.heard.push([name, item.id, value ?? null]);
};
window.show = (items, index = 0, more = {}) => {
  window.shown = viewer.open(items, index, { rate: hear("rate"), note: hear("note"),
    use: hear("use"), closed: () => window.heard.push(["closed"]), ...more });
};
"""
PAGE = """<!doctype html><html lang="en"><title>x</title><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><style>{css}</style>
<button id="opener">before</button><script type="module">{script}</script>"""


def png(size: tuple[int, int], colour: str) -> str:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def picture(name: str, **changes: Any) -> dict[str, Any]:
    given = {
        "id": name,
        "src": png((900, 600), "teal"),
        "poster": png((90, 60), "teal"),
        "prompt": f"{name}, a paper boat",
        "model": "a/x",
        "params": {"seed": len(name)},
        "price": 0.04,
        "seconds": 7.4,
    }
    return given | changes


def film(name: str) -> dict[str, Any]:
    return recorded(name, "video", "video/webm", "film.webm")


def sound(name: str) -> dict[str, Any]:
    return recorded(name, "audio", "audio/mpeg", "tune.mp3")


def recorded(name: str, kind: str, mime: str, file: str) -> dict[str, Any]:
    content = files("modellix_jupyter.sandbox_server").joinpath(file).read_bytes()
    data = base64.b64encode(content).decode()
    return {"id": name, "type": kind, "src": f"data:{mime};base64,{data}", "prompt": name}


THREE = [picture("one"), picture("two", model="b/y", src=png((300, 200), "navy")), picture("six")]


@pytest.fixture(params=["light"])
def scheme(request: pytest.FixtureRequest) -> Scheme:
    return cast("Scheme", request.param)


@pytest.fixture(params=[1280])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def page(browser: Browser, tmp_path: Path, scheme: Scheme, width: int) -> Iterator[Page]:
    """Open a page that has the viewer and nothing else."""
    file = tmp_path / "viewer.html"
    file.write_text(
        PAGE.format(css=asset("viewer.css"), script=module_js("viewer") + HARNESS), "utf-8"
    )
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, accept_downloads=True
    )
    page = context.new_page()
    page.goto(file.as_uri())
    page.locator("#opener").focus()
    yield page
    context.close()


def show(page: Page, items: list[dict[str, Any]], index: int = 0) -> None:
    page.evaluate("([items, index]) => window.show(items, index)", [items, index])
    expect(page.get_by_role("dialog", name="Viewer")).to_be_visible()


def heard(page: Page) -> list[list[Any]]:
    found: list[list[Any]] = page.evaluate("window.heard")
    return found


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def boxes(page: Page, selector: str = ".mxv-stage img") -> list[dict[str, float]]:
    found: list[dict[str, float]] = page.locator(selector).evaluate_all(
        """all => all.map(e => e.getBoundingClientRect())
                     .map(b => ({x: b.x, y: b.y, w: b.width, h: b.height}))"""
    )
    return found


def shoot(page: Page, name: str) -> None:
    folder = os.environ.get("MODELLIX_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(__file__).parents[2] / folder / f"viewer-{name}.png")


def test_everything_by_keyboard_and_the_focus_goes_back(page: Page) -> None:
    show(page, THREE)
    expect(page.get_by_text("1 of 3")).to_be_visible()
    press(page, "ArrowRight", "ArrowRight", "ArrowRight")  # there is no fourth
    expect(page.get_by_text("3 of 3")).to_be_visible()
    press(page, "Home", "4")
    expect(page.get_by_role("button", name="Rate 4 of 5")).to_have_attribute("aria-pressed", "true")
    press(page, "4", "n")
    page.keyboard.type("the best, u and 5 are no keys here")
    press(page, "Escape")  # leaves the field, not the viewer
    press(page, "?")
    expect(page.get_by_text("these keys")).to_be_visible()
    press(page, "Escape")  # leaves the list of keys, not the viewer
    expect(page.get_by_text("these keys")).to_be_hidden()
    expect(page.get_by_role("dialog", name="Viewer")).to_be_visible()
    press(page, "Escape")
    page.wait_for_function("window.heard.some(([name]) => name === 'closed')")
    assert heard(page) == [
        ["rate", "one", 4],
        ["rate", "one", None],
        ["note", "one", "the best, u and 5 are no keys here"],
        ["closed"],
    ]
    expect(page.locator("#opener")).to_be_focused()


def test_the_focus_stays_within(page: Page) -> None:
    show(page, THREE)
    for key in ("Tab", "Shift+Tab"):
        for _ in range(45):
            press(page, key)
            assert page.evaluate("document.activeElement.closest('.mxv') !== null")


def test_zoom_keeps_the_shape_and_actual_size_is_actual(page: Page) -> None:
    show(page, [picture("large", src=png((3000, 2000), "teal"))])
    expect(page.locator(".mxv-percent")).not_to_have_text("200 %")  # of the thumbnail
    (box,) = boxes(page)
    assert box["w"] > 500
    press(page, "z")
    expect(page.locator(".mxv-percent")).to_have_text("100 %")
    (box,) = boxes(page)
    assert (round(box["w"]), round(box["h"])) == (3000, 2000)
    before = box["x"]
    press(page, "Shift+ArrowRight")
    assert boxes(page)[0]["x"] == pytest.approx(before - 80, abs=1)
    page.mouse.move(400, 400)
    page.mouse.wheel(0, -300)
    assert boxes(page)[0]["w"] > 3000
    press(page, "f")
    assert boxes(page)[0]["w"] < 1000


def test_compared_side_by_side_with_one_zoom(page: Page) -> None:
    show(page, THREE)
    press(page, "s", "+", "+")
    expect(page.get_by_role("heading", name="Differences")).to_be_visible()
    first, second = boxes(page)
    # pictures of 900 and of 300 pixels: the same part of both in panes of the same size
    assert first["w"] == pytest.approx(second["w"], abs=1) or second["w"] > 0
    differing = page.locator(".mxv-differs th").all_inner_texts()
    assert differing == ["Prompt", "Model"]
    press(page, "ArrowRight")  # the second is exchanged for the third
    expect(page.locator(".mxv-tag").nth(1)).to_have_text("B  a/x")
    press(page, "ArrowLeft", "w", "]", "]")
    assert (
        page.locator(".mxv-pane").nth(1).evaluate("e => e.style.clipPath")
        == "inset(0px 0px 0px 60%)"
    )
    press(page, "b", " ")
    shown = page.locator(".mxv-pane:not(.mxv-hidden)")
    expect(shown).to_have_count(1)
    expect(shown.locator(".mxv-tag")).to_contain_text("B")
    press(page, "o")
    expect(page.locator(".mxv-pane")).to_have_count(1)


def test_videos_run_in_lockstep(page: Page) -> None:
    show(page, [film("a boat"), film("a lighthouse")])
    press(page, "s")
    ready = (
        "[...document.querySelectorAll('.mxv video')].filter(v => v.readyState >= 2).length === 2"
    )
    page.wait_for_function(ready)
    press(page, " ")
    page.wait_for_function(
        "[...document.querySelectorAll('.mxv video')].every(v => v.currentTime > .3)"
    )
    press(page, " ", ".")
    films = page.locator(".mxv video")
    times = films.evaluate_all("all => all.map(v => [v.paused, v.currentTime])")
    assert [paused for paused, _ in times] == [True, True]
    assert times[0][1] == pytest.approx(times[1][1], abs=0.02)
    page.get_by_role("slider", name="Moment").fill("1")
    times = films.evaluate_all("all => all.map(v => v.currentTime)")
    assert times == pytest.approx([1, 1])
    (first, second) = boxes(page, ".mxv-stage video")
    assert first["h"] > 100
    assert first["w"] / first["h"] == pytest.approx(second["w"] / second["h"])


def test_a_shorter_video_waits_at_its_end_until_the_longer_one_starts_again(page: Page) -> None:
    show(page, [sound("a bell"), film("a boat")])  # both are played by a video's element
    press(page, "s")
    page.wait_for_function(
        "[...document.querySelectorAll('.mxv video')].filter(v => v.readyState >= 2).length === 2"
    )
    short, long = page.locator(".mxv video").all()
    length = short.evaluate("film => film.duration")
    assert length < long.evaluate("film => film.duration") - 0.5
    slider = page.get_by_role("slider", name="Moment")
    slider.fill(str(length - 0.2))
    press(page, " ")
    beyond = f"film => film.currentTime > {length + 0.3}"
    page.wait_for_function(beyond, arg=long.element_handle())
    assert short.evaluate("film => [film.ended, film.currentTime]") == [True, length]
    slider.fill("0.1")
    page.wait_for_function(
        "film => !film.paused && film.currentTime < 1", arg=short.element_handle()
    )


def test_a_comparison_has_nine_at_most(page: Page) -> None:
    show(page, [picture(f"one of {n}") for n in range(11)])
    for _ in range(9):
        press(page, "c", "ArrowRight")
    press(page, "s")
    expect(page.locator(".mxv-pane")).to_have_count(9)


def test_an_original_that_is_fetched_says_how_far_it_is_and_what_went_wrong(page: Page) -> None:
    page.evaluate(
        """([poster]) => {
          const load = (tell) => new Promise((_, fail) => Object.assign(window, { tell, fail }));
          window.show([{ id: "a", poster, load, width: 900, height: 600 }]);
        }""",
        [png((90, 60), "teal")],
    )
    box = boxes(page)[0]
    assert box["w"] / box["h"] == pytest.approx(1.5, abs=0.01)  # the thumbnail stands already
    page.evaluate("window.tell(0.42)")
    expect(page.get_by_text("Loading … 42 %")).to_be_visible()
    page.evaluate("window.fail(new Error('The file is gone.'))")
    expect(page.get_by_text("The file is gone.")).to_be_visible()


def test_download_and_copies(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    show(page, [picture("one", path="/data/a boat.png")])
    with page.expect_download() as download:
        press(page, "d")
    assert download.value.suggested_filename == "a boat.png"
    with Image.open(download.value.path()) as image:
        assert image.size == (900, 600)
    press(page, "p")
    expect(page.get_by_text("Prompt copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "one, a paper boat"
    press(page, "y")
    expect(page.get_by_text("Picture copied.")).to_be_visible()
    kinds = page.evaluate(
        "navigator.clipboard.read().then((all) => all.flatMap((one) => one.types))"
    )
    assert "image/png" in kinds


@pytest.mark.parametrize("scheme", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("width", [1280, 400], indirect=True)
def test_no_serious_finding_and_nothing_too_wide(page: Page, scheme: Scheme, width: int) -> None:
    show(page, [*THREE, film("a film")])
    found = []
    for key in ("o", "i", "s", "w", "b"):
        press(page, key)
        page.wait_for_timeout(100)
        if key in "sw":
            shoot(page, f"{key}-{width}-{scheme}")
        wide = page.locator(".mxv").evaluate("e => e.scrollWidth - e.clientWidth")
        assert wide <= 0, key
        found += [
            (key, each["id"], [node["html"] for node in each["nodes"]][:3])
            for each in Axe().run(page, context=".mxv").response["violations"]
            if each["impact"] in {"serious", "critical"}
        ]
    assert found == []
    shade = page.evaluate(
        "getComputedStyle(document.querySelector('.mxv')).backgroundColor.match(/\\d+/g)[0]"
    )
    assert (int(shade) < 60) is (scheme == "dark")


def test_no_text_becomes_anything_else(page: Page) -> None:
    names = ("id", "prompt", "model", "note", "path", "date", "name", "src", "poster")
    items = [
        dict.fromkeys(names, text) | {"params": {text: text}, "type": "image"}
        for text in INJECTIONS
        if not text.startswith("\ud800")  # no JSON
    ]
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    show(page, items)
    for _ in items:
        press(page, "ArrowRight")
    press(page, "s", "w", "b", "o", "d", "End")
    assert page.evaluate("window.canary") is None
    assert page.locator(".mxv script, .mxv iframe, .mxv a").count() == 0
    loaded = [url for url in requests if not url.startswith(("data:", "blob:"))]
    assert [url for url in loaded if "canary" in url or "example.com" in url] == []
    expect(page.locator(".mxv-prompt")).to_have_text(plain(INJECTIONS[-2]))


def test_one_picture_offers_no_comparison_and_no_next(page: Page) -> None:
    show(page, THREE[:1])
    for name in ("Next", "Wipe", "Choose"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_hidden()
    press(page, "w")
    expect(page.get_by_text("There is only one.")).to_be_visible()


def test_what_is_absent_is_not_offered(page: Page) -> None:
    page.evaluate("items => window.show(items, 0, { rate: null, note: null, use: null })", THREE)
    expect(page.get_by_role("button", name="Use as input")).to_have_count(0)
    expect(page.get_by_label("Note")).to_have_count(0)
    press(page, "u", "3")
    assert heard(page) == []


def test_facts_that_come_later_are_shown(page: Page) -> None:
    show(page, [{"id": "one", "src": THREE[0]["src"]}])
    page.evaluate("window.shown.update([{ id: 'one', prompt: 'known now', seconds: 65 }])")
    expect(page.get_by_text("known now")).to_be_visible()
    expect(page.get_by_text("1 min 05 s")).to_be_visible()


def test_three_thousand_are_no_burden(page: Page) -> None:
    page.evaluate(
        """src => window.show(
             Array.from({ length: 3000 }, (_, i) => ({ id: String(i), src })), 1500)""",
        THREE[0]["src"],
    )
    assert page.locator(".mxv-thumb").count() < 60
    press(page, "End")
    expect(page.get_by_text("3000 of 3000")).to_be_visible()
