"""Calls that an interrupt neither ends nor parts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def uninterrupted(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Run a function to its end, whatever is pressed: Python interrupts the main thread only.

    So it runs on another thread, and the interrupt is raised when it has ended.
    """

    @wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        if threading.current_thread() is not threading.main_thread():
            return function(*args, **kwargs)
        with ThreadPoolExecutor(1, "modellix-uninterrupted") as thread:
            return thread.submit(function, *args, **kwargs).result()

    return run
