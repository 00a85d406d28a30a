from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from grid_samples import card, product
from PIL import Image, ImageDraw, ImageFont

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results import contact_sheet
from modellix_jupyter.results.contact_sheet import save_sheet
from modellix_jupyter.results.grid import arrange
from modellix_jupyter.values import Media, Resource, Status

if TYPE_CHECKING:
    from modellix_jupyter.html.grid import Grid

RED, BLUE = (200, 30, 40), (20, 60, 190)


def painted(path: Path, colour: tuple[int, int, int], size: tuple[int, int]) -> Media:
    Image.new("RGB", size, colour).save(path)
    return Media(kind="image", path=str(path))


@pytest.fixture
def red(tmp_path: Path) -> Media:
    return painted(tmp_path / "red.png", RED, (1024, 1024))


def grid(media: Media | None, columns: int = 2, rows: int = 2, seeds: int = 1) -> Grid:
    return arrange(product(media, columns, rows, seeds), rows="prompt")


def pixels(path: Path, colour: tuple[int, int, int]) -> int:
    """Return how many pixels of a picture have a colour."""
    with Image.open(path) as image:
        counted = {c: n for n, c in image.getcolors(image.width * image.height) or []}
    return counted.get(colour, 0)


def pages(path: Path) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", path.read_bytes()))


def test_a_png_has_every_picture_at_full_size_from_the_original(tmp_path: Path, red: Media) -> None:
    path = save_sheet(grid(red), tmp_path / "new" / "SHEET.PNG")
    with Image.open(path) as image:
        assert image.format == "PNG"
    assert pixels(path, RED) == 4 * 640 * 640
    assert [p.name for p in path.parent.iterdir()] == ["SHEET.PNG"]  # no part is left


def test_tall_and_wide_pictures_keep_their_shape(tmp_path: Path) -> None:
    tall = painted(tmp_path / "t.png", RED, (500, 1000))
    wide = painted(tmp_path / "w.png", BLUE, (1000, 250))
    cards = [card("u1", tall, model="a/x"), card("u2", wide, model="b/y")]
    path = save_sheet(arrange(cards), tmp_path / "s.png")
    assert (pixels(path, RED), pixels(path, BLUE)) == (320 * 640, 640 * 160)


class Written(NamedTuple):
    """A text on a sheet."""

    text: str
    ink: str
    font: str


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Written]:
    """Return what is written on sheets from now on."""
    texts: list[Written] = []
    draw = ImageDraw.ImageDraw.multiline_text

    def recorded(pen: Any, at: Any, text: str, ink: str, font: Any) -> None:
        assert all(font.getlength(line) <= pen.im.size[0] for line in text.split("\n"))
        texts.append(Written(text, ink, font.getname()[0]))
        draw(pen, at, text, ink, font)

    monkeypatch.setattr(ImageDraw.ImageDraw, "multiline_text", recorded)
    return texts


def test_what_has_no_picture_is_written_in_words(
    tmp_path: Path, red: Media, written: list[Written]
) -> None:
    failed = card("u1", model="a/x", status=Status.FAILED, error_message="too dark")
    film = Resource(url="", type="video", path="/films/v.mp4", width=1280, height=720)
    cards = [failed, card("u2", model="b/y", resources=(film,)), card("u3", red, prompt="new")]
    path = save_sheet(arrange(cards), tmp_path / "s.png")
    inks = {one.text: one.ink for one in written}
    assert inks["failed · too dark"] == contact_sheet.BAD
    assert inks["video · 1280×720 · v.mp4"] == contact_sheet.INK  # noqa: RUF001 - the sign
    assert [one.text for one in written].count("not run") == 1
    assert pixels(path, (180, 35, 40)) > 0  # the colour of a failure


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n broken", None])
def test_a_picture_that_cannot_be_read_is_words_too(
    tmp_path: Path, content: bytes | None, written: list[Written]
) -> None:
    bad = tmp_path / "bad.png"
    if content is not None:
        bad.write_bytes(content)
    media = Media(kind="image", path=str(bad))
    assert save_sheet(grid(media), tmp_path / "s.png").exists()
    texts = " ".join(" ".join(one.text for one in written).split())
    assert re.search("cannot be read|cannot be decoded|is not a picture", texts)
    assert "Errno" not in texts
    assert "file itself" not in texts  # where it is tells strangers a home


