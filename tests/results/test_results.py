"""What a call gives back: a sequence of tasks that can be waited for, looked at and taken along."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from session_rig import HANG_S, UNPOLLED, Sessions, is_whole, wait_until_accepted

from modellix_jupyter.errors import InvalidRequest, WaitTimeout
from modellix_jupyter.notebook import functions
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results.results import Results
from modellix_jupyter.values import Status, Task

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")

FAST = "sandbox/fast"


@pytest.fixture
def results(session: Session) -> Results:
    """Return three tasks that went well, of two prompts and two models."""
    plan = make_plan(["a cat", "a dog"], [FAST], params={"size": "256x256", "seed": 7})
    more = make_plan(["a cat"], ["sandbox/unavailable"], params={"size": "256x256"})
    first = session.submit(plan)
    second = session.submit(more)
    return Results(session, [t.uid for t in (*first, *second)]).wait(HANG_S)


def test_results_are_a_sequence(results: Results) -> None:
    assert len(results) == 3
    assert [t.request.prompt for t in results] == ["a cat", "a dog", "a cat"]
    assert isinstance(results[0], Task)
    assert results[-1].request.model == "sandbox/unavailable"
    part = results[1:]
    assert isinstance(part, Results)
    assert list(part) == [results[1], results[2]]
    assert list(reversed(results)) == [results[2], results[1], results[0]]
    assert results[0] in results
    assert results.index(results[1]) == 1
    assert len(results[5:]) == 0
    with pytest.raises(IndexError):
        results[3]
    assert results.done
    assert results.check() is results


def test_results_of_nothing(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = session.results([])
    assert len(nothing) == 0
    assert nothing.done
    assert nothing.wait(0) is nothing
    assert repr(nothing) == "Results of no tasks"
    assert nothing.show() is None
    assert nothing.check() is nothing
    assert len(nothing.frame()) == 0
    nothing._ipython_display_()
    assert capsys.readouterr().out == "No tasks.\n"


def test_a_wait_that_ends_too_soon_ends_nothing_else(session: Session, sessions: Sessions) -> None:
    session.pace = UNPOLLED
    results = session.submit(make_plan(["p0", "p1"], [FAST]))
    with pytest.raises(WaitTimeout, match=r"2 tasks go on after 0\.05 s") as caught:
        results.wait(0.05)
    assert "%modellix wait" in caught.value.hint
    with pytest.raises(TimeoutError):
        results[:1].wait(0)
    assert not results.done
    wait_until_accepted(session, results)
    session.close()
    resumed = sessions().resume().wait(HANG_S)
    assert all(is_whole(task) for task in resumed)
    assert sessions.prompts() == {"p0": 1, "p1": 1}


def test_results_can_be_awaited(session: Session) -> None:
    async def cell() -> Results:
        # sent from beside the loop: a wait within it would patch the loops of the whole process
        results = await asyncio.to_thread(session.submit, make_plan(["p"], [FAST]))
        return await results

    assert asyncio.run(cell())[0].status is Status.SUCCESS


@pytest.mark.usefixtures("session")
def test_an_awaited_generation_blocks_no_loop() -> None:
    async def cell() -> tuple[Results, int]:
        ticks = 0

        async def ticker() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        other = asyncio.create_task(ticker())
        results = await functions.agenerate(["p0", "p1"], FAST, size="256x256")
        other.cancel()
        return results, ticks

    results, ticks = asyncio.run(cell())
    assert [t.status for t in results] == [Status.SUCCESS] * 2
    assert ticks > 5


def test_an_awaited_wait_that_is_cancelled_leaves_the_task_alone(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    async def cell() -> Results:
        results = await asyncio.to_thread(session.submit, make_plan(["p"], ["sandbox/slow"]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(results, 0.01)
        return results

    results = asyncio.run(cell())
    # its loop is closed by now, and the end of the task must not stumble over that
    assert is_whole(results.wait(HANG_S)[0])
    assert caplog.records == []


def test_the_pictures_are_there(results: Results) -> None:
    images = results.images
    assert [image.size for image in images] == [(256, 256)] * 3
    for image in images:
        image.load()
        image.close()
    assert [p.is_file() for p in results.paths] == [True] * 3


def test_copies_have_names_that_say_what_they_are(results: Results, tmp_path: Path) -> None:
    folder = tmp_path / "copies" / "deep"
    copies = results.save(folder)
    assert [p.parent for p in copies] == [folder] * 3
    assert copies[0].name.startswith("a-cat_fast_seed7_")
    assert [c.read_bytes() for c in copies] == [p.read_bytes() for p in results.paths]
    assert results.save(folder) == copies  # the same files, not more of them
    assert sorted(folder.iterdir()) == sorted(copies)


@pytest.mark.usefixtures("no_plots")
def test_a_folder_that_cannot_be_written_is_said(results: Results, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(InvalidRequest, match="cannot be written"):
        results.save(blocked)
    with pytest.raises(InvalidRequest):
        results.export(blocked / "x.html")


@pytest.mark.usefixtures("no_plots")
def test_exports_by_their_endings(results: Results, session: Session, tmp_path: Path) -> None:
    table = pd.read_csv(results.export(tmp_path / "table.csv"))
    assert list(table["prompt"]) == ["a cat", "a dog", "a cat"]
    text = results.export(str(tmp_path / "table.json")).read_text(encoding="utf-8")
    assert len(json.loads(text)) == 3
    page = results.export(tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert "a dog" in page
    with pytest.raises(InvalidRequest):
        results.export(tmp_path / "table.exe")
    assert session.export_history(tmp_path / "all.html").stat().st_size > 1000
    assert not list(tmp_path.glob(".*part"))


@pytest.mark.usefixtures("no_plots", "results")
@pytest.mark.parametrize("name", ["all.html", "all.xlsx", "all/"])
def test_a_history_is_of_one_moment_though_tasks_start_and_rows_are_damaged(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    uids = session.ledger.uids
    with closing(sqlite3.connect(session.home / "ledger.sqlite3")) as connection, connection:
        connection.execute("UPDATE tasks SET params = '{' WHERE prompt = 'a dog'")

    def then_another_starts(service: str | None) -> list[str]:
        found = uids(service)
        session.submit(make_plan(["a later one"], [FAST]))
        return found

    monkeypatch.setattr(session.ledger, "uids", then_another_starts)
    written = session.export_history(f"{tmp_path}/{name}")
    pages = [written / "index.html"] if written.is_dir() else [written]
    assert all(page.stat().st_size > 1000 for page in pages)
    assert not any(b"a later one" in page.read_bytes() for page in pages)


def test_the_grid_has_models_across_and_prompts_down(results: Results) -> None:
    grid = results.grid()
    assert grid.grid.columns == (FAST, "sandbox/unavailable")
    assert grid.grid.rows == ("a cat", "a dog")
    assert {place: len(cards) for place, cards in grid.grid.cells.items()} == {
        (0, 0): 1,
        (1, 0): 1,
        (0, 1): 1,
    }
    assert "a dog" in repr(grid)
    assert "data:image/jpeg" in grid._repr_html_()


def test_frames_by_task_and_by_resource(session: Session) -> None:
    results = session.submit(make_plan(["p"], [FAST], params={"n": 3, "size": "256x256"}))
    results.wait(HANG_S)
    assert len(results.frame()) == 1
    assert len(results.frame(by="resource")) == 3
    assert results.frame()["n_resources"].tolist() == [3]
    assert len(set(results.frame(by="resource")["path"])) == 3


def test_results_show_themselves(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    assert "success" in repr(results)
    assert "a dog" in results._repr_html_()
    view = results.show()
    assert view is not None
    view.finish()
    assert capsys.readouterr().err.startswith("3 of 3 done")  # as a script has it


@pytest.mark.parametrize("prompt", [17, 1.5, object()])
@pytest.mark.usefixtures("session")
def test_a_prompt_of_no_text_is_a_mistake(prompt: str) -> None:
    with pytest.raises(InvalidRequest, match=type(prompt).__name__):
        functions.submit(prompt, FAST)
