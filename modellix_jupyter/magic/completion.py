"""Completion of models, options, parameters and commands, for cells and lines of ours.

A completion must never be slow: names that are not known yet are read in the background, and
offered the next time.
"""

from __future__ import annotations

import re
from operator import methodcaller
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.completer import CompletionContext
    from IPython.core.interactiveshell import InteractiveShell

    from modellix_jupyter.planning.schema import ModelSchema

_CELL = re.compile(r"^%%modellix\s")
_LINE = re.compile(r"^\s*%modellix\s+")
_NAME = "modellix"
# How long a completion waits for the service, in seconds.
PATIENCE_S = 0.4


def complete(line: str) -> list[str]:
    """Return the completions of the last word of a line that ends at the cursor."""
    words = line.split()
    last = _last_word(line)
    words = words[: len(words) - bool(last)]
    if _LINE.match(line):
        known = _in_line(words)
    elif _CELL.match(line):
        known = _in_cell(words, last)
    else:
        known = []
    return _fitting(known, last)


def _fitting(known: list[str], word: str) -> list[str]:
    """Return the names that begin with a word, or else those that contain it."""
    part = word.removeprefix("--").lower()
    return [each for each in known if each.startswith(word)] or [
        each for each in known if part and part in each.lower()
    ]


def _in_line(words: list[str]) -> list[str]:
    from modellix_jupyter.planning.cell_options import COMMANDS

    if words[1:] == ["describe"]:
        return _models()
    return [command.name for command in COMMANDS] if len(words) == 1 else []


def _models() -> list[str]:
    return [model.slug for model in _soon(methodcaller("models")) or ()]


def _in_cell(words: list[str], last: str) -> list[str]:
    models = [word for word in words[1:] if "/" in word and not word.startswith("-")]
    if last.startswith("-"):
        return _options(models)
    before = words[-1] if words else ""
    if before in {"--vary", "--param"}:
        return _settings(models, last)
    if before.startswith("--"):
        return _values(models, before.removeprefix("--").replace("-", "_"))
    return _models()


def _options(models: list[str]) -> list[str]:
    from modellix_jupyter.planning.cell_options import OPTIONS

    ours = [f"--{option.name}" for option in OPTIONS]
    return ours + [f"--{name.replace('_', '-')}" for name in _names(models)]


def _names(models: list[str]) -> list[str]:
    names = {
        name
        for schema in _schemas(models)
        for name in schema.parameters
        if name != schema.prompt_parameter
    }
    return sorted(names)


def _settings(models: list[str], last: str) -> list[str]:
    """Return ``NAME=`` for each parameter, and ``NAME=VALUE`` after the name of one."""
    name, equals, _ = last.partition("=")
    if not equals:
        return [f"{each}=" for each in _names(models)]
    return [f"{name}={value}" for value in _values(models, name)]


def _values(models: list[str], name: str) -> list[str]:
    found = [schema.parameters.get(name) for schema in _schemas(models)]
    booleans = ("true", "false")
    return [
        str(value)
        for parameter in found
        if parameter
        for value in parameter.enum or (booleans if parameter.type == "boolean" else ())
    ]


def _schemas(models: list[str]) -> list[ModelSchema]:
    found = [_soon(methodcaller("schema", model)) for model in models]
    return [schema for schema in found if schema is not None]


def _soon(ask: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - the caller decides the type
    """Ask the session on a thread; after a moment stop waiting, but not asking."""
    import threading

    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.notebook.current_session import current

    answer: list[Any] = []

    def run() -> None:
        try:
            answer.append(ask(current()))
        except ModellixError:
            return

    thread = threading.Thread(target=run, name="modellix-complete", daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return answer[0] if answer else None


def _matcher(context: CompletionContext) -> dict[str, Any]:
    """Answer IPython's completer, by version 2 of its interface."""
    from IPython.core.completer import SimpleCompletion

    line = context.line_with_cursor[: context.cursor_position]
    found = complete(line)
    return {
        "completions": [SimpleCompletion(text=text, type="modellix") for text in found],
        "matched_fragment": _last_word(line),
        "suppress": bool(found),
    }


def _matcher_of_7(ip: InteractiveShell) -> Callable[[str], list[str]]:
    """Return a matcher for IPython 7, which Colab runs.

    In a word with a sign in it, such as 1024*1024, IPython 7 replaces only the last part.
    """

    def matcher(_: str) -> list[str]:
        line = ip.Completer.text_until_cursor
        word, found = _last_word(line), complete(line)
        part: str = ip.Completer.splitter.split_line(line)  # type: ignore[no-untyped-call]  # IPython has no types here
        kept = len(word) - len(part)
        return [each[kept:] for each in found if kept == 0 or each.startswith(word)]

    matcher.matcher_identifier = _NAME  # type: ignore[attr-defined]  # as on matchers of later versions
    return matcher


def _last_word(line: str) -> str:
    return re.split(r"\s", line)[-1]


def register(ip: InteractiveShell) -> None:
    """Complete in this shell from now on."""
    try:
        from IPython.core.completer import context_matcher
    except ImportError:
        # beside the answers of a custom matcher, IPython 7 offers Python's names and all magics
        ip.Completer.magic_arg_matchers.append(_matcher_of_7(ip))
    else:
        ip.Completer.custom_matchers.append(context_matcher(identifier=_NAME)(_matcher))


def unregister(ip: InteractiveShell) -> None:
    """Stop completing in this shell."""
    for name in ("custom_matchers", "magic_arg_matchers"):
        matchers = getattr(ip.Completer, name, [])
        matchers[:] = [m for m in matchers if getattr(m, "matcher_identifier", "") != _NAME]
