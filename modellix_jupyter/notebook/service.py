"""The engine's three calls, made of the client and the store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from modellix_jupyter.errors import NoAnswer

if TYPE_CHECKING:
    from modellix_jupyter.api.client import AsyncClient
    from modellix_jupyter.engine.service import BeforeSend, OnProgress
    from modellix_jupyter.storage.store import Store
    from modellix_jupyter.values import Accepted, Request, Resource, Task, TaskAnswer


class RestService:
    """Submit and read through the REST client, fetch into the store.

    Parameters
    ----------
    client, store
        See `AsyncClient` and `Store`.
    download_timeout_s
        For one file, in seconds.

    """

    def __init__(self, client: AsyncClient, store: Store, download_timeout_s: float) -> None:
        self.client = client
        self._store = store
        self._timeout = download_timeout_s

    async def submit(
        self, request: Request, on_progress: OnProgress, *, before_send: BeforeSend | None = None
    ) -> Accepted:
        """Submit a request."""
        return await self.client.submit(
            request.model, request.body(), on_progress=on_progress, before_send=before_send
        )

    async def read(self, task_id: str, on_progress: OnProgress) -> TaskAnswer:
        """Ask how a task stands."""
        return await self.client.task(task_id, on_progress=on_progress)

    async def fetch(self, task: Task, place: int) -> Resource:
        """Download one result into the store."""
        url = task.resources[place].url
        try:
            async with asyncio.timeout(self._timeout), self.client.open(url) as response:
                length = response.headers.get("content-length", "")
                size = int(length) if length.isascii() and length.isdigit() else None
                return await self._store.save(task, place, response.aiter_raw(), size)
        except TimeoutError as error:
            raise NoAnswer(f"The download took longer than {self._timeout:g} s.") from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()
