"""Films: frames in a WebM file, with nothing but Pillow.

A lossy WebP picture holds one VP8 key frame, and a WebM film may consist of nothing but VP8 key
frames; so the film is the pictures' payloads in a Matroska container. The identifiers of the
elements are those of RFC 9559.
"""

import struct
from collections.abc import Iterator, Sequence

from modellix_jupyter.sandbox_server.drawing import Artwork, film

FRAMES_PER_SECOND = 12
#: Frames that are drawn at most; a longer film repeats them, as the painters' motion is a loop.
_LOOP = 48

_EBML, _SEGMENT, _INFO, _TRACKS, _CUES, _CLUSTER = (
    bytes.fromhex(code)
    for code in ("1a45dfa3", "18538067", "1549a966", "1654ae6b", "1c53bb6b", "1f43b675")
)


def webm(artwork: Artwork, source: bytes | None = None) -> bytes:
    """Draw a film.

    Parameters
    ----------
    artwork
        What to draw, for how many seconds.
    source
        The file of the picture to begin from, if it is at hand.

    Returns
    -------
    bytes
        A WebM file with one VP8 track.
    """
    total = artwork.seconds * FRAMES_PER_SECOND
    loop = [_vp8(frame) for frame in film(artwork, min(total, _LOOP), source)]
    frames = [loop[number % len(loop)] for number in range(total)]
    return mux(frames, artwork.width, artwork.height)


def mux(frames: Sequence[bytes], width: int, height: int) -> bytes:
    """Put VP8 key frames into a container.

    Parameters
    ----------
    frames
        The payloads, `FRAMES_PER_SECOND` of them for each second.
    width, height
        In pixels.

    Returns
    -------
    bytes
        A WebM file whose sizes are all known and whose every second can be sought.
    """
    head = _info(len(frames)) + _tracks(width, height)
    clusters = list(_clusters(frames))
    # The index comes first so that a player can seek at once; its numbers have a fixed width,
    # so its own length does not depend on the positions it lists.
    ahead = len(head) + len(_cues([0] * len(clusters)))
    positions = [ahead + sum(map(len, clusters[:number])) for number in range(len(clusters))]
    body = head + _cues(positions) + b"".join(clusters)
    return _header() + _element(_SEGMENT, body)


def _vp8(webp: bytes) -> bytes:
    """Return the VP8 key frame inside a lossy WebP file."""
    place = 12
    while webp[place : place + 4] != b"VP8 ":
        size = int.from_bytes(webp[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    size = int.from_bytes(webp[place + 4 : place + 8], "little")
    return webp[place + 8 : place + 8 + size]


def _element(code: bytes | str, content: bytes) -> bytes:
    """Return one element; its length is written in eight bytes, the first of which says so."""
    identifier = bytes.fromhex(code) if isinstance(code, str) else code
    return identifier + (1 << 56 | len(content)).to_bytes(8, "big") + content


def _number(code: str, value: int, width: int = 4) -> bytes:
    """Return an element that holds an unsigned integer."""
    return _element(code, value.to_bytes(width, "big"))


def _header() -> bytes:
    """Return the element that says which format this is."""
    return _element(
        _EBML,
        _number("4286", 1, 1)
        + _number("42f7", 1, 1)
        + _number("42f2", 4, 1)
        + _number("42f3", 8, 1)
        + _element("4282", b"webm")
        + _number("4287", 4, 1)
        + _number("4285", 2, 1),
    )


def _info(frames: int) -> bytes:
    """Return the length of the film; times are in milliseconds (1 000 000 ns)."""
    duration = struct.pack(">d", frames * 1000 / FRAMES_PER_SECOND)
    name = b"modellix sandbox"
    return _element(
        _INFO,
        _number("2ad7b1", 1_000_000)
        + _element("4489", duration)
        + _element("4d80", name)
        + _element("5741", name),
    )


def _tracks(width: int, height: int) -> bytes:
    """Return the description of the only track."""
    picture = _element("e0", _number("b0", width) + _number("ba", height))
    frame = _number("23e383", 1_000_000_000 // FRAMES_PER_SECOND)
    codec = _element("86", b"V_VP8")
    about = _number("d7", 1, 1) + _number("73c5", 1, 1) + _number("83", 1, 1) + codec
    return _element(_TRACKS, _element("ae", about + frame + picture))


def _cues(positions: Sequence[int]) -> bytes:
    """Return the index: where in the segment each second's cluster begins."""
    points = b"".join(
        _element(
            "bb",
            _number("b3", second * 1000)
            + _element("b7", _number("f7", 1, 1) + _number("f1", position, 8)),
        )
        for second, position in enumerate(positions)
    )
    return _element(_CUES, points)


def _clusters(frames: Sequence[bytes]) -> Iterator[bytes]:
    """Yield one cluster for each second."""
    key_frame = 0x80
    for start in range(0, len(frames), FRAMES_PER_SECOND):
        blocks = [_number("e7", start * 1000 // FRAMES_PER_SECOND)]
        for place, frame in enumerate(frames[start : start + FRAMES_PER_SECOND]):
            since = round(place * 1000 / FRAMES_PER_SECOND)
            # Track 1 as a one-byte number, then the time within the cluster.
            blocks.append(_element("a3", struct.pack(">BhB", 0x81, since, key_frame) + frame))
        yield _element(_CLUSTER, b"".join(blocks))
