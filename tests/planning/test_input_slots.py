"""What stands for media, and which parameters take them."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.planning.inputs import Input, Slot, as_input, place, slot_of, slots_of
from modellix_jupyter.planning.interpolation import value_of, values_of
from modellix_jupyter.planning.json_schema import clean
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.planning.schema import parse_schema
from modellix_jupyter.sandbox_server.catalog import MODELS
from modellix_jupyter.values import Request, Resource, Status, Task

TASK = Task(
    uid="u1",
    batch="b",
    origin="https://api.test",
    request=Request("a/x", "cat"),
    status=Status.SUCCESS,
    created_at=0,
    task_id="task-1",
)
RGB = Image.new("RGB", (20, 10), "red")


def opened(found: Any) -> Image.Image:
    assert isinstance(found, Input)
    assert isinstance(found.source, bytes)
    return Image.open(io.BytesIO(found.source))


def test_what_stands_for_media() -> None:
    for value, shown in (
        (PurePosixPath("a/cat.png"), "a/cat.png"),
        (TASK, "task-1"),
        (Resource(url="https://a.test/x.png"), "https://a.test/x.png"),
    ):
        found = as_input(value)
        assert isinstance(found, Input)
        assert found == shown
        assert as_input(found) is found
    assert isinstance(as_input(memoryview(b"x")), Input)


def test_an_open_file_is_read_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"a cat")
    with path.open("rb") as file:
        assert file.read()  # wherever it stands
        found = as_input(file)
    assert isinstance(found, Input)
    assert found.source == path
    in_memory = as_input(io.BytesIO(b"a cat"))
    assert isinstance(in_memory, Input)
    assert in_memory.source == b"a cat"


def test_pictures_become_png_whatever_they_are_made_of() -> None:
    assert opened(as_input(RGB)).size == (20, 10)
    for mode in ("CMYK", "F", "I;16", "LA", "P"):
        assert opened(as_input(Image.new(mode, (4, 4)))).format == "PNG"
    grey = np.zeros((30, 20), dtype="uint8")
    assert opened(as_input(grey)).size == (20, 30)
    floats = np.full((4, 4, 3), 0.5)
    assert opened(as_input(floats)).getpixel((0, 0)) == (128, 128, 128)
    assert opened(as_input(np.zeros((4, 4, 4), dtype="uint8"))).mode == "RGBA"
    assert opened(as_input(np.zeros((4, 4, 1)))).mode == "L"
    mask = np.ones((30, 20), dtype=bool)
    assert opened(as_input(mask)).getpixel((0, 0)) == 255
    deep = np.full((4, 4, 3), 40_000, dtype="uint16")  # 16 bits a channel
    assert opened(as_input(deep)).getpixel((0, 0)) == (155, 155, 155)
    assert opened(as_input(deep // 400)).getpixel((0, 0)) == (100, 100, 100)


@pytest.mark.parametrize("value", [None, 7, "cat.png", [1], {}, np.zeros((2, 3)), np.zeros(99)])
def test_what_stands_for_nothing_else(value: object) -> None:
    assert as_input(value) is None


def test_a_variable_in_a_cell_keeps_what_it_is() -> None:
    path = Path("cat.png")
    variables = {"cat": path, "cats": [path, RGB], "text": "cat.png"}
    one = value_of("{cat}", variables, where="`--image`")
    assert isinstance(one, Input)
    assert one.source == path
    several = value_of("{cats}", variables, where="`--image`")
    assert isinstance(several, list)
    assert [type(each) for each in several] == [Input, Input]
    nested = value_of('[{"image": "{cat}"}]', variables, where="`--image_list`")
    assert nested == [{"image": "cat.png"}]
    inside = value_of("{frame}", {"frame": {"image": path, "n": 1}}, where="`--frame`")
    assert isinstance(inside, dict)
    assert isinstance(inside["image"], Input)
    assert inside["n"] == 1
    assert len(values_of("image", "{cats}", variables)) == 2
    assert type(value_of("{text}", variables, where="`--image`")) is str


def test_a_plan_copies_everything_but_what_stands_for_media() -> None:
    options = {"a": [1]}
    (request,) = make_plan(["x"], ["a/x"], params={"image": [RGB, "u"], "options": options})
    options["a"].append(2)
    assert request.params["options"] == {"a": [1]}
    image = request.params["image"]
    assert isinstance(image, list)
    assert isinstance(image[0], Input)
    assert image[1] == "u"


# parameters as services describe them, and what they take
TEXT: dict[str, Any] = {"type": "string"}
SLOTS: list[tuple[str, dict[str, Any], Slot | None]] = [
    ("image", TEXT, Slot("image", one=True, many=False)),
    ("first_frame_url", TEXT, Slot("image", one=True, many=False)),
    ("images", {"type": "array", "items": TEXT}, Slot("image", one=False, many=True)),
    ("referenceImages", {"type": "array"}, Slot("image", one=False, many=True)),
    (
        "image",
        {"anyOf": [TEXT, {"type": "array", "items": TEXT}]},
        Slot("image", one=True, many=True),
    ),
    ("image", {"type": ["string", "array"], "items": TEXT}, Slot("image", one=True, many=True)),
    (
        "image_list",
        {"type": "array", "items": {"type": "object", "properties": {"image": TEXT}}},
        Slot("image", one=False, many=True, key="image"),
    ),
    (
        "mask",
        TEXT | {"description": "Base64 or URL"},
        Slot("image", one=True, many=False, by_value=True),
    ),
    ("video_urls", {"type": "array", "items": TEXT}, Slot("video", one=False, many=True)),
    ("first_clip", TEXT, Slot("video", one=True, many=False)),
    ("audio_url", TEXT, Slot("audio", one=True, many=False)),
    ("url", TEXT | {"description": "URL of the audio file"}, Slot("audio", one=True, many=False)),
    (
        "image",
        TEXT | {"description": "A URL or data:image/png;base64"},
        Slot("image", one=True, many=False, by_value=True),
    ),
    ("image", TEXT | {"description": "A URL, no base64"}, Slot("image", one=True, many=False)),
    ("subject", TEXT | {"format": "uri"}, Slot("media", one=True, many=False, sure=False)),
    ("url", TEXT, Slot("media", one=True, many=False)),
    ("image_tail", TEXT, Slot("image", one=True, many=False)),
    ("voice_url", TEXT, Slot("media", one=True, many=False, sure=False)),
    (
        "reference",
        TEXT | {"description": "URL of the picture"},
        Slot("image", one=True, many=False, sure=False),
    ),
    (
        "sample",
        TEXT | {"description": "Base64 of a recording"},
        Slot("audio", one=True, many=False, by_value=True, sure=False),
    ),
    (
        "video",
        {"type": "object", "properties": {"url": TEXT}},
        Slot("video", one=True, many=False, key="url"),
    ),
    (
        "input",
        {"type": "object", "properties": {"image": TEXT, "note": TEXT}},
        Slot("image", one=True, many=False, key="image"),
    ),
    ("input", {"type": "object", "properties": {"note": TEXT}}, None),
    ("negative_prompt", TEXT | {"description": "What the image at the URL lacks"}, None),
    ("style", TEXT | {"description": "Curls of the image"}, None),
    ("prompt", TEXT, None),
    ("voice", TEXT, None),
    ("image_size", {"enum": ["1K"]}, None),
    ("image", {"enum": ["a", "b"]}, None),
    ("image_count", {"type": "integer"}, None),
    ("image_strength", {"type": "number"}, None),
    ("generate_audio", {"type": "boolean"}, None),
    ("image_prompt", TEXT, None),
    ("callback_url", TEXT | {"description": "A URL that is told of the video"}, None),
    ("output_image", TEXT, None),
    ("style", TEXT | {"description": "The style of the image"}, None),
    ("seeds", {"type": "array", "items": {"type": "integer"}}, None),
]


@pytest.mark.parametrize(("name", "schema", "slot"), SLOTS)
def test_which_parameters_take_media(name: str, schema: dict[str, Any], slot: Slot | None) -> None:
    assert slot_of(name, clean(schema)) == slot


def test_which_parameters_of_the_sandbox_take_media() -> None:
    found = {}
    for slug, model in MODELS.items():
        schema = parse_schema(model.openapi(""))
        assert schema is not None
        if slots := slots_of(schema):
            found[slug] = {name: slot.kind for name, slot in slots.items()}
    assert found == {
        "google/nano-banana-2-edit": {"image": "image"},
        "openai/gpt-image-2-edit": {"image": "image", "mask": "image"},
        "bytedance/seedream-5.0-lite-edit": {"image": "image"},
        "kling/kling-image-o1": {"image_list": "image"},
        "bytedance/seedance-1-pro": {"image": "image"},
        "alibaba/wan2.7-i2v": {
            "first_frame": "image",
            "last_frame": "image",
            "first_clip": "video",
        },
        "vidu/viduq2-pro-multi-frame": {"start_image": "image", "key_images": "image"},
        "alibaba/wan2.7-videoedit": {"video_url": "video", "reference_images": "image"},
        "alibaba/qwen3-asr-flash": {"url": "audio"},
        "minimax/voice-clone": {"audio_url": "audio"},
    }


def test_where_media_are_put() -> None:
    slots = {
        "one": Slot("image", one=True, many=False),
        "many": Slot("image", one=False, many=True),
        "list": Slot("image", one=False, many=True, key="image"),
    }

    def put(**params: Any) -> dict[str, Any]:
        return place(params, slots, lambda name, _, value: f"{name}:{value}")

    assert put(one="a", other="b") == {"one": "one:a", "other": "b"}
    assert put(many="a") == {"many": ["many:a"]}
    assert put(many=["a", "b"]) == {"many": ["many:a", "many:b"]}
    assert put(list="a") == {"list": [{"image": "list:a"}]}
    assert put(list=[{"image": "a", "n": 1}]) == {"list": [{"image": "list:a", "n": 1}]}
    assert put(one=7, many=None) == {"one": 7, "many": None}
    with pytest.raises(InvalidRequest, match="takes one picture, and here are 2"):
        put(one=[Input("a", b"a"), Input("b", b"b")])
