from __future__ import annotations

import base64
import io
import struct
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.markup import data_uri_ok
from modellix_jupyter.storage.thumbnails import embed, jpeg_of, smaller
from modellix_jupyter.storage.thumbnails import opened as open_original
from modellix_jupyter.values import Media, Resource


def resource(path: Path | str | None, **changes: Any) -> Resource:
    values = {"url": "https://cdn.example.com/x", "type": "image", "path": path and str(path)}
    return Resource(**values | changes)


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    from random import Random

    bands = len(Image.new(mode, (1, 1)).getbands())
    data = Random(1).randbytes(size[0] * size[1] * bands)  # noqa: S311 -- noise, not a secret
    return Image.frombytes(mode, size, data)


def opened(src: str | None) -> Image.Image:
    assert src is not None
    head, _, data = src.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def decoded_size(src: str | None) -> int:
    assert src is not None
    return len(base64.b64decode(src.partition(",")[2]))


def test_a_noisy_picture_fits_its_budget(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    noise((1024, 1024)).save(file)
    media = embed(resource(file))
    assert (media.kind, media.width, media.height) == ("image", 1024, 1024)
    assert media.size == file.stat().st_size > 3_000_000
    assert decoded_size(media.src) <= 64_000
    assert max(opened(media.src).size) == 384
    assert data_uri_ok(media.src, "image")


@pytest.mark.parametrize("limit", [20_000, 5_000, 1_000])
def test_a_small_budget_makes_a_smaller_picture(tmp_path: Path, limit: int) -> None:
    file = tmp_path / "x.png"
    noise((600, 400)).save(file)
    assert len(jpeg_of(embed(resource(file), picture_bytes=limit)) or b"") in range(1, limit + 1)


def test_an_impossible_budget_is_a_problem_and_no_endless_loop(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    noise((64, 64)).save(file)
    assert "10 bytes" in str(embed(resource(file), picture_bytes=10).problem)


def test_a_small_picture_keeps_its_size(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    Image.new("RGB", (40, 30), "red").save(file)
    assert opened(embed(resource(file)).src).size == (40, 30)


def test_a_turned_photograph_stands_upright(tmp_path: Path) -> None:
    file = tmp_path / "x.jpg"
    photo = Image.new("RGB", (800, 400), "red")
    photo.paste("blue", (0, 0, 100, 400))  # on the left; upright, it is at the top
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a private remark"
    photo.save(file, exif=exif, comment=b"a private remark")
    media = embed(resource(file))
    small = opened(media.src).convert("RGB")
    assert (media.width, media.height) == (400, 800)
    assert small.size == (192, 384)
    red, _, blue = small.getpixel((96, 5))  # type: ignore[misc]  # a tuple, for a picture of three bands
    assert blue > 200 > red
    assert b"private" not in base64.b64decode(str(media.src).partition(",")[2])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_shows_a_checker(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "x.png"
    clear = Image.new("RGBA", (32, 32), (255, 0, 0, 0)).convert(mode)
    if mode == "P":
        clear.info["transparency"] = 0
    clear.save(file)
    small = opened(embed(resource(file)).src).convert("L")
    shades = {round(float(str(small.getpixel(at))), -1) for at in [(4, 4), (12, 4)]}
    assert shades in ({220, 260}, {220, 250})


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "I;16", "I", "F"])
def test_every_common_mode_has_a_thumbnail(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "x.tiff"
    Image.new("RGB", (20, 10), "white").convert("L" if mode == "I;16" else mode).save(file)
    assert opened(embed(resource(file)).src).size == (20, 10)


def test_sixteen_bits_of_grey_keep_their_shades(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    Image.frombytes("I;16", (8, 8), struct.pack("<64H", *[0x8000] * 64)).save(file)
    grey = opened(embed(resource(file)).src).convert("L").getpixel((4, 4))
    assert 120 < float(str(grey)) < 136


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_an_animation_shows_its_first_frame(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"x.{ending}"
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=50)
    red, _, blue = opened(embed(resource(file)).src).convert("RGB").getpixel((8, 8))  # type: ignore[misc]  # a tuple
    assert red > 200
    assert blue < 60


def test_the_bytes_say_what_a_file_is_and_not_the_server(tmp_path: Path) -> None:
    file = tmp_path / "x.mp4"
    Image.new("RGB", (8, 8)).save(file, format="PNG")
    assert embed(resource(file, type="video")).kind == "image"
    file.write_bytes(b"<html><script>alert(1)</script>")
    media = embed(resource(file, type="image"))
    assert (media.kind, media.src) == ("link", None)


@pytest.mark.parametrize(
    ("head", "said", "mime"),
    [
        (b"\0\0\0\x20ftypisom", "video", "video/mp4"),
        (b"\0\0\0\x20ftypisom", "audio", "audio/mp4"),
        (b"\0\0\0\x20ftypM4A ", None, "audio/mp4"),
        (b"\x1a\x45\xdf\xa3", "video", "video/webm"),
        (b"RIFF\0\0\0\0WAVE", "audio", "audio/wav"),
        (b"ID3\x04", "audio/mpeg", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio", "audio/mpeg"),
        (b"\xff\xf3\x40\xc0", "audio", "audio/mpeg"),
        (b"fLaC\0\0\0\x22", "audio", "audio/flac"),
        (b"OggS", None, "audio/ogg"),
    ],
)
def test_videos_and_sounds_are_embedded_as_what_they_are(
    tmp_path: Path, head: bytes, said: str | None, mime: str
) -> None:
    file = tmp_path / "x"
    file.write_bytes(head + b"\0" * 100)
    media = embed(resource(file, type=said))
    assert str(media.src).startswith(f"data:{mime};base64,")
    assert data_uri_ok(media.src, media.kind)


@pytest.mark.parametrize("said", ["image", "video"])
def test_a_picture_that_browsers_do_not_show_is_linked_and_no_video(
    tmp_path: Path, said: str
) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100)
    media = embed(resource(file, type=said))
    assert (media.kind, media.src) == ("link", None)


def test_a_large_video_is_linked(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 1000)
    media = embed(resource(file, type="video", width=640, height=360), media_bytes=1000)
    assert (media.kind, media.src, media.problem) == ("video", None, None)
    assert (media.width, media.size, media.path) == (640, 1012, str(file))


def test_a_file_that_is_not_here_is_a_problem(tmp_path: Path) -> None:
    assert embed(resource(None)).problem == "Not downloaded."
    assert embed(resource(None, problem="It was too large.")).problem == "It was too large."
    assert embed(resource(tmp_path / "gone.png")).problem == "The file is no longer there."
    assert embed(resource(tmp_path)).problem == "The file is no longer there."
    assert embed(resource("\0")).src is None


@pytest.mark.parametrize("keep", [9, 40, 200])
def test_a_broken_picture_is_a_problem_and_no_error(tmp_path: Path, keep: int) -> None:
    file = tmp_path / "x.png"
    noise((64, 64)).save(file)
    file.write_bytes(file.read_bytes()[:keep])
    media = embed(resource(file))
    assert media.src is None
    assert "cannot be decoded" in str(media.problem)


@pytest.mark.parametrize("limit", [100, 60])  # Pillow warns above the limit, and raises above twice
def test_a_decompression_bomb_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    file = tmp_path / "x.png"
    Image.new("RGB", (15, 10)).save(file)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        media = embed(resource(file))
    assert media.src is None
    assert "too many pixels" in str(media.problem)


def test_pictures_may_be_read_by_many_threads(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    noise((64, 64)).save(file)
    found: list[str | None] = []
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: found.append(embed(resource(file)).src)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8
    assert warnings.filters == before


def test_a_thumbnail_is_made_smaller_without_its_original(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    noise((1024, 1024)).save(file)
    media = embed(resource(file))
    file.unlink()
    small = smaller(media, pixels=160, picture_bytes=4_000)
    assert decoded_size(small.src) <= 4_000
    assert max(opened(small.src).size) <= 160
    assert (small.width, small.height, small.url) == (1024, 1024, media.url)
    assert smaller(small, pixels=160, picture_bytes=4_000) is small


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="image"),
        Media(kind="video", src="data:video/mp4;base64,AAAA"),
        Media(kind="image", src="https://x.example/a.jpg"),
    ],
)
def test_what_is_no_thumbnail_stays_as_it_is(media: Media) -> None:
    assert smaller(media, pixels=16, picture_bytes=1) is media
    assert jpeg_of(media) is None
    assert jpeg_of(None) is None


def test_an_original_is_opened_upright_opaque_and_no_larger_than_needed(tmp_path: Path) -> None:
    file = tmp_path / "x.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    noise((2000, 1000)).save(file, exif=exif)
    with open_original(file, 500) as image:
        assert (image.size, image.mode) == ((250, 500), "RGB")


@pytest.mark.parametrize("content", [b"", b"words", b"\xff\xd8\xff broken"])
def test_an_original_that_is_no_picture_is_an_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.jpg"
    file.write_bytes(content)
    with pytest.raises(ModellixError):
        open_original(file, 100)
