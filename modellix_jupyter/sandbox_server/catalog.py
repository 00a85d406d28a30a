"""The models of the sandbox: pleasant ones to look at, and ones that fail on purpose."""

from collections.abc import Mapping

from modellix_jupyter.sandbox_server.faults import Fault
from modellix_jupyter.sandbox_server.models import Model, Option, Pace, Price, Quirk, Schema


def _of(kind: str, description: str, **keywords: object) -> Schema:
    """Return a parameter of a type, with the keywords that bound it."""
    return {"type": kind, "description": description, **keywords}


def _text(description: str, longest: int = 4000, shortest: int = 1) -> Schema:
    """Return a text parameter with bounds in characters."""
    return _of("string", description, minLength=shortest, maxLength=longest)


def _prompt(longest: int = 4000) -> Schema:
    """Return the parameter most models have."""
    return _text("What to make, in plain words.", longest)


def _choice(description: str, values: str) -> Schema:
    """Return a string parameter with a fixed set of values, the default first."""
    known = values.split()
    return _of("string", description, default=known[0], enum=known)


def _count(description: str, default: int, low: int, high: int) -> Schema:
    """Return a bounded integer parameter."""
    return _of("integer", description, default=default, minimum=low, maximum=high)


def _media(about: str, kind: str = "image", *, data: bool = True) -> Schema:
    """Return a parameter that takes media by an address, and with most models by value."""
    forms = f"an https address or data:{kind}/...;base64" if data else "an https address"
    pattern = f"^(https?://|data:{kind}/)" if data else "^https?://"
    example = f"https://example.com/{kind}"
    return _of("string", f"{about}: {forms}.", pattern=pattern, example=example)


def _list(item: Schema, most: int, about: str) -> Schema:
    """Return a list parameter with at least one item."""
    example = [item.get("example")]
    return _of("array", about, items=item, minItems=1, maxItems=most, example=example)


_RATIOS = "1:1 16:9 9:16 4:3 3:4"
_SIZE = "Width and height in pixels."
_LONG = "Pixels on the long side."
_SHORT = "Pixels on the short side."
_RATIO = "Width to height."
_MANY = "How many pictures to make."
_SECONDS = "Length in seconds."
_CLOSELY = "How closely to follow the prompt."

_PICTURE = _media("A picture")
#: The parameter that tells repeats apart.
_SAME = "The same seed and request give the same result; leave it out for one of its own."
_SEED = _of("integer", _SAME, minimum=0, maximum=2**31 - 1)
_WRITE: Mapping[str, Schema] = {"prompt": _prompt(), "seed": _SEED}
_FORMAT = {"output_format": _choice("How the picture is stored.", "png jpeg webp")}


