"""Draw a grid as one PNG or as the pages of a PDF, from the downloaded originals.

Only one line of originals is decoded at a time and only one page of a PDF is in memory, so that
memory does not grow with the number of tasks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from itertools import accumulate, islice
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from modellix_jupyter.errors import InvalidRequest, ModellixError
from modellix_jupyter.html.formatting import clip, dimensions, is_problem, state
from modellix_jupyter.html.grid import Entry, Grid, entry_problem, label
from modellix_jupyter.html.markup import plain
from modellix_jupyter.results.export import replacing
from modellix_jupyter.storage.thumbnails import opened

INK, SOFT, WELL, BAD = "#16181d", "#5c6370", "#f2f2f0", "#b42328"
MAX_PIXELS = 40_000_000  # of a PNG with short texts: 240 MB while it is drawn, with its lines
PDF_WIDTH, PDF_RATIO, PDF_DPI = 1654, 2**0.5, 200  # A4
MIN_PNG_SIDE, MIN_PDF_SIDE, MAX_SIDE = 80, 150, 640  # of a picture; many make a wider page
MAX_ABREAST, MAX_LINES = 6, 6  # pictures in a line, unless there are more columns; lines of a text
# Pillow's own font has few characters; these fonts of Linux, macOS and Windows have more.
FONTS = ["DejaVuSans.ttf", "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "PingFang.ttc"]
FONTS += ["Hiragino Sans GB.ttc", "msyh.ttc", "wqy-zenhei.ttc", "wqy-microhei.ttc", "arial.ttf"]
NO_LETTER = "\U0010fffe"  # in no font: it is drawn like any character that a font lacks

# A text, or a picture with its caption; all cells of a line are equally wide.
_Cell = str | Entry


def save_sheet(grid: Grid, path: str | Path) -> Path:
    """Write a grid as a contact sheet, whole or not at all; the ending chooses PNG or PDF."""
    target = Path(path).expanduser()
    ending = target.suffix.lower()
    if ending not in {".png", ".pdf"}:
        message = f"A contact sheet cannot be written to {target.name!r}."
        raise InvalidRequest(message, "End the path in .png or .pdf.")
    with replacing(target) as part:
        for number, page in enumerate(_pages(grid, ending)):
            # Page by page, since Pillow would hold all pages of a list at once.
            page.save(part, ending[1:], append=number > 0, resolution=PDF_DPI, quality=90)
    return target


def _pages(grid: Grid, ending: str) -> Iterator[Image.Image]:
    """Draw one page after the other, each with the names of the columns."""
    most = max(map(len, grid.section_ranges())) if grid.flows else grid.abreast
    abreast = max(min(most, MAX_ABREAST // max(len(grid.columns), 1)), 1)
    across = max(len(grid.columns), 1) * abreast
    groups = list(_groups(grid, abreast))
    side = _side(ending, across, len(groups))
    names = [label(grid.axes[0], name) for name in grid.columns] or [""]
    above = [*(label(*pair) for pair in reversed(grid.common)), grid.facts]
    page = head = [_line(cells, side, across) for cells in (*([text] for text in above), names)]
    height = int(head[0].width * PDF_RATIO) if ending == ".pdf" else 0
    for group in groups:
        lines = [_line(cells, side, across) for cells in group]
        if page is not head and 0 < height < sum(line.height for line in [*page, *lines]):
            yield _stacked(page, height)
            page = head[-1:]
        page = [*page, *lines]
    yield _stacked(page, height)


def _side(ending: str, across: int, lines: int) -> int:
    """Return the side of a picture in pixels, so that all fit into the page or the PNG."""
    if ending == ".pdf":
        return min(max(int(PDF_WIDTH / across / 1.05), MIN_PDF_SIDE), MAX_SIDE)
    pixels = MAX_PIXELS / 1.4 / across / max(lines, 1)  # 0.4 for the texts and the gaps
    if pixels < MIN_PNG_SIDE**2:
        raise InvalidRequest("This is more than one PNG holds.", "End the path in .pdf.")
    return min(int(pixels**0.5), MAX_SIDE)


def _groups(grid: Grid, abreast: int) -> Iterator[list[Sequence[_Cell]]]:
    """Yield lines that must stay on one page: pictures, and above the first its headings."""
    for rows in grid.section_ranges() if grid.flows else [[r] for r in range(len(grid.rows))]:
        lines = [[label(grid.axes[2], grid.sections[rows[0]])]] if grid.begins(rows[0]) else []
        lines += [] if grid.flows else [[label(grid.axes[1], grid.rows[rows[0]])]]
        places = [[x for r in rows for x in _cells(grid, r, c)] for c in range(len(grid.columns))]
        for at in range(0, max(map(len, places)), abreast):
            padded = ([*place[at : at + abreast], *[""] * abreast] for place in places)
            yield [*lines, [cell for place in padded for cell in place[:abreast]]]
            lines = []


def _cells(grid: Grid, r: int, c: int) -> Sequence[_Cell]:
    heading = [clip(label(grid.axes[1], grid.rows[r]), 90)] if grid.flows else []
    return [e._replace(facts=[*heading, *e.facts]) for e in grid.entries(r, c)] or ["not run"]


def _line(cells: Sequence[_Cell], side: int, across: int) -> Image.Image:
    """Draw cells of equal width side by side."""
    gap = side // 20
    step = across * (side + gap) // len(cells)
    with ThreadPoolExecutor() as pool:  # Pillow releases the GIL while it decodes
        drawn = list(pool.map(partial(_drawn, side, step - gap), cells))
    height = max(cell.height for cell in drawn) + gap
    line = Image.new("RGB", (across * (side + gap) + gap, height), "white")
    for i, cell in enumerate(drawn):
        line.paste(cell, (gap + i * step, gap // 2))
    return line


def _drawn(side: int, width: int, cell: _Cell) -> Image.Image:
    if isinstance(cell, str):
        return _written(cell, side, width, INK)
    shown, well = _shown(cell, side), Image.new("RGB", (side, side), WELL)
    well.paste(shown, ((side - shown.width) // 2, (side - shown.height) // 2))
    return _stacked([well, _written(" · ".join(cell.facts), side, side, SOFT)])


def _stacked(pictures: Sequence[Image.Image], min_height: int = 0) -> Image.Image:
    tops = [*accumulate((picture.height for picture in pictures), initial=0)]
    canvas = Image.new("RGB", (pictures[0].width, max(tops[-1], min_height)), "white")
    for picture, top in zip(pictures, tops, strict=False):
        canvas.paste(picture, (0, top))
    return canvas


def _shown(entry: Entry, side: int) -> Image.Image:
    """Return the picture, or a text that says why there is none."""
    card, media, *_ = entry
    reason = [state(card), entry_problem(card)]
    if media is not None:
        name = Path(media.path).name if media.path else media.problem or "not on this disk"
        reason = [media.kind, dimensions(media.width, media.height), name]
    try:
        if media and media.path and media.kind == "image":
            return opened(media.path, side)
    except ModellixError as error:
        reason = [error.message]  # without the hint, which has its path on this disk
    except OSError:
        reason = ["The file cannot be read."]
    ink = BAD if is_problem(card) else INK
    return _written(" · ".join(filter(None, reason)), side, side - side // 10, ink, WELL)


def _written(text: str, side: int, width: int, ink: str, ground: str = "white") -> Image.Image:
    """Draw a text in lines of a given width, in the font that has most of its characters."""
    text, size = " ".join(plain(clip(text, 400)).split()), max(side // 21, 9)
    font = max(_fonts(size), key=lambda f: len({bytes(f.getmask(x)) for x in {*text, NO_LETTER}}))
    lines = list(islice(_lines(text, font, width), MAX_LINES + 1))
    if len(lines) > MAX_LINES:
        shorter = _lines(lines[MAX_LINES - 1], font, width - font.getlength("…"))
        lines[MAX_LINES - 1 :] = [f"{next(shorter)}…"]
    picture = Image.new("RGB", (width, round(max(len(lines), 1) * size * 1.5)), ground)
    ImageDraw.Draw(picture).multiline_text((0, size // 6), "\n".join(lines), ink, font)
    return picture


def _lines(text: str, font: ImageFont.FreeTypeFont, width: float) -> Iterator[str]:
    """Break a text into lines at its spaces; without a space, as in Chinese, anywhere."""
    while text:
        sizes = range(1, len(text) + 1)
        end = max(bisect_right(sizes, width, key=lambda n: font.getlength(text[:n])), 1)
        space = text.rfind(" ", 0, end + 1)
        end = space if space > 0 and end < len(text) else end
        yield text[:end]
        text = text[end:].lstrip()


@cache
def _fonts(size: int) -> list[ImageFont.FreeTypeFont]:
    """Return Pillow's own font, and those of FONTS that this system has."""
    found = [ImageFont.load_default(size)]
    for name in FONTS:
        with suppress(OSError):
            found.append(ImageFont.truetype(name, size))
    return found  # type: ignore[return-value]  # FreeType is in every wheel
