"""Tab, the frame and the panel in a real kernel, which is told what a page would say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernel_talk import Talk, a_kernel

from modellix_jupyter.sandbox_server import Sandbox

pytestmark = pytest.mark.kernel

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(speed=50) as running:
        yield running


@pytest.fixture(scope="module")
def talk(service: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with a_kernel(service, tmp_path_factory.mktemp("kernel")) as talk:
        assert talk.run("import modellix_jupyter as mx").status == "ok"
        yield talk


def test_tab_offers_models_and_parameters(talk: Talk) -> None:
    talk.value("len(mx.models())")  # what is not known yet is offered the next time
    assert "%%modellix google/nano-banana-2-lite" in talk.offered("%%modellix nano-banana-2-l")
    line = "%%modellix alibaba/qwen-image-plus --"
    talk.value("len(mx.describe('alibaba/qwen-image-plus'))")
    assert {f"{line}size", f"{line}no-wait"} <= set(talk.offered(line))
    assert f"{line}size 1024*1024" in talk.offered(f"{line}size 1024*1")


def test_a_frame_is_a_table_and_show_has_pictures(talk: Talk) -> None:
    talk.run("%%modellix sandbox/fast --vary seed=1,2 --out boats\na boat")
    (result,) = talk.run("boats.frame()[['model', 'prompt', 'path']]").of("execute_result")
    assert result["data"]["text/html"].count("<td>a boat</td>") == 2
    assert talk.value("sorted(boats.frame().status)") == "['success', 'success']"
    (shown,) = talk.run("mx.show(boats.frame())").of("execute_result", "display_data")
    assert shown["data"]["text/html"].count('src="data:image/jpeg;base64,') >= 2


def test_the_panel_is_shown_filled_in_clicked_and_fills_its_gallery(
    talk: Talk, service: Sandbox
) -> None:
    cell = talk.run("panel = mx.panel()\npanel")
    assert cell.status == "ok", cell.reply
    view, still = cell.of("display_data")
    assert view["data"][VIEW]["model_id"] == talk.value("panel.model_id")
    assert "Run its cell again" in still["data"]["text/html"]

    def model(name: str) -> str:
        return talk.value(f"panel.create.{name}.model_id")

    talk.until_true("panel.create.model.models")
    talk.change(model("model"), chosen=["sandbox/fast"])
    talk.until_true("panel.create.form.models == ('sandbox/fast',)")
    talk.change(model("prompt"), value="a lighthouse")
    talk.until_true("'1' in panel.create.button.label")
    label, ticket = (talk.value(f"panel.create.button.{name}") for name in ("label", "ticket"))
    before = len(service.submissions)
    shown = int(talk.value("len(panel.context.uids())"))  # of the cells before
    for _ in range(2):  # clicked twice, sent once
        talk.say(model("button"), {"send": ticket, "label": label})
    gallery = model("results.gallery")
    talk.say(gallery, {"view": "page", "see": [0, 24], "lack": "all"})
    talk.until_true(f"len(panel.context.uids()) > {shown}")
    talk.until(
        lambda m: (
            m["msg_type"] == "comm_msg"
            and m["content"]["comm_id"] == gallery
            and bool(m["content"]["data"].get("content", {}).get("thumbs"))
        )
    )
    talk.until_true(
        "all(panel.context.session.engine.get(u).is_final for u in panel.context.uids())"
    )
    assert [s.body["prompt"] for s in list(service.submissions.values())[before:]] == [
        "a lighthouse"
    ]
    talk.run("panel.close()")
    closed = talk.run("panel")
    assert "This panel is closed." in closed.printed
