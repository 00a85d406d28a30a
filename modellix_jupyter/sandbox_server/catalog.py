"""The models of the sandbox: pleasant ones to look at, and ones that fail on purpose."""

from collections.abc import Mapping

from modellix_jupyter.sandbox_server import parameters as p
from modellix_jupyter.sandbox_server.faults import Fault
from modellix_jupyter.sandbox_server.model import Model, Pace, Price, Quirk
from modellix_jupyter.sandbox_server.parameters import Parameter

_FAST = Pace(median=0.6, low=0.5, high=0.8, spread=0.1)
_RATIOS = ("16:9", "9:16", "4:3", "3:4")
_SIZE = "Width and height in pixels."
_RATIO = "Width to height."
_MANY = "How many pictures to make."
_SECONDS = "Length in seconds."

_WRITE: Mapping[str, Parameter] = {"prompt": p.prompt(), "seed": p.seed()}
_FORMAT = {"output_format": p.choice("How the picture is stored.", "png", "jpeg", "webp")}

_QWEN = Model(
    slug="alibaba/qwen-image-plus",
    type="text-to-image",
    description="Layered mountains under a low sun, in the manner of an ink wash.",
    parameters={
        **_WRITE,
        "negative_prompt": p.text("What to keep out of the picture.", 500),
        "size": p.choice(
            _SIZE, "1024*1024", "1328*1328", "1664*928", "928*1664", "1472*1104", "1104*1472"
        ),
        "n": p.count(_MANY, 1, 1, 4),
        "prompt_extend": p.flag("Let the model add to a short prompt.", default=True),
    },
    price=Price(0.03),
    pace=Pace(median=3.2, low=2.0, high=6.0),
    style="mountains",
    featured=True,
)

_BANANA = Model(
    slug="google/nano-banana-2",
    type="text-to-image",
    description="Bold tiles of circles, arcs and triangles, as from a Bauhaus poster.",
    parameters={
        **_WRITE,
        "aspect_ratio": p.choice(_RATIO, "1:1", *_RATIOS, "3:2", "2:3", "21:9"),
        "resolution": p.choice("Pixels on the long side.", "1K", "2K", "4K"),
        "n": p.count(_MANY, 1, 1, 4),
        **_FORMAT,
    },
    price=Price(0.04, "image", "resolution", {"1K": 0.04, "2K": 0.08, "4K": 0.15}),
    pace=Pace(median=2.8, low=2.0, high=5.0),
    style="bauhaus",
    featured=True,
)

_EDIT = Model(
    slug="google/nano-banana-2-edit",
    type="image-to-image",
    description="Prints the picture it is given as a two-tone halftone.",
    parameters={
        **_WRITE,
        "image": p.image(),
        "aspect_ratio": p.choice(_RATIO, "1:1", *_RATIOS),
        "resolution": p.choice("Pixels on the long side.", "1K", "2K"),
        **_FORMAT,
    },
    required=("prompt", "image"),
    price=Price(0.05),
    pace=Pace(median=3.5, low=2.0, high=6.0),
    style="halftone",
)

_GPT = Model(
    slug="openai/gpt-image-2",
    type="text-to-image",
    description="Washes of watercolour on rough paper.",
    parameters={
        "prompt": p.prompt(32_000),
        "size": p.choice(_SIZE, "1024x1024", "1536x1024", "1024x1536"),
        "quality": p.choice("More care for more money.", "medium", "low", "high"),
        "n": p.count(_MANY, 1, 1, 10),
        **_FORMAT,
    },
    price=Price(0.04, "image", "quality", {"low": 0.01, "medium": 0.04, "high": 0.17}),
    pace=Pace(median=4.5, low=3.0, high=6.0),
    style="watercolor",
    featured=True,
)

_FLUX = Model(
    slug="black-forest-labs/flux-2-pro",
    type="text-to-image",
    description="Paper cut in layers, lit from the upper left.",
    parameters={
        **_WRITE,
        "width": p.count("Width in pixels.", 1024, 256, 2048),
        "height": p.count("Height in pixels.", 1024, 256, 2048),
        "guidance": Parameter(
            type="number",
            description="How closely to follow the prompt.",
            default=3.5,
            minimum=1.5,
            maximum=10.0,
        ),
        **_FORMAT,
    },
    price=Price(0.05),
    pace=Pace(median=3.6, low=2.0, high=6.0),
    style="papercut",
    featured=True,
)

_SEEDREAM = Model(
    slug="bytedance/seedream-4",
    type="text-to-image",
    description="A night sky with a planet over dark hills.",
    parameters={
        **_WRITE,
        "size": p.choice("Pixels on the long side.", "1K", "2K", "4K"),
        "aspect_ratio": p.choice(_RATIO, "1:1", *_RATIOS),
        "n": p.count(_MANY, 1, 1, 6),
    },
    price=Price(0.03),
    pace=Pace(median=2.4, low=2.0, high=4.0),
    style="nightsky",
)


def _film(shortest: int, default: int, longest: int) -> dict[str, Parameter]:
    """Return the parameters that every video model has."""
    return {
        **_WRITE,
        "duration": p.count(_SECONDS, default, shortest, longest),
        "aspect_ratio": p.choice(_RATIO, "16:9", "9:16", "1:1"),
        "resolution": p.choice("Pixels on the short side.", "270p", "480p", "720p"),
    }


