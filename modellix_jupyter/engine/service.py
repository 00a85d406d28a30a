"""What the engine needs of a service: three calls and a pace, so that its tests need no HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from modellix_jupyter.values import Accepted, Activity, Request, Resource, Task, TaskAnswer

    OnProgress = Callable[[Activity], None]
    BeforeSend = Callable[[], Awaitable[None]]


class Service(Protocol):
    """Submit, read and fetch; each raises our errors and no others."""

    async def submit(
        self, request: Request, on_progress: OnProgress, *, before_send: BeforeSend | None = None
    ) -> Accepted:
        """Submit; call `on_progress` before each retry and `before_send` before each attempt."""
        ...

    async def read(self, task_id: str, on_progress: OnProgress) -> TaskAnswer:
        """Ask how a task stands."""
        ...

    async def fetch(self, task: Task, place: int) -> Resource:
        """Download the resource at that place, and return it with its path and size."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
