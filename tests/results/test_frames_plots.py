from __future__ import annotations

import sys
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import frames_samples as samples
import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from PIL import Image

from modellix_jupyter.errors import InvalidRequest, MissingExtra
from modellix_jupyter.results.frame import task_frame
from modellix_jupyter.results.summary import KINDS, plot, plot_png
from modellix_jupyter.values import Status, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = "provider/" + "a-very-long-name-" * 6 + "end"


@pytest.fixture(autouse=True)
def figures() -> Iterator[None]:
    mpl.use("Agg")
    assert plt.get_fignums() == []
    yield
    plt.close("all")


def took(seconds: float, **changes: Any) -> Task:
    return samples.task(completed_at=samples.NOON + int(seconds * 1e6), **changes)


def failed(seconds: float, **changes: Any) -> Task:
    return took(seconds, status=Status.FAILED, resources=(), **changes)


TASKS = [
    *(took(s, model="a/slow", price=0.1) for s in (30, 50, 41)),
    *(took(s, model="b/fast", price=0.02) for s in (5, 7)),
    failed(6, model="b/fast", price=0.02),
    took(9, model=LONG, price=0.05),
    samples.bare(),
]


def points(axes: Any, label: str) -> list[tuple[float, float]]:
    found = [c for c in axes.collections if c.get_label() == label]
    assert len(found) == 1
    return [tuple(xy) for xy in found[0].get_offsets().tolist()]


