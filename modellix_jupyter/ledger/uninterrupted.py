"""Calls that an interrupt neither ends nor parts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold an interrupt back until the end of this: Python raises it in the main thread only.

    In Python's own locks it would leave them locked, and all other threads waiting for them.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    if not callable(before):
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            before(*held[-1])


# Decorates what runs to its end, whatever is pressed; the interrupt is raised when it has ended.
uninterrupted = interrupts_held()
