"""The commands of ``%modellix``, a function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.formatting import price_range
from modellix_jupyter.magic.cells import show_table
from modellix_jupyter.notebook.current_session import configure, current
from modellix_jupyter.notebook.functions import run, sandbox
from modellix_jupyter.planning.cell_options import help_text
from modellix_jupyter.planning.describe import (
    COLUMNS,
    describe,
    example_cell,
    forms_in_words,
    unchecked_in_words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modellix_jupyter.planning.cell_parser import LineCommand


def run_command(command: LineCommand) -> object:
    """Do what a line asks for, and return its value for ``_``."""
    return COMMAND_FUNCTIONS[command.name](command.arguments)


def _key(_: Sequence[str]) -> None:
    """Ask for a key, check it with the service, use it, and offer to keep it."""
    from modellix_jupyter.keys import SecretKey, store
    from modellix_jupyter.notebook.doctor import validate_key
    from modellix_jupyter.notebook.spending import ask, ask_hidden

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
    caption = f"{len(found)} models" + (f" that match “{text.lower()}”" if text else "")
    show_table(["model", "type", "price", "description"], rows, caption=caption)


def _describe(arguments: Sequence[str]) -> None:
    session, named = current(), arguments[0]
    model, schema = session.look_up(named)
    rows = [list(row.values()) for row in describe(schema)]
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
    from modellix_jupyter.notebook.recovery import report, resolve_unknown

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
    return current().history("all" if arguments else None)


def _budget(arguments: Sequence[str]) -> None:
    from modellix_jupyter.notebook.budget import budget

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
