"""A field for each parameter of the chosen models: the common ones first, then each model's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets as widgets

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.formatting import plain_name
from modellix_jupyter.html.markup import el, html
from modellix_jupyter.planning.inputs import slot_of
from modellix_jupyter.planning.interpolation import value_of
from modellix_jupyter.planning.schema import ModelSchema, Parameter
from modellix_jupyter.values import Json
from modellix_jupyter.widgets.controls import UNSET, Markup, MediaField, box, close_all, field
from modellix_jupyter.widgets.panel_context import PanelContext

NOT_SET = "not set"
# Parameters that most people set, besides those that are required or take media.
_OFTEN = {
    *("aspectratio", "size", "imagesize", "resolution", "width", "height", "quality", "style"),
    *("n", "numimages", "numberofimages", "duration", "durationseconds", "seed", "voice"),
}
# A parameter for a text that may be longer than this gets several lines.
LONG_TEXT = 200


@dataclass(frozen=True, slots=True)
class Field:
    """A control for a parameter, and how its value, or `UNSET`, is read and set."""

    control: widgets.Widget
    get: Callable[[], Any]
    put: Callable[[Any], None]
    often: bool = False


class ModelForm:
    """Fields for several models."""

    def __init__(self, context: PanelContext, changed: Callable[[], None]) -> None:
        self._context = context
        self._changed = changed
        self.view = box("mx-parameters")
        self.advanced = box("mx-parameters")
        self.models: tuple[str, ...] = ()
        self._common: dict[str, Field] = {}
        self._own: dict[str, dict[str, Field]] = {}
        self._more: dict[str, widgets.Textarea] = {}

    def show(self, schemas: Mapping[str, ModelSchema | None]) -> None:
        """Show fields for these models; keep the values that still fit."""
        before = {model: self._kept(model) for model in self.models}
        last = next(reversed(before.values()), {})
        known = {model: _parameters(schema) for model, schema in schemas.items()}
        common = _in_common(list(known.values())) if len(known) > 1 else {}
        self._common = self._make_fields(common)
        self._own = {
            model: self._make_fields({k: p for k, p in parameters.items() if k not in common})
            for model, parameters in known.items()
        }
        self._more = {model: _more_field(schema) for model, schema in schemas.items()}
        self.models = tuple(schemas)
        self._show_fields()
        for model in self.models:
            self.put(model, before.get(model, last), extra=model in before)
        for control in (*_controls(self.view), *_controls(self.advanced)):
            control.observe(lambda _: self._changed(), "value")

    def _kept(self, model: str) -> dict[str, Json]:
        try:
            return self.params(model)
        except InvalidRequest:
            return {}

    def _make_fields(self, parameters: Mapping[str, Parameter]) -> dict[str, Field]:
        made = {n: self._media(p) or _make_field(p) for n, p in parameters.items()}
        return {n: replace(f, often=f.often or _is_often(parameters[n])) for n, f in made.items()}

    def _media(self, parameter: Parameter) -> Field | None:
        """Return the field of a parameter that takes media, or None if it takes none."""
        slot = slot_of(parameter.name, parameter.schema)
        if slot is None or (slot.key and not slot.many):  # an object may hold other things as well
            return None
        tip = _tooltip(parameter) or ""
        control = MediaField(self._context, slot, _label(parameter), tip)
        return Field(control, control.get, control.put, often=True)

    def give(self, kind: str, source: str, name: str, src: str | None) -> str | None:
        """Put media into the first field that takes them and is not full; return its label."""
        fields = [f.control for model in self.models for f in self._fields(model).values()]
        fitting = [f for f in fields if isinstance(f, MediaField) and f.takes(kind)]
        chosen = next((f for f in fitting if not f.is_full), next(iter(fitting), None))
        if chosen is None:
            return None
        chosen.add(source, name, src)
        return str(chosen.label)

    def _show_fields(self) -> None:
        """Put the most important fields into the form, and the others below Advanced."""
        for view, often in ((self.view, True), (self.advanced, False)):
            shown = _controls_of(self._common, often=often)
            for model in self.models:
                own = _controls_of(self._own[model], often=often)
                own += [] if often else [self._more[model]]
                shown += [_heading(model), *own] if own and len(self.models) > 1 else own
            gone, view.children = view.children, tuple(shown)
            for child in gone:  # if it were not closed, it would stay in the kernel
                close_all(child)

    def _fields(self, model: str) -> dict[str, Field]:
        return {**self._common, **self._own.get(model, {})}

    def params(self, model: str) -> dict[str, Json]:
        """Return the parameters set for a model; raise `InvalidRequest` if one cannot be read."""
        values = {name: field.get() for name, field in self._fields(model).items()}
        chosen = {name: value for name, value in values.items() if value is not UNSET}
        return {**chosen, **_read_more(self._more[model].value)}

    def put(self, model: str, params: Mapping[str, Json], *, extra: bool = True) -> None:
        """Set the fields of a model; with `extra`, keep other parameters as JSON below them."""
        fields = self._fields(model)
        for name, each in fields.items():
            each.put(params.get(name, UNSET))
        rest = {name: value for name, value in params.items() if name not in fields}
        self._more[model].value = json.dumps(rest, ensure_ascii=False) if rest and extra else ""


def _controls_of(fields: Mapping[str, Field], *, often: bool) -> list[widgets.Widget]:
    return [field.control for field in fields.values() if field.often is often]


def _controls(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """Yield each control with a value, of a widget and its descendants."""
    if widget.has_trait("value"):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from _controls(child)


def _heading(model: str) -> Markup:
    return Markup(el("b", html(model)))


def _is_often(parameter: Parameter) -> bool:
    return parameter.required or plain_name(parameter.name) in _OFTEN


def _parameters(schema: ModelSchema | None) -> dict[str, Parameter]:
    """Return the parameters that have a field: the prompt has its own above the form."""
    if schema is None:
        return {}
    return {n: p for n, p in schema.parameters.items() if n != schema.prompt_parameter}


def _in_common(models: Sequence[Mapping[str, Parameter]]) -> dict[str, Parameter]:
    """Return the parameters that every model has and takes the same values for."""
    first, *others = models
    return {
        name: parameter
        for name, parameter in first.items()
        if all(name in other and _same_values(parameter, other[name]) for other in others)
    }


def _same_values(one: Parameter, other: Parameter) -> bool:
    names = ("type", "enum", "minimum", "maximum", "default")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _more_field(schema: ModelSchema | None) -> widgets.Textarea:
    return field(
        widgets.Textarea,
        "More" if schema else "Parameters",
        placeholder='as JSON: {"seed": 7}',
        tooltip="Parameters that have no field here, as a JSON object",
        rows=1 if schema else 3,
        continuous_update=True,
    )


def _read_more(text: str) -> dict[str, Json]:
    try:
        value = json.loads(text.strip() or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidRequest("The parameters are not a JSON object.", 'As in: {"seed": 7}')
    return value


# -- the field of one parameter


def _make_field(parameter: Parameter) -> Field:
    """Return the field that suits a parameter: a choice, a box to tick, a number or a text."""
    if parameter.enum:
        return _choice(parameter, {_text_of(value): value for value in parameter.enum})
    if parameter.type == "boolean" and isinstance(parameter.default, bool):
        return _checkbox(parameter)
    if parameter.type == "boolean":
        return _choice(parameter, {"yes": True, "no": False})
    if parameter.type in {"integer", "number"} and _has_range(parameter):
        return _bounded(parameter)
    return _text(parameter)


def _control(parameter: Parameter, kind: type[widgets.Widget], **traits: Any) -> widgets.Widget:  # noqa: ANN401 - traits
    return field(kind, _label(parameter), tooltip=_tooltip(parameter), **traits)


def _label(parameter: Parameter) -> str:
    return parameter.name.replace("_", " ") + (" *" if parameter.required else "")


def _tooltip(parameter: Parameter) -> str | None:
    return " ".join(parameter.description.split())[:400] or None


def _choice(parameter: Parameter, values: Mapping[str, Json]) -> Field:
    known = "" if parameter.default is None else f" ({_text_of(parameter.default)})"
    options = [(NOT_SET + known, UNSET), *values.items()]
    control = _control(parameter, widgets.Dropdown, options=options, value=UNSET)
    by_json = {json.dumps(value): value for value in values.values()}  # in Python, 1 == True
    return _with_default(control, lambda value: by_json.get(json.dumps(value), UNSET))


def _checkbox(parameter: Parameter) -> Field:
    control = _control(parameter, widgets.Checkbox, value=parameter.default, indent=True)
    return _with_default(control, bool)


def _has_range(parameter: Parameter) -> bool:
    ends: list[Any] = [parameter.minimum, parameter.default, parameter.maximum]
    return all(type(end) in {int, float} for end in ends) and ends == sorted(ends)


def _bounded(parameter: Parameter) -> Field:
    whole = parameter.type == "integer"
    kind, cast = (widgets.BoundedIntText, int) if whole else (widgets.BoundedFloatText, float)
    default: Any = parameter.default
    low: Any = parameter.minimum
    control = _control(
        parameter,
        kind,
        value=cast(default),
        min=low,
        max=parameter.maximum,
        # a first digit below the minimum would be made the minimum while one types
        continuous_update=low <= 1,
    )
    return _with_default(
        control, lambda value: cast(value if isinstance(value, int | float) else default)
    )


def _with_default(control: widgets.Widget, cast: Callable[[Any], object]) -> Field:
    """Return the field of a control whose first value is the service's default."""
    default = control.value

    def put(value: object) -> None:
        control.value = default if value is UNSET else cast(value)

    return Field(control, lambda: UNSET if control.value == default else control.value, put)