_PICTURES = (
    Model(
        slug="alibaba/qwen-image-plus",
        description="Layered hills under a low sun, in the blues of a winter morning.",
        parameters={
            **_WRITE,
            "negative_prompt": _text("What to keep out of the picture.", 500, 0),
            "size": _choice(_SIZE, "1024*1024 1328*1328 1664*928 928*1664 1472*1104 1104*1472"),
            "n": _count(_MANY, 1, 1, 4),
            "prompt_extend": _of("boolean", "Let the model add to a short prompt.", default=True),
        },
        price=Price(0.03),
        pace=Pace(3.2, 2.0, 6.0),
        look=("hills", "12263f 2f5d8c 6fa8d0 b9dcec f7fbff"),
        featured=True,
    ),
    Model(
        slug="google/nano-banana-2",
        description="Bold tiles of circles and arcs, as from a Bauhaus poster.",
        parameters={
            **_WRITE,
            "aspectRatio": _choice(_RATIO, f"{_RATIOS} 3:2 2:3 21:9"),
            "imageSize": _choice(_LONG, "1K 2K 4K"),
            "n": _count(_MANY, 1, 1, 4),
            **_FORMAT,
        },
        price=Price(0.04, "image", "imageSize", {"1K": 0.04, "2K": 0.08, "4K": 0.15}),
        pace=Pace(2.8, 2.0, 5.0),
        look=("tiles", "1c1c22 1f4e9c d8352a f2b705 f4ecd8"),
        featured=True,
    ),
    Model(
        slug="google/nano-banana-2-lite",
        description="Bold tiles of circles and arcs, in fewer colours and for less.",
        parameters={
            **_WRITE,
            "aspectRatio": _choice(_RATIO, _RATIOS),
            "imageSize": _choice(_LONG, "1K 512"),
        },
        price=Price(0.02, form="text"),
        pace=Pace(1.8, 1.0, 3.0),
        look=("tiles", "20211f 5b6057 c9502e e9b949 f7f3e8"),
    ),
    Model(
        slug="openai/gpt-image-2",
        description="Soft pink fields with lights out of focus.",
        parameters={
            "prompt": _prompt(32_000),
            "size": _choice(_SIZE, "1024x1024 1536x1024 1024x1536"),
            "quality": _choice("More care for more money.", "medium low high"),
            "n": _count(_MANY, 1, 1, 10),
            **_FORMAT,
        },
        price=Price(0.04, "image", "quality", {"low": 0.01, "medium": 0.04, "high": 0.17}),
        pace=Pace(4.5, 3.0, 6.0),
        look=("lights", "3d1f4f a63d8f f2709c ffb199 fff0e1"),
        featured=True,
    ),
    Model(
        slug="black-forest-labs/flux-2-pro",
        description="Warm fields and teal shadows with lights out of focus.",
        parameters={
            **_WRITE,
            "width": _count("Width in pixels.", 1024, 256, 2048),
            "height": _count("Height in pixels.", 1024, 256, 2048),
            "guidance": _of("number", _CLOSELY, default=3.5, exclusiveMinimum=1.0, maximum=10.0),
            **_FORMAT,
        },
        price=Price(0.05),
        pace=Pace(3.6, 2.0, 6.0),
        look=("lights", "14323a 1f7a7a f08a6c f7c59f fdf3e4"),
        featured=True,
    ),
    Model(
        slug="bytedance/seedream-4",
        description="Hills at dusk, in violet.",
        parameters={
            **_WRITE,
            "size": _choice(_LONG, "1K 2K 4K"),
            "aspect_ratio": _choice(_RATIO, _RATIOS),
            "n": _count(_MANY, 1, 1, 6),
        },
        price=Price(0.03),
        pace=Pace(2.4, 2.0, 4.0),
        look=("hills", "0a0d24 222a68 5a4fb0 b48be0 ffe9c7"),
    ),
    Model(
        slug="alibaba/wan2.6-t2i",
        description="Hills in the greens of May; four pictures where nothing else is said.",
        parameters={
            **_WRITE,
            "size": _choice(_SIZE, "1280*1280 1024*1024 1280*720 720*1280"),
            "n": _count(_MANY, 4, 1, 4),
        },
        common=("prompt", "seed"),
        price=Price(0.03),
        pace=Pace(3.0, 2.0, 5.0),
        look=("hills", "10261b 2d6a4f 74b077 c8e0a8 fbfbe8"),
    ),
    Model(
        slug="google/nano-banana-2-edit",
        type="image-to-image",
        description="Prints the picture it is given in a few warm tones, as a poster.",
        parameters={
            **_WRITE,
            "image": _media("The picture to edit"),
            "aspectRatio": _choice(_RATIO, _RATIOS),
            "imageSize": _choice(_LONG, "1K 2K"),
            **_FORMAT,
        },
        required=("prompt", "image"),
        price=Price(0.05),
        pace=Pace(3.5, 2.0, 6.0),
        look=("hills", "2b1b3d 7b2d5e d9505a f6955f ffe0a3"),
    ),
    Model(
        slug="openai/gpt-image-2-edit",
        type="image-to-image",
        description="Prints the pictures it is given side by side, in soft pink.",
        parameters={
            "prompt": _prompt(32_000),
            "image": _list(
                _media("A picture", data=False), 16, "The pictures to edit, by address."
            ),
            "mask": _media("Where to edit: the transparent parts of this picture", data=False),
            "size": _choice(_SIZE, "1024x1024 1536x1024 1024x1536"),
            "n": _count(_MANY, 1, 1, 10),
            **_FORMAT,
        },
        required=("prompt", "image"),
        price=Price(0.05, form="fixed"),
        pace=Pace(4.0, 3.0, 6.0),
        look=("lights", "38203f 8d3c86 e06c9f f5a79c fdeee4"),
    ),
    Model(
        slug="bytedance/seedream-5.0-lite-edit",
        type="image-to-image",
        description="Prints one picture or several in the violet of dusk, as a series where asked.",
        parameters={
            **_WRITE,
            "image": {
                "description": "One picture, or a list of 1 to 14.",
                "example": _PICTURE["example"],
                "anyOf": [_PICTURE, _list(_PICTURE, 14, "The pictures.")],
            },
            "size": _choice(_LONG, "2K 4K"),
            "sequential_image_generation": _choice("A series of pictures.", "disabled auto"),
            "sequential_image_generation_max_images": _count("Of a series, at most.", 4, 1, 15),
        },
        required=("prompt", "image"),
        content_type="application/json; charset=utf-8",
        price=Price(0.035, form="beside"),
        pace=Pace(2.6, 2.0, 4.0),
        look=("hills", "0c1026 2a2f73 6a58bd c098e6 ffefd2"),
    ),
    Model(
        slug="kling/kling-image-o1",
        type="image-to-image",
        description="Prints a list of pictures in sand and ink.",
        parameters={
            **_WRITE,
            "image_list": _list(
                {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": _PICTURE, "name": _text("Its name.", 40)},
                    "example": {"image": _PICTURE["example"]},
                },
                10,
                "The pictures to begin from.",
            ),
            "aspect_ratio": _choice(_RATIO, _RATIOS),
            "series_amount": _count("How many pictures the series has.", 1, 1, 9),
        },
        required=("prompt", "image_list"),
        price=Price(0.028, form="usd"),
        pace=Pace(3.4, 2.0, 5.0),
        look=("facets", "1a1714 4d4032 a58a63 dcc7a0 f8f1e2"),
    ),
)


