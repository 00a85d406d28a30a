"""Waiting in a running loop. The loop is patched for a whole process, so each test has its own."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest
from session_rig import HANG_S, output

from modellix_jupyter.engine.waiting import turning, wait_async, wait_for

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")

BEGIN = """
import asyncio, os, signal, sys, threading, time
from concurrent.futures import Future
from modellix_jupyter.engine.waiting import wait_for

ticks = 0

async def ticker():
    global ticks
    while True:
        ticks += 1
        await asyncio.sleep(0.001)

def done_when(condition):
    "Return a future that is done once a condition holds, or after long as None."
    future = Future()
    def look():
        until = time.monotonic() + 10
        while not condition():
            if time.monotonic() > until:
                return future.set_result(None)
            time.sleep(0.001)
        future.set_result("done")
    threading.Thread(target=look, daemon=True).start()
    return future

def others():
    return [t for t in asyncio.all_tasks() if t is not asyncio.current_task() and not t.done()]
"""


def test_other_tasks_of_the_loop_go_on_meanwhile(home: Path) -> None:
    code = """
async def main():
    other = asyncio.create_task(ticker())
    future = done_when(lambda: ticks >= 20)
    assert wait_for([future]) is True
    print(future.result(), ticks >= 20)
    other.cancel()
    await asyncio.sleep(0.01)
    print(others())

asyncio.run(main())
"""
    assert output(BEGIN + code, home=home) == "done True\n[]\n"


def test_a_plain_wait_stops_them(home: Path) -> None:
    code = """
async def main():
    other = asyncio.create_task(ticker())
    await asyncio.sleep(0)
    before = ticks
    future = Future()
    threading.Timer(0.1, future.set_result, ["done"]).start()
    assert wait_for([future], reentrant=False) is True
    print(ticks - before, "nest_asyncio2" in sys.modules)
    other.cancel()

asyncio.run(main())
"""
    assert output(BEGIN + code, home=home) == "0 False\n"


def test_the_turn_that_a_first_wait_began_in_goes_on(home: Path) -> None:
    """It was counted before the loop was patched, and the wait has run what it still counts."""
    code = """
async def main():
    loop, seen = asyncio.get_running_loop(), []
    future = done_when(lambda: len(seen) == 5)
    loop.call_soon(lambda: seen.append(wait_for([future])))
    for number in range(5):
        loop.call_soon(seen.append, number)
    await asyncio.sleep(0.1)
    print(seen)

asyncio.run(main())
"""
    assert output(BEGIN + code, home=home) == "[0, 1, 2, 3, 4, True]\n"


def test_waits_within_waits(home: Path) -> None:
    code = """
async def main():
    inner, outer = Future(), Future()
    async def cell():
        print("inner", wait_for([inner]))
    task = asyncio.create_task(cell())
    asyncio.get_running_loop().call_later(0.02, inner.set_result, 1)
    asyncio.get_running_loop().call_later(0.04, outer.set_result, 2)
    print("outer", wait_for([outer]))
    await task

asyncio.run(main())
"""
    assert output(BEGIN + code, home=home) == "inner True\nouter True\n"


def test_a_wait_that_times_out_leaves_nothing_behind(home: Path) -> None:
    code = """
async def main():
    future = Future()
    print(wait_for([future], 0.02), wait_for([future], 0.02, reentrant=False))
    print(future.cancelled(), future.done(), others())
    future.set_result(1)
    print(wait_for([future], 0.02), wait_for([], 0))

asyncio.run(main())
"""
    assert output(BEGIN + code, home=home) == "False False\nFalse False []\nTrue True\n"


@pytest.mark.parametrize("way", ["timer", "callback"])
def test_an_interrupt_ends_the_waiting_and_nothing_else(home: Path, way: str) -> None:
    code = """
async def main():
    loop = asyncio.get_running_loop()
    future = Future()
    if sys.argv[1] == "timer":
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    else:
        loop.call_later(0.05, signal.raise_signal, signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        wait_for([future])
    except KeyboardInterrupt:
        print("interrupted")
    await asyncio.sleep(0.02)
    print(others(), future.cancelled())
    threading.Timer(0.02, future.set_result, [1]).start()
    print(wait_for([future]))  # and it can be waited for again

asyncio.run(main())
"""
    assert output(BEGIN + code, way, home=home) == "interrupted\n[] False\nTrue\n"


def test_what_an_interrupt_must_not_part_runs_to_its_end(home: Path) -> None:
    code = """
from modellix_jupyter.ledger.uninterrupted import uninterrupted
signal.signal(signal.SIGINT, signal.default_int_handler)

@uninterrupted
def inner():
    signal.raise_signal(signal.SIGINT)
    print("inner")

@uninterrupted
def outer():
    inner()
    print("outer", flush=True)

for call in (outer, lambda: threading.Thread(target=outer).run()):
    try:
        call()
    except KeyboardInterrupt:
        print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    ended = "inner\nouter\ninterrupted True\n"
    assert output(BEGIN + code, home=home) == 2 * ended


def test_a_plain_wait_can_be_interrupted(home: Path) -> None:
    code = """
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
signal.setitimer(signal.ITIMER_REAL, 0.1)
future = Future()
try:
    wait_for([future])
except KeyboardInterrupt:
    print("interrupted", future.cancelled())
"""
    assert output(BEGIN + code, home=home) == "interrupted False\n"


def test_a_future_that_ends_after_its_loop_disturbs_nobody(home: Path) -> None:
    code = """
future = Future()

async def main():
    try:
        await asyncio.wait_for(wait_async([future]), 0.01)
    except TimeoutError:
        print("timed out")

from modellix_jupyter.engine.waiting import wait_async
asyncio.run(main())
future.set_result(1)
print(future.done())
"""
    assert output(BEGIN + code, home=home) == "timed out\nTrue\n"


# -- where there is no loop


def test_without_a_loop_the_wait_is_plain() -> None:
    future: Future[int] = Future()
    threading.Timer(0.01, future.set_result, [1]).start()
    assert wait_for([future], HANG_S) is True
    never: Future[int] = Future()
    assert wait_for([future, never], 0.01) is False
    assert wait_for([never], 0) is False
    assert not never.cancelled()
    assert wait_for([]) is True


def test_a_wait_in_a_coroutine_says_whether_the_time_sufficed() -> None:
    async def scenario() -> list[bool]:
        done: Future[int] = Future()
        done.set_result(1)
        failed: Future[int] = Future()
        failed.set_exception(ValueError())
        never: Future[int] = Future()
        found = [
            await wait_async([done, failed]),
            await wait_async([done, never], 0.01),
            await wait_async([]),
        ]
        assert not never.cancelled()
        never.set_result(1)
        return [*found, await wait_async([never])]

    assert asyncio.run(scenario()) == [True, False, True, True]


def test_a_future_of_another_thread_wakes_the_loop() -> None:
    async def scenario() -> bool:
        future: Future[int] = Future()

        def work() -> None:
            time.sleep(0.01)
            future.set_result(1)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            return await wait_async([future], HANG_S)
        finally:
            thread.join()

    assert asyncio.run(scenario())


def test_an_interrupt_cancels_what_awaits_where_nobody_else_takes_it() -> None:
    async def cell() -> None:
        with turning():
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(HANG_S)

    # as IPython in a terminal runs a cell; `asyncio.run` has a handler of its own
    with closing(asyncio.new_event_loop()) as loop, pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(cell())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
