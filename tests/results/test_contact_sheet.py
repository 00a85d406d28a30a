from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results import sheet as sheets
from modellix_jupyter.results.sheet import Entry, Row, Sheet, write_sheet
from modellix_jupyter.results.text_layout import font_for, wrapped

RED, BLUE = (200, 30, 40), (20, 60, 190)


@pytest.fixture
def red(tmp_path: Path) -> str:
    return painted(tmp_path / "red.png", RED, (1024, 1024))


def painted(path: Path, colour: tuple[int, int, int], size: tuple[int, int]) -> str:
    Image.new("RGB", size, colour).save(path)
    return str(path)


def grid(path: str | None, columns: int = 2, rows: int = 2, each: int = 1) -> Sheet:
    entry = Entry(path, ("4.2 s · $0.03",), "failed", "too dark", failed=True)
    names = tuple(f"provider/model-{i}" for i in range(columns))
    place = (entry,) * each
    return Sheet(
        ("4 of 4 done", "a prompt"),
        names,
        tuple(Row(f"prompt {i} " + "word " * 40, (place,) * columns) for i in range(rows)),
    )


def share(image: Image.Image, colour: tuple[int, int, int]) -> float:
    """Return how much of a picture is of a colour."""
    counted = {c: n for n, c in image.convert("RGB").getcolors(image.width * image.height) or []}
    return counted.get(colour, 0) / (image.width * image.height)


def pages(path: Path) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", path.read_bytes()))


def test_a_png_has_every_picture_at_full_size_from_the_original(tmp_path: Path, red: str) -> None:
    path = write_sheet(grid(red), tmp_path / "new" / "sheet.png")
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert share(image, RED) * image.width * image.height > 4 * 630 * 630
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]  # no part is left


def test_tall_and_wide_pictures_keep_their_shape(tmp_path: Path) -> None:
    tall = painted(tmp_path / "t.png", RED, (500, 1000))
    wide = painted(tmp_path / "w.png", BLUE, (1000, 250))
    entries = ((Entry(tall, ()),), (Entry(wide, ()),))
    path = write_sheet(Sheet((), ("a", "b"), (Row("", entries),)), tmp_path / "s.png")
    with Image.open(path) as image:
        pixels = image.width * image.height
        assert share(image, RED) * pixels == pytest.approx(320 * 640, rel=0.02)
        assert share(image, BLUE) * pixels == pytest.approx(640 * 160, rel=0.02)


def test_failures_are_boxes_with_words(tmp_path: Path) -> None:
    path = write_sheet(grid(None), tmp_path / "s.png")
    with Image.open(path) as image:
        assert share(image, (180, 35, 40)) > 0
        assert share(image, (255, 255, 255)) < 0.999


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n broken", None])
def test_a_picture_that_cannot_be_read_is_words_too(tmp_path: Path, content: bytes | None) -> None:
    bad = tmp_path / "bad.png"
    if content is not None:
        bad.write_bytes(content)
    assert write_sheet(grid(str(bad)), tmp_path / "s.png").exists()


def test_a_pdf_has_a_page_for_what_fits_on_one(tmp_path: Path, red: str) -> None:
    one = write_sheet(grid(red), tmp_path / "one.pdf")
    assert one.read_bytes().startswith(b"%PDF-")
    assert pages(one) == 1
    many = write_sheet(grid(red, columns=3, rows=20), tmp_path / "many.pdf")
    assert pages(many) > 4
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_a_pdf_of_a_line_taller_than_a_page_is_still_one(tmp_path: Path, red: str) -> None:
    path = write_sheet(grid(red, columns=30, rows=1), tmp_path / "wide.pdf")
    assert pages(path) == 1


def test_many_pictures_stay_below_the_limit_of_pixels(
    tmp_path: Path, red: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MAX_PIXELS", 2_000_000)
    path = write_sheet(grid(red, columns=4, rows=10), tmp_path / "s.png")
    with Image.open(path) as image:
        assert image.width * image.height <= 2_000_000
        assert share(image, RED) > 0.3


def test_four_hundred_tasks_are_laid_out_below_forty_megapixels() -> None:
    layout, blocks = sheets._for_png(grid("x.png", columns=4, rows=100))
    assert layout.width * sheets._height(blocks) < sheets.MAX_PIXELS
    assert layout.side >= 192


def test_what_no_png_holds_is_an_error_that_says_what_does(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="one PNG") as caught:
        write_sheet(grid(None, columns=4, rows=5000), tmp_path / "s.png")
    assert ".pdf" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_several_in_one_place_stand_side_by_side(tmp_path: Path, red: str) -> None:
    sheet = grid(red, columns=1, rows=1, each=8)
    assert (sheet.abreast, sheet.across) == (6, 6)
    path = write_sheet(sheet, tmp_path / "s.png")
    with Image.open(path) as image:
        assert image.width > image.height


@pytest.mark.parametrize("name", ["s.jpg", "s", "s.PNG.gz", "s.txt"])
def test_another_ending_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="contact sheet") as caught:
        write_sheet(grid(None), tmp_path / name)
    assert ".pdf" in caught.value.hint


def test_an_ending_in_capitals_is_the_same_ending(tmp_path: Path) -> None:
    assert write_sheet(grid(None), tmp_path / "S.PNG").exists()


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="cannot be written"):
        write_sheet(grid(None), tmp_path / "file" / "s.png")


def test_an_old_sheet_is_kept_when_the_new_one_fails(
    tmp_path: Path, red: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sheet(grid(red), tmp_path / "s.png")
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InvalidRequest, match="No space left"):
        write_sheet(grid(red), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_an_empty_sheet_is_still_a_sheet(tmp_path: Path) -> None:
    for ending in ("png", "pdf"):
        assert write_sheet(Sheet((), (), ()), tmp_path / f"s.{ending}").stat().st_size > 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a" * 500,
        "one two " * 100,
        "清晨薄雾中的山村" * 20,
        "a/b-c_d" * 60,
        "\n\n",
        "é\u0301 ✓",
    ],
)
@pytest.mark.parametrize("width", [1, 30, 300])
def test_lines_fit_their_width(text: str, width: int) -> None:
    font = font_for(text, 16)
    lines = wrapped(text, font, width, 3)
    assert len(lines) <= 3
    assert all(font.getlength(line) <= width or len(line) <= 2 for line in lines)


def test_a_text_that_is_cut_says_so() -> None:
    font = font_for("word", 16)
    assert wrapped("word " * 50, font, 100, 2)[-1].endswith("…")
    assert wrapped("word", font, 100, 2) == ["word"]


def test_line_breaks_are_kept() -> None:
    assert wrapped("a\nb", font_for("ab", 16), 100, 4) == ["a", "b"]