def _film(shortest: int, default: int, longest: int) -> dict[str, Schema]:
    """Return the parameters that every video model has."""
    return {
        **_WRITE,
        "duration": _count(_SECONDS, default, shortest, longest),
        "aspect_ratio": _choice(_RATIO, "16:9 9:16 1:1"),
        "resolution": _choice(_SHORT, "270p 480p 720p"),
    }


_VIDEOS = (
    Model(
        slug="alibaba/wan-2.5-t2v",
        type="text-to-video",
        description="A rolling sea: the sandbox has one film, of four seconds.",
        parameters=_film(1, 4, 10),
        price=Price(0.05, "second"),
        pace=Pace(17.0, 12.0, 25.0),
    ),
    Model(
        slug="google/veo-3-fast",
        type="text-to-video",
        description="A rolling sea: the sandbox has one film, of four seconds.",
        parameters={
            **_WRITE,
            "durationSeconds": _choice("Length in seconds, as a text.", "4 6 8"),
            "aspectRatio": _choice(_RATIO, "16:9 9:16"),
            "resolution": _choice(_SHORT, "270p 480p 720p"),
        },
        price=Price(0.10, "second", "resolution", {"270p": 0.1, "480p": 0.1, "720p": 0.15}),
        pace=Pace(14.0, 12.0, 20.0),
        featured=True,
    ),
    Model(
        slug="bytedance/seedance-1-pro",
        type="image-to-video",
        description="A rolling sea, whatever picture it is given: the sandbox has one film.",
        parameters={**_film(1, 3, 10), "image": _media("The first frame")},
        required=("prompt", "image"),
        price=Price(0.06, "second"),
        pace=Pace(18.0, 12.0, 25.0),
    ),
    Model(
        slug="bytedance/seedance-2.0-mini-t2v",
        type="text-to-video",
        description="A rolling sea: the sandbox has one film, of four seconds.",
        parameters={
            **_film(4, 5, 12),
            "generate_audio": _of("boolean", "With the sound of it.", default=False),
        },
        price=Price(0.02, "second", form="beside"),
        pace=Pace(13.0, 10.0, 18.0),
    ),
    Model(
        slug="alibaba/wan2.7-i2v",
        type="image-to-video",
        description="A rolling sea, from a first frame or after a first clip.",
        parameters={
            **_WRITE,
            "first_frame": _media("The picture that the film begins with"),
            "last_frame": _media("The picture that it ends with"),
            "first_clip": _media("The film to go on from", "video", data=False),
            "duration": _count(_SECONDS, 5, 2, 15),
            "resolution": _choice(_SHORT, "720p 1080p"),
        },
        required=(),
        options=(
            Option(needs=("first_frame",), lacks=("first_clip",)),
            Option(needs=("first_clip",), lacks=("first_frame", "last_frame")),
        ),
        price=Price(0.10, "second"),
        pace=Pace(16.0, 12.0, 20.0),
    ),
    Model(
        slug="vidu/viduq2-pro-multi-frame",
        type="image-to-video",
        description="A rolling sea through the frames that it is given; it takes no prompt.",
        parameters={
            "start_image": _media("The first frame"),
            "key_images": _list(_media("A frame"), 8, "The frames that follow, in their order."),
            "resolution": _choice(_SHORT, "540p 720p 1080p"),
        },
        required=("start_image", "key_images"),
        bare=True,
        price=Price(0.30, "task"),
        pace=Pace(15.0, 12.0, 20.0),
    ),
    Model(
        slug="alibaba/wan2.7-videoedit",
        type="video-to-video",
        description="A rolling sea, whatever film it is given; it costs by what that lasts.",
        parameters={
            "prompt": _prompt(),
            "video_url": _media("The film to edit", "video", data=False),
            "reference_images": _list(_PICTURE, 4, "How things in it should look."),
        },
        required=("prompt", "video_url"),
        price=Price(0.10, "second"),
        pace=Pace(17.0, 12.0, 22.0),
    ),
)


