"""Cards with real pictures for the tests of grids and exports: noise, which no JPEG makes small."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from modellix_jupyter.storage.thumbnails import embed
from modellix_jupyter.values import Card, Media, Request, Resource, Status, Task

NOON = 1_761_912_000_123_457


def noise(path: Path, size: tuple[int, int] = (512, 512), level: float = 90) -> Path:
    """Write a picture that is hard to compress."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, level).convert("RGB").save(path)
    return path


@cache
def heavy(folder: Path) -> Media:
    """Return a thumbnail that weighs as much as one may."""
    path = noise(folder / "heavy.png")
    media = embed(resource(path), picture_bytes=48_000)
    assert 40_000 < len(media.src or "") <= 64_100
    return media


def resource(path: Path | None, **changes: Any) -> Resource:
    given: dict[str, Any] = {
        "url": "https://files.example/1.png",
        "type": "image",
        "width": 512,
        "height": 512,
        "format": "png",
        "path": None if path is None else str(path),
    }
    return Resource(**given | changes)


def task(
    uid: str,
    model: str = "a/x",
    prompt: str | None = "a cat",
    params: dict[str, Any] | None = None,
    **changes: Any,
) -> Task:
    given: dict[str, Any] = {
        "batch": "b",
        "origin": "https://api.example",
        "status": Status.SUCCESS,
        "created_at": NOON,
        "submitted_at": NOON,
        "completed_at": NOON + 4_200_000,
        "task_id": f"task-{uid}",
        "attempts": 1,
        "price": 0.03,
    }
    return Task(uid=uid, request=Request(model, prompt, params or {}), **given | changes)


def card(uid: str, *media: Media, **changes: Any) -> Card:
    """Return the card of a task with a resource for each of the media."""
    resources = tuple(resource(None if m.path is None else Path(m.path)) for m in media)
    return Card(task=task(uid, **{"resources": resources} | changes), media=media)


def product(
    media: Media | None, models: int, prompts: int, seeds: int = 1, **changes: Any
) -> list[Card]:
    """Return a card for each combination; each has a copy of the media of its own."""
    return [
        card(
            f"u{m}-{p}-{s}",
            *([] if media is None else [replace(media, width=512 + m)]),
            model=f"a/m{m}",
            prompt=f"prompt {p}",
            params={"seed": s} if seeds > 1 else {},
            **changes,
        )
        for p in range(prompts)
        for m in range(models)
        for s in range(seeds)
    ]
