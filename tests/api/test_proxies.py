"""Which addresses are checked where the environment names a proxy for some of them."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from urllib.request import getproxies

import httpx
import pytest
from client_fakes import KEY, Chunks, Service, page, raw

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.api.url_safety import is_proxied
from modellix_jupyter.errors import DownloadError

PROXY = "http://proxy.example:3128"
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
FILE = raw(200, b"\x89PNG...")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def look_up(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        if host != "localhost":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def fetch(service: Service, url: str) -> bytes:
    async def within() -> bytes:
        async with service.client() as client, client.open(url) as response:
            return await response.aread()

    return asyncio.run(within())


def refused(service: Service, url: str) -> None:
    with pytest.raises(DownloadError, match="private network"):
        fetch(service, url)


def test_what_goes_by_the_proxy_is_resolved_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert fetch(Service([FILE]), "https://only-the-proxy-knows.example/x") == b"\x89PNG..."


def test_a_proxy_for_https_is_none_for_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    service = Service([FILE])
    refused(service, "http://localhost:9000/x")
    assert service.requests == []


def test_a_redirect_away_from_the_proxy_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    service = Service([page(302, location="http://localhost:9000/x"), FILE])
    refused(service, "https://only-the-proxy-knows.example/x")
    assert len(service.requests) == 1


@pytest.mark.parametrize("entry", ["localhost", "*", "a.example, localhost", ".localhost"])
def test_a_host_that_the_proxy_is_not_for_is_checked(
    monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", entry)
    service = Service([FILE])
    refused(service, "https://localhost:9000/x")
    assert service.requests == []


class Peer:
    def get_extra_info(self, _name: str) -> Any:
        return ("10.0.0.5", 443)


def test_the_peer_is_checked_where_it_is_not_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        extensions = {"network_stream": Peer()}
        return httpx.Response(200, stream=Chunks([b"x"]), extensions=extensions)

    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert fetch(Service([answer]), "https://only-the-proxy-knows.example/x") == b"x"
    public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: public)
    refused(Service([answer]), "http://cdn.example.com/x")


URLS = [
    "http://localhost:9000/x",
    "https://localhost/x",
    "https://cdn.example.com/x",
    "https://cdn.example.com:8443/x",
    "http://example.com/x",
    "https://notexample.com/x",
    "https://B\u00fccher.example/x",
    "https://xn--bcher-kva.example/x",
    "https://93.184.216.34/x",
    "https://[2606:4700::1111]/x",
    "https://cdn.example.com./x",
]
EXCEPTIONS = [
    "",
    "*",
    "a.example,*",
    "localhost",
    "LOCALHOST",
    "example.com",
    ".example.com",
    "*.example.com",
    "cdn.example.com:8443",
    "https://cdn.example.com",
    "xn--bcher-kva.example",
    "93.184.216.34",
    "2606:4700::1111",
    "10.0.0.0/8",
    " , ,example.com",
]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("entry", EXCEPTIONS)
def test_what_httpx_sends_straight_is_never_taken_for_proxied(
    monkeypatch: pytest.MonkeyPatch, variable: str, entry: str
) -> None:
    monkeypatch.setenv(variable, PROXY)
    monkeypatch.setenv("NO_PROXY", entry)

    async def straight() -> list[bool]:
        async with AsyncClient(KEY) as client:
            http = client._http
            return [http._transport_for_url(httpx.URL(u)) is http._transport for u in URLS]

    for url, direct in zip(URLS, asyncio.run(straight()), strict=True):
        assert not (direct and is_proxied(url, getproxies())), url
    plain = "https" if variable != "HTTP_PROXY" else "http"
    known = is_proxied(f"{plain}://other.example/x", getproxies())
    assert known is ("*" not in entry.split(","))


@pytest.mark.parametrize("url", ["https://[::1", "", "mailto:x", "https://\ud800/"])
def test_an_address_that_is_none_goes_by_no_proxy(url: str) -> None:
    assert is_proxied(url, {"http": PROXY, "https": PROXY}) in {True, False}
    assert not is_proxied(url, {})