def test_a_pdf_has_as_many_pages_as_it_needs(tmp_path: Path, red: Media) -> None:
    one = save_sheet(grid(red), tmp_path / "one.pdf")
    assert one.read_bytes().startswith(b"%PDF-")
    assert pages(one) == 1
    assert pages(save_sheet(grid(red, 3, 20), tmp_path / "many.pdf")) > 4
    assert pages(save_sheet(grid(red, 30, 1), tmp_path / "wide.pdf")) == 1
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_many_pictures_stay_below_the_limit_of_pixels(
    tmp_path: Path, red: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_sheet, "MAX_PIXELS", 2_000_000)
    path = save_sheet(grid(red, 4, 10), tmp_path / "s.png")
    with Image.open(path) as image:
        assert image.width * image.height <= 2_000_000
        assert pixels(path, RED) > 0.3 * image.width * image.height


def test_what_no_png_holds_is_an_error_that_says_what_does(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="one PNG") as caught:
        save_sheet(grid(None, 4, 1500), tmp_path / "s.png")
    assert ".pdf" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_several_of_one_place_stand_side_by_side(tmp_path: Path, red: Media) -> None:
    flowing = arrange(product(red, 1, 1, seeds=8))
    sections = arrange(product(red, 1, 2, seeds=3), rows="seed", pages="prompt")
    repeats = arrange([card(f"u{i}", red, model=m) for m in ("a/x", "b/y") for i in range(4)])
    widths = []
    for one in (flowing, sections, repeats):
        with Image.open(save_sheet(one, tmp_path / "s.png")) as image:
            widths.append((image.width - 32) / (640 + 32))
    assert widths == [6, 3, 2 * 3]


@pytest.mark.parametrize("name", ["s.jpg", "s", "s.PNG.gz", "s.txt"])
def test_another_ending_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="contact sheet") as caught:
        save_sheet(grid(None), tmp_path / name)
    assert ".pdf" in caught.value.hint


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="cannot be written"):
        save_sheet(grid(None), tmp_path / "file" / "s.png")


def test_an_old_sheet_is_kept_when_the_new_one_fails(
    tmp_path: Path, red: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_sheet(grid(red), tmp_path / "s.png")
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InvalidRequest, match="No space left"):
        save_sheet(grid(red), path)
    assert path.read_bytes() == before
    assert list(tmp_path.glob(".*")) == []


def test_an_empty_grid_is_still_a_sheet(tmp_path: Path) -> None:
    for ending in ("png", "pdf"):
        assert save_sheet(arrange([]), tmp_path / f"s.{ending}").stat().st_size > 0


def test_prompts_in_any_script_are_drawn_within_their_width(
    tmp_path: Path, written: list[Written]
) -> None:
    prompts = [
        "",
        " ",
        "a" * 500,
        "清晨薄雾中的山村" * 20,
        "a/b-c_d" * 60,
        "il " * 90 + "WM" * 40,
        "a lighthouse in a storm, " * 4 + "清晨薄雾中的山村" * 10,
        "\n\n",
        "é\u0301 ✓",
        "قرية",
    ]
    prompts += ["हिन्दी", "\u202egnp", "\ud800", "👩‍👩‍👧", "x\x00y", "word " * 999]
    cards = [card(f"u{i}", prompt=prompt) for i, prompt in enumerate(prompts)]
    assert save_sheet(arrange(cards), tmp_path / "s.pdf").exists()
    assert save_sheet(arrange(cards, columns="prompt"), tmp_path / "s.png").exists()
    assert max(one.text.count("\n") for one in written) < contact_sheet.MAX_LINES
    assert any(one.text.endswith("…") for one in written)


def test_each_section_has_its_heading_once(
    tmp_path: Path, red: Media, written: list[Written]
) -> None:
    sections = arrange(product(red, 2, 2), rows="model", columns="repeat", pages="prompt")
    save_sheet(sections, tmp_path / "s.png")
    headings = [one.text for one in written if one.ink == contact_sheet.INK]
    assert [text for text in headings if text.startswith("prompt")] == ["prompt 0", "prompt 1"]


def test_a_text_has_the_font_that_knows_its_letters(tmp_path: Path, written: list[Written]) -> None:
    save_sheet(arrange([card("u1", prompt="a cat"), card("u2", prompt="кот")]), tmp_path / "s.png")
    fonts = {one.text.partition(" ·")[0]: one.font for one in written}
    own = ImageFont.load_default(20)
    assert fonts["a cat"] == own.getname()[0]  # type: ignore[union-attr]  # FreeType is there
    assert fonts["кот"] != fonts["a cat"]
