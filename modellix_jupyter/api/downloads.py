"""Opening a result's file: at an untrusted address, and never with the key."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from modellix_jupyter.api.responses import translated
from modellix_jupyter.api.url_safety import check_peer, check_url, is_proxied, redirected
from modellix_jupyter.errors import BadAnswer, DownloadError, ResultGone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_REDIRECTS = 5
# None is asked for; gzip is what servers send all the same, and the store unpacks it.
_CODINGS = frozenset({"", "identity", "gzip", "x-gzip"})


@asynccontextmanager
async def opened(
    http: httpx.AsyncClient, url: str, *, allow_local: bool
) -> AsyncIterator[httpx.Response]:
    """Open a file for reading; redirects are followed only by the rules for the first address.

    The URL is untrusted, and `http` adds no key to its requests.
    """
    for hop in range(MAX_REDIRECTS + 1):
        request = _request(http, url)
        proxied = is_proxied(http, request.url)
        await _check(url, allow_local=allow_local, proxied=proxied, first=hop == 0)
        with translated(f"GET {host_of(url)}"):
            response = await http.send(request, stream=True)
        try:
            # of a proxied request the peer is the proxy
            check_peer(response, allow_local=allow_local or proxied)
            if not response.has_redirect_location:
                check_file_status(response)
                with translated(f"GET {host_of(url)}"):
                    yield response
                return
            url = redirected(url, response.headers["location"])
        finally:
            await response.aclose()
    raise DownloadError("The result's address redirects too often.")


async def _check(url: str, *, allow_local: bool, proxied: bool, first: bool) -> None:
    try:
        await check_url(url, allow_local=allow_local, proxied=proxied)
    except DownloadError as error:
        # a network's log-in page may be what redirects there today
        error.final = error.final and first
        raise


def _request(http: httpx.AsyncClient, url: str) -> httpx.Request:
    try:
        return http.build_request("GET", url, headers={"Accept-Encoding": "identity"})
    except (httpx.InvalidURL, UnicodeError) as error:
        raise DownloadError("The result's address is not one that can be requested.") from error


def check_file_status(response: httpx.Response) -> None:
    """Refuse an answer that is not the file."""
    if response.status_code in {404, 410, 403}:
        raise ResultGone(f"The service no longer has the file (HTTP {response.status_code}).")
    if response.status_code != httpx.codes.OK:
        raise BadAnswer(f"The file was answered with HTTP {response.status_code}.")
    if response.headers.get("content-encoding", "").strip().lower() not in _CODINGS:
        raise BadAnswer("The file is in a coding that was not asked for.")


def host_of(url: str) -> str:
    """Return the host alone: a signed URL's query is a secret of its own."""
    return (urlsplit(url).hostname if url.isprintable() else None) or "a result"
