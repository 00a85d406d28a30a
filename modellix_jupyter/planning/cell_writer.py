"""The other way around: the ``%%modellix`` cell that asks for what a click or a task asked for."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.planning.cell_options import option_named, slip_of
from modellix_jupyter.planning.cell_parser import CellCommand, parse_cell
from modellix_jupyter.planning.interpolation import value_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modellix_jupyter.values import Json

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]{0,127}")


def cell_text(
    prompts: Sequence[str | None],
    models: Sequence[str],
    *,
    params: Mapping[str, Json],
    vary: Mapping[str, Sequence[Json]] | None = None,
    repeat: int = 1,
) -> str:
    """Return a cell that, run, makes the same requests; it was read back to be sure.

    Parameters
    ----------
    prompts, models, params, vary, repeat
        As of `make_plan`.

    Raises
    ------
    InvalidRequest
        No cell says this: a prompt has a line of three dashes, say.

    """
    wanted = CellCommand(
        models=tuple(models),
        prompts=tuple(p for p in prompts if p is not None),
        params=dict(params),
        vary={name: tuple(values) for name, values in (vary or {}).items()},
        repeat=repeat,
    )
    body = "\n---\n".join(wanted.prompts)
    for words in _lines(wanted):
        line = " ".join(words)
        if _says(line, body, wanted):
            return f"%%modellix {line}\n{body}\n"
    raise InvalidRequest(
        "This cannot be written as a cell.", "`modellix_jupyter.compare(...)` says it in Python."
    )


def _lines(wanted: CellCommand) -> Iterator[list[str]]:
    """Yield the ways to write the first line, the plainest first."""
    rest = [f"--vary {shlex.quote(_axis(n, values))}" for n, values in wanted.vary.items()]
    rest += [f"--repeat {wanted.repeat}"] if wanted.repeat > 1 else []
    whole = [f"--body {shlex.quote(_json(wanted.params))}"]
    each = [_parameter(name, value) for name, value in wanted.params.items()]
    for given in (each, whole):
        for more in ([], ["--no-interpolate"]):
            yield [*wanted.models, *given, *rest, *more]


def _says(line: str, body: str, wanted: CellCommand) -> bool:
    if "\n" in line or (not body and "--body" not in line):
        return False
    try:
        read = parse_cell(line, body, {})
    except InvalidRequest:
        return False
    same = (read.models, read.prompts, read.repeat) == (
        wanted.models,
        wanted.prompts,
        wanted.repeat,
    )
    # as JSON, in which 1 is not true
    return (
        same
        and _json(read.params) == _json(wanted.params)
        and _json(read.vary) == _json(wanted.vary)
    )


def _parameter(name: str, value: Json) -> str:
    text = _value(value)
    own = option_named(name) or slip_of(name) or not _NAME.fullmatch(name)
    if own:
        return f"--param {shlex.quote(f'{name}={text}')}"
    between = "=" if text.startswith("-") or not text else " "
    return f"--{name}{between}{shlex.quote(text)}"


def _value(value: Json) -> str:
    """Write a value so that it is read as what it is: a text as text, where that is enough."""
    if isinstance(value, str) and "\n" not in value and "{" not in value:
        try:
            if value_of(value, None, where="") == value:
                return value
        except InvalidRequest:
            pass
    return _json(value)


def _axis(name: str, values: Sequence[Json]) -> str:
    plain = [_value(value) for value in values]
    simple = all(re.fullmatch(r"[\w.*-]+", text) for text in plain)
    return f"{name}={','.join(plain) if simple else _json(list(values))}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
