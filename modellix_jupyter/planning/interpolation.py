"""``{name}`` in a cell, and the values of options: text to text, and text to JSON.

A brace is ours only where what stands between it and its partner is an identifier and nothing
else. What replaces it is never looked at again, so a variable's own braces, quotes and commas are
safe, and a prompt from a table cannot smuggle in an option.

An option's value is first read as JSON with every variable in its JSON form, and only where that
is no JSON is it text. From this one rule follows that ``--seed {seed}`` is a number for a number,
that ``--vary seed={seeds}`` is a list for a list, that a text which is the whole value stays a
text even if it looks like a number, and that ``--size {w}*{h}`` is text.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from types import ModuleType
from typing import Any, TypeAlias

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.planning.suggestions import did_you_mean
from modellix_jupyter.values import Json

Namespace: TypeAlias = Mapping[str, object] | None
"""The notebook's variables, or None where braces are to be left alone."""

_BRACED = re.compile(r"\{([^{}\s]+)\}")
_LONE_NAME = re.compile(r"\{[^{}\s]+\}")
_BEGINS_AS_JSON = ("[", '"', '{"')
_LITERAL_OR_BRACED = re.compile(r'(?P<literal>"(?:[^"\\]|\\.)*")|\{(?P<name>[^{}\s]+)\}', re.DOTALL)


def interpolate(text: str, namespace: Namespace, *, where: str) -> str:
    """Replace each ``{name}`` by the text of that variable.

    Parameters
    ----------
    text
        A prompt, or the value of an option that is a plain text.
    namespace
        The notebook's variables; None leaves the text as it is.
    where
        What the text is, for the error.

    Returns
    -------
    str
        With ``str()`` of each variable; any other brace as it was.

    Raises
    ------
    InvalidRequest
        If an identifier between braces is not a variable.

    """
    return _replace(text, namespace, where, _text)


def value_of(text: str, namespace: Namespace, *, where: str) -> Json:
    """Read the value of an option: as JSON where it is JSON, else as text.

    Parameters
    ----------
    text
        One whole value, after the line was split.
    namespace
        The notebook's variables; None leaves braces as they are.
    where
        What the text is, for the error.

    Raises
    ------
    InvalidRequest
        If an identifier between braces is not a variable, or a variable holds nan.

    """
    try:
        return as_json(text, namespace, where=where)
    except ValueError:
        return _replace(text, namespace, where, _json_or_text)


def as_json(text: str, namespace: Namespace, *, where: str) -> Json:
    """Read JSON in which a variable may stand for any value, or be part of any text.

    Outside of quotes ``{name}`` is the variable as JSON, so a text brings its own quotes; inside
    of quotes it is escaped, so that it cannot end the text it stands in.

    Raises
    ------
    ValueError
        If the outcome is not JSON.
    InvalidRequest
        If an identifier between braces is not a variable, or a variable holds nan.

    """
    if namespace is None:
        return read_json(text)

    def replacement(match: re.Match[str]) -> str:
        literal = match["literal"]
        if literal is None:
            return _replace(match[0], namespace, where, _json)
        return _replace(literal, namespace, where, _json_escaped)

    return read_json(_LITERAL_OR_BRACED.sub(replacement, text))


def body_of(text: str, namespace: Namespace) -> dict[str, Json]:
    """Read ``--body``: an object, or a variable that is one or holds the text of one.

    Raises
    ------
    InvalidRequest
        If it is no object of JSON, or has a prompt.

    """
    try:
        value = as_json(text, namespace, where="`--body`")
        # A variable may hold the JSON as text, as it was copied from somewhere.
        value = read_json(value) if isinstance(value, str) else value
    except ValueError as problem:
        raise InvalidRequest(
            f"`--body` is not JSON: {problem}.",
            """Put it between single quotes: --body '{"seed": 7, "style": "ink"}'.""",
        ) from None
    if not isinstance(value, dict):
        raise InvalidRequest(
            "`--body` is JSON, but not an object.", """Write names too: --body '{"seed": 7}'."""
        )
    if "prompt" in value:
        raise InvalidRequest(
            "`--body` has a prompt, and the prompt is the text of the cell.",
            "Write it below the first line, and leave it out of --body.",
        )
    return value


def values_of(name: str, text: str, namespace: Namespace) -> tuple[Json, ...]:
    """Read the values to vary a parameter over.

    Parameters
    ----------
    name
        The parameter, for the errors.
    text
        A JSON list, or items between commas, each JSON or text.
    namespace
        The notebook's variables; None leaves braces as they are.

    Returns
    -------
    tuple
        At least one value. A variable that is a list is the list of the values; of a variable
        that is a text each is one value, whatever commas it has.

    Raises
    ------
    InvalidRequest
        If a value is empty, or there is none, or it cannot be told where one ends.

    """
    where = f"`--vary {name}`"
    _refuse_text_list(name, text, namespace)
    whole = _json_or_none(text, namespace, where)
    if whole is None or not isinstance(whole[0], list):
        # Commas inside of quotes and brackets part nothing, which only JSON can tell.
        whole = _json_or_none(f"[{text}]", namespace, where)
    if whole is not None and isinstance(whole[0], list):
        values = whole[0]
    else:
        values = [_item(name, item.strip(), namespace) for item in text.split(",")]
    if not values:
        raise InvalidRequest(
            f"`--vary {name}` has no values.", f"Write them between commas: --vary {name}=a,b,c."
        )
    return tuple(values)


