"""Live status in a notebook's output or a terminal, redrawn by one thread while tasks go on.

The larger an output is, the less often it is redrawn: least often for a tick of the clock, more
often for a change of a task. The last output stays in the saved notebook.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from modellix_jupyter.html.cards import cards_html, cards_text
from modellix_jupyter.values import Card, Json, Task, Update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modellix_jupyter.notebook.session import Session

    Bundle = dict[str, str]

log = logging.getLogger("modellix_jupyter.live")

# Seconds between two lines of a script's progress.
LOG_EVERY_S = 5.0

# Bytes a second that ticks of the clock may cost.
TICK_BYTES_S = 200_000
# Bytes a second that changes of tasks may cost.
CHANGE_BYTES_S = 2_000_000


class Screen(Protocol):
    """Draws a mime bundle in place of the one before it."""

    def draw(self, bundle: Bundle, *, last: bool) -> None:
        """Draw a bundle; `last` means that no other follows while the cell runs."""


class NotebookScreen:
    """An output of the cell that runs when the first bundle is drawn.

    Any thread may update it, also after that cell has ended: an update names the output's id,
    while `display` would write into the cell that runs at that moment.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown: int | None = None

    def draw(self, bundle: Bundle, *, last: bool) -> None:  # noqa: ARG002 - a notebook keeps every draw
        """Show the bundle in place of the one before it; do not send the same twice."""
        before, self._shown = self._shown, hash(tuple(bundle.values()))
        if before == self._shown:
            return
        if self._handle is None:
            from IPython.display import display

            connect_viewer()
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types here
        else:
            self._handle.update(bundle, raw=True)


class TerminalScreen:
    """Lines of a terminal, redrawn in place; to a file or a pipe only the last text is written."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lines = 0

    def draw(self, bundle: Bundle, *, last: bool) -> None:
        """Write the text in place of the one before it."""
        live = self._stream.isatty()
        if not live and not last:
            return
        text = bundle["text/plain"].rstrip("\n")
        up = f"\x1b[{self._lines}F\x1b[0J" if self._lines else ""
        self._stream.write(f"{up}{text}\n")
        self._stream.flush()
        self._lines = 0 if last or not live else text.count("\n") + 1


class LogScreen:
    """Standard error of a script, maybe a file: a line now and then, and the whole last text."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LOG_EVERY_S

    def draw(self, bundle: Bundle, *, last: bool) -> None:
        """Write the first line, which is a summary; of the last text write every line."""
        if not last and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LOG_EVERY_S
        text = bundle["text/plain"].rstrip("\n")
        sys.stderr.write(f"{text if last else text.splitlines()[0]}\n")


