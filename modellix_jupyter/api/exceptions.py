"""httpx's errors and answers to ours; a test fails when one of httpx's is not mapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from modellix_jupyter.api import parsing
from modellix_jupyter.errors import API_ERRORS, ApiError, BadAnswer, ConnectFailed, NoAnswer

if TYPE_CHECKING:
    from modellix_jupyter.errors import ModellixError

# Only what httpx raises before a byte of the request has left may stand here.
NEVER_SENT: tuple[type[Exception], ...] = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
SILENT: tuple[type[Exception], ...] = (
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
    httpx.RemoteProtocolError,
)
# A URL is built before anything is sent, so one that httpx refuses later is in the answer: it reads
# the address of a redirect even where it does not follow it.
UNREADABLE: tuple[type[Exception], ...] = (
    httpx.DecodingError,
    httpx.TooManyRedirects,
    httpx.InvalidURL,
    UnicodeError,
)


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Turn what httpx raises inside into our errors."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError) as error:
        # `from None`: httpx's error holds the request, whose headers hold the key
        raise from_exception(error, call) from None


def from_exception(error: Exception, call: str) -> ModellixError:
    """Return our error for one of httpx's.

    Parameters
    ----------
    error
        What httpx raised.
    call
        The request as a user may read it: method and path.

    """
    if isinstance(error, NEVER_SENT):
        return ConnectFailed(f"No connection for {call}: {_words(error)}.")
    if isinstance(error, UNREADABLE):
        return BadAnswer(f"The answer to {call} cannot be read: {_words(error)}.")
    return NoAnswer(f"{call} got no answer: {_words(error)}.")


def from_answer(status: int, body: bytes, call: str, attempts: int) -> ModellixError:
    """Return our error for an answer that is not a 2xx.

    A documented error is one class each. An undocumented 4xx is a refusal all the same; anything
    else says nothing of what happened to the request, whatever its body.
    """
    message = parsing.error_message(body, status)
    refusal = 400 <= status < 500  # noqa: PLR2004 - the HTTP statuses of a refusal
    if message is not None and (refusal or status in API_ERRORS):
        kind = API_ERRORS.get(status, ApiError)
        return kind(message, code=status, call=call, attempts=attempts)
    if refusal:
        return Undocumented(f"HTTP {status}", code=status, call=call, attempts=attempts)
    said = f" ({message})" if message else ""
    return BadAnswer(f"{call} was answered with HTTP {status}, which is not documented{said}.")


class Undocumented(ApiError):
    """A refusal (4xx) whose body is not the documented one: a proxy's, say.

    Never retried, but for the 429 of a read.
    """

    hint_s: float | None = None
    default_hint = "Something between here and the API may have answered; check the base URL."


def _words(error: Exception) -> str:
    """Return the reason in words; httpx leaves some messages empty."""
    return str(error).rstrip(". ") or {
        "ReadTimeout": "the time for an answer ran out",
        "ConnectTimeout": "the time to connect ran out",
    }.get(type(error).__name__, type(error).__name__)
