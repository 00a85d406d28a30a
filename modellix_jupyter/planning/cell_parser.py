"""Parse ``%%modellix`` and ``%modellix`` into values, and write a request as a cell.

A line is split as a shell splits it. Then each word is classified as a model, an option or a
parameter. Only then are variables inserted and values parsed, so no variable can add a word.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from modellix_jupyter.errors import InvalidRequest, did_you_mean, short, suggest
from modellix_jupyter.planning.cell_options import (
    COMMANDS,
    OPTIONS,
    Command,
    Option,
    folder_of,
    option_named,
    repeat_of,
    seconds_of,
    typo_of,
    usd_of,
    variable_of,
)
from modellix_jupyter.planning.interpolation import (
    Namespace,
    body_of,
    interpolate,
    value_of,
    values_of,
)
from modellix_jupyter.planning.plan import EXAMPLE_MODEL, check_slug
from modellix_jupyter.values import Json

_PARAMETER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]{0,127}")
_OPTION = re.compile(r"--(?P<name>[^\s=-][^\s=]*)(?:=(?P<value>.*))?", re.DOTALL)
T = TypeVar("T")
_SEPARATOR = re.compile(r"^[^\S\n]*---[^\S\n]*$", re.MULTILINE)
_DASHES = ("-", "\N{EN DASH}", "\N{EM DASH}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCommand:
    """One parsed ``%%modellix`` cell; with ``--help``, nothing else is parsed.

    `params` has the parameters of ``--NAME``, ``--param`` and ``--body``, but none of `vary`. A
    cell with parameters may have no prompt: it is one request without a prompt, since some models
    take none, as their schema says.
    """

    models: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    params: dict[str, Json] = field(default_factory=dict)
    vary: dict[str, tuple[Json, ...]] = field(default_factory=dict)
    repeat: int = 1
    out: str | None = None
    wait: bool = True
    timeout: float | None = None
    dry_run: bool = False
    yes: bool = False
    max_usd: float | None = None
    reuse: str = ""
    save: str | None = None
    help: bool = False


@dataclass(frozen=True, slots=True)
class LineCommand:
    """A command of `COMMANDS`, with a number of arguments that it takes."""

    name: str
    arguments: tuple[str, ...] = ()


def parse_cell(line: str, body: str, namespace: Mapping[str, object] | None = None) -> CellCommand:
    """Parse a ``%%modellix`` cell; without a namespace, no brace is replaced."""
    words = _words(line)
    if "--help" in words:
        return CellCommand(help=True)
    given = _sort(words)
    variables = None if "no-interpolate" in given.options else namespace
    options = {
        name: interpolate(value, variables, where=f"`--{name}`")
        for name, value in given.options.items()
        if name != "body"
    }
    params, vary = _parameters(given, variables)
    if "fresh" in options and "reuse" in options:
        raise InvalidRequest("`--fresh` and `--reuse` are both given.", "Give one of them.")
    return CellCommand(
        models=_models(given.models, variables),
        prompts=_prompts(body, variables, needed=not (params or vary or "body" in given.options)),
        params=params,
        vary=vary,
        repeat=repeat_of(options.get("repeat", "1")),
        out=_read(options, "out", variable_of),
        wait="no-wait" not in options,
        timeout=_read(options, "timeout", seconds_of),
        dry_run="dry-run" in options,
        yes="yes" in options,
        max_usd=_read(options, "max-usd", usd_of),
        reuse="off" if "fresh" in options else "always" if "reuse" in options else "",
        save=_read(options, "save", folder_of),
    )


def _read(options: Mapping[str, str], name: str, reader: Callable[[str], T]) -> T | None:
    return reader(options[name]) if name in options else None


def parse_line(line: str) -> LineCommand:
    """Parse a ``%modellix`` line; an empty one is ``help``."""
    name, *arguments = _words(line) or ["help"]
    if name in {"--help", "-h"}:
        return LineCommand("help")
    command = next((known for known in COMMANDS if known.name == name), None)
    if command is not None:
        return LineCommand(name, _arguments(command, arguments))
    suggestion = did_you_mean(name, [known.name for known in COMMANDS])
    hint = f"{suggestion} `%modellix help` lists them.".strip()
    if "/" in name:
        hint = "A model is called by a cell: %%modellix, with two percent signs, on its first line."
    raise InvalidRequest(f"`{short(name)}` is not a command of %modellix.", hint)


def _arguments(command: Command, words: list[str]) -> tuple[str, ...]:
    # A search is one text, with or without quotes around it.
    words = [" ".join(words)] if words and command.metavar == "[TEXT]" else words
    if command.metavar == "[TASK_ID ...]":
        _refuse_options(command, words)
    if command.takes(len(words)):
        return tuple(words)
    here = f"`{short(' '.join(words))}`" if words else "nothing"
    quotes = ", spaces between quotes" if command.metavar == "PATH" else ""
    raise InvalidRequest(
        f"`%modellix {command.name}` takes {command.metavar or 'nothing'}; here is {here}.",
        f"Write `%modellix {command.usage}`{quotes}.",
    )


def _refuse_options(command: Command, words: list[str]) -> None:
    option = next((word for word in words if word.startswith("-")), None)
    if option is not None:
        raise InvalidRequest(
            f"`%modellix {command.name}` has no options and asks nothing; here is "
            f"`{short(option)}`.",
            f"Write `%modellix {command.name}` for every task, or put the ids of some after it.",
        )


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=False, posix=True)
    except ValueError as problem:
        what = "a backslash at its end" if "escape" in str(problem) else "a quote that never ends"
        raise InvalidRequest(
            f"The line has {what}.",
            """A value with an apostrophe goes between double quotes: --style "a painter's".""",
        ) from None


@dataclass(slots=True)
class _Given:
    """The classified words of a line, still as text.

    Each of `params` is: whether it varies, its place for errors, its name, and its value.
    """

    models: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    params: list[tuple[bool, str, str, str]] = field(default_factory=list)


def _sort(words: list[str]) -> _Given:
    given, rest = _Given(), deque(words)
    while rest:
        word = rest.popleft()
        if match := _OPTION.fullmatch(word):
            _take(given, match["name"], match["value"], rest)
        else:
            given.models.append(word)
    return given


def _take(given: _Given, name: str, value: str | None, rest: deque[str]) -> None:
    """Store one option, and its value, which may be the next word."""
    option = option_named(name)
    if option is None:
        _refuse_typo(name)
    elif option.metavar is None:
        if value is not None:
            raise InvalidRequest(
                f"`--{option.name}` takes no value, and here it has one.",
                f"Write --{option.name} alone, or leave it out.",
            )
        value = ""
    text = _value(name, option, rest) if value is None else value
    if option is None:
        given.params.append((False, f"`--{short(name)}`", name, text))
    elif option.repeatable:
        where = f"`--{option.name} {short(text)}`"
        parameter, equals, text = text.partition("=")
        if not equals:
            hint = f"Write {option.usage}, with no space around the sign."
            raise InvalidRequest(f"{where} has no equals sign.", hint)
        given.params.append((option.name == "vary", where, parameter, text))
    elif option.name in given.options:
        raise InvalidRequest(f"`--{option.name}` is given twice.", "Give it once.")
    else:
        given.options[option.name] = text


def _value(name: str, option: Option | None, rest: deque[str]) -> str:
    if rest and not _OPTION.fullmatch(rest[0]):
        return rest.popleft()
    message = f"`--{short(name)}` has no value."
    if option is not None:
        raise InvalidRequest(message, f"Write {option.usage}.")
    similar = suggest(name, [known.name for known in OPTIONS], 1)
    suggestion = f"Did you mean `--{similar[0]}`? " if similar else ""
    hint = f"A boolean is written --{name} true, and a value like an option --{name}=--VALUE."
    raise InvalidRequest(message, suggestion + hint)


def _refuse_typo(name: str) -> None:
    option = typo_of(name)
    if option is not None:
        message = f"`--{name}` is not an option, and is very like `--{option.name}`."
        parameter = f"--param {name.replace('-', '_')}=VALUE"
        hint = f"Did you mean `{option.usage}`? If it is a parameter of the model: {parameter}."
        raise InvalidRequest(message, hint)


def _parameters(
    given: _Given, variables: Namespace
) -> tuple[dict[str, Json], dict[str, tuple[Json, ...]]]:
    raw = given.options.get("body")
    params = {} if raw is None else body_of(raw, variables)
    vary: dict[str, tuple[Json, ...]] = {}
    for varies, where, written, text in given.params:
        name = _parameter_name(written, variables, where)
        if name in params or name in vary:
            raise InvalidRequest(
                f"The parameter `{name}` is given twice.",
                f"Give it once; several values: --vary {name}=a,b,c.",
            )
        if varies:
            vary[name] = values_of(name, text, variables)
        else:
            params[name] = value_of(text, variables, where=where)
    if "prompt" in params or "prompt" in vary:
        raise InvalidRequest(
            "The prompt is the text of the cell, and not an option.",
            "Write it below the first line; a line of three dashes separates several.",
        )
    return params, vary


def _parameter_name(written: str, variables: Namespace, where: str) -> str:
    name = interpolate(written, variables, where=where).replace("-", "_")
    if not _PARAMETER.fullmatch(name):
        raise InvalidRequest(
            f"`{short(name)}` in {where} is not the name of a parameter.",
            "A name has letters, digits, dashes, dots and underscores.",
        )
    return name


def _models(words: list[str], variables: Namespace) -> tuple[str, ...]:
    if not words:
        raise InvalidRequest(
            "The first line names no model.", f"Begin it with one: %%modellix {EXAMPLE_MODEL}."
        )
    return tuple(_model(interpolate(word, variables, where="the models")) for word in words)


def _model(word: str) -> str:
    if word.startswith(_DASHES):
        raise InvalidRequest(
            f"`{short(word)}` is neither a model nor an option.",
            "An option begins with two plain dashes: --seed 7.",
        )
    try:
        return check_slug(word)
    except InvalidRequest as problem:
        rest = "The prompt is below this line; a value with spaces needs quotes."
        problem.hint = f"{problem.hint} {rest}"
        raise


def split_prompts(body: str) -> list[str]:
    """Return the prompts of a text, separated by lines of three dashes; none if it is blank.

    Raises `InvalidRequest` if the text contains another cell.
    """
    if any(line.lstrip().startswith("%%modellix") for line in body.splitlines()):
        raise InvalidRequest(
            "A line of the prompt begins with `%%modellix`: several cells were pasted into one.",
            "Nothing was sent; put each into a cell of its own.",
        )
    return [part.strip() for part in _SEPARATOR.split(body)] if body.strip() else []


def _prompts(body: str, variables: Namespace, *, needed: bool) -> tuple[str, ...]:
    if not body.strip():
        if needed:
            raise InvalidRequest("The cell has no prompt.", "Write it below the first line.")
        return ()
    _refuse_misplaced_option(body)
    parts = split_prompts(body)
    count = f" of {len(parts)}" if parts[1:] else ""
    return tuple(
        _prompt(part, variables, f"prompt {index}{count}" if count else "the prompt")
        for index, part in enumerate(parts, 1)
    )


def _refuse_misplaced_option(body: str) -> None:
    """Refuse a prompt that begins with an option: options belong in the first line."""
    option = _OPTION.fullmatch(body.split(maxsplit=1)[0])
    if option and _PARAMETER.fullmatch(option["name"].replace("-", "_")):
        raise InvalidRequest(
            f"The prompt begins with `--{short(option['name'])}`: options belong in the first "
            "line, after the model.",
            "Nothing was sent; move it there or, if it is the prompt, put a word before it.",
        )


def _prompt(text: str, variables: Namespace, where: str) -> str:
    prompt = interpolate(text, variables, where=where)
    if not prompt.strip():
        hint = "A line of three dashes stands between two prompts; write one on each side."
        single = "Its variables have no text."
        raise InvalidRequest(f"{where.capitalize()} is empty.", hint if " of " in where else single)
    return prompt


# -- from a request to a cell


def cell_text(prompt: str | None, model: str, params: Mapping[str, Json]) -> str:
    """Return a cell that makes a request, verified by parsing it."""
    each = " ".join(_parameter_text(name, value) for name, value in params.items())
    for given in (each, f"--body {shlex.quote(_json(params))}"):  # the simplest form first
        for more in ("", "--no-interpolate"):
            line = " ".join(part for part in (model, given, more) if part)
            if _says(line, prompt, model, params):
                return f"%%modellix {line}\n{prompt or ''}\n"
    raise InvalidRequest(
        "This cannot be written as a cell.", "`modellix_jupyter.generate(...)` says it in Python."
    )


def _says(line: str, prompt: str | None, model: str, params: Mapping[str, Json]) -> bool:
    if "\n" in line:
        return False
    try:
        read = parse_cell(line, prompt or "", {})
    except InvalidRequest:
        return False
    prompts = () if prompt is None else (prompt,)
    # params are compared as JSON, in which 1 is not true
    return (read.models, read.prompts, _json(read.params)) == ((model,), prompts, _json(params))


def _parameter_text(name: str, value: Json) -> str:
    text = _value_text(value)
    own = option_named(name) or typo_of(name) or not _PARAMETER.fullmatch(name)
    if own:
        return f"--param {shlex.quote(f'{name}={text}')}"
    between = "=" if text.startswith("-") or not text else " "
    return f"--{name}{between}{shlex.quote(text)}"


def _value_text(value: Json) -> str:
    """Return a text from which the same value is parsed: a text unchanged if possible, or JSON."""
    if isinstance(value, str) and "\n" not in value and "{" not in value:
        with suppress(InvalidRequest):
            if value_of(value, None, where="") == value:
                return value
    return _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
