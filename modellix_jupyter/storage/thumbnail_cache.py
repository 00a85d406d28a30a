"""Thumbnails, made on threads of their own as soon as a file is here, and each of them once.

Decoding a picture takes as long as drawing a page of them, and Pillow lets go of Python's lock
meanwhile: so neither the cell nor the painter does it, and a picture is shown no later for it.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modellix_jupyter.values import Media, Resource, Task

# How many are kept; at 64 kB each, 128 MB at most.
MOST = 2048


class Thumbnails:
    """What is embedded of resources, by the resource.

    Parameters
    ----------
    make
        Makes one; called on a thread of these.

    """

    def __init__(self, make: Callable[[Resource], Media]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: OrderedDict[Resource, Future[Media]] = OrderedDict()
        self._pool = ThreadPoolExecutor(
            os.cpu_count() or 1, thread_name_prefix="modellix-thumbnails"
        )

    def __call__(self, resource: Resource) -> Media:
        """Return what is embedded of a resource, as soon as it is made."""
        try:
            return self._of(resource).result()
        except CancelledError:  # the session was closed before its turn came
            return self._make(resource)

    def of(self, task: Task) -> tuple[Media, ...]:
        """Return what is embedded of a task's files, those that are still to come left out."""
        self.begin([task])
        return tuple(self(r) for r in task.resources if r.path or r.lost)

    def begin(self, tasks: Iterable[Task]) -> None:
        """Begin to make what is not made yet, as far as it is kept; returns at once."""
        here = (one for task in tasks for one in task.resources if one.path)
        for resource in islice(here, MOST // 2):
            self._of(resource)

    def forget(self) -> None:
        """Make all anew when they are needed: their size is another one now."""
        with self._lock:
            self._made.clear()

    def close(self) -> None:
        """End the threads; what is asked for afterwards is made by who asks."""
        self._pool.shutdown(cancel_futures=True)

    def _of(self, resource: Resource) -> Future[Media]:
        with self._lock:
            found = self._made.get(resource)
            if found is not None:
                self._made.move_to_end(resource)
                return found
            try:
                future = self._pool.submit(self._make, resource)
            except RuntimeError:  # the session or the interpreter is ending
                return self._here(resource)
            self._made[resource] = future
            if len(self._made) > MOST:
                self._made.popitem(last=False)
            return future

    def _here(self, resource: Resource) -> Future[Media]:
        future: Future[Media] = Future()
        future.set_result(self._make(resource))
        return future
