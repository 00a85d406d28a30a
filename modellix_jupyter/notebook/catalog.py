"""The models and their schemas, read when first needed, and again after an hour.

The header `Cache-Control` of a schema may set another time. A request can be sent without either.
If a schema cannot be read soon, the one that was read before is used. If there is none, the request
is sent unchecked, the user is told once, and the service decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from time import monotonic
from typing import NamedTuple, TypeVar

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.api.parsing import max_age_s
from modellix_jupyter.errors import ModellixError, UnknownModel, did_you_mean, suggest
from modellix_jupyter.planning.pricing import Pricing, pricing_of
from modellix_jupyter.planning.schema import ModelSchema, check_request, parse_schema
from modellix_jupyter.values import Model, Request

_T = TypeVar("_T")

# Seconds after which the catalog and the schemas are read again.
MAX_AGE_S = 3600.0
# A schema is kept this long although the service says `no-store`: prices, forms and completions
# need it many times.
_UNSTORED_S = 60.0
# Seconds until a schema that could not be read is asked for again, so that not every cell waits.
_RETRY_S = 10.0
# Seconds that a submission waits for the models or a schema.
MAX_WAIT_S = 5.0


class _Kept(NamedTuple):
    """A schema, or None if the model has none that can be read, and until when it is used."""

    schema: ModelSchema | None
    until: float


class Catalog:
    """The models of one service; only `newly_unchecked` may be called off the engine's loop."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._models: dict[str, Model] = {}
        self._read_at = -MAX_AGE_S
        self._schemas: dict[str, _Kept] = {}
        self._unchecked: dict[str, bool] = {}  # by model: whether the user was told
        self._lock = asyncio.Lock()
        self._ahead: asyncio.Future[dict[str, Model] | None] | None = None

    async def models(self) -> dict[str, Model]:
        """Return the models by slug; read them again if they are older than an hour."""
        async with self._lock:
            if monotonic() - self._read_at > MAX_AGE_S:
                self._models = {m.slug: m for m in await self._client.models()}
                self._read_at = monotonic()
        return self._models

    async def schema(self, model: str) -> ModelSchema | None:
        """Return a model's schema, or None if it has none that can be read soon."""
        kept = self._schemas.get(model)
        if kept is None or monotonic() > kept.until:
            known = kept.schema if kept is not None else None
            wait_s = MAX_WAIT_S if known is None else MAX_WAIT_S / 2
            read = await self._soon(partial(self._read_schema, model), wait_s)
            kept = read or _Kept(known, monotonic() + _RETRY_S)
        self._schemas[model] = kept
        return kept.schema

    async def _read_schema(self, model: str) -> _Kept:
        received: dict[str, str] = {}
        read = parse_schema(await self._client.schema(model, received=received))
        said = max_age_s(received.get("cache-control", ""))
        age = MAX_AGE_S if said is None else said or _UNSTORED_S
        return _Kept(read, monotonic() + (min(age, _UNSTORED_S) if read is None else age))

    def newly_unchecked(self, models: Iterable[str]) -> list[str]:
        """Return the models whose requests were sent unchecked, each only the first time."""
        found = [name for name in dict.fromkeys(models) if self._unchecked.get(name) is False]
        self._unchecked.update(dict.fromkeys(found, True))
        return found

    async def full_names(self, name: str) -> list[str]:
        """Return the slug that ends with a name, or else those that are most like it."""
        known = await self._soon(self.models) or {}
        named = [slug for slug in known if slug.partition("/")[2] == name]
        return named if len(named) == 1 else suggest(name, known, 3)

    async def look_up(self, name: str) -> tuple[Model, ModelSchema]:
        """Return the model that a name means, and its schema; else raise `UnknownModel`."""
        known = await self.models()
        found = [known[name]] if name in known else _named(name, known)
        if len(found) != 1:
            raise _unknown(name, known)
        schema = await self.schema(found[0].slug)
        if schema is None:
            raise ModellixError(
                f"The parameters of {found[0].slug} cannot be read.",
                "Requests to it are sent unchecked, and the service is the judge.",
            )
        return found[0], schema

    async def schemas(self, models: Iterable[str]) -> dict[str, ModelSchema | None]:
        """Return the schemas by model, with None for each that cannot be read soon."""
        names = list(dict.fromkeys(models))
        self._ahead = asyncio.ensure_future(self._soon(self.models))  # `check` needs them next
        found = await asyncio.gather(*map(self.schema, names))
        return dict(zip(names, found, strict=True))

    async def check(self, requests: Sequence[Request]) -> dict[str, Pricing]:
        """Check requests before anything is sent; return the pricing of each known model."""
        names = list(dict.fromkeys(request.model for request in requests))
        catalog = asyncio.ensure_future(self._soon(self.models))
        by_name = await self.schemas(names)
        known = await catalog or {}
        strange = next((name for name in names if known and name not in known), None)
        if strange is not None:
            raise _unknown(strange, known)
        for request in requests:
            schema = by_name[request.model]
            if schema is None:
                self._unchecked.setdefault(request.model, False)
            else:
                check_request(request, schema)
        return {n: pricing_of(known[n].price, by_name[n]) for n in names if n in known}

    async def _soon(
        self, read: Callable[[], Awaitable[_T]], within_s: float = MAX_WAIT_S
    ) -> _T | None:
        try:
            return await asyncio.wait_for(read(), within_s)
        except (ModellixError, TimeoutError):
            return None


def _named(name: str, known: dict[str, Model]) -> list[Model]:
    """Return the models whose slug ends in `/name`, or else those whose slug contains it."""
    last = [m for slug, m in known.items() if slug.partition("/")[2] == name]
    return last or [m for slug, m in known.items() if name.lower() in slug.lower()]


def _unknown(name: str, known: dict[str, Model]) -> UnknownModel:
    hint = f"{did_you_mean(name, known, 3)} `%modellix models` lists them all.".strip()
    return UnknownModel(f"There is no model `{name}`.", hint)
