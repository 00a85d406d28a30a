"""The real service, where a key is set: what is free always, what costs only where that is said.

``MODELLIX_API_KEY=... pytest tests/live`` asks; with ``MODELLIX_LIVE_MODEL=provider/model`` too,
it pays for one task of that model.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

import modellix_jupyter as mx
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.schema import parse_schema
from modellix_jupyter.settings import Settings

# read when the module is loaded: each test's environment names no key
KEY = os.environ.get("MODELLIX_API_KEY", "")
MODEL = os.environ.get("MODELLIX_LIVE_MODEL", "")

pytestmark = pytest.mark.skipif(not KEY, reason="the real service needs MODELLIX_API_KEY")

_T = TypeVar("_T")


def ask(call: Callable[[mx.AsyncClient], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        async with mx.AsyncClient(KEY, settings=Settings()) as client:
            return await call(client)

    return asyncio.run(run())


def test_the_key_is_taken() -> None:
    assert ask(lambda client: client.key_is_valid())


def test_the_balance_is_a_number() -> None:
    assert isinstance(ask(lambda client: client.balance()), float)


def test_the_catalog_has_models_of_several_types() -> None:
    models = ask(lambda client: client.models())
    assert len(models) > 20
    assert {"text-to-image", "text-to-video"} <= {model.type for model in models}


def test_a_schema_can_be_read() -> None:
    schema = parse_schema(ask(lambda client: client.schema("openai/gpt-image-2")))
    assert schema is not None
    assert "prompt" in schema.parameters


def test_a_wrong_key_is_refused() -> None:
    async def run() -> None:
        async with mx.AsyncClient("wrong", settings=Settings()) as client:
            await client.balance()

    with pytest.raises(mx.errors.Unauthorized):
        asyncio.run(run())


def test_a_task_that_nobody_submitted_is_not_found() -> None:
    with pytest.raises(mx.errors.NotFound):
        ask(lambda client: client.task("task-that-never-was"))


@pytest.mark.skipif(not MODEL, reason="MODELLIX_LIVE_MODEL names the model to pay for")
def test_one_task_from_the_prompt_to_the_file() -> None:
    current_session.push(Session(Settings(home=os.environ["MODELLIX_HOME"]), key=KEY))
    results = mx.generate("a paper boat on a pond", MODEL)
    assert results[0].status is mx.Status.SUCCESS
    assert all(path.stat().st_size > 0 for path in results.paths)
