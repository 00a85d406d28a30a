"""Waiting in a notebook: its event loop keeps running, and an interrupt ends only the wait.

A plain ``future.result()`` blocks the notebook's event loop, and with it the user's asyncio tasks.
So if a loop runs in this thread, it is run re-entrantly until the future is done. That needs a
patched loop: nest-asyncio2 does it, the maintained successor of nest-asyncio, which loses clicks
that arrive meanwhile. The loop is patched only when such a wait begins. Without a loop (a script),
or if it cannot be patched (uvloop), the wait is plain.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import reprlib
import signal
import time
from contextlib import contextmanager
from numbers import Real
from typing import TYPE_CHECKING, TypeGuard, TypeVar

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.ledger.uninterrupted import interrupts_held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

_T = TypeVar("_T")

# The longest wait, and `--timeout`, in seconds: Python's own waits do not accept much more.
LONGEST_S = 1e9
# How long an interrupt of a plain wait, or of an awaited cell, may be delayed, in seconds.
_PART_S = 0.1


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a real number, also NumPy's; booleans are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_timeout(timeout: object) -> float | None:
    """Return a checked time-out.

    Parameters
    ----------
    timeout
        In seconds, or None for as long as it takes.

    Raises
    ------
    InvalidRequest
        It is not a number of seconds, or out of range.

    """
    if timeout is None:
        return None
    if is_number(timeout) and 0 <= timeout <= LONGEST_S:  # false for nan too
        return float(timeout)
    raise InvalidRequest(
        f"timeout={reprlib.repr(timeout)} is not a number of seconds from 0 to 1e9.",
        "Write timeout=300 to wait for five minutes, or None for as long as it takes.",
    )


def wait_for(
    futures: Sequence[Future[_T]], timeout: float | None = None, *, reentrant: bool = True
) -> bool:
    """Wait until all futures are done; False if the time ran out first.

    Parameters
    ----------
    futures
        They are not cancelled by an interrupt or a time-out.
    timeout
        In seconds, or None for as long as it takes.
    reentrant
        Whether to keep this thread's event loop running meanwhile.

    """
    loop = _running_loop() if reentrant else None
    if loop is None or not _patch(loop):
        return _wait_plainly(futures, timeout)
    counted = _ready_callbacks(loop)
    waiting = loop.create_task(wait_async(futures, timeout))
    try:
        return bool(loop.run_until_complete(waiting))
    finally:
        waiting.cancel()  # otherwise an interrupt would leave it behind
        # the loop's iteration that runs this cell began before the patch: it pops as many callbacks
        # as it counted then, including those that ran meanwhile, and fails if there are fewer
        for _ in range(counted - _ready_callbacks(loop)):
            loop.call_soon(_do_nothing)


def _ready_callbacks(loop: asyncio.AbstractEventLoop) -> int:
    return len(getattr(loop, "_ready", ()))


def _do_nothing() -> None:
    pass


def _wait_plainly(futures: Sequence[Future[_T]], timeout: float | None) -> bool:
    """Wait in parts, so that an interrupt comes between them and leaves no future's lock held."""
    until = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        part = max(0.0, min(_PART_S, until - time.monotonic()))
        with interrupts_held():
            done = not concurrent.futures.wait(futures, part).not_done
        if done or time.monotonic() >= until:
            return done


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _patch(loop: asyncio.AbstractEventLoop) -> bool:
    import nest_asyncio2

    try:
        nest_asyncio2.apply(loop)
    except ValueError:  # not one of asyncio's own loops
        return False
    return True


@contextmanager
def turning() -> Iterator[None]:
    """Wake the loop regularly: it handles an interrupt of an awaited cell only when it runs.

    An interrupt cancels what awaits. Kernels and `asyncio.run` do that by themselves; IPython in a
    terminal would leave it waiting, unaware.
    """
    loop = asyncio.get_running_loop()
    handle: asyncio.TimerHandle
    cancels = _cancels_at_interrupt(loop)

    def turn() -> None:
        nonlocal handle
        handle = loop.call_later(_PART_S, turn)

    handle = loop.call_later(_PART_S, turn)
    try:
        yield
    finally:
        handle.cancel()
        if cancels:
            loop.remove_signal_handler(signal.SIGINT)


def _cancels_at_interrupt(loop: asyncio.AbstractEventLoop) -> bool:
    """Have an interrupt cancel the task that runs; False where somebody else takes it."""
    task = asyncio.current_task()
    if task is None or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    try:
        loop.add_signal_handler(signal.SIGINT, task.cancel)
    except (NotImplementedError, RuntimeError, ValueError):  # on Windows, or beside the main thread
        return False
    return True


async def wait_async(futures: Sequence[Future[_T]], timeout: float | None = None) -> bool:  # noqa: ASYNC109 - its result is whether the time sufficed, not an error
    """Wait in a coroutine until all futures are done; False if the time ran out first."""
    wrapped = [asyncio.wrap_future(_watch(future)) for future in futures]
    if not wrapped:
        return True
    try:
        _, pending = await asyncio.wait(wrapped, timeout=timeout)
        return not pending
    finally:
        # also if the wait is cancelled: its loop may be closed before the futures are done
        for future in wrapped:
            future.cancel()


def _watch(future: Future[_T]) -> Future[None]:
    """Return a future that is done when the other is; cancelling it does not cancel the other."""
    watcher: Future[None] = concurrent.futures.Future()

    def done(_: Future[_T]) -> None:
        if watcher.set_running_or_notify_cancel():
            watcher.set_result(None)

    future.add_done_callback(done)
    return watcher
