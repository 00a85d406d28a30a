"""The parameters that a model takes, read from the service's untrusted description of it.

Invalid parts of a description are left out, and are not checked: refusing a request that the
service would accept is worse than sending one that the service refuses, which costs nothing.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from types import MappingProxyType
from typing import Any

from modellix_jupyter.errors import InvalidRequest, did_you_mean, short
from modellix_jupyter.planning import json_schema
from modellix_jupyter.planning.cell_options import option_named, typo_of
from modellix_jupyter.planning.inputs import Slot, noun_of, slots_of
from modellix_jupyter.planning.json_schema import Schema, figure_of, unchecked
from modellix_jupyter.values import Json, Request

# Maximal forms of a request; the other choices of a schema are not checked.
_MAX_FORMS = 32
# The media types of JSON, with any parameters after a semicolon.
_JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)
COLUMNS = ("parameter", "type", "required", "default", "values", "description")
# The value of a parameter that takes media, in an example.
_FILES = {"image": "picture.png", "video": "film.mp4", "audio": "sound.mp3", "media": "file.png"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a model; a field is None if the description does not state it.

    Both bounds are inclusive, and texts are measured in code points. A parameter with a default is
    never required. `schema` has all that is known, more than the other fields.
    """

    name: str
    type: str | None = None
    enum: tuple[Json, ...] | None = None
    default: Json = None
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    required: bool = False
    nullable: bool = False
    description: str = ""
    schema: Schema = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Form:
    """One form that a request may have: the known parameters, and the required ones."""

    title: str
    properties: Mapping[str, Schema]
    required: frozenset[str] = frozenset()
    extensible: bool = False


@dataclass(frozen=True, slots=True)
class ModelSchema:
    """The parameters of a model by name, including the prompt; some models also take others.

    A request must match one of the `forms`; most models have only one. `unchecked` has the keywords
    for the request as a whole that are not checked here.
    """

    parameters: Mapping[str, Parameter]
    extensible: bool = False
    forms: Sequence[Form] = ()
    unchecked: frozenset[str] = frozenset()

    @property
    def prompt_parameter(self) -> str | None:
        """The parameter of the prompt: ``prompt`` or else ``text``, a required one first."""
        known = [name for name in ("prompt", "text") if name in self.parameters]
        return next((n for n in known if self.parameters[n].required), known[0] if known else None)


def parse_schema(document: object) -> ModelSchema | None:
    """Parse a model's OpenAPI fragment, or return None if it has no parameters.

    Nothing in the document is trusted, and no reference in it is fetched.
    """
    for each in _body_schemas(document):
        read = json_schema.clean(each, document)
        forms = _forms_of(read)
        if any(form.properties for form in forms):
            return _model_schema(forms, unchecked(read, inside=False))
    return None


def _model_schema(forms: Sequence[Form], unchecked: set[str]) -> ModelSchema:
    names = list(dict.fromkeys(name for form in forms for name in form.properties))
    parameters = {name: _parameter(name, forms) for name in names}
    extensible = any(form.extensible for form in forms)
    if len(forms) > _MAX_FORMS:
        unchecked.add(f"more than {_MAX_FORMS} forms")
    known = MappingProxyType(parameters)
    return ModelSchema(known, extensible, tuple(forms), frozenset(unchecked))


def as_choice(value: Json, parameter: Parameter) -> Json:
    """Return a number as the text that stands for it among the choices, as in ``--seconds 4``."""
    if not json_schema.is_number(value):
        return value
    text = str(value) if isinstance(value, int) else f"{value:g}"
    return text if text in (parameter.enum or ()) else value


def check_request(request: Request, schema: ModelSchema) -> None:
    """Raise `InvalidRequest` for a request that the service would refuse."""
    body, forms = request.body(), schema.forms
    found = [(form, list(_form_problems(body, form))) for form in forms]
    if any(not problems for _, problems in found):
        return
    form, problems = min(found, key=lambda pair: len(pair[1]))
    message, hint = _explained(request, schema, form, problems[0])
    if len(forms) > 1:
        hint = f"{hint} It takes {len(forms)} forms of requests; the nearest is “{form.title}”."
    raise InvalidRequest(message, hint.strip())


