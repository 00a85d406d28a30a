from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from client_fakes import resolve

from modellix_jupyter.api.downloads import check_peer, check_url, is_public, redirected
from modellix_jupyter.errors import DownloadError

PUBLIC = """
    1.1.1.1 93.184.216.34 172.32.0.1 100.128.0.1 2606:4700:4700::1111 2001:4860:4860::8888
    ::ffff:93.184.216.34 64:ff9b::5db8:d822 2002:5db8:d822::1
""".split()  # noqa: SIM905 - one address a line would hide the groups
PRIVATE = {
    "private": "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fdff::1",
    "this machine": "127.0.0.1 127.255.255.254 ::1 0.0.0.0 0.1.2.3 ::",
    "this link": "169.254.169.254 fe80::1 fe80::1%eth0 fe80::1%25eth0 fec0::1",
    "shared": "100.64.0.1 100.127.255.255",
    "for tests": "192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 2001:db8::1",
    "for later": "240.0.0.1 255.255.255.255 4000::1 100::1",
    "multicast": "224.0.0.1 239.255.255.255 232.1.1.1 ff02::1 ff0e::1 ::ffff:224.0.0.1",
    "mapped": "::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:a00:1%1",
    "compatible": "::10.0.0.1 ::127.0.0.1",
    "6to4": "2002:a00:1:: 2002:7f00:1::1",
    "NAT64": "64:ff9b::a00:1 64:ff9b::169.254.169.254 64:ff9b:1::a00:1",
    "Teredo": "2001:0:a00:1::",
    "no address": "localhost cdn.example.com 1.1.1 0x7f000001 2130706433 [::1] 1.1.1.1/8",
}


def test_addresses_of_the_open_internet() -> None:
    assert [address for address in PUBLIC if not is_public(address)] == []


@pytest.mark.parametrize("kind", PRIVATE)
def test_every_other_address(kind: str) -> None:
    assert [address for address in PRIVATE[kind].split() if is_public(address)] == []
    assert not is_public("")


