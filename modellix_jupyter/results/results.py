"""The result of a cell or a call: its tasks, to wait for, show, tabulate and save."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from modellix_jupyter.engine.waiting import check_timeout, turning, wait_async, wait_for
from modellix_jupyter.errors import InvalidRequest, ModellixError, WaitInterrupted, WaitTimeout
from modellix_jupyter.html.cards import cards_html, cards_text

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from PIL.Image import Image

    from modellix_jupyter.engine.engine import Engine
    from modellix_jupyter.ledger.ledger import Ledger
    from modellix_jupyter.results.grid import ResultsGrid
    from modellix_jupyter.settings import Settings
    from modellix_jupyter.storage.thumbnails import Thumbnails
    from modellix_jupyter.values import Card, Task

# The best rating.
BEST = 5


class View(Protocol):
    """An output that shows tasks, and is updated until they end."""

    waited: bool

    @property
    def in_running_cell(self) -> bool:
        """Whether the cell that shows it still runs."""

    def finish(self, *, reasons: bool = True) -> None:
        """Draw the final output of the cell."""

    def note(self, text: str) -> None:
        """Add a note, and finish."""


class TaskSource(Protocol):
    """The parts of a session that `Results` needs."""

    settings: Settings
    media: Thumbnails

    @property
    def engine(self) -> Engine:
        """The engine that drives the tasks."""

    @property
    def ledger(self) -> Ledger:
        """The ledger that has their rows."""

    @property
    def closed(self) -> bool:
        """Whether the session no longer drives its tasks."""

    def card(self, uid: str) -> Card:
        """Return the card of a task."""

    def show(self, uids: Sequence[str]) -> View:
        """Show tasks in the cell that runs, or on a script's standard error."""

    def draw_ended(self) -> None:
        """Draw every view whose tasks have ended, for the last time."""


