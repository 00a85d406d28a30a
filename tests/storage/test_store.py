"""Results come home whole, within bounds, under names of ours, or not at all."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Never

import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from modellix_jupyter.errors import DownloadError
from modellix_jupyter.storage import filetypes, pictures
from modellix_jupyter.storage.files import MIB, Files
from modellix_jupyter.storage.store import Limits, Store
from modellix_jupyter.storage.thumbnails import embed
from modellix_jupyter.values import Request, Resource, Status, Task

ROOMY = Limits(file_bytes=10 * MIB, task_bytes=20 * MIB, files=10)


def picture(form: str = "PNG", size: tuple[int, int] = (64, 48)) -> bytes:
    out = BytesIO()
    noise = Image.effect_noise(size, 80).convert("RGB")  # so that every format needs many bytes
    noise.save(out, form)
    return out.getvalue()


def bomb() -> bytes:
    """Return the head of a PNG that claims far more pixels than anybody should open."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
        )

    side = (60_000).to_bytes(4, "big")
    header = chunk(b"IHDR", side + side + b"\x08\x02\0\0\0")
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def a_task(*resources: Resource, model: str = "a/b", uid: str = "0123456789abcdef") -> Task:
    return Task(
        uid=uid,
        batch="b",
        origin="o",
        request=Request(model, "a cat"),
        status=Status.SUCCESS,
        created_at=1_800_000_000_000_000,
        resources=resources or (Resource(url="https://files.test/x", type="image"),),
    )


async def in_pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        await asyncio.sleep(0)
        yield data[start : start + size]


@pytest.fixture
def folder(home: Path) -> Path:
    return home / "files"


def save(
    folder: Path,
    data: bytes,
    task: Task | None = None,
    *,
    place: int = 0,
    limits: Limits = ROOMY,
    claimed: int | None = None,
) -> Resource:
    store = Store(Files(folder.parent), limits)
    return asyncio.run(store.save(task or a_task(), place, in_pieces(data), claimed))


def save_again(folder: Path, data: bytes, task: Task) -> Resource:
    """Save what is of no known kind, or has faults: it has to come twice."""
    store = Store(Files(folder.parent), ROOMY)

    async def both() -> Resource:
        with suppress(DownloadError):
            await store.save(task, 0, in_pieces(data), None)
        return await store.save(task, 0, in_pieces(data), None)

    return asyncio.run(both())


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def refused(folder: Path, data: bytes, *args: object, **options: object) -> DownloadError:
    """Return why nothing was saved, and nothing was left."""
    with pytest.raises(DownloadError) as caught:
        save(folder, data, *args, **options)  # type: ignore[arg-type]  # handed on
    assert left_in(folder) == []
    return caught.value


# -- what goes well


