"""The REST client as users make it, with the settings and the key of the kernel's session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from modellix_jupyter.api import client
from modellix_jupyter.notebook.current_session import in_use

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    from modellix_jupyter.keys import SecretKey
    from modellix_jupyter.settings import Settings


class AsyncClient(client.AsyncClient):
    """The Modellix REST API, for asyncio.

    Parameters
    ----------
    key
        The API key; by default the one that this kernel uses for that service, or else the one
        found in the documented places.
    settings
        By default those in force in this kernel, also in a sandbox; with no session yet, those of
        the environment.
    **more
        Parts that a test replaces: ``transport``, ``clock``, ``timer``, ``sleep``, ``jitter``.

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
            # a session's key is only for its own service
            key = session.key_for(settings) if key is None else key
        super().__init__(key, settings=settings, **more)

    async def upload(self, source: str | Path | bytes | Image) -> str:
        """Upload a picture (at most 16 MiB) and return its URL, which is good for some days.

        It is sent upright, without metadata (such as the place where it was taken), and as PNG
        unless it is PNG, JPEG or WebP. The original is not changed.

        Parameters
        ----------
        source
            A path, the bytes of a file, or a picture of Pillow.

        Raises
        ------
        InvalidRequest
            It cannot be read, or is no picture; nothing was sent.
        NoAnswer, BadAnswer
            The service may have it all the same: `files` lists it then.

        """
        from modellix_jupyter.notebook.inputs import picture_to_send

        content, name = await asyncio.to_thread(picture_to_send, source)
        return (await self.send_file(content, name)).url