class Results(Sequence["Task"]):
    """Tasks that were started together, in the order of their plan.

    Each item is a `Task`, an immutable value: the state of the task at the moment of access.

    Parameters
    ----------
    session
        The session that drives the tasks.
    uids
        The uids of the tasks.

    """

    def __init__(self, session: TaskSource, uids: Sequence[str]) -> None:
        self._session = session
        self._uids = tuple(uids)
        self._view: View | None = None

    # -- a sequence of tasks

    def __len__(self) -> int:
        return len(self._uids)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> Task | Results:
        if isinstance(index, slice):
            return Results(self._session, self._uids[index])
        return self._session.engine.get(self._uids[index])

    @property
    def done(self) -> bool:
        """Whether the work on every task has ended, its downloads included."""
        return all(self._session.engine.future(uid).done() for uid in self._uids)

    # -- waiting

    def wait(self, timeout: float | None = None) -> Results:
        """Wait until all tasks have ended and all files are here; a failed task is not raised.

        Parameters
        ----------
        timeout
            In seconds; None for no limit.

        Raises
        ------
        WaitTimeout
            The time ran out; the tasks go on.
        WaitInterrupted
            The user interrupted the cell; the tasks go on.
        InvalidRequest
            The timeout is not a number of seconds.

        Notes
        -----
        The first two have these results as their attribute ``results``, because the call does not
        return them.

        """
        seconds = check_timeout(timeout)
        futures = [self._session.engine.future(uid) for uid in self._uids]
        try:
            reentrant = self._session.settings.reentrant_wait
            if not wait_for(futures, seconds, reentrant=reentrant):
                raise self._too_soon(seconds)
        except KeyboardInterrupt:
            raise self._interrupted() from None
        self._session.draw_ended()
        self._check_driven()
        return self

    def _give_up(self) -> None:
        """Do the same as an interrupt, and add its message to the output."""
        self._say(self._interrupted().message)

    def _interrupted(self) -> WaitInterrupted:
        """Return an error that counts the tasks; take unsent ones back if the settings say so."""
        engine, taken = self._session.engine, 0
        if self._session.settings.stop_unsent_on_interrupt:
            taken = engine.take_back(self._uids)
        unsent = sum(engine.get(uid).unsent for uid in self._uids)
        words, hint = self._open_words(), "`%modellix wait` takes the wait up again."
        if taken:
            words = f"{taken} not sent yet {'is' if taken == 1 else 'are'} taken back; {words}"
        if unsent:
            words = f"{words}, {unsent} of them not sent yet"
            hint = f"`%modellix stop` takes those back. {hint}"
        stop = WaitInterrupted(f"only the waiting ended; {words}.", hint)
        stop.results = self
        return stop

    def _too_soon(self, seconds: float | None) -> WaitTimeout:
        stop = WaitTimeout(f"{self._open_words()} after {seconds or 0:g} s.")
        stop.results = self
        return stop

    def _check_driven(self) -> None:
        """Raise an error if the session was closed before its tasks had ended."""
        if self._session.closed and any(not task.status.ended for task in self):
            raise ModellixError(
                "The session was closed before its tasks were over.",
                "`%modellix resume` takes them up, where their service still runs.",
            )

    def stop(self) -> Results:
        """Take back the tasks that were not sent, and stop waiting for the others.

        A task that was not sent becomes `rejected` and costs nothing. A task that the service
        already runs goes on there and is charged: `wait` waits for it again.
        """
        self._say(str(self._session.engine.stop(self._uids)))
        return self

    def _say(self, text: str) -> None:
        """Add a note to the output that shows the tasks."""
        if self._view is not None:
            self._view.note(text)

    def block(self) -> None:
        """Wait on a thread without an event loop; for work in the background of a cell."""
        wait_for([self._session.engine.future(uid) for uid in self._uids], reentrant=False)

    def _open_words(self) -> str:
        count = sum(not self._session.engine.future(uid).done() for uid in self._uids)
        return "1 task goes on" if count == 1 else f"{count} tasks go on"

    def __await__(self) -> Generator[Any, None, Results]:
        """Wait in a cell without blocking a thread: ``await results``."""
        return self.wait_async().__await__()

    async def wait_async(self, timeout: float | None = None) -> Results:  # noqa: ASYNC109 - its error is the one of `wait`
        """Wait as `wait` does, without blocking a thread.

        Parameters
        ----------
        timeout
            In seconds; None for no limit.

        Raises
        ------
        WaitTimeout
            The time ran out; the tasks go on.

        """
        seconds = check_timeout(timeout)
        futures = [self._session.engine.future(uid) for uid in self._uids]
        with turning():
            in_time = await wait_async(futures, seconds)
        if not in_time:
            raise self._too_soon(seconds)
        self._session.draw_ended()
        return self

    def check(self) -> Results:
        """Raise the error of the first task, but only if all tasks failed.

        In a comparison, a failure is one cell of the grid, with its reason.
        """
        problems = [self._problem(uid) for uid in self._uids]
        if problems and problems[0] is not None and all(p is not None for p in problems):
            raise problems[0]
        return self

    def _problem(self, uid: str) -> ModellixError | None:
        engine = self._session.engine
        return engine.problem(uid) or engine.get(uid).error()

    # -- files and tables

    @property
    def images(self) -> list[Image]:
        """Every downloaded picture, opened with Pillow, in order; no file is kept open."""
        from io import BytesIO

        from PIL import Image

        from modellix_jupyter.storage.files import local_copy

        paths = [r.path for task in self for r in task.pictures if r.path]
        return [Image.open(BytesIO(local_copy(path).read_bytes())) for path in paths]

    @property
    def paths(self) -> list[Path]:
        """Every downloaded file, in order; of a file that is elsewhere, a copy on this machine."""
        from modellix_jupyter.storage.files import local_copy

        return [local_copy(r.path) for task in self for r in task.resources if r.path]

    def frame(self, by: Literal["task", "resource"] = "task") -> pd.DataFrame:
        """Return the tasks as a table.

        Parameters
        ----------
        by
            One row for each task, or for each resource (a task without any has one row too).

        Returns
        -------
        pandas.DataFrame
            The documented columns, in their order, and one ``param.NAME`` for each parameter.

        """
        from modellix_jupyter.results.frame import ledger_frame

        return ledger_frame(self._session.ledger, self._uids, by)

    def summary(self, by: str | Sequence[str] = "model") -> pd.DataFrame:
        """Return count, success rate, seconds and prices of each model.

        Parameters
        ----------
        by
            The column of the frame to group by, or several.

        Returns
        -------
        pandas.DataFrame
            One row for each group: count, success_rate (of the ended tasks), median_s and p90_s (in
            seconds), images_per_minute, price and price_per_image (in USD).

        """
        from modellix_jupyter.results.summary import summarise

        return summarise(self.frame(), by)

    # -- choosing

    def rate(self, task: Task | int | str, rating: int | None) -> None:
        """Record the rating of a task: from 1 to 5, or None to remove it.

        Parameters
        ----------
        task
            One of these tasks, its index, or its id.
        rating
            Kept in the ledger, and shown in the frame's column ``rating``.

        Raises
        ------
        InvalidRequest
            The rating is not valid, or none of these results is that task.

        """
        if rating is not None and (type(rating) is not int or not 1 <= rating <= BEST):
            raise InvalidRequest(f"{rating!r} is not a rating.", f"A rating is from 1 to {BEST}.")
        self._session.ledger.rate(self._uid(task), rating)

    def note(self, task: Task | int | str, note: str | None) -> None:
        """Record a note on a task, or None to remove it.

        Parameters
        ----------
        task
            One of these tasks, its index, or its id.
        note
            Kept in the ledger, and shown in the frame's column ``note``.

        Raises
        ------
        InvalidRequest
            None of these results is that task.

        """
        self._session.ledger.note(self._uid(task), note)

    def _uid(self, task: object) -> str:
        if not isinstance(task, bool) and isinstance(task, Integral):
            return self._uid_at(int(task))
        wanted = getattr(task, "uid", task)
        known = {one.task_id: one.uid for one in self} | {uid: uid for uid in self._uids}
        if isinstance(wanted, str) and wanted in known:
            return known[wanted]
        raise InvalidRequest(
            f"None of these results is the task {wanted!r:.80}.",
            f"Give its index or its id. {self._index_hint()}",
        )

    def _uid_at(self, index: int) -> str:
        try:
            return self._uids[index]
        except IndexError:
            raise InvalidRequest(f"There is no result {index}.", self._index_hint()) from None

    def _index_hint(self) -> str:
        several = f"There are {len(self)} results, 0 to {len(self) - 1}."
        return {0: "There are none.", 1: "There is 1 result, 0."}.get(len(self), several)

    def save(self, folder: str | Path) -> list[Path]:
        """Copy every file to a folder, named by prompt, model and seed; return the paths."""
        from modellix_jupyter.results.export import save_files

        return save_files(self, folder)

    def export(
        self,
        path: str | Path,
        *,
        format: Literal["folder"] | None = None,  # noqa: A002 - the word that users know for it
        overwrite: bool | None = None,
    ) -> Path:
        """Write the results as a table, a page or a folder.

        Parameters
        ----------
        path
            Its ending chooses a format: csv, json, jsonl, parquet, xlsx with thumbnails, or html
            for a report in one file. A slash at its end makes a folder: the originals, named by
            prompt, model and seed, with ``index.csv`` and ``index.html``.
        format
            ``folder``, if the path does not end with a slash.
        overwrite
            Whether to replace an existing file; by default it is replaced and a message says so.

        Raises
        ------
        InvalidRequest
            A file exists and is not to be replaced, the ending is none of these, the path is that
            of a folder and has no slash at its end, or the folder cannot be written.
        MissingExtra
            The format needs a library that is not installed.

        """
        from modellix_jupyter.results.export import export, is_there

        there = is_there(path)
        if there and overwrite is False:
            raise InvalidRequest(f"{path} is there already.", "Choose another, or overwrite=True.")
        written = export(self.cards, self.frame(), path, format=format)
        if there and overwrite is None:
            print(f"Replaced {written}, which was there already.")  # noqa: T201 - not silently
        return written

    def grid(
        self, *, columns: str | None = None, rows: str | None = None, pages: str | None = None
    ) -> ResultsGrid:
        """Arrange the results in a grid for comparison.

        Parameters
        ----------
        columns, rows
            Each is ``model``, ``prompt``, ``repeat`` or a parameter, such as ``seed``. By default,
            models are across and prompts down; if there is only one of either, a parameter that
            varies takes its place.
        pages
            Another axis, whose values are the headings of sections.

        Returns
        -------
        ResultsGrid
            It shows itself; `save` writes a contact sheet. Above the setting ``output_kb`` its
            thumbnails shrink; if that is not enough, it has several pages: see `page`.

        Raises
        ------
        InvalidRequest
            There is no such axis; the message names the nearest.

        """
        from modellix_jupyter.results.grid import Budget, ResultsGrid, arrange

        grid = arrange(self.cards(), columns=columns, rows=rows, pages=pages)
        settings = self._session.settings
        return ResultsGrid(grid, Budget(settings.output_kb * 1000, settings.picture_kb * 1000))

    def plot(self, kind: Literal["seconds", "price", "success"] = "seconds") -> Axes:
        """Plot seconds by model, price against seconds, or success by model.

        Raises
        ------
        MissingExtra
            matplotlib is not installed.
        InvalidRequest
            There is nothing to plot.

        """
        from modellix_jupyter.results.summary import plot

        return plot(self.frame(), kind)

    def cards(self) -> list[Card]:
        """Return the cards of the tasks."""
        self._session.media.begin(self)
        return [self._session.card(uid) for uid in self._uids]

    # -- showing

    def show(self) -> View | None:
        """Show the tasks here, updated until they end; return None if there are none."""
        self._view = self._session.show(self._uids) if self._uids else None
        return self._view

    def _ipython_display_(self) -> None:
        """Show the tasks, unless the running cell already shows them."""
        if not self._uids:
            print("No tasks.")  # noqa: T201 - this is IPython's hook for showing a value
        elif self._view is None or not self._view.in_running_cell:
            view = self.show()
            if view is not None and self.done:
                view.finish()

    def _repr_html_(self) -> str:
        budget = self._session.settings.output_kb * 1000
        return cards_html(self.cards(), time.time(), budget=budget)

    def _mime_(self) -> tuple[str, str]:
        """Show the tasks in marimo."""
        return "text/html", str(self._repr_html_())  # marimo writes no subclass of str

    def __repr__(self) -> str:
        if not self._uids:
            return "Results of no tasks"
        return cards_text(self.cards(), time.time())


def one_prompt(prompt: object) -> list[str | None]:
    """Return a prompt or a list of prompts as a list.

    Raises
    ------
    InvalidRequest
        It is neither.

    """
    if prompt is None or isinstance(prompt, str):
        return [prompt]
    # a list of bytes or of a mapping would contain numbers or keys, not prompts
    if isinstance(prompt, Iterable) and not isinstance(prompt, bytes | bytearray | Mapping):
        return list(prompt)  # the plan checks each
    raise InvalidRequest(
        f"The prompt is of type {type(prompt).__name__}.", "Give a text, or a list of texts."
    )
