"""What the environment says of connections, where files are fetched from, and what is logged."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from modellix_jupyter.api import downloads
from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.errors import ConfigError, DownloadError, ModellixError
from modellix_jupyter.settings import Settings

KEY = "mdlx-echo'ed\\5f1d7c0e9a34"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


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

    def look_up(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        found = [str(host)] if str(host)[0].isdigit() else left.pop(0) if left[1:] else left[0]
        given.append(found)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
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
