"""When schemas are read again, and that a model whose schema cannot be read is said once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import pytest
from session_rig import HANG_S

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.api.parsing import max_age_s
from modellix_jupyter.errors import ConnectFailed, ModellixError, UnknownModel
from modellix_jupyter.notebook import catalog
from modellix_jupyter.notebook.catalog import Catalog
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.values import Model, Request

MODEL = "a/b"


class FakeClient:
    """Answers with a schema of one parameter, whose name says how often it was read."""

    def __init__(self, cache_control: str = "") -> None:
        self.cache_control = cache_control
        self.count = 0
        self.fails = False

    async def models(self) -> list[Model]:
        return [Model(slug=MODEL)]

    async def schema(self, model: str, *, received: dict[str, str]) -> Any:
        assert model == MODEL
        if self.fails:
            raise ConnectFailed("No connection.")
        self.count += 1
        received["cache-control"] = self.cache_control
        return {"properties": {f"p{self.count}": {}}}


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = 1000.0

    def pass_by(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(catalog, "monotonic", lambda: now)
    return pass_by


def test_no_name_is_a_models_where_the_service_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_: FakeClient) -> list[Model]:
        return []

    monkeypatch.setattr(FakeClient, "models", nothing)
    models = Catalog(cast("AsyncClient", FakeClient()))
    with pytest.raises(UnknownModel, match="no model `a/b`"):
        asyncio.run(models.look_up(MODEL))


def known(of: Catalog) -> list[str]:
    schema = asyncio.run(of.schema(MODEL))
    return [] if schema is None else list(schema.parameters)


@pytest.mark.parametrize(
    ("said", "age"),
    [("", 3600), ("public, max-age=7200", 7200), ("max-age=5", 5), ("no-store", 60)],
)
def test_a_schema_is_read_again_after_what_its_answer_says_or_an_hour(
    later: Callable[[float], None], said: str, age: float
) -> None:
    models = Catalog(cast("AsyncClient", FakeClient(said)))
    assert known(models) == ["p1"]
    later(age - 1)
    assert known(models) == ["p1"]
    later(2)
    assert known(models) == ["p2"]


def test_what_was_read_before_is_used_while_it_cannot_be_read_again(
    later: Callable[[float], None],
) -> None:
    client = FakeClient("max-age=90")
    models = Catalog(cast("AsyncClient", client))
    assert known(models) == ["p1"]
    client.fails = True
    later(100)
    assert known(models) == ["p1"]
    asyncio.run(models.check([Request(MODEL, None, {"p1": 1})]))
    assert models.newly_unchecked([MODEL]) == []
    client.fails = False
    later(61)
    assert known(models) == ["p2"]


def test_a_schema_that_cannot_be_read_is_not_waited_for_in_every_cell(
    later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def never(*_: Any, **__: Any) -> Any:
        asked.append(1)
        await asyncio.sleep(HANG_S)

    monkeypatch.setattr(FakeClient, "schema", never)
    monkeypatch.setattr(catalog, "MAX_WAIT_S", 0.01)
    models = Catalog(cast("AsyncClient", FakeClient()))
    for _ in range(3):
        asyncio.run(models.check([Request(MODEL, "x")]))
    with pytest.raises(ModellixError, match="cannot be read"):
        asyncio.run(models.look_up(MODEL))
    assert len(asked) == 1
    later(11)
    assert known(models) == []
    assert len(asked) == 2


def test_a_model_named_by_its_last_part_is_the_only_suggestion() -> None:
    models = Catalog(cast("AsyncClient", FakeClient()))
    names = ("google/nano-banana-2", "google/nano-banana-2-lite", "openai/sora", "other/sora")
    models._models = {name: Model(slug=name) for name in names}
    models._read_at = monotonic()
    assert asyncio.run(models.full_names("nano-banana-2")) == ["google/nano-banana-2"]
    assert asyncio.run(models.full_names("sora")) == ["openai/sora", "other/sora"]


def test_a_model_that_is_not_checked_is_said_once() -> None:
    client = FakeClient()
    client.fails = True
    models = Catalog(cast("AsyncClient", client))
    request = Request(MODEL, "x", {"anything": 1})
    asyncio.run(models.check([request, request]))
    assert models.newly_unchecked([MODEL, MODEL, "a/other"]) == [MODEL]
    asyncio.run(models.check([request]))
    assert models.newly_unchecked([MODEL]) == []


def test_a_cell_says_that_its_model_is_not_checked(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_: Any, **__: Any) -> Any:
        return {"openapi": "3.1.0"}

    monkeypatch.setattr(AsyncClient, "schema", unreadable)
    words = "Unchecked: the parameters of sandbox/fast cannot be read."
    for told in (1, 0):
        results = session.submit(make_plan(["x"], ["sandbox/fast"])).wait(HANG_S)
        view = session.show([task.uid for task in results])
        assert view.bundle(final=True)["text/plain"].count(words) == told
        assert view.bundle(final=True)["text/html"].count(words) == told
        view.stop()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("max-age=60", 60),
        ('private, MAX-AGE="60"', 60),
        ("max-age=60, no-cache", 0),
        ("No-Store", 0),
        ("max-age=-1", None),
        ("max-age=soon", None),
        ("max-age", None),
        ("public", None),
        ("", None),
    ],
)
def test_how_long_an_answer_holds(header: str, seconds: float | None) -> None:
    assert max_age_s(header) == seconds