@pytest.mark.parametrize(
    ("form", "ending"),
    [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp")],
)
def test_a_picture_comes_home_whole(folder: Path, form: str, ending: str) -> None:
    data = picture(form)
    task = a_task(Resource(url="u", type="image", width=1, height=1, format="lie", problem="old"))
    saved = save(folder, data, task)
    assert saved.path is not None
    path = Path(saved.path)
    assert path.is_absolute()
    assert path.parent == folder / "2027-01-15"
    assert path.name == f"a-b-0123456789ab-1.{ending}"
    assert path.read_bytes() == data
    assert left_in(folder) == [path]
    assert (saved.width, saved.height, saved.size) == (64, 48, len(data))
    assert saved.format == form.lower()
    assert saved.problem is None


@pytest.mark.parametrize(
    ("head", "claimed", "kind", "form", "ending"),
    [
        (b"\0\0\0\x18ftypmp42", "video", "video", "mp4", "mp4"),
        (b"\0\0\0\x18ftypmp42", "audio", "audio", "mp4", "mp4"),
        (b"ID3\x04", None, "audio", "mp3", "mp3"),
        (b"%PDF-1.7", None, None, None, "bin"),
        (b"glTF", "model", "model", None, "bin"),
        (b"<html>", None, None, None, "bin"),
    ],
)
def test_other_files_are_kept_as_they_are(
    folder: Path, head: bytes, claimed: str | None, kind: str | None, form: str | None, ending: str
) -> None:
    data = head + b"\0" * 500
    saved = save(folder, data, a_task(Resource(url="u", type=claimed)))
    assert (saved.type, saved.format) == (kind, form)
    assert saved.path is not None
    assert saved.path.endswith(f".{ending}")
    assert Path(saved.path).read_bytes() == data


@pytest.mark.parametrize(
    ("head", "claimed", "form", "ending"),
    [
        (b"8BPS\0\x01", "image", "psd", "psd"),
        (b"\xff\xf1\x50\x80", "audio", "aac", "aac"),
        (b"RIFF\x24\0\0\0AVI LIST", "video", None, "avi"),
        (b"OggS\0\x02", "video", "ogg", "ogg"),
    ],
)
def test_a_rare_format_was_paid_for_and_is_kept_but_not_shown(
    folder: Path, head: bytes, claimed: str, form: str | None, ending: str
) -> None:
    data = head + b"\0" * 500
    saved = save_again(folder, data, a_task(Resource(url="u", type=claimed, format=form)))
    assert saved.type == claimed
    assert Path(saved.path or "").suffix == f".{ending}"
    assert Path(saved.path or "").read_bytes() == data
    shown = embed(saved)
    assert (shown.kind, shown.src, shown.problem) == ("link", None, None)


def test_an_svg_with_a_declaration_is_kept_and_not_shown_as_markup(folder: Path) -> None:
    data = b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg onload='alert(1)'/>"
    saved = save(folder, data)
    assert (saved.format, Path(saved.path or "").suffixes) == ("svg", [".svg", ".txt"])
    assert (embed(saved).kind, embed(saved).src) == ("link", None)


def test_a_picture_of_no_claimed_type_is_found_to_be_one(folder: Path) -> None:
    saved = save(folder, picture(), a_task(Resource(url="u")))
    assert (saved.type, saved.format) == ("image", "png")


def test_files_of_a_task_have_names_of_their_own(folder: Path) -> None:
    task = a_task(Resource(url="u1"), Resource(url="u2"))
    names = {save(folder, picture(), task, place=i).path for i in range(2)}
    assert len(names) == 2


def test_a_second_download_takes_the_place_of_the_first(folder: Path) -> None:
    first = save(folder, picture(size=(32, 32)))
    second = save(folder, picture(size=(16, 16)))
    assert first.path == second.path
    assert len(left_in(folder)) == 1


# -- names come from us


HOSTILE = [
    "../../etc/passwd",
    "..",
    "/absolute/path",
    "a/../../b",
    "a\\..\\b",
    "C:\\windows/x",
    "a/b\0c",
    "a/b\nc",
    ".hidden/x",
    "a/" + "long" * 100,
    "a/\u202egnp.exe",
    "ünï/cödé",
    "con/nul",
    "a/b;rm -rf $HOME",
    "",
]


@pytest.mark.parametrize("model", HOSTILE)
@pytest.mark.parametrize("form", ["../../x", "exe", "png/../../y", None])
def test_nothing_hostile_reaches_a_name(folder: Path, model: str, form: str | None) -> None:
    task = a_task(Resource(url="https://x/../../evil.sh", type="image", format=form), model=model)
    saved = save(folder, picture(), task)
    assert saved.path is not None
    path = Path(saved.path)
    assert path.resolve().is_relative_to(folder.resolve())
    assert path.parent == folder / "2027-01-15"
    assert path.suffix == ".png"
    assert not path.name.startswith(".")
    assert len(path.name) < 120
    assert all(c.isascii() and (c.isalnum() or c in "._-") for c in path.name)
    assert left_in(folder) == [path]


# -- bounds


def is_blocked(error: DownloadError, setting: str) -> bool:
    """Whether it is the user who can change it: the file is not lost for it."""
    return error.blocked and not error.final and setting in error.hint


def test_a_file_up_to_its_bound_is_taken_and_not_a_byte_more(folder: Path) -> None:
    data = picture()
    exact = Limits(file_bytes=len(data), task_bytes=20 * MIB, files=10)
    assert save(folder, data, limits=exact, claimed=len(data)).size == len(data)
    for path in left_in(folder):
        path.unlink()
    tight = Limits(file_bytes=len(data) - 1, task_bytes=20 * MIB, files=10)
    assert is_blocked(refused(folder, data, limits=tight), "max_file_mb")
    assert is_blocked(refused(folder, data, limits=tight, claimed=len(data)), "max_file_mb")


def test_a_claimed_size_above_the_bound_reads_nothing(folder: Path) -> None:
    read: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"x"

    store = Store(Files(folder.parent), ROOMY)
    with pytest.raises(DownloadError, match="larger than the 10 MiB"):
        asyncio.run(store.save(a_task(), 0, chunks(), 10 * MIB + 1))
    assert read == []
    assert not folder.exists()


def test_a_stream_without_end_is_cut_at_the_bound(folder: Path) -> None:
    produced = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal produced
        while True:
            produced += 1
            yield b"\0" * 10_000

    store = Store(Files(folder.parent), Limits(file_bytes=100_000, task_bytes=MIB, files=1))
    with pytest.raises(DownloadError):
        asyncio.run(store.save(a_task(), 0, endless(), None))
    assert produced == 11
    assert left_in(folder) == []


def test_the_files_of_a_task_have_a_bound_together(folder: Path) -> None:
    data = picture()
    limits = Limits(file_bytes=MIB, task_bytes=2 * len(data), files=10)
    task = a_task(Resource(url="u1", size=len(data)), Resource(url="u2"))
    assert save(folder, data, task, place=1, limits=limits).size == len(data)
    for path in left_in(folder):
        path.unlink()
    fuller = a_task(Resource(url="u1", size=len(data) + 1), Resource(url="u2"))
    assert is_blocked(refused(folder, data, fuller, place=1, limits=limits), "max_file_mb")
    full = a_task(Resource(url="u1", size=5 * MIB), Resource(url="u2"))
    assert refused(folder, data, full, place=1, limits=limits, claimed=1).blocked


def test_a_task_has_no_more_files_than_allowed(folder: Path) -> None:
    task = a_task(*(Resource(url=f"u{i}") for i in range(3)))
    limits = Limits(file_bytes=MIB, task_bytes=MIB, files=2)
    assert save(folder, picture(), task, place=1, limits=limits).path
    for path in left_in(folder):
        path.unlink()
    error = refused(folder, picture(), task, place=2, limits=limits)
    assert "more than the 2 files" in error.message
    assert is_blocked(error, "max_files")


# -- content


@pytest.mark.parametrize("claimed", ["image", "video", "audio"])
def test_a_page_is_not_a_result(folder: Path, claimed: str) -> None:
    page = b"<!doctype html><title>Sign in to the hotel's network</title>" * 20
    error = refused(folder, page, a_task(Resource(url="u", type=claimed)))
    assert f"claims to be {claimed}" in error.message
    assert not error.final  # the network may be a better one later


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_picture_that_is_cut_short_is_not_kept(folder: Path, form: str, share: float) -> None:
    data = picture(form, (200, 200))
    error = refused(folder, data[: int(len(data) * share)])
    assert not error.final


def test_a_whole_png_is_not_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PngImageFile, "load", lambda _: pytest.fail("it was decoded"))
    assert save(folder, picture()).width == 64


