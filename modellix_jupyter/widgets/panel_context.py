"""The shared part of a panel's views: the session in use, changed tasks, and background work.

The kernel's own thread must never wait for the network or the disk, so work that may wait runs on a
thread of the context. Callbacks arrive on several threads, so views change their state only under
the context's lock. The painter's thread tells the views what to draw.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.display import painter
from modellix_jupyter.notebook.session import Session

_T = TypeVar("_T")

log = logging.getLogger("modellix_jupyter.panel")

# How often the clocks of running tasks are drawn, in seconds.
TICK_S = 0.5
THREADS = 4
_FAULT = ModellixError(
    "A bug in modellix-jupyter; the log has the details.", "Nothing that was sent is lost."
)


class Pool(Protocol):
    """What the context works on: an executor's threads, or those of another front end."""

    def submit(self, call: Callable[[], None], /) -> Any:  # noqa: ANN401 - nobody asks for it
        """Call it on a thread."""

    def shutdown(self, *, wait: bool, cancel_futures: bool) -> None:
        """End the threads."""


def new_pool() -> Pool:
    """Return threads for a panel."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="modellix-panel")


class PanelContext:
    """The shared part of a panel; if it is given no session, it follows the one in use."""

    def __init__(
        self,
        session: Session | None,
        on_error: Callable[[ModellixError], None],
        pool: Callable[[], Pool] = new_pool,
    ) -> None:
        self.lock = threading.RLock()
        self.session = session or current_session.current()
        self.ratings: dict[str, int | None] = {}
        self._forgotten: set[str] = set()
        self.on_session: Callable[[], None] = lambda: None
        self.on_tick: Callable[[set[str]], None] = lambda _: None
        self._follows_current = session is None
        self._on_error = on_error
        self._changed_lock = threading.Lock()
        self._changed: set[str] = set()
        self._drawn_at = self._ticked_at = 0.0
        self._subscribed: Session | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        # not `lock`, which is held while views draw: the kernel's thread must not wait for it
        self._pool_lock = threading.Lock()
        self._new_pool = pool
        self._pool: Pool | None = None
        self._running = self._closed = False
        self._last: dict[object, object] = {}

    # -- lifetime

    def start(self) -> None:
        """Begin to follow the tasks."""
        if self._running:  # every page reports that it is there, which must not wait for the lock
            return
        with self.lock:
            if self._closed or self._running:
                return
            self._running = True
        painter.add(self)
        self._attach()

    def stop(self) -> None:
        """Follow no tasks while no page shows the panel; keep no listener and no thread."""
        with self.lock:
            self._running = False
            self._detach()
        with self._pool_lock:
            pool, self._pool = self._pool, None
        painter.remove(self)
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Stop for good."""
        self._closed = True
        self.stop()

    # -- what the painter's thread does

    @property
    def over(self) -> bool:
        """Whether nothing more is drawn."""
        return not self._running

    def tick(self) -> bool:
        """Tell the views which tasks changed, at most as often as the settings allow."""
        now = time.monotonic()
        if now - self._drawn_at < 1 / self.session.settings.updates_per_second:
            return self._running
        self._drawn_at = now
        if self._follows_current and current_session.current() is not self.session:
            self._attach()
        with contextlib.suppress(ModellixError):  # the session has just been replaced
            self.on_tick(self._take_changed(now))
        return self._running

    def _take_changed(self, now: float) -> set[str]:
        with self._changed_lock:
            changed, self._changed = self._changed, set()
        with self.lock:
            session = self._subscribed
            if session is not None and not session.closed and now - self._ticked_at >= TICK_S:
                self._ticked_at = now
                engine = session.engine
                changed |= {uid for uid in engine.watched() if engine.watches(uid)}
        return changed

    def _attach(self) -> None:
        """Begin to follow the session in use."""
        with self.lock:
            self._detach()
            if self._follows_current:
                self.session = current_session.current()
        self.do(self._subscribe)

    def _detach(self) -> None:
        self._unsubscribe()
        self._subscribed, self._unsubscribe = None, lambda: None

    def _subscribe(self) -> None:
        session = self.session
        try:
            engine = session.engine
            with self.lock:
                if session is self.session and self._running:
                    self._subscribed = session
                    # it is called on the engine's thread, and takes no time there
                    self._unsubscribe = engine.subscribe(lambda new: self.touch(new.task.uid))
        finally:
            self.on_session()

    def touch(self, uid: str) -> None:
        """Mark a task as changed, so that it is drawn again."""
        with self._changed_lock:
            self._changed.add(uid)

    def uids(self) -> list[str]:
        """Return the tasks of this kernel, the newest last; none if there is no key yet."""
        try:
            watched = self.session.engine.watched()
        except ModellixError:
            return []
        return [uid for uid in watched if uid not in self._forgotten]

    def forget(self, uids: Iterable[str]) -> None:
        """Stop showing these tasks, which were deleted."""
        self._forgotten |= set(uids)
        for uid in self._forgotten:
            self.touch(uid)

    # -- work that may take a while

    def later(self, call: Callable[[], None]) -> None:
        """Call a function under the lock, on a thread that may wait for the lock."""
        self.do(lambda: None, lambda _: call())

    def do(
        self,
        work: Callable[[], _T],
        then: Callable[[_T], object] = lambda _: None,
        fail: Callable[[ModellixError], None] | None = None,
        *,
        last_of: object = None,
    ) -> bool:
        """Work on a thread that may wait, then pass the value or the error on, under the lock.

        Return False, and do nothing, if the panel is closed. With `last_of`, the value or the error
        is dropped if other work was begun for the same object meanwhile.
        """
        mine = self._last[last_of] = object()

        def body() -> None:
            finish: Callable[[], object]
            try:
                finish = partial(then, work())
            except CancelledError:
                return  # the session was closed meanwhile, and with it the request
            except ModellixError as error:
                finish = partial(fail or self._on_error, error)
            except Exception:
                log.exception("A bug in modellix-jupyter in the panel")
                finish = partial(fail or self._on_error, _FAULT)
            with self.lock:
                if last_of is None or self._last[last_of] is mine:
                    finish()

        with self._pool_lock:
            if self._closed:
                return False
            if self._pool is None:
                self._pool = self._new_pool()
            self._pool.submit(body)
            return True
