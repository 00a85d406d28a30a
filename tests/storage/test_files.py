"""Files lie where the setting says: in the home, in another folder, or where only fsspec gets."""

from __future__ import annotations

import asyncio
import builtins
import itertools
import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image
from test_store import ROOMY, a_task, in_pieces, picture

from modellix_jupyter.errors import ConfigError, MissingExtra, ModellixError
from modellix_jupyter.settings import Settings
from modellix_jupyter.storage.files import MIB, Files, local_copy
from modellix_jupyter.storage.store import Store
from modellix_jupyter.storage.thumbnails import embed, opened
from modellix_jupyter.values import Resource

_numbers = itertools.count()
NAME = "2027-01-15/a-b-0123456789ab-1.png"


@pytest.fixture
def url() -> str:
    return f"memory://place-{next(_numbers)}"


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest, url: str) -> str:
    return url if request.param == "memory" else str(request.getfixturevalue("s3_url"))


def save(files: Files, data: bytes) -> Resource:
    return asyncio.run(Store(files, ROOMY).save(a_task(), 0, in_pieces(data), None))


def in_place(url: str) -> list[str]:
    system, root = fsspec.url_to_fs(url)
    return sorted(str(name).removeprefix(f"{root}/") for name in system.find(root))


def test_a_file_is_put_whole_and_read_from_another_home(tmp_path: Path, place: str) -> None:
    data = picture()
    saved = save(Files(tmp_path / "one", place), data)
    assert saved.path == f"{place}/{NAME}"
    assert in_place(place) == [NAME]
    other = Files(tmp_path / "other", place)
    assert local_copy(saved.path).read_bytes() == data
    assert local_copy(saved.path).is_relative_to(tmp_path / "other")
    assert embed(saved).width == 64
    assert opened(saved.path, 32).width == 32
    assert other.waiting() == []
    assert other.check().startswith(f"{place}, written, read back and deleted")
    assert in_place(place) == [NAME]


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_another_folder_has_no_copies(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "of the team"
    files = Files(tmp_path / "home", form.format(folder))
    saved = save(files, picture())
    assert saved.path == str(folder / NAME)
    assert files.prefix + NAME == saved.path
    assert not (tmp_path / "home").exists()
    assert "deleted" in files.check()
    assert [p.name for p in folder.rglob("*.png")] == [Path(NAME).name]


def test_files_from_before_the_place_was_set_are_found_in_the_home(
    tmp_path: Path, url: str
) -> None:
    before = Path(save(Files(tmp_path), picture()).path or "")
    Files(tmp_path, url)
    assert local_copy(f"{url}/{NAME}") == before
    folder = str(tmp_path / "elsewhere")
    Files(tmp_path, folder)
    assert local_copy(f"{folder}/{NAME}") == before


def test_a_place_that_fails_leaves_the_file_here_and_gets_it_later(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, _ = fsspec.url_to_fs(url)
    put = type(system).put_file

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret is in this text")

    monkeypatch.setattr(type(system), "put_file", broken)
    monkeypatch.setattr("modellix_jupyter.storage.files._PAUSE_S", 0.01)
    files, told = Files(tmp_path, url), list[ModellixError]()
    store = Store(files, ROOMY)
    store.warn = told.append
    data = picture()
    saved = asyncio.run(store.save(a_task(), 0, in_pieces(data), None))
    assert local_copy(saved.path or "").read_bytes() == data
    assert in_place(url) == []
    assert files.waiting() == [NAME]
    assert told[0].message.startswith(f"The file cannot be put into {url}: RuntimeError. It waits")
    assert told[0].message.endswith("put there later.")
    assert "secret" not in str(told[0].__cause__) + str(told[0].__context__)
    files.close()
    arrived = threading.Event()

    def works(*args: Any, **options: Any) -> None:
        put(*args, **options)
        arrived.set()

    monkeypatch.setattr(type(system), "put_file", works)
    again = Files(tmp_path, url)
    again.open()
    assert arrived.wait(20)
    again.close()
    assert in_place(url) == [NAME]
    assert again.waiting() == []


def test_a_place_that_hangs_holds_nothing_up(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    system, _ = fsspec.url_to_fs(url)
    monkeypatch.setattr(type(system), "put_file", lambda *_a, **_k: release.wait(20))
    files = Files(tmp_path, url)
    (files.folder / "day").mkdir(parents=True)
    (files.folder / "day/x").write_bytes(b"x")
    problem = asyncio.run(files.put("day/x", 0.05))
    assert problem is not None
    assert "after 0.05 s" in problem.message
    (files.folder / "day/y").write_bytes(b"y")
    again = asyncio.run(files.put("day/y", 3600))  # known to hang: not waited for
    assert again is not None
    assert "could not be reached" in again.message
    release.set()
    files.close()


def test_the_copies_are_bounded_and_the_oldest_go_first(tmp_path: Path, url: str) -> None:
    system, root = fsspec.url_to_fs(url)
    for number in range(4):
        system.pipe_file(f"{root}/day/{number}", b"x" * (MIB // 2))
    files = Files(tmp_path, url, cache_mb=1)
    for number in (0, 1, 0, 2, 3):
        assert len(local_copy(f"{url}/day/{number}").read_bytes()) == MIB // 2
        time_passes(tmp_path)
    assert sorted(p.name for p in (tmp_path / "cache/day").iterdir()) == ["2", "3"]
    assert files.local("day/0").stat().st_size == MIB // 2


def time_passes(home: Path) -> None:
    import os

    for path in (home / "cache").rglob("*"):
        status = path.stat()
        os.utime(path, (status.st_atime - 10, status.st_mtime - 10))


def test_a_name_outside_the_place_is_not_read(tmp_path: Path, url: str) -> None:
    Files(tmp_path, url)
    for name in ("../x", "/etc/passwd", "a/../../x", "", "a\0b"):
        with pytest.raises(ModellixError, match="this package does not give"):
            local_copy(f"{url}/{name}")
    with pytest.raises(ModellixError, match="not the place of files in use"):
        local_copy("s3://somebody-elses/x.png")
    assert embed(Resource(url="", path="https://x.example/a.png", type="image")).problem


def test_a_file_that_is_not_there_is_said(tmp_path: Path, place: str) -> None:
    Files(tmp_path, place)
    with pytest.raises(ModellixError, match="it is not there"):
        local_copy(f"{place}/day/x.png")
    assert "not there" in str(embed(Resource(url="", path=f"{place}/day/x", type="image")).problem)


def test_a_large_video_is_not_fetched_only_to_be_left_out(tmp_path: Path, url: str) -> None:
    Files(tmp_path, url)
    shown = embed(Resource(url="", path=f"{url}/d/x.mp4", type="video", size=10**9))
    assert (shown.src, shown.problem) == (None, None)


def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        raise ImportError

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    with pytest.raises(MissingExtra, match="s3fs"):
        Files(tmp_path, "s3://bucket/x").open()
    with pytest.raises(ConfigError) as caught:
        Files(tmp_path, "gs://bucket/x").open()
    assert "pip install gcsfs" in caught.value.hint
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="not a place that fsspec knows"):
        Files(tmp_path, "nonsense://bucket/x").open()


@pytest.mark.parametrize(
    "url",
    [
        "sftp://me:hunter2@host/x",
        "az://box/x?sig=hunter2",
        "s3://x#hunter2",
        "https://a.example/x",
        "simplecache::s3://x/y",
        "s3://[/hunter2",
    ],
)
def test_an_address_with_credentials_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(files=url)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("url", ["s3://", "s3:///", "file://folder/x", "file://"])
def test_an_address_of_no_bucket_or_of_half_a_path_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="not a place that can be written"):
        Settings(files=url)


def test_the_folder_of_the_home_needs_no_fsspec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def guarded(name: str, *args: Any, **options: Any) -> Any:
        assert not name.startswith("fsspec")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", guarded)
    files = Files(tmp_path)
    files.open()
    saved = save(files, picture())
    with Image.open(local_copy(saved.path or "")) as image:
        assert image.size == (64, 48)


def test_the_mark_of_a_picture_that_ended_a_kernel_goes_with_it(tmp_path: Path, url: str) -> None:
    files = Files(tmp_path, url)
    folder = files.folder / "day"
    folder.mkdir(parents=True)
    for name in ("x.png", ".decoding-x"):
        (folder / name).write_bytes(b"x")
    assert asyncio.run(files.put("day/x.png", 20)) is None
    assert in_place(url) == ["day/x.png"]
    assert {p.name for p in (tmp_path / "cache/day").iterdir()} == {"x.png", ".decoding-x"}
