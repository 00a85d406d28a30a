"""Result files: their formats and sizes, their sameness and their differences."""

from __future__ import annotations

import base64
import io
import time
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.sandbox_server.catalog import MODELS
from modellix_jupyter.sandbox_server.handlers import picture_format
from modellix_jupyter.sandbox_server.models import canvas
from modellix_jupyter.sandbox_server.painter import STYLES, Artwork, paint
from modellix_jupyter.storage import filetypes

from .conftest import Run, get, head, post

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Browser


_PLAY = """
async (url) => {
  const video = document.createElement("video");
  video.muted = true;
  video.src = url;
  document.body.append(video);
  const event = (name) => new Promise((resolve) => {
    video.addEventListener(name, resolve, { once: true });
    video.addEventListener("error", resolve, { once: true });
  });
  if (video.readyState < 2) await event("loadeddata");
  video.currentTime = 1.5;
  await event("seeked");
  return {
    width: video.videoWidth, duration: video.duration, at: video.currentTime,
    error: video.error && video.error.message,
  };
}
"""


PLAIN = {name.partition("/")[2] for name in MODELS if name.startswith("sandbox/")} - {"fast"}


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def urls(data: dict[str, Any]) -> list[str]:
    return [resource["url"] for resource in data["result"]["resources"]]


def small(style: str = "facets", **changes: Any) -> Artwork:
    values: dict[str, Any] = {
        "look": (style, "061a33 0d4b75 1b8aa6 6fd0c8 eaf7e6"),
        "slug": "sandbox/fast",
        "prompt": "a lighthouse",
        "key": "7",
        "width": 256,
        "height": 192,
        "format": "png",
    }
    return Artwork(**{**values, **changes})


@pytest.mark.parametrize(
    ("slug", "body", "size"),
    [
        ("alibaba/qwen-image-plus", {"size": "928*1664"}, (928, 1664)),
        ("openai/gpt-image-2", {"size": "1536x1024"}, (1536, 1024)),
        ("google/nano-banana-2", {"aspectRatio": "16:9"}, (1024, 576)),
        ("google/nano-banana-2", {"aspectRatio": "2:3", "imageSize": "2K"}, (1365, 2048)),
        ("bytedance/seedream-4", {"aspect_ratio": "3:4"}, (768, 1024)),
        ("black-forest-labs/flux-2-pro", {"width": 640, "height": 300}, (640, 300)),
    ],
)
def test_the_size_that_was_asked_for(
    slug: str, body: dict[str, Any], size: tuple[int, int]
) -> None:
    assert canvas(MODELS[slug].values({"prompt": "x", **body})) == size