def wrong_checksum(data: bytes, name: bytes) -> bytes:
    at = data.index(name) - 4
    end = at + 8 + int.from_bytes(data[at : at + 4])
    return data[:end] + b"none" + data[end + 4 :]


TEXT = b"\0\0\0\x03tEXta\0bnone"


@pytest.mark.parametrize(
    "odd",
    [
        lambda png: png[:-12],  # without its last chunk
        lambda png: png[:-12] + TEXT + png[-12:],
        lambda png: wrong_checksum(png, b"IDAT"),
    ],
)
def test_a_png_with_faults_of_its_encoder_is_kept_where_it_comes_again_and_decodes(
    folder: Path, odd: Callable[[bytes], bytes]
) -> None:
    saved = save_again(folder, odd(picture()), a_task())
    assert (saved.width, saved.height, saved.problem) == (64, 48, None)


def test_a_text_is_not_kept_as_a_picture_however_often_it_comes(folder: Path) -> None:
    for _ in range(3):
        assert not refused(folder, b"error code: 1015").final


def test_unknown_bytes_are_asked_for_again_and_kept_where_they_are_the_same(folder: Path) -> None:
    data, store = b"\0\x01\x02" * 90, Store(Files(folder.parent), ROOMY)
    for other in (data, b"\0\x03" * 90):
        with pytest.raises(DownloadError, match="of a known type") as caught:
            asyncio.run(store.save(a_task(), 0, in_pieces(other), None))
        assert not caught.value.final
    assert left_in(folder) == []
    saved = asyncio.run(store.save(a_task(), 0, in_pieces(data), None))
    assert Path(saved.path or "").read_bytes() == data
    assert saved.size == len(data)


