"""The handlers of both origins: the API, and the files, which must never be sent a key."""

import asyncio
import io
import json
import logging
import re
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from PIL import Image
from tornado.iostream import StreamClosedError
from tornado.web import Application, Finish, HTTPError, RequestHandler

from modellix_jupyter.sandbox_server.catalog import MODELS
from modellix_jupyter.sandbox_server.faults import BEFORE, Fault
from modellix_jupyter.sandbox_server.models import Model
from modellix_jupyter.sandbox_server.site import MAX_UPLOADS, JournalEntry, Origin, Site

log = logging.getLogger("modellix_jupyter.sandbox_server")

_LARGEST_UPLOAD = 16 * 2**20
_SLUG = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_KEY = re.compile(r"[!-~]{1,16384}")
_PART = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_CONTENT_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "txt": "text/plain; charset=utf-8",
}
#: The category and the default detail in the message of each status.
_MESSAGES: Mapping[int, tuple[str, str]] = {
    400: ("Invalid parameters", "the request was refused"),
    401: ("Unauthorized", "the API key is invalid"),
    402: ("Payment required", "the balance is insufficient"),
    403: ("Forbidden", "this belongs to another key"),
    404: ("Not found", "there is nothing here"),
    405: ("Method not allowed", "this path does not take this method"),
    416: ("Range not satisfiable", "the file has no such part"),
    429: ("Too many requests", "the rate limit is exceeded"),
    500: ("Internal server error", "an unexpected error"),
    503: ("Service unavailable", "the service is temporarily unavailable"),
}
_PROXY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"


class Refusal(HTTPError):
    """An answer that is not 200."""

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(status)
        self.detail = detail


