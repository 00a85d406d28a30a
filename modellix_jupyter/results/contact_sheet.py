"""A grid drawn on one PNG or on the pages of a PDF, from the downloaded originals.

One line of originals is decoded at a time and one page is held, so memory does not grow with tasks.
"""

from __future__ import annotations

import textwrap
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from modellix_jupyter.errors import InvalidRequest, ModellixError
from modellix_jupyter.html.formatting import clip, dimensions, is_problem, state
from modellix_jupyter.html.grid import entries, entry_problem, label
from modellix_jupyter.html.markup import plain
from modellix_jupyter.results.table_files import replacing
from modellix_jupyter.storage.thumbnails import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image as Picture
    from PIL.ImageFont import FreeTypeFont

    from modellix_jupyter.html.grid import Grid
    from modellix_jupyter.values import Card, Media

INK, SOFT, WELL, BAD = "#16181d", "#5c6370", "#f2f2f0", "#b42328"
MAX_PIXELS = 40_000_000  # of a PNG: 120 MB while it is drawn
MIN_PNG_SIDE, MAX_PNG_SIDE = 80, 640  # of a picture
PDF_WIDTH, PDF_RATIO, PDF_DPI = 1654, 2**0.5, 200  # A4
MIN_PDF_SIDE, MAX_PDF_SIDE = 150, 700  # of a picture; many columns make a wider page
MAX_ABREAST = 6  # pictures in a line, unless there are more columns
# Pillow's own font has few letters; these are where Linux, macOS and Windows keep more.
FONTS = ["DejaVuSans.ttf", "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "PingFang.ttc"]
FONTS += ["Hiragino Sans GB.ttc", "msyh.ttc", "wqy-zenhei.ttc", "wqy-microhei.ttc", "arial.ttf"]
NO_LETTER = "\U0010fffe"  # no font has it, so it is drawn as the sign for a missing letter


class _Cell(NamedTuple):
    """A text; with a reason, it stands below a box with the picture, or else with the reason."""

    text: str
    column: int = 0
    span: int = 0  # columns; 0 is the whole width
    path: str | None = None
    reason: str = ""
    failed: bool = False


_Line = list[_Cell]


def save_sheet(grid: Grid, path: str | Path) -> Path:
    """Write a grid as a contact sheet, whole or not at all; the ending chooses PNG or PDF."""
    target = Path(path).expanduser()
    write = {".png": _write_png, ".pdf": _write_pdf}.get(target.suffix.lower())
    if write is None:
        raise InvalidRequest(
            f"A contact sheet cannot be written to {target.name!r}.",
            "End the path in .png or .pdf.",
        )
    with replacing(target) as part:
        write(grid, part)
    return target


def _write_png(grid: Grid, part: Path) -> None:
    side = MAX_PNG_SIDE
    while side >= MIN_PNG_SIDE:
        sheet = _Sheet(grid, side)
        pixels = sheet.width * sheet.height(sheet.lines)
        if pixels <= MAX_PIXELS:
            return sheet.drawn(sheet.lines).save(part, "PNG")
        side = int(side * min((MAX_PIXELS / pixels) ** 0.5, 0.97))
    raise InvalidRequest("This is more than one PNG holds.", "End the path in .pdf.")


def _write_pdf(grid: Grid, part: Path) -> None:
    side = int(PDF_WIDTH / (max(_abreast(grid) * len(grid.columns), 1) * 1.05 + 0.05))
    sheet = _Sheet(grid, min(max(side, MIN_PDF_SIDE), MAX_PDF_SIDE))
    height, pages = int(sheet.width * PDF_RATIO), [sheet.head]
    for group in sheet.groups:
        if pages[-1] is not sheet.head and sheet.height([*pages[-1], *group]) > height:
            pages.append(sheet.head[-1:])  # the names of the columns
        pages[-1] = [*pages[-1], *group]
    for number, lines in enumerate(pages):
        # Page by page, since Pillow would hold all pages of a list at once.
        page = sheet.drawn(lines, height)
        page.save(part, "PDF", append=number > 0, resolution=PDF_DPI, quality=90)


class _Sheet:
    """A grid laid out for pictures of a given side in pixels."""

    def __init__(self, grid: Grid, side: int) -> None:
        self._side, self._gap = side, side // 20
        abreast = _abreast(grid)
        self.width = max(abreast * len(grid.columns), 1) * (side + self._gap) + self._gap
        shared = [label(*pair) for pair in reversed(grid.common)]
        names = [_clean(label(grid.axes[0], name)) for name in grid.columns]
        columns = [_Cell(name, c * abreast, abreast) for c, name in enumerate(names)]
        self.head = [*([_Cell(_clean(text))] for text in (*shared, grid.facts)), columns]
        self.groups = list(_groups(grid, abreast))
        self.lines = [*self.head, *(line for group in self.groups for line in group)]
        texts = {text for line in self.lines for cell in line for text in (cell.text, cell.reason)}
        self._face = _face("".join(sorted(set("…").union(*texts))))

    def height(self, lines: Sequence[_Line]) -> int:
        return sum(map(self._line_height, lines)) + self._gap

    def _line_height(self, line: _Line) -> int:
        height = 0
        for cell in line:
            text, font = self._text(cell)
            box = self._side + self._gap if cell.reason else 0
            height = max(height, box + round((text.count("\n") + 1) * font.size * 1.4))
        return height + self._gap

    def _text(self, cell: _Cell) -> tuple[str, FreeTypeFont]:
        """Return the text of a cell in lines, and its font."""
        font = _font(self._face, max(self._side // (23 if cell.reason else 19), 9))
        width = cell.span * (self._side + self._gap) or self.width
        return wrap(cell.text, font, width - self._gap, 3), font

    def drawn(self, lines: Sequence[_Line], min_height: int = 0) -> Picture:
        size = (self.width, max(self.height(lines), min_height))
        canvas, top = Image.new("RGB", size, "white"), self._gap
        for line in lines:
            with ThreadPoolExecutor() as pool:  # Pillow releases the interpreter while it decodes
                for cell, picture in zip(line, pool.map(self._picture, line), strict=True):
                    self._draw(canvas, cell, picture, top)
            top += self._line_height(line)
        return canvas

    def _picture(self, cell: _Cell) -> Picture | str:
        try:
            return cell.reason if cell.path is None else opened(cell.path, self._side)
        except ModellixError as error:
            return error.message
        except OSError:
            return "The file cannot be read."

    def _draw(self, canvas: Picture, cell: _Cell, picture: Picture | str, top: int) -> None:
        pen, side, gap = ImageDraw.Draw(canvas), self._side, self._gap
        caption, font = self._text(cell)
        left = gap + cell.column * (side + gap)
        if cell.reason:
            pen.rectangle((left, top, left + side - 1, top + side - 1), WELL)
            if isinstance(picture, str):
                text, ink = wrap(picture, font, side - 2 * gap, 8), BAD if cell.failed else INK
                pen.multiline_text((left + gap, top + gap), text, ink, font)
            else:
                x, y = (side - picture.width) // 2, (side - picture.height) // 2
                canvas.paste(picture, (left + x, top + y))
            top += side + gap // 3
        pen.multiline_text((left, top), caption, SOFT if cell.reason else INK, font)


def _abreast(grid: Grid) -> int:
    """Return how many pictures of one cell of the grid are drawn side by side."""
    most = max(map(len, grid.section_ranges())) if grid.flows else grid.abreast
    return max(min(most, MAX_ABREAST // max(len(grid.columns), 1)), 1)


def _groups(grid: Grid, abreast: int) -> Iterator[list[_Line]]:
    """Yield what must stay on one page: headings with the first line of pictures below them."""
    together = grid.section_ranges() if grid.flows else [[r] for r in range(len(grid.rows))]
    for rows in together:
        section = [label(grid.axes[2], grid.sections[rows[0]])] if grid.begins(rows[0]) else []
        row = [] if grid.flows else [label(grid.axes[1], grid.rows[rows[0]])]
        headings = [[_Cell(_clean(text))] for text in (*section, *row)]
        places = [[x for r in rows for x in _cells(grid, r, c)] for c in range(len(grid.columns))]
        for at in range(0, max(map(len, places)), abreast):
            pictures = [
                cell._replace(column=c * abreast + i, span=1)
                for c, place in enumerate(places)
                for i, cell in enumerate(place[at : at + abreast])
            ]
            yield [*headings, pictures] if at == 0 else [pictures]


def _cells(grid: Grid, r: int, c: int) -> list[_Cell]:
    heading = [clip(label(grid.axes[1], grid.rows[r]), 90)] if grid.flows else []
    return [
        _Cell(
            _clean(" · ".join([*heading, *facts])),
            path=media.path if media and media.kind == "image" else None,
            reason=_clean(_reason(card, media)),
            failed=is_problem(card),
        )
        for card, media, facts, _ in entries(grid.cells.get((r, c), ()), grid.captions)
    ] or [_Cell("", reason="not run")]


def _reason(card: Card, media: Media | None) -> str:
    """Return the text in place of a picture that cannot be drawn."""
    if media is None:
        return ": ".join(part for part in (state(card), entry_problem(card)) if part)
    if media.path is None:
        return media.problem or "It is not on this disk."
    facts = (media.kind, dimensions(media.width, media.height), Path(media.path).name)
    return " · ".join(fact for fact in facts if fact)


def _clean(text: str) -> str:
    return plain(clip(text, 400))


def wrap(text: str, font: FreeTypeFont, width: float, max_lines: int) -> str:
    """Return the text in lines of about a width in pixels, by the mean width of its letters."""
    letters = int(0.93 * width * len(text) / max(font.getlength(text), 1))
    return textwrap.fill(text, max(letters, 1), max_lines=max_lines, placeholder="…")


@lru_cache(maxsize=16)
def _face(letters: str) -> str:
    """Return the name of the font that misses the fewest letters; "" is Pillow's own."""
    return min(("", *FONTS), key=lambda name: _missing(name, letters))


def _missing(name: str, letters: str) -> int:
    try:
        font = _font(name, 24)
    except OSError:  # the system does not have this font
        return len(letters) + 1
    blank = bytes(font.getmask(NO_LETTER))
    return sum(bytes(font.getmask(one)) == blank for one in letters if not one.isspace())


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> FreeTypeFont:
    if name:
        return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)  # type: ignore[return-value]  # FreeType is in every wheel
