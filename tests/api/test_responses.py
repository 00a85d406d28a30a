from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from client_fakes import KEY, Service, raw, submit

from modellix_jupyter.api import responses
from modellix_jupyter.errors import (
    API_ERRORS,
    ApiError,
    BadAnswer,
    ConnectFailed,
    ModellixError,
    NoAnswer,
)

REQUEST = httpx.Request("POST", "https://api.modellix.ai/x", headers={"authorization": KEY})


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from below(child)


MAPPED: dict[type[Exception], type[ModellixError]] = {
    # nothing has left: safe to send again
    httpx.ConnectError: ConnectFailed,
    httpx.ConnectTimeout: ConnectFailed,
    httpx.PoolTimeout: ConnectFailed,
    httpx.ProxyError: ConnectFailed,
    httpx.UnsupportedProtocol: ConnectFailed,
    httpx.LocalProtocolError: ConnectFailed,
    # something may have
    httpx.ReadTimeout: NoAnswer,
    httpx.WriteTimeout: NoAnswer,
    httpx.ReadError: NoAnswer,
    httpx.WriteError: NoAnswer,
    httpx.CloseError: NoAnswer,
    httpx.RemoteProtocolError: NoAnswer,
    httpx.StreamConsumed: NoAnswer,
    httpx.StreamClosed: NoAnswer,
    httpx.ResponseNotRead: NoAnswer,
    httpx.RequestNotRead: NoAnswer,
    # something answered
    httpx.DecodingError: BadAnswer,
    httpx.TooManyRedirects: BadAnswer,
    httpx.InvalidURL: BadAnswer,
    # only the base classes that httpx never raises, and one that we never ask for
    httpx.HTTPError: NoAnswer,
    httpx.RequestError: NoAnswer,
    httpx.TransportError: NoAnswer,
    httpx.TimeoutException: NoAnswer,
    httpx.NetworkError: NoAnswer,
    httpx.ProtocolError: NoAnswer,
    httpx.StreamError: NoAnswer,
    httpx.HTTPStatusError: NoAnswer,
}
"""Written out, so that a class that a new httpx brings fails until somebody thought about it."""


def make(kind: type[Exception]) -> Exception:
    if issubclass(kind, httpx.HTTPStatusError):
        return kind("x", request=REQUEST, response=httpx.Response(500))
    if issubclass(kind, httpx.RequestError):
        return kind("x", request=REQUEST)
    if kind in {httpx.StreamConsumed, httpx.StreamClosed, httpx.ResponseNotRead}:
        return kind()
    return kind() if kind is httpx.RequestNotRead else kind("x")


def test_every_error_of_httpx_is_thought_of() -> None:
    theirs = {
        kind
        for root in (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL)
        for kind in below(root)
        if kind.__module__.startswith("httpx")
    }
    assert theirs == set(MAPPED)


def test_the_tables_are_of_different_errors() -> None:
    tables = (responses.NEVER_SENT, responses.UNREADABLE)
    listed = [kind for table in tables for kind in table]
    assert len(listed) == len(set(listed))


def test_no_class_that_covers_others_counts_as_never_sent() -> None:
    """A subclass of one that stands there would be sent again too."""
    never = {k for kind in responses.NEVER_SENT for k in below(kind)}
    assert never == {kind for kind, ours in MAPPED.items() if ours is ConnectFailed}


@pytest.mark.parametrize("kind", MAPPED, ids=lambda kind: kind.__name__)
def test_each_is_ours_when_it_comes_out(kind: type[Exception]) -> None:
    service = Service([make(kind)])
    with pytest.raises(ModellixError) as caught:
        asyncio.run(submit(service))
    assert type(caught.value) is MAPPED[kind]
    assert len(service.requests) == (4 if MAPPED[kind] is ConnectFailed else 1)
    assert caught.value.__cause__ is None
    assert "POST /api/v1/alibaba/qwen-image-plus/async" in caught.value.message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (httpx.ReadTimeout(""), "GET /x got no answer: the time for an answer ran out."),
        (httpx.ConnectTimeout(""), "No connection for GET /x: the time to connect ran out."),
        (httpx.WriteError(""), "GET /x got no answer: WriteError."),
        (httpx.ReadError("Connection reset."), "GET /x got no answer: Connection reset."),
        (httpx.DecodingError("bad"), "The answer to GET /x cannot be read: bad."),
    ],
)
def test_an_error_is_a_sentence_even_where_httpx_has_no_words(
    error: Exception, message: str
) -> None:
    assert responses.from_exception(error, "GET /x").message == message


def test_what_is_not_of_httpx_passes() -> None:
    with pytest.raises(KeyError), responses.translated("GET /x"):
        raise KeyError
    with pytest.raises(BadAnswer), responses.translated("GET /x"):
        raise BadAnswer("as it was")


def test_every_status_with_the_documented_body() -> None:
    for status in range(400, 600):
        body = b'{"code": %d, "message": "Category: detail"}' % status
        error = responses.from_answer(status, body, "GET /x", 2)
        fallback = responses.Undocumented if status < 500 else BadAnswer
        assert type(error) is API_ERRORS.get(status, fallback)
        assert "Category: detail" in error.message
        if isinstance(error, ApiError):
            assert (error.code, error.call, error.attempts) == (status, "GET /x", 2)
            assert (error.category, error.detail) == ("Category", "detail")


def test_every_status_with_another_body() -> None:
    for status in (*range(300, 310), *range(400, 600), 100, 999):
        error = responses.from_answer(status, b"<html>", "GET /x", 1)
        assert type(error) is (responses.Undocumented if 400 <= status < 500 else BadAnswer)
        assert f"HTTP {status}" in error.message


@pytest.mark.parametrize("status", [301, 302, 307, 404, 429, 500, 503, 599])
def test_a_body_that_is_not_read_says_nothing(status: int) -> None:
    """A server's page must not come to the terminal through an error."""
    error = responses.from_answer(status, b"\x1b]0;owned\x07", "GET /x", 1)
    assert "owned" not in str(error)
    service = Service([raw(status, b"\x1b]0;owned\x07")])
    with pytest.raises(ModellixError) as caught:
        asyncio.run(submit(service))
    assert "owned" not in str(caught.value)
