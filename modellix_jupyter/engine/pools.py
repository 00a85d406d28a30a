"""Thread pools that start all threads at once: from Python 3.12 on, none can start at exit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def started_pool(count: int, name: str) -> ThreadPoolExecutor:
    """Return a pool with running threads, which can still be used while the process exits."""
    pool, together = ThreadPoolExecutor(count, name), threading.Barrier(count)
    for _ in range(count):
        pool.submit(together.wait)
    return pool