def test_a_gzip_coded_picture_is_decoded(folder: Path) -> None:
    data = picture()
    saved = save(folder, gzip.compress(data))
    assert (Path(saved.path or "").suffix, saved.size) == (".png", len(data))
    assert Path(saved.path or "").read_bytes() == data
    assert left_in(folder) == [Path(saved.path or "")]
    kept = save(folder, gzip.compress(b"a mesh"), a_task(Resource(url="u", type="model")))
    assert Path(kept.path or "").read_bytes()[:2] == b"\x1f\x8b"


def test_a_gzip_coded_picture_that_is_cut_off_or_a_bomb_is_not_kept(folder: Path) -> None:
    assert not refused(folder, gzip.compress(picture())[:-20]).final
    limits = Limits(file_bytes=MIB, task_bytes=MIB, files=1)
    assert refused(folder, gzip.compress(bytes(MIB + 1)), limits=limits).blocked


@pytest.mark.parametrize(
    ("claimed", "data"),
    [
        ("audio", b"RIFF" + (5000).to_bytes(4, "little") + b"WAVEfmt " + b"\0" * 1600),
        ("video", b"\0\0\0\x10ftypmp42\0\0\0\0\0\0\x20\0mdat" + b"x" * 2000),
    ],
)
def test_a_sound_or_film_that_is_cut_off_is_not_kept(
    folder: Path, claimed: str, data: bytes
) -> None:
    error = refused(folder, data, a_task(Resource(url="u", type=claimed)))
    assert "cut off" in error.message
    assert not error.final


def large_picture() -> bytes:
    out = BytesIO()
    Image.new("L", (2000, 1200)).save(out, "JPEG")
    assert len(out.getvalue()) < 50_000
    return out.getvalue()


def test_large_pictures_are_decoded_one_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, inside, times = JpegImageFile.load, threading.Lock(), Counter[str]()

    def alone(self: JpegImageFile) -> object:
        assert inside.acquire(blocking=False)
        try:
            times["decoded"] += 1
            time.sleep(0.01)  # as long as another would take to come in between
            return load(self)
        finally:
            inside.release()

    monkeypatch.setattr(JpegImageFile, "load", alone)
    store, data = Store(Files(folder.parent), ROOMY), large_picture()

    async def all_at_once() -> list[Resource]:
        tasks = [a_task(uid=f"{i:032x}"[::-1]) for i in range(8)]
        saves = (store.save(task, 0, in_pieces(data, 50_000), None) for task in tasks)
        return await asyncio.gather(*saves)

    assert {r.width for r in asyncio.run(all_at_once())} == {2000}
    assert times["decoded"] == 8


MANY_AT_ONCE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from PIL import Image
from modellix_jupyter.storage.thumbnails import embed
from modellix_jupyter.values import Resource