_VIDEOS = (
    Model(
        slug="alibaba/wan-2.5-t2v",
        type="text-to-video",
        description="Northern lights that sway over a frozen ridge.",
        parameters=_film(1, 4, 10),
        price=Price(0.05, "second"),
        pace=Pace(median=17.0, low=12.0, high=25.0),
        style="aurora",
    ),
    Model(
        slug="google/veo-3-fast",
        type="text-to-video",
        description="A rolling sea with the sun low on the horizon.",
        parameters=_film(1, 4, 8),
        price=Price(0.10, "second", "resolution", {"270p": 0.1, "480p": 0.1, "720p": 0.15}),
        pace=Pace(median=14.0, low=12.0, high=20.0),
        style="waves",
        featured=True,
    ),
    Model(
        slug="bytedance/seedance-1-pro",
        type="image-to-video",
        description="Moves slowly across the picture it is given; without one, a clockwork sky.",
        parameters={**_film(1, 3, 10), "image": p.image()},
        required=("prompt", "image"),
        price=Price(0.06, "second"),
        pace=Pace(median=18.0, low=12.0, high=25.0),
        style="orbits",
    ),
)

_SPEECH = Model(
    slug="minimax/speech-2.6",
    type="text-to-speech",
    description="Hums the prompt: one note for each syllable or so.",
    parameters={
        "prompt": p.prompt(5000),
        "voice": p.choice("Who hums.", "flute", "bell", "organ"),
        "seed": p.seed(),
    },
    price=Price(0.01, "task"),
    pace=Pace(median=2.8, low=2.0, high=4.0),
    style="tune",
)

_SMALL: Mapping[str, Parameter] = {
    **_WRITE,
    "size": p.choice(_SIZE, "512x512", "256x256", "1024x1024", "768x512", "512x768"),
    "n": p.count(_MANY, 1, 1, 4),
    **_FORMAT,
}


_NONE = Quirk()


def _sandbox(
    name: str, description: str, quirk: Quirk = _NONE, pace: Pace = _FAST, style: str = "ridges"
) -> Model:
    """Return a small, cheap model of the sandbox's own provider."""
    return Model(
        slug=f"sandbox/{name}",
        type="text-to-image",
        description=description,
        parameters=_SMALL,
        price=Price(0.001),
        pace=pace,
        style=style,
        quirk=quirk,
    )


_MINUTE = Pace(median=60.0, low=60.0, high=60.0, spread=0.0)
_POLICY = "Content policy: the prompt was refused by the safety system"

_ON_PURPOSE = (
    _sandbox("fast", "A mosaic in about half a second.", style="mosaic"),
    _sandbox("slow", "Takes a whole minute.", pace=_MINUTE),
    _sandbox("bad-request", "Answers 400 to every request.", Quirk(Fault.BAD_REQUEST)),
    _sandbox("unauthorized", "Answers 401 to every key.", Quirk(Fault.UNAUTHORIZED)),
    _sandbox("out-of-credit", "Answers 402, as an empty account.", Quirk(Fault.PAYMENT_REQUIRED)),
    _sandbox("not-found", "Listed here, and yet answers 404.", Quirk(Fault.NOT_FOUND)),
    _sandbox(
        "rate-limited",
        "Answers 429 with X-RateLimit-Reset twice to each request body, then accepts it.",
        Quirk(Fault.RATE_LIMITED, times=2),
    ),
    _sandbox("always-rate-limited", "Answers 429 for ever.", Quirk(Fault.RATE_LIMITED)),
    _sandbox(
        "flaky",
        "Answers 500 twice to each request body, then accepts it.",
        Quirk(Fault.SERVER_ERROR, times=2),
    ),
    _sandbox("server-error", "Answers 500 for ever.", Quirk(Fault.SERVER_ERROR)),
    _sandbox(
        "unavailable",
        "Answers 503 once to each request body, then accepts it.",
        Quirk(Fault.UNAVAILABLE, times=1),
    ),
    _sandbox(
        "proxy-error",
        "Answers 502 with a web page, as a proxy in the way would; nothing is accepted.",
        Quirk(Fault.PROXY_ERROR),
    ),
    _sandbox("refuses", "Accepts the task, which then fails.", Quirk(refusal=_POLICY)),
    _sandbox(
        "silent",
        "Accepts the task and hangs up without an answer, so its outcome is unknown.",
        Quirk(Fault.SILENCE),
    ),
    _sandbox(
        "garbled",
        "Accepts the task and answers 200 with broken JSON, so its outcome is unknown.",
        Quirk(Fault.GARBLED_JSON),
    ),
    _sandbox(
        "expires",
        "Succeeds, but its files are gone (404) at once.",
        Quirk(download=Fault.EXPIRED_FILE),
    ),
    _sandbox(
        "truncated",
        "Succeeds, but its files end before their Content-Length.",
        Quirk(download=Fault.TRUNCATED_FILE),
    ),
)

#: Every model by its slug, in the order of the catalogue.
MODELS: Mapping[str, Model] = {
    model.slug: model
    for model in (
        *(_QWEN, _BANANA, _GPT, _FLUX, _SEEDREAM, _EDIT),
        *_VIDEOS,
        _SPEECH,
        *_ON_PURPOSE,
    )
}
