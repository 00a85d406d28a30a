"""What the views of one panel share: the session in use, what changed, and work off the kernel.

The kernel's own thread must never wait for the network or the disk, so whatever may takes place on
a thread of the context's; and a callback may come on any of the front end's threads, so what views
remember is changed under the context's lock. The painter's thread tells the views what to draw.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.display import painter

if TYPE_CHECKING:
    from collections.abc import Callable

    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.values import Update

_T = TypeVar("_T")

log = logging.getLogger("modellix_jupyter.panel")

TICK_S = 0.5
"""How often the clocks of running tasks are drawn, in seconds."""
_THREADS = 2


class PanelContext:
    """The shared part of a panel.

    Parameters
    ----------
    session
        Which it stays with; where it is not given, it goes with whatever session is in use.
    say
        Takes an error that concerns no single view.

    """

    def __init__(
        self, session: Session | None, say: Callable[[ModellixError | None], None]
    ) -> None:
        self.lock = threading.RLock()
        self.session = session or current_session.current()
        self.ticked: dict[str, None] = {}
        self.on_session: list[Callable[[], None]] = []
        self.on_change: list[Callable[[set[str]], None]] = []
        self.on_tick: list[Callable[[], None]] = []
        self._given = session is not None
        self._say = say
        self._news = threading.Lock()
        self._changed: set[str] = set()
        self._drawn_at = self._ticked_at = 0.0
        self._heard: Session | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._awake = False

    # -- living

    def wake(self) -> None:
        """Begin to follow the tasks."""
        with self.lock:
            if self._closed or self._awake:
                return
            self._awake = True
        painter.add(self)
        self._follow()

    def rest(self) -> None:
        """Follow nothing while nobody looks: no listener, and no thread of ours."""
        with self.lock:
            self._awake = False
            pool, self._pool = self._pool, None
            self._unsubscribe()
            self._heard, self._unsubscribe = None, lambda: None
        painter.remove(self)
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End for good."""
        self._closed = True
        self.rest()

    # -- what the painter's thread does

    @property
    def over(self) -> bool:
        """Whether nothing more is drawn."""
        return not self._awake

    def stop(self) -> None:
        """Be drawn no more."""
        self.rest()

    def tick(self) -> bool:
        """Tell the views what changed, at most so often as the settings say."""
        now = time.monotonic()
        if now - self._drawn_at < 1 / self.session.settings.updates_per_second:
            return self._awake
        self._drawn_at = now
        if not self._given and current_session.current() is not self.session:
            self._follow()
        changed = self._take_changed(now)
        if changed:
            for tell in self.on_change:
                with contextlib.suppress(ModellixError):  # the session was exchanged just now
                    tell(changed)
        for tick in self.on_tick:
            with contextlib.suppress(ModellixError):  # as above
                tick()
        return self._awake

    def _take_changed(self, now: float) -> set[str]:
        with self._news:
            changed, self._changed = self._changed, set()
        with self.lock:
            if self._heard is not None and now - self._ticked_at >= TICK_S:
                self._ticked_at = now
                engine = self._heard.engine if not self._heard.closed else None
                changed |= {u for u in engine.watched() if engine.watches(u)} if engine else set()
        return changed

    def _follow(self) -> None:
        """Go with the session in use."""
        with self.lock:
            self._unsubscribe()
            self._heard, self._unsubscribe = None, lambda: None
            if not self._given:
                self.session = current_session.current()
            self.ticked.clear()
        self.do(self._attach, lambda _: None)

    def _attach(self) -> None:
        session = self.session
        try:
            engine = session.engine
            with self.lock:
                if session is self.session and self._awake:
                    self._heard = session
                    self._unsubscribe = engine.subscribe(self._hear)
        finally:
            for tell in self.on_session:
                tell()

    def _hear(self, update: Update) -> None:
        # on the engine's thread: this takes no time, and the painter does the rest
        self.touch(update.task.uid)

    def touch(self, uid: str) -> None:
        """Have a task drawn anew."""
        with self._news:
            self._changed.add(uid)

    # -- what may take a while

    def do(
        self,
        work: Callable[[], _T],
        then: Callable[[_T], None],
        fail: Callable[[ModellixError], None] | None = None,
    ) -> None:
        """Work on a thread of the context's, then tell what came of it, under the lock.

        Parameters
        ----------
        work
            May wait for the network or the disk.
        then
            Takes its value.
        fail
            Takes its error; the panel's own line where it is not given.

        """

        def body() -> None:
            try:
                value = work()
            except CancelledError:
                return  # the session was closed meanwhile, and with it the question
            except ModellixError as error:
                self._report(error, fail)
            except Exception:
                log.exception("A fault of modellix-jupyter in the panel")
                self._report(_FAULT, fail)
            else:
                with self.lock:
                    then(value)

        with self.lock:
            if self._closed:
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="modellix-panel")
            self._pool.submit(body)

    def _report(self, error: ModellixError, fail: Callable[[ModellixError], None] | None) -> None:
        with self.lock:
            (fail or self._say)(error)


_FAULT = ModellixError(
    "A fault of modellix-jupyter; the log has the details.", "Nothing that was sent is lost."
)
