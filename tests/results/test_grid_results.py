"""The grid of results that a real local service made, from asking to the saved sheet."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from session_rig import HANG_S

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results.results import Results

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")

MODELS = ["alibaba/qwen-image-plus", "sandbox/refuses"]


def ran(session: Session, *args: Any, **kwargs: Any) -> Results:
    return session.submit(make_plan(*args, **kwargs)).wait(HANG_S)


class Links(HTMLParser):
    """The pictures and links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pictures: list[dict[str, str | None]] = []
        self.links: list[str | None] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            self.pictures.append(dict(attrs))
        if tag == "a":
            self.links.append(dict(attrs)["href"])


def test_a_comparison_shows_pictures_reasons_and_captions(session: Session) -> None:
    results = ran(session, ["a cat", "a dog"], MODELS)
    html = results.grid()._repr_html_()
    page = Links(html)
    assert len(page.pictures) == 2
    assert [p["alt"] for p in page.pictures] == [
        "a cat (alibaba/qwen-image-plus)",
        "a dog (alibaba/qwen-image-plus)",
    ]
    assert not any(str(link).startswith("http") for link in page.links)
    assert html.count("refused by the safety system") == 2
    assert "$0.03" in html
    assert page.tags.isdisjoint({"style", "script", "link"})
    assert re.search(r"\d\.\d s", html)


def test_the_grid_takes_its_axes_from_the_caller(session: Session) -> None:
    results = ran(session, ["a cat"], MODELS[:1], vary={"seed": [1, 2, 3]})
    assert results.grid().grid.axes == ("model", "param.seed", "")
    assert results.grid(columns="seed", rows="model").grid.columns == ("1", "2", "3")
    with pytest.raises(InvalidRequest, match="no axis 'sed'"):
        results.grid(rows="sed")
    assert "seed" in repr(results.grid())


def test_the_settings_are_the_budget(session: Session) -> None:
    results = ran(session, ["a cat", "a dog"], MODELS[:1], vary={"seed": [1, 2]})
    session.adjust(session.settings.changed(output_kb=40, picture_kb=8))
    html = results.grid()._repr_html_()
    assert len(html.encode()) <= 40_000
    assert all(len(str(p["src"])) <= 8_000 for p in Links(html).pictures)
    assert len(results._repr_html_()) <= 40_000


def test_tasks_that_are_not_done_have_their_state(session: Session) -> None:
    results = session.submit(make_plan(["a cat"], ["sandbox/slow"]))
    html = results.grid()._repr_html_()
    assert any(word in html for word in ("submitting", "pending", "processing"))
    results.wait(HANG_S)


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_a_sheet_is_saved_from_the_originals(session: Session, tmp_path: Path, ending: str) -> None:
    results = ran(session, ["a cat"], MODELS, vary={"seed": [1, 2]})
    path = results.grid().save(tmp_path / f"sheet.{ending}")
    if ending == "png":
        with Image.open(path) as image:
            assert image.width > 2 * 640  # larger than any thumbnail is
    assert path.stat().st_size > 50_000


def test_a_sheet_of_a_flow_has_the_headings_below(session: Session, tmp_path: Path) -> None:
    results = ran(session, ["a cat"], MODELS[:1], vary={"seed": [1, 2, 3]})
    with Image.open(results.grid().save(tmp_path / "s.png")) as image:
        assert image.width > image.height  # one beside the other
    for axes in ({"pages": "seed"}, {"rows": "seed", "pages": "prompt"}):
        assert results.grid(**axes).save(tmp_path / "t.png").exists()


def test_videos_and_missing_files_are_words_on_a_sheet(session: Session, tmp_path: Path) -> None:
    results = ran(session, ["a cat"], [MODELS[0], "alibaba/wan-2.5-t2v"])
    for path in results.paths:
        path.unlink()
    assert results.grid().save(tmp_path / "s.png").exists()
