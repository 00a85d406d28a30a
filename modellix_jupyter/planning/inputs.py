"""Media as values of parameters: which values represent media, which parameters take them.

Nothing is read or sent here. A value that represents media becomes an `Input`, which shows as a
text. The schema of a model tells which parameters take media.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Self

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.values import Json, Resource, Task

if TYPE_CHECKING:
    from modellix_jupyter.planning.json_schema import Schema
    from modellix_jupyter.planning.schema import ModelSchema


# The kind of media that a parameter takes, by the last word of its name.
_NOUNS = {
    **dict.fromkeys(("image", "images", "img", "picture", "pictures", "photo", "photos"), "image"),
    **dict.fromkeys(("frame", "frames", "keyframe", "keyframes", "mask", "masks"), "image"),
    **dict.fromkeys(("video", "videos", "clip", "clips", "film"), "video"),
    **dict.fromkeys(("audio", "audios", "sound", "recording"), "audio"),
}
# Words after that one, which say how the media are given.
_ADDRESSES = frozenset({"url", "urls", "uri", "uris"})
_SUFFIXES = _ADDRESSES | {"path", "file", "files", "list", "base", "b", "data", "input", "tail"}
_ELSEWHERE = frozenset({"callback", "webhook", "notify", "output"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# Words of a description that say that a value is not a plain text.
_GIVEN = re.compile(r"\b(?:ur[il]s?|base64|https? address(?:es)?)\b|data:", re.IGNORECASE)
_TEXTS = frozenset({"prompt", "text"})
_NO_DATA = re.compile(r"\b(?:no|not|without|except)\b[^.]{0,40}\b(?:base64|data)", re.IGNORECASE)
# The depth to which lists and objects are searched for media: a list may contain itself.
_MAX_DEPTH = 6
# The minimal sides, in pixels, of a two-dimensional array that is taken for a picture.
_MIN_SIDE = 16
_CHANNELS = (1, 3, 4)


class Input(str):
    """A value that represents media: a text to show, and its source."""

    __slots__ = ("source",)
    source: object

    def __new__(cls, shown: str, source: object) -> Self:
        """Return the text with its source."""
        made = super().__new__(cls, shown)
        made.source = source
        return made


def as_input(value: object) -> Input | list[Input] | None:
    """Return the media that a variable represents, or None if it is something else.

    Results represent their tasks: one input for one task, else a list.
    """
    if _is_results(value):
        tasks: Any = value
        each = [Input(task.task_id or task.uid, task) for task in tasks]
        return each[0] if len(each) == 1 else each
    return value if isinstance(value, Input) else _one_input(value)


def _one_input(value: object) -> Input | None:
    if isinstance(value, io.IOBase):
        value = value.getvalue() if isinstance(value, io.BytesIO) else _named_file(value)
    if isinstance(value, PurePath):
        return Input(str(value), Path(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return _of_bytes(bytes(value))
    if isinstance(value, Task):
        return Input(value.task_id or value.uid, value)
    if isinstance(value, Resource):
        return Input(value.url or value.path or "", value)
    picture = _picture_of(value)
    return None if picture is None else _of_bytes(_png(picture))


def _named_file(file: io.IOBase) -> Path | None:
    """Return the path of an open file, or None if it has none."""
    name = getattr(file, "name", None)
    return Path(name) if isinstance(name, str) else None


def with_inputs(value: object, depth: int = 0) -> object:
    """Return a value with an `Input` for everything that represents media in it, at any depth."""
    found = as_input(value)
    if found is not None or depth > _MAX_DEPTH:
        return value if found is None else found
    if isinstance(value, list | tuple):
        return [with_inputs(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {name: with_inputs(each, depth + 1) for name, each in value.items()}
    return value


def as_json(value: object, plain: Callable[[object], Json]) -> Json:
    """Return a value as JSON by `plain`, with an `Input` for everything that represents media."""
    found = with_inputs(value)
    if not holds_input(found):
        return plain(value)
    return mapped(found, lambda each: each if isinstance(each, Input) else plain(each))


def _of_bytes(content: bytes) -> Input:
    return Input(f"{len(content)} bytes {hashlib.sha256(content).hexdigest()[:8]}", content)


def _is_results(value: object) -> bool:
    """Whether a value is `Results`, which is of a higher layer and cannot be imported here."""
    return type(value).__module__ == "modellix_jupyter.results.results" and hasattr(value, "frame")


def _picture_of(value: object) -> Any:  # noqa: ANN401 - a picture of Pillow's, which may not be loaded
    """Return a picture of Pillow, also from an array with the shape of one; else None."""
    if type(value).__module__.startswith("PIL.") and hasattr(value, "getbands"):
        return value
    shape = getattr(value, "shape", None)
    if not hasattr(value, "__array_interface__") or not isinstance(shape, tuple):
        return None
    colours = len(shape) == 3 and shape[2] in _CHANNELS  # noqa: PLR2004 - rows, columns, colours
    if not (colours or (len(shape) == 2 and min(shape) >= _MIN_SIDE)):  # noqa: PLR2004 - rows, columns
        return None
    from PIL import Image

    array: Any = value
    if array.dtype.kind == "f":  # from 0 to 1, as in plotting libraries
        array = (array.clip(0, 1) * 255).round()
    elif array.dtype.kind == "b":  # a mask
        array = array * 255
    elif array.dtype.name == "uint16" and array.max() > 255:  # noqa: PLR2004 - 16 bits a channel
        array = array // 257
    array = array.clip(0, 255).astype("uint8")
    return Image.fromarray(array[:, :, 0] if colours and shape[2] == 1 else array)


def _png(picture: Any) -> bytes:  # noqa: ANN401 - a picture of Pillow's
    target = io.BytesIO()
    plain = (
        picture if picture.mode in {"1", "L", "LA", "P", "RGB", "RGBA"} else picture.convert("RGB")
    )
    plain.save(target, "PNG")
    return target.getvalue()


# -- which parameters take media


@dataclass(frozen=True, slots=True)
class Slot:
    """The media that a parameter takes: one, many, or either.

    `kind` is ``image``, ``video``, ``audio`` or, if that is not clear, ``media``. `key` is the name
    of the property that holds the media, if they are given in objects. `by_value` says that
    ``data:`` URIs are taken; `sure` is False if the schema only says that an address is meant.
    """

    kind: str
    one: bool
    many: bool
    key: str | None = None
    by_value: bool = False
    sure: bool = True


def slots_of(schema: ModelSchema) -> dict[str, Slot]:
    """Return the parameters of a model that take media."""
    found = {name: slot_of(name, each.schema) for name, each in schema.parameters.items()}
    return {name: slot for name, slot in found.items() if slot is not None}


def slot_of(name: str, schema: Schema) -> Slot | None:
    """Return the media that a parameter takes by its schema, or None if it takes none."""
    choices = list(_choices(schema))
    texts = [each for each in choices if _is_text(each)]
    items = [
        item
        for each in choices
        if _may_be("array", each) and "type" in each
        for item in _choices(each.get("items", {}))
    ]
    objects = [each for each in (*items, *choices) if "properties" in each]
    key = next((k for each in objects for k in _media_names(name, each)), None)
    many = any(_is_text(item) or (key and key in item.get("properties", ())) for item in items)
    if not (texts or many or key):
        return None
    about = " ".join(
        _words_of([schema, *choices, *items, *(o["properties"][key] for o in objects if key)])
    )
    kind, sure = _kind(name if key is None or _noun(name) else key, about, texts + items)
    if kind is None:
        return None
    by_value = ("base64" in about.lower() or "data:" in about) and not _NO_DATA.search(about)
    return Slot(kind, bool(texts) or not many, many, key, by_value, sure)


def _choices(schema: Schema) -> Iterator[Schema]:
    """Yield the choices of a schema, each merged with the keywords that apply to all of them."""
    outer = {k: v for k, v in schema.items() if k not in {"allOf", "anyOf", "oneOf"}}
    for each in schema.get("allOf", ()):
        outer = {**each, **outer}
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    for each in inner:
        for choice in _choices(each):
            yield {**outer, **choice}
    if not inner:
        yield outer


def _may_be(name: str, schema: Schema) -> bool:
    return name in schema.get("type", (name,))


def _is_text(schema: Schema) -> bool:
    """Whether a schema allows any text."""
    if "type" in schema:
        return "string" in schema["type"] and "enum" not in schema
    return not schema.keys() & {"enum", "properties", "items"}


def _media_names(outer: str, schema: Schema) -> Iterator[str]:
    """Yield the properties of an object that take media, as `image` or the `url` of an image."""
    texts = [name for name, each in schema["properties"].items() if _is_text(each)]
    yield from (name for name in texts if _noun(name))
    yield from (name for name in texts if name in _ADDRESSES and _noun(outer))


def _words_of(schemas: list[Schema]) -> Iterator[str]:
    for schema in schemas:
        for key in ("description", "pattern", "format", "example", "examples"):
            yield str(schema.get(key, ""))[:1000]


def _noun(name: str) -> str | None:
    """Return the kind of media at the end of a name, as in `first_frame_url`."""
    words = [word.lower() for word in _WORD.findall(name)]
    while words and words[-1] in _SUFFIXES:
        words.pop()
    return _NOUNS.get(words[-1]) if words else None


def _kind(name: str, about: str, schemas: list[Schema]) -> tuple[str | None, bool]:
    """Return the kind of media or None, and whether it is certain that media are meant."""
    words = {word.lower() for word in _WORD.findall(name)}
    if words & _ELSEWHERE:
        return None, False
    if noun := _noun(name):
        return noun, True
    told = next((_NOUNS[w] for w in re.findall(r"[a-z]+", about.lower()) if w in _NOUNS), None)
    given = bool(_GIVEN.search(about)) and not words & _TEXTS
    if words <= _SUFFIXES and (words & _ADDRESSES or (told and given)):
        return told or "media", True
    addresses = (
        words & _ADDRESSES
        or (told and given)
        or any(
            each.get("format") in {"uri", "url", "binary"} or "http" in each.get("pattern", "")
            for each in schemas
        )
    )
    return (told or "media", False) if addresses else (None, False)


# -- replacing media in parameters


def place(
    request_params: Mapping[str, Json],
    slots: Mapping[str, Slot],
    find: Callable[[str, Slot, str], Json],
) -> dict[str, Json]:
    """Return parameters with `find(name, slot, value)` for each text that may represent media."""
    return {
        name: _placed(name, slots[name], value, find) if name in slots else value
        for name, value in request_params.items()
    }


def _placed(name: str, slot: Slot, value: Json, find: Callable[[str, Slot, str], Json]) -> Json:
    if isinstance(value, list):
        if slot.many:
            return [_item(name, slot, each, find) for each in value]
        if any(isinstance(each, Input) for each in value):
            raise InvalidRequest(
                f"`{name}` takes one {noun_of(slot.kind)}, and here are {len(value)}.",
                f"Name one, as in {{images[0]}} of a variable, or use --vary {name}={{variable}}.",
            )
        return value
    placed = _item(name, slot, value, find)
    alone = slot.many and not slot.one and isinstance(value, str)
    return [placed] if alone else placed


def _item(name: str, slot: Slot, value: Json, find: Callable[[str, Slot, str], Json]) -> Json:
    if isinstance(value, str):
        found = find(name, slot, value)
        return found if slot.key is None else {slot.key: found}
    if isinstance(value, dict) and slot.key and isinstance(inside := value.get(slot.key), str):
        return {**value, slot.key: find(name, slot, inside)}
    return value


def noun_of(kind: str) -> str:
    """Return the word for a kind of media in a sentence."""
    return {"image": "picture", "audio": "sound", "media": "file"}.get(kind, kind)


# -- through lists and objects


def leaves(value: object, depth: int = 0) -> Iterator[object]:
    """Yield every part of a value that is neither a list nor an object."""
    if not isinstance(value, Mapping | list | tuple):
        yield value
    elif depth <= _MAX_DEPTH:
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from leaves(each, depth + 1)


def mapped(value: Any, change: Callable[[Any], Json]) -> Json:  # noqa: ANN401 - any JSON
    """Return a value with `change` applied to each leaf."""
    if isinstance(value, Mapping):
        return {str(name): mapped(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [mapped(each, change) for each in value]
    return change(value)


def inputs_in(value: object) -> Iterator[Input]:
    """Yield every input in a value."""
    return (each for each in leaves(value) if isinstance(each, Input))


def holds_input(value: object) -> bool:
    """Whether a value contains an input."""
    return any(isinstance(each, Input) for each in leaves(value))


def replaced(value: Json, change: Callable[[Input], Json]) -> Json:
    """Return a value with `change` applied to each input in it."""
    return mapped(value, lambda each: change(each) if isinstance(each, Input) else each)
