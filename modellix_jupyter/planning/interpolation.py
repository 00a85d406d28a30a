"""Replace ``{name}`` in a cell by variables, and parse the values of options.

Braces are replaced only if there is an identifier and nothing else between them; ``{{name}}``
writes the braces themselves, as in an f-string. Inserted text is never scanned again, so braces,
quotes and commas in a variable are safe, and a prompt from a table cannot add an option.

The value of an option is JSON if it is valid JSON, else text. A value that is only ``{name}``, also
inside of JSON, keeps the type of the variable; with anything else around it, the result is text.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import unicodedata
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from types import ModuleType
from typing import Any, TypeAlias

from modellix_jupyter.errors import InvalidRequest, did_you_mean, short
from modellix_jupyter.planning.inputs import Input, as_json, mapped
from modellix_jupyter.values import Json

# The notebook's variables, or None if braces are not to be replaced.
Namespace: TypeAlias = Mapping[str, object] | None

_DOUBLED = re.compile(r"\{\{([^{}\s]+)\}\}|\{([^{}\s]+)\}")
_BRACED = re.compile(r"\{([^{}\s]+)\}")
_JSON_STARTS = ("[", '"', '{"')


def interpolate(text: str, namespace: Namespace, *, where: str) -> str:
    """Replace each ``{name}`` by ``str()`` of that variable; `where` names the text in errors.

    ``{{name}}`` becomes ``{name}``.
    """
    if namespace is None:
        return text

    def replacement(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not name.isidentifier():
            return match[0]
        return f"{{{name}}}" if match[1] else _text(name, _variable(name, namespace, where))

    return _DOUBLED.sub(replacement, text)


def value_of(text: str, namespace: Namespace, *, where: str) -> Json:
    """Parse the value of an option: a variable, or JSON if it is valid JSON, else text."""
    try:
        return _read_json(text, namespace, where)
    except ValueError:
        return _filled(text, namespace, where)


def body_of(text: str, namespace: Namespace) -> dict[str, Json]:
    """Parse ``--body``: a JSON object, or a variable that is one or has the text of one."""
    try:
        whole = _whole_variable(text, namespace, "`--body`")
        if whole is None:
            value = _read_json(text, namespace, "`--body`")
        else:
            value = _read_json(whole[0]) if isinstance(whole[0], str) else whole[0]
    except ValueError as problem:
        raise InvalidRequest(
            f"`--body` is not JSON: {problem}.",
            """Put it between single quotes: --body '{"seed": 7, "style": "{style}"}'.""",
        ) from None
    if not isinstance(value, dict):
        raise InvalidRequest(
            "`--body` is JSON, but not an object.", """Write names too: --body '{"seed": 7}'."""
        )
    return value


def values_of(name: str, text: str, namespace: Namespace) -> tuple[Json, ...]:
    """Parse the values of a varied parameter: a variable, a JSON list, or items between commas.

    A variable that is a list is the list of the values. An item that is a text variable is one
    value, even if the text has commas.
    """
    where = f"`--vary {name}`"
    whole = _whole_variable(text, namespace, where)
    if whole is not None:
        _refuse_text_list(name, text, whole[0])
        values = whole[0] if isinstance(whole[0], list) else [whole[0]]
    else:
        values = _listed_values(name, text, namespace)
    if not values:
        raise InvalidRequest(
            f"`--vary {name}` has no values.", f"Write them between commas: --vary {name}=a,b,c."
        )
    return tuple(values)


def _listed_values(name: str, text: str, namespace: Namespace) -> list[Json]:
    for candidate in (text, f"[{text}]"):  # only JSON tells which commas are inside of quotes
        try:
            value = _read_json(candidate, namespace, f"`--vary {name}`")
        except ValueError:
            continue
        if isinstance(value, list):
            return value
    return [_item(name, item.strip(), namespace) for item in text.split(",")]


def _item(name: str, text: str, namespace: Namespace) -> Json:
    if not text:
        raise InvalidRequest(
            f"`--vary {name}` has an empty value.",
            f"""Write --vary {name}=a,b,c; an empty text is '""'.""",
        )
    try:
        return _read_json(text, namespace, f"`--vary {name}`")
    except ValueError:
        # part of an object that was split at its comma: a mistake that would be paid for
        if text.startswith(_JSON_STARTS):
            hint = f"""Write a JSON list between single quotes: --vary {name}='["a"]'."""
            message = f"`--vary {name}` begins like JSON and is not: {short(text)}."
            raise InvalidRequest(message, hint) from None
    return _filled(text, namespace, f"`--vary {name}`")


def _refuse_text_list(name: str, text: str, value: Json) -> None:
    """Refuse a single text variable with commas: it would be one value, but looks like several."""
    if isinstance(value, str) and not isinstance(value, Input) and "," in value:
        raise InvalidRequest(
            f"`--vary {name}={text}` has one text for its values, with commas in it.",
            f"Make the variable a list; if it is one value, write --param {name}={text}.",
        )


def _read_json(text: str, namespace: Namespace = None, where: str = "") -> Json:
    """Parse standard JSON (no NaN, no infinity), and replace the variables in its texts."""
    try:
        value = json.loads(
            text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_unique
        )
        return _filled(value, namespace, where)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number of JSON")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, or refuse one with a repeated name: only one of the two could be sent."""
    known: dict[str, Any] = {}
    for name, value in pairs:
        if name in known:
            raise InvalidRequest(
                f"`{short(name)}` is named twice in one object of JSON.", "Name it once."
            )
        known[name] = value
    return known


