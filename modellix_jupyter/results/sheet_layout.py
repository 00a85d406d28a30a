"""The geometry of a contact sheet: blocks with a height, each of which draws itself."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.results.text_layout import face_for, font_for, wrapped
from modellix_jupyter.storage.thumbnails import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL.Image import Image as Picture
    from PIL.ImageDraw import ImageDraw

PAGE, INK, SOFT, LINE, WELL, BAD = (
    "#ffffff",
    "#16181d",
    "#5c6370",
    "#e0e1e4",
    "#f2f2f0",
    "#b42328",
)
MOST_ABREAST = 6
"""Pictures of one line at most, unless there are more columns."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a sheet, or words in its place.

    Parameters
    ----------
    path
        The original; None where there is none.
    lines
        What stands below.
    state
        In place of a picture: what became of it, in a word or two.
    problem
        Why, in a sentence; both are for where there is no picture, or it cannot be read.
    failed
        Whether the state is a bad one.
    plays
        Whether it is a video or a sound.

    """

    path: str | None
    lines: tuple[str, ...]
    state: str = ""
    problem: str = ""
    failed: bool = False
    plays: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One heading of a sheet, and for each column the entries that stand below it.

    Parameters
    ----------
    heading
        Empty where there is none.
    places
        One for each column, with none, one or several entries.
    section
        The heading of the section that begins with this row; empty where none does.

    """

    heading: str
    places: tuple[tuple[Entry, ...], ...]
    section: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is drawn.

    Parameters
    ----------
    title
        Lines at the top; the first is the largest.
    columns
        The headings across.
    rows
        From the top down.

    """

    title: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def abreast(self) -> int:
        """How many entries of one place stand side by side."""
        most = max((len(place) for row in self.rows for place in row.places), default=1)
        return min(max(most, 1), max(MOST_ABREAST // max(len(self.columns), 1), 1))

    @property
    def across(self) -> int:
        """How many pictures a line has."""
        return self.abreast * max(len(self.columns), 1)

    def texts(self) -> Iterator[str]:
        """Yield all that is written on it."""
        yield from (*self.title, *self.columns)
        for row in self.rows:
            yield from (row.heading, row.section)
            for entry in (entry for place in row.places for entry in place):
                yield from (*entry.lines, entry.state, entry.problem)


class Block(NamedTuple):
    """A strip of a sheet over its whole width.

    Parameters
    ----------
    height
        In pixels.
    draw
        Draws it on a canvas, from a height on.
    holds_on
        Whether the next block must be on the same page.

    """

    height: int
    draw: Callable[[Picture, int], None]
    holds_on: bool = False


class _Look(NamedTuple):
    """How a text is set: its size as a multiple of a caption's, its colour, its weight."""

    scale: float
    colour: str
    bold: bool = False


_CAPTION, _ROW, _TITLE = _Look(1, SOFT), _Look(1.05, INK), _Look(1.3, INK)
_COLUMN, _STATE, _REASON = _Look(1.08, INK, bold=True), _Look(1.1, INK, bold=True), _Look(1, INK)
_FAILURE = _Look(1.1, BAD, bold=True)