# -- reading


def _body_schemas(document: object) -> Iterator[object]:
    """Yield what may be the schema of a request: that of a ``post``, or the document itself."""
    for operation in _operations(document):
        content = _get(_get(operation, "requestBody"), "content")
        for name, each in content.items() if isinstance(content, dict) else ():
            if isinstance(name, str) and _JSON_TYPE.fullmatch(name.strip()):
                yield _get(each, "schema")
    for level in (document, _get(document, "data")):
        yield _get(level, "schema")
        yield level


def _operations(document: object) -> Iterator[object]:
    """Yield what may be the ``post`` of a fragment: at its top, under a path, in an envelope."""
    for level in (document, _get(document, "data")):
        yield _get(level, "post")
        paths = _get(level, "paths")
        if isinstance(paths, dict):
            yield from (_get(path, "post") for path in paths.values())


def _get(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _forms_of(schema: Schema) -> list[Form]:
    """Return the forms of a request: every combination of the choices at the root of its schema."""
    found = list(islice(_forms(schema), _MAX_FORMS + 1))
    numbered = enumerate(found[:_MAX_FORMS], 1)
    named = [replace(form, title=form.title or f"Option {number}") for number, form in numbered]
    more = Form("anything", {}, extensible=True)  # too many to check them all
    return [*named, more] if len(found) > _MAX_FORMS else named


def _forms(schema: Schema) -> Iterator[Form]:
    known, needed = schema.get("properties", {}), frozenset(schema.get("required", ()))
    extensible = schema.get("additionalProperties", False) is not False
    own = Form(schema.get("title", ""), known, needed, extensible)
    parts = [[each] for each in schema.get("allOf", ())]
    parts += [schema[key] for key in ("anyOf", "oneOf") if key in schema]
    yield from _joined(own, parts)


def _joined(form: Form, parts: Sequence[Sequence[Schema]]) -> Iterator[Form]:
    """Yield every combination of a form with one choice of each part."""
    if not parts:
        yield form
        return
    for choice in parts[0]:
        for each in _forms(choice):
            yield from _joined(_both(form, each), parts[1:])


def _both(one: Form, other: Form) -> Form:
    shared = {
        name: {"allOf": [one.properties[name], each]} if name in one.properties else each
        for name, each in other.properties.items()
    }
    return Form(
        other.title or one.title,
        {**one.properties, **shared},
        one.required | other.required,
        one.extensible or other.extensible,
    )


def _parameter(name: str, forms: Sequence[Form]) -> Parameter:
    """Return a parameter, merged from all the forms that have it."""
    found = [form.properties[name] for form in forms if name in form.properties]
    differ = any(each != found[0] for each in found)
    whole: Schema = {"anyOf": found} if differ else found[0]
    schema = _flat(whole)
    types = [each for each in schema.get("type", ()) if each != "null"]
    enum, default = schema.get("enum"), schema.get("default")
    low, high = _inclusive(schema)
    return Parameter(
        name=name,
        type=types[0] if len(types) == 1 else None,
        enum=enum,
        default=default,
        minimum=low,
        maximum=high,
        min_length=schema.get("minLength"),
        max_length=schema.get("maxLength"),
        required=default is None and all(name in form.required for form in forms),
        nullable=_takes_null(whole),
        description=schema.get("description", ""),
        schema=whole,
    )


def alternatives(schema: Schema) -> list[Schema]:
    """Return what a value may be, each of one level."""
    choices = [each for key in ("anyOf", "oneOf") for each in schema.get(key, ())]
    return [flat for each in choices for flat in alternatives(each)] or [_flat(schema)]


def _flat(schema: Schema) -> Schema:
    """Fold a schema into one level, with the only choice that is not null.

    Of several choices, only the first description is used.
    """
    for part in schema.get("allOf", ()):
        schema = {**_flat(part), **schema}
    for key in ("anyOf", "oneOf"):
        real = [_flat(each) for each in schema.get(key, ()) if each.get("type") != ("null",)]
        if len(real) == 1:
            schema = {**real[0], **schema}
        elif real:
            told = next((each["description"] for each in real if "description" in each), None)
            schema = {**({"description": told} if told else {}), **schema}
    return schema


def _takes_null(schema: Schema) -> bool:
    choices = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
    stated = schema.get("nullable") or "null" in schema.get("type", ())
    return bool(stated or None in schema.get("enum", ()) or any(map(_takes_null, choices)))


def _inclusive(schema: Schema) -> tuple[float | None, float | None]:
    """Return the inclusive bounds of a number; of an integer, also from exclusive ones."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if "integer" in schema.get("type", ()):
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        low = math.floor(above) + 1 if low is None and above is not None else low
        high = math.ceil(below) - 1 if high is None and below is not None else high
    return low, high


# -- checking


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A problem of a body: an unknown name, a wrong value, or else a missing name."""

    name: str
    unknown: bool = False
    found: json_schema.Problem | None = None


def _form_problems(body: Mapping[str, Json], form: Form) -> Iterator[_Wrong]:
    if not form.extensible:
        yield from (_Wrong(name, unknown=True) for name in body if name not in form.properties)
    for name, schema in form.properties.items():
        if name in form.required and name not in body and _flat(schema).get("default") is None:
            yield _Wrong(name)
    for name, value in body.items():
        found = json_schema.problem(form.properties.get(name, {}), value)
        if found is not None:
            yield _Wrong(name, found=found)


def _explained(request: Request, schema: ModelSchema, form: Form, wrong: _Wrong) -> tuple[str, str]:
    """Return the message and the hint for a problem."""
    if wrong.unknown:
        return _unknown(request, schema, form, wrong.name)
    parameter = schema.parameters[wrong.name]
    if wrong.found is None:
        message = f"{request.model} needs `{wrong.name}`, which is not given."
        return message, _how_to_give(parameter, schema)
    found = wrong.found
    shown = "" if isinstance(found.value, Mapping | list | tuple) else figure_of(found.value)
    is_now = f"; it is {shown}" if shown else ""
    message = f"`{wrong.name}{found.where}` of {request.model} {found.what}{is_now}."
    return message, _hint(parameter, found, schema)


def _unknown(request: Request, schema: ModelSchema, form: Form, name: str) -> tuple[str, str]:
    known = form.properties
    takes = short(", ".join(known), 400)
    is_prompt = name == request.prompt_parameter and request.prompt is not None
    if is_prompt and schema.prompt_parameter is None:
        return f"{request.model} takes no prompt.", f"Leave it out. It takes {takes}."
    message = f"{request.model} takes no `{short(name)}`."
    if name in schema.parameters:
        message = f"{request.model} takes no `{name}` together with the others that are given."
    return message, f"{did_you_mean(name, known)} It takes {takes}.".strip()


def _hint(parameter: Parameter, found: json_schema.Problem, schema: ModelSchema) -> str:
    choices, value = found.schema.get("enum", ()), found.value
    if isinstance(value, str):
        suggestion = did_you_mean(value, [c for c in choices if isinstance(c, str)])
        if suggestion:
            return suggestion
    plain = value is None or isinstance(value, bool | int | float)
    if parameter.type == "string" and plain:
        # A value in the magic's line is JSON if possible, so 7 is a number there.
        return f"To give it as a text in a cell: --param {parameter.name}='\"{figure_of(value)}\"'."
    return _how_to_give(parameter, schema)


def _how_to_give(parameter: Parameter, schema: ModelSchema) -> str:
    about = " ".join(parameter.description.split())
    says = f" The service says of it: {short(about, 200)}" if about else ""
    if parameter.name == schema.prompt_parameter:
        return f"The prompt is the cell's text.{says}"
    return f"To give it in a cell: {_as_option(parameter.name, 'VALUE')}.{says}"


def _as_option(name: str, value: str) -> str:
    """Return a parameter as a cell's option: by `--param` if an option of ours has its name."""
    taken = option_named(name) or typo_of(name) or not name.isidentifier()
    return f"--param {name}={value}" if taken else f"--{name.replace('_', '-')} {value}"


# -- descriptions


def parameter_rows(schema: ModelSchema) -> list[dict[str, Any]]:
    """Return a row for each parameter, the required ones first."""
    slots = slots_of(schema)
    known = sorted(schema.parameters.values(), key=lambda each: not each.required)
    return [_row(parameter, slots.get(parameter.name)) for parameter in known]


def forms_in_words(schema: ModelSchema) -> str:
    """Return a sentence with what each form requires; empty if there is one form."""
    if len(schema.forms) < 2:  # noqa: PLR2004 - one is no choice
        return ""
    each = (", ".join(sorted(form.required)) or form.title for form in schema.forms)
    return f"A request needs one of: {'; or '.join(each)}."


def unchecked_in_words(schema: ModelSchema) -> str:
    """Return a sentence with the keywords that only the service checks; empty if there are none."""
    names: dict[str, list[str]] = {keyword: ["the request"] for keyword in schema.unchecked}
    for name, each in schema.parameters.items():
        for keyword in unchecked(each.schema):
            names.setdefault(keyword, []).append(name)
    told = (f"{keyword} of {', '.join(names[keyword])}" for keyword in sorted(names))
    return f"Unchecked before it is sent: {short('; '.join(told), 400)}." if names else ""


def example_cell(model: str, schema: ModelSchema) -> str:
    """Return a cell that calls a model with all required parameters."""
    text, slots = schema.prompt_parameter, slots_of(schema)
    needed = [each for each in schema.parameters.values() if each.required and each.name != text]
    if len(schema.forms) > 1:
        needed += [schema.parameters[n] for n in sorted(schema.forms[0].required) if n != text]
    options = (_as_option(p.name, _example(p, slots.get(p.name))) for p in needed)
    line = " ".join(["%%modellix", model, *dict.fromkeys(options)])
    prompts = {"prompt": "what to make", "text": "what to say"}
    return f"{line}\n{prompts.get(text or '', '')}".strip()


def _row(parameter: Parameter, slot: Slot | None) -> dict[str, Any]:
    return {
        "parameter": parameter.name,
        "type": _type(parameter, slot),
        "required": parameter.required,
        "default": "" if parameter.default is None else figure_of(parameter.default).strip("`"),
        "values": ", ".join(_values(parameter.schema)),
        "description": " ".join(parameter.description.split()),
    }


def _type(parameter: Parameter, slot: Slot | None) -> str:
    if slot is None:
        named = parameter.type or "any"
        return "text" if named == "string" else named
    noun = noun_of(slot.kind)
    if not slot.many:
        return noun
    return f"{noun} or list of {noun}s" if slot.one else f"list of {noun}s"


def _values(schema: Schema) -> Iterator[str]:
    """Yield what a schema requires of a value, in a few words each."""
    if "enum" in schema:
        yield short(" ".join(str(value) for value in schema["enum"]), 200)
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        yield f"{low} to {high}"
    words = {
        "exclusiveMinimum": "above {}",
        "exclusiveMaximum": "below {}",
        "minItems": "at least {} of them",
        "maxItems": "at most {} of them",
        "maxLength": "at most {} characters",
    }
    if low is None or high is None:
        words |= {"minimum": "at least {}", "maximum": "at most {}"}
    yield from (text.format(schema[key]) for key, text in words.items() if key in schema)
    for key in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(key, ()):
            yield from _values(each)


def _example(parameter: Parameter, slot: Slot | None) -> str:
    if slot is not None:
        return _FILES[slot.kind]
    if parameter.enum:
        return shlex.quote(str(parameter.enum[0]))
    stated = parameter.schema.get("example")
    if stated is not None:
        return shlex.quote(stated if isinstance(stated, str) else json.dumps(stated))
    return {"integer": "1", "number": "1.0", "boolean": "true"}.get(parameter.type or "", "VALUE")
