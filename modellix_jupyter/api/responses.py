"""Reading what answered: within bounds, and keeping nothing of it but the bytes."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING

import httpx

from modellix_jupyter.errors import BadAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from modellix_jupyter.keys import SecretKey

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of an API answer at most (the cap of the vendor's own command line)."""
_TELLING = 8
"""Characters of a key from which on its appearance in a text is no coincidence."""
_CODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
"""What JSON may be written in, by the bytes of it alone."""
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


def without(key: SecretKey, body: bytes) -> bytes:
    """Return an answer without the key, which a service may quote in any text.

    Before anything is read of it, so that no value, row or message ever has the key.
    """
    secret = key.reveal()
    if len(secret) < _TELLING:
        return body
    quoted = json.dumps(secret)[1:-1]
    for form in (secret, quoted, quoted.replace("/", r"\/")):
        for coding in _CODINGS:
            body = body.replace(form.encode(coding), "[the key]".encode(coding))
    return body
