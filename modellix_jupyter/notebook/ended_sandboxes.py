"""Tasks of sandboxes that ended with their kernels: nobody will ever answer for them."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from modellix_jupyter.values import Status, Task

if TYPE_CHECKING:
    from modellix_jupyter.notebook.session import Session

REASON = "its sandbox ended with its kernel"
_CONNECT_S = 0.5


def end_tasks_of_ended_sandboxes(session: Session) -> int:
    """Record of unfinished tasks that their sandbox is gone; return of how many."""
    gone = cache(_is_gone)
    count = 0
    for task in session.ledger.unfinished_of("sandbox"):
        if task.origin == session.settings.base_url or not gone(task.origin):
            continue
        owner = session.ledger.owner(task.uid)
        if session.kernel_lock.is_alive(owner):
            continue
        if session.ledger.claim(task.uid, None, was=owner):
            session.ledger.save(_ended(task))
            count += 1
    return count


def _is_gone(origin: str) -> bool:
    """Whether nothing listens at a service of this machine."""
    parts = urlsplit(origin)
    try:
        address = (parts.hostname or "", parts.port or 80)
        with closing(socket.create_connection(address, timeout=_CONNECT_S)):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def _ended(task: Task) -> Task:
    """Return a task as it is when its service is gone; what was fetched of it stays."""
    files = tuple(r if r.path else replace(r, lost=True, problem=REASON) for r in task.resources)
    if task.status.ended:
        return replace(task, resources=files)
    sent = task.status is not Status.SUBMITTING
    return replace(
        task,
        status=Status.EXPIRED if sent else Status.REJECTED,
        resources=files,
        price=task.price if sent else None,
        error_message=REASON,
    )
