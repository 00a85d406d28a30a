"""The history as a frame against pandas' own reading of the same table; and each export.

pandas reads the table as it is: the parameters and the files stay JSON texts. Ours are read, typed
and spread over columns. Rows are as a year of use leaves them: a prompt stands in several, a seed,
an id, a URL and a path in one each.
"""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.ledger.rows import to_row
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.results.table_files import write_table
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Request, Resource, Status, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from benchmarks.figures import Scale

GOALS_S = {100_000: 0.5, 1_000_000: 5.0}
_FEW = 100_000
"""Rows from which on a reading is measured once, not in turns: it takes long enough."""
_START_US = 1_761_912_000_000_000
_ALL = "SELECT * FROM tasks ORDER BY created_at, rowid"


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield the seconds of `history` for each size of ledger, and of each export."""
    import pandas as pd  # noqa: F401 - the first import is not what is measured

    for rows in scale.rows:
        with tempfile.TemporaryDirectory(dir=os.environ["MODELLIX_HOME"]) as folder:
            session = _filled(Path(folder), rows)
            try:
                yield _history(session, rows, scale.repeats if rows < _FEW else 1)
                if rows == min(scale.rows, key=lambda n: abs(n - scale.export_rows)):
                    yield from _exports(session, scale.export_rows, Path(folder))
            finally:
                session.close()


def _history(session: Session, rows: int, repeats: int) -> Figure:
    ours, theirs = _in_turn(session.history, lambda: _read_sql(session), repeats)
    goal = GOALS_S.get(rows)
    return Figure(
        what=f"history() of {rows:,} rows",
        ours=f"{ours:.3g} s",
        against=f"pandas.read_sql of the same table: {theirs:.3g} s",
        ratio=ours / theirs,
        goal=f"under {goal:g} s" if goal else "",
        met=ours < goal if goal else None,
    )


def _read_sql(session: Session) -> pd.DataFrame:
    import pandas as pd

    with closing(sqlite3.connect(session.home / "ledger.sqlite3")) as connection:
        return pd.read_sql(_ALL, connection)


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
    """Return a session whose ledger has so many rows, made from one task's own row."""
    ledger = Ledger(home / "ledger.sqlite3", home / "files")
    template = to_row(_task(home), home / "files") | {"owner": "gone"}
    names = ", ".join(template)
    marks = ", ".join(f":{name}" for name in template)
    with closing(sqlite3.connect(ledger.path)) as connection, connection:
        connection.executemany(
            f"INSERT INTO tasks ({names}) VALUES ({marks})",  # noqa: S608 - the columns' own names
            (template | _row(template, n) for n in range(rows)),
        )
    ledger.close()
    return Session(Settings(home=str(home)), key="sandbox")


def _row(template: dict[str, Any], n: int) -> dict[str, Any]:
    """Return what tells one row from the others."""
    at = _START_US + n * 1_000_000
    params = {"size": "1024*1024", "seed": n, "negative_prompt": "blurry"}
    return {
        "uid": f"{n:032x}",
        "task_id": f"task-{n:032x}",
        "request_id": f"{n * 7919:032x}",
        "model": ("alibaba/qwen-image-plus", "google/nano-banana-2", "a/x")[n % 3],
        "prompt": f"a lighthouse in the fog, number {n % 500}, at dusk, oil on canvas",
        "params": json.dumps(params),
        "created_at": at,
        "submitted_at": at + 5_000,
        "completed_at": at + 4_200_000 + n % 1_000,
        "resources": template["resources"].replace("NUMBER", f"{n:032x}"),
    }


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
        origin="https://api.example",
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
