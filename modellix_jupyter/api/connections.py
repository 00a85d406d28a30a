"""HTTP clients, with the proxies of the environment; files come from checked addresses only."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import httpcore
import httpx

from modellix_jupyter.api.downloads import public_addresses
from modellix_jupyter.api.responses import NoCookies, forms_of
from modellix_jupyter.errors import ConfigError
from modellix_jupyter.keys import SecretKey
from modellix_jupyter.settings import Settings

# The time-out for each of several addresses of a host, in seconds.
_ONE_ADDRESS_S = 4.0
_LOGGERS = (
    "httpx",
    *(f"httpcore.{n}" for n in ("connection", "http11", "http2", "proxy", "socks")),
)
# Keys that are redacted in log lines.
_hidden: set[SecretKey] = set()


def open_http(
    settings: Settings, transport: httpx.AsyncBaseTransport | None, *, files: bool
) -> httpx.AsyncClient:
    """Return an HTTP client for the API, or one for files, whose URLs are untrusted."""
    within_s = settings.submit_timeout_s
    try:
        http = httpx.AsyncClient(
            transport=transport,
            # the environment's proxies are for the Internet, not for this machine
            trust_env=not settings.local,
            follow_redirects=False,
            # `answer_timeout` bounds a whole answer, ignoring time in which the process stood still
            timeout=httpx.Timeout(
                within_s, connect=15.0, read=within_s if files else None, pool=None
            ),
            # shorter than any common server's keep-alive: a submission that is sent on a closing
            # connection has an unknown outcome
            limits=httpx.Limits(
                max_connections=64, max_keepalive_connections=16, keepalive_expiry=2.0
            ),
            # one layer of zlib: `read` can bound its output, but not that of nested layers
            headers={"User-Agent": "modellix-jupyter", "Accept-Encoding": "gzip, deflate"},
            cookies=NoCookies(),
        )
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        # `from None`, since a proxy's URL may contain a password
        raise _environment_problem(error) from None
    if files and transport is None and not settings.local:
        # httpx has no public way to choose the backend; proxies have separate pools
        pool = http._transport._pool  # type: ignore[attr-defined]  # noqa: SLF001 - as above
        pool._network_backend = CheckedBackend(pool._network_backend)  # noqa: SLF001 - as above
    return http


def _environment_problem(error: Exception) -> ConfigError:
    if isinstance(error, ImportError):
        return ConfigError(
            "The environment names a SOCKS proxy, which needs a package that is not installed.",
            "Install it with: pip install 'httpx[socks]', or unset ALL_PROXY.",
        )
    if isinstance(error, OSError):
        return ConfigError(
            "The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read.",
            "Correct the variable, or unset it.",
        )
    return ConfigError(
        "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY has an address that cannot be read.",
        "Correct it: NO_PROXY takes hosts and addresses, with no brackets and no IPv6 networks.",
    )


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked: a name may resolve differently later."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of a host's addresses that answers; all must be public."""
        *others, last = await public_addresses(host, port)
        for address in others:
            within = min(timeout or _ONE_ADDRESS_S, _ONE_ADDRESS_S)
            try:
                return await self._inner.connect_tcp(
                    address, port, within, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(last, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await self._inner.sleep(seconds)


def _redacted(record: logging.LogRecord) -> bool:
    """Redact keys in log records of httpx and httpcore, which show headers as received."""
    message = clean = record.getMessage()
    for key in tuple(_hidden):
        for form in forms_of(key):
            clean = clean.replace(form, "[the key]")
    if clean != message:
        record.msg, record.args = clean, None
    return True


def hide_in_logs(key: SecretKey) -> None:
    """Redact this key in everything that httpx and httpcore log from now on."""
    _hidden.add(key)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_redacted)