def _text(parameter: Parameter) -> Field:
    long = parameter.type == "string" and (parameter.max_length or 0) > LONG_TEXT
    kind, rows = (widgets.Textarea, {"rows": 2}) if long else (widgets.Text, {})
    traits = {"placeholder": _placeholder(parameter), "continuous_update": True, **rows}
    control = _control(parameter, kind, **traits)

    def put(value: object) -> None:
        as_it_is = isinstance(value, str) and parameter.type in {"string", None}
        control.value = "" if value is UNSET else value if as_it_is else json.dumps(value)

    return Field(control, lambda: _read(parameter, control.value), put)


def _read(parameter: Parameter, text: str) -> Any:  # noqa: ANN401 - JSON, or UNSET
    """Return a typed text as a value of the parameter's type; `UNSET` if it is empty."""
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
    low, high, default = parameter.minimum, parameter.maximum, parameter.default
    ends = [f"from {low:,}"] if low is not None else []
    ends += [f"to {high:,}"] if high is not None else []
    kind = {"array": "a JSON list", "object": "a JSON object"}.get(parameter.type or "", "")
    unset = NOT_SET if default is None else f"default {_text_of(default)}"
    parts = [" ".join(ends), kind, "required" if parameter.required else unset]
    return ", ".join(filter(None, parts))


def _text_of(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
