"""The composition root: settings and a key become a client, a ledger, an engine and results.

Each part is opened when it is first used, so that making a session costs nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.engine.engine import Engine, Stopped
from modellix_jupyter.engine.polling import PACE, Pace
from modellix_jupyter.engine.waiting import wait_for
from modellix_jupyter.errors import ConfigError, ModellixError
from modellix_jupyter.keys import SecretKey, find_key
from modellix_jupyter.ledger.dialects import never_close
from modellix_jupyter.ledger.kernel_locks import KernelLock, ServerLock
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.notebook import inputs, spending
from modellix_jupyter.notebook.catalog import Catalog
from modellix_jupyter.notebook.display import LiveView, find_screen, painter
from modellix_jupyter.planning.pricing import UNCHECKED, Pricing
from modellix_jupyter.planning.schema import ModelSchema
from modellix_jupyter.results.results import Results
from modellix_jupyter.settings import SETTING_NAMES, Settings, from_environment
from modellix_jupyter.storage.files import MIB, Files
from modellix_jupyter.storage.store import Limits, Store
from modellix_jupyter.storage.thumbnails import Thumbnails, embed
from modellix_jupyter.values import (
    KEPT_US,
    Card,
    Media,
    Model,
    Request,
    Resource,
    Status,
    Task,
    service_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from modellix_jupyter.sandbox_server import Sandbox

_T = TypeVar("_T")

# Settings that are read each time they are used, so a change needs no new engine.
AT_ANY_TIME = frozenset(
    {
        "ask_above",
        "ask_above_usd",
        "reuse",
        "stop_unsent_on_interrupt",
        "thumbnail_px",
        "picture_kb",
        "media_kb",
        "output_kb",
        "updates_per_second",
        "reentrant_wait",
        "auto_resume",
        "check_requests",
    }
)


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _keep_inherited() -> None:
    """In a forked child, close no inherited connection: the parent still uses it."""
    for session in tuple(_sessions):
        never_close(session)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_inherited)


@dataclass(frozen=True, slots=True)
class Running:
    """The parts of an open session."""

    engine: Engine
    client: AsyncClient
    catalog: Catalog


class Session:
    """One service, one key, one ledger, and the engine that drives tasks between them.

    Settings and key are looked up if they are not given. A session stops its sandbox when it is
    closed. Tests set the pace of polling, and how the client and the engine sleep.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        key: str | SecretKey | None = None,
        sandbox: Sandbox | None = None,
        pace: Pace | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings or from_environment()
        self.sandbox = sandbox
        self.pace = pace
        self._sleep = sleep
        # in the object that hides it, also if a session's attributes are printed
        self._argument = SecretKey(key, "an argument") if isinstance(key, str) else key
        self._process: int | None = None  # the process that opened the parts
        _sessions.add(self)
        self._opening = threading.RLock()
        self._closing = threading.RLock()
        self._ledger: Ledger | None = None
        self._kernel_lock: KernelLock | ServerLock | None = None
        self._running: Running | None = None
        self._closed = False
        # the notebook's folder, unless the working folder was changed before
        self._folder = Path.cwd()
        self.media = Thumbnails(self._media)
        self._inputs: dict[str, tuple[Media, ...]] = {}

    # -- the parts, each opened when it is first used

    @cached_property
    def home(self) -> Path:
        """The folder of the ledger and of the files."""
        return self.settings.folder().absolute()

    @cached_property
    def files(self) -> Files:
        """The place of the files."""
        return Files(self.home, self.settings.files, self.settings.cache_mb)

    @property
    def ledger(self) -> Ledger:
        """The ledger of this home."""
        self._check_process()
        _ = self.files  # before the lock is held: the session that replaces this one has the last
        with self._opening:
            if self._ledger is None:
                place = self.settings.ledger or self.home / "ledger.sqlite3"
                user = self.settings.user_name()
                self._ledger = Ledger(place, self.files.prefix, user=user)
            return self._ledger

    @property
    def kernel_lock(self) -> KernelLock | ServerLock:
        """The lock of this kernel; the ledger has its name in the row of each task."""
        self._check_process()
        with self._opening, self.writing_home():
            if self._kernel_lock is None:
                self._kernel_lock = self.ledger.kernel_lock()
            return self._kernel_lock

    @contextmanager
    def writing_home(self) -> Iterator[None]:
        """Make the home; raise `ConfigError` if the folder or a file in it cannot be written."""
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise ConfigError(
                f"The home folder {self.home} cannot be written: {error.strerror}.",
                "Set MODELLIX_HOME to a folder that can be written.",
            ) from error

    @property
    def engine(self) -> Engine:
        """The engine; opening it needs a key and a home that can be written."""
        return self._run_engine().engine

    def _run_engine(self) -> Running:
        self._check_process()
        with self._opening:
            if self._running is None:
                if self._closed:
                    raise ModellixError("This session is closed.", "Call it on a new one.")
                self._running = self._open()
            return self._running

    def _check_process(self) -> None:
        """Refuse to be used in a forked child: the threads and connections are the parent's."""
        if self._process is None:
            self._process = os.getpid()
        if self._process != os.getpid():
            raise ModellixError(
                "This session is of the process that this one was forked from.",
                "Call the functions of modellix_jupyter: they open a session of this process.",
            )

    def _open(self) -> Running:
        key, s = self.key(), self.settings  # before anything is written: a new user has no key
        ledger, lock = self.ledger, self.kernel_lock
        limits = Limits(s.max_file_mb * MIB, s.max_task_mb * MIB, s.max_files)
        self.files.open()
        client = AsyncClient(key, settings=s, sleep=self._sleep)
        pace = self.pace or PACE
        engine = Engine(
            client, Store(self.files, limits), ledger, lock, s, pace=pace, sleep=self._sleep
        )
        return Running(engine, client, Catalog(client))

    def key(self) -> SecretKey:
        """Return the key; raise `MissingKey` if there is none anywhere.

        If it was given for another service, ask first; raise `ConfigError` if it must not be sent.
        """
        return self._argument or find_key(
            self.home, self.settings.base_url, spending.confirm_origin
        )

    def key_for(self, settings: Settings) -> SecretKey | None:
        """Return the key given as an argument, if the settings are for the same service."""
        return self._argument if settings.base_url == self.settings.base_url else None

    def adjust(self, settings: Settings) -> bool:
        """Use other settings; if one concerns an open part, change none and return False."""
        differ = {n for n in SETTING_NAMES if getattr(settings, n) != getattr(self.settings, n)}
        if differ <= AT_ANY_TIME:
            self._use_settings(settings)
            return True
        # without waiting: a thread may be opening them at a server that answers slowly
        if not self._opening.acquire(blocking=False):
            return False
        try:
            is_open = self._running is not None or self._ledger is not None
            if not is_open:
                self._use_settings(settings)
            return not is_open
        finally:
            self._opening.release()

    def _use_settings(self, settings: Settings) -> None:
        self.settings = settings
        for name in ("home", "files"):
            self.__dict__.pop(name, None)
        self.media.forget()

    # -- spending

    def prices(self, requests: Sequence[Request]) -> dict[str, Pricing]:
        """Check prepared requests with catalog and schemas; return their pricing by model."""
        _ = self.engine  # a missing key is reported before the user is asked to confirm
        if not self.settings.check_requests:
            return dict.fromkeys((request.model for request in requests), UNCHECKED)
        return self.call(lambda r: r.catalog.check(inputs.stand_ins(requests)))

    def order(
        self, requests: Sequence[Request], *, batch: str | None = None, reuse: str = ""
    ) -> spending.Order:
        """Return what requests cost, and which of them have a result already; nothing is sent."""
        return spending.order(self, requests, batch=batch, reuse=reuse)

    def send(self, made: spending.Order) -> Results:
        """Send an order that its user has seen; if an error is raised, nothing was sent."""
        return Results(self, spending.send(self, made))

    def order_unsent(self, tasks: Sequence[Task]) -> spending.Order:
        """Return an order of recorded tasks that no kernel is about to send; send nothing."""
        return spending.order_unsent(self, tasks)

    def send_unsent(self, tasks: Sequence[Task], *, confirm: spending.Confirm) -> Results:
        """Send recorded tasks that were never sent and that no kernel is about to send."""
        made = self.order_unsent(tasks)
        if not made.requests or (made.quote.why_confirm and not confirm(made.quote)):
            return self.results([])
        return self.send(made)

    def submit(
        self,
        requests: Sequence[Request],
        *,
        confirm: spending.Confirm = spending.confirmed,
        batch: str | None = None,
        reuse: str = "",
        max_usd: float | None = None,
    ) -> Results:
        """Check requests, have them confirmed, record them and begin to send them; return at once.

        `confirm` is called if the settings require it; the results are empty if it returns False.
        Requests of a batch that the ledger already has under its name are not sent again. `reuse`
        takes the place of the setting, if it is given. `max_usd` is the most that the plan may
        cost. If an error is raised, nothing was sent.
        """
        made = self.order(requests, batch=batch, reuse=reuse)
        made.check_limit(max_usd)
        if made.quote.why_confirm and not confirm(made.quote):
            return self.results([])
        return self.send(made)

    def results(self, tasks: Iterable[Task]) -> Results:
        """Return results of tasks of this session."""
        return Results(self, [task.uid for task in tasks])

    # -- the ledger

    def unfinished(self) -> list[Task]:
        """Return the unfinished tasks of this service that the ledger has."""
        return self.ledger.unfinished(self.settings.base_url)

    def unknown(self) -> list[Task]:
        """Return the submissions to this service whose outcome is unknown."""
        return self.ledger.unknown(self.settings.base_url)

    def resume(self, *, revive: bool = False) -> Results:
        """Resume every unfinished task that was accepted; send none again.

        With `revive`, also tasks that were given up while the service may still keep their results.
        """
        self.end_ended()
        tasks = self.engine.resume(self.unfinished())
        if revive:
            since = int(time.time() * 1_000_000) - 2 * KEPT_US
            tasks += self.engine.revive(self.ledger.given_up(self.settings.base_url, since))
        return self.results(tasks)

    def end_ended(self) -> int:
        """Give up the unfinished tasks whose sandbox is gone; return how many."""
        from modellix_jupyter.notebook.recovery import end_tasks_of_ended_sandboxes

        return end_tasks_of_ended_sandboxes(self)

    def find(self, ids: Iterable[str]) -> Results:
        """Return results of tasks by their ids, and watch the unfinished ones."""
        tasks = [self.find_task(task_id) for task_id in ids]
        self.engine.resume(tasks)
        return self.results(tasks)

    def find_task(self, task_id: str) -> Task:
        """Return a task by its id, as the ledger has it."""
        task = self.ledger.find(task_id)
        if task is None:
            raise ModellixError(
                f"The ledger knows no task `{task_id}`.", "`%modellix history` lists them."
            )
        return task

    def stop(self, tasks: Sequence[Task] | None = None) -> Stopped:
        """Take back unsent tasks and stop watching sent ones: of these tasks, or of all."""
        if tasks is None:
            uids = [uid for uid in self.engine.watched() if self.engine.watches(uid)]
            left = (task.uid for task in self.unfinished() if task.unsent)
            return self.engine.stop(list(dict.fromkeys([*uids, *left])))
        return self.engine.stop([task.uid for task in tasks])

    def history(self, service: str | None = None) -> pd.DataFrame:
        """Return the tasks of the service in use, of another, or of ``all``, oldest first."""
        import warnings

        from modellix_jupyter.notebook.recovery import damaged_line
        from modellix_jupyter.results.frame import ledger_frame

        self.end_ended()
        frame = ledger_frame(self.ledger, service=self._service(service))
        for damage in self.ledger.damaged.values():
            warnings.warn(damaged_line(damage), stacklevel=3)
        return frame

    def export_history(self, path: str | Path, service: str | None = None) -> Path:
        """Write the tasks that `history` returns; the ending of the path chooses the format."""
        from modellix_jupyter.results.export import export
        from modellix_jupyter.results.frame import ledger_frame

        # read once: a task that is added meanwhile is in neither the table nor the pictures
        uids = self.ledger.uids(self._service(service))

        def cards() -> list[Card]:
            known = self.ledger.rows(uids)
            tasks = [known[uid][1] if uid in known else _unreadable(uid) for uid in uids]
            return [Card(task=t, media=tuple(map(self.media, t.resources))) for t in tasks]

        return export(cards, ledger_frame(self.ledger, uids), path)

    def _service(self, named: str | None) -> str | None:
        """Return the service whose tasks are meant; None means all services."""
        return None if named == "all" else named or service_of(self.settings.base_url)

    def delete(self, uids: Iterable[str], *, files: bool = False) -> list[str]:
        """Delete the finished ones of these tasks from the history, with their files if `files`.

        Their cost still counts. Return the uids that were deleted.
        """
        gone, names = self.ledger.delete(uids)
        for name in names if files else ():
            self.files.delete(name)
        return gone

    # -- the service

    def models(self) -> list[Model]:
        """Return the catalog."""
        return list(self.call(lambda r: r.catalog.models()).values())

    def find_models(self, text: str = "") -> list[Model]:
        """Return the models that contain every word of a text; without a text, all of them."""
        words = text.lower().split()
        return [m for m in self.models() if all(w in m.text for w in words)]

    def look_up(self, name: str) -> tuple[Model, ModelSchema]:
        """Return a model and its schema, by its slug or by a part of it that no other slug has."""
        return self.call(lambda r: r.catalog.look_up(name))

    def full_names(self, name: str) -> list[str]:
        """Return the slugs that are most like a name; none if the catalog cannot be read."""
        try:
            return self.call(lambda r: r.catalog.full_names(name))
        except ModellixError:
            return []

    def schema(self, model: str) -> ModelSchema | None:
        """Return a model's parameters, or None if they cannot be read soon."""
        return self.call(lambda r: r.catalog.schema(model))

    def unchecked_note(self, models: Iterable[str]) -> str:
        """Say, once per model, that requests to it are not checked before they are sent."""
        # not with `call`, which waits: a cell that awaits shows its tasks on the notebook's loop
        names = ", ".join(self._run_engine().catalog.newly_unchecked(models))
        return f"Unchecked: the parameters of {names} cannot be read." if names else ""

    def schemas(self, models: Iterable[str]) -> dict[str, ModelSchema | None]:
        """Return the parameters by model, with None for each that cannot be read soon."""
        return self.call(lambda r: r.catalog.schemas(models))

    def upload(self, source: object) -> str:
        """Upload a picture as an input, unless the service has it; return its URL."""
        return inputs.uploaded(self, source)

    def balance(self) -> float:
        """Return the balance of the account, in USD."""
        return self.call(lambda r: r.client.balance())

    def key_is_valid(self) -> bool:
        """Return whether the service takes the key."""
        return self.call(lambda r: r.client.key_is_valid())

    def call(self, call: Callable[[Running], Coroutine[Any, Any, _T]]) -> _T:
        """Call the service, and wait as a cell does: the notebook's loop runs meanwhile."""
        running = self._run_engine()
        future = running.engine.run(lambda: call(running))
        wait_for([future], reentrant=self.settings.reentrant_wait)
        return future.result()

    # -- showing

    def card(self, uid: str, *, pictures: bool = True) -> Card:
        """Return a task as it is shown, with the thumbnails of its results if `pictures`."""
        update = self.engine.update(uid)
        task, held = update.task, self.engine.is_held(update.task)
        return Card(
            task=task,
            held=held,
            activity=None if held else update.activity,  # that was before it was released
            usual_s=None if task.is_final else self.engine.usual_s(task.request.model),
            media=self.media.of(task) if pictures else (),
            inputs=self.inputs_of(task),
        )

    def inputs_of(self, task: Task) -> tuple[Media, ...]:
        """Return small pictures of the inputs of an ended task, if they are known."""
        if task.status.ended and task.uid not in self._inputs:
            with suppress(ModellixError):
                self._inputs[task.uid] = inputs.shown(self, task)
        return self._inputs.get(task.uid, ())

    def show(self, uids: Sequence[str]) -> LiveView:
        """Show tasks in the cell that runs, kept up to date until they end."""
        return LiveView(self, uids, find_screen()).start()

    def draw_ended(self) -> None:
        """Draw every view whose tasks have ended, for the last time."""
        painter.draw_ended()

    def _beside(self, path: str | None) -> str | None:
        """Return the path of a file from the notebook's folder, or None if it is not below it."""
        inside = path and Path(path).is_relative_to(self._folder)
        return Path(path).relative_to(self._folder).as_posix() if path and inside else None

    def _media(self, resource: Resource) -> Media:
        s = self.settings
        media = embed(
            resource,
            pixels=s.thumbnail_px,
            picture_bytes=s.picture_kb * 750,  # base64 makes four bytes of three
            media_bytes=s.media_kb * 1000,
        )
        return replace(media, path=without_name(media.path), file=self._beside(media.path))

    # -- ending

    @property
    def closed(self) -> bool:
        """Whether it was closed: it no longer drives tasks."""
        return self._closed

    def block(self) -> None:
        """Wait until the engine is done with every task; call it on a thread with no event loop."""
        self._check_process()
        if self._running is not None:
            wait_for(self._running.engine.futures(), reentrant=False)

    def close(self) -> None:
        """Close the engine, the ledger and the session's own sandbox; closing twice does no harm.

        Its tasks can still be read: that opens nothing again. A forked child closes nothing: all
        parts are the parent's.
        """
        if self._process not in {None, os.getpid()}:
            return
        with self._opening:
            self._closed = True
            running = self._running
        # a second caller waits: the lock is released once, after the engine has ended
        with self._closing:
            if running is not None:
                running.engine.close()
            self.media.close()
            self.files.close()
            for part in (self._kernel_lock, self._ledger):
                if part is not None:
                    part.close()
            if self.sandbox is not None:
                self.sandbox.stop()


def _unreadable(uid: str) -> Task:
    """Return a placeholder for a damaged row, so that every row of a table has its card."""
    return Task(
        uid=uid,
        batch="",
        origin="",
        request=Request("unknown/unknown", None),
        status=Status.UNKNOWN,
        created_at=0,
        error_message="its row in the ledger is damaged",
    )


def without_name(path: str | None) -> str | None:
    """Write the user's home folder as ``~``: a saved notebook need not name its user."""
    home = f"{Path.home()}{os.sep}"
    return f"~{os.sep}{path.removeprefix(home)}" if path and path.startswith(home) else path
