"""The session that the magics and the functions of the package use, made when first needed.

Loading the extension needs only the settings, so `Session` is imported when one is made.
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

# How often the first session polls; later sessions take it over. Tests set it.
pace: Pace | None = None
_lock = threading.RLock()
_stack: list[Session] = []
_retired: list[Session] = []
# The settings as first read from the environment, so that the first session uses the same.
_seen: list[Settings] = []
# In a forked child: the parent's sessions. Only their key is used, and they are never closed here.
_inherited: list[Session] = []


def current() -> Session:
    """Return the session in use; if there is none, make one from the environment."""
    with _lock:
        return _stack[-1] if _stack else _first(settings())


def in_use() -> Session | None:
    """Return the session in use, or None if there is none yet; make none."""
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
    """Close every session of a sandbox, stop it, and use the session before it again.

    It may have another session than the one that started it: see `_exchanged`.
    """
    with _lock:
        owners = [session for session in _stack if session.sandbox is sandbox]
        before = [s for s in _retired if s.settings.base_url == sandbox.base_url]
    for session in owners:
        pop(session)
    for session in before:  # they would poll a stopped sandbox for ever
        session.close()
    sandbox.stop()


def settings() -> Settings:
    """Return the settings in force; make no session."""
    with _lock:
        if _stack:
            return _stack[-1].settings
        if not _seen:
            _seen.append(from_environment())
        return _seen[0]


def configure(settings: Settings, *, key: str | SecretKey | None = None) -> Session:
    """Use other settings, or another key, from now on.

    Settings that concern no open part are changed in place. For the others a new session is made;
    the old one goes on until its tasks have ended, because a cell may be waiting for them.
    """
    with _lock:
        if key is None and _stack and _stack[-1].adjust(settings):
            return _stack[-1]
        if not _stack:
            return _first(settings, key)
        return push(_exchanged(_stack.pop(), settings, key))


def _exchanged(old: Session, settings: Settings, key: str | SecretKey | None) -> Session:
    from modellix_jupyter.notebook.session import Session

    # the sandbox goes on: the new session takes it over
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
    """Close every session; wait a short time for the answers to submissions in flight."""
    with _lock:
        sessions = [*_retired, *_stack]
        for known in (_retired, _stack, _seen):
            known.clear()
    for session in reversed(sessions):
        session.close()


@cache
def _close_at_exit() -> None:
    """Close all at exit before the thread pools end: that still resolves names and flushes files.

    `atexit` runs after they have ended, too late to finish a submission in flight. The earlier hook
    has no public name; if Python no longer has it, `atexit` must do.
    """
    import concurrent.futures.thread  # noqa: F401 - the last hook runs first: register its own before ours

    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(close_all)
    atexit.register(close_all)


def _begin_anew() -> None:
    """In a forked child, leave inherited sessions to the parent; open new ones when needed."""
    global _lock  # noqa: PLW0603 - a thread of the parent may hold it for ever
    _lock = threading.RLock()
    sessions = [*_retired, *_stack]
    if _stack:
        _seen[:] = [_stack[-1].settings]
    for known in (_retired, _stack):
        known.clear()
    _inherited.extend(sessions)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
