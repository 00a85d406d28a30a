"""A cell that waits, in a real kernel: the notebook lives on; an interrupt ends only the wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_talk import PICTURE, SPEED, Talk, a_kernel

from modellix_jupyter.sandbox_server import Sandbox

pytestmark = pytest.mark.kernel

TICKER = """
import asyncio, time
ticks = []
async def tick():
    while True:
        ticks.append(time.time())
        await asyncio.sleep(0.05)
ticker = asyncio.get_running_loop().create_task(tick())
def ticks_during(task):
    return sum(task.submitted_at / 1e6 < at < task.completed_at / 1e6 for at in ticks)
"""

BUTTON = """
import ipywidgets
clicks = []
button = ipywidgets.Button()
button.on_click(clicks.append)
print(button.model_id)
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(speed=SPEED) as running:
        yield running


@pytest.fixture(scope="module")
def ticking(service: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """A kernel with an asyncio task of the notebook's own in its loop."""
    with a_kernel(service, tmp_path_factory.mktemp("kernel")) as talk:
        assert talk.run(TICKER).status == "ok"
        yield talk


def until_shown(ticking: Talk, output: str, text: str) -> None:
    """Wait until an output has been drawn with a text."""
    ticking.until(
        lambda m: (
            m["msg_type"] == "update_display_data"
            and m["content"]["transient"]["display_id"] == output
            and text in m["content"]["data"]["text/plain"]
        )
    )


def test_the_notebooks_own_tasks_go_on_while_a_cell_waits(ticking: Talk) -> None:
    cell = ticking.run("%%modellix sandbox/slow\na lighthouse")
    assert cell.status == "ok"
    assert float(ticking.value("_[0].elapsed_s")) > 2.5
    assert int(ticking.value("ticks_during(_[0])")) > 20


def test_a_plain_wait_stops_them_where_the_setting_says_so(ticking: Talk) -> None:
    ticking.run("%config Modellix.reentrant_wait = False")
    try:
        cell = ticking.run("%%modellix sandbox/fast --out plain\na lighthouse")
        assert cell.status == "ok"
        assert int(ticking.value("ticks_during(plain[0])")) <= 1
    finally:
        ticking.run("%config Modellix.reentrant_wait = True")


def test_a_click_during_the_wait_is_not_lost(ticking: Talk) -> None:
    button = ticking.run(BUTTON).printed.strip()
    cell = ticking.start("%%modellix sandbox/slow\na harbour")
    ticking.shown(cell)
    ticking.click(button)
    ended = ticking.finish(cell)
    assert ended.status == "ok", ended.reply
    assert float(ticking.value("_[0].elapsed_s")) > 2.5
    assert ticking.value("len(clicks)") == "1"
    assert ticking.value("ticker.done()") == "False"


def test_an_interrupt_ends_only_the_waiting(ticking: Talk, service: Sandbox) -> None:
    sent = len(service.submissions)
    cell = ticking.start("%%modellix sandbox/slow --out kept\na fox in the snow")
    shown = ticking.shown(cell)
    until_shown(ticking, shown, "pending")
    before = time.perf_counter()
    ticking.manager.interrupt_kernel()
    reply = ticking.reply(cell)
    took = time.perf_counter() - before
    assert took < 0.5
    assert (reply["status"], reply["ename"]) == ("error", "WaitInterrupted")
    first, second = reply["traceback"]
    assert first == "Interrupted: only the waiting ended; 1 task goes on."
    assert "%modellix wait" in second
    assert ticking.value("kept.done, kept[0].status.value in ('pending', 'processing')") == (
        "False True"
    )
    assert ticking.value("ticker.done()") == "False"
    pictured = ticking.pictured(shown)
    assert pictured["msg_type"] == "update_display_data"
    assert "only the waiting ended" not in pictured["content"]["data"]["text/html"]
    assert ticking.value("kept[0].status.value") == "success"
    assert len(service.submissions) == sent + 1


AWAITED = """
import modellix_jupyter as mx
await mx.agenerate(["p"] * 6, "sandbox/slow", yes=True)
"""
OF_THE_LAST_SIX = "sorted(mx.history().status.tail(6))"


def test_an_interrupt_of_what_is_awaited_takes_back_what_was_not_sent(ticking: Talk) -> None:
    ticking.run("%config Modellix.max_in_flight = 2")
    cell = ticking.start(AWAITED)
    shown = ticking.shown(cell)
    until_shown(ticking, shown, "2 pending")
    ticking.manager.interrupt_kernel()
    assert ticking.reply(cell)["status"] == "error"
    ticking.run("%config Modellix.max_in_flight = 64")
    assert ticking.value(OF_THE_LAST_SIX) == str(["pending"] * 2 + ["rejected"] * 4)
    ticking.run("%modellix wait")


def test_an_interrupt_of_what_is_awaited_comes_at_once_where_nothing_else_turns_the_loop(
    tmp_path: Path,
) -> None:
    with Sandbox() as slow, a_kernel(slow, tmp_path) as talk:  # its task takes a minute
        talk.run("import modellix_jupyter as mx\nkept = mx.submit('p', 'sandbox/slow')")
        cell = talk.start("print('waits')\nawait kept")
        talk.until(lambda m: m["msg_type"] == "stream" and "waits" in m["content"]["text"])
        time.sleep(0.2)  # until the loop has nothing to do but to wait
        talk.manager.interrupt_kernel()
        assert talk.reply(cell)["status"] == "error"
        assert talk.value("kept.done") == "False"  # whose end would turn the loop


def test_the_wait_is_taken_up_again_by_the_command_it_names(
    ticking: Talk, service: Sandbox
) -> None:
    sent = len(service.submissions)
    cell = ticking.start("%%modellix sandbox/slow --out again\na heron")
    until_shown(ticking, ticking.shown(cell), "pending")  # what was not sent is taken back
    ticking.manager.interrupt_kernel()
    assert ticking.reply(cell)["status"] == "error"
    taken_up = ticking.run("%modellix wait")
    assert taken_up.status == "ok"
    assert PICTURE in taken_up.html
    assert ticking.value("_[0].uid == again[0].uid") == "True"
    assert len(service.submissions) == sent + 1


def test_a_time_out_fails_the_cell_and_its_output_still_completes(ticking: Talk) -> None:
    cell = ticking.run("%%modellix sandbox/slow --timeout 0.2 --out late\na heron")
    assert (cell.status, cell.reply["ename"]) == ("error", "WaitTimeout")
    assert len(cell.reply["traceback"]) == 2
    assert "%modellix wait" in cell.reply["traceback"][1]
    ticking.pictured(cell.display_id)
    assert ticking.value("late[0].status.value") == "success"


def test_no_wait_updates_its_own_output_while_later_cells_run(ticking: Talk) -> None:
    cell = ticking.run("%%modellix sandbox/slow --no-wait --out running\na meadow")
    assert cell.status == "ok"
    assert PICTURE not in cell.html
    shown = cell.display_id
    later = [ticking.run(f"print({number}); {number}") for number in range(3)]
    assert ticking.value("running.done") == "False"
    busy = ticking.run("_ = running.wait()")
    ticking.pictured(shown)
    for number, ran in enumerate(later):
        assert ran.status == "ok"
        assert ran.printed == f"{number}\n"
        (result,) = ran.of("execute_result")
        assert result["data"] == {"text/plain": str(number)}
        assert ran.of("display_data") == []
    assert busy.of("display_data", "stream", "execute_result") == []
    elsewhere = {
        m["content"]["transient"]["display_id"]
        for m in ticking.messages
        if m["msg_type"] == "update_display_data"
        and m["parent_header"]["msg_id"] in {ran.id for ran in (*later, busy)}
    }
    assert elsewhere <= {shown}
