"""Which hosts a file may be fetched from: none that only this machine or its network can reach."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from modellix_jupyter.api.parsing import is_web
from modellix_jupyter.errors import DownloadError

if TYPE_CHECKING:
    import httpx

# What a network without IPv4 puts before an IPv4 address (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open Internet."""
    try:
        ip = _inner(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    site_local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or site_local)


def _inner(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 one only carries: mapped, 6to4 or NAT64."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def is_proxied(http: httpx.AsyncClient, url: httpx.URL) -> bool:
    """Whether that client sends a request for that URL through a proxy."""
    # httpx is asked which way it will go: a second reading of NO_PROXY could call an address
    # proxied, and so leave it unchecked, that httpx then connects to directly
    return http._transport_for_url(url) is not http._transport  # noqa: SLF001 - there is no public way to ask


async def check_url(url: str, *, allow_local: bool, proxied: bool = False) -> None:
    """Refuse a URL that is not web, or whose host resolves to a private or reserved address.

    Where a proxy resolves the names, only a bare address can be judged here.
    """
    if not is_web(url):
        raise DownloadError("The result's address is not http or https.")
    if allow_local:
        return
    parts = urlsplit(url)
    host = str(parts.hostname)
    if proxied and not _is_address(host):
        return
    for address in await _resolve(host, parts.port or 443):
        if not is_public(address):
            raise DownloadError("The result's address is on a private network, so it is refused.")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def redirected(url: str, location: str) -> str:
    """Return where a redirect leads; the location is untrusted."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise DownloadError("The result's address redirects to no address.") from error


def check_peer(response: httpx.Response, *, allow_local: bool) -> None:
    """Refuse an answer from a private address: a name may resolve anew between look-up and use."""
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if allow_local or not peer:
        return
    if not is_public(str(peer[0])):
        raise DownloadError("The result's address is on a private network, so it is refused.")


async def _resolve(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        # not for good: a laptop that is offline resolves nothing
        raise DownloadError("The result's host has no address.", final=False) from error
    return [str(entry[4][0]) for entry in found]
