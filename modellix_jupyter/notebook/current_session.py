"""The session that the magics and the functions of the package use, made when first needed.

Loading the extension needs only the settings, so no session is imported before there is one.
"""

from __future__ import annotations

import atexit
import os
import threading
from functools import cache
from typing import TYPE_CHECKING

from modellix_jupyter.settings import from_environment

if TYPE_CHECKING:
    from modellix_jupyter.engine.polling import Pace
    from modellix_jupyter.keys import SecretKey
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.sandbox_server import Sandbox
    from modellix_jupyter.settings import Settings

# How often the first session polls, and so those that follow it; tests set it.
pace: Pace | None = None
_lock = threading.RLock()
_stack: list[Session] = []
_retired: list[Session] = []
# What the environment said when it was first asked, so that the first session says the same.
_seen: list[Settings] = []
# Sessions of the process that this one was forked from: they are never used and never end here.
_inherited: list[Session] = []


def current() -> Session:
    """Return the session in use, making one from the environment where there is none."""
    with _lock:
        return _stack[-1] if _stack else _first(settings())


def in_use() -> Session | None:
    """Return the session in use, or None where there is none yet; looking opens nothing."""
    with _lock:
        return _stack[-1] if _stack else None


def _first(settings: Settings, key: str | SecretKey | None = None) -> Session:
    from modellix_jupyter.notebook.session import Session

    if key is None and _inherited:
        key = _inherited[-1].key_for(settings)
    return push(Session(settings, key=key, pace=pace))


def push(session: Session) -> Session:
    """Use a session from now on, until it is popped."""
    from modellix_jupyter.notebook.display import register_tasks, shell

    _close_at_exit()
    if (ip := shell()) is not None:
        register_tasks(ip)
    with _lock:
        _stack.append(session)
    return session


def pop(session: Session) -> None:
    """Close a session and use the one before it again."""
    with _lock:
        if session in _stack:
            _stack.remove(session)
    session.close()


def leave(sandbox: Sandbox) -> None:
    """Close whatever speaks to a sandbox, and use again what was used before it.

    That may be another session than the one that began with it: see `_exchanged`.
    """
    with _lock:
        owners = [session for session in _stack if session.sandbox is sandbox]
        before = [s for s in _retired if s.settings.base_url == sandbox.base_url]
    for session in owners:
        pop(session)
    for session in before:  # they would ask for ever what answers no more
        session.close()
    sandbox.stop()


def settings() -> Settings:
    """Return the settings in force; looking opens nothing."""
    with _lock:
        if _stack:
            return _stack[-1].settings
        if not _seen:
            _seen.append(from_environment())
        return _seen[0]


def configure(settings: Settings, *, key: str | SecretKey | None = None) -> Session:
    """Use other settings, or another key, from now on.

    What only shows things is exchanged in place. For the rest the session is exchanged for a new
    one; the old one goes on until its tasks are over, so that nobody who waits for them is left.
    """
    with _lock:
        if key is None and _stack and _stack[-1].adjust(settings):
            return _stack[-1]
        if not _stack:
            return _first(settings, key)
        return push(_exchanged(_stack.pop(), settings, key))


def _exchanged(old: Session, settings: Settings, key: str | SecretKey | None) -> Session:
    from modellix_jupyter.notebook.session import Session

    # the sandbox goes on: only what speaks to it is exchanged
    sandbox, old.sandbox = old.sandbox, None
    known = key or old.key_for(settings)
    new = Session(settings, key=known, sandbox=sandbox, pace=old.pace)
    _retired.append(old)
    threading.Thread(target=_retire, args=(old,), name="modellix-retire", daemon=True).start()
    return new


def _retire(session: Session) -> None:
    session.block()
    session.close()
    with _lock:
        if session in _retired:
            _retired.remove(session)


def close_all() -> None:
    """End every session: answers to submissions on their way are waited for, shortly."""
    with _lock:
        sessions = [*_retired, *_stack]
        for known in (_retired, _stack, _seen):
            known.clear()
    for session in reversed(sessions):
        session.close()


@cache
def _close_at_exit() -> None:
    """Be called before the pools of threads end: an exit still resolves names and flushes files.

    `atexit` alone comes after them, when a submission on its way can no longer be finished. The
    hook has no public name; where there is none any more, `atexit` must do.
    """
    import concurrent.futures.thread  # noqa: F401 - hooks are called last first: its own must be there

    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(close_all)
    atexit.register(close_all)


def _begin_anew() -> None:
    """Leave what a forked process inherited to the other; what is needed is opened here."""
    global _lock  # noqa: PLW0603 - a thread of the other process may hold it for ever
    _lock = threading.RLock()
    sessions = [*_retired, *_stack]
    if _stack:
        _seen[:] = [_stack[-1].settings]
    for known in (_retired, _stack):
        known.clear()
    _inherited.extend(sessions)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
