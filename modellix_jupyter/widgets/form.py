"""The parameters of the chosen models: what they have in common first, then each model's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.markup import html
from modellix_jupyter.widgets.fields import LABEL, UNSET, WIDE, Field, make_field, takes_image
from modellix_jupyter.widgets.pictures import PictureField

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from modellix_jupyter.planning.schema import ModelSchema, Parameter
    from modellix_jupyter.values import Json, Task

PROMPT = "prompt"
"""The parameter that has a field of its own above the form."""


class ModelForm:
    """Fields for several models.

    Parameters
    ----------
    upload, earlier
        For pictures as inputs; see `PictureField`.
    changed
        Called after a change of any field: what is sent may cost something else.

    Attributes
    ----------
    box : ipywidgets.VBox
        What the user sees.

    """

    def __init__(
        self,
        upload: Callable[[Path, Callable[[str], None], Callable[[str], None]], None],
        earlier: Callable[[], Sequence[Task]],
        changed: Callable[[], None],
    ) -> None:
        self._changed = changed
        self.box = widgets.VBox(layout=WIDE)
        self._upload = upload
        self._earlier = earlier
        self._models: tuple[str, ...] = ()
        self._common: list[Field] = []
        self._own: dict[str, list[Field]] = {}
        self._more: dict[str, widgets.Textarea] = {}

    @property
    def models(self) -> tuple[str, ...]:
        """The models whose fields are shown."""
        return self._models

    def show(self, schemas: Mapping[str, ModelSchema | None]) -> None:
        """Show fields for these models; what was set before stays where it still fits.

        Parameters
        ----------
        schemas
            By slug; None for a model whose schema cannot be read, which is given as JSON.

        """
        before = {model: self._kept(model) for model in self._models}
        last = next(reversed(before.values()), {})
        self._close()
        known = {model: _parameters(schema) for model, schema in schemas.items()}
        common = _in_common(list(known.values())) if len(known) > 1 else {}
        self._common = [self._field(p) for p in common.values()]
        self._own = {
            model: [self._field(p) for name, p in parameters.items() if name not in common]
            for model, parameters in known.items()
        }
        self._more = {model: _more_field(schema) for model, schema in schemas.items()}
        self._models = tuple(schemas)
        self.box.children = self._rows()
        for model in self._models:
            self.put(model, before.get(model, last), extra=model in before)
        for control in _controls(self.box):
            control.observe(lambda _: self._changed(), "value")

    def _kept(self, model: str) -> dict[str, Json]:
        try:
            return self.params(model)
        except InvalidRequest:
            return {}

    def _field(self, parameter: Parameter) -> Field:
        if takes_image(parameter):
            return PictureField(parameter, self._upload, self._earlier).field
        return make_field(parameter)

    def _rows(self) -> list[widgets.Widget]:
        rows = [field.control for field in self._common]
        for model in self._models:
            own = [field.control for field in self._own[model]]
            if len(self._models) > 1:
                rows.append(widgets.HTML(f"<b>{html(model)}</b>"))
            rows += [*own, self._more[model]]
        return rows

    def params(self, model: str) -> dict[str, Json]:
        """Return what is set for a model, as JSON.

        Raises
        ------
        InvalidRequest
            It names the field that cannot be read.

        """
        fields = [*self._common, *self._own.get(model, ())]
        chosen = {f.name: value for f in fields if (value := f.get()) is not UNSET}
        return {**chosen, **_read_more(self._more[model].value)}

    def put(self, model: str, params: Mapping[str, Json], *, extra: bool = True) -> None:
        """Set the fields of a model; what has no field goes to the JSON below them.

        Parameters
        ----------
        model
            One of those that are shown.
        params
            By name; a field whose name is missing is left to the service.
        extra
            Whether what has no field is kept.

        """
        fields = {f.name: f for f in (*self._common, *self._own.get(model, ()))}
        for name, field in fields.items():
            field.put(params.get(name, UNSET))
        rest = {name: value for name, value in params.items() if name not in fields}
        self._more[model].value = json.dumps(rest, ensure_ascii=False) if rest and extra else ""

    def _close(self) -> None:
        """Close the fields that go: each would stay in the kernel and in the page."""
        gone = list(self.box.children)
        self.box.children = ()
        for child in gone:
            close_all(child)


def _controls(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """Yield what has a value, of all that a widget is made of."""
    if widget.has_trait("value"):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from _controls(child)


def close_all(widget: widgets.Widget) -> None:
    """Close a widget and all that it is made of, their layouts and styles included."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for part in ("layout", "style"):
        owned = getattr(widget, part, None)
        if isinstance(owned, widgets.Widget):
            owned.close()
    widget.close()


def _parameters(schema: ModelSchema | None) -> dict[str, Parameter]:
    if schema is None:
        return {}
    return {name: p for name, p in schema.parameters.items() if name != PROMPT}


def _in_common(all_of_them: Sequence[Mapping[str, Parameter]]) -> dict[str, Parameter]:
    """Return the parameters that every model has, and takes the same values for."""
    first, *others = all_of_them
    return {
        name: parameter
        for name, parameter in first.items()
        if all(name in other and _alike(parameter, other[name]) for other in others)
    }


def _alike(one: Parameter, other: Parameter) -> bool:
    def form(p: Parameter) -> tuple[Any, ...]:
        return p.type, p.enum, p.minimum, p.maximum, p.default

    return form(one) == form(other)


def _more_field(schema: ModelSchema | None) -> widgets.Textarea:
    return widgets.Textarea(
        description="Parameters" if schema is None else "More",
        placeholder='as JSON: {"seed": 7}',
        tooltip="Parameters that have no field here, as a JSON object",
        rows=3 if schema is None else 1,
        continuous_update=False,
        layout=WIDE,
        style=LABEL,
    )


def _read_more(text: str) -> dict[str, Json]:
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidRequest("The parameters are not a JSON object.", 'As in: {"seed": 7}')
    return value