def _json_or_none(text: str, namespace: Namespace, where: str) -> tuple[Json] | None:
    """Return JSON in a tuple of one, because null is JSON too."""
    try:
        return (as_json(text, namespace, where=where),)
    except ValueError:
        return None


def _item(name: str, text: str, namespace: Namespace) -> Json:
    if not text:
        raise InvalidRequest(
            f"`--vary {name}` has an empty value.",
            f"""Write --vary {name}=a,b,c; an empty text is '""'.""",
        )
    where = f"`--vary {name}`"
    value = _json_or_none(text, namespace, where)
    # Half of an object that was cut at its comma is not a text that anybody means to pay for.
    if value is None and text.startswith(_BEGINS_AS_JSON):
        raise InvalidRequest(
            f"`--vary {name}` begins like JSON and is not: {short(text)}.",
            f"""Write the values as a JSON list between single quotes: --vary {name}='["a"]'.""",
        )
    return value_of(text, namespace, where=where) if value is None else value[0]


def _refuse_text_list(name: str, text: str, namespace: Namespace) -> None:
    """Refuse one text variable with commas in it: it would be one value, and look like several."""
    if namespace is None or not _LONE_NAME.fullmatch(text):
        return
    value = namespace.get(text[1:-1])
    if isinstance(value, str) and "," in value:
        raise InvalidRequest(
            f"`--vary {name}={text}` has one text for its values, with commas in it.",
            f"Make the variable a list; if it is one value, write --param {name}={text}.",
        )


def read_json(text: str) -> Json:
    """Read JSON as its standard has it: no NaN, no infinity, no number that becomes one.

    Raises
    ------
    ValueError
        If it is not JSON, or is nested too deep.
    InvalidRequest
        If an object names something twice: only one of the two could be sent.

    """
    try:
        value: Json = json.loads(
            text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_unique
        )
    except RecursionError:
        raise ValueError("nested too deep") from None
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number of JSON")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for name, value in pairs:
        if name in known:
            raise InvalidRequest(
                f"`{short(name)}` is named twice in one object of JSON.", "Name it once."
            )
        known[name] = value
    return known


def _replace(
    text: str, namespace: Namespace, where: str, write: Callable[[str, object], str]
) -> str:
    if namespace is None:
        return text

    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        if not name.isidentifier():
            return match[0]
        # Python itself looks a name up in this form; an "é" typed as two characters has it too.
        key = name if name in namespace else unicodedata.normalize("NFKC", name)
        if key not in namespace:
            raise _unknown(name, namespace, where)
        _refuse_code(name, namespace[key])
        return write(name, namespace[key])

    return _BRACED.sub(replacement, text)


def _refuse_code(name: str, value: object) -> None:
    """Refuse what has no text but its repr, which nobody means to pay for."""
    if isinstance(value, ModuleType | type) or inspect.isroutine(value):
        kind = "module" if isinstance(value, ModuleType) else "function or a class"
        raise InvalidRequest(
            f"The variable `{name}` is a {kind}, and no text.",
            "Use another name; --no-interpolate leaves braces alone.",
        )


def _unknown(name: str, namespace: Mapping[str, object], where: str) -> InvalidRequest:
    names = [known for known in namespace if not known.startswith("_")]
    stay = f"To leave braces alone use --no-interpolate; else set {name} in a cell before."
    return InvalidRequest(
        f"{{{short(name)}}} in {where} is not a variable of this notebook.",
        f"{did_you_mean(name, names, 3)} {stay}".strip(),
    )


def _text(name: str, value: object) -> str:
    try:
        return str(value)
    except Exception as problem:  # a variable's own `__str__` may raise anything
        raise InvalidRequest(
            f"The variable `{name}` has no text: {type(problem).__name__}.",
            "Use another, or a text made from it.",
        ) from problem


def _json(name: str, value: object) -> str:
    encoded = _encoded(name, value)
    return json.dumps(_text(name, value), ensure_ascii=False) if encoded is None else encoded


def _json_or_text(name: str, value: object) -> str:
    encoded = None if isinstance(value, str) else _encoded(name, value)
    # What JSON can only have as a text, such as a path, is better off without the quotes.
    return _text(name, value) if encoded is None or encoded[0] == '"' else encoded


def _json_escaped(name: str, value: object) -> str:
    return json.dumps(_json_or_text(name, value), ensure_ascii=False)[1:-1]


def _encoded(name: str, value: object) -> str | None:
    """Return a variable as JSON, or None where JSON has no form for it."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=_listed)
    except Exception:  # noqa: BLE001 - a variable's own methods may raise anything
        return None
    try:
        json.loads(text, parse_constant=_finite)
    except ValueError:
        raise InvalidRequest(
            f"The variable `{name}` is or holds nan or an infinity, which JSON has not.",
            "Use a number, or None for null.",
        ) from None
    return text


def _listed(value: object) -> object:
    """Return what JSON takes for the scalars and arrays of NumPy and pandas, sets and ranges."""
    if isinstance(value, range):
        return list(value)
    if isinstance(value, AbstractSet):
        # The order of a set may differ from run to run, and what is paid for should not.
        return sorted(value) if _is_ordered(value) else sorted(value, key=repr)
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def _is_ordered(values: AbstractSet[Any]) -> bool:
    kinds = {type(value) for value in values}
    return kinds <= {int, float} or kinds == {str}


def short(text: str, width: int = 60) -> str:
    """Return the beginning of a text, for an error that quotes it."""
    return text if len(text) <= width else f"{text[: width - 3]}..."
