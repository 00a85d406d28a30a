"""A contact sheet: what was compared on one PNG, or on the pages of a PDF, from the originals.

One original is decoded at a time, and one page is held: the memory does not grow with the tasks.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.sheet_layout import PAGE, SOFT, Block, Entry, Layout, Row, Sheet
from modellix_jupyter.results.text_layout import font_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL.Image import Image as Picture

__all__ = ["Entry", "Row", "Sheet", "write_sheet"]

MAX_PIXELS = 40_000_000
"""Of one canvas: 120 MB while it is drawn."""
SIDES = (640, 512, 448, 384, 320, 256, 224, 192, 160, 128, 112, 96, 80)
"""Of a picture on a PNG, the best first; smaller ones show nothing."""

DPI = 200
A4 = (1654, 2339)
"""Width and height in pixels at that resolution."""
PORTRAIT = 4
"""Pictures of a line up to which a page stands upright."""
PDF_SIDES = (150, 700)
"""The least and the most of a picture on a page; many columns make a wider page instead."""


def write_sheet(sheet: Sheet, path: str | Path) -> Path:
    """Write a contact sheet, whole or not at all.

    Parameters
    ----------
    sheet
        What is on it.
    path
        It ends in ``.png`` or ``.pdf``; folders that are missing are made.

    Raises
    ------
    InvalidRequest
        For another ending, a place that cannot be written, or more than one PNG holds.

    """
    target = Path(path).expanduser()
    draw = {".png": _write_png, ".pdf": _write_pdf}.get(target.suffix.lower())
    if draw is None:
        raise InvalidRequest(
            f"A contact sheet cannot be written to {target.name!r}.",
            "End the path in .png or .pdf.",
        )
    part = target.with_name(f".{uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draw(sheet, part)
        part.replace(target)
    except OSError as error:
        told = error.strerror or str(error)
        raise InvalidRequest(f"{target} cannot be written: {told}.", "Choose another.") from error
    finally:
        with suppress(OSError):  # the write's own error is the one to tell
            part.unlink(missing_ok=True)
    return target


def _write_png(sheet: Sheet, part: Path) -> None:
    layout, blocks = _for_png(sheet)
    canvas = _drawn(layout.width, _height(blocks) + 2 * layout.margin, layout.margin, blocks)
    canvas.save(part, "PNG", optimize=False, compress_level=6)


def _for_png(sheet: Sheet) -> tuple[Layout, list[Block]]:
    for side in SIDES:
        layout = Layout(sheet, side)
        if layout.width * side * len(sheet.rows) > MAX_PIXELS:
            continue  # without its words it is too large already
        blocks = [layout.title(), layout.head(), *layout.rows()]
        if layout.width * (_height(blocks) + 2 * layout.margin) <= MAX_PIXELS:
            return layout, blocks
    raise InvalidRequest("This is more than one PNG holds.", "End the path in .pdf.")


def _height(blocks: Iterable[Block]) -> int:
    return sum(block.height for block in blocks)


def _drawn(width: int, height: int, top: int, blocks: Iterable[Block]) -> Picture:
    from PIL import Image

    canvas = Image.new("RGB", (width, height), PAGE)
    for block in blocks:
        block.draw(canvas, top)
        top += block.height
    return canvas


def _write_pdf(sheet: Sheet, part: Path) -> None:
    layout, least = _for_pdf(sheet)
    pages = _pages(layout, least - 2 * layout.margin)
    for number, blocks in enumerate(pages, start=1):
        height = max(least, _height(blocks) + 2 * layout.margin)
        canvas = _drawn(layout.width, height, layout.margin, blocks)
        if len(pages) > 1:
            _number(canvas, layout, f"{number} / {len(pages)}")
        # Page after page into the file: a list of pages would hold all of them at once.
        look = {"resolution": DPI, "quality": 90, "title": sheet.title[0] if sheet.title else ""}
        canvas.save(part, "PDF", append=number > 1, **look)


def _for_pdf(sheet: Sheet) -> tuple[Layout, int]:
    """Return the layout, and the height of a page at least."""
    width, height = A4 if sheet.across <= PORTRAIT else (A4[1], A4[0])
    least, most = PDF_SIDES
    side = most
    while side > least and Layout(sheet, side).width > width:
        side -= 2
    layout = Layout(sheet, side)
    # A page keeps its shape where it had to become wider.
    return layout, max(height, height * layout.width // width)


def _pages(layout: Layout, room: int) -> list[list[Block]]:
    """Return the blocks of each page; a heading goes on with what it heads."""
    head = layout.head()
    pages = [[layout.title(), head]]
    for group in _groups(layout.rows()):
        used = _height(pages[-1])
        if used + _height(group) > room and len(pages[-1]) > (2 if len(pages) == 1 else 1):
            pages.append([head])
        pages[-1] += group
    return pages


def _groups(blocks: Iterable[Block]) -> Iterable[list[Block]]:
    group: list[Block] = []
    for block in blocks:
        group.append(block)
        if not block.holds_on:
            yield group
            group = []
    if group:
        yield group


def _number(canvas: Picture, layout: Layout, text: str) -> None:
    from PIL import ImageDraw

    font = font_for(text, layout.text, layout.face)
    left = layout.width - layout.margin - font.getlength(text)
    top = canvas.height - layout.margin * 2 // 3
    ImageDraw.Draw(canvas).text((left, top), text, fill=SOFT, font=font)
