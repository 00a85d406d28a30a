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

    async def upload(self, source: str | Path | bytes | Image) -> str:
        """Upload a picture (at most 16 MiB) and return its URL, which is good for some days.

        It is sent upright, without what it says of itself (where it was taken, say), and as PNG
        where it is no PNG, JPEG or WebP; the original stays as it is.

        Parameters
        ----------
        source
            A path, the bytes of a file, or a picture of Pillow's.

        Raises
        ------
        InvalidRequest
            It cannot be read, or is no picture; nothing was sent.
        NoAnswer, BadAnswer
            It may be there all the same: `files` says so.

        """
        from modellix_jupyter.notebook.inputs import picture_to_send

        content, name = await asyncio.to_thread(picture_to_send, source)
        return (await self.send_file(content, name)).url
