"""Two homes that share nothing but a ledger on PostgreSQL and a bucket, and one batch."""

from __future__ import annotations

import os
import time
from pathlib import Path

import fsspec
import pytest
from chaos_processes import PATIENCE_S, start, work_on_batch
from chaos_world import KEY, SPEED, assert_whole, compare, rows, settings, with_status

from modellix_jupyter.notebook.session import Session
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.values import Status

pytestmark = pytest.mark.slow

COUNT = 60


def test_what_a_killed_home_began_is_in_the_bucket_once_and_whole(
    home: Path, postgres_url: str, s3_url: str
) -> None:
    credentials = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    with Sandbox(speed=SPEED) as sandbox:
        shared: dict[str, object] = {"ledger": postgres_url, "files": s3_url, "max_in_flight": 8}
        one, other = (settings(sandbox, home / name, **shared) for name in ("one", "other"))
        session = Session(other, key=KEY)
        killed = start(work_on_batch, one, "batch", COUNT, credentials)
        stays = start(work_on_batch, other, "batch", COUNT, credentials)
        assert {killed.hear(), stays.hear()} == {"about to submit"}
        until = time.monotonic() + PATIENCE_S
        while len(with_status(rows(session).values(), Status.SUCCESS)) < COUNT // 4:
            assert time.monotonic() < until, "it never came that far"
            time.sleep(0.02)
        killed.kill()
        assert len(stays.hear()) == COUNT
        stays.end()
        outcome = compare(sandbox, rows(session))  # no prompt was paid for twice
        for task in outcome.known.values():
            assert_whole(task)
        session.close()
    system, root = fsspec.url_to_fs(s3_url)
    assert {f"s3://{name}" for name in system.find(root)} == {
        task.path for task in outcome.known.values()
    }