class Layout:
    """A sheet for pictures of a given size.

    Parameters
    ----------
    sheet
        What is drawn.
    side
        Of the square that each picture has to fit in, in pixels.

    """

    def __init__(self, sheet: Sheet, side: int) -> None:
        self.sheet = sheet
        self.side = side
        self.face = face_for(sheet.texts())
        self.text = max(round(side * 0.038) + 4, 9)
        self.leading = round(self.text * 1.38)
        self.gap = max(side // 22, 4)
        self.margin = max(side // 9, 10)
        self.width = sheet.across * (side + self.gap) - self.gap + 2 * self.margin

    @property
    def inner(self) -> int:
        """The width between the margins."""
        return self.width - 2 * self.margin

    def title(self) -> Block:
        """Return what stands once, at the very top."""
        looks = [_TITLE, *[_CAPTION] * len(self.sheet.title)]
        parts = [
            _Text(self, line, look, self.inner)
            for line, look in zip(self.sheet.title, looks, strict=False)
        ]
        return self._stacked(parts, self.gap)

    def head(self) -> Block:
        """Return the headings of the columns, with a line below; it is repeated on each page."""
        room = self._column - self.gap
        parts = [_Text(self, name, _COLUMN, room) for name in self.sheet.columns]
        height = max((part.height for part in parts), default=0) + self.gap

        def draw(canvas: Picture, top: int) -> None:
            for place, part in enumerate(parts):
                part.draw(canvas, self.margin + place * self._column, top)
            self._rule(canvas, top + height - self.gap // 2, LINE)

        return Block(height, draw, holds_on=True)

    def rows(self) -> Iterator[Block]:
        """Yield sections, headings and lines of pictures, from the top down."""
        for place, row in enumerate(self.sheet.rows):
            if row.section:
                above = 0 if place == 0 else self.gap * 2
                yield self._heading(row.section, _TITLE, above, line=True)
            if row.heading:
                yield self._heading(row.heading, _ROW, self.gap // 2)
            yield from self._lines(row)

    def _heading(self, text: str, look: _Look, above: int, *, line: bool = False) -> Block:
        part = _Text(self, text, look, self.inner)
        height = above + part.height + self.gap // 2

        def draw(canvas: Picture, top: int) -> None:
            part.draw(canvas, self.margin, top + above)
            if line:
                self._rule(canvas, top + height - self.gap // 4, INK)

        return Block(height, draw, holds_on=True)

    def _lines(self, row: Row) -> Iterator[Block]:
        """Yield as many lines of pictures as the fullest place of the row needs."""
        abreast = self.sheet.abreast
        most = max((len(place) for place in row.places), default=0)
        for start in range(0, max(most, 1), abreast):
            cells = [
                _Cell(self, entry, column * abreast + slot)
                for column, place in enumerate(row.places)
                for slot, entry in enumerate(place[start : start + abreast])
            ]
            yield self._line(cells)

    def _line(self, cells: list[_Cell]) -> Block:
        below = max((cell.caption.height for cell in cells), default=0)
        height = self.side + self.gap // 3 + below + self.gap

        def draw(canvas: Picture, top: int) -> None:
            # Pillow lets go of Python's lock while it decodes: as many originals as processors
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                for cell, picture in zip(cells, pool.map(_Cell.picture, cells), strict=True):
                    cell.draw(canvas, top, picture)

        return Block(height, draw)

    def _stacked(self, parts: list[_Text], below: int) -> Block:
        height = sum(part.height for part in parts) + below

        def draw(canvas: Picture, top: int) -> None:
            for part in parts:
                part.draw(canvas, self.margin, top)
                top += part.height

        return Block(height if parts else 0, draw, holds_on=True)

    @property
    def _column(self) -> int:
        return self.sheet.abreast * (self.side + self.gap)

    def _rule(self, canvas: Picture, y: int, colour: str) -> None:
        right = self.width - self.margin
        _pen(canvas).line([(self.margin, y), (right, y)], colour, max(self.side // 300, 1))


class _Text:
    """A text, wrapped to a width."""

    def __init__(self, layout: Layout, text: str, look: _Look, width: float, most: int = 3) -> None:
        size = round(layout.text * look.scale)
        self._font = font_for(text, size, layout.face)
        self._lines = wrapped(text, self._font, width, most)
        self._leading = round(size * 1.38)
        self._colour = look.colour
        # Pillow's font has one weight; a second stroke beside the first makes it heavier.
        self._strokes = (0, max(size // 26, 1)) if look.bold else (0,)
        self.height = self._leading * len(self._lines)

    def draw(self, canvas: Picture, left: int, top: int) -> None:
        """Write it on a canvas."""
        pen = _pen(canvas)
        for place, line in enumerate(self._lines):
            for stroke in self._strokes:
                at = (left + stroke, top + place * self._leading)
                pen.text(at, line, fill=self._colour, font=self._font)


class _Cell:
    """One entry in its place on a line."""

    def __init__(self, layout: Layout, entry: Entry, slot: int) -> None:
        self._layout = layout
        self._entry = entry
        self._left = layout.margin + slot * (layout.side + layout.gap)

    @cached_property
    def caption(self) -> _Text:
        """The words below."""
        text = "\n".join(self._entry.lines)
        return _Text(self._layout, text, _CAPTION, self._layout.side, 4)

    def picture(self) -> Picture | ModellixError | None:
        """Return its picture, made small; one that cannot be read is a problem like any other."""
        if self._entry.path is None:
            return None
        try:
            return opened(self._entry.path, self._layout.side)
        except ModellixError as error:
            return error

    def draw(self, canvas: Picture, top: int, picture: Picture | ModellixError | None) -> None:
        """Draw it, with what `picture` returned."""
        side, entry = self._layout.side, self._entry
        if picture is None:
            self._words(canvas, top, entry.state, entry.problem)
        elif isinstance(picture, ModellixError):
            self._words(canvas, top, entry.state or "no picture", picture.message)
        else:
            self._picture(canvas, top, picture)
        self.caption.draw(canvas, self._left, top + side + self._layout.gap // 3)

    def _picture(self, canvas: Picture, top: int, picture: Picture) -> None:
        from PIL import Image, ImageDraw

        side, radius = self._layout.side, max(self._layout.side // 40, 2)
        self._box(canvas, top, fill=WELL)
        mask = Image.new("L", picture.size)
        corners = [0, 0, picture.width - 1, picture.height - 1]
        ImageDraw.Draw(mask).rounded_rectangle(corners, radius, fill=255)
        at = self._left + (side - picture.width) // 2, top + (side - picture.height) // 2
        canvas.paste(picture, at, mask)

    def _words(self, canvas: Picture, top: int, state: str, problem: str) -> None:
        layout, failed = self._layout, self._entry.failed
        self._box(canvas, top, fill=None if failed else WELL, outline=BAD if failed else None)
        inset = layout.gap
        room = layout.side - 2 * inset
        head = _Text(layout, state, _FAILURE if failed else _STATE, room, 2)
        most = max((room - head.height) // layout.leading, 1)
        head.draw(canvas, self._left + inset, top + inset)
        why = _Text(layout, problem, _REASON, room, most)
        why.draw(canvas, self._left + inset, top + inset + head.height)
        if self._entry.plays:
            self._triangle(canvas, top)

    def _triangle(self, canvas: Picture, top: int) -> None:
        """Draw the sign of what is played, which a sheet cannot show."""
        size = self._layout.side // 12
        x, y = self._left + self._layout.side // 2, top + self._layout.side * 5 // 8
        _pen(canvas).polygon([(x - size, y - size), (x - size, y + size), (x + size, y)], fill=SOFT)

    def _box(
        self, canvas: Picture, top: int, *, fill: str | None = None, outline: str | None = None
    ) -> None:
        side = self._layout.side
        corners = [self._left, top, self._left + side - 1, top + side - 1]
        _pen(canvas).rounded_rectangle(corners, max(side // 40, 2), fill, outline)


def _pen(canvas: Picture) -> ImageDraw:
    from PIL import ImageDraw

    return ImageDraw.Draw(canvas)
