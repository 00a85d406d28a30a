"""Downloaded files in bounded parts, as a page asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.storage import filetypes
from modellix_jupyter.storage.files import local_copy

if TYPE_CHECKING:
    from modellix_jupyter.values import Resource

# Of one part: read from a disk and sent in a few milliseconds, and hundreds make a long video.
PART_BYTES = 2 * 1024 * 1024


class Part(NamedTuple):
    """Some bytes of a file, how many it has, and what it is by its own first bytes."""

    data: bytes
    size: int
    mime: str


def read_part(resource: Resource, start: int) -> Part:
    """Return the bytes of a downloaded file from a place on, `PART_BYTES` at most.

    Raises
    ------
    ModellixError
        There is no file, it cannot be read, or it is none that a page may show.

    """
    if resource.path is None:
        raise ModellixError(resource.problem or "This file was not downloaded.")
    try:
        path = local_copy(resource.path)
        with path.open("rb") as file:
            kind = filetypes.sniff(file.read(filetypes.SNIFFED))
            size = file.seek(0, 2)
            file.seek(min(start, size))
            part = file.read(PART_BYTES)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it cannot be opened"
        raise ModellixError(f"The file {resource.path} cannot be read: {why}.") from error
    # a page would run the scripts of an SVG
    if kind is filetypes.SVG or kind.type not in {"image", "video", "audio"}:
        raise ModellixError("A page cannot show this kind of file.", f"It is {resource.path}.")
    return Part(part, size, kind.mime)
