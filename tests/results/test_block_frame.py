"""The frame from a ledger's columns is the frame of its tasks, whatever they are."""

from __future__ import annotations

import gc
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import frames_samples as samples
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.ledger import blocks
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.results.blocks import block_frame
from modellix_jupyter.results.columns import dump, dump_all
from modellix_jupyter.results.frame import task_frame
from modellix_jupyter.values import Task

stored = st.text(st.characters(codec="utf-8")) | st.sampled_from(["", "x\x00y", "日本", "=1"])
counts = st.none() | st.integers(-(2**63), 2**63 - 1)
PATHS = (
    "a.png",
    "2026/a.png",
    "a//b",
    "./a",
    "a/.",
    "/abs/a.png",
    "..",
    "",
    ".",
    "a b",
    "ä",
    "a/",
    "\ud800",
)
resources = st.builds(
    replace, samples.resources, path=st.none() | st.sampled_from(PATHS) | samples.texts
)
tasks = st.builds(
    replace, samples.tasks, batch=stored, origin=stored, task_id=st.none() | stored,
    model_id=st.none() | stored, duration_ms=counts, request_id=st.none() | stored,
    error_code=counts, created_at=st.integers(0, 9),
    resources=st.lists(resources, max_size=3).map(tuple),
    request=st.builds(replace, samples.requests, model=stored),
)  # fmt: skip
remarks = st.fixed_dictionaries(
    {"rating": st.none() | st.integers(1, 5), "note": st.none() | samples.texts}
)


def both(
    found: list[Task], extra: dict[str, dict[str, Any]] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frame of a ledger's tasks, and that of its columns."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Ledger(Path(folder, "ledger.sqlite3"), Path(folder, "files"))) as ledger,
    ):
        ledger.add(found, "owner")
        of_tasks = task_frame(ledger.tasks(), extra=extra)
        return of_tasks, block_frame(ledger.blocks(), extra=extra)


def numbered(found: list[Task]) -> list[Task]:
    return [replace(task, uid=f"u{place}") for place, task in enumerate(found)]


@settings(deadline=None)
@given(st.lists(tasks, max_size=6).map(numbered), st.lists(st.none() | remarks, max_size=6))
@example([], [])
@example([samples.bare("u0")], [])
@example(numbered([samples.task(), samples.task(params={}), samples.bare()]), [{"rating": 1}])
@example(numbered([samples.task(resources=()), samples.task(params={"rating": [1]})]), [])
def test_it_is_the_frame_of_the_tasks(found: list[Task], said: list[dict[str, Any] | None]) -> None:
    extra = {f"u{place}": one for place, one in enumerate(said) if one is not None}
    expected, frame = both(found, extra)
    pd.testing.assert_frame_equal(frame, expected)
    assert list(frame.dtypes) == list(expected.dtypes)


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_it_is_the_same_however_many_rows_are_read_at_once(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_ROWS", rows)
    found = numbered(
        [samples.task(params={"seed": n} if n % 3 else {"size": "s"}) for n in range(7)]
        + [samples.bare(), samples.task(params={"seed": "a text"}, resources=())]
    )
    expected, frame = both(found, {"u3": {"rating": 4}})
    pd.testing.assert_frame_equal(frame, expected)
    assert frame["rating"].tolist()[4] == 4  # the bare one was made first


def test_columns_of_many_rows_with_few_texts_are_the_same() -> None:
    found = numbered(
        [samples.task(prompt=[None, "ö", "\ud800"][n % 3], model=f"a/{n % 2}") for n in range(50)]
    )
    expected, frame = both(found)
    pd.testing.assert_frame_equal(frame, expected)


def test_an_extra_column_whose_name_is_taken_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'status' is taken"):
        both([samples.task()], {"u1": {"status": 1}})


@given(st.lists(samples.values, max_size=5))
def test_many_values_are_written_as_each_of_them(values: list[Any]) -> None:
    assert dump_all(values) == [dump(value) for value in values]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(*, enabled: bool) -> None:
    def failing(_: int) -> dict[str, list[Any]]:
        assert not gc.isenabled()
        raise ZeroDivisionError

    was = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ZeroDivisionError):
            block_frame(map(failing, [0]))
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was else gc.disable)()
