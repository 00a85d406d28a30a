"""Every model of the sandbox's catalog, called by filling in the panel's form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.cell_parser import parse_cell
from modellix_jupyter.planning.schema import example_cell
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.sandbox_server.catalog import MODELS
from modellix_jupyter.values import Json, Status

from .panel_rig import Page

SLUGS = [slug for slug in MODELS if not slug.startswith("sandbox/")]
# What makes a file that a model begins from, and is no picture.
MAKERS = {"film.mp4": "alibaba/wan-2.5-t2v", "sound.mp3": "minimax/speech-2.6"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(speed=1000) as running:
        yield running


def with_media(value: Json, media: dict[str, str]) -> Json:
    """Return a parameter of an example with files that there are."""
    if isinstance(value, list):
        return [with_media(each, media) for each in value]
    if isinstance(value, dict):
        return {name: with_media(each, media) for name, each in value.items()}
    return media.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize("slug", SLUGS)
def test_the_panel_calls_it(page: Page, session: Session, slug: str, tmp_path: Path) -> None:
    schema = session.schema(slug)
    assert schema is not None
    line, _, text = example_cell(slug, schema).partition("\n")
    picture = tmp_path / "picture.png"
    Image.linear_gradient("L").save(picture)
    media = {"picture.png": str(picture)}
    for name, maker in MAKERS.items():
        if name in line:
            (made,) = page.generate("the sea", maker)
            media[name] = made.resources[0].url
    command = parse_cell(line.removeprefix("%%modellix "), text)
    page.choose(slug)
    params = {name: with_media(value, media) for name, value in command.params.items()}
    page.create.form.put(slug, params)
    (prompt,) = command.prompts or ("",)
    (task,) = page.generate(prompt or "", slug)
    assert task.status is Status.SUCCESS
    assert all(resource.path for resource in task.resources)
    assert set(task.request.params) >= set(params)
