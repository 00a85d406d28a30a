"""What a model of the sandbox is: its parameters, its price, its pace and its misfortunes."""

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from modellix_jupyter.sandbox_server.faults import Fault
from modellix_jupyter.sandbox_server.parameters import Parameter, complaint

Media = Literal["image", "video", "audio"]

#: The long side in pixels of each spelling of a resolution.
_LONG_SIDE = {"1K": 1024, "2K": 2048, "4K": 4096}
#: The short side in pixels of a video's resolution.
_SHORT_SIDE = {"270p": 270, "480p": 480, "720p": 720}


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs.

    Parameters
    ----------
    amount
        US dollars a unit.
    unit
        "image", "second" or "task".
    by
        The parameter that changes the price, if one does.
    amounts
        The price for each value of that parameter.
    """

    amount: float
    unit: str = "image"
    by: str | None = None
    amounts: Mapping[str, float] = field(default_factory=dict)

    def display(self) -> dict[str, object]:
        """Return the price as the catalogue prints it: an amount, or the ends of a range."""
        tail: dict[str, object] = {"currency": "USD", "unit": self.unit}
        if not self.amounts:
            return {"amount": self.amount, **tail}
        return {"min": min(self.amounts.values()), "max": max(self.amounts.values()), **tail}

    def of(self, values: Mapping[str, object]) -> float:
        """Return what a request costs in US dollars.

        Parameters
        ----------
        values
            The request, with the defaults filled in.

        Returns
        -------
        float
            The price of all its units.
        """
        each = self.amounts.get(str(values.get(self.by or "")), self.amount)
        units = {"image": values.get("n", 1), "second": values.get("duration", 1)}
        many = units.get(self.unit, 1)
        return each * (many if isinstance(many, int) else 1)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long tasks take: lognormal, as the times of real services are, inside two bounds.

    Parameters
    ----------
    median, low, high
        Seconds.
    spread
        The standard deviation of the logarithm.
    """

    median: float
    low: float
    high: float
    spread: float = 0.25

    def draw(self, rng: random.Random) -> tuple[float, float]:
        """Return one task's seconds in the queue, and its seconds altogether."""
        total = self.median * math.exp(rng.gauss(0, self.spread))
        total = min(max(total, self.low), self.high)
        return total * rng.uniform(0.1, 0.3), total


@dataclass(frozen=True, slots=True)
class Quirk:
    """What a model does wrong on purpose.

    Parameters
    ----------
    submit
        The fault that its submissions meet.
    times
        How often each distinct body meets it before one is accepted; None for always.
    download
        The fault that its files meet.
    refusal
        Why its tasks fail after they were accepted.
    """

    submit: Fault | None = None
    times: int | None = None
    download: Fault | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of the catalogue.

    Parameters
    ----------
    slug
        provider/model.
    type
        "text-to-image" and the like.
    description
        What it does, and what it does wrong on purpose.
    parameters
        Its parameters by name.
    required
        Those that a request must have.
    price, pace
        What it costs and how long it takes.
    style
        Which painter draws for it.
    featured
        Whether ``?featured=true`` lists it.
    quirk
        What it does wrong on purpose.
    """

    slug: str
    type: str
    description: str
    parameters: Mapping[str, Parameter]
    required: tuple[str, ...] = ("prompt",)
    price: Price
    pace: Pace
    style: str
    featured: bool = False
    quirk: Quirk = Quirk()

    @property
    def name(self) -> str:
        """The second half of the slug, which answers call `model_id`."""
        return self.slug.partition("/")[2]

    @property
    def media(self) -> Media:
        """What the model makes."""
        made = self.type.rpartition("-")[2]
        if made == "video":
            return "video"
        return "audio" if made == "speech" else "image"

    def values(self, body: Mapping[str, object]) -> dict[str, object]:
        """Return the body with the defaults of what it leaves out."""
        defaults = {
            name: parameter.default
            for name, parameter in self.parameters.items()
            if parameter.default is not None
        }
        return {**defaults, **body}

    def complaint(self, body: Mapping[str, object]) -> str | None:
        """Return what is wrong with a body, or None."""
        return complaint(self.parameters, self.required, body)

    def entry(self, origin: str) -> dict[str, object]:
        """Return the model as the catalogue lists it.

        Parameters
        ----------
        origin
            Where the sandbox is served.

        Returns
        -------
        dict
            A JSON object.
        """
        return {
            "slug": self.slug,
            "type": self.type,
            "docs_url": f"{origin}/models/{self.slug}/api_schema",
            "description": self.description,
            "price": self.price.display(),
        }

    def openapi(self, origin: str) -> dict[str, object]:
        """Return the model's request as an OpenAPI fragment.

        Parameters
        ----------
        origin
            Where the sandbox is served.

        Returns
        -------
        dict
            A JSON object.
        """
        properties = {name: each.schema() for name, each in self.parameters.items()}
        schema = {"type": "object", "required": list(self.required), "properties": properties}
        content = {"application/json": {"schema": schema}}
        return {
            "openapi": "3.1.0",
            "info": {"title": self.slug, "version": "1", "description": self.description},
            "servers": [{"url": f"{origin}/api/v1/{self.slug}/async"}],
            "post": {
                "summary": self.description,
                "requestBody": {"required": True, "content": content},
            },
        }


def canvas(media: Media, values: Mapping[str, object]) -> tuple[int, int]:
    """Return the width and height in pixels that a request asks for, however it says so.

    Parameters
    ----------
    media
        What is made.
    values
        The request, with the defaults filled in.

    Returns
    -------
    tuple of int
        Width and height. Even for a video, as its codec wants.
    """
    width, height, size = values.get("width"), values.get("height"), str(values.get("size"))
    if isinstance(width, int) and isinstance(height, int):
        return width, height
    if exact := re.fullmatch(r"(\d+)[x*](\d+)", size):
        return int(exact[1]), int(exact[2])
    across, _, down = str(values.get("aspect_ratio", "1:1")).partition(":")
    ratio = int(across) / int(down)
    if media == "video":
        return _from_short(_SHORT_SIDE[str(values.get("resolution", "270p"))], ratio)
    return _from_long(_LONG_SIDE[str(values.get("resolution", size))], ratio)


def _from_short(side: int, ratio: float) -> tuple[int, int]:
    """Return even sides of this ratio, of which `side` is the shorter."""
    if ratio >= 1:
        return 2 * round(side * ratio / 2), side
    return side, 2 * round(side / ratio / 2)


def _from_long(side: int, ratio: float) -> tuple[int, int]:
    """Return sides of this ratio, of which `side` is the longer."""
    if ratio >= 1:
        return side, round(side / ratio)
    return round(side * ratio), side