@pytest.mark.parametrize(("form", "kind"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_formats_open_and_are_what_they_say(run: Run, form: str, kind: str) -> None:
    data = run("sandbox/fast", output_format=form, size="512x768")
    (resource,) = data["result"]["resources"]
    answer = get(resource["url"])

    assert answer.headers["content-type"] == f"image/{form}"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert resource["format"] == form
    image = opened(answer.content)
    assert (image.format, image.size) == (kind, (512, 768))


def test_n_files_all_different(run: Run) -> None:
    data = run("sandbox/fast", n=4)

    files = {get(url).content for url in urls(data)}
    assert len(files) == data["result"]["metadata"]["image_count"] == 4


def test_the_same_request_is_the_same_file_and_another_is_not(run: Run) -> None:
    def file(**body: object) -> bytes:
        return get(urls(run("sandbox/fast", **body))[0]).content

    assert file(seed=1) == file(seed=1)
    assert file() == file()
    different = [file(), file(seed=1), file(seed=2), file(prompt="another harbour")]
    assert len(set(different)) == 4


def test_another_sandbox_draws_the_same() -> None:
    files = []
    for _ in range(2):
        with Sandbox(speed=1000) as sandbox:
            url = f"{sandbox.base_url}/api/v1"
            key = {"Authorization": "Bearer k"}
            sent = post(f"{url}/sandbox/fast", json={"prompt": "x"}, headers=key).json()
            time.sleep(0.01)
            task = get(f"{url}/tasks/{sent['data']['task_id']}", headers=key).json()
            files.append(get(urls(task["data"])[0]).content)
    assert files[0] == files[1]


def test_every_style_is_a_picture_of_its_own() -> None:
    pictures = [paint(small(style)) for style in STYLES]
    assert len(set(pictures)) == len(STYLES)
    for image in map(opened, pictures):
        assert image.size == (256, 192)
        colours = image.convert("RGB").getcolors(256 * 192)
        assert colours is not None
        assert len(colours) > 100


def test_every_model_that_paints_has_a_look_of_its_own() -> None:
    vendors = [m for m in MODELS.values() if m.media == "image" and m.name not in PLAIN]
    assert len({model.look for model in vendors}) == len(vendors) == 12


def test_any_prompt_can_be_written_on_a_picture() -> None:
    prompts = (
        "一只可爱的猫在花园里玩耍" * 20,
        "кот в саду",
        "قطة في الحديقة",
        "🐈‍⬛ 🌻",
        "\ud800 lone surrogate",
        "a\x00b\nc\td",
        "x" * 32_000,
        "-",
    )
    for prompt in prompts:
        assert opened(paint(small(prompt=prompt))).size == (256, 192)
        assert opened(paint(small(prompt=prompt, width=256, height=16))).size == (256, 16)


def test_the_prompt_is_written_on_the_picture() -> None:
    short, long = (
        opened(paint(small(prompt=prompt, width=512, height=512))).crop((0, 380, 512, 512))
        for prompt in ("hi", "hi there, a good deal more of words than the other one has to show")
    )
    white = [sum(image.convert("L").histogram()[240:]) for image in (short, long)]
    assert white[1] > 2 * white[0] > 0


def test_an_upload_is_checked_served_and_drawn_from(http: httpx.Client, run: Run) -> None:
    target = io.BytesIO()
    Image.linear_gradient("L").save(target, "PNG")
    sent = http.post(
        "/api/v1/media/files", files={"file": ("grey.png", target.getvalue(), "image/png")}
    ).json()["data"]

    assert set(sent) == {"file_id", "type", "url", "filename", "size", "created_at"}
    assert (sent["type"], sent["filename"], sent["size"]) == (
        "image",
        "grey.png",
        len(target.getvalue()),
    )
    served = get(sent["url"])
    assert served.content == target.getvalue()
    assert served.headers["content-type"] == "image/png"

    made = get(urls(run("google/nano-banana-2-edit", image=sent["url"]))[0]).content
    tones = opened(made).convert("L")
    # The gradient is dark above and light below, and so is what was made of it.
    top, middle = (tones.crop((0, y, 1024, y + 100)).resize((1, 1)).tobytes()[0] for y in (0, 700))
    assert top + 60 < middle


def _grey() -> str:
    target = io.BytesIO()
    Image.linear_gradient("L").save(target, "PNG")
    return f"data:image/png;base64,{base64.b64encode(target.getvalue()).decode()}"


def test_an_earlier_result_and_several_pictures_are_drawn_from(run: Run) -> None:
    edit = "bytedance/seedream-5.0-lite-edit"
    first = urls(run("google/nano-banana-2"))[0]

    alone, both, chained = (
        opened(get(urls(run(edit, image=image))[0]).content).resize((8, 8)).tobytes()
        for image in (first, [first, _grey()], urls(run(edit, image=first))[0])
    )
    assert len({alone, both, chained}) == 3


def test_what_an_input_refers_to_must_be_there(http: httpx.Client, sandbox: Sandbox) -> None:
    for folder in ("media", "files"):
        image = f"{sandbox.cdn_url}/{folder}/{'0' * 26}.png"
        body = {"prompt": "x", "image": image}
        answer = http.post("/api/v1/google/nano-banana-2-edit", json=body)
        assert (answer.status_code, "cannot be read" in answer.text) == (400, True)


def test_ten_files_are_kept_until_one_is_deleted(http: httpx.Client) -> None:
    picture = base64.b64decode(_grey().partition(",")[2])

    def send() -> httpx.Response:
        return http.post("/api/v1/media/files", files={"file": ("a.png", picture)})

    sent = [send().json()["data"] for _ in range(10)]
    assert http.get("/api/v1/media/files").json()["data"] == {"files": sent, "total": 10}
    full = send()
    assert (full.status_code, "quota" in full.text) == (400, True)
    where = f"/api/v1/media/files/{sent[0]['file_id']}"
    assert [http.delete(where).status_code for _ in range(2)] == [204, 404]
    assert get(sent[0]["url"]).status_code == 404
    assert send().status_code == 200


def test_a_transcript_is_a_text_file(run: Run) -> None:
    sound = urls(run("minimax/speech-2.6"))[0]
    (resource,) = run("alibaba/qwen3-asr-flash", url=sound)["result"]["resources"]

    answer = get(resource["url"])
    assert (resource["type"], resource["format"]) == ("text", "txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "bell" in answer.text


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"other": ("a.png", b"x")}, "parameter 'file' is required"),
        ({"file": ("a.png", b"not a picture")}, "must be a PNG, JPEG or WebP"),
        ({"file": ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40)}, "must be a PNG, JPEG or WebP"),
        ({"file": ("a.png", bytes(16 * 2**20 + 1))}, "at most 16 MiB"),
    ],
)
def test_a_bad_upload_is_400(http: httpx.Client, files: Any, words: str) -> None:
    answer = http.post("/api/v1/media/files", files=files)

    assert answer.status_code == 400
    assert answer.json()["code"] == 400
    assert words in answer.json()["message"]


