"""Tasks that earlier kernels left unfinished: one line when the extension loads, more on demand.

Loading the extension needs only `announce`, so the other functions import what they need.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest, ModellixError
from modellix_jupyter.notebook.current_session import current, in_use, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.values import Task

_VANISHES = (
    "Colab deletes this machine. To keep the ledger, set MODELLIX_LEDGER to the URL of a database "
    "before this cell; SQLite on a mounted Drive gets damaged, as Drive has no locks. Files go to "
    "{files}; MODELLIX_FILES may name a bucket, or a folder of the Drive."
)
# Characters of a task's uid that are shown, and that a user can name it by.
SHORT = 8
# The error of a task whose sandbox is gone.
SANDBOX_ENDED = "its sandbox ended with its kernel"
_CONNECT_S = 0.5


def announce() -> None:
    """Print one line about unfinished tasks; resume them in the background if that is on.

    A ledger on a server is read in the background too: it may be slow or unreachable.
    """
    ours = settings()
    if "google.colab" in sys.modules and not (ours.ledger and ours.files):
        place = ours.files or ours.folder() / "files"
        print(f"Modellix: {_VANISHES.format(files=place)}")
    if ours.ledger:
        threading.Thread(target=_announce, name="modellix-resume", daemon=True).start()
    else:
        _announce()


def _announce() -> None:
    try:
        message = _summary()
    except ModellixError as error:
        print(f"Modellix: {error.message} {error.hint}")
        return
    if message:
        print(f"Modellix: {message}; `%modellix resume` shows what can be done.")
    if message and settings().auto_resume:
        threading.Thread(target=_resume, name="modellix-resume", daemon=True).start()


def _count() -> tuple[int, int]:
    """Return how many tasks are unfinished, and how many of unknown outcome."""
    ledger = settings().folder() / "ledger.sqlite3"
    if not settings().ledger and not ledger.exists():
        return 0, 0
    if settings().ledger or in_use() is not None:
        return len(current().unfinished()), len(current().unknown())
    from modellix_jupyter.ledger.pending_counts import pending_counts

    return pending_counts(ledger, settings().base_url)


def _summary() -> str:
    unfinished, unknown = _count()
    counts = {"unfinished": unfinished, "of unknown outcome": unknown}
    return " and ".join(
        f"{count} {'task is' if count == 1 else 'tasks are'} {state}"
        for state, count in counts.items()
        if count
    )


def _resume() -> None:
    # there may be no key yet, for example; the printed line says what can be done
    with contextlib.suppress(ModellixError):
        current().resume()


def report(session: Session, results: Results, ended: int = 0) -> Iterator[str]:
    """Yield lines about the resumed tasks, those of unknown outcome, and those never sent.

    `ended` is how many tasks were just given up because their sandbox is gone.
    """
    unknown = session.unknown()
    unsent = [task for task in session.unfinished() if task.unsent]
    held, damaged = _held_elsewhere(session), session.ledger.damaged
    if not (results or unknown or unsent or damaged or ended):
        yield "Nothing is unfinished."
    if results:
        yield f"{len(results)} {'task' if len(results) == 1 else 'tasks'} taken up."
    if ended:
        yield f"{ended} of a sandbox that ended with its kernel: they will not finish."
    if unknown:
        yield (
            f"{len(unknown)} submitted with no readable answer: each may have been accepted and "
            "charged, so none is sent again by itself. Look for it in the console at the time "
            "given. If it is there, `%modellix resume NAME=TASK_ID` takes it up; if not, "
            "`%modellix resume NAME=none` marks it as never accepted, and its cell can be run "
            "again."
        )
    for task in unknown:
        yield f"  unknown  {_line(task)}"
    if unsent:
        yield (
            f"{len(unsent)} recorded but never sent, because the kernel ended first; nothing was "
            "charged. `%modellix resume send` sends them now."
        )
    for task in unsent:
        yield f"  unsent   {_line(task)}"
    if held:
        yield (
            f"{held} driven by another kernel, which this one follows. If that kernel hangs, "
            "`%modellix resume take-over` takes them from it; a request that it "
            "had just begun to send becomes unknown, because it may still leave."
        )
    yield from map(damaged_line, damaged.values())


def _held_elsewhere(session: Session) -> int:
    """Return how many unfinished tasks are driven by another kernel that is alive."""
    rows = session.ledger.rows([task.uid for task in session.unfinished()])
    owners = Counter(owner for owner, _ in rows.values())
    mine, lock = session.kernel_lock.name, session.kernel_lock
    return sum(n for owner, n in owners.items() if owner != mine and lock.is_alive(owner))


def damaged_line(damage: str) -> str:
    """Return a line about a row that was skipped."""
    return f"A row of the ledger is damaged and was skipped: {damage}."


def _line(task: Task) -> str:
    from modellix_jupyter.html.markup import plain
    from modellix_jupyter.values import to_datetime

    moment = to_datetime(task.submitted_at or task.created_at)
    when = f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
    prompt = plain(" ".join((task.request.prompt or "").split()))
    return f"{task.uid[:SHORT]}  {when}  {task.request.model}  {prompt[:60]}"


def resolve_unknown(session: Session, words: Sequence[str]) -> list[Task]:
    """Carry out the user's decisions; return the tasks that go on.

    The words are ``send``, ``--yes``, ``take-over``, ``NAME=TASK_ID`` and ``NAME=none``.
    """
    from modellix_jupyter.notebook.spending import ask_first

    decided = [word for word in words if word not in {"send", "take-over", "--yes"}]
    found = [_decision(session, word) for word in decided]
    going = [session.engine.resolve_unknown(task, task_id) for task, task_id in found]
    if "take-over" in words:
        going += session.engine.take_over(session.unfinished())
    if "send" in words:
        confirm = ask_first("--yes", yes="--yes" in words)
        unsent = [task for task in session.unfinished() if task.unsent]
        going += session.send_unsent(unsent, confirm=confirm)
    return [task for task in going if not task.is_final]


def _decision(session: Session, word: str) -> tuple[Task, str | None]:
    from modellix_jupyter.api.parsing import usable_task_id

    name, equals, task_id = word.partition("=")
    if not equals or not name or not (task_id == "none" or usable_task_id(task_id)):
        raise InvalidRequest(
            f"`{word}` is none of send, take-over, NAME=TASK_ID and NAME=none.",
            "`%modellix resume` lists the names.",
        )
    known = [task for task in session.unknown() if task.uid.startswith(name)]
    if len(known) != 1:
        raise InvalidRequest(
            f"`{name}` names no task of unknown outcome.", "`%modellix resume` lists them."
        )
    return known[0], None if task_id == "none" else task_id


# -- sandboxes that ended with their kernels


def end_tasks_of_ended_sandboxes(session: Session) -> int:
    """Give up the unfinished tasks whose sandbox is gone; return how many."""
    gone = functools.cache(_is_gone)
    count = 0
    for task in session.ledger.unfinished_of("sandbox"):
        if task.origin == session.settings.base_url or not gone(task.origin):
            continue
        owner = session.ledger.owner(task.uid)
        if session.kernel_lock.is_alive(owner):
            continue
        if session.ledger.claim(task.uid, None, was=owner):
            session.ledger.save(_ended(task))
            count += 1
    return count


def _is_gone(origin: str) -> bool:
    """Whether nothing listens at an address on this machine."""
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(origin)
    try:
        address = (parts.hostname or "", parts.port or 80)
        with contextlib.closing(socket.create_connection(address, timeout=_CONNECT_S)):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def _ended(task: Task) -> Task:
    """Return a task as given up because its sandbox is gone; downloaded files stay."""
    from modellix_jupyter.values import Status

    files = tuple(
        r if r.path else replace(r, lost=True, problem=SANDBOX_ENDED) for r in task.resources
    )
    if task.status.ended:
        return replace(task, resources=files)
    sent = task.status is not Status.SUBMITTING
    return replace(
        task,
        status=Status.EXPIRED if sent else Status.REJECTED,
        resources=files,
        price=task.price if sent else None,
        error_message=SANDBOX_ENDED,
    )
