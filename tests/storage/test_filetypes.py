"""What a file is, by its first bytes alone."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modellix_jupyter.storage import filetypes
from modellix_jupyter.storage.filetypes import Kind, contradicts, sniff

HEADS = [
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", filetypes.PNG),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", filetypes.JPEG),
    (b"RIFF\x24\0\0\0WEBPVP8 ", filetypes.WEBP),
    (b"GIF87a\x01\0", filetypes.GIF),
    (b"GIF89a\x01\0", filetypes.GIF),
    (b"\0\0\0\x1cftypavif", filetypes.AVIF),
    (b"\0\0\0\x1cftypavis", filetypes.AVIF),
    (b"BM\x36\0", filetypes.BMP),
    (b"II*\0\x08\0", filetypes.TIFF),
    (b"MM\0*\0\x08", filetypes.TIFF),
    (b"\0\0\0\x18ftypisom", filetypes.MP4),
    (b"\0\0\0\x18ftypmp42", filetypes.MP4),
    (b"\0\0\0\x14ftypqt  ", filetypes.MOV),
    (b"\x1aE\xdf\xa3\x9fB\x86", filetypes.WEBM),
    (b"RIFF\x24\0\0\0WAVEfmt ", filetypes.WAV),
    (b"ID3\x04\0", filetypes.MP3),
    (b"\xff\xfb\x90\x64", filetypes.MP3),
    (b"\xff\xf3\x40\xc0", filetypes.MP3),
    (b"\0\0\0\x1cftypM4A ", filetypes.M4A),
    (b"OggS\0\x02", filetypes.OGG),
    (b"fLaC\0\0\0\x22", filetypes.FLAC),
    (b"", filetypes.OTHER),
    (b"\x89PNG", filetypes.OTHER),
    (b"RIFF\x24\0\0\0AVI LIST", filetypes.AVI),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", filetypes.HEIC),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", filetypes.HEIC),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", filetypes.AVIF),
    (b"\0\0\0\x1cftypM4B ", filetypes.M4A),
    (b"\xff\xe3\x18\xc4", filetypes.MP3),
    (b"\xff\xf1\x50\x80", filetypes.OTHER),  # AAC, whose layer is another
    (b"\xff\xff\xff\xff", filetypes.OTHER),
    (b"<!doctype html>", filetypes.OTHER),
    (b"<svg xmlns=", filetypes.SVG),
    (b"%PDF-1.7", filetypes.OTHER),
    (b"PK\x03\x04", filetypes.OTHER),
    (b"MZ\x90\0", filetypes.OTHER),
    (b"\x7fELF", filetypes.OTHER),
    (b"#!/bin/sh", filetypes.OTHER),
    (b" \x89PNG\r\n\x1a\n", filetypes.OTHER),
]


@pytest.mark.parametrize(("head", "kind"), HEADS, ids=lambda v: repr(v)[:30])
def test_the_first_bytes_say_what_it_is(head: bytes, kind: Kind) -> None:
    assert sniff(head) is kind
    assert sniff(head + b"\0" * 100) is kind


@settings(deadline=None)  # no test depends on how fast it runs
@given(st.binary(max_size=filetypes.SNIFFED))
def test_any_bytes_are_of_some_kind(head: bytes) -> None:
    kind = sniff(head)
    assert kind.ending.isalnum()
    assert kind.type in {"image", "video", "audio", "file"}


def test_every_signature_lies_within_what_is_looked_at() -> None:
    assert max(len(head) for head, _ in HEADS) <= filetypes.SNIFFED


@pytest.mark.parametrize(
    ("claimed", "found", "wrong"),
    [
        ("image", filetypes.PNG, False),
        ("image", filetypes.OTHER, False),
        ("image", filetypes.MP4, True),
        ("image", filetypes.WAV, True),
        ("video", filetypes.MP4, False),
        ("video", filetypes.GIF, False),
        ("video", filetypes.OTHER, False),
        ("video", filetypes.MP3, True),
        ("video", filetypes.OGG, False),
        ("audio", filetypes.MP3, False),
        ("audio", filetypes.MP4, False),
        ("audio", filetypes.PNG, True),
        ("audio", filetypes.OTHER, False),
        (None, filetypes.OTHER, False),
        ("model", filetypes.OTHER, False),
        ("text/html", filetypes.PNG, False),
    ],
)
def test_a_claim_is_checked_against_what_was_found(
    claimed: str | None, found: Kind, *, wrong: bool
) -> None:
    assert contradicts(claimed, found) is wrong


SVG_BEGINNINGS = [
    b'<?xml version="1.0" encoding="utf-8"?>\n<svg xmlns="http://www.w3.org/2000/svg">',
    b"\xef\xbb\xbf<svg>",
    b"\r\n\t <svg/>",
    b'<?xml version="1.0"?><!-- made\nby a model --><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG">',
    b"<!-- " + b"x" * 2000 + b" --><svg:svg>",
    "\ufeff<?xml version='1.0'?><svg>".encode("utf-16-le"),
]


@pytest.mark.parametrize("head", SVG_BEGINNINGS)
def test_an_svg_may_begin_with_more_than_its_element(head: bytes) -> None:
    assert sniff(head) is filetypes.SVG


MESSAGES = [
    b"<!doctype html><title>Sign in</title>",
    b"\n<HTML lang=en>",
    b"\xef\xbb\xbf<!-- a hotel --> <html>",
    "<html><title>\u767b\u5f55".encode("gbk"),
    "\ufeff<html>".encode("utf-16-le"),
    b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>',
    b"<Error/>",
    b'{"code": 500}',
    b" {\n}",
    b'[{"error": 1}]',
    b"[]",
    b"error code: 1015",
    b"Zu viele Anfragen f\xc3\xbcr heute\n",
    "\ufeffzu viele".encode("utf-16-le"),
]


@pytest.mark.parametrize("head", MESSAGES)
@pytest.mark.parametrize("claimed", ["image", "video", "audio"])
def test_what_a_server_says_instead_of_a_file_contradicts(claimed: str, head: bytes) -> None:
    assert sniff(head) is filetypes.OTHER
    assert contradicts(claimed, filetypes.OTHER, head)
    assert not contradicts(None, filetypes.OTHER, head)


RARE = [
    ("image", "psd", b"8BPS\0\x01" + b"\0" * 50, "psd"),
    ("image", "X-ICON", b"\0\0\1\0\1\0", "ico"),
    ("audio", "aac", b"\xff\xf1\x50\x80", "aac"),
    ("audio", "x-aiff", b"FORM\0\0\1\0AIFFCOMM", "aiff"),
    ("audio", "pcm", b"{\0\x1f\0[\0<\0\xff\xff", "pcm"),
    ("audio", "mpeg", b"\xff\xe3\x18\xc4", "mp3"),
    ("video", "avi", b"RIFF\x24\0\0\0AVI LIST", "avi"),
    ("video", "quicktime", b"\0\0\0\x08wide\0\0\0\0mdat", "mov"),
    ("image", "svg", b"<!-- " + b"x" * 5000, "svg.txt"),
    ("image", None, b"8BPS\0\x01", "bin"),
    ("image", "png", b"8BPS\0\x01", "bin"),
    ("image", "html", b"8BPS\0\x01", "bin"),
    ("image", "../../x", b"8BPS\0\x01", "bin"),
    (None, "psd", b"8BPS\0\x01", "bin"),
    ("text", None, b"hello", "txt"),
    ("text", "html", b"<p>hello", "txt"),
    ("image", "psd", b"\x89PNG\r\n\x1a\n", "png"),
]


@pytest.mark.parametrize(("claimed", "form", "head", "ending"), RARE)
def test_a_file_of_no_known_kind_has_the_ending_of_a_claim_that_may_be_true(
    claimed: str | None, form: str | None, head: bytes, ending: str
) -> None:
    assert not contradicts(claimed, sniff(head), head)
    assert filetypes.ending(claimed, form, sniff(head)) == ending


@settings(deadline=None)  # no test depends on how fast it runs
@given(st.binary(max_size=100) | st.text(alphabet="<!-svg ?{[").map(str.encode))
def test_any_bytes_are_a_message_or_not(head: bytes) -> None:
    assert contradicts("image", filetypes.OTHER, head) in {True, False}


def box(name: bytes, content: bytes = b"", *, wide: bool = False) -> bytes:
    length = len(content) + (16 if wide else 8)
    if wide:
        return (1).to_bytes(4) + name + length.to_bytes(8) + content
    return length.to_bytes(4) + name + content


def riff(form: bytes, content: bytes, stated: int | None = None) -> bytes:
    size = len(content) + 4 if stated is None else stated
    return b"RIFF" + size.to_bytes(4, "little") + form + content


MP4 = box(b"ftyp", b"mp42\0\0\0\0mp42") + box(b"moov", b"x" * 90) + box(b"mdat", b"x" * 900)
WIDE = box(b"ftyp", b"isom") + box(b"mdat", b"x" * 900, wide=True) + box(b"moov", b"x" * 90)
WAV = riff(b"WAVE", b"fmt " + b"x" * 900)
ENDLESS = [
    box(b"ftyp", b"mp42") + b"\0" * 500,
    box(b"ftyp", b"mp42") + box(b"moov") + b"\0\0\0\0mdat" + b"x" * 900,
    MP4 + b"padding of somebody's",
    riff(b"WAVE", b"x" * 900, 0xFFFF_FFFF),
    riff(b"WAVE", b"x" * 900, 0),
    WAV[:-1],  # a byte of padding that was left out
    b"OggS" + b"x" * 90,
    box(b"ftyp", b"mp42") + b"".join(box(b"free") for _ in range(20_000)),
]


def is_cut(data: bytes) -> bool:
    return filetypes.ends_too_soon(BytesIO(data), len(data))


@pytest.mark.parametrize("data", [MP4, WIDE, WAV, *ENDLESS])
def test_a_whole_file_is_taken_for_one(data: bytes) -> None:
    assert not is_cut(data)


@pytest.mark.parametrize("data", [MP4, WIDE, WAV, riff(b"WEBP", b"x" * 900)])
@pytest.mark.parametrize("share", [0.33, 0.66, 0.95])
def test_a_file_that_is_shorter_than_it_says_is_cut_off(data: bytes, share: float) -> None:
    assert is_cut(data[: int(len(data) * share)])


def test_a_film_that_is_cut_before_its_index_is_cut_off() -> None:
    assert is_cut(WIDE[: -len(box(b"moov", b"x" * 90))])


@settings(deadline=None)  # no test depends on how fast it runs
@given(st.binary(max_size=60))
def test_any_bytes_are_cut_off_or_not(rest: bytes) -> None:
    for begin in (b"RIFF", b"\0\0\0\x08ftyp", b""):
        assert is_cut(begin + rest) in {True, False}
