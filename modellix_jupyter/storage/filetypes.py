"""Detect the type of a file by its first bytes; the type that the server states is only a claim.

Written by hand, without a library of file types: a dozen signatures instead of the hundreds of such
a library, and each accepted type is one that a notebook can show.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# Bytes that `sniff` reads: an SVG may begin with a declaration and comments.
SNIFFED = 4096


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of file; `decoder` is Pillow's name for the format of a picture that is decoded."""

    type: str
    ending: str
    mime: str
    decoder: str = ""


PNG = Kind("image", "png", "image/png", "PNG")
JPEG = Kind("image", "jpg", "image/jpeg", "JPEG")
WEBP = Kind("image", "webp", "image/webp", "WEBP")
GIF = Kind("image", "gif", "image/gif", "GIF")
AVIF = Kind("image", "avif", "image/avif", "AVIF")
BMP = Kind("image", "bmp", "image/bmp", "BMP")
TIFF = Kind("image", "tif", "image/tiff", "TIFF")
HEIC = Kind("image", "heic", "image/heic")
JXL = Kind("image", "jxl", "image/jxl")
SVG = Kind("image", "svg", "image/svg+xml")
MP4 = Kind("video", "mp4", "video/mp4")
MOV = Kind("video", "mov", "video/quicktime")
WEBM = Kind("video", "webm", "video/webm")
AVI = Kind("video", "avi", "video/x-msvideo")
WAV = Kind("audio", "wav", "audio/wav")
MP3 = Kind("audio", "mp3", "audio/mpeg")
M4A = Kind("audio", "m4a", "audio/mp4")
OGG = Kind("audio", "ogg", "audio/ogg")
FLAC = Kind("audio", "flac", "audio/flac")
OTHER = Kind("file", "bin", "application/octet-stream")

_PREFIXES = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"\xff\x0a", JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", JXL),
    (b"<svg", SVG),
    (b"\x1aE\xdf\xa3", WEBM),
    (b"OggS", OGG),
    (b"fLaC", FLAC),
    (b"ID3", MP3),
)
_RIFF = {b"WEBP": WEBP, b"WAVE": WAV, b"AVI ": AVI}
_BRANDS = {b"avif": AVIF, b"avis": AVIF, b"qt  ": MOV, b"M4A ": M4A, b"M4B ": M4A}
_BRANDS |= dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), HEIC)
# Brands that only say "a picture"; the brands that follow say of which coding.
_ANY_PICTURE = {b"mif1", b"msf1"}
# The types that browsers play; QuickTime and AVI are linked.
PLAYED = frozenset({MP4, WEBM, WAV, MP3, M4A, OGG, FLAC})

# "video" is often an animated picture, and "audio" a video file without pictures
_ALLOWED = {"image": {"image"}, "video": {"video", "image"}, "audio": {"audio", "video"}}
# The claimed types that can be checked.
CHECKED = frozenset(_ALLOWED)
# Endings by claimed type, for formats without a signature above or with variants that it does not
# cover: the ending, and after a slash the other names of its format.
_FORMATS = {
    "text": "txt/plain/text md/markdown json srt vtt csv",
    "document": "pdf json txt/plain",
    "image": "psd/vnd.adobe.photoshop/x-photoshop ico/x-icon/vnd.microsoft.icon svg.txt/svg/svg+xml"
    " exr/x-exr hdr/vnd.radiance tga/x-tga jp2/jpeg2000",
    "video": "avi/x-msvideo/vnd.avi mov/quicktime mpg/mpeg ts/mp2t flv/x-flv wmv/x-ms-wmv",
    "audio": "aac/aacp/x-aac aiff/aif/x-aiff mp3/mpeg/x-mpeg pcm/raw/l16 amr wma/x-ms-wma",
}
_CLAIMS = {
    claim: {name: each.partition("/")[0] for each in formats.split() for name in each.split("/")}
    for claim, formats in _FORMATS.items()
}

_CONTROLS = re.compile(r"[\0-\b\x0e-\x1a\x1c-\x1f]")
# what may precede the first element, except the document type: that tells the kind
_PROLOGUE = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)+", re.DOTALL)
_OPEN = ("<!--", "<?")
_SVG_ROOT = re.compile(r"<(?:[\w.-]+:)?svg\b|<!doctype\s+svg\b", re.IGNORECASE)
_MARKUP = re.compile(r"<!doctype\b|<[a-z_][\w:.-]*(?:[\s/>]|$)", re.IGNORECASE)
_JSON = re.compile(r"""\{\s*(?:["}]|$)|\[\s*(?:[\[\]{"\d-]|true|false|null|$)""")


def head_of(path: Path) -> bytes:
    """Return the first `SNIFFED` bytes of a file."""
    with path.open("rb") as file:
        return file.read(SNIFFED)