path = Path(sys.argv[1])
Image.new("P", (6000, 4000)).save(path)
with ThreadPoolExecutor(8) as threads:
    shown = threads.map(embed, [Resource(url="", path=str(path), type="image")] * 8)
    assert {media.width for media in shown} == {6000}
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says it there")
def test_many_large_pictures_take_the_memory_of_one(tmp_path: Path) -> None:
    run = [sys.executable, "-c", MANY_AT_ONCE, str(tmp_path / "large.png")]
    said = subprocess.run(run, check=True, capture_output=True, text=True)  # noqa: S603 - as above
    assert int(said.stdout) < 400_000  # kB; 540,000 or more where each thread keeps its own


def test_a_picture_that_ended_a_kernel_is_not_decoded_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_DECODED_WITHIN_S", 0.0)
    killed = f"""
import asyncio, os, sys
from PIL.JpegImagePlugin import JpegImageFile
JpegImageFile.load = lambda self: os._exit(9)
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store import folder, large_picture, save
from pathlib import Path
save(Path({str(folder)!r}), large_picture())
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == 9  # noqa: S603 - the test's own code
    monkeypatch.setattr(JpegImageFile, "load", lambda _: pytest.fail("it was decoded again"))
    saved = save(folder, large_picture())
    assert (saved.format, saved.width) == ("jpg", None)
    assert Path(saved.path or "").read_bytes() == large_picture()
    assert "not decoded again" in str(embed(saved).problem)


def test_no_mark_is_left_where_all_goes_well_or_python_raises(folder: Path) -> None:
    path = Path(save(folder, large_picture()).path or "")
    assert embed(Resource(url="", path=str(path), type="image")).width == 2000
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    path.write_bytes(large_picture()[:-200])
    assert embed(Resource(url="", path=str(path), type="image")).problem
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_png_with_one_wrong_byte_is_not_kept(folder: Path) -> None:
    whole = picture("PNG")
    for at in range(whole.index(b"IDAT"), len(whole) - 16, 7):
        wrong = bytearray(whole)
        wrong[at] ^= 1
        assert not refused(folder, bytes(wrong)).final


def test_a_picture_of_garbage_is_not_kept(folder: Path) -> None:
    assert not refused(folder, b"\x89PNG\r\n\x1a\n" + b"\xab" * 5000).final


def test_an_empty_file_is_not_kept(folder: Path) -> None:
    error = refused(folder, b"")
    assert "empty" in error.message
    assert not error.final


@pytest.mark.parametrize("form", ["jpeg", None])
def test_a_decompression_bomb_is_not_opened_but_kept(folder: Path, form: str | None) -> None:
    saved = save(folder, bomb(), a_task(Resource(url="u", type="image", format=form)))
    assert (saved.type, saved.format, saved.width) == ("image", form or "png", None)
    assert Path(saved.path or "").read_bytes() == bomb()
    assert Path(saved.path or "").suffix == ".png"
    shown = embed(saved)
    assert shown.src is None
    assert "too many pixels" in str(shown.problem)


def test_a_large_picture_that_pillow_only_warns_of_is_kept(folder: Path) -> None:
    out = BytesIO()
    Image.new("1", (10_000, 9_500)).save(out, "PNG")
    saved = save(folder, out.getvalue())
    assert Path(saved.path or "").read_bytes() == out.getvalue()
    assert saved.format == "png"


def test_decoding_leaves_the_filters_of_warnings_alone(folder: Path) -> None:
    before = list(warnings.filters)
    store = Store(Files(folder.parent), ROOMY)
    data = picture(size=(300, 300))
    tasks = [a_task(uid=f"{i:032x}") for i in range(24)]

    async def all_at_once() -> list[Resource]:
        saves = (store.save(task, 0, in_pieces(data, 50_000), None) for task in tasks)
        return await asyncio.gather(*saves)

    assert len(asyncio.run(all_at_once())) == 24
    assert list(warnings.filters) == before


# -- what goes wrong on the way


def test_a_stream_that_breaks_leaves_nothing(folder: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield picture()[:500]
        raise ConnectionResetError(errno.ECONNRESET, "reset")

    with pytest.raises(DownloadError):
        asyncio.run(Store(Files(folder.parent), ROOMY).save(a_task(), 0, broken(), None))
    assert left_in(folder) == []


def test_an_error_of_the_network_passes_through(folder: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield picture()[:500]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(Store(Files(folder.parent), ROOMY).save(a_task(), 0, broken(), None))
    assert left_in(folder) == []


def test_a_cancelled_download_leaves_nothing(folder: Path) -> None:
    async def scenario() -> None:
        writing = asyncio.Event()

        async def hanging() -> AsyncIterator[bytes]:
            yield picture()[:500]
            writing.set()
            await asyncio.Event().wait()

        saving = asyncio.create_task(
            Store(Files(folder.parent), ROOMY).save(a_task(), 0, hanging(), None)
        )
        await writing.wait()
        assert len(left_in(folder)) == 1  # under a private name, in the same folder
        assert left_in(folder)[0].name.startswith(".part-")
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving

    asyncio.run(scenario())
    assert left_in(folder) == []


def disk_full(*_: object, **__: object) -> Never:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(params=["mkstemp", "write", "flush", "rename"])
def full_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fill the disk at one of the moments at which it can be noticed."""
    module = "modellix_jupyter.storage.store"
    if request.param == "mkstemp":
        monkeypatch.setattr(f"{module}.tempfile.mkstemp", disk_full)
    elif request.param == "write":

        async def full(*_: object) -> Never:
            disk_full()

        monkeypatch.setattr(f"{module}._copy", full)
    elif request.param == "flush":
        monkeypatch.setattr(f"{module}.os.fsync", disk_full)
    else:
        monkeypatch.setattr(Path, "replace", disk_full)
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_said_and_not_final(folder: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        save(folder, picture())
    assert not caught.value.final
    assert "No space left" in caught.value.message
    assert "Free some space" in caught.value.hint
    assert left_in(folder) == []


def test_a_folder_that_cannot_be_made_is_said(home: Path) -> None:
    home.write_text("in the way")
    with pytest.raises(DownloadError) as caught:
        save(home / "files", picture())
    assert not caught.value.final


def test_a_reader_never_sees_half_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = picture(size=(200, 200))
    seen: set[int] = set()
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.update(p.stat().st_size for p in left_in(folder) if p.name == target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    save(folder, data)
    save(folder, data)
    assert seen == {len(data)}  # the second time, the first file was there until it was exchanged


def test_what_is_saved_at_once_does_not_meet(folder: Path) -> None:
    done: list[Resource] = []

    def one(number: int) -> None:
        done.append(save(folder, picture(), a_task(uid=f"{number:032d}"[::-1])))

    threads: list[threading.Thread] = [threading.Thread(target=one, args=(n,)) for n in range(1, 6)]
    run: list[Callable[[], None]] = [t.start for t in threads] + [t.join for t in threads]
    for step in run:
        step()
    assert len({r.path for r in done}) == 5
    assert len(left_in(folder)) == 5


@pytest.mark.parametrize(
    ("head", "ending"),
    [(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "svg"), (b"\xff\x0a" + b"\0" * 40, "jxl")],
)
def test_a_picture_that_cannot_be_opened_here_is_kept_all_the_same(
    head: bytes, ending: str
) -> None:
    kept = filetypes.sniff(head)
    assert kept.ending == ending
    assert not kept.decoder
    assert not filetypes.contradicts("image", kept)


def test_what_a_killed_download_left_is_swept_a_day_later(tmp_path: Path) -> None:
    day = tmp_path / "files" / "2026-01-01"
    day.mkdir(parents=True)
    old, new, whole = day / ".part-old", day / ".part-new", day / "whole.png"
    for path in (old, new, whole):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    os.utime(whole, (0, 0))
    Files(tmp_path).open()
    assert sorted(path.name for path in day.iterdir()) == [".part-new", "whole.png"]