def shell() -> Any:  # noqa: ANN401 - IPython's shells have no common type with all that is used
    """Return the running IPython shell, or None; do not import IPython for it."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def find_screen() -> Screen:
    """Return the screen to draw on; standard output is left to a script itself."""
    ip = shell()
    if ip is None:
        return TerminalScreen(sys.stderr) if sys.stderr.isatty() else LogScreen()
    return NotebookScreen() if hasattr(ip, "kernel") else TerminalScreen()


def connect_viewer() -> None:
    """Let the pages of this kernel open pictures in the viewer; return at once.

    It runs on a thread, because the import takes longer than the rest of a first cell.
    """
    if hasattr(shell(), "kernel"):
        threading.Thread(target=_connect_viewer, name="modellix-connect", daemon=True).start()


def _connect_viewer() -> None:
    from modellix_jupyter.notebook.viewer import connect

    try:
        connect()
    except Exception:
        log.exception("The viewer could not be connected")  # thumbnails need no viewer


def register_tasks(ip: Any) -> None:  # noqa: ANN401 - see `shell`
    """Show the picture of a task that is the value of a cell."""
    formatters = ip.display_formatter.formatters
    formatters["text/html"].for_type(Task, lambda task: cards_html([_card(task)], time.time()))
    formatters["text/plain"].for_type(
        Task, lambda task, printer, _: printer.text(cards_text([_card(task)], time.time()))
    )


def _card(task: Task) -> Card:
    from modellix_jupyter.notebook.current_session import current

    connect_viewer()
    session = current()
    return Card(task=task, media=session.media.of(task), inputs=session.inputs_of(task))


def execution_count() -> Json:
    """Return the number of the cell that runs, or None outside IPython."""
    ip = shell()
    return None if ip is None else int(ip.execution_count)


class LiveView:
    """One output for some tasks, kept up to date until the engine is done with all of them."""

    def __init__(self, session: Session, uids: Sequence[str], screen: Screen) -> None:
        self._session = session
        self._uids = tuple(uids)
        self._screen = screen
        self._drawing = threading.RLock()
        self._changed = True
        self._drawn_at = 0.0
        self._weight = 0
        self._note: str | None = None
        self._reasons = True
        # whether a cell waits for the tasks; it adds a note if it stops before they end
        self.waited = False
        self._cell = execution_count()
        self._unsubscribe = session.engine.subscribe(self._on_update)
        self._futures = {uid: session.engine.future(uid) for uid in self._uids}
        models = (session.engine.get(uid).request.model for uid in self._uids)
        self._unchecked = session.unchecked_note(models)

    def start(self) -> LiveView:
        """Draw it now, and whenever something changes from now on."""
        self.draw(last=False)
        painter.add(self)
        return self

    def finish(self, *, reasons: bool = True) -> None:
        """Draw the state at the end of the cell, from the cell's own thread.

        `reasons` is False if the cell raises an error that has them.
        """
        self._reasons = reasons
        self.draw(last=True)
        if self.over:
            self.stop()

    def note(self, text: str) -> None:
        """Draw it with a note, for example that only the waiting ended."""
        self._note = text
        self.finish()

    @property
    def in_running_cell(self) -> bool:
        """Whether the cell that shows it still runs."""
        return self._cell is not None and self._cell == execution_count()

    def stop(self) -> None:
        """Stop drawing it."""
        painter.remove(self)
        self._unsubscribe()

    def due(self, now: float) -> bool:
        """Whether it should be drawn again; `now` is in seconds of `time.monotonic`."""
        rate = CHANGE_BYTES_S if self._changed else TICK_BYTES_S
        pause = max(1 / self._session.settings.updates_per_second, self._weight / rate)
        return now - self._drawn_at >= pause

    def tick(self) -> bool:
        """Draw it if it is due; return False if nothing more will change."""
        over = self.over
        if over or self.due(time.monotonic()):
            self.draw(last=False)
        return not over

    def draw(self, *, last: bool) -> None:
        """Draw the present state."""
        with self._drawing:
            self._changed = False
            bundle = self.bundle(final=self.over)
            self._screen.draw(bundle, last=last)
            self._weight = sum(len(text) for text in bundle.values())
            self._drawn_at = time.monotonic()

    def bundle(self, *, final: bool) -> Bundle:
        """Return the state of the tasks as HTML and as text."""
        left = self._session.engine.remaining_s()
        cards = [replace(self._session.card(u), left_s=left.get(u)) for u in self._uids]
        now, note = time.time(), self._message(final=final)
        budget = self._session.settings.output_kb * 1000
        moves = final or self._note is None
        return {
            "text/html": cards_html(
                cards,
                now,
                stopped=None if moves else note,
                note=note,
                budget=budget,
                reasons=self._reasons,
            ),
            "text/plain": cards_text(cards, now, stopped=note, reasons=self._reasons),
        }

    def _message(self, *, final: bool) -> str | None:
        """Return the note of the cell, and the warnings that concern every task."""
        notes = [self._given_up()] if final else [self._note or self._written()]
        notes += [self._unchecked, *self._session.engine.warnings]
        return " ".join(filter(None, notes)) or None

    def _given_up(self) -> str:
        """Say why tasks were not sent, or are not driven here, and what to do; empty if all are."""
        engine = self._session.engine
        tasks = [task for task in map(engine.get, self._uids) if not task.status.ended]
        problems = [(task, engine.problem(task.uid)) for task in tasks]
        problem = next((why for _, why in problems if why is not None), None)
        if problem is None:
            return ""
        left = sum(task.unsent or why is not None for task, why in problems)
        count = "1 task" if left == 1 else f"{left} tasks"
        return f"{count}: {problem.message.rstrip('.')}. {problem.hint}"

    def _written(self) -> str:
        """Say when this was drawn, unless a cell waits: it may be read days later."""
        if self.waited:
            return ""
        moment = time.strftime("%d %b %Y, %H:%M")
        return f"As of {moment}; in a notebook opened again, `%modellix wait` brings it up to date."

    @property
    def over(self) -> bool:
        """Whether the engine is done with all of the tasks."""
        return all(future.done() for future in self._futures.values())

    def _on_update(self, update: Update) -> None:
        if update.task.uid in self._futures:
            self._session.media.begin([update.task])
            self._changed = True


class Painted(Protocol):
    """A view that the painter keeps up to date."""

    @property
    def over(self) -> bool:
        """Whether nothing more will change."""

    def tick(self) -> bool:
        """Draw it if it is due; return False if nothing more will change."""

    def stop(self) -> None:
        """Stop drawing it."""


class Painter:
    """One thread that draws every live view, and ends when none is left."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Begin with no view and no thread: a forked child inherits no thread."""
        self._views: list[Painted] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, view: Painted) -> None:
        """Draw a view from now on."""
        with self._lock:
            self._views.append(view)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="modellix-painter", daemon=True
                )
                self._thread.start()

    def remove(self, view: Painted) -> None:
        """Stop drawing a view."""
        with self._lock, contextlib.suppress(ValueError):
            self._views.remove(view)

    def draw_ended(self) -> None:
        """Draw every view whose tasks have ended for the last time.

        The painter would do it a moment later. That may be after the notebook's last cell, and a
        program that runs notebooks without a front end no longer listens then.
        """
        with self._lock:
            ended = [view for view in self._views if view.over]
        for view in ended:
            self._tick(view)
            view.stop()

    def _run(self) -> None:
        while views := self._next():
            for view in views:
                if not self._tick(view):
                    view.stop()
            time.sleep(0.05)

    def _next(self) -> list[Painted]:
        with self._lock:
            if not self._views:
                self._thread = None
            return list(self._views)

    def _tick(self, view: Painted) -> bool:
        try:
            return view.tick()
        except Exception:
            # the output may be gone with its front end; the tasks go on
            log.exception("A live status could not be drawn")
            return False


painter = Painter()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=painter.begin_anew)
