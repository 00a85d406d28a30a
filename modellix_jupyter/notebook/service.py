"""What speaks to the service: the client as users make it, and the engine's adapter of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from modellix_jupyter.api import client
from modellix_jupyter.errors import NoAnswer
from modellix_jupyter.notebook.catalog import Catalog
from modellix_jupyter.notebook.current_session import in_use

if TYPE_CHECKING:
    from modellix_jupyter.engine.service import BeforeSend, OnProgress
    from modellix_jupyter.keys import SecretKey
    from modellix_jupyter.settings import Settings
    from modellix_jupyter.storage.store import Store
    from modellix_jupyter.values import Accepted, Request, Resource, Task, TaskAnswer


class AsyncClient(client.AsyncClient):
    """The Modellix REST API, for asyncio.

    Parameters
    ----------
    key
        The API key; where it is not given, the one in use for that service in this kernel, or else
        the one found in the documented places.
    settings
        Where they are not given, those in force in this kernel, also in a sandbox; with no session
        yet, the defaults and what the environment says of them.
    **more
        What a test replaces: ``transport``, ``clock``, ``timer``, ``sleep``, ``jitter``.

    Raises
    ------
    MissingKey
        There is no key anywhere.

    Examples
    --------
    >>> async with AsyncClient() as client:  # doctest: +SKIP
    ...     accepted = await client.submit("alibaba/qwen-image-plus", {"prompt": "a cat"})
    ...     answer = await client.wait(accepted.task_id)

    """

    def __init__(
        self,
        key: str | SecretKey | None = None,
        *,
        settings: Settings | None = None,
        **more: Any,  # noqa: ANN401 - handed to the client as they are
    ) -> None:
        session = in_use()
        if session is not None:
            settings = settings or session.settings
            # its key is for its service alone
            key = session.key_for(settings) if key is None else key
        super().__init__(key, settings=settings, **more)


class RestService:
    """Submits and reads through the REST client, and fetches into the store."""

    def __init__(self, client: client.AsyncClient, store: Store, download_timeout_s: float) -> None:
        self.client = client
        self.catalog = Catalog(client)
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