def sniff(head: bytes) -> Kind:
    """Return the kind of a file by its first `SNIFFED` bytes; `OTHER` if it is unknown."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], OTHER)
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if _is_mp3_frame(head):
        return MP3
    found = next((kind for prefix, kind in _PREFIXES if head.startswith(prefix)), OTHER)
    return SVG if found is OTHER and _SVG_ROOT.match(_words(head)) else found


def _by_brand(head: bytes) -> Kind:
    """Return the kind of an MP4 or a related format, by its brand or the brands that follow."""
    brand = head[8:12]
    if brand not in _ANY_PICTURE:
        return _BRANDS.get(brand, MP4)
    others = head[16 : max(16, int.from_bytes(head[:4]))]
    return AVIF if b"avif" in others or b"avis" in others else HEIC


def _is_mp3_frame(head: bytes) -> bool:
    """Whether this begins with a frame of layer III: sync, layer, and no reserved value."""
    if len(head) < 3 or head[0] != 0xFF:  # noqa: PLR2004 - a frame's header
        return False
    sync_and_layer, version = head[1] & 0xE6 == 0xE2, head[1] >> 3 & 3  # noqa: PLR2004 - as above
    return sync_and_layer and version != 1 and head[2] >> 4 != 0xF and head[2] >> 2 & 3 != 3  # noqa: PLR2004 - as above


def contradicts(claimed: str | None, found: Kind, head: bytes = b"") -> bool:
    """Whether a file is not of the claimed type: for example, a picture that is a web page.

    Only the claims picture, video and sound can be checked. A file of unknown kind was paid for and
    may have a rare format, so it contradicts only if it is a text, which a server sends instead of
    a file.

    Parameters
    ----------
    claimed
        The type in the response.
    found
        The result of `sniff`.
    head
        The first `SNIFFED` bytes of the file.

    """
    if claimed not in _ALLOWED:
        return False
    if found is OTHER:
        return _is_message(head)
    if found is OGG and claimed == "video":  # its signature is the same for films
        return False
    return found.type not in _ALLOWED[claimed]


def ending(claimed: str | None, form: str | None, found: Kind) -> str:
    """Return the ending for a file: by its kind, else by a claim that may be true, else bin.

    Parameters
    ----------
    claimed, form
        Type and format in the response; untrusted, so they only choose one of our endings.
    found
        The result of `sniff`.

    """
    if found is SVG:
        return f"{SVG.ending}.txt"  # a browser that opens it must not run the script in it
    if found is not OTHER:
        return found.ending
    unnamed = "txt" if claimed == "text" else OTHER.ending
    return _CLAIMS.get(claimed or "", {}).get((form or "").lower(), unnamed)


def _is_message(head: bytes) -> bool:
    """Whether the bytes are a server's message: a page, JSON, plain text, or XML but not SVG."""
    words = _words(head)
    if _MARKUP.match(words) or _JSON.match(words):
        return True
    if words.startswith(_OPEN) and len(head) >= SNIFFED:  # an SVG may follow a long comment
        return False
    return bool(words) and _is_text(head)


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head[:SNIFFED])
    except UnicodeDecodeError:
        return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return True


def _words(head: bytes) -> str:
    """Return a text from its first element or word on; empty if the bytes are not a text."""
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    text = head[:SNIFFED].decode(encoding, "replace").removeprefix("\ufeff")
    if _CONTROLS.search(text):
        return ""
    prologue = _PROLOGUE.match(text)
    return text[prologue.end() :] if prologue else text


# A RIFF file that was streamed states no true size: 0, or about the maximum and above.
_STREAMED = (0, 0x7FFF_0000)
# The types of the top-level boxes of a file.
_BOXES = frozenset(
    b"ftyp moov mdat moof meta free skip wide uuid sidx styp mfra emsg prft pdin ssix udta pnot"
    b" idat junk".split()
)
_MAX_BOXES = 10_000


def ends_too_soon(file: BinaryIO, size: int) -> bool:
    """Whether a WAV, WebP, AVI, MP4 or QuickTime file is shorter than it states."""
    head = file.read(12)
    if head[:4] == b"RIFF":
        stated = int.from_bytes(head[4:8], "little")
        # the last byte may be padding, which some writers omit
        return _STREAMED[0] < stated < _STREAMED[1] and stated + 8 > size + 1
    return head[4:8] == b"ftyp" and _boxes_end_too_soon(file, size)


def _boxes_end_too_soon(file: BinaryIO, size: int) -> bool:
    position, seen = 0, set[bytes]()
    for _ in range(_MAX_BOXES):
        if position > size:
            return True
        file.seek(position)
        head = file.read(16)
        name, length = head[4:8], int.from_bytes(head[:4])
        if length == 1:  # the length follows in 64 bits
            length = int.from_bytes(head[8:16])
        if length < 8 or name not in _BOXES:  # noqa: PLR2004 - a box's header
            break  # the end, or not a box; a length of 0 means the rest of the file
        seen.add(name)
        position += length
    # media data without a box that tells how to read them
    return b"mdat" in seen and not seen & {b"moov", b"moof", b"meta"}
