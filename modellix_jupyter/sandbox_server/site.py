"""The state behind both origins: the account, the tasks, the files and the misfortunes."""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Mapping

from modellix_jupyter.sandbox_server.catalog import MODELS
from modellix_jupyter.sandbox_server.faults import Fault, Faults, Operation
from modellix_jupyter.sandbox_server.files import Files
from modellix_jupyter.sandbox_server.journal import JournalEntry
from modellix_jupyter.sandbox_server.model import Model
from modellix_jupyter.sandbox_server.seeding import fingerprint
from modellix_jupyter.sandbox_server.tasks import TaskStore

_MOST_BODIES = 10_000
#: How long a 429 asks to wait, in seconds, before `speed`.
_RATE_LIMIT_SECONDS = 2.0


class Site:
    """Everything the handlers share. Only the server's loop changes it.

    Parameters
    ----------
    tasks
        The task store.
    journal
        Where requests are written down.
    faults
        The fault injector, or None.
    speed
        What durations are divided by.

    Attributes
    ----------
    api_url, cdn_url : str
        The two origins, once they are bound.
    closing : asyncio.Event
        Set when the server goes down, so that held answers are let go.
    """

    def __init__(
        self, tasks: TaskStore, journal: list[JournalEntry], faults: Faults | None, speed: float
    ) -> None:
        self.models: Mapping[str, Model] = MODELS
        self.tasks = tasks
        self.files = Files()
        self.journal = journal
        self.api_url = ""
        self.cdn_url = ""
        self.closing = asyncio.Event()
        self._faults = faults or Faults()
        self._speed = speed
        self._counters: dict[Operation, itertools.count[int]] = {
            "submit": itertools.count(),
            "read": itertools.count(),
            "download": itertools.count(),
        }
        self._seen: OrderedDict[int, int] = OrderedDict()

    @property
    def reset_after(self) -> str:
        """The X-RateLimit-Reset of a 429: seconds from now, whole ones at the usual speed."""
        return f"{_RATE_LIMIT_SECONDS / self._speed:g}"

    def chance(self, operation: Operation) -> Fault | None:
        """Return what the injector has in store for the next request of an operation."""
        return self._faults.choose(operation, next(self._counters[operation]))

    def quirk(self, model: Model, body: Mapping[str, object]) -> Fault | None:
        """Return what the model itself does to a submission, and count it.

        Parameters
        ----------
        model, body
            The submission.

        Returns
        -------
        Fault or None
            None once the body was met with the fault as often as the model does.
        """
        if model.quirk.submit is None or model.quirk.times is None:
            return model.quirk.submit
        key = fingerprint(model.slug, body)
        met = self._seen.pop(key, 0)
        self._seen[key] = met + 1
        if len(self._seen) > _MOST_BODIES:
            self._seen.popitem(last=False)
        return model.quirk.submit if met < model.quirk.times else None

    async def hold(self) -> None:
        """Keep an answer back for as long as the injector says, or until the server goes down."""
        try:
            await asyncio.wait_for(self.closing.wait(), self._faults.hang_seconds)
        except TimeoutError:
            return
