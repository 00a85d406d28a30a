"""The REST client: one method for each call of the API.

`_call` retries, `_send` sends and reads within bounds, `responses` turns errors into ours, and
`parsing` reads successful answers.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urljoin

import httpx

from modellix_jupyter.api import parsing, retry
from modellix_jupyter.api.connections import hide_in_logs, open_http
from modellix_jupyter.api.downloads import opened
from modellix_jupyter.api.request_budget import Kind, RequestBudget
from modellix_jupyter.api.responses import (
    Undocumented,
    answer_timeout,
    from_answer,
    read,
    redact,
    translated,
)
from modellix_jupyter.errors import (
    ApiError,
    ConcurrencyLimited,
    ConnectFailed,
    InvalidRequest,
    ModellixError,
    NotFound,
    TaskFailed,
    TransportError,
)
from modellix_jupyter.settings import Settings, from_environment
from modellix_jupyter.values import MAX_UPLOAD, Activity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from modellix_jupyter.keys import SecretKey
    from modellix_jupyter.values import Accepted, Json, Model, TaskAnswer, UploadedFile

    OnProgress = Callable[[Activity], None]
    BeforeSend = Callable[[], Awaitable[None]]

_T = TypeVar("_T")

# Shorter waits for the rate limit are not shown, in seconds.
TOLD_S = 1.0
_MAX_PAGES = 50
_FILES = "/api/v1/media/files"


class AsyncClient:
    """The Modellix REST API, for asyncio.

    Parameters
    ----------
    key
        The API key; by default the one found in the documented places.
    settings
        By default, the default settings and those of the environment.
    transport
        A transport of httpx that replaces the network.
    clock
        Returns seconds since the epoch; for the reset header.
    timer
        Returns monotonic seconds, for the budget and the deadlines.
    sleep
        Waits for that many seconds.

    Raises
    ------
    MissingKey
        No key was found.

    Examples
    --------
    >>> async with AsyncClient() as client:  # doctest: +SKIP
    ...     accepted = await client.submit("alibaba/qwen-image-plus", {"prompt": "a cat"})
    ...     answer = await client.wait(accepted.task_id)

    """

    def __init__(  # noqa: PLR0913 - what a test replaces
        self,
        key: str | SecretKey | None = None,
        *,
        settings: Settings | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings or from_environment()
        self._key = _key(key, self.settings)
        self._clock = clock
        self._timer = timer
        self._sleep = sleep
        self._jitter = jitter
        self.budget = RequestBudget(
            self.settings.requests_per_second, clock=clock, timer=timer, sleep=sleep
        )
        hide_in_logs(self._key)
        self._http = open_http(self.settings, transport, files=False)
        # separate connections, so that a long download does not delay a poll
        self._files = open_http(self.settings, transport, files=True)

    def __repr__(self) -> str:
        return f"AsyncClient({self.settings.base_url}, {self._key!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._files.aclose()

    # -- the calls of the API

    async def submit(
        self,
        model: str,
        body: Mapping[str, Json],
        *,
        on_progress: OnProgress | None = None,
        before_send: BeforeSend | None = None,
        wait_for_place: BeforeSend | None = None,
    ) -> Accepted:
        """Submit one task; once this returns, it costs money.

        Nothing asks first, no limit of `budget` holds, and the ledger has no row of it: `submit` of
        the package does all that.

        Parameters
        ----------
        model
            The slug, ``provider/model``.
        body
            The JSON body.
        on_progress
            Called before each pause with the reason for it.
        before_send
            Awaited just before each attempt is sent, after the wait for the rate limit. If it
            raises, nothing is sent.
        wait_for_place
            Awaited after each refusal because too many tasks run at once, before the next attempt.
            Without it, the pauses are those of a rate limit.

        Raises
        ------
        ApiError
            It was refused; nothing was charged.
        ConnectFailed, InvalidRequest
            It was never sent.
        NoAnswer, BadAnswer
            It may have been accepted, so it was not sent again.

        """
        path = f"/api/v1/{_quoted(model)}{self.settings.submit_path}"
        return await self._call(
            "POST",
            path,
            parsing.parse_accepted,
            content=_encode(body),
            paid=True,
            on_progress=on_progress,
            before_send=before_send,
            wait_for_place=wait_for_place,
        )

    async def task(self, task_id: str, *, on_progress: OnProgress | None = None) -> TaskAnswer:
        """Poll a task once, except for retries."""
        path = f"/api/v1/tasks/{_quoted(task_id, safe='')}"
        return await self._call(
            "GET", path, lambda b: parsing.parse_task(b, task_id), on_progress=on_progress
        )

    async def wait(self, task_id: str, *, every: float = 2.0) -> TaskAnswer:
        """Poll a task at an interval, in seconds, until it has ended.

        Raises
        ------
        TaskFailed
            It failed; the error has the service's reason.

        """
        while True:
            answer = await self.task(task_id)
            if answer.status.value == "failed":
                raise TaskFailed(f"{task_id} failed: {answer.reason or 'no reason given'}")
            if answer.status.ended:
                return answer
            await self._sleep(every)

    async def models(self, *, featured: bool = False) -> list[Model]:
        """Return the catalog, from all its pages."""
        found: dict[str, Model] = {}
        query = {"featured": "true"} if featured else {}
        for page in range(1, _MAX_PAGES + 1):
            read = await self._call("GET", "/api/v1/models", parsing.parse_models, params=query)
            before = len(found)
            found.update((m.slug, m) for m in read.models)
            complete = not read.has_more if read.total is None else len(found) >= read.total
            if complete or len(found) == before:
                break
            query.setdefault("page_size", str(read.size))  # always the first's, or gaps appear
            query["page"] = str(page + 1)
        return list(found.values())

    async def key_is_valid(self) -> bool:
        """Return whether the service accepts the key."""
        return await self._call("GET", "/api/v1/apikey/validate", parsing.parse_validity)

    async def balance(self) -> float:
        """Return the balance of the account, in USD."""
        return await self._call("GET", "/api/v1/team/balance", parsing.parse_balance)

    async def send_file(self, content: bytes, filename: str) -> UploadedFile:
        """Upload a picture (PNG, JPEG or WebP, at most 16 MiB).

        Without a readable answer the upload may have succeeded, so it is not repeated.
        """
        if len(content) > MAX_UPLOAD:
            raise InvalidRequest(f"{filename} is larger than {MAX_UPLOAD // 2**20} MiB.")
        files = {"file": (filename, content)}
        return await self._call("POST", _FILES, parsing.parse_upload, paid=True, files=files)

    async def files(self) -> list[UploadedFile]:
        """Return the uploaded pictures that the service still keeps."""
        return await self._call("GET", _FILES, parsing.parse_files)

    async def delete_file(self, file_id: str) -> bool:
        """Delete an uploaded picture; False if it did not exist."""
        path = f"{_FILES}/{_quoted(file_id, safe='')}"
        try:
            await self._call("DELETE", path, bool)
        except NotFound:
            return False
        return True

    async def schema(self, model: str, *, received: dict[str, str] | None = None) -> Json:
        """Return a model's public schema, unparsed, or None; its origin never gets the key.

        It is None where there is none, and where the answer is not JSON: its origin is a web site.
        The answer's headers are added to `received`, since they say how long it may be cached.
        """
        url = f"{self.settings.schema_origin()}/models/{_quoted(model)}/api_schema"
        try:
            return await self._call("GET", url, parsing.parse_page, key=False, received=received)
        except ApiError as error:
            if error.code == NotFound.status:  # whatever its body
                return None
            raise

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[httpx.Response]:
        """Open a result's file for reading, always without the key.

        Redirects are followed only to addresses that would be allowed as the first one.

        Raises
        ------
        DownloadError
            The URL is refused, or the answer is not a 200.
        TransportError
            The network failed; a retry may succeed.

        """
        async with opened(self._files, url, allow_local=self.settings.local) as response:
            yield response

    # -- sending

    async def _call(  # noqa: PLR0913 - what calls differ in
        self,
        method: str,
        path: str,
        parse: Callable[[bytes], _T],
        *,
        paid: bool = False,
        key: bool = True,
        on_progress: OnProgress | None = None,
        before_send: BeforeSend | None = None,
        wait_for_place: BeforeSend | None = None,
        **kwargs: Any,  # noqa: ANN401 - handed to httpx as they are
    ) -> _T:
        """Send, with retries where the rules allow them; `paid` if the request may cost money."""
        deadline = self._timer() + self.settings.retry_deadline_s
        attempt = 1
        kinds: Counter[type[ModellixError]] = Counter()
        while True:
            if key:  # the schemas' origin has a limit of its own
                await self._acquire("submission" if paid else "poll", on_progress)
            if before_send is not None:
                await self._prepare(before_send)
            try:
                return parse(await self._send(method, path, key=key, attempt=attempt, **kwargs))
            except (ApiError, TransportError) as error:
                if isinstance(error, ConcurrencyLimited) and wait_for_place is not None:
                    await wait_for_place()
                    deadline = self._timer() + self.settings.retry_deadline_s
                    continue
                kinds[type(error)] += 1
                pause = retry.pause(
                    error,
                    attempt=attempt,
                    alike=kinds[type(error)],
                    left_s=deadline - self._timer(),
                    paid=paid,
                    jitter=self._jitter(),
                )
                if (held := retry.hold_s(error, pause)) is not None:
                    self.budget.refused(held)
                if pause is None:
                    if paid and isinstance(error, Undocumented):
                        raise error.to_bad_answer() from None
                    raise
                await self._pause(pause, on_progress)
                attempt = pause.attempt

    async def _prepare(self, before_send: BeforeSend) -> None:
        """Run `before_send`; its errors are not answers, so they are not retried."""
        try:
            await before_send()
        except BaseException:
            self.budget.answered(None)  # it was given up before it was sent
            raise

    async def _acquire(self, kind: Kind, on_progress: OnProgress | None) -> None:
        wait_s = self.budget.wait_s()
        if on_progress is not None and wait_s >= TOLD_S:
            until = self._clock() + wait_s
            on_progress(Activity(what="waiting for the rate limit", until=until))
        await self.budget.acquire(kind)

    async def _pause(self, pause: retry.Pause, on_progress: OnProgress | None) -> None:
        if on_progress is not None:
            until = self._clock() + pause.delay
            on_progress(
                Activity(what=pause.reason, until=until, attempt=pause.attempt, of=pause.of)
            )
        await self._sleep(pause.delay)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        key: bool,
        attempt: int,
        received: dict[str, str] | None = None,
        **kwargs: Any,  # noqa: ANN401 - handed to httpx as they are
    ) -> bytes:
        """Send once; return the body of a 2xx with the key redacted."""
        call = f"{method} {path}"
        request = self._request(method, path, key=key, **kwargs)
        try:
            with translated(call):
                async with (
                    answer_timeout(request, self.settings.submit_timeout_s),
                    aclosing(await self._http.send(request, stream=True)) as response,
                ):
                    body = redact(self._key, await read(response, call))
        except BaseException:
            self.budget.answered(None)
            raise
        self.budget.answered(response.headers)
        if received is not None:
            received.update(response.headers)
        if response.is_success:
            return body
        error = from_answer(response.status_code, body, call, attempt)
        if retry.is_429(error):
            error = retry.named(error, response.headers)
            error.hint_s = retry.reset_hint(response.headers, self._clock())
        raise error

    def _request(self, method: str, path: str, *, key: bool, **kwargs: Any) -> httpx.Request:  # noqa: ANN401 - handed to httpx as they are
        """Build a request here, so that no stack frame that can fail later has the key."""
        headers = kwargs.pop("headers", {})
        if "content" in kwargs:
            headers["Content-Type"] = "application/json"
        if key:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        url = urljoin(self.settings.base_url, path)
        try:
            return self._http.build_request(method, url, headers=headers, **kwargs)
        except (httpx.InvalidURL, UnicodeError):
            call = f"{method} {path}"
            raise ConnectFailed(f"No connection for {call}: it is not a valid URL.") from None


def _key(key: str | SecretKey | None, settings: Settings) -> SecretKey:
    from modellix_jupyter.keys import SecretKey, find_key

    if isinstance(key, SecretKey):
        return key
    if key is not None:
        return SecretKey(key, "an argument")
    return find_key(settings.folder(), settings.base_url)


def _encode(body: Mapping[str, Json]) -> bytes:
    try:
        text = json.dumps(dict(body), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"The request is not JSON: {error}.") from error
    return text.encode("utf-8", "replace")


def _quoted(text: str, safe: str = "/") -> str:
    return quote(text, safe=safe, errors="replace")
