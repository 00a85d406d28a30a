"""What a picture weighs in the saved notebook, against the original embedded.

The pictures are the sandbox's own, 1024 pixels wide; a real notebook's JSON is weighed, with what a
cell shows of each of them in it, as text and as HTML.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figure
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Scale
    from modellix_jupyter.results.results import Results

MODEL = "alibaba/qwen-image-plus"
SPEED = 100.0
GOAL_BYTES = 1000 * Settings().picture_kb


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield the bytes of one picture alone, and of one among many in an output."""
    with Sandbox(speed=SPEED) as sandbox:
        settings = Settings(
            base_url=sandbox.base_url, home=os.environ["MODELLIX_HOME"], requests_per_second=100
        )
        session = Session(settings, key="sandbox")
        try:
            alone = _results(session, 1)
            yield _figure("A 1024 px picture in the notebook, alone in its output", alone)
            many = _results(session, scale.pictures)
            yield _figure(f"The same, one of {scale.pictures} in an output", many)
            yield _worst(session, alone)
        finally:
            session.close()


def _results(session: Session, count: int) -> Results:
    prompts = [f"a lighthouse in the fog, number {n}" for n in range(count)]
    return session.submit(make_plan(prompts, [MODEL], params={"size": "1024*1024"})).wait()


def _figure(what: str, results: Results) -> Figure:
    ours = _saved(results) / len(results)
    originals = [path.read_bytes() for path in results.paths]
    theirs = sum(len(_embedded(data)) for data in originals) / len(originals)
    return _against(what, ours, theirs)


def _against(what: str, ours: float, theirs: float) -> Figure:
    return Figure(
        what=what,
        ours=f"{ours / 1e3:.1f} kB",
        against=f"the original embedded: {theirs / 1e3:.0f} kB",
        ratio=ours / theirs,
        goal=f"under {GOAL_BYTES // 1000} kB",
        met=ours < GOAL_BYTES,
    )


def _worst(session: Session, results: Results) -> Figure:
    """Weigh the picture that no JPEG makes small: noise, in the place of what was downloaded."""
    from dataclasses import replace

    from PIL import Image

    path = Path(os.environ["MODELLIX_HOME"], "noise.png")
    Image.effect_noise((1024, 1024), 90).convert("RGB").save(path)
    (resource,) = results[0].resources
    media = session.media(replace(resource, path=str(path)))
    ours, theirs = len(media.src or ""), len(_embedded(path.read_bytes()))
    return _against("Its worst case, noise: the thumbnail itself", ours, theirs)


def _saved(results: Results) -> int:
    """Return the bytes of an output with these results, as a notebook is saved."""
    bundle = {"text/html": results._repr_html_(), "text/plain": repr(results)}
    lines = {kind: text.splitlines(keepends=True) for kind, text in bundle.items()}
    return len(json.dumps({"data": lines}, ensure_ascii=False, indent=1).encode())


def _embedded(data: bytes) -> bytes:
    return base64.b64encode(data)