def test_a_broken_form_is_400(http: httpx.Client) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=xx"}
    answer = http.post("/api/v1/media/files", content=b"no form at all", headers=kind)

    assert (answer.status_code, answer.json()["code"]) == (400, 400)


def test_a_gif_is_not_taken_for_what_it_calls_itself() -> None:
    target = io.BytesIO()
    Image.new("RGB", (4, 4)).save(target, "GIF")

    assert picture_format(target.getvalue()) is None


def test_files_come_whole_in_part_or_as_headers_only(run: Run) -> None:
    url = urls(run("sandbox/fast"))[0]
    whole = get(url).content

    part = get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert get(url, headers={"Range": "bytes=-5"}).content == whole[-5:]
    assert get(url, headers={"Range": "bytes=5-"}).content == whole[5:]
    assert get(url, headers={"Range": "lines=1-2"}).content == whole
    beyond = get(url, headers={"Range": f"bytes={len(whole)}-"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, 416)
    bare = head(url)
    assert (bare.content, int(bare.headers["content-length"])) == (b"", len(whole))


def test_a_file_name_of_nothing_is_404(sandbox: Sandbox, run: Run) -> None:
    url = urls(run("sandbox/fast"))[0]
    for wrong in (url.replace("-0.png", "-1.png"), url.replace(".png", ".webp"), url + "/x"):
        assert get(wrong).status_code == 404
    assert get(f"{sandbox.cdn_url}/media/none.png").json()["code"] == 404


def test_an_expired_task_and_its_files_are_404(
    http: httpx.Client, sandbox: Sandbox, run: Run
) -> None:
    data = run("sandbox/fast")
    sandbox.expire(data["task_id"])

    assert http.get(f"/api/v1/tasks/{data['task_id']}").status_code == 404
    assert get(urls(data)[0]).status_code == 404
    assert len(sandbox.submissions) == 1
    with pytest.raises(KeyError):
        sandbox.expire("task-unknown")


@pytest.mark.parametrize(
    ("slug", "kind", "size"),
    [
        ("google/veo-3-fast", filetypes.WEBM, (480, 270)),
        ("minimax/speech-2.6", filetypes.MP3, None),
    ],
)
def test_films_and_sounds_are_small_whole_files(
    run: Run, slug: str, kind: filetypes.Kind, size: tuple[int, int] | None
) -> None:
    (resource,) = run(slug)["result"]["resources"]
    answer = get(resource["url"])

    assert (resource["type"], resource["format"]) == (kind.type, kind.ending)
    assert (resource["width"], resource["height"]) == (size or (None, None))
    assert answer.headers["content-type"] == kind.mime
    assert filetypes.sniff(answer.content) is kind
    assert 10_000 < len(answer.content) < 30_000


@pytest.mark.browser
def test_chromium_plays_and_seeks_in_the_film_and_the_sound(
    sandbox: Sandbox, run: Run, browser: Browser
) -> None:
    tab = browser.new_page()
    tab.goto(f"{sandbox.base_url}/")  # media on a page of no origin are not loaded
    seen = []
    for slug in ("google/veo-3-fast", "minimax/speech-2.6"):
        url = run(slug)["result"]["resources"][0]["url"]
        seen.append(tab.evaluate(_PLAY, url))
    tab.close()

    film, sound = seen
    assert film == {"error": None, "width": 480, "duration": pytest.approx(4, abs=0.1), "at": 1.5}
    assert sound == {"error": None, "width": 0, "duration": pytest.approx(2.7, abs=0.1), "at": 1.5}