def check(url: str, *, allow_local: bool = False) -> None:
    asyncio.run(check_url(url, allow_local=allow_local))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Give a table of names that stands for the DNS."""
    table: dict[str, list[str]] = {}
    resolve(monkeypatch, table.get)
    return table


def test_a_public_host_is_fine(names: dict[str, list[str]]) -> None:
    names["cdn.example.com"] = ["93.184.216.34", "2606:2800:220:1::1"]
    check("https://cdn.example.com/a.png")
    check("https://cdn.example.com:8443/a.png?b=c")


def test_one_private_address_among_many_is_enough(names: dict[str, list[str]]) -> None:
    names["cdn.example.com"] = ["93.184.216.34", "10.0.0.1"]
    with pytest.raises(DownloadError, match="private network") as caught:
        check("https://cdn.example.com/a.png")
    assert not caught.value.final  # a filter may answer so today


def test_a_name_that_is_private_for_a_while_loses_no_file(names: dict[str, list[str]]) -> None:
    nowhere = "0.0.0.0"  # noqa: S104 - what a filter of names answers
    names["cdn.example.com"] = names[nowhere] = [nowhere]
    for url, final in (("https://cdn.example.com/a.png", False), (f"https://{nowhere}/a", True)):
        with pytest.raises(DownloadError, match="private network") as caught:
            check(url)
        assert caught.value.final is final


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a",
        "https://10.1.2.3/a",
        "https://[::1]/a",
        "https://[::ffff:10.0.0.1]/a",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/a",
        "https://0x7f.1/a",
        "https://localhost/a",
        "https://LOCALHOST./a",
        "https://127.1/a",
        "https://0177.0.0.1/a",
        "https://0x7f000001/a",
        "https://127.0.0.1./a",
        "https://127。0。0。1/a",
        "https://app.localhost/a",
        "https://printer.local/a",
        "https://user@127.0.0.1/a",
        "https://cdn.example.com@127.0.0.1/a",
    ],
)
@pytest.mark.parametrize("proxied", [False, True])
def test_a_private_host_is_refused_however_it_is_written(url: str, *, proxied: bool) -> None:
    with pytest.raises(DownloadError, match=r"private network|not a valid URL"):
        asyncio.run(check_url(url, allow_local=False, proxied=proxied))


def test_behind_a_proxy_a_name_of_one_word_is_of_its_network() -> None:
    with pytest.raises(DownloadError, match="private network"):
        asyncio.run(check_url("https://intranet/x", allow_local=False, proxied=True))


@pytest.mark.parametrize("url", ["https://93.184.216.34/a", "https://1572395042/a"])
@pytest.mark.parametrize("proxied", [False, True])
def test_an_address_of_the_open_internet_is_fine(url: str, *, proxied: bool) -> None:
    asyncio.run(check_url(url, allow_local=False, proxied=proxied))


@pytest.mark.parametrize("url", ["http://93.184.216.34/a", "HTTP://93.184.216.34/"])
def test_a_paid_result_may_be_fetched_over_http(url: str) -> None:
    check(url)


def test_behind_a_proxy_names_are_the_proxys_and_addresses_ours() -> None:
    asyncio.run(
        check_url("https://only-the-proxy-knows.invalid/x", allow_local=False, proxied=True)
    )
    with pytest.raises(DownloadError, match="private network"):
        asyncio.run(check_url("https://10.0.0.1/x", allow_local=False, proxied=True))


def test_a_host_with_no_address_may_have_one_later() -> None:
    with pytest.raises(DownloadError, match="no address") as caught:
        asyncio.run(check_url("https://nowhere.invalid/x", allow_local=False))
    assert not caught.value.final


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "data:image/png;base64,iVBORw0KGgo=",
        "ftp://cdn.example.com/a",
        "javascript:alert(1)",
        "gopher://cdn.example.com/",
        "//cdn.example.com/a",
        "/a.png",
        "",
        "https://",
        "https://[::1",
        "https://cdn.example.com:99999/",
    ],
)
@pytest.mark.parametrize("allow_local", [True, False])
def test_what_is_not_web_is_refused_always(url: str, allow_local: bool) -> None:  # noqa: FBT001 - both kinds
    with pytest.raises(DownloadError, match="not http"):
        check(url, allow_local=allow_local)


@pytest.mark.parametrize(
    "host",
    ["nowhere.example", "a" * 300, "a" * 64 + ".example", "a..b", "xn--", "a\0b", "\u202e.x"],
)
def test_a_host_that_cannot_be_found_is_a_download_error(
    host: str, names: dict[str, list[str]]
) -> None:
    assert not names
    with pytest.raises(DownloadError):
        check(f"https://{host}/a")


@pytest.mark.parametrize("host", ["a\0b", "a..b", "a" * 64])
def test_the_real_look_up_refuses_what_is_no_name(host: str) -> None:
    with pytest.raises(DownloadError, match=r"no address|not a valid URL"):
        check(f"https://{host}/")


class Stream:
    """What httpcore says of a connection."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer

    def get_extra_info(self, name: str) -> Any:
        return self._peer if name == "server_addr" else None


@pytest.mark.parametrize(
    "peer", [("10.0.0.1", 443), ("::1", 443, 0, 0), ("fe80::1%eth0", 443, 0, 2), ("/run/sock",)]
)
def test_who_really_answered_counts(peer: Any) -> None:
    answer = httpx.Response(200, extensions={"network_stream": Stream(peer)})
    with pytest.raises(DownloadError, match="private network"):
        check_peer(answer, allow_local=False)
    check_peer(answer, allow_local=True)


@pytest.mark.parametrize("peer", [("93.184.216.34", 443), None])
def test_a_public_or_unknown_peer_is_fine(peer: Any) -> None:
    check_peer(httpx.Response(200, extensions={"network_stream": Stream(peer)}), allow_local=False)
    check_peer(httpx.Response(200), allow_local=False)


@pytest.mark.parametrize(
    ("location", "to"),
    [
        ("https://b.example/x", "https://b.example/x"),
        ("/x", "https://a.example/x"),
        ("x", "https://a.example/p/x"),
        ("//b.example/x", "https://b.example/x"),
        ("?q", "https://a.example/p/o?q"),
        ("file:///etc/passwd", "file:///etc/passwd"),
    ],
)
def test_where_a_redirect_leads(location: str, to: str) -> None:
    assert redirected("https://a.example/p/o", location) == to


def test_a_redirect_to_no_address_is_a_download_error() -> None:
    call: Callable[[], str] = lambda: redirected("https://a.example/", "http://[")  # noqa: E731 - raises inside
    with pytest.raises(DownloadError, match="no address"):
        call()
