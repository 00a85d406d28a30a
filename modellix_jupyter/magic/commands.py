"""Runs a ``%%modellix`` cell, and each command of ``%modellix`` in a function of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from modellix_jupyter.errors import InvalidRequest, MissingKey, ModellixError
from modellix_jupyter.html.formatting import price_range
from modellix_jupyter.html.table import table_html, table_text
from modellix_jupyter.keys import SecretKey, store
from modellix_jupyter.notebook.current_session import configure, current
from modellix_jupyter.notebook.display import connect_viewer
from modellix_jupyter.notebook.functions import budget, run, sandbox
from modellix_jupyter.notebook.recovery import report, resolve_unknown
from modellix_jupyter.notebook.spending import Order, ask, ask_first, ask_hidden
from modellix_jupyter.planning.cell_options import help_text
from modellix_jupyter.planning.cell_parser import CellCommand, LineCommand
from modellix_jupyter.planning.plan import EXAMPLE_MODEL, make_plan, plan_rows
from modellix_jupyter.planning.schema import (
    COLUMNS,
    example_cell,
    forms_in_words,
    parameter_rows,
    unchecked_in_words,
)
from modellix_jupyter.results.results import Results
from modellix_jupyter.values import Request

_PLAN_ROWS = 50
_NO_TASK = (
    f"No task was sent yet: a cell that begins with `%%modellix {EXAMPLE_MODEL}` sends the prompt "
    "below that line."
)
_NOT_HERE = "No task was sent to this service yet: `%modellix history --all` has those of others."
_KEPT = "The originals are kept: `Results.save` copies them too."
# The width of a table in a terminal, which wraps longer lines; a cut name would be useless.
_WIDEST = 400


def run_cell(command: CellCommand, variables: dict[str, object]) -> Results | None:
    """Run a cell; return None if nothing was sent, after a dry run or a no."""
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
    if command.dry_run:
        _show_plan(_order_if_possible(requests, command.reuse), command)
        return None
    folder = _prepared(command.save)
    confirm = ask_first("--yes", yes=command.yes)
    results = current().submit(
        requests, confirm=confirm, reuse=command.reuse, max_usd=command.max_usd
    )
    if not results:
        return None
    if command.out:
        variables[command.out] = results
    return _finish(results, command, folder)


def _finish(results: Results, command: CellCommand, folder: Path | None) -> Results:
    # on its own thread, so that an interrupt or --no-wait does not lose it
    saving = _save_when_done(results, folder)
    if not command.wait:
        results.show()
        _note_failure(saving, results)
        return results
    try:
        run(results, command.timeout)
    except BaseException:
        if results.done:
            wait([saving])
        _note_failure(saving, results)
        raise
    saving.result()
    return results


def _save_when_done(results: Results, folder: Path | None) -> Future[None]:
    """Copy the files when they are downloaded; the process does not exit during a copy."""
    if folder is None:
        nothing: Future[None] = Future()
        nothing.set_result(None)
        return nothing

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


def _note_failure(saving: Future[None], results: Results) -> None:
    """Say below the results of an ended cell why they were not copied."""

    def note(saved: Future[None]) -> None:
        error = saved.exception()
        if isinstance(error, ModellixError):
            results._say(f"{error.message} {error.hint}")  # noqa: SLF001 - not for users to call

    saving.add_done_callback(note)


def _prepared(save: str | None) -> Path | None:
    """Make the folder before anything is sent: if it cannot be made, nothing was paid."""
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
    """Check and price the requests if there is a key; a dry run needs none."""
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


# -- lines


def run_command(command: LineCommand) -> object:
    """Run a line, and return its value for ``_``."""
    return COMMAND_FUNCTIONS[command.name](command.arguments)


def _key(_: Sequence[str]) -> None:
    """Ask for a key, check it with the service, use it, and offer to keep it."""
    from modellix_jupyter.notebook.doctor import validate_key

    key = SecretKey(ask_hidden("Modellix API key (not shown): "), "`%modellix key`")
    found = validate_key(key, current().settings)
    session = configure(current().settings, key=key)
    print(f"{found} in use in this kernel.")
    try:
        keep = ask("Keep it on this machine for later kernels?", otherwise="Not kept.")
    except InvalidRequest:
        keep = False
    if keep:
        print(f"Kept in {store(key, session.home / 'key', session.settings.base_url)}.")


def _doctor(_: Sequence[str]) -> None:
    from modellix_jupyter.notebook.doctor import examine

    checks = examine(current())
    rows = [[check.mark, check.name, check.detail] for check in checks]
    show_table(["", "what", "how it is"], rows)


def _models(arguments: Sequence[str]) -> None:
    text = arguments[0] if arguments else ""
    found = current().find_models(text)
    rows = [[m.slug, m.type, price_range(m.price), m.description] for m in found]
    count, verb = ("1 model", "matches") if len(found) == 1 else (f"{len(found)} models", "match")
    caption = count + (f" that {verb} “{text.lower()}”" if text else "")
    show_table(["model", "type", "price", "description"], rows, caption=caption)


def _describe(arguments: Sequence[str]) -> None:
    session, named = current(), arguments[0]
    model, schema = session.look_up(named)
    rows = [list(row.values()) for row in parameter_rows(schema)]
    price = price_range(model.price) or "no price is known"
    words = (model.description, forms_in_words(schema), unchecked_in_words(schema))
    told = " ".join(filter(None, words))
    caption = f"{model.slug} ({model.type}), {price}. {told}".strip()
    show_table(COLUMNS, rows, caption=caption)
    print(f"\n{example_cell(model.slug, schema)}")


def _wait(arguments: Sequence[str]) -> object:
    session = current()
    results = session.find(arguments) if arguments else session.resume()
    if not results:
        print("Nothing is unfinished.")
        return None
    return run(results, raising=False)


def _resume(arguments: Sequence[str]) -> object:
    session = current()
    if arguments:
        results = session.results(resolve_unknown(session, arguments))
        if not results:
            print("Nothing was taken up.")
    else:
        ended = session.end_ended()
        results = session.resume(revive=True)
        for line in report(session, results, ended):
            print(line)
    return run(results, raising=False) if results else None


def _history(arguments: Sequence[str]) -> object:
    if not set(arguments) <= {"--all"}:
        raise InvalidRequest(
            f"`{arguments[0]}` is not an option of `%modellix history`.",
            "`%modellix history --all` shows the tasks of every service.",
        )
    from modellix_jupyter.results.history_frame import HistoryFrame

    session = current()
    frame = HistoryFrame(session.history("all" if arguments else None))
    if len(frame):
        connect_viewer()
        return frame
    elsewhere = session.ledger.count()
    if arguments and elsewhere:
        return frame
    print(_NOT_HERE if elsewhere else _NO_TASK)
    return None


def _budget(arguments: Sequence[str]) -> None:
    print(budget(arguments[0] if arguments else None))


def _stop(arguments: Sequence[str]) -> None:
    session = current()
    print(session.stop([session.find_task(name) for name in arguments] or None))


def _panel(_: Sequence[str]) -> object:
    from modellix_jupyter import panel

    return panel()


def _export(arguments: Sequence[str]) -> None:
    from modellix_jupyter.results.export import is_there

    said = "Replaced" if is_there(arguments[0]) else "Written"
    print(f"{said}: {current().export_history(arguments[0])}")


COMMAND_FUNCTIONS: dict[str, Callable[[Sequence[str]], object]] = {
    "help": lambda _: print(help_text()),
    "key": _key,
    "doctor": _doctor,
    "models": _models,
    "describe": _describe,
    "history": _history,
    "wait": _wait,
    "resume": _resume,
    "budget": _budget,
    "stop": _stop,
    "panel": _panel,
    "export": _export,
    "balance": lambda _: print(f"{current().balance():.2f} USD"),
    "sandbox": lambda _: sandbox(),
}
