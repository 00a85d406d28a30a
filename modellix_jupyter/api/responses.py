"""Reads answers within bounds, redacts the key, and translates errors into ours.

A test fails if one of httpx's errors is not mapped here.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, contextmanager
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING

import httpx

from modellix_jupyter.api.parsing import error_message
from modellix_jupyter.errors import API_ERRORS, ApiError, BadAnswer, ConnectFailed, NoAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.keys import SecretKey

# The largest API answer, in bytes (as in the vendor's own command line).
MAX_ANSWER = 16 * 1024 * 1024
# Shorter keys may appear in a text by coincidence, so they are not redacted.
_MIN_REDACTED = 8
# Possible encodings of JSON.
_CODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
# Content codings whose output is at most about a thousand times their input.
_BOUNDED = frozenset({"", "identity", "gzip", "deflate"})

# The service knows a task only with the key that submitted it.
_OTHER_KEY = "A task can be read with the key it was sent with only: `%modellix key` takes another."

# The time for an answer is counted in parts of so many seconds.
_PART_S = 1.0

# Only errors that httpx raises before it has sent a byte may be listed here.
NEVER_SENT: tuple[type[Exception], ...] = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
# URLs are built before anything is sent, so an invalid one comes from the answer: httpx parses the
# target of a redirect even if it does not follow it.
UNREADABLE: tuple[type[Exception], ...] = (
    httpx.DecodingError,
    httpx.TooManyRedirects,
    httpx.InvalidURL,
    UnicodeError,
)


class Undocumented(ApiError):
    """An undocumented 4xx: it refuses a read, but leaves a submission's outcome unknown."""

    default_hint = "Something between here and the API may have answered; check the base URL."

    def to_bad_answer(self) -> BadAnswer:
        """Return the error for a submission, which may have been accepted behind a proxy."""
        return _not_documented(self.call, self.code, self.answer)


class NoCookies(CookieJar):
    """Keeps no cookies: the API's would also be sent to the schemas' origin."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Ignore the cookies of an answer."""


@asynccontextmanager
async def answer_timeout(request: httpx.Request, within_s: float) -> AsyncIterator[None]:
    """Bound the time for a whole answer.

    httpx bounds single reads only, so a server that sends a byte now and then could hold a call
    for ever. The time starts when the request was sent, after the wait for a connection and the
    upload of a picture, so a time-out always means that the request may have arrived.
    """
    try:
        async with asyncio.timeout(None) as bound:
            patience = _Patience(bound, within_s)

            async def note(event: str, info: object) -> None:
                del info
                if event.endswith("receive_response_headers.started"):
                    patience.begin()

            request.extensions["trace"] = note
            try:
                yield
            finally:
                patience.end()
    except TimeoutError:
        raise httpx.ReadTimeout("") from None


class _Patience:
    """A time-out that counts only time in which the loop ran.

    Time in which the process stood still does not count (a cell that holds the GIL, a stopped
    process, a laptop asleep): the answer may have come, but could not be read.
    """

    def __init__(self, bound: asyncio.Timeout, within_s: float) -> None:
        self._bound = bound
        self._left_s = within_s
        self._part_s = min(within_s / 4, _PART_S)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Start to count."""
        self.end()
        self._timer = self._loop.call_later(self._part_s, self._count, self._loop.time())

    def _count(self, since: float) -> None:
        if self._loop.time() - since < 2 * self._part_s:
            self._left_s -= self._part_s
        if self._left_s > 0:
            self.begin()
        else:
            self._bound.reschedule(self._loop.time())

    def end(self) -> None:
        """Stop counting."""
        if self._timer is not None:
            self._timer.cancel()


async def read(response: httpx.Response, call: str) -> bytes:
    """Read a whole answer, decoded, up to a bound."""
    if response.headers.get("content-encoding", "").strip().lower() not in _BOUNDED:
        raise BadAnswer(f"The answer to {call} has an encoding that was not asked for.")
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise BadAnswer(f"The answer to {call} is larger than {MAX_ANSWER // 2**20} MiB.")
    return bytes(body)


def redact(key: SecretKey, body: bytes) -> bytes:
    """Return an answer without the key, which a service may quote in any text.

    This happens before the answer is parsed, so that no value, row or message contains the key.
    """
    for form in forms_of(key):
        for coding in _CODINGS:
            body = body.replace(form.encode(coding), "[the key]".encode(coding))
    return body


def forms_of(key: SecretKey) -> tuple[str, ...]:
    """Return the forms of the key in texts: as it is, and as quoted by JSON or Python."""
    secret = key.reveal()
    if len(secret) < _MIN_REDACTED:
        return ()
    quoted = json.dumps(secret)[1:-1]
    python = repr(secret.encode())[2:-1]
    return tuple(dict.fromkeys((secret, quoted, quoted.replace("/", r"\/"), python)))


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Translate errors that httpx raises inside into ours."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError) as error:
        # `from None`, since httpx's error has the request, whose headers have the key
        raise from_exception(error, call) from None


def from_exception(error: Exception, call: str) -> ModellixError:
    """Return our error for one of httpx's; `call` is its method and path."""
    if isinstance(error, NEVER_SENT):
        return ConnectFailed(f"No connection for {call}: {_reason(error)}.")
    if isinstance(error, UNREADABLE):
        return BadAnswer(f"The answer to {call} cannot be read: {_reason(error)}.")
    return NoAnswer(f"{call} got no answer: {_reason(error)}.")


def from_answer(status: int, body: bytes, call: str, attempts: int) -> ModellixError:
    """Return our error for an answer that is not a 2xx.

    Only a documented status with the documented body tells what happened to the request.
    """
    message = error_message(body, status)
    if message is not None and status in API_ERRORS:
        return API_ERRORS[status](message, code=status, call=call, attempts=attempts)
    if 400 <= status < 500:  # noqa: PLR2004 - the HTTP statuses of a refusal
        told = message or f"HTTP {status}"
        error = Undocumented(told, code=status, call=call, attempts=attempts)
        if message is not None and status == httpx.codes.FORBIDDEN and "/tasks/" in call:
            error.hint = _OTHER_KEY
        return error
    return _not_documented(call, status, message or "")


def _not_documented(call: str, status: int, message: str) -> BadAnswer:
    quoted = f" ({message})" if message and message != f"HTTP {status}" else ""
    return BadAnswer(f"{call} was answered with HTTP {status}, which is not documented{quoted}.")


def _reason(error: Exception) -> str:
    """Return the reason in words, since some messages of httpx are empty."""
    return str(error).rstrip(". ") or {
        "ReadTimeout": "the time for an answer ran out",
        "ConnectTimeout": "the time to connect ran out",
    }.get(type(error).__name__, type(error).__name__)
