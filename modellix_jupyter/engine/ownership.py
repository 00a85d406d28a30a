"""Whose a task is: what a kernel left behind is taken up by one other, and by no two.

The look at the owner comes before the look at the row, always: a kernel's last words may have been
the id that the service gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modellix_jupyter.engine import transitions
from modellix_jupyter.values import Status

if TYPE_CHECKING:
    from modellix_jupyter.ledger.kernel_locks import KernelLock
    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.values import Task


class Ownership:
    """What one engine may take up of a ledger that it shares with others.

    Parameters
    ----------
    ledger, owner
        Where tasks are recorded, and under whose name.

    """

    def __init__(self, ledger: Ledger, owner: KernelLock) -> None:
        self._ledger = ledger
        self._owner = owner

    def _driven_elsewhere(self, was: str | None) -> bool:
        return was != self._owner.name and self._owner.is_alive(was)

    def mine(self, uid: str) -> bool:
        """Whether a task is this engine's, or becomes it because its own is gone."""
        was = self._ledger.owner(uid)
        if was == self._owner.name:
            return True
        return not self._owner.is_alive(was) and self._ledger.claim(uid, self._owner.name, was=was)

    def take_over(self, uid: str) -> None:
        """Claim a task on the word of its user."""
        self._ledger.claim(uid, self._owner.name, was=self._ledger.owner(uid))

    def release(self, uid: str) -> None:
        """Leave a task of this engine's to whoever takes it up next."""
        self._ledger.claim(uid, None, was=self._owner.name)

    def unsent(self, uid: str) -> Task | None:
        """Claim an intent that never left, where its kernel is gone; None where it is not one.

        Whether it left is for its row to say, in the moment of the claim: what a caller read
        before may have been sent since.
        """
        was = self._ledger.owner(uid)
        if self._driven_elsewhere(was):
            return None
        mine = self._ledger.claim(uid, self._owner.name, was=was, unsent=True)
        return self._ledger.get(uid) if mine else None

    def orphan(self, uid: str) -> Task | None:
        """Claim a submission whose kernel is gone; None where there is nothing to watch."""
        was = self._ledger.owner(uid)
        alive = self._driven_elsewhere(was)
        # read after the look at the owner: its last words may have been the service's id
        task = self._ledger.get(uid)
        if task is None or alive or task.status is not Status.SUBMITTING:
            return task
        if task.in_flight and self._ledger.claim(uid, self._owner.name, was=was):
            self.left_behind(task)
        return None

    def left_behind(self, task: Task) -> Task:
        """Return a claimed task as its row has it; a request that was on its way is unknown."""
        now = self._ledger.get(task.uid) or task
        if now.in_flight:
            now = transitions.unknown(now, "the kernel ended first", now.attempts)
            self._ledger.save(now)
        return now