class Answer(RequestHandler):
    """The base of every handler."""

    def initialize(self, site: Site, origin: Origin) -> None:
        """Set the arguments of the route; Tornado calls this instead of a constructor."""
        self.site = site
        self.origin = origin

    def prepare(self) -> None:
        """Record the request in the journal."""
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
        self.site.record(entry)

    def succeed(self, data: Mapping[str, object]) -> None:
        """Answer 200 with the usual envelope."""
        self.finish(_enveloped(data))

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Answer every error in the one documented form."""
        raised = kwargs.get("exc_info")
        error = raised[1] if isinstance(raised, tuple) else None
        category, usual = _MESSAGES.get(status_code, ("Error", "the request failed"))
        stated = error.detail if isinstance(error, Refusal) else ""
        self.set_limit_headers()
        if status_code == Fault.RATE_LIMITED.status and not stated:  # an injected fault ends soon
            self.set_header("X-RateLimit-Reset", self.site.reset_after)
        detail = stated or usual
        self.finish({"code": status_code, "message": f"{category}: {detail}"})

    def set_limit_headers(self) -> None:
        """Set the headers of the limits; the limits do not apply to files."""
        if self.origin == "api":
            for name, value in self.site.limits.headers().items():
                self.set_header(name, value)

    def log_exception(self, *exc_info: object) -> None:
        """Log an error of the sandbox itself, but no refusal and nothing while it stops."""
        _, error, _ = exc_info
        expected = isinstance(error, HTTPError) or self.site.closing.is_set()
        if isinstance(error, BaseException) and not expected:
            log.error("%s %s", self.request.method, self.request.path, exc_info=error)

    def model(self, provider: str, name: str) -> Model:
        """Return the model of a path."""
        slug = f"{provider}/{name}"
        if slug in MODELS:
            return MODELS[slug]
        if not any(known.startswith(f"{provider}/") for known in MODELS):
            raise Refusal(404, f"provider '{provider}' does not exist")
        raise Refusal(404, f"model '{slug}' does not exist")

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection as it is; with `reset`, by a reset."""
        stream = self.detach()
        if reset and isinstance(stream.socket, socket.socket):
            # With a linger time of zero, the socket sends a reset.
            linger = struct.pack("ii", 1, 0)
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        stream.close()

    def apply(self, fault: Fault | None) -> Fault | None:
        """End the request with a fault that comes before it is handled; return any other fault."""
        if fault not in BEFORE:
            return fault
        if fault.status:
            raise Refusal(fault.status)
        if fault is Fault.RESET_BEFORE:
            self.hang_up(reset=True)
        else:
            self.set_status(502)
            self.set_header("Content-Type", "text/html")
            self.finish(_PROXY_PAGE)
        raise Finish

    async def deliver(self, data: dict[str, object], fault: Fault | None) -> None:
        """Answer with data, changed by a fault."""
        if fault in {Fault.RESET_AFTER, Fault.SILENCE}:
            self.hang_up(reset=fault is Fault.RESET_AFTER)
            return
        if fault is Fault.HANG:
            await self.site.hold()
        if fault is Fault.WRONG_TASK_ID:
            data["task_id"] = "task-of-somebody-else"
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        text = json.dumps(_enveloped(data))
        if fault is Fault.TRUNCATED_JSON:
            text = text[: len(text) // 2]
        if fault is Fault.GARBLED_JSON:
            text = text.replace('"', "\N{LEFT DOUBLE QUOTATION MARK}").replace(":", ";")
        await self.send(text.encode())

    async def send(self, content: bytes) -> None:
        """Send the answer; a client that has disconnected is no error."""
        try:
            await self.finish(content)
        except StreamClosedError:
            log.debug("the client left before the answer to %s", self.request.path)


class Nothing(Answer):
    """The handler of unknown paths."""

    def prepare(self) -> NoReturn:
        """Answer 404 to every method."""
        super().prepare()
        raise Refusal(404, f"no such path: {self.request.path}")


class Keyed(Answer):
    """A handler that requires a key."""

    checked = True

    def prepare(self) -> None:
        """Count the request, and refuse a key that is missing, malformed, expired or wrong."""
        super().prepare()
        within = self.site.limits.take(self.site.tasks.clock())
        self.set_limit_headers()
        if not within:
            raise Refusal(429, "Rate limit exceeded")
        if self.checked and (wrong := self.key_problem()) is not None:
            raise Refusal(401, wrong)

    @property
    def key(self) -> str:
        """The key that was sent; empty if there is none."""
        scheme, _, key = self.request.headers.get("Authorization", "").partition(" ")
        return key if scheme.lower() == "bearer" else ""

    def key_problem(self) -> str | None:
        """Return what is wrong with the key, or None."""
        if not self.key.strip():
            return "the API key is missing"
        if self.key.startswith("expired"):
            return "the API key has expired"
        if self.key.startswith("wrong") or not _KEY.fullmatch(self.key):
            return "the API key is invalid"
        return None


class Submit(Keyed):
    """POST /api/v1/{provider}/{model}, with /async at its end or without."""

    async def post(self, provider: str, name: str) -> None:
        """Check a request, apply its faults, and accept it."""
        model = self.model(provider, name)
        body = self._body()
        if problem := model.complaint(body):
            raise Refusal(400, problem)
        try:
            inputs = self.site.inputs(body)
        except (KeyError, ValueError) as error:
            raise Refusal(400, f"an input cannot be read: {str(error)[:200]}") from None
        fault = self.apply(self.site.chance("submit") or self.site.quirk(model, body))
        most = self.site.limits.concurrent
        if most is not None and self.site.tasks.running() >= most:
            raise Refusal(429, "Concurrent limit exceeded")
        if self.site.tasks.price(model, body) > self.site.tasks.balance:
            raise Refusal(402)
        task = self.site.tasks.accept(model, body, owner=self.key, inputs=inputs)
        where = f"{self.site.api_url}/api/v1/tasks/{task.id}"
        receipt: dict[str, object] = {
            "status": "pending",
            "task_id": task.id,
            "model_id": model.name,
            "get_result": {"method": "GET", "url": where},
        }
        await self.deliver(receipt, fault)

    def _body(self) -> dict[str, object]:
        """Return the request's JSON object."""
        try:
            body = json.loads(self.request.body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise Refusal(400, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Refusal(400, "the body must be a JSON object")
        return body


def _no_constant(name: str) -> object:
    """Refuse NaN and the infinities, which Python reads but JSON does not have."""
    raise ValueError(name)


class Read(Keyed):
    """GET /api/v1/tasks/{task_id}."""

    async def get(self, task_id: str) -> None:
        """Return the state of a task."""
        fault = self.apply(self.site.chance("read"))
        task = self.site.tasks.find(task_id)
        if task is None or self.site.lags(task.submitted_at):
            raise Refusal(404, f"task '{task_id}' does not exist, or its time has passed")
        if task.owner != self.key:
            raise Refusal(403, f"task '{task_id}' belongs to another key")
        await self.deliver(task.answer(self.site.tasks.clock(), self.site.resources(task)), fault)


class Models(Keyed):
    """GET /api/v1/models, the one answer without the usual envelope."""

    def get(self) -> None:
        """List the models."""
        chosen = self.get_query_argument("featured", "").lower() == "true"
        listed = [
            model.entry(self.site.api_url)
            for model in MODELS.values()
            if model.featured or not chosen
        ]
        self.finish({"models": listed})


class Validate(Keyed):
    """GET /api/v1/apikey/validate, the one request that accepts any key."""

    checked = False

    def get(self) -> None:
        """Return whether the key is valid."""
        self.succeed({"is_valid": self.key_problem() is None})


class Balance(Keyed):
    """GET /api/v1/team/balance."""

    def get(self) -> None:
        """Return the balance."""
        self.succeed({"balance": self.site.tasks.balance})


class Upload(Keyed):
    """POST and GET /api/v1/media/files."""

    def get(self) -> None:
        """List the stored files."""
        kept = [each.answer(self.site.cdn_url) for each in self.site.kept_uploads()]
        self.succeed({"files": kept, "total": len(kept)})

    async def post(self) -> None:
        """Store a picture and return its address."""
        if self.site.uploading.locked():
            raise Refusal(429, "Concurrent limit exceeded")
        async with self.site.uploading:
            await self._keep()

    async def _keep(self) -> None:
        sent = self.request.files.get("file")
        if not sent:
            raise Refusal(400, "parameter 'file' is required, as multipart/form-data")
        content = sent[0].body
        if len(content) > _LARGEST_UPLOAD:
            raise Refusal(400, "parameter 'file' must have at most 16 MiB")
        kind = await asyncio.to_thread(picture_format, content)
        if kind is None:
            raise Refusal(400, "parameter 'file' must be a PNG, JPEG or WebP picture")
        if len(self.site.kept_uploads()) >= MAX_UPLOADS:
            raise Refusal(400, f"the team has {MAX_UPLOADS} files, and that is the quota")
        fault = self.apply(self.site.chance("upload"))
        kept = self.site.keep_upload(kind, sent[0].filename, content)
        await self.deliver(kept.answer(self.site.cdn_url), fault)


class Uploaded(Keyed):
    """DELETE /api/v1/media/files/{file_id}."""

    def delete(self, file_id: str) -> None:
        """Delete a file."""
        if self.site.uploads.pop(file_id, None) is None:
            raise Refusal(404, f"file '{file_id}' does not exist")
        self.set_status(204)


def picture_format(content: bytes) -> str | None:
    """Return "png", "jpeg" or "webp" if the bytes are a picture of that kind, else None."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as opened:
            opened.verify()
            return str(opened.format).lower()
    except Exception:  # noqa: BLE001 - decoders raise whatever the bytes make them
        return None


class Schema(Answer):
    """GET /models/{provider}/{model}/api_schema, for which no key must ever be sent."""

    def get(self, provider: str, name: str) -> None:
        """Describe a model's request."""
        self.set_header("Cache-Control", "no-store")
        self.finish(self.model(provider, name).openapi(self.site.api_url))


class Served(Answer):
    """A handler that sends a file, or the part of it that is asked for."""

    async def give(self, name: str, content: bytes, *, cut_short: bool = False) -> None:
        """Send a file; to cut it short, send the headers of the whole and half of the bytes."""
        self.set_header("Content-Type", _CONTENT_TYPES[name.rpartition(".")[2]])
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Cache-Control", "no-store")
        if cut_short:
            self.set_header("Content-Length", str(len(content)))
            self.write(content[: len(content) // 2])
            with suppress(StreamClosedError):
                await self.flush()
            self.hang_up()
            return
        part = byte_range(self.request.headers.get("Range", ""), len(content))
        if part is not None:
            start, end = part
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            content = content[start:end]
        await self.send(content)


class ResultFile(Served):
    """GET and HEAD /files/{name}."""

    async def get(self, name: str) -> None:
        """Send a result, drawn on demand."""
        task = self.site.task_of(name)
        if task is None or self.site.lags(task.ended_at):
            raise Refusal(404, "this file does not exist, or its time has passed")
        fault = self.apply(self.site.chance("download") or task.model.quirk.download)
        if fault is Fault.EXPIRED_FILE:
            raise Refusal(404, "this file has expired")
        content = await self.site.content(task, name)
        if fault is Fault.HANG:
            await self.site.hold()
        await self.give(name, content, cut_short=fault is Fault.TRUNCATED_FILE)

    head = get


class Media(Served):
    """GET and HEAD /media/{name}."""

    async def get(self, name: str) -> None:
        """Send back a picture that was uploaded."""
        upload = self.site.upload_named(name)
        if upload is None:
            raise Refusal(404, "this file does not exist")
        await self.give(name, upload.content)

    head = get


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the part of a file that a Range header asks for."""
    parts = _PART.fullmatch(header.strip())
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


_ROUTES: Mapping[Origin, Mapping[str, type[Answer]]] = {
    "api": {
        r"/api/v1/models/?": Models,
        r"/api/v1/tasks/([^/]+)": Read,
        r"/api/v1/apikey/validate": Validate,
        r"/api/v1/team/balance": Balance,
        r"/api/v1/media/files": Upload,
        r"/api/v1/media/files/([^/]+)": Uploaded,
        rf"/api/v1/({_SLUG})/({_SLUG})(?:/async)?": Submit,
        rf"/models/({_SLUG})/({_SLUG})/api_schema": Schema,
    },
    "cdn": {r"/files/([\w.-]+)": ResultFile, r"/media/([\w.]+)": Media},
}


def application(site: Site, origin: Origin) -> Application:
    """Return the application of an origin."""
    about: dict[str, Any] = {"site": site, "origin": origin}
    return Application(
        [(path, handler, about) for path, handler in _ROUTES[origin].items()],
        default_handler_class=Nothing,
        default_handler_args=about,
        log_function=_log_request,
    )


def _enveloped(data: Mapping[str, object]) -> dict[str, object]:
    """Return data in the envelope of a success."""
    return {"code": 0, "message": "success", "data": data}


def _log_request(handler: RequestHandler) -> None:
    """Log a request at the level debug, in place of tornado's own access log."""
    log.debug("%s %s %s", handler.get_status(), handler.request.method, handler.request.path)