def _filled(value: Json, namespace: Namespace, where: str) -> Json:
    """Return JSON with the variables in its texts replaced; names in its objects are unchanged."""

    def filled(leaf: Json) -> Json:
        whole = _whole_variable(leaf, namespace, where) if isinstance(leaf, str) else (leaf,)
        return whole[0] if whole else interpolate(str(leaf), namespace, where=where)

    return mapped(value, filled)


def _whole_variable(text: str, namespace: Namespace, where: str) -> tuple[Json] | None:
    """Return a tuple of the variable if it is the whole text, else None; it may itself be null."""
    match = _BRACED.fullmatch(text)
    if namespace is None or match is None or not match[1].isidentifier():
        return None
    value = _variable(match[1], namespace, where)
    return (as_json(value, partial(_json, match[1])),)


def _variable(name: str, namespace: Mapping[str, object], where: str) -> object:
    # Python looks names up in this form, which an "é" typed as two characters also has.
    key = name if name in namespace else unicodedata.normalize("NFKC", name)
    if key not in namespace:
        names = [known for known in namespace if not known.startswith("_")]
        stay = (
            f"To leave braces as they are use --no-interpolate; else set {name} in a cell before."
        )
        raise InvalidRequest(
            f"{{{short(name)}}} in {where} is not a variable of this notebook.",
            f"{did_you_mean(name, names, 3)} {stay}".strip(),
        )
    value = namespace[key]
    # the repr of a function in a prompt is a mistake that would be paid for
    if isinstance(value, ModuleType | type) or inspect.isroutine(value):
        kind = "module" if isinstance(value, ModuleType) else "function or a class"
        raise InvalidRequest(
            f"The variable `{name}` is a {kind}, not a text.",
            "Use another name; --no-interpolate leaves braces as they are.",
        )
    return value


def _text(name: str, value: object) -> str:
    try:
        return str(value)
    except Exception as problem:  # a variable's own `__str__` may raise anything
        raise InvalidRequest(
            f"The variable `{name}` has no text: {type(problem).__name__}.",
            "Use another, or a text made from it.",
        ) from problem


def _json(name: str, value: object) -> Json:
    """Return a variable as JSON, or its text if JSON cannot represent it."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=_listed)
    except Exception:  # noqa: BLE001 - a variable's own methods may raise anything
        return _text(name, value)
    try:
        plain: Json = json.loads(text, parse_constant=_finite)
    except ValueError:
        raise InvalidRequest(
            f"The variable `{name}` is or contains NaN or infinity, which JSON does not have.",
            "Use a number, or None for null.",
        ) from None
    return plain


def _listed(value: object) -> object:
    """Return a JSON value for a scalar or an array of NumPy or pandas, a set or a range."""
    if isinstance(value, range):
        return list(value)
    if isinstance(value, AbstractSet):
        # The order of a set may differ between runs; requests that are paid for must not.
        return sorted(value) if _is_ordered(value) else sorted(value, key=repr)
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def _is_ordered(values: AbstractSet[Any]) -> bool:
    kinds = {type(value) for value in values}
    return kinds <= {int, float} or kinds == {str}