def ticks(axes: Any) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def legend(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.figure.legends[0].get_texts()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_one_figure_without_a_warning(kind: Any) -> None:
    axes = plot(task_frame(TASKS), kind)
    axes.figure.draw_without_rendering()  # type: ignore[union-attr] # a whole figure, not a part
    assert plt.get_fignums() == [1]
    assert axes.get_xlabel()


def test_seconds_are_by_model_the_fastest_first() -> None:
    axes = plot(task_frame(TASKS))
    names = ticks(axes)
    assert [names[0], names[2]] == ["b/fast", "a/slow"]
    assert axes.get_xlabel() == "time from submission to result (s)"
    top, bottom = axes.transData.transform([(0, 0), (0, 2)])[:, 1]
    assert top > bottom


def test_seconds_show_each_task_in_its_row_and_the_median() -> None:
    axes = plot(task_frame(TASKS))
    drawn = points(axes, "success")
    assert sorted(x for x, _ in drawn) == [5, 7, 9, 30, 41, 50]
    rows = {5: 0, 7: 0, 9: 1, 30: 2, 41: 2, 50: 2}
    assert all(abs(y - rows[round(x)]) < 0.3 for x, y in drawn)
    assert [x for x, _ in points(axes, "no success")] == [6]
    assert points(axes, "median") == [(6, 0), (9, 1), (41, 2)]
    assert [text.get_text() for text in axes.texts] == ["6 s", "9 s", "41 s"]


def test_equal_times_do_not_hide_each_other() -> None:
    axes = plot(task_frame([took(5) for _ in range(30)]))
    assert len({y for _, y in points(axes, "success")}) == 30


def test_the_same_table_gives_the_same_picture() -> None:
    frame = task_frame(TASKS)
    assert points(plot(frame), "success") == points(plot(frame), "success")


def test_a_negative_time_is_seen() -> None:
    axes = plot(task_frame([took(-3), took(4)]))
    assert axes.get_xlim()[0] <= -3


def test_price_is_against_seconds_with_a_name_for_each_model() -> None:
    axes = plot(task_frame(TASKS), "price")
    assert points(axes, "b/fast") == [(5, 0.02), (7, 0.02), (6, 0.02)]
    assert axes.get_ylabel() == "price of a task (USD)"
    assert len(legend(axes)) == 3
    assert axes.get_ylim()[0] == 0


def test_thirty_models_look_different() -> None:
    axes = plot(task_frame([samples.task(model=f"a/m{i:02}") for i in range(30)]), "price")
    looks = {(str(c.get_edgecolor()), str(c.get_paths()[0].vertices)) for c in axes.collections}
    assert len(looks) == 30


def test_success_shows_the_share_and_the_counts() -> None:
    axes = plot(task_frame(TASKS), "success")
    shares = [bar.get_width() for bar in axes.containers[1]]
    assert shares == pytest.approx([100, 100, 200 / 3])
    assert [text.get_text() for text in axes.texts] == ["3 of 3", "1 of 1", "2 of 3"]
    assert ticks(axes)[2] == "b/fast"
    assert axes.get_xlim() == (0, 100)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_slug_is_shortened_and_stays_inside_the_figure(kind: Any) -> None:
    axes = plot(task_frame(TASKS), kind)
    figure: Any = axes.figure
    figure.draw_without_rendering()
    names = legend(axes) if kind == "price" else ticks(axes)
    assert max(map(len, names)) <= 44
    assert any(name.startswith("provider/") and name.endswith("-end") for name in names)
    inside = figure.bbox.padded(1)
    for box in (axes.get_tightbbox(), *(one.get_window_extent() for one in figure.legends)):
        assert box is not None
        assert inside.contains(*box.min)
        assert inside.contains(*box.max)


@pytest.mark.parametrize("kind", ["seconds", "success"])
def test_the_names_of_many_models_do_not_overlap(kind: Any) -> None:
    axes = plot(task_frame([samples.task(model=f"a/m{i}") for i in range(25)]), kind)
    figure: Any = axes.figure
    figure.draw_without_rendering()
    boxes = sorted((t.get_window_extent() for t in axes.get_yticklabels()), key=lambda b: b.y0)
    assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_is_never_read_as_a_formula(kind: Any) -> None:
    axes = plot(task_frame([samples.task(model=r"a/$\frac$"), samples.task(model="b\n/c")]), kind)
    axes.figure.draw_without_rendering()  # type: ignore[union-attr] # a whole figure, not a part
    names = legend(axes) if kind == "price" else ticks(axes)
    assert set(names) == {r"a/$\frac$", "b /c"}


def test_an_unknown_kind_is_an_error_that_names_the_known() -> None:
    with pytest.raises(InvalidRequest, match="'pie'") as caught:
        plot(task_frame(TASKS), "pie")  # type: ignore[arg-type] # that it is wrong is the test
    assert all(kind in caught.value.hint for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tasks", [[], [samples.bare()]], ids=["empty", "none ended"])
def test_nothing_to_plot_is_an_error(kind: Any, tasks: list[Task]) -> None:
    with pytest.raises(InvalidRequest, match="nothing to plot"):
        plot(task_frame(tasks), kind)
    assert plt.get_fignums() == []


def test_without_prices_there_is_no_plot_of_them() -> None:
    with pytest.raises(InvalidRequest, match="both a price and a time"):
        plot(task_frame([samples.task(price=None)]), "price")


def test_a_table_of_something_else_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="'model'"):
        plot(task_frame(TASKS).drop(columns="model"))


def test_a_missing_matplotlib_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtra, match="Plotting needs matplotlib,") as caught:
        plot(task_frame(TASKS))
    assert "modellix-jupyter[plot]" in caught.value.hint


def test_a_single_point_lies_above_its_median() -> None:
    axes = plot(task_frame([took(5)]))
    order = {c.get_label(): c.get_zorder() for c in axes.collections}
    assert order["success"] > order["median"]
    figure: Any = axes.figure
    assert figure.get_figheight() >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_png_leaves_pyplot_and_the_settings_alone(kind: Any) -> None:
    before, backend = dict(mpl.rcParams), mpl.get_backend()
    data = plot_png(task_frame(TASKS), kind, ink="#ff0000")
    assert plt.get_fignums() == []
    assert (dict(mpl.rcParams), mpl.get_backend()) == (before, backend)
    with Image.open(BytesIO(data)) as image:
        assert image.format == "PNG"
        assert image.width == 1200
        assert image.getpixel((2, 2)) == (255, 255, 255, 0)  # the page shows through
        colours = {c for _, c in image.getcolors(image.width * image.height) or []}
    assert (255, 0, 0, 255) in colours


def test_a_png_of_nothing_is_the_same_error_as_a_plot() -> None:
    with pytest.raises(InvalidRequest, match="nothing to plot"):
        plot_png(task_frame([]), "seconds")


@pytest.mark.parametrize("module", ["matplotlib", "matplotlib.figure"])
def test_a_png_without_matplotlib_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match="Plotting needs matplotlib,"):
        plot_png(task_frame(TASKS), "seconds")
