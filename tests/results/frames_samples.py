"""Tasks for the tests of the tables: one that has everything, and any that Hypothesis likes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from modellix_jupyter.values import Request, Resource, Status, Task

NOON = 1_761_912_000_123_457  # 2025-10-31T12:00:00.123457Z

NASTY = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "'", "''x", "", " ", '"', 'a"b', "a,b",
    "a\r\nb", "a\rb", "\x00", "a\x00b", "\x1b[31m", "\ud800", "\udc00x", "\ud83d\ude00", "😀",
    "=", "-", "7", "-7", "1.5", "1e5", "inf", "-inf", "nan", "NaN", "NA", "None", "null", "True",
    "False", "true", "NaT", "2026-01-01T00:00:00.000000Z", "\ufeff", "\ufffe", "\u2028", "\uff1d1",
    "https://x.example", "_x0041_", "9" * 30, "9" * 5000, "日本", "e\u0301", "[1]", "{}", "$x$",
)  # fmt: skip

texts = st.sampled_from(NASTY) | st.text(st.characters(codec=None))
counts = st.none() | st.integers(-(2**70), 2**70)
moments = st.none() | st.integers(-(2**63), 2**63 - 1) | st.just(NOON)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
names = texts | st.sampled_from(["seed", "size", "n"])
resources = st.builds(
    Resource, url=texts, type=st.none() | texts, width=counts, height=counts,
    format=st.none() | texts, role=st.sampled_from([None, "primary", "other"]),
    path=st.none() | texts,
)  # fmt: skip
requests = st.builds(
    Request, model=texts, prompt=st.none() | texts,
    params=st.dictionaries(names, values, max_size=4),
)  # fmt: skip
tasks = st.builds(
    Task, uid=texts, batch=texts, origin=texts, request=requests, status=st.sampled_from(Status),
    created_at=st.just(0), task_id=st.none() | texts, model_id=st.none() | texts,
    submitted_at=moments, completed_at=moments, expires_at=moments, duration_ms=counts,
    resources=st.lists(resources, max_size=3).map(tuple), attempts=st.integers(0, 9),
    price=st.none() | st.floats(), request_id=st.none() | texts, error_code=counts,
    error_message=st.none() | texts,
)  # fmt: skip


def picture(**changes: Any) -> Resource:
    given: dict[str, Any] = {
        "url": "https://files.example/a.png",
        "type": "image",
        "width": 1024,
        "height": 768,
        "format": "png",
        "role": "primary",
        "path": "/home/me/a.png",
    }
    return Resource(**given | changes)


def task(uid: str = "u1", *, model: str = "ali/qwen", prompt: str | None = "a cat",
         params: dict[str, Any] | None = None, **changes: Any) -> Task:  # fmt: skip
    """Return a success of 12.5 seconds, or what the changes make of it."""
    given: dict[str, Any] = {
        "batch": "b1",
        "origin": "https://api.example",
        "status": Status.SUCCESS,
        "created_at": NOON - 1,
        "task_id": f"task-{uid}",
        "model_id": "qwen-image-plus",
        "submitted_at": NOON,
        "completed_at": NOON + 12_500_000,
        "expires_at": NOON + 86_400_000_000,
        "duration_ms": 11_250,
        "resources": (picture(),),
        "attempts": 1,
        "price": 0.03,
        "request_id": "req-1",
    }
    request = Request(model, prompt, {"seed": 7, "size": "1024*1024"} if params is None else params)
    return Task(uid=uid, request=request, **given | changes)


def bare(uid: str = "u0", status: Status = Status.SUBMITTING) -> Task:
    """Return a task of which nothing is known yet."""
    request = Request("ali/qwen", None)
    return Task(uid=uid, batch="b", origin="o", request=request, status=status, created_at=0)
