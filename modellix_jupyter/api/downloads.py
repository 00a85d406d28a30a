"""Opens a result's file at an untrusted URL, never with the key.

Nothing is fetched from hosts that only this machine or its network can reach.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin, urlsplit

import httpx

from modellix_jupyter.api.parsing import is_web
from modellix_jupyter.api.responses import translated
from modellix_jupyter.errors import BadAnswer, DownloadError, ResultGone

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_REDIRECTS = 5
# Ask for no compression; some servers send gzip anyway, which the store unpacks.
_CODINGS = frozenset({"", "identity", "gzip", "x-gzip"})
# The prefix of IPv4 addresses in networks without IPv4 (NAT64, RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Names of this machine or its network, whatever they resolve to.
_LOCAL_NAME = re.compile(r"(?:^|\.)(?:localhost|localdomain|local|internal|home\.arpa)$")
_PRIVATE = "The result's address is on a private network, so it is refused."


@asynccontextmanager
async def opened(
    http: httpx.AsyncClient, url: str, *, allow_local: bool
) -> AsyncIterator[httpx.Response]:
    """Open a file for reading; each redirect is checked like the first URL.

    The URL is untrusted, and `http` must not add a key to its requests.
    """
    for hop in range(MAX_REDIRECTS + 1):
        request = _request(http, url)
        proxied = is_proxied(http, request.url)
        await _check(url, allow_local=allow_local, proxied=proxied, first=hop == 0)
        with translated(f"GET {host_of(url)}"):
            response = await http.send(request, stream=True)
        try:
            # the peer of a proxied request is the proxy
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
        # not final: a network's log-in page may cause this redirect
        error.final = error.final and first
        raise


def _request(http: httpx.AsyncClient, url: str) -> httpx.Request:
    try:
        return http.build_request("GET", url, headers={"Accept-Encoding": "identity"})
    except (httpx.InvalidURL, UnicodeError) as error:
        raise DownloadError("The result's address is not a valid URL.") from error


def check_file_status(response: httpx.Response) -> None:
    """Raise `DownloadError` if the answer is not the file."""
    if response.status_code in {404, 410, 403}:
        raise ResultGone(f"The service no longer has the file (HTTP {response.status_code}).")
    if response.status_code != httpx.codes.OK:
        raise BadAnswer(f"The file was answered with HTTP {response.status_code}.")
    if response.headers.get("content-encoding", "").strip().lower() not in _CODINGS:
        raise BadAnswer("The file has an encoding that was not asked for.")


def host_of(url: str) -> str:
    """Return the host only, for messages: the query of a signed URL is a secret."""
    return (urlsplit(url).hostname if url.isprintable() else None) or "a result"


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public Internet."""
    try:
        ip = _inner(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    site_local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or site_local)


def _inner(ip: _Address) -> _Address:
    """Return the IPv4 address within a mapped, 6to4 or NAT64 IPv6 address, or None."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def is_proxied(http: httpx.AsyncClient, url: httpx.URL) -> bool:
    """Whether a client sends requests for a URL through a proxy."""
    # ask httpx itself: if NO_PROXY were parsed here again, an address could count as proxied, and
    # so stay unchecked, that httpx connects to directly
    return http._transport_for_url(url) is not http._transport  # noqa: SLF001 - there is no public way to ask


async def check_url(url: str, *, allow_local: bool, proxied: bool = False) -> None:
    """Refuse a URL that is not http(s), or whose host is or resolves to a private address.

    If a proxy resolves names, only literal addresses and names of private networks are checked.
    """
    if not is_web(url):
        raise DownloadError("The result's address is not http or https.")
    if allow_local:
        return
    try:
        asked = httpx.URL(url)  # the host as httpx will request it, not as another parser reads it
        host = asked.host.rstrip(".").lower()
    except (httpx.InvalidURL, UnicodeError):
        raise DownloadError("The result's address is not a valid URL.") from None
    literal = _literal(host)
    if literal is not None:
        if not is_public(literal):
            raise DownloadError(_PRIVATE)
    elif _LOCAL_NAME.search(host) or (proxied and "." not in host):
        raise DownloadError(_PRIVATE)
    elif not proxied:
        await public_addresses(host, asked.port or 443)


async def public_addresses(host: str, port: int) -> list[str]:
    """Return the distinct addresses of a host, in order; all must be public."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        # not final: a laptop may be offline
        raise DownloadError("The result's host has no address.", final=False) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not all(map(is_public, addresses)):
        # not final: a filter or a network's log-in page may have answered for the name
        raise DownloadError(_PRIVATE, final=False)
    return addresses


def _literal(host: str) -> str | None:
    """Return the IP address of a host in any notation that systems accept; None for a name."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))  # 127.1, 0x7f.1, 2130706433, 0177.0.0.1
    except (OSError, ValueError):
        return None


def redirected(url: str, location: str) -> str:
    """Return the target of a redirect, which is untrusted."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise DownloadError("The result's address redirects to no address.") from error


def check_peer(response: httpx.Response, *, allow_local: bool) -> None:
    """Refuse an answer from a private address, since a caller's transport resolves by itself."""
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if not allow_local and peer and not is_public(str(peer[0])):
        raise DownloadError(_PRIVATE, final=False)
