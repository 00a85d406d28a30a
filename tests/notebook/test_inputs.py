"""Media as inputs, from a cell's variable to the service, over a real local one."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo
from session_rig import HANG_S, KEY, Sessions, hurried

import modellix_jupyter as mx
from modellix_jupyter.errors import InvalidRequest, ModellixError, ServerError
from modellix_jupyter.notebook import inputs
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.sandbox_server import Faults, Sandbox
from modellix_jupyter.sandbox_server.site import TRANSCRIPT
from modellix_jupyter.values import Request, Status

if TYPE_CHECKING:
    from modellix_jupyter.api.client import AsyncClient
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.results.results import Results

EDIT = "google/nano-banana-2-edit"
GPT_EDIT = "openai/gpt-image-2-edit"
GPS, ORIENTATION = 0x8825, 0x0112


DAY_NS = 24 * 3600 * 1_000_000_000


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    Image.linear_gradient("L").save(path)
    return path


def run(session: Session, model: str, prompt: str | None = "a cat", **params: Any) -> Results:
    results = session.submit(make_plan([prompt], [model], params=params)).wait(HANG_S)
    assert [task.status for task in results] == [Status.SUCCESS], results[0].error()
    return results


def uploads(sandbox: Sandbox) -> int:
    return sum((e.method, e.path) == ("POST", "/api/v1/media/files") for e in sandbox.journal)


def sent(sandbox: Sandbox) -> dict[str, Any]:
    return dict(list(sandbox.submissions.values())[-1].body)


def test_a_file_is_uploaded_and_drawn_from(session: Session, sandbox: Sandbox, cat: Path) -> None:
    for value in ("cat.png", cat, cat.read_bytes(), Image.open(cat)):
        run(session, EDIT, image=value)
        assert sent(sandbox)["image"].startswith(f"{sandbox.cdn_url}/media/")
    array = np.asarray(Image.open(cat).convert("RGB"))
    (drawn,) = run(session, EDIT, image=array)
    tones = Image.open(drawn.path or "").convert("L").resize((1, 2)).tobytes()
    assert tones[0] < tones[1]  # as the gradient is


def test_the_same_bytes_are_uploaded_once_across_kernels(
    sessions: Sessions, sandbox: Sandbox, cat: Path
) -> None:
    first, second = sessions(), sessions()
    run(first, EDIT, image=cat)
    run(second, GPT_EDIT, image=[cat, cat.read_bytes()])
    first.upload(cat)
    assert uploads(sandbox) == 1
    image = sent(sandbox)["image"]
    assert image == [image[0]] * 2


def test_kernels_that_upload_the_same_at_once_upload_it_once(
    sessions: Sessions, sandbox: Sandbox, place: Path | str, cat: Path
) -> None:
    kernels = [sessions(ledger=place if isinstance(place, str) else "") for _ in range(3)]
    for kernel in kernels:
        _ = kernel.engine
    together = threading.Barrier(len(kernels))
    addresses: list[str] = []

    def upload(kernel: Session) -> None:
        together.wait(HANG_S)
        addresses.append(kernel.upload(cat))

    threads = [threading.Thread(target=upload, args=(kernel,)) for kernel in kernels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    assert len(addresses) == 3
    assert len(set(addresses)) == uploads(sandbox) == 1


def test_an_upload_that_was_deleted_elsewhere_is_sent_again(
    session: Session, sandbox: Sandbox, cat: Path
) -> None:
    run(session, EDIT, image=cat)
    (file,) = session.call(lambda r: r.client.files())
    assert session.call(lambda r: r.client.delete_file(file.file_id))
    run(session, EDIT, image=cat)
    assert uploads(sandbox) == 2


def test_a_chain_of_three_is_followed_from_the_film_to_the_first_prompt(
    session: Session, sandbox: Sandbox
) -> None:
    first = run(session, "sandbox/fast", "a boat")
    edited = run(session, EDIT, "at night", image=first)
    film = run(session, "alibaba/wan2.7-i2v", "it sails", first_frame=edited[0])
    assert uploads(sandbox) == 0  # the service has them all
    assert sent(sandbox)["first_frame"] == edited[0].resources[0].url

    assert film[0].parents == edited[0].task_id
    assert edited[0].parents == first[0].task_id
    assert first[0].parents is None
    (origin,) = session.find([edited[0].parents or ""])
    assert origin.request.prompt == "a boat"
    frame = session.history().set_index("task_id")
    assert frame.parents[film[0].task_id or ""] == edited[0].task_id
    # also by the file or by the address
    again = run(session, EDIT, "by day", image=Path(first[0].path or ""))
    assert again[0].parents == first[0].task_id
    again = run(session, EDIT, "by day", image=first[0].resources[0].url)
    assert again[0].parents == first[0].task_id


def test_a_result_that_the_service_does_not_keep_is_uploaded_from_the_disk(
    session: Session, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(session, "sandbox/fast")
    sandbox.expire(first[0].task_id or "")
    later = (first[0].expires_at or 0) * 1000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    edited = run(session, EDIT, image=first)
    assert uploads(sandbox) == 1
    assert edited[0].parents == first[0].task_id


def test_after_a_day_the_file_is_sent_and_without_one_the_address_while_it_may_be_kept(
    session: Session, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(session, "sandbox/fast")
    lost = run(session, "sandbox/fast")  # of a file that is not on this disk any more
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 2 * DAY_NS)
    for made in (first[0], lost[0]):
        stated = replace(made, expires_at=(made.completed_at or 0) + DAY_NS // 1000)
        session.ledger.save(stated)
    Path(lost[0].path or "").unlink()
    run(session, EDIT, image=session.ledger.get(first[0].uid))
    assert uploads(sandbox) == 1
    run(session, EDIT, image=session.ledger.get(lost[0].uid))
    assert uploads(sandbox) == 1
    assert sent(sandbox)["image"] == lost[0].resources[0].url
    monkeypatch.setattr(time, "time_ns", lambda: now + 8 * DAY_NS)
    with pytest.raises(InvalidRequest, match="is gone from the service"):
        run(session, EDIT, image=session.ledger.get(lost[0].uid))


def test_what_a_task_began_from_is_shown_beside_its_result(
    session: Session, sandbox: Sandbox, sessions: Sessions, cat: Path
) -> None:
    (drawn,) = run(session, EDIT, image=cat)
    for made in (session, sessions()):  # another kernel has it from the ledger
        (shown,) = made.inputs_of(drawn)
        small = Image.open(io.BytesIO(base64.b64decode((shown.src or "").partition(",")[2])))
        assert small.size == (80, 80)
        tones = small.convert("L").resize((1, 2)).tobytes()
        assert tones[0] < tones[1]
    results = run(session, GPT_EDIT, image=[cat, drawn])
    first, second = session.inputs_of(results[0])
    assert (first.src, first.path) == (shown.src, None)
    assert second.path == drawn.path
    page = results._repr_html_()
    assert page.count('alt="input"') == 2
    assert all(each.src and each.src in page for each in (first, second))
    as_data = run(session, "bytedance/seedream-5.0-lite-edit", image=pictures(12))
    assert len(session.inputs_of(as_data[0])) == 4
    assert session.inputs_of(run(session, "sandbox/fast")[0]) == ()
    assert sandbox.submissions


def test_the_inputs_of_a_batch_are_shown_once_where_they_are_the_same(
    session: Session, sandbox: Sandbox, cat: Path
) -> None:
    both = session.submit(make_plan(["a", "b"], [EDIT], params={"image": cat})).wait(HANG_S)
    assert both._repr_html_().count('alt="input"') == 1
    plans = [make_plan(["a"], [EDIT], params={"image": each})[0] for each in (cat, pictures(1)[0])]
    kling = "kling/kling-image-o1"
    plans += [make_plan(["a"], [kling], params={"image_list": [cat]})[0]]
    page = session.submit(plans).wait(HANG_S)._repr_html_()
    assert page.count('alt="input"') == 3
    assert sandbox.cdn_url not in page  # an address that ends says nothing to anybody


def test_an_address_that_is_no_picture_shows_nothing(session: Session) -> None:
    (done,) = run(session, "sandbox/fast")
    for odd in (
        "data:image/png;base64,AAAA",
        "data:image/png;base64,=",
        "data:,x",
        "https://a.test/x",
    ):
        request = Request("a/b", None, {"image": [odd, {"deep": odd}]})
        assert session.inputs_of(replace(done, uid=odd, request=request)) == ()


def test_results_are_a_list_where_the_model_takes_several(session: Session) -> None:
    both = session.submit(make_plan(["a", "b"], ["sandbox/fast"])).wait(HANG_S)
    (edited,) = run(session, GPT_EDIT, image=both)
    assert edited.parents == ",".join(task.task_id or "" for task in both)
    (edited,) = run(session, "kling/kling-image-o1", image_list=both)
    assert edited.request.params["image_list"] == [{"image": t.resources[0].url} for t in both]
    with pytest.raises(InvalidRequest, match="takes one picture, and here are 2"):
        session.order(make_plan(["x"], [EDIT], params={"image": both}))


def test_a_column_of_pictures(session: Session, sandbox: Sandbox, cat: Path) -> None:
    frame = pd.DataFrame({"prompt": ["a", "b"], "image": [cat, Image.open(cat).rotate(90)]})
    done = mx.submit_frame(frame, EDIT, batch="edits").wait(HANG_S)
    assert [task.status for task in done] == [Status.SUCCESS] * 2
    again = mx.submit_frame(frame, EDIT, batch="edits").wait(HANG_S)
    assert [task.uid for task in again] == [task.uid for task in done]
    assert (uploads(sandbox), len(sandbox.submissions)) == (2, 2)
    for file in session.call(lambda r: r.client.files()):
        session.call(lambda r, file=file: r.client.delete_file(file.file_id))  # type: ignore[misc]  # of a default
    again = mx.submit_frame(frame, EDIT, batch="edits").wait(HANG_S)
    assert [task.uid for task in again] == [task.uid for task in done]  # at other addresses now
    assert (uploads(sandbox), len(sandbox.submissions)) == (
        2,
        2,
    )  # what is not sent is not uploaded either


def test_a_prompt_goes_where_the_model_wants_it(session: Session, sandbox: Sandbox) -> None:
    (spoken,) = run(session, "alibaba/qwen3-tts-flash", "hello", voice="Cherry")
    assert sent(sandbox) == {"text": "hello", "voice": "Cherry"}
    assert spoken.request.prompt == "hello"
    assert session.ledger.get(spoken.uid) == spoken
    assert session.history().prompt.tolist() == ["hello"]
    with pytest.raises(InvalidRequest, match="takes the prompt as `text`"):
        session.order(
            make_plan(["a"], ["alibaba/qwen3-tts-flash"], params={"text": "b", "voice": "Cherry"})
        )


def test_a_model_without_a_prompt(session: Session, sandbox: Sandbox, cat: Path) -> None:
    frames = "vidu/viduq2-pro-multi-frame"
    run(session, frames, None, start_image=cat, key_images=cat)
    assert set(sent(sandbox)) == {"start_image", "key_images"}
    assert len(sent(sandbox)["key_images"]) == 1
    with pytest.raises(InvalidRequest, match="takes no prompt"):
        session.order(make_plan(["x"], [frames], params={"start_image": cat, "key_images": cat}))


def test_a_sound_goes_by_its_address_or_as_data(session: Session, sandbox: Sandbox) -> None:
    spoken = run(session, "minimax/speech-2.6", "hello")
    written = run(session, "alibaba/qwen3-asr-flash", None, url=spoken)
    assert written[0].text == TRANSCRIPT
    assert (written[0].path or "").endswith(".txt")
    assert written.frame().text.tolist() == [TRANSCRIPT]
    assert "text" not in spoken.frame()
    assert TRANSCRIPT in written._repr_html_()
    assert "bell, and then it is quiet again" in repr(written)
    assert sent(sandbox)["url"] == spoken[0].resources[0].url
    run(session, "alibaba/qwen3-asr-flash", None, url=Path(spoken[0].path or "").read_bytes())
    assert sent(sandbox)["url"].startswith("data:audio/mpeg;base64,")
    assert uploads(sandbox) == 0


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    (EDIT, {"image": "cat.pgn"}, "There is no file `cat.pgn` for `image`.\nDid you mean `cat.png`"),
    (EDIT, {"image": Path("cta.png")}, "cannot be read: No such file"),
    (EDIT, {"image": b""}, "is empty"),
    (EDIT, {"image": b"no picture at all"}, "is not a picture, video or sound"),
    (EDIT, {"image": b"\x89PNG\r\n\x1a\n" + bytes(40)}, "cannot be opened"),
    (EDIT, {"image": b"ID3" + bytes(40)}, "takes a picture, and"),
    (EDIT, {"image": b"\x89PNG\r\n\x1a\n"}, "cannot be opened"),
    ("alibaba/wan2.7-i2v", {"first_clip": b"\x1aE\xdf\xa3" + bytes(9)}, "uploads of pictures only"),
    ("alibaba/wan2.7-i2v", {}, "needs `first_frame`"),
    (GPT_EDIT, {"image": []}, "must have 1 to 16 items"),
    ("sandbox/fast", {"size": b"x"}, "`size` of sandbox/fast does not take a file"),
]


@pytest.mark.parametrize(("model", "params", "words"), MISTAKES)
def test_mistakes_are_found_before_anything_is_sent(
    session: Session, sandbox: Sandbox, cat: Path, model: str, params: dict[str, Any], words: str
) -> None:
    del cat
    with pytest.raises(InvalidRequest) as caught:
        session.submit(make_plan(["x"], [model], params=params))
    assert words in str(caught.value)
    assert (uploads(sandbox), len(sandbox.submissions)) == (0, 0)


def test_a_plan_that_is_not_confirmed_uploads_nothing(
    session: Session, sandbox: Sandbox, cat: Path
) -> None:
    requests = make_plan([f"{i}" for i in range(30)], [EDIT], params={"image": cat})
    assert not session.submit(requests, confirm=lambda _: False)
    assert uploads(sandbox) == 0


def pictures(count: int, first: int = 0) -> list[Image.Image]:
    return [Image.new("RGB", (8, 8), (n, n, n)) for n in range(first, first + count)]


def test_the_quota_is_respected_by_deleting_our_own_oldest(
    session: Session, sandbox: Sandbox, cat: Path
) -> None:
    del cat
    theirs = session.call(lambda r: r.client.send_file(_png(pictures(1, 200)[0]), "theirs.png"))
    addresses = [session.upload(picture) for picture in pictures(12)]
    kept = [file.url for file in session.call(lambda r: r.client.files())]
    assert kept == [theirs.url, *addresses[-9:]]
    assert uploads(sandbox) == 13
    session.upload(pictures(1)[0])  # deleted meanwhile, so sent again
    assert uploads(sandbox) == 14


def test_what_an_open_task_needs_is_not_deleted(session: Session) -> None:
    addresses = [session.upload(picture) for picture in pictures(10)]
    session.submit(make_plan(["x"], ["alibaba/wan2.7-i2v"], params={"first_frame": addresses[0]}))
    session.upload(pictures(1, 50)[0])
    kept = [file.url for file in session.call(lambda r: r.client.files())]
    assert addresses[0] in kept
    assert addresses[1] not in kept


def test_more_pictures_than_the_service_keeps(session: Session, sandbox: Sandbox) -> None:
    many = make_plan(["x"], [GPT_EDIT], params={"image": pictures(12)})
    with pytest.raises(InvalidRequest, match=r"12 pictures to upload, .* room for 10"):
        session.submit(many)
    assert (uploads(sandbox), len(sandbox.submissions)) == (0, 0)
    run(session, "bytedance/seedream-5.0-lite-edit", image=pictures(12))
    image = sent(sandbox)["image"]
    assert [address[:5] for address in image] == ["http:"] * 10 + ["data:"] * 2


def test_files_of_others_leave_no_place(session: Session, sandbox: Sandbox, cat: Path) -> None:
    async def fill(client: AsyncClient) -> None:
        for picture in pictures(10, 200):
            await client.send_file(_png(picture), "theirs.png")

    session.call(lambda r: fill(r.client))
    with pytest.raises(InvalidRequest, match=r"has 1 picture to upload, .* room for 0"):
        session.submit(make_plan(["x"], [GPT_EDIT], params={"image": cat}))
    assert len(session.call(lambda r: r.client.files())) == 10
    assert sandbox.submissions == {}


def test_a_picture_that_is_there_needs_no_place(
    session: Session, cat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for picture in pictures(2, 200):
        session.upload(picture)
    session.upload(cat)
    monkeypatch.setattr(inputs, "QUOTA", 2)  # fewer than an account has by now
    run(session, GPT_EDIT, image=cat)


@pytest.mark.parametrize("fault", ["silence", "garbled_json", "reset_after"])
def test_an_upload_without_an_answer_is_looked_for_and_not_repeated(
    home: Path, no_thread_left: None, cat: Path, fault: str
) -> None:
    del no_thread_left
    with Sandbox(speed=50, faults=Faults(upload={fault: 1.0})) as sandbox:
        sessions = Sessions(home, sandbox)
        run(sessions(), EDIT, image=cat)
        sessions.close()
        assert uploads(sandbox) == 1


def test_an_upload_that_is_refused_goes_as_data_where_the_model_takes_it(
    home: Path, no_thread_left: None, cat: Path
) -> None:
    del no_thread_left
    with Sandbox(speed=50, faults=Faults(upload={"500": 1.0})) as sandbox:
        sessions = Sessions(home, sandbox)
        session = sessions(sleep=hurried)
        (drawn,) = run(session, EDIT, image=cat)
        assert sent(sandbox)["image"].startswith("data:image/png;base64,")
        assert len(session.inputs_of(drawn)) == 1
        with pytest.raises(ServerError) as refused:  # which takes addresses only
            session.submit(make_plan(["x"], [GPT_EDIT], params={"image": cat}))
        assert "no task was sent" in refused.value.hint
        sessions.close()
        assert len(sandbox.submissions) == 1


def test_an_upload_that_never_arrived_is_said(home: Path, no_thread_left: None, cat: Path) -> None:
    del no_thread_left
    with Sandbox(speed=50, faults=Faults(upload={"reset_before": 1.0})) as sandbox:
        sessions = Sessions(home, sandbox)
        with pytest.raises(ModellixError, match="An upload got no answer"):
            sessions().submit(make_plan(["x"], [EDIT], params={"image": cat}))
        sessions.close()
        assert (uploads(sandbox), sandbox.submissions) == (1, {})


def _png(picture: Image.Image) -> bytes:
    target = io.BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photo_is_sent_upright_and_without_its_place(
    session: Session, tmp_path: Path, form: str
) -> None:
    photo = Image.new("RGB", (40, 20), "red")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS)[1] = "N"
    path = tmp_path / f"photo.{form.lower()}"
    photo.save(path, form, exif=exif, comment="at home")
    before = path.read_bytes()

    url = session.upload(path)
    import httpx

    content = httpx.get(url).content
    kept = Image.open(io.BytesIO(content))
    assert kept.size == (20, 40)
    assert not kept.getexif()
    assert b"at home" not in content
    assert path.read_bytes() == before
    assert kept.format == ("PNG" if form == "TIFF" else form)


def test_the_texts_of_a_png_are_not_sent(session: Session, tmp_path: Path) -> None:
    import httpx

    texts = PngInfo()
    texts.add_text("Location", "at home")
    texts.add_itxt("Software", "at home", zip=True)
    path = tmp_path / "said.png"
    Image.linear_gradient("L").save(path, pnginfo=texts)
    sent = Image.open(io.BytesIO(httpx.get(session.upload(path)).content))
    sent.load()
    assert isinstance(sent, PngImageFile)
    assert sent.text == {}
    assert sent.tobytes() == Image.linear_gradient("L").tobytes()


def test_a_picture_that_says_nothing_is_sent_as_it_is(session: Session, cat: Path) -> None:
    import httpx

    assert httpx.get(session.upload(cat)).content == cat.read_bytes()


def test_the_bare_client_uploads_lists_and_deletes(session: Session, cat: Path) -> None:
    async def look() -> tuple[str, list[str], list[bool]]:
        async with mx.AsyncClient(KEY, settings=session.settings) as client:
            for source in (str(cat), cat, cat.read_bytes()):
                url = await client.upload(source)
            files = await client.files()
            gone = [await client.delete_file(files[0].file_id) for _ in range(2)]
            with pytest.raises(InvalidRequest, match="There is no file"):
                await client.upload("cat.pgn")
            return url, [file.url for file in files], gone

    url, files, gone = asyncio.run(look())
    assert files[-1] == url
    assert len(files) == 3
    assert gone == [True, False]
