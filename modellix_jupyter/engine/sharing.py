"""One engine's part of the budget: all kernels of one ledger ask one service with one key.

An engine that drives tasks says so beside its lock, and looks every two seconds, off the loop, how
many others do. Each then keeps to its part of the budget. An engine with nothing to do says nothing
and costs the others nothing. For two seconds after another began, both together may ask more than
the budget; the service's own 429 holds for that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from modellix_jupyter.engine.service import Service
    from modellix_jupyter.ledger.kernel_locks import Owner

LOOK_EVERY_S = 2.0
"""How often the others are counted, in seconds; by the loop's own clock."""


class Share:
    """A part of the budget, for as long as any task is inside; used on the loop only.

    Parameters
    ----------
    service
        What keeps to it.
    owner
        By whose name this engine works.
    origin
        Of the service: a kernel that works at another shares nothing.
    budget
        Requests a second, of all engines together.

    """

    def __init__(self, service: Service, owner: Owner, origin: str, budget: float) -> None:
        self.kernels = 1
        self._service = service
        self._owner = owner
        self._origin = origin
        self._whole = budget
        self._inside = 0
        self._looking: asyncio.Task[None] | None = None

    @property
    def budget(self) -> float:
        """Requests a second that this engine may make."""
        return self._whole / self.kernels

    def __enter__(self) -> Self:
        self._inside += 1
        if self._inside == 1:
            self._owner.begin(self._origin)
            self._looking = asyncio.create_task(self._look())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside -= 1
        if self._inside == 0 and self._looking is not None:
            self._looking.cancel()
            self._owner.rest()

    async def _look(self) -> None:
        while True:
            others = await asyncio.to_thread(self._owner.others_at_work, self._origin)
            self.kernels = 1 + others
            self._service.share(self.kernels)
            await asyncio.sleep(LOOK_EVERY_S)
