"""The history as a frame against pandas' own reading of the same columns; and each export.

pandas runs the same query over a bare connection. Ours types every column and gives each parameter
one of its own. Rows are as a year of use leaves them: a prompt stands in several, a seed, an id, a
URL and a path in one each.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

from benchmarks.figures import Figure
from modellix_jupyter.ledger import history
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.results.export import write_table
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Json, Request, Resource, Status, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from benchmarks.figures import Scale

GOAL = 1.2
"""Of the time that pandas takes, at 100,000 rows."""
_FEW = 100_000
"""Rows above which a reading is measured once, not in turns: it takes long enough."""
_AT_ONCE = 10_000
_ORIGIN = "https://api.example"
_START_US = 1_761_912_000_000_000


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield the seconds of `history` for each size of ledger, and of each export."""
    import pandas as pd  # noqa: F401 - the first import is not what is measured

    for rows in scale.rows:
        with tempfile.TemporaryDirectory(dir=os.environ["MODELLIX_HOME"]) as folder:
            session = _filled(Path(folder), rows)
            try:
                yield _history(session, rows, scale.repeats if rows <= _FEW else 1)
                if rows == min(scale.rows, key=lambda n: abs(n - scale.export_rows)):
                    yield from _exports(session, scale.export_rows, Path(folder))
            finally:
                session.close()


def _history(session: Session, rows: int, repeats: int) -> Figure:
    ours, theirs = _in_turn(session.history, lambda: _read_sql(session), repeats)
    return Figure(
        what=f"history() of {rows:,} rows",
        ours=f"{ours:.3g} s",
        against=f"pandas.read_sql of the same columns: {theirs:.3g} s",
        ratio=ours / theirs,
        goal=f"at most {GOAL:g} times as long" if rows == _FEW else "",
        met=ours <= GOAL * theirs if rows == _FEW else None,
    )


def _read_sql(session: Session) -> pd.DataFrame:
    import pandas as pd

    query = history.rows("sqlite", f"{session.ledger.files}/")
    written = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with closing(sqlite3.connect(session.ledger.name)) as connection:
        return pd.read_sql(str(written), connection)


def _exports(session: Session, rows: int, folder: Path) -> Iterator[Figure]:
    """Yield each format against pandas' own writer of the same frame."""
    frame = session.history().head(rows)
    naive = frame.copy()  # which Excel needs: it has no time zones
    for name in ("submitted_at", "completed_at", "expires_at"):
        naive[name] = naive[name].dt.tz_localize(None)
    theirs: dict[str, Callable[[Path], Any]] = {
        ".csv": lambda path: frame.to_csv(path, index=False),
        ".json": lambda path: frame.to_json(path, orient="records", date_format="iso"),
        ".jsonl": lambda path: frame.to_json(path, orient="records", date_format="iso", lines=True),
        ".parquet": lambda path: frame.to_parquet(path, index=False),
        ".xlsx": partial(_to_excel, naive),
    }
    for ending, write in theirs.items():
        took = _in_turn(
            partial(write_table, frame, folder / f"ours{ending}"),
            partial(write, folder / f"theirs{ending}"),
            1,
        )
        yield Figure(
            what=f"{ending[1:]} export of {len(frame):,} rows",
            ours=f"{took[0]:.3g} s",
            against=f"pandas' own writer: {took[1]:.3g} s",
            ratio=took[0] / took[1],
        )


def _to_excel(frame: pd.DataFrame, path: Path) -> None:
    import pandas as pd

    # as ours: no text is a link, of which a sheet holds 65,530 at most
    options = {"options": {"strings_to_urls": False, "strings_to_formulas": False}}
    with pd.ExcelWriter(path, engine="xlsxwriter", engine_kwargs=options) as writer:
        frame.to_excel(writer, index=False)


def _in_turn(
    ours: Callable[[], object], theirs: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Return the median seconds of both."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for each, call in zip(took, (ours, theirs), strict=True):
            gc.collect()  # what the other one left is not to be paid here
            begun = time.perf_counter()
            call()
            each.append(time.perf_counter() - begun)
    return median(took[0]), median(took[1])


def _filled(home: Path, rows: int) -> Session:
    """Return a session whose ledger has so many tasks, made from one."""
    ledger = Ledger(home / "ledger.sqlite3", home / "files")
    one = _task(home)
    for first in range(0, rows, _AT_ONCE):
        ledger.add([_numbered(one, n) for n in range(first, min(first + _AT_ONCE, rows))], "gone")
    ledger.close()
    session = Session(Settings(home=str(home), base_url=_ORIGIN), key="sandbox")
    if len(session.history()) != rows:  # which would be quick
        raise AssertionError("the history is not of the tasks that were made")
    return session


def _numbered(task: Task, n: int) -> Task:
    """Return a task that differs from the others as those of a year do."""
    at = _START_US + n * 1_000_000
    prompt = f"a lighthouse in the fog, number {n % 500}, at dusk, oil on canvas"
    params: dict[str, Json] = {"size": "1024*1024", "seed": n, "negative_prompt": "blurry"}
    model = ("alibaba/qwen-image-plus", "google/nano-banana-2", "a/x")[n % 3]
    (resource,) = task.resources
    url, path = (
        text.replace("NUMBER", f"{n:032x}") for text in (resource.url, resource.path or "")
    )
    return replace(
        task,
        uid=f"{n:032x}",
        task_id=f"task-{n:032x}",
        request_id=f"{n * 7919:032x}",
        request=Request(model, prompt, params),
        created_at=at,
        submitted_at=at + 5_000,
        completed_at=at + 4_200_000 + n % 1_000,
        resources=(replace(resource, url=url, path=path),),
    )


def _task(home: Path) -> Task:
    resource = Resource(
        url="https://files.example/results/NUMBER/0.png?signature=NUMBER",
        type="image",
        width=1024,
        height=1024,
        format="png",
        role="primary",
        path=str(home / "files" / "2026-01-01" / "NUMBER-1.png"),
        size=1_500_000,
    )
    return Task(
        uid="u",
        batch="b",
        origin=_ORIGIN,
        request=Request("a/x", "a prompt", {}),
        status=Status.SUCCESS,
        created_at=_START_US,
        model_id="qwen-image-plus",
        expires_at=_START_US + 86_400_000_000,
        duration_ms=4_000,
        resources=(resource,),
        attempts=1,
        price=0.03,
    )
