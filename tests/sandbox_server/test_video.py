"""Films: a container that a real browser plays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from modellix_jupyter.sandbox_server.drawing import Artwork
from modellix_jupyter.sandbox_server.video import webm

from .conftest import Run, get

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def sea(**changes: Any) -> Artwork:
    values: dict[str, Any] = {
        "style": "waves",
        "slug": "google/veo-3-fast",
        "prompt": "the sea",
        "key": 1,
        "width": 160,
        "height": 90,
        "format": "webm",
        "seconds": 1,
    }
    return Artwork(**{**values, **changes})


def elements(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Read the elements of one level, of which every length is written in eight bytes."""
    place = 0
    while place < len(content):
        width = 9 - content[place].bit_length()
        code = content[place : place + width].hex()
        place += width
        size = int.from_bytes(content[place + 1 : place + 8], "big")
        yield code, content[place + 8 : place + 8 + size]
        place += 8 + size


def test_the_container_holds_a_key_frame_for_every_twelfth_of_a_second() -> None:
    file = webm(sea(seconds=5))
    (_, head), (_, segment) = elements(file)
    clusters = [content for code, content in elements(segment) if code == "1f43b675"]
    blocks = [block for each in clusters for code, block in elements(each) if code == "a3"]

    assert dict(elements(head))["4282"] == b"webm"
    assert [code for code, _ in elements(segment)][:3] == ["1549a966", "1654ae6b", "1c53bb6b"]
    assert (len(clusters), len(blocks)) == (5, 60)
    for block in blocks:
        assert block[7:10] == b"\x9d\x01\x2a"  # the start code of a VP8 key frame
        assert int.from_bytes(block[10:12], "little") == 160
    assert len({block[4:] for block in blocks}) == 48


def test_the_index_points_at_the_clusters() -> None:
    _, (_, segment) = elements(webm(sea(seconds=3)))
    index = dict(elements(segment))["1c53bb6b"]
    for number, (_, point) in enumerate(elements(index)):
        fields = dict(elements(point))
        assert int.from_bytes(fields["b3"], "big") == number * 1000
        at = int.from_bytes(dict(elements(fields["b7"]))["f1"], "big")
        assert segment[at : at + 4].hex() == "1f43b675"


def test_the_same_request_is_the_same_film() -> None:
    assert webm(sea()) == webm(sea())
    assert webm(sea()) != webm(sea(key=2))


def test_a_film_is_served_with_its_own_resource(run: Run) -> None:
    (resource,) = run("alibaba/wan-2.5-t2v", duration=1)["result"]["resources"]
    answer = get(resource["url"])

    assert (resource["type"], resource["format"]) == ("video", "webm")
    assert (resource["width"], resource["height"]) == (480, 270)
    assert answer.headers["content-type"] == "video/webm"
    assert answer.content[:4].hex() == "1a45dfa3"


@pytest.fixture
def page() -> Iterator[str]:
    """Serve an empty page, as a film on a page of no origin is not loaded."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


_PLAY = """
async ([url, seek]) => {
  const video = document.createElement("video");
  video.muted = true;
  video.src = url;
  document.body.append(video);
  const event = (name) => new Promise((resolve) => {
    video.addEventListener(name, resolve, { once: true });
    video.addEventListener("error", resolve, { once: true });
  });
  if (video.readyState < 2) await event("loadeddata");
  video.currentTime = seek;
  await event("seeked");
  return {
    state: video.readyState, width: video.videoWidth, height: video.videoHeight,
    duration: video.duration, at: video.currentTime,
    error: video.error && video.error.message,
  };
}
"""


@pytest.mark.browser
def test_chromium_plays_and_seeks_in_films(run: Run, page: str, browser: Browser) -> None:
    tall = run("alibaba/wan-2.5-t2v", duration=6, aspect_ratio="9:16")["result"]["resources"][0]
    wide = run("google/veo-3-fast", duration=2)["result"]["resources"][0]
    tab = browser.new_page()
    tab.goto(page)
    seen = [tab.evaluate(_PLAY, [tall["url"], 5.5]), tab.evaluate(_PLAY, [wide["url"], 1.5])]
    tab.close()

    assert [each.pop("error") for each in seen] == [None, None]
    assert min(each.pop("state") for each in seen) >= 2
    assert seen == [
        {"width": 270, "height": 480, "duration": pytest.approx(6, abs=0.01), "at": 5.5},
        {"width": 480, "height": 270, "duration": pytest.approx(2, abs=0.01), "at": 1.5},
    ]