_VOICES = (
    Model(
        slug="minimax/speech-2.6",
        type="text-to-speech",
        description="Plays a few notes of a bell: the sandbox has one sound.",
        parameters={
            "prompt": _prompt(5000),
            "voice": _choice("Who speaks.", "flute bell organ"),
            "seed": _SEED,
        },
        price=Price(0.01, "task"),
        pace=Pace(2.8, 2.0, 4.0),
    ),
    Model(
        slug="alibaba/qwen3-tts-flash",
        type="text-to-speech",
        description="Plays a few notes of a bell: the sandbox has one sound.",
        parameters={
            "text": _text("What to say.", 600),
            "voice": _of("string", "Who speaks.", enum=["Cherry", "Ethan", "Serena"]),
            "language_type": _choice("The language.", "Auto English Chinese German"),
        },
        required=("text", "voice"),
        content_type="application/vnd.modellix+json",
        price=Price(0.01, "request", form="text"),
        pace=Pace(1.5, 1.0, 3.0),
    ),
    Model(
        slug="alibaba/qwen3-asr-flash",
        type="speech-to-text",
        description="Writes down what the sandbox's one sound says.",
        parameters={
            "url": _media("The sound to write down", "audio"),
            "language": _choice("The language.", "auto en zh de"),
        },
        required=("url",),
        price=Price(0.002, "task"),
        pace=Pace(1.2, 1.0, 2.0),
    ),
    Model(
        slug="minimax/voice-clone",
        type="speech-to-speech",
        description="Plays the same few notes, whoever is to be imitated.",
        parameters={
            "audio_url": _media("The voice to imitate", "audio"),
            "text": _text("What it should say.", 1000),
        },
        required=("audio_url", "text"),
        price=Price(0.50, "task"),
        pace=Pace(2.5, 2.0, 4.0),
    ),
)

