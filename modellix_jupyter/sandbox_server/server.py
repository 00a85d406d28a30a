"""The sandbox server: two origins on one event loop, in a thread of its own."""

import asyncio
import signal
import socket
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Self

from modellix_jupyter.sandbox_server.faults import Faults
from modellix_jupyter.sandbox_server.site import JournalEntry, Limits, Site, Submission, TaskStore

if TYPE_CHECKING:
    from tornado.httpserver import HTTPServer
    from tornado.web import Application

_HOST = "127.0.0.1"  # so that it can be reached from this machine only
#: Bytes of a request: an upload above 16 MiB is still read, to be refused with a message.
_LARGEST_BODY = 40 * 2**20


class Sandbox:
    """A local Modellix: the same API, invented results, no key and no cost.

    Any key of printable ASCII is accepted, except those that begin with "wrong" or "expired".

    Parameters
    ----------
    port
        Where the API listens; 0 for any free port. Files always have a free port of their own,
        since a client must treat them as another origin.
    speed
        Durations are divided by it: with 50, a task of five seconds takes a tenth of one.
    faults
        What goes wrong, and how often; see `Faults`.
    concurrent, rpm
        The limits of an account: tasks at once, and requests a minute of real time. Downloads do
        not count. None for no limit.

    Attributes
    ----------
    base_url : str
        The API's origin, such as ``http://127.0.0.1:8000``; empty before the first start.
    cdn_url : str
        The origin of the files.

    Examples
    --------
    >>> with Sandbox(speed=50) as sandbox:
    ...     sandbox.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        *,
        port: int = 0,
        speed: float = 1.0,
        faults: Faults | None = None,
        concurrent: int | None = None,
        rpm: int | None = None,
    ) -> None:
        if not speed > 0:
            message = f"speed must be above 0, not {speed}"
            raise ValueError(message)
        self.base_url = ""
        self.cdn_url = ""
        self.journal: list[JournalEntry] = []
        self._port = port
        self._tasks = TaskStore(speed=speed)
        limits = Limits(concurrent, rpm)
        self._new_site = partial(Site, self._tasks, self.journal, faults or Faults(), limits, speed)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopper: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    @property
    def submissions(self) -> dict[str, Submission]:
        """All accepted submissions by task id; a copy, so that it does not change meanwhile."""
        return dict(self._tasks.submissions)

    @property
    def balance(self) -> float:
        """The balance of the account, in US dollars."""
        return self._tasks.balance

    @property
    def running(self) -> bool:
        """Whether the server is running."""
        return self._thread is not None

    def start(self) -> Self:
        """Serve in the background, and return once connections are accepted."""
        with self._lock:
            if self._thread is None:
                started: Future[None] = Future()
                thread = threading.Thread(
                    target=self._run, args=(started,), name="modellix-sandbox", daemon=True
                )
                thread.start()
                try:
                    started.result()
                except Exception:
                    thread.join()
                    raise
                self._thread = thread
        return self

    def stop(self) -> None:
        """Close every connection and wait for the threads; nothing happens if it has stopped."""
        with self._lock:
            if self._thread is None or self._stopper is None:
                return
            loop, stopping = self._stopper
            loop.call_soon_threadsafe(stopping.set)
            self._thread.join()
            self._thread = self._stopper = None

    def expire(self, task_id: str) -> None:
        """Expire a task: from now on it and its files answer 404."""
        self._tasks.expire(task_id)

    def serve_forever(self) -> None:
        """Serve, on the main thread, until the process is interrupted or sent SIGTERM."""
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with self, suppress(KeyboardInterrupt):
                while True:
                    time.sleep(1)
        finally:
            signal.signal(signal.SIGTERM, before)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _run(self, started: "Future[None]") -> None:
        """Run the loop; `start` raises an error that occurs before the servers listen."""
        try:
            # not asyncio.run: a notebook's nested loops replace it, and theirs is never closed
            with asyncio.Runner() as runner:
                runner.run(self._serve(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: "Future[None]") -> None:
        """Serve both origins until told to stop."""
        from modellix_jupyter.sandbox_server.handlers import application

        site = self._new_site()
        stopping = asyncio.Event()
        servers: list[HTTPServer] = []
        try:
            self.base_url = _listen(servers, application(site, "api"), self._port)
            self.cdn_url = _listen(servers, application(site, "cdn"), 0)
            site.api_url, site.cdn_url = self.base_url, self.cdn_url
            self._stopper = asyncio.get_running_loop(), stopping
            started.set_result(None)
            await stopping.wait()
        finally:
            await _close(site, servers)


def _listen(servers: "list[HTTPServer]", application: "Application", port: int) -> str:
    """Add a server that listens on a port, and return its origin."""
    from tornado.httpserver import HTTPServer

    # Tornado's own way to bind leaves the socket open when the port is taken.
    bound = socket.create_server((_HOST, port))
    bound.settimeout(0)
    server = HTTPServer(application, max_body_size=_LARGEST_BODY, max_buffer_size=_LARGEST_BODY)
    server.add_sockets([bound])
    servers.append(server)
    return f"http://{_HOST}:{bound.getsockname()[1]}"


async def _close(site: Site, servers: "list[HTTPServer]") -> None:
    """Accept no more connections, release held answers, and close the open connections."""
    for server in servers:
        server.stop()
    site.closing.set()
    asyncio.get_running_loop().set_exception_handler(_report)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for server in servers:
        await server.close_all_connections()
    if others:
        await asyncio.wait(others, timeout=1.0)


def _report(loop: asyncio.AbstractEventLoop, context: "dict[str, object]") -> None:
    """Report failures, but not the cancellations that Tornado before 6.6 reports as well."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)
