"""What a file is, by its first bytes; what the server calls it is a claim.

By hand rather than by a library of file types: a dozen signatures, where the libraries bring
hundreds, and each accepted type is one that a notebook can show.
"""

from __future__ import annotations

from dataclasses import dataclass

SNIFFED = 64
"""Bytes that `sniff` looks at."""


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
UNDECODED = frozenset({HEIC, JXL, SVG})
"""Pictures that Pillow alone does not decode: they were paid for, so they are kept unopened."""
_MP3_SYNC = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")


def sniff(head: bytes) -> Kind:
    """Return the kind of a file by its first `SNIFFED` bytes; `OTHER` where none is known."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], OTHER)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], MP4)
    if head[:2] in _MP3_SYNC:
        return MP3
    return next((kind for prefix, kind in _PREFIXES if head.startswith(prefix)), OTHER)


def contradicts(claimed: str | None, found: Kind) -> bool:
    """Whether a file is not what its answer claimed: a picture that is a web page, say.

    Only pictures, videos and sounds are claims that can be checked.
    """
    if claimed not in {"image", "video", "audio"}:
        return False
    # an animated picture is a common form of "video", and a film without pictures of "audio"
    allowed = {
        "image": {"image"},
        "video": {"video", "image"},
        "audio": {"audio", "video"},
    }[claimed]
    return found.type not in allowed
