"""Which addresses are checked where the environment names a proxy for some of them."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest
from client_fakes import KEY, Chunks, Service, page, raw

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.errors import DownloadError
from modellix_jupyter.settings import Settings

PROXY = "http://proxy.example:3128"
FILE = raw(200, b"\x89PNG...")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def look_up(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        known = {"localhost": "127.0.0.1", "10.0.0.5": "10.0.0.5", "::1": "::1"}
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[host], port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


class Network:
    """A proxy and a direct way, on either of which a script answers."""

    def __init__(self, *, proxy: Any = FILE, direct: Any = FILE) -> None:
        self.proxy = Service([proxy])
        self.direct = Service([direct])

    def fetch(self, url: str) -> bytes:
        return asyncio.run(self._fetch(url))

    async def _fetch(self, url: str) -> bytes:
        async with AsyncClient(KEY, settings=Settings()) as client:
            http = client._files
            http._transport = self.direct
            http._mounts = {
                pattern: transport and self.proxy for pattern, transport in http._mounts.items()
            }
            async with client.open(url) as response:
                return await response.aread()

    def refuses(self, url: str) -> None:
        with pytest.raises(DownloadError, match="private network"):
            self.fetch(url)


def test_what_goes_by_the_proxy_is_resolved_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    network = Network()
    assert network.fetch("https://only-the-proxy-knows.example/x") == b"\x89PNG..."
    assert (len(network.proxy.requests), network.direct.requests) == (1, [])


def test_a_private_address_is_not_requested_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    network = Network()
    for host in ("10.0.0.5", "[::1]"):
        network.refuses(f"https://{host}/x")
    assert network.proxy.requests == []


def test_a_proxy_for_https_is_none_for_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    network = Network()
    network.refuses("http://localhost:9000/x")
    assert network.direct.requests == []


def test_a_redirect_away_from_the_proxy_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    network = Network(proxy=page(302, location="http://localhost:9000/x"))
    network.refuses("https://only-the-proxy-knows.example/x")
    assert (len(network.proxy.requests), network.direct.requests) == (1, [])


@pytest.mark.parametrize(
    "entry",
    ["localhost", "*", "a.example, localhost", "https://localhost", "LOCALHOST", "localhost:9000"],
)
def test_what_httpx_sends_straight_is_checked(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", entry)
    network = Network()
    network.refuses("https://localhost:9000/x")
    assert (network.proxy.requests, network.direct.requests) == ([], [])


class Peer:
    def get_extra_info(self, _name: str) -> Any:
        return ("10.0.0.5", 443)


def test_the_peer_is_checked_where_it_is_not_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        extensions = {"network_stream": Peer()}
        return httpx.Response(200, stream=Chunks([b"x"]), extensions=extensions)

    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    network = Network(proxy=answer, direct=answer)
    assert network.fetch("https://only-the-proxy-knows.example/x") == b"x"
    public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: public)
    network.refuses("http://cdn.example.com/x")


def test_a_transport_of_the_callers_is_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    service = Service([FILE])

    async def fetch() -> None:
        async with service.client() as client, client.open("https://localhost/x"):
            pass

    with pytest.raises(DownloadError, match="private network"):
        asyncio.run(fetch())
    assert service.requests == []
