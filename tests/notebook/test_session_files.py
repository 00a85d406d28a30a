"""Sessions of homes that share nothing but the place of their files, and their ledger."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
from s3_server import ACCESS_KEY, SECRET
from session_rig import Sessions
from sqlalchemy import select

from modellix_jupyter.ledger.tables import files as ledger_files
from modellix_jupyter.notebook import doctor
from modellix_jupyter.results.results import Results
from modellix_jupyter.results.show import show
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.values import Request

if TYPE_CHECKING:
    import pytest

MODEL = "alibaba/qwen-image-plus"


def run(sessions: Sessions, files: str, ledger: str = "") -> Results:
    results = sessions(files=files, ledger=ledger).submit([Request(MODEL, "a cat")])
    results.wait(60)
    return results


def test_another_home_reads_what_one_made(
    sessions: Sessions,
    sandbox: Sandbox,
    postgres_url: str,
    s3_url: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "modellix_jupyter")
    made = run(sessions, s3_url, postgres_url)
    path = made[0].path or ""
    assert path.startswith(f"{s3_url}/20")
    elsewhere = Sessions(tmp_path / "another machine", sandbox)
    try:
        other = elsewhere(files=s3_url, ledger=postgres_url)
        (task,) = found = other.find([made[0].uid])
        assert task.path == path == found.frame().path[0]
        assert other.history().path[0] == path
        assert found.images[0].size == (task.resources[0].width, task.resources[0].height)
        assert found.paths[0].is_relative_to(tmp_path / "another machine")
        assert found.save(tmp_path / "saved")[0].read_bytes() == found.paths[0].read_bytes()
        assert "data:image/jpeg" in found._repr_html_()
        assert "data:image/jpeg" in show(found.frame())._repr_html_()
        sheet = found.grid().save(tmp_path / "sheet.png")
        assert sheet.stat().st_size > 10_000
        check = next(c for c in doctor.examine(other) if c.name == "files")
        assert check.good
        rows = str(other.ledger._rows(select(ledger_files)))
    finally:
        elsewhere.close()
    assert "s3://" not in rows
    for secret in (SECRET, ACCESS_KEY):
        assert secret not in rows + caplog.text + check.detail + repr(other.settings)


def test_a_place_that_refuses_costs_no_result(sessions: Sessions, s3_url: str) -> None:
    where = s3_url.replace("team", "nobodys")
    made = run(sessions, where)
    assert made.images[0].size[0] > 0
    session = made._session
    assert [w for w in session.engine.warnings if "cannot be put into" in w]
    session.close()  # type: ignore[attr-defined]
    system, root = fsspec.url_to_fs(where)
    system.mkdir(root.partition("/")[0])
    later = sessions(files=where)
    _ = later.engine
    if (sender := later.files._sender) is not None:
        sender.join(20)
    assert len(system.find(root)) == 1
    assert later.files.waiting() == []