_OCEAN = "061a33 0d4b75 1b8aa6 6fd0c8 eaf7e6"
_CITRUS = "1f3b2d 3f8f5b f2a032 f5c542 fff4d2"

_SMALL: Mapping[str, Schema] = {
    **_WRITE,
    "size": _choice(_SIZE, "512x512 256x256 1024x1024 768x512 512x768"),
    "n": _count(_MANY, 1, 1, 4),
    **_FORMAT,
}


_POLICY = "Content policy: the prompt was refused by the safety system"
#: What the sandbox's own models do, by their names.
_OWN: Mapping[str, tuple[str, Quirk]] = {
    "fast": ("Facets of coloured glass in about half a second.", Quirk()),
    "slow": ("Takes a whole minute.", Quirk()),
    "bad-request": ("Answers 400 to every request.", Quirk(Fault.BAD_REQUEST)),
    "unauthorized": ("Answers 401 to every key.", Quirk(Fault.UNAUTHORIZED)),
    "out-of-credit": ("Answers 402, as an empty account.", Quirk(Fault.PAYMENT_REQUIRED)),
    "not-found": ("Listed here, and yet answers 404.", Quirk(Fault.NOT_FOUND)),
    "rate-limited": (
        "Answers 429 with X-RateLimit-Reset twice to each request body, then accepts it.",
        Quirk(Fault.RATE_LIMITED, times=2),
    ),
    "always-rate-limited": ("Answers 429 for ever.", Quirk(Fault.RATE_LIMITED)),
    "flaky": (
        "Answers 500 twice to each request body, then accepts it.",
        Quirk(Fault.SERVER_ERROR, times=2),
    ),
    "server-error": ("Answers 500 for ever.", Quirk(Fault.SERVER_ERROR)),
    "unavailable": (
        "Answers 503 once to each request body, then accepts it.",
        Quirk(Fault.UNAVAILABLE, times=1),
    ),
    "proxy-error": (
        "Answers 502 with a web page, as a proxy in the way would; nothing is accepted.",
        Quirk(Fault.PROXY_ERROR),
    ),
    "refuses": ("Accepts the task, which then fails.", Quirk(refusal=_POLICY)),
    "silent": (
        "Accepts the task and hangs up without an answer, so its outcome is unknown.",
        Quirk(Fault.SILENCE),
    ),
    "garbled": (
        "Accepts the task and answers 200 with broken JSON, so its outcome is unknown.",
        Quirk(Fault.GARBLED_JSON),
    ),
    "expires": (
        "Succeeds, but its files are gone (404) at once.",
        Quirk(download=Fault.EXPIRED_FILE),
    ),
    "truncated": (
        "Succeeds, but its files end before their Content-Length.",
        Quirk(download=Fault.TRUNCATED_FILE),
    ),
}
_ON_PURPOSE = [
    Model(
        slug=f"sandbox/{name}",
        description=description,
        parameters=_SMALL,
        price=Price(0.001),
        pace=Pace(60.0, 60.0, 60.0) if name == "slow" else Pace(0.6, 0.5, 0.8),
        look=("facets", _OCEAN if name == "fast" else _CITRUS),
        quirk=quirk,
    )
    for name, (description, quirk) in _OWN.items()
]

#: Every model by its slug, in the order of the catalogue.
MODELS: Mapping[str, Model] = {
    model.slug: model for model in (*_PICTURES, *_VIDEOS, *_VOICES, *_ON_PURPOSE)
}
