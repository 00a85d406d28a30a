"""What a cell leaves behind in a real kernel: one output, which plays and shows, and one value."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernel_talk import PICTURE, Cell, Talk, a_kernel

from modellix_jupyter.sandbox_server import Sandbox

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(speed=50) as running:
        yield running


@pytest.fixture(scope="module")
def talk(service: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with a_kernel(service, tmp_path_factory.mktemp("kernel")) as talk:
        assert talk.run("import modellix_jupyter as mx").status == "ok"
        yield talk


def shown_once(cell: Cell) -> str:
    """Return the html of a cell's only output, which is no `execute_result`."""
    assert cell.status == "ok", cell.reply
    assert len(cell.of("display_data")) == 1
    assert cell.of("execute_result") == []
    assert cell.of("stream") == []
    return cell.html


def test_a_cell_leaves_one_output_with_the_picture_in_it(talk: Talk) -> None:
    assert PICTURE in shown_once(talk.run("%%modellix sandbox/fast\na paper crane"))


def test_the_output_has_a_text_too(talk: Talk) -> None:
    cell = talk.run("%%modellix sandbox/fast\na paper crane")
    text = cell.of("update_display_data")[-1]["data"]["text/plain"]
    assert "success" in text
    assert talk.value("_[0].task_id") in text


def test_the_value_of_a_cell_is_its_results(talk: Talk) -> None:
    cell = talk.run("%%modellix sandbox/fast --out cranes\na paper crane")
    number = cell.reply["execution_count"]
    assert talk.value(f"type(Out[{number}]).__name__") == "Results"
    assert talk.value(f"_ is Out[{number}] is cranes") == "True"
    assert talk.value("len(cranes), cranes[0].request.prompt") == "1 a paper crane"


def test_the_value_shows_itself_again_in_a_later_cell(talk: Talk) -> None:
    talk.run("%%modellix sandbox/fast --out cranes\na paper crane")
    assert PICTURE in shown_once(talk.run("cranes"))


def test_a_video_plays_in_its_output(talk: Talk) -> None:
    html = shown_once(talk.run("%%modellix alibaba/wan-2.5-t2v --duration 1\nnorthern lights"))
    assert "<video controls" in html
    assert 'src="data:video/' in html


def test_a_sound_plays_in_its_output(talk: Talk) -> None:
    html = shown_once(talk.run("%%modellix minimax/speech-2.6\nla la la"))
    assert "<audio controls" in html
    assert 'src="data:audio/' in html


def test_several_tasks_share_one_output(talk: Talk) -> None:
    html = shown_once(talk.run("%%modellix sandbox/fast --vary seed=1,2,3\na paper crane"))
    assert html.count(PICTURE) == 3


def test_one_failure_among_several_does_not_fail_the_cell(talk: Talk) -> None:
    html = shown_once(talk.run("%%modellix sandbox/fast sandbox/refuses\na paper crane"))
    assert html.count(PICTURE) == 1
    assert "Content policy" in html


def test_generate_as_the_last_line_is_shown_once(talk: Talk) -> None:
    assert PICTURE in shown_once(talk.run('mx.generate("a crane", "sandbox/fast")'))


def test_agenerate_is_awaited_in_a_cell(talk: Talk) -> None:
    cell = talk.run('awaited = await mx.agenerate("a crane", "sandbox/fast")\nawaited')
    assert PICTURE in shown_once(cell)
    assert talk.value("awaited[0].status.value") == "success"


def test_several_are_awaited_together(talk: Talk) -> None:
    code = """
import asyncio
pair = await asyncio.gather(*(mx.agenerate("a crane", "sandbox/fast", seed=n) for n in (1, 2)))
"""
    cell = talk.run(code)
    assert cell.status == "ok", cell.reply
    assert len(cell.of("display_data")) == 2
    assert talk.value("[r[0].status.value for r in pair]") == "['success', 'success']"


def test_submit_updates_itself_and_can_be_awaited(talk: Talk) -> None:
    cell = talk.run('running = mx.submit("a crane", "sandbox/fast")\nrunning')
    assert len(cell.of("display_data")) == 1
    assert talk.run("_ = await running").status == "ok"
    assert talk.value("running.done") == "True"
    talk.pictured(cell.display_id)


def test_a_python_call_that_fails_shows_two_lines(talk: Talk) -> None:
    cell = talk.run('mx.generate("a crane", "sandbox/out-of-credit")')
    assert (cell.status, cell.reply["ename"]) == ("error", "PaymentRequired")
    assert len(cell.reply["traceback"]) == 2
