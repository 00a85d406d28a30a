"""The benchmarks at their smallest: that they run, and the shape of what they yield."""

from __future__ import annotations

import importlib
import math
import os
from pathlib import Path

import pytest

pytest.importorskip("comm", reason="ipykernel 6.17 has one of its own, which benchmarks do not use")

from benchmarks import run
from benchmarks.figures import SMOKE, Figure, row, table

FIGURE = Figure(what="a | b", ours="1 s", against="2 s", ratio=0.5, goal="at most 1 s", met=True)


@pytest.mark.slow
@pytest.mark.parametrize("topic", run.topics())
def test_each_topic_yields_figures_of_the_right_shape(topic: str) -> None:
    figures = list(run.measure([topic], SMOKE))
    assert figures
    assert len({figure.what for figure in figures}) == len(figures)
    for figure in figures:
        assert figure.what
        assert figure.ours
        assert figure.against
        assert figure.ratio is None or (math.isfinite(figure.ratio) and figure.ratio > 0), figure
        assert (figure.met is None) == (not figure.goal), figure


def test_each_topic_is_a_module_with_figures() -> None:
    for topic in run.topics():
        assert callable(importlib.import_module(f"benchmarks.{topic}").figures)


def test_a_figure_is_a_line_of_the_table() -> None:
    assert row(FIGURE) == r"| a \| b | 1 s | 2 s | 0.5 | at most 1 s | yes |"
    assert len(table([FIGURE, FIGURE]).splitlines()) == 4


def test_the_table_is_exchanged_between_its_marks_and_nothing_else() -> None:
    page = f"before\n{run.BEGIN}\nold\n{run.END}\nafter\n"
    once = run.written(page, [FIGURE])
    assert once.startswith(f"before\n{run.BEGIN}\nMeasured on ")
    assert once.endswith(f"{row(FIGURE)}\n{run.END}\nafter\n")
    assert "old" not in once
    assert run.written(once, [FIGURE]) == once


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no <!-- bench"):
        run.written("nothing", [FIGURE])


def test_the_page_has_its_marks() -> None:
    assert run.written(run.PAGE.read_text("utf-8"), [FIGURE])


def test_the_home_of_a_run_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELLIX_API_KEY", "a-key")
    before = dict(os.environ)
    with run.home_of_its_own() as folder:
        assert "MODELLIX_API_KEY" not in os.environ
        assert os.environ["MODELLIX_HOME"] == str(folder)
        assert Path(folder).is_dir()
    assert dict(os.environ) == before
