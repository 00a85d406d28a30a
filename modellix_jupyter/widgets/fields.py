"""One field of the form for each parameter of a model's schema, and its value as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.planning.interpolation import value_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from modellix_jupyter.planning.schema import Parameter
    from modellix_jupyter.values import Json

NOT_SET = "not set"
LONG_TEXT = 200
"""Characters from which on a text gets several lines."""
WIDE = {"width": "auto", "min_width": "0"}
LABEL = {"description_width": "9.5em"}
_IMAGE = re.compile(r"(?:^|_)(?:image|img|picture|photo|frame|mask)s?(?:_(?:urls?|\d+))?$")


@dataclass(frozen=True, slots=True)
class Field:
    """A control and how its value is read and set.

    Parameters
    ----------
    name
        Of the parameter.
    control
        What the user sees.
    get
        Returns the value; `UNSET` where the user set none.
    put
        Sets the value, or `UNSET`.

    """

    name: str
    control: widgets.Widget
    get: Callable[[], Any]
    put: Callable[[Any], None]


UNSET: Any = object()
"""Where the user left the choice to the service."""


def takes_image(parameter: Parameter) -> bool:
    """Whether a parameter wants the address of a picture, as far as its name says."""
    fits = parameter.type in {"string", "array", None} and parameter.enum is None
    return fits and _IMAGE.search(parameter.name) is not None


def make_field(parameter: Parameter) -> Field:
    """Return the field that suits a parameter: a choice, a box to tick, a number or a text."""
    if parameter.enum:
        return _choice(parameter, [(_words(v), v) for v in parameter.enum])
    if parameter.type == "boolean":
        if isinstance(parameter.default, bool):
            return _box(parameter, default=parameter.default)
        return _choice(parameter, [("yes", True), ("no", False)])
    if _has_range(parameter):
        return _number(parameter)
    return _text(parameter)


def _choice(parameter: Parameter, options: list[tuple[str, Json]]) -> Field:
    unset = NOT_SET
    if parameter.default is not None:
        unset = f"{NOT_SET} ({_words(parameter.default)})"
    control = widgets.Dropdown(
        options=[(unset, UNSET), *options], value=UNSET, **_common(parameter)
    )

    def put(value: object) -> None:
        known = {id(v) if v is UNSET else json.dumps(v): v for _, v in control.options}
        control.value = known.get(id(value) if value is UNSET else json.dumps(value), UNSET)

    return Field(parameter.name, control, lambda: control.value, put)


def _box(parameter: Parameter, *, default: bool) -> Field:
    control = widgets.Checkbox(value=default, indent=True, **_common(parameter))

    def put(value: object) -> None:
        control.value = default if value is UNSET else bool(value)

    return Field(
        parameter.name, control, lambda: UNSET if control.value is default else control.value, put
    )


def _has_range(parameter: Parameter) -> bool:
    low, high, default = parameter.minimum, parameter.maximum, parameter.default
    if parameter.type not in {"integer", "number"} or low is None or high is None:
        return False
    return (
        isinstance(default, int | float)
        and not isinstance(default, bool)
        and low <= default <= high
    )


def _number(parameter: Parameter) -> Field:
    whole = parameter.type == "integer"
    kind, cast = (widgets.BoundedIntText, int) if whole else (widgets.BoundedFloatText, float)
    default = cast(parameter.default)  # type: ignore[arg-type]  # `_has_range` has looked
    control = kind(
        value=default, min=parameter.minimum, max=parameter.maximum, **_common(parameter)
    )

    def put(value: object) -> None:
        control.value = cast(value) if isinstance(value, int | float) else default

    return Field(
        parameter.name, control, lambda: UNSET if control.value == default else control.value, put
    )


def _text(parameter: Parameter) -> Field:
    long = parameter.type == "string" and (parameter.max_length or 0) > LONG_TEXT
    kind = widgets.Textarea if long else widgets.Text
    more = {"rows": 2} if long else {}
    control = kind(
        placeholder=_placeholder(parameter), continuous_update=False, **more, **_common(parameter)
    )

    def put(value: object) -> None:
        as_it_is = isinstance(value, str) and parameter.type in {"string", None}
        control.value = "" if value is UNSET else str(value) if as_it_is else json.dumps(value)

    return Field(parameter.name, control, lambda: read(parameter, control.value), put)


def read(parameter: Parameter, text: str) -> Any:  # noqa: ANN401 - JSON, or UNSET
    """Return what was typed as the parameter's type wants it; `UNSET` where nothing was.

    Raises
    ------
    InvalidRequest
        A number was wanted, and it is none.

    """
    if not text.strip():
        return UNSET
    if parameter.type == "string":
        return text
    value = value_of(text.strip(), None, where=f"`{parameter.name}`")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if parameter.type in {"integer", "number"} and not number:
        raise InvalidRequest(
            f"`{parameter.name}` is not a number: {text.strip()[:40]}.",
            "Write digits, or leave the field empty.",
        )
    return value


def _placeholder(parameter: Parameter) -> str:
    low, high = parameter.minimum, parameter.maximum
    ends = [f"from {_figure(low)}"] if low is not None else []
    ends += [f"to {_figure(high)}"] if high is not None else []
    kind = {"array": "a JSON list", "object": "a JSON object"}.get(parameter.type or "", "")
    known = f"default {_words(parameter.default)}" if parameter.default is not None else NOT_SET
    return ", ".join(
        filter(None, [" ".join(ends), kind, "required" if parameter.required else known])
    )


def _figure(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _words(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _common(parameter: Parameter) -> dict[str, Any]:
    name = parameter.name.replace("_", " ") + (" *" if parameter.required else "")
    tooltip = " ".join(parameter.description.split())[:400] or None
    return {"description": name, "tooltip": tooltip, "layout": WIDE, "style": LABEL}
