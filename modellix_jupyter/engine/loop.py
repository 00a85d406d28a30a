"""An event loop in a daemon thread: its start-up errors reach the caller, and its end is joined."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_T = TypeVar("_T")


class LoopThread:
    """One event loop, running in one daemon thread until `stop`.

    Parameters
    ----------
    name
        Of the thread, as a debugger shows it.

    """

    def __init__(self, name: str) -> None:
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=_run, args=(started,), name=name, daemon=True)
        self._thread.start()
        self.loop = started.result()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function on the loop, soon; silently nothing where the loop has ended."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *args)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Run a coroutine on the loop; its result or error is the future's."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop(self, timeout: float) -> None:
        """End the loop, cancelling what still runs on it, and join the thread."""
        self.call(self.loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)


def _run(started: Future[asyncio.AbstractEventLoop]) -> None:
    try:
        # not the policy's: uvloop or a patched loop of the notebook must not reach this thread
        loop = asyncio.SelectorEventLoop()
    except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
        started.set_exception(error)
        return
    asyncio.set_event_loop(loop)
    loop.call_soon(started.set_result, loop)
    try:
        loop.run_forever()
    finally:
        _cancel_all(loop)
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
