"""What all handlers have in common: the journal, the error format, and bad manners on demand."""

import json
import logging
import socket
import struct
from collections.abc import Mapping
from types import TracebackType
from typing import NoReturn

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from modellix_jupyter.sandbox_server.faults import Fault
from modellix_jupyter.sandbox_server.journal import JournalEntry, Origin, record
from modellix_jupyter.sandbox_server.site import Site

log = logging.getLogger("modellix_jupyter.sandbox_server")

_CATEGORIES: Mapping[int, str] = {
    400: "Invalid parameters",
    401: "Unauthorized",
    402: "Payment required",
    404: "Not found",
    405: "Method not allowed",
    416: "Range not satisfiable",
    429: "Too many requests",
    500: "Internal server error",
    503: "Service unavailable",
}
_DETAILS: Mapping[int, str] = {
    400: "the request was refused",
    401: "the API key is invalid",
    402: "the balance is insufficient",
    404: "there is nothing here",
    405: "this path does not take this method",
    416: "the file has no such part",
    429: "the rate limit is exceeded",
    500: "an unexpected error",
    503: "the service is temporarily unavailable",
}
_PROXY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"


class Refusal(HTTPError):
    """An answer that is not 200.

    Parameters
    ----------
    status
        The HTTP status, and the `code` of the answer.
    detail
        What the `message` says after its category; a general sentence where it is left out.
    """

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(status)
        self.detail = detail


class Answer(RequestHandler):
    """The base of every handler.

    Parameters
    ----------
    site
        The shared state.
    origin
        Which of the two servers this is.
    """

    def initialize(self, site: Site, origin: Origin) -> None:
        """Take what the route carries; tornado calls this instead of a constructor."""
        self.site = site
        self.origin = origin

    def prepare(self) -> None:
        """Write the request down before anything is decided about it."""
        request = self.request
        headers = {name.lower(): value for name, value in request.headers.get_all()}
        entry = JournalEntry(
            origin=self.origin,
            method=str(request.method),
            path=request.path,
            query=request.query,
            headers=headers,
            body_size=len(request.body),
            at=self.site.tasks.clock(),
        )
        record(self.site.journal, entry)

    def succeed(self, data: Mapping[str, object]) -> None:
        """Answer 200 with the usual envelope."""
        self.finish(enveloped(data))

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Answer every error in the one documented form."""
        _, error, _ = _exc_info(kwargs)
        detail = error.detail if isinstance(error, Refusal) else ""
        category = _CATEGORIES.get(status_code, "Error")
        detail = detail or _DETAILS.get(status_code, "the request failed")
        if status_code == Fault.RATE_LIMITED.status:
            self.set_header("X-RateLimit-Reset", self.site.reset_after)
        self.finish({"code": status_code, "message": f"{category}: {detail}"})

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log a mistake of the sandbox's own; a refusal is none, nor is being shut down."""
        meant = isinstance(value, HTTPError) or self.site.closing.is_set()
        if not meant and typ is not None and value is not None:
            log.error("%s %s", self.request.method, self.request.path, exc_info=(typ, value, tb))

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection as it is.

        Parameters
        ----------
        reset
            Whether the client sees a reset (RST) instead of an end (FIN).
        """
        stream = self.detach()
        if reset and isinstance(stream.socket, socket.socket):
            # To linger for no time at all is how a socket is made to send a reset.
            linger = struct.pack("ii", 1, 0)
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        stream.close()

    def refuse(self, fault: Fault) -> None:
        """Meet a request with a fault that does nothing of what it asked.

        Parameters
        ----------
        fault
            One of `BEFORE`.

        Raises
        ------
        Refusal
            For the faults that are a plain status.
        """
        if fault.status:
            raise Refusal(fault.status)
        if fault is Fault.RESET_BEFORE:
            self.hang_up(reset=True)
        else:
            self.set_status(502)
            self.set_header("Content-Type", "text/html")
            self.finish(_PROXY_PAGE)

    async def deliver(self, data: dict[str, object], fault: Fault | None) -> None:
        """Answer with data, as well as a fault allows.

        Parameters
        ----------
        data
            What was asked for.
        fault
            One that is not of `BEFORE`, or None.
        """
        if fault in {Fault.RESET_AFTER, Fault.SILENCE}:
            self.hang_up(reset=fault is Fault.RESET_AFTER)
            return
        if fault is Fault.HANG:
            await self.site.hold()
        if fault is Fault.WRONG_TASK_ID:
            data["task_id"] = "task-of-somebody-else"
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        text = json.dumps(enveloped(data))
        if fault is Fault.TRUNCATED_JSON:
            text = text[: len(text) // 2]
        if fault is Fault.GARBLED_JSON:
            text = text.replace('"', "\N{LEFT DOUBLE QUOTATION MARK}").replace(":", ";")
        await self.send(text.encode())

    async def send(self, content: bytes) -> None:
        """Finish with some bytes; it is no error if the client has left meanwhile."""
        try:
            await self.finish(content)
        except StreamClosedError:
            log.debug("the client left before the answer to %s", self.request.path)


class Nothing(Answer):
    """The answer to a path that nothing is at."""

    def prepare(self) -> NoReturn:
        """Refuse every method alike."""
        super().prepare()
        raise Refusal(404, f"no such path: {self.request.path}")


def enveloped(data: Mapping[str, object]) -> dict[str, object]:
    """Return data in the envelope of a success."""
    return {"code": 0, "message": "success", "data": data}


def quiet(handler: RequestHandler) -> None:
    """Log a request for those who want to see it, instead of tornado's own access log."""
    log.debug("%s %s %s", handler.get_status(), handler.request.method, handler.request.path)


def _exc_info(
    kwargs: Mapping[str, object],
) -> tuple[object, object, object]:
    """Return the exception tornado hands over, if it does."""
    info = kwargs.get("exc_info")
    return info if isinstance(info, tuple) else (None, None, None)
