"""What the sandbox saw: every request, and every submission it accepted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Origin = Literal["api", "cdn"]

#: A sandbox that runs for days keeps the newest requests only.
_MOST_ENTRIES = 50_000


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One request.

    Parameters
    ----------
    origin
        "api", or "cdn" for the second origin, which serves the result files.
    method, path, query
        As on the request line.
    headers
        By lower-case name. Left out of the `repr`, as one of them is a key.
    body_size
        Bytes.
    at
        Seconds since 1970.
    """

    origin: Origin
    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body_size: int
    at: float

    @property
    def authorized(self) -> bool:
        """Whether the request carried an Authorization header, which some must never do."""
        return "authorization" in self.headers


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission that was accepted, and so was paid for.

    Parameters
    ----------
    task_id
        The task that it became.
    model
        provider/model.
    body
        What was asked for.
    at
        Seconds since 1970.
    """

    task_id: str
    model: str
    body: Mapping[str, object]
    at: float


def record(journal: list[JournalEntry], entry: JournalEntry) -> None:
    """Add an entry, and forget the older half of a journal that has grown too long."""
    journal.append(entry)
    if len(journal) > _MOST_ENTRIES:
        del journal[: _MOST_ENTRIES // 2]
