"""Pools whose threads all run from the start: Python 3.12 starts none while it exits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def started_pool(count: int, name: str) -> ThreadPoolExecutor:
    """Return a pool of so many threads, which an exit can still use."""
    pool, together = ThreadPoolExecutor(count, name), threading.Barrier(count)
    for _ in range(count):
        pool.submit(together.wait)
    return pool
