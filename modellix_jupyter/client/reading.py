"""Reading what answered: within bounds, and keeping nothing of it but the bytes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from modellix_jupyter.errors import BadAnswer, ResultGone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of an API answer at most (the cap of the vendor's own command line)."""
_BOUNDED = frozenset({"", "identity", "gzip", "deflate"})
"""Codings that grow a chunk by at most a thousand; one in another has no such bound."""


class NoCookies(CookieJar):
    """Keeps none: one that the API sets for its whole domain would go to the schemas' origin."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Ignore what an answer would set."""


@asynccontextmanager
async def answered(request: httpx.Request, within_s: float) -> AsyncIterator[None]:
    """Bound the time for a whole answer; one that is not there by then is silence.

    httpx bounds each read alone, so a server that sends a byte now and then would hold a call for
    ever. The time begins when the request has left: to wait for a connection, or to upload a
    picture, takes none of it, and a time-out always means that the request may have arrived.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as bound:

            async def note(event: str, info: object) -> None:
                del info
                if event.endswith("receive_response_headers.started"):
                    bound.reschedule(loop.time() + within_s)

            request.extensions["trace"] = note
            yield
    except TimeoutError:
        raise httpx.ReadTimeout("") from None


async def read(response: httpx.Response, call: str) -> bytes:
    """Read a whole answer, decoded, up to a bound."""
    if response.headers.get("content-encoding", "").strip().lower() not in _BOUNDED:
        raise BadAnswer(f"The answer to {call} is in a coding that was not asked for.")
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise BadAnswer(f"The answer to {call} is larger than {MAX_ANSWER // 2**20} MiB.")
    return bytes(body)


def check_file_status(response: httpx.Response) -> None:
    """Refuse an answer that is not the file."""
    if response.status_code in {404, 410, 403}:
        raise ResultGone(f"The service no longer has the file (HTTP {response.status_code}).")
    if response.status_code != httpx.codes.OK:
        raise BadAnswer(f"The file was answered with HTTP {response.status_code}.")


def host_of(url: str) -> str:
    """Return the host alone: a signed URL's query is a secret of its own."""
    return (urlsplit(url).hostname if url.isprintable() else None) or "a result"
