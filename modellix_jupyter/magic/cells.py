"""What a ``%%modellix`` cell does: plan, submit, show, wait, and return the results."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest, MissingKey, ModellixError
from modellix_jupyter.html.table import table_html, table_text
from modellix_jupyter.notebook.current_session import current
from modellix_jupyter.notebook.functions import run
from modellix_jupyter.notebook.spending import Order, ask_first
from modellix_jupyter.planning.cell_options import help_text
from modellix_jupyter.planning.plan import make_plan, plan_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modellix_jupyter.planning.cell_parser import CellCommand
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.values import Request

_PLAN_ROWS = 50
_KEPT = "The originals are kept: `Results.save` copies them too."
# Columns of a table in a terminal, which wraps longer lines; a name that is cut is no use.
_WIDEST = 400


def run_cell(command: CellCommand, variables: dict[str, object]) -> Results | None:
    """Do what a cell asks for; return None where nothing was sent: a dry run, or a no."""
    if command.help:
        print(help_text())
        return None
    requests = make_plan(
        command.prompts or (None,),
        command.models,
        params=command.params,
        vary=command.vary,
        repeat=command.repeat,
    )
    reuse = "off" if command.fresh else "always" if command.reuse else ""
    if command.dry_run:
        _show_plan(_order_if_possible(requests, reuse), command)
        return None
    folder = _prepared(command.save)
    confirm = ask_first("--yes", yes=command.yes)
    results = current().submit(requests, confirm=confirm, reuse=reuse, max_usd=command.max_usd)
    if not results:
        return None
    if command.out:
        variables[command.out] = results
    return _finish(results, command, folder)


def _finish(results: Results, command: CellCommand, folder: Path | None) -> Results:
    # beside the wait, so that an interrupt or --no-wait does not lose it
    saving = None if folder is None else _save_when_done(results, folder)
    if not command.wait:
        results.show()
        _note_failure(saving, results)
        return results
    try:
        run(results, command.timeout)
    except BaseException:
        if saving is not None and results.done:
            wait([saving])
        _note_failure(saving, results)
        raise
    if saving is not None:
        saving.result()
    return results


def _save_when_done(results: Results, folder: Path) -> Future[None]:
    """Copy the files once they are here; a copy that was begun is ended before the process is."""

    def save() -> None:
        results.block()
        try:
            results.save(folder)
        except ModellixError as error:
            raise InvalidRequest(f"--save: {error.message}", f"{_KEPT} {error.hint}") from None

    pool = ThreadPoolExecutor(1, "modellix-saver")
    saving = pool.submit(save)
    pool.shutdown(wait=False)
    return saving


def _note_failure(saving: Future[None] | None, results: Results) -> None:
    """Say below the results of a cell that has ended that they were not copied."""

    def note(saved: Future[None]) -> None:
        error = saved.exception()
        if isinstance(error, ModellixError):
            results._say(f"{error.message} {error.hint}")  # noqa: SLF001 - nothing that its user calls

    if saving is not None:
        saving.add_done_callback(note)


def _prepared(save: str | None) -> Path | None:
    """Make the folder before anything is sent: a folder that cannot be made costs nothing then."""
    if save is None:
        return None
    folder = Path(save).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest(
            f"The folder {folder} of --save cannot be made: {error.strerror}.",
            "Nothing was sent; choose another.",
        ) from error
    return folder


def _order_if_possible(requests: Sequence[Request], reuse: str) -> Order:
    """Check the requests too, where there is a key: a dry run needs none."""
    session = current()
    try:
        return session.order(requests, reuse=reuse)
    except MissingKey:
        nothing = [None] * len(requests)
        return Order(requests, (), nothing, frozenset(), {}, session.settings)


def _show_plan(order: Order, command: CellCommand) -> None:
    rows = plan_rows(order.requests, command.repeat)
    for row, price in zip(rows, order.price_words(), strict=True):
        row["price"] = price
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = [[row.get(name) for name in columns] for row in rows[:_PLAN_ROWS]]
    more = f"; the first {_PLAN_ROWS} are shown" if len(rows) > _PLAN_ROWS else ""
    show_table(columns, shown, caption=f"{order.words}; nothing was sent{more}.")
    order.check_limit(command.max_usd)


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str | None = None
) -> None:
    """Show a table in the cell that runs."""
    from IPython.display import display

    text = table_text(columns, rows, width=_WIDEST)
    display(  # type: ignore[no-untyped-call]  # IPython has no types here
        {
            "text/html": table_html(columns, rows, caption=caption),
            "text/plain": f"{caption}\n{text}" if caption else text,
        },
        raw=True,
    )
