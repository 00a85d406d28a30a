"""What a ``%%modellix`` cell does: plan, submit, show, wait, and return the results."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest, MissingKey
from modellix_jupyter.html.table import table_html, table_text
from modellix_jupyter.notebook.current_session import current
from modellix_jupyter.notebook.functions import run
from modellix_jupyter.notebook.spending import Order, ask_first, confirmed
from modellix_jupyter.planning.cell_options import help_text
from modellix_jupyter.planning.plan import make_plan, plan_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modellix_jupyter.planning.cell_parser import CellCommand
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.values import Request

_PLAN_ROWS = 50
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
    confirm = confirmed if command.yes else ask_first("--yes")
    results = current().submit(requests, confirm=confirm, reuse=reuse, max_usd=command.max_usd)
    if not results:
        return None
    if command.out:
        variables[command.out] = results
    return _finish(results, command, folder)


def _finish(results: Results, command: CellCommand, folder: Path | None) -> Results:
    if folder is not None:
        # beside the wait, so that an interrupt or --no-wait does not lose it
        saver = threading.Thread(
            target=_save_when_done, args=(results, folder), name="modellix-saver", daemon=True
        )
        saver.start()
    if not command.wait:
        results.show()
        return results
    try:
        return run(results, command.timeout)
    finally:
        if folder is not None and results.done:
            saver.join()


def _save_when_done(results: Results, folder: Path) -> None:
    results.block()
    results.save(folder)


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
