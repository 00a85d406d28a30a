"""What a file is, by its first bytes; what the server calls it is a claim.

By hand rather than by a library of file types: a dozen signatures, where the libraries bring
hundreds, and each accepted type is one that a notebook can show.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

# Bytes that `sniff` looks at: an SVG may begin with a declaration and comments.
SNIFFED = 4096


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of file: ``image/png`` has type ``image`` and ending ``png``."""

    type: str
    ending: str
    mime: str


PNG = Kind("image", "png", "image/png")
JPEG = Kind("image", "jpg", "image/jpeg")
WEBP = Kind("image", "webp", "image/webp")
GIF = Kind("image", "gif", "image/gif")
AVIF = Kind("image", "avif", "image/avif")
BMP = Kind("image", "bmp", "image/bmp")
TIFF = Kind("image", "tif", "image/tiff")
HEIC = Kind("image", "heic", "image/heic")
JXL = Kind("image", "jxl", "image/jxl")
SVG = Kind("image", "svg", "image/svg+xml")
MP4 = Kind("video", "mp4", "video/mp4")
MOV = Kind("video", "mov", "video/quicktime")
WEBM = Kind("video", "webm", "video/webm")
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
_RIFF = {b"WEBP": WEBP, b"WAVE": WAV}
_BRANDS = {b"avif": AVIF, b"avis": AVIF, b"qt  ": MOV, b"M4A ": M4A}
_BRANDS |= dict.fromkeys((b"heic", b"heix", b"mif1", b"msf1"), HEIC)
# Pictures that Pillow alone does not decode: they were paid for, so they are kept unopened.
UNDECODED = frozenset({HEIC, JXL, SVG})
_MP3_SYNC = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")

# an animated picture is a common form of "video", and a film without pictures of "audio"
_ALLOWED = {"image": {"image"}, "video": {"video", "image"}, "audio": {"audio", "video"}}
# Endings by claim, for formats with no signature above or with forms that it does not cover.
_CLAIMS = {
    "image": {
        **dict.fromkeys(("psd", "vnd.adobe.photoshop", "x-photoshop"), "psd"),
        **dict.fromkeys(("ico", "x-icon", "vnd.microsoft.icon"), "ico"),
        **dict.fromkeys(("svg", "svg+xml"), "svg"),
        **dict.fromkeys(("exr", "x-exr"), "exr"),
        **dict.fromkeys(("hdr", "vnd.radiance"), "hdr"),
        **dict.fromkeys(("tga", "x-tga"), "tga"),
        **dict.fromkeys(("jp2", "jpeg2000"), "jp2"),
    },
    "video": {
        **dict.fromkeys(("avi", "x-msvideo", "vnd.avi"), "avi"),
        **dict.fromkeys(("mov", "quicktime"), "mov"),
        **dict.fromkeys(("mpg", "mpeg"), "mpg"),
        **dict.fromkeys(("ts", "mp2t"), "ts"),
        **dict.fromkeys(("flv", "x-flv"), "flv"),
        **dict.fromkeys(("wmv", "x-ms-wmv"), "wmv"),
    },
    "audio": {
        **dict.fromkeys(("aac", "aacp", "x-aac"), "aac"),
        **dict.fromkeys(("aiff", "aif", "x-aiff"), "aiff"),
        **dict.fromkeys(("mp3", "mpeg", "x-mpeg"), "mp3"),
        **dict.fromkeys(("pcm", "raw", "l16"), "pcm"),
        "amr": "amr",
        **dict.fromkeys(("wma", "x-ms-wma"), "wma"),
    },
}

_CONTROLS = re.compile(r"[\0-\b\x0e-\x1a\x1c-\x1f]")
# what may stand before the first element, but for the document type: that says what it is
_PROLOGUE = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)+", re.DOTALL)
_SVG_ROOT = re.compile(r"<(?:[\w.-]+:)?svg\b|<!doctype\s+svg\b", re.IGNORECASE)
_MARKUP = re.compile(r"<!doctype\b|<[a-z_][\w:.-]*(?:[\s/>]|$)", re.IGNORECASE)
_JSON = re.compile(r"""\{\s*(?:["}]|$)|\[\s*(?:[\[\]{"\d-]|true|false|null|$)""")


def sniff(head: bytes) -> Kind:
    """Return the kind of a file by its first `SNIFFED` bytes; `OTHER` where none is known."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], OTHER)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], MP4)
    if head[:2] in _MP3_SYNC:
        return MP3
    found = next((kind for prefix, kind in _PREFIXES if head.startswith(prefix)), OTHER)
    return SVG if found is OTHER and _SVG_ROOT.match(_words(head)) else found


def contradicts(claimed: str | None, found: Kind, head: bytes = b"") -> bool:
    """Whether a file is not what its answer claimed: a picture that is a web page, say.

    Only pictures, videos and sounds are claims that can be checked. A file of no known kind was
    paid for and may be a rare format, so it contradicts only where it is what a server says
    instead of a file.

    Parameters
    ----------
    claimed
        The type in the answer.
    found
        What `sniff` says.
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
    """Return the ending for a file: of what it is, else of a claim that may be true, else bin.

    Parameters
    ----------
    claimed, form
        Type and format in the answer; untrusted, so they only choose among endings of ours.
    found
        What `sniff` says.

    """
    if found is not OTHER:
        return found.ending
    return _CLAIMS.get(claimed or "", {}).get((form or "").lower(), OTHER.ending)


def _is_message(head: bytes) -> bool:
    """Whether these are words of a server: a page, JSON, or an XML document that is no SVG."""
    words = _words(head)
    return bool(_MARKUP.match(words) or _JSON.match(words))


def _words(head: bytes) -> str:
    """Return a text from its first element or word on; nothing where the bytes are no text."""
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    text = head[:SNIFFED].decode(encoding, "replace").removeprefix("\ufeff")
    if _CONTROLS.search(text):
        return ""
    prologue = _PROLOGUE.match(text)
    return text[prologue.end() :] if prologue else text
