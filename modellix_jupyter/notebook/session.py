"""The composition root: settings and a key become a client, a ledger, an engine and results.

Nothing is opened before it is first used, so that making a session costs nothing.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from modellix_jupyter.engine.waiting import wait_for
from modellix_jupyter.errors import ConfigError, MissingKey, ModellixError
from modellix_jupyter.keys import SecretKey, places
from modellix_jupyter.settings import SETTING_NAMES, Settings, from_environment
from modellix_jupyter.storage.thumbnail_cache import Thumbnails

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from concurrent.futures import Future

    import pandas as pd

    from modellix_jupyter.engine.engine import Engine
    from modellix_jupyter.engine.polling import Pace
    from modellix_jupyter.ledger.kernel_locks import KernelLock
    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.notebook.catalog import Catalog
    from modellix_jupyter.notebook.display import LiveView
    from modellix_jupyter.notebook.service import RestService
    from modellix_jupyter.planning.plan import Plan
    from modellix_jupyter.planning.pricing import Pricing
    from modellix_jupyter.planning.schema import ModelSchema
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.sandbox_server import Sandbox
    from modellix_jupyter.values import Card, Media, Model, Request, Resource, Task

_T = TypeVar("_T")

AT_ANY_TIME = frozenset(
    {
        "ask_above",
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
"""Settings that are read when they are needed, so that a change needs no new engine."""


class Session:
    """One service, one key, one ledger, and the engine that drives tasks between them.

    Parameters
    ----------
    settings
        The defaults and the environment's where they are not given.
    key
        An API key, which is looked for in the documented places where it is not given.
    sandbox
        A sandbox that this session owns and stops when it is closed.
    pace
        How often tasks are polled; the engine's own pace where it is not given.

    Raises
    ------
    ConfigError
        A setting or the key is of the wrong form.

    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        key: str | SecretKey | None = None,
        sandbox: Sandbox | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.settings = settings or from_environment()
        self.sandbox = sandbox
        self.pace = pace
        # in the one object that hides it, also from whoever prints what a session is made of
        self._argument = SecretKey(key, "an argument") if isinstance(key, str) else key
        self._opening = threading.RLock()
        self._engine: Engine | None = None
        self._closed = False
        self.media = Thumbnails(self._media)

    # -- the parts, each opened when it is first used

    @cached_property
    def home(self) -> Path:
        """The folder of the ledger and of the files."""
        return self.settings.folder().absolute()

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of this home."""
        from modellix_jupyter.ledger.ledger import Ledger

        with self._opening:
            # another thread may have been quicker: a cached property has no lock of its own
            if "ledger" not in self.__dict__:
                opened = Ledger(self.home / "ledger.sqlite3", self.home / "files")
                self.__dict__["ledger"] = opened
            return cast("Ledger", self.__dict__["ledger"])

    @cached_property
    def _owner(self) -> KernelLock:
        from modellix_jupyter.ledger.kernel_locks import KernelLock

        try:
            with self._opening:
                if "_owner" not in self.__dict__:
                    self.__dict__["_owner"] = KernelLock(self.home / "owners")
                return cast("KernelLock", self.__dict__["_owner"])
        except OSError as error:
            raise ConfigError(
                f"The home folder {self.home} cannot be written: {error.strerror}.",
                "Set MODELLIX_HOME to a folder that can be written.",
            ) from error

    @property
    def engine(self) -> Engine:
        """The engine; opening it needs a key and a home that can be written."""
        with self._opening:
            if self._engine is None:
                if self._closed:
                    raise ModellixError("This session is closed.", "Call it on a new one.")
                self._engine = self._open_engine()
            return self._engine

    def _open_engine(self) -> Engine:
        from modellix_jupyter.engine.engine import Engine
        from modellix_jupyter.engine.polling import PACE

        key = self.key()  # before anything is written: a newcomer has none
        return Engine(
            lambda: self._make_service(key),
            self.ledger,
            self._owner,
            self.settings,
            pace=self.pace or PACE,
        )

    def _make_service(self, key: SecretKey) -> RestService:
        """Open the client; on the engine's loop, where its connections will live."""
        from modellix_jupyter.api.client import AsyncClient
        from modellix_jupyter.notebook.catalog import Catalog
        from modellix_jupyter.notebook.service import RestService
        from modellix_jupyter.storage.store import MIB, Limits, Store

        s = self.settings
        limits = Limits(s.max_file_mb * MIB, s.max_task_mb * MIB, s.max_files)
        store = Store(self.home / "files", limits)
        store.sweep()
        client = AsyncClient(key, settings=s)
        self._catalog: Catalog = Catalog(client)
        return RestService(client, store, s.download_timeout_s)

    def key(self) -> SecretKey:
        """Return the key.

        Raises
        ------
        MissingKey
            There is none anywhere.

        """
        found = self._argument or places(self.home).find()
        if found is None:
            raise MissingKey("There is no Modellix API key yet.")
        return found

    def key_for(self, settings: Settings) -> SecretKey | None:
        """Return the key that was given as an argument, for other settings of the same service."""
        return self._argument if settings.base_url == self.settings.base_url else None

    def busy(self) -> bool:
        """Whether tasks are being driven or followed; looking opens nothing."""
        return self._engine is not None and self._engine.busy() > 0

    def check_home(self) -> None:
        """Make the home folder, and be sure that it can be written.

        Raises
        ------
        ConfigError
            It cannot.

        """
        _ = self._owner

    def adjust(self, settings: Settings) -> bool:
        """Take over settings that concern no open part; False where one does."""
        if self._engine is not None or "ledger" in self.__dict__:
            differ = {n for n in SETTING_NAMES if getattr(settings, n) != getattr(self.settings, n)}
            if differ - AT_ANY_TIME:
                return False
        self.settings = settings
        self.__dict__.pop("home", None)
        self.media.forget()
        return True

    # -- sending

    def check(self, requests: Sequence[Request]) -> dict[str, Pricing]:
        """Check requests against the catalog and the schemas; return what they cost, by model.

        Raises
        ------
        UserError
            Something in them cannot be right; nothing was sent.

        """
        engine = self.engine
        if not self.settings.check_requests:
            return {}
        return self._result(engine.run(lambda _: self._catalog.check(requests)))

    def submit(self, plan: Plan, *, prices: dict[str, Pricing] | None = None) -> Results:
        """Check a plan, record its requests and begin to send them; see `send`."""
        return self.send(plan.requests, prices=prices)

    def send(
        self,
        requests: Sequence[Request],
        *,
        prices: dict[str, Pricing] | None = None,
        batch: str | None = None,
    ) -> Results:
        """Check requests, record them and begin to send them; returns at once.

        Parameters
        ----------
        requests
            What to send.
        prices
            What `check` returned, where it was called before.
        batch
            A name for them: those that the ledger has under it already are not sent again.

        Raises
        ------
        UserError, MissingKey, LedgerError
            Nothing was sent.

        """
        known = self.check(requests) if prices is None else prices
        if batch is None:
            return self.results(self.engine.submit(requests, prices=known))
        return self._continue(requests, known, batch)

    def _continue(
        self, requests: Sequence[Request], prices: dict[str, Pricing], batch: str
    ) -> Results:
        """Send what a batch does not have yet, and take up what it has."""
        from modellix_jupyter.planning.plan import matched
        from modellix_jupyter.results.results import Results

        origin = self.settings.base_url
        with self.ledger.continuing():
            tasks = [task for task in self.ledger.batch(batch) if task.origin == origin]
            found = matched(requests, tasks)
            missing = [r for r, uid in zip(requests, found, strict=True) if uid is None]
            sent = iter(self.engine.submit(missing, prices=prices, batch=batch))
        self.engine.resume(task for task in tasks if task.uid in found)
        self.engine.send(task for task in tasks if task.uid in found)
        return Results(self, [uid or next(sent).uid for uid in found])

    def results(self, tasks: Iterable[Task]) -> Results:
        """Return results of tasks of this session."""
        from modellix_jupyter.results.results import Results

        return Results(self, [task.uid for task in tasks])

    # -- what was left behind

    def unfinished(self) -> list[Task]:
        """Return the tasks of this service that are not over, by the ledger."""
        return self.ledger.unsettled(self.settings.base_url)

    def unknown(self) -> list[Task]:
        """Return the submissions to this service whose outcome is unknown."""
        return self.ledger.unknown(self.settings.base_url)

    def resume(self) -> Results:
        """Take up every accepted task that is not over; none is sent again."""
        return self.results(self.engine.resume(self.unfinished()))

    def find(self, ids: Iterable[str]) -> Results:
        """Return results of tasks by their ids, and watch those that are not over.

        Raises
        ------
        ModellixError
            The ledger has no such task.

        """
        tasks = []
        for task_id in ids:
            task = self.ledger.find(task_id)
            if task is None:
                raise ModellixError(
                    f"The ledger knows no task `{task_id}`.", "`%modellix history` lists them."
                )
            tasks.append(task)
        self.engine.resume(tasks)
        return self.results(tasks)

    def history(self) -> pd.DataFrame:
        """Return every task that this machine's ledger knows, oldest first."""
        from modellix_jupyter.results.blocks import block_frame

        return block_frame(self.ledger.blocks(), extra=self.ledger.remarks())

    def export_history(self, path: str | Path) -> Path:
        """Write every task that the ledger knows, in the format of the path's ending."""
        from modellix_jupyter.results.export import export
        from modellix_jupyter.values import Card

        def cards() -> list[Card]:
            tasks = self.ledger.tasks()
            return [Card(task=t, media=tuple(map(self.media, t.resources))) for t in tasks]

        return export(cards, self.history(), path)

    # -- asking

    def models(self) -> list[Model]:
        """Return the catalog."""
        engine = self.engine
        return list(self._result(engine.run(lambda _: self._catalog.models())).values())

    def schema(self, model: str) -> ModelSchema | None:
        """Return a model's parameters, where they can be read."""
        engine = self.engine
        return self._result(engine.run(lambda _: self._catalog.schema(model)))

    def schema_if_known(self, model: str) -> ModelSchema | None:
        """Return a model's parameters, or None also where they cannot be read soon."""
        engine = self.engine
        return self._result(engine.run(lambda _: self._catalog.schema_if_known(model)))

    def upload(self, path: Path) -> str:
        """Upload a picture as an input; return its URL.

        Raises
        ------
        InvalidRequest
            It cannot be read, or is too large.
        ApiError
            The service does not take it.

        """
        return self._ask(lambda service: service.client.upload(path))

    def balance(self) -> float:
        """Return the balance of the account, in USD."""
        return self._ask(lambda service: service.client.balance())

    def key_is_valid(self) -> bool:
        """Ask the service whether it takes the key."""
        return self._ask(lambda service: service.client.key_is_valid())

    def _ask(self, call: Callable[[RestService], Awaitable[_T]]) -> _T:
        return self._result(self.engine.run(lambda s: call(cast("RestService", s))))

    def _result(self, future: Future[_T]) -> _T:
        """Wait as a cell does: the notebook's loop turns, and an interrupt ends it."""
        wait_for([future], reentrant=self.settings.reentrant_wait)
        return future.result()

    # -- showing

    def card(self, uid: str) -> Card:
        """Return a task as it is shown."""
        from modellix_jupyter.values import Card

        update = self.engine.update(uid)
        task = update.task
        return Card(
            task=task,
            activity=update.activity,
            usual_s=None if task.is_final else self.engine.usual_s(task.request.model),
            media=self.media.of(task),
        )

    def show(self, uids: Sequence[str]) -> LiveView | None:
        """Show tasks in the cell that runs, kept up to date until they end; None in a script."""
        from modellix_jupyter.notebook.display import show_live

        return show_live(self, uids)

    def draw_ended(self) -> None:
        """Draw every view whose tasks have ended, for the last time."""
        from modellix_jupyter.notebook.display import painter

        painter.draw_ended()

    def plain_card(self, uid: str) -> Card:
        """Return a task as it is shown where its pictures are not."""
        from modellix_jupyter.values import Card

        update = self.engine.update(uid)
        return Card(task=update.task, activity=update.activity)

    def _media(self, resource: Resource) -> Media:
        from modellix_jupyter.storage.thumbnails import embed

        s = self.settings
        media = embed(
            resource,
            pixels=s.thumbnail_px,
            picture_bytes=s.picture_kb * 750,  # base64 makes four bytes of three
            media_bytes=s.media_kb * 1000,
        )
        return replace(media, path=_without_name(media.path))

    # -- ending

    @property
    def closed(self) -> bool:
        """Whether nothing drives its tasks any more."""
        return self._closed

    def block(self) -> None:
        """Wait until its engine is through with every task; on a thread with no event loop."""
        if self._engine is not None:
            wait_for(self._engine.futures(), reentrant=False)

    def close(self) -> None:
        """End the engine, the ledger and a sandbox of its own; twice is as good as once.

        What is known of its tasks can still be looked at: nothing is opened anew for that.
        """
        with self._opening:
            self._closed = True
            engine = self._engine
        if engine is not None:
            engine.close()
        self.media.close()
        for part in ("ledger", "_owner"):
            opened = self.__dict__.get(part)
            if opened is not None:
                opened.close()
        if self.sandbox is not None:
            self.sandbox.stop()


def _without_name(path: str | None) -> str | None:
    """Write the user's own folder as ``~``: a saved notebook need not say whose it is."""
    home = f"{Path.home()}{os.sep}"
    return f"~{os.sep}{path.removeprefix(home)}" if path and path.startswith(home) else path
