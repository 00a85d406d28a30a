"""What the environment says of connections and proxies, where files come from, what is logged."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from client_fakes import PUBLIC, Chunks, Service, page, raw, resolve

from modellix_jupyter.api import downloads
from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.errors import ConfigError, DownloadError, ModellixError
from modellix_jupyter.settings import Settings

KEY = "mdlx-echo'ed\\5f1d7c0e9a34"
PROXY = "http://proxy.example:3128"
FILE = raw(200, b"\x89PNG...")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.fixture
def proxied(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give an environment with a proxy for https, and names of this network alone."""
    known = {"localhost": ["127.0.0.1"], "10.0.0.5": ["10.0.0.5"], "::1": ["::1"]}
    resolve(environment, known.get)
    environment.setenv("HTTPS_PROXY", PROXY)
    return environment


class Server(ThreadingHTTPServer):
    """Counts what connects to it, and answers with the key in every place that is logged."""

    seen = 0

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.seen += 1
        super().finish_request(request, client_address)


class Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200, f"OK {KEY}")
        self.send_header("X-Echo", str(self.headers.get("Authorization")) or KEY)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


PROBLEMS = {
    "SOCKS": {"ALL_PROXY": "socks5://user:hunter2@127.0.0.1:1"},
    "NO_PROXY": {"NO_PROXY": "fd00::/8", "HTTP_PROXY": "http://u:hunter2@127.0.0.1:1"},
    "no brackets": {"NO_PROXY": "[::1]"},
    "HTTPS_PROXY": {"HTTPS_PROXY": "foo://u:hunter2@x"},
    "SSL_CERT_FILE": {"SSL_CERT_FILE": "/nowhere/hunter2"},
    "certificates": {"SSL_CERT_FILE": __file__},
}


@pytest.mark.parametrize("word", PROBLEMS)
def test_an_environment_that_cannot_be_used_is_said_in_two_lines(
    word: str, environment: pytest.MonkeyPatch
) -> None:
    if word == "SOCKS":
        environment.setitem(__import__("sys").modules, "socksio", None)
    for name, value in PROBLEMS[word].items():
        environment.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        AsyncClient(KEY, settings=Settings())
    lines = caught.value._render_traceback_()
    assert len(lines) == 2
    assert word in " ".join(lines)
    assert "hunter2" not in " ".join(lines) + repr(caught.value.__cause__)
    AsyncClient(KEY, settings=Settings(base_url="http://127.0.0.1:1"))  # needs none of it


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[list[str]]:
    """Let a name resolve to other addresses at each look; return what was asked for and got."""
    left, given = list(answers), list[list[str]]()

    def look(host: str) -> list[str]:
        given.append([host] if host[0].isdigit() else left.pop(0) if left[1:] else left[0])
        return given[-1]

    resolve(monkeypatch, look)
    return given


async def fetch(url: str) -> bytes:
    async with AsyncClient(KEY, settings=Settings()) as client, client.open(url) as response:
        return await response.aread()


def test_a_name_that_turns_private_is_never_connected_to(
    environment: pytest.MonkeyPatch, server: Server
) -> None:
    resolving(environment, ["93.184.216.34"], ["127.0.0.1"])
    with pytest.raises(DownloadError, match="private network") as caught:
        asyncio.run(fetch(f"http://rebinding.example:{server.server_port}/secret"))
    assert server.seen == 0
    assert not caught.value.final


def test_what_is_connected_to_is_an_address_that_was_checked(
    environment: pytest.MonkeyPatch, server: Server
) -> None:
    looked_up = resolving(environment, ["127.0.0.2", "127.0.0.1"])
    environment.setattr(downloads, "is_public", lambda _: True)
    body = asyncio.run(fetch(f"http://two.example:{server.server_port}/x"))  # 127.0.0.2 refuses
    assert body == b"{}"
    assert len([each for each in looked_up if len(each) == 2]) == 2


def test_no_line_of_the_log_has_the_key_that_a_server_sent_back(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = Settings(base_url=f"http://127.0.0.1:{server.server_port}", retry_deadline_s=0)

    async def ask() -> None:
        async with AsyncClient(KEY, settings=settings) as client:
            await client.key_is_valid()

    with pytest.raises(ModellixError):
        asyncio.run(ask())
    assert "X-Echo" in caplog.text
    assert "[the key]" in caplog.text
    for form in (KEY, repr(KEY)[1:-1], "5f1d7c0e9a34"):
        assert form not in caplog.text


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


@pytest.mark.usefixtures("proxied")
def test_what_goes_by_the_proxy_is_resolved_there() -> None:
    network = Network()
    assert network.fetch("https://only-the-proxy-knows.example/x") == b"\x89PNG..."
    assert (len(network.proxy.requests), network.direct.requests) == (1, [])


@pytest.mark.usefixtures("proxied")
def test_a_private_address_is_not_requested_of_a_proxy() -> None:
    network = Network()
    for host in ("10.0.0.5", "[::1]"):
        network.refuses(f"https://{host}/x")
    assert network.proxy.requests == []


@pytest.mark.usefixtures("proxied")
def test_a_proxy_for_https_is_none_for_http() -> None:
    network = Network()
    network.refuses("http://localhost:9000/x")
    assert network.direct.requests == []


@pytest.mark.usefixtures("proxied")
def test_a_redirect_away_from_the_proxy_is_checked() -> None:
    network = Network(proxy=page(302, location="http://localhost:9000/x"))
    network.refuses("https://only-the-proxy-knows.example/x")
    assert (len(network.proxy.requests), network.direct.requests) == (1, [])


@pytest.mark.parametrize(
    "entry",
    ["localhost", "*", "a.example, localhost", "https://localhost", "LOCALHOST", "localhost:9000"],
)
def test_what_httpx_sends_straight_is_checked(proxied: pytest.MonkeyPatch, entry: str) -> None:
    proxied.delenv("HTTPS_PROXY")
    proxied.setenv("ALL_PROXY", PROXY)
    proxied.setenv("NO_PROXY", entry)
    network = Network()
    network.refuses("https://localhost:9000/x")
    assert (network.proxy.requests, network.direct.requests) == ([], [])


class Peer:
    def get_extra_info(self, _name: str) -> Any:
        return ("10.0.0.5", 443)


def test_the_peer_is_checked_where_it_is_not_the_proxy(proxied: pytest.MonkeyPatch) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        extensions = {"network_stream": Peer()}
        return httpx.Response(200, stream=Chunks([b"x"]), extensions=extensions)

    network = Network(proxy=answer, direct=answer)
    assert network.fetch("https://only-the-proxy-knows.example/x") == b"x"
    resolve(proxied, lambda _: [PUBLIC])
    network.refuses("http://cdn.example.com/x")


@pytest.mark.usefixtures("proxied")
def test_a_transport_of_the_callers_is_no_proxy() -> None:
    service = Service([FILE])

    async def fetch() -> None:
        async with service.client() as client, client.open("https://localhost/x"):
            pass

    with pytest.raises(DownloadError, match="private network"):
        asyncio.run(fetch())
    assert service.requests == []
