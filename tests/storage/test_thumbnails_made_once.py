"""Thumbnails are made beside whoever asks for them, each once, and also after the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from grid_samples import resource, task

from modellix_jupyter.storage import thumbnails
from modellix_jupyter.storage.thumbnails import Thumbnails
from modellix_jupyter.values import Media, Resource

HANG_S = 30.0


class Maker:
    """Makes media, and remembers of what and on which threads."""

    def __init__(self) -> None:
        self.made: list[Resource] = []
        self.threads: set[str] = set()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, resource: Resource) -> Media:
        assert self.go_on.wait(HANG_S)
        self.made.append(resource)
        self.threads.add(threading.current_thread().name)
        return Media(kind="image", src="data:,", path=resource.path)


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def made(maker: Maker) -> Iterator[Thumbnails]:
    made = Thumbnails(maker)
    yield made
    maker.go_on.set()
    made.close()


def a(name: str) -> Resource:
    return resource(Path(name))


def test_it_is_made_on_another_thread_and_once(made: Thumbnails, maker: Maker) -> None:
    assert made(a("x")) is made(a("x"))
    assert maker.made == [a("x")]
    assert all(name.startswith("modellix-thumbnails") for name in maker.threads)


def test_those_who_ask_meanwhile_get_the_same(made: Thumbnails, maker: Maker) -> None:
    maker.go_on.clear()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(made, a("x")) for _ in range(4)]
        maker.go_on.set()
        assert len({id(one.result(HANG_S)) for one in asked}) == 1
    assert maker.made == [a("x")]


def test_beginning_waits_for_nothing(made: Thumbnails, maker: Maker) -> None:
    maker.go_on.clear()
    tasks = [task(f"u{n}", resources=(a(f"{n}"),)) for n in range(20)]
    made.begin(tasks)
    assert maker.made == []
    maker.go_on.set()
    assert [made.of(one)[0].path for one in tasks] == [str(n) for n in range(20)]
    assert len(maker.made) == 20


def test_what_is_still_to_come_is_left_out_and_what_is_lost_is_not(made: Thumbnails) -> None:
    lost = resource(None, lost=True)
    one = task("u", resources=(a("x"), resource(None), lost))
    assert [media.path for media in made.of(one)] == ["x", None]


def test_it_is_made_anew_once_it_was_forgotten(made: Thumbnails, maker: Maker) -> None:
    made(a("x"))
    made.forget()
    made(a("x"))
    assert maker.made == [a("x")] * 2


def test_it_is_made_also_after_the_end_and_for_what_was_still_waiting(
    made: Thumbnails, maker: Maker
) -> None:
    maker.go_on.clear()
    waiting = [a(str(n)) for n in range(50)]
    made.begin([task("u", resources=tuple(waiting))])
    closing = threading.Thread(target=made.close)
    closing.start()
    maker.go_on.set()
    closing.join(HANG_S)
    assert [made(one).path for one in waiting] == [str(n) for n in range(50)]
    assert made(a("new")).path == "new"


def test_no_more_are_kept_than_the_most(
    made: Thumbnails, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "MOST", 2)
    for name in ("x", "y", "x", "z"):  # y was looked at longest ago
        made(a(name))
    made(a("x"))
    made(a("y"))
    assert maker.made == [a(name) for name in "xyzy"]


def test_no_more_are_begun_than_are_kept(
    made: Thumbnails, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "MOST", 4)
    tasks = [task(f"u{n}", resources=(a(f"{n}"),)) for n in range(9)]
    made.begin(tasks)
    assert [made.of(one)[0].path for one in tasks] == [str(n) for n in range(9)]
    assert len(maker.made) == 9


def test_what_could_not_be_reached_is_tried_again_the_next_time() -> None:
    answers = [Media(kind="image", problem="no network"), Media(kind="image", src="data:,")]
    made = Thumbnails(lambda _: answers.pop(0))
    far = Resource(url="", path="s3://bucket/x.png")
    assert made(far).problem == "no network"
    assert made(far).src == made(far).src == "data:,"
    made.close()
