"""The second origin: result files and uploads, which need no key and must never be sent one."""

import re
from contextlib import suppress
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import Application

from modellix_jupyter.sandbox_server.answers import Answer, Nothing, Refusal, quiet
from modellix_jupyter.sandbox_server.faults import BEFORE, Fault
from modellix_jupyter.sandbox_server.files import CONTENT_TYPES, artwork_named
from modellix_jupyter.sandbox_server.site import Site


class Served(Answer):
    """A handler that sends a file, or the part of it that is asked for."""

    async def give(self, name: str, content: bytes) -> None:
        """Send a file.

        Parameters
        ----------
        name
            Its name, whose ending decides the type.
        content
            All of it.
        """
        self._headers_for(name)
        part = wanted(self.request.headers.get("Range", ""), len(content))
        if part is not None:
            start, end = part
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            content = content[start:end]
        await self.send(content)

    async def cut_short(self, name: str, content: bytes) -> None:
        """Promise a whole file, send half of it and hang up."""
        self._headers_for(name)
        self.set_header("Content-Length", str(len(content)))
        self.write(content[: len(content) // 2])
        with suppress(StreamClosedError):
            await self.flush()
        self.hang_up()

    def _headers_for(self, name: str) -> None:
        """Set what is the same for the whole and its parts."""
        self.set_header("Content-Type", CONTENT_TYPES[name.rpartition(".")[2]])
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Cache-Control", "no-store")


class ResultHandler(Served):
    """GET and HEAD /files/{name}."""

    async def get(self, name: str) -> None:
        """Send a result, drawn on demand."""
        found = artwork_named(name, self.site.tasks.find_by_token)
        if found is None:
            raise Refusal(404, "this file does not exist, or its day has passed")
        task, artwork = found
        fault = self.site.chance("download") or task.model.quirk.download
        if fault is Fault.EXPIRED_FILE:
            raise Refusal(404, "this file has expired")
        if fault in BEFORE:
            self.refuse(fault)
            return
        content = await self.site.files.content(artwork)
        if fault is Fault.HANG:
            await self.site.hold()
        if fault is Fault.TRUNCATED_FILE:
            await self.cut_short(name, content)
        else:
            await self.give(name, content)

    head = get


class MediaHandler(Served):
    """GET and HEAD /media/{name}."""

    async def get(self, name: str) -> None:
        """Send back a picture that was uploaded."""
        content = self.site.files.upload(name)
        if content is None:
            raise Refusal(404, "this file does not exist")
        await self.give(name, content)

    head = get


def wanted(header: str, size: int) -> tuple[int, int] | None:
    """Return the part of a file that a Range header asks for.

    Parameters
    ----------
    header
        Its value; anything but one range of bytes is ignored, as RFC 9110 allows.
    size
        The length of the file.

    Returns
    -------
    tuple of int, or None
        The first byte and the one after the last; None for the whole file.

    Raises
    ------
    Refusal
        416 where the file has no such part.
    """
    parts = re.fullmatch(r"bytes=(\d{0,15})-(\d{0,15})", header.strip())
    if parts is None or not any(parts.groups()):
        return None
    first, last = parts.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if start >= end:
        raise Refusal(416)
    return start, end


def application(site: Site) -> Application:
    """Return the second origin.

    Parameters
    ----------
    site
        The shared state.

    Returns
    -------
    tornado.web.Application
        Ready to be served.
    """
    about: dict[str, Any] = {"site": site, "origin": "cdn"}
    routes = [
        (r"/files/([\w.]+)", ResultHandler, about),
        (r"/media/([\w.]+)", MediaHandler, about),
    ]
    return Application(
        routes, default_handler_class=Nothing, default_handler_args=about, log_function=quiet
    )
