"""Tasks as a ledger may have them."""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

from modellix_jupyter.values import Json, Request, Resource, Status, Task

ORIGIN = "https://service.test"
HANG_S = 30.0


def a_task(prompt: str | None = "a cat", **known: object) -> Task:
    base = Task(
        uid=uuid.uuid4().hex,
        batch="batch",
        origin=ORIGIN,
        request=Request("a/b", prompt, {}),
        status=Status.SUBMITTING,
        created_at=1_800_000_000_000_000,
    )
    return replace(base, **known)  # type: ignore[arg-type]  # fields of a task, by name


def full_task(files: Path | str) -> Task:
    """Return a task of which everything is known."""
    params: dict[str, Json] = {"seed": 7, "size": "1024*1024", "deep": [{"a": None}, 1.5, True]}
    return a_task(
        request=Request("provider/model", "a cat", params),
        status=Status.SUCCESS,
        task_id="task-1",
        model_id="model",
        submitted_at=1_800_000_000_000_001,
        completed_at=1_800_000_003_500_000,
        expires_at=1_800_086_403_500_000,
        duration_ms=3500,
        resources=(
            Resource(
                url="https://files.test/1.png",
                type="image",
                width=512,
                height=256,
                format="png",
                role="primary",
                path=str(Path(files) / "2027-01-15" / "one.png"),
                size=1234,
            ),
            Resource(url="https://files.test/2.png", problem="gone", lost=True),
        ),
        attempts=2,
        price=0.03,
        charged=0.02,
        request_key="key-1",
        parents="task-8,task-9",
        request_id="req-1",
        error_code=None,
        error_message=None,
    )


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start another process, whose standard streams are the test's to use."""
    return subprocess.Popen(  # noqa: S603 - the test's own code
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
