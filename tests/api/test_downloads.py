from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from client_fakes import KEY, PUBLIC, Answer, Chunks, Service, page, raw, resolve

from modellix_jupyter.errors import BadAnswer, DownloadError, ModellixError, NoAnswer, ResultGone

URL = "https://cdn.example.com/images/abc123.png?signature=s3cret"
LOCAL = {"base_url": "http://127.0.0.1:9000"}
FILE = raw(200, b"\x89PNG...")


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one name be public and one private, and no other be known."""
    table = {
        "cdn.example.com": [PUBLIC],
        "other.example.com": ["93.184.216.35"],
        "inside.example.com": ["10.0.0.5"],
    }
    resolve(monkeypatch, lambda host: [host] if host[0].isdigit() else table.get(host))


def fetch(service: Service, url: str = URL, **settings: Any) -> bytes:
    async def within() -> bytes:
        async with service.client(**settings) as client, client.open(url) as response:
            return b"".join([chunk async for chunk in response.aiter_raw()])

    return asyncio.run(within())


def to(location: str, status: int = 302) -> httpx.Response:
    return page(status, location=location)


def test_a_file_is_read_without_the_key() -> None:
    service = Service([FILE])
    assert fetch(service) == b"\x89PNG..."
    [request] = service.requests
    assert str(request.url) == URL
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers
    assert "cookie" not in request.headers


@pytest.mark.parametrize("origin", ["https://api.modellix.ai", "https://cdn.example.com"])
def test_not_even_the_base_url_gets_the_key_with_a_download(
    origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, lambda _: [PUBLIC])
    service = Service([to(f"{origin}/b", 307), raw(200, b"x", headers={"set-cookie": "a=b"}), FILE])
    fetch(service, f"{origin}/a", base_url="https://api.modellix.ai")
    fetch(service, f"{origin}/a")
    assert len(service.requests) == 3
    for request in service.requests:
        assert KEY not in repr(request.headers.raw)
        assert {"authorization", "cookie"}.isdisjoint(request.headers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(status: int) -> None:
    service = Service([to("https://other.example.com/x", status), to("/y", status), FILE])
    assert fetch(service) == b"\x89PNG..."
    assert [str(request.url) for request in service.requests] == [
        URL,
        "https://other.example.com/x",
        "https://other.example.com/y",
    ]
    assert all(request.method == "GET" for request in service.requests)


def test_five_redirects_are_followed_and_no_sixth() -> None:
    service = Service([*[to("/again")] * 5, FILE])
    assert fetch(service) == b"\x89PNG..."
    endless = Service([to("/again")])
    with pytest.raises(DownloadError, match="too often") as caught:
        fetch(endless)
    assert len(endless.requests) == 6
    assert caught.value.final


@pytest.mark.parametrize(
    "location",
    [
        "https://inside.example.com/x",
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://nowhere.example/x",
        "file:///etc/passwd",
        "ftp://cdn.example.com/x",
        "//10.0.0.1/x",
    ],
)
def test_a_redirect_is_held_to_the_rules_of_the_first_address(location: str) -> None:
    service = Service([to(location), FILE])
    with pytest.raises(DownloadError):
        fetch(service)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://inside.example.com/x",
        "https://10.0.0.1/x",
        "https://0.0.0.0/x",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "https://cdn.example.com:99999/",
        "https://cdn.example.com:0/",
        "https://[::1",
        "not a url",
        "",
        "https://cdn.example.com/\x7f",
        "https://cdn.example.com/" + "a" * 70_000,
        "https://xn--/",
    ],
)
def test_an_address_that_is_refused_is_not_asked(url: str) -> None:
    service = Service([FILE])
    with pytest.raises(DownloadError):
        fetch(service, url)
    assert service.requests == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/a", "http://[::1]:9/a", "https://10.0.0.1/"]
)
def test_a_service_on_this_machine_may_have_its_files_here(url: str) -> None:
    assert fetch(Service([FILE]), url, **LOCAL) == b"\x89PNG..."


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "data:,x",
        "https://h:-1/",
        "https://xn--/",
        "https://a\0b/",
        "http://\ud800/",
        "https://a/\x7f",
        "https://" + "a" * 70_000,
    ],
)
def test_but_it_can_name_no_address_that_breaks_the_client(url: str) -> None:
    service = Service([FILE])
    with pytest.raises(DownloadError):
        fetch(service, url, **LOCAL)
    assert service.requests == []


@pytest.mark.parametrize("settings", [{}, LOCAL])
@pytest.mark.parametrize(
    "location",
    [
        "http://[",
        "https://h:99999/",
        "mailto:x",
        "https://xn--/",
        "https:x",
        "\x7f",
        "a" * 70_000,
        "file:///etc/passwd",
    ],
)
def test_no_redirect_breaks_the_client(location: str, settings: dict[str, str]) -> None:
    service = Service([to(location), page(404)])
    with pytest.raises(ModellixError):
        fetch(service, "https://cdn.example.com/a", **settings)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_said_to_be_gone_may_be_asked_for_again(status: int) -> None:
    service = Service([page(status)])
    with pytest.raises(ResultGone, match=f"HTTP {status}") as caught:
        fetch(service)
    assert not caught.value.final
    assert "resume" in caught.value.hint
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 416, 429, 500, 502, 503])
def test_what_may_pass_is_not_final(status: int) -> None:
    with pytest.raises(BadAnswer, match=f"HTTP {status}"):
        fetch(Service([page(status)]))


@pytest.mark.parametrize("error", [httpx.ReadError("reset"), httpx.ConnectError("refused")])
def test_the_network_may_fail(error: Exception) -> None:
    with pytest.raises(ModellixError) as caught:
        fetch(Service([error]))
    assert not isinstance(caught.value, DownloadError)
    assert "s3cret" not in str(caught.value)
    assert "GET cdn.example.com" in caught.value.message


def test_a_file_that_breaks_off_is_ours_to_name() -> None:
    stream = Chunks([b"\x89PNG"], httpx.ReadError("reset"))
    with pytest.raises(NoAnswer):
        fetch(Service([httpx.Response(200, stream=stream)]))
    assert stream.closed


class Peer:
    def get_extra_info(self, _name: str) -> Any:
        return ("10.0.0.5", 443)


def test_a_name_that_turns_private_between_look_up_and_use_is_refused() -> None:
    stream = Chunks([b"secret of the intranet"])
    answer = httpx.Response(200, stream=stream, extensions={"network_stream": Peer()})
    with pytest.raises(DownloadError, match="private network"):
        fetch(Service([answer]))
    assert stream.taken == 0
    assert stream.closed


@pytest.mark.parametrize(
    "answer", [page(404), page(500), to("file:///x"), to("/again")], ids=["404", "500", "odd", "on"]
)
def test_every_answer_is_closed(answer: httpx.Response) -> None:
    streams: list[Chunks] = []

    def reply(_: httpx.Request) -> httpx.Response:
        streams.append(Chunks([b"x"]))
        return httpx.Response(answer.status_code, headers=answer.headers, stream=streams[-1])

    script: list[Answer] = [reply]
    with pytest.raises(ModellixError):
        fetch(Service(script))
    assert streams
    assert all(stream.closed for stream in streams)


def test_what_the_reader_raises_is_the_readers() -> None:
    stream = Chunks([b"x"])
    service = Service([httpx.Response(200, stream=stream)])

    async def within() -> None:
        async with service.client() as client, client.open(URL):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        asyncio.run(within())
    assert stream.closed
