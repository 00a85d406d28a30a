"""When two requests are one, and whose result stands for the next such request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modellix_jupyter.planning.plan import best, is_reusable, request_keys
from modellix_jupyter.values import Request, Resource, Status, Task

HERE = "https://a.test"

DATA = "data:image/png;base64,aGVsbG8="
HELLO = hashlib.sha256(b"hello").hexdigest()
ADDRESSES = ["https://files/1", "https://files/2"]
TEXTS = [DATA, HELLO, ADDRESSES[0], "digest-1", ADDRESSES[1], "1"]

values = st.recursive(
    st.sampled_from([None, True, 1, 1.0, 1.5, *TEXTS]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
requests = st.builds(
    Request,
    st.sampled_from(["a/x", "a/y"]),
    st.sampled_from([None, "p", "q"]),
    st.dictionaries(st.sampled_from(["seed", "url"]), values, min_size=1, max_size=2),
)
digests = st.dictionaries(
    st.sampled_from(ADDRESSES), st.sampled_from(["digest-1", "digest-2", HELLO])
)


def as_float(value: Any) -> Any:
    return float(value) if type(value) is int else value


def next_text(value: Any) -> Any:
    """Return another text, or the other way to give the same file."""
    return TEXTS[TEXTS.index(value) - 1] if isinstance(value, str) else value


def changed(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """Return a JSON value with its leaves changed."""
    if isinstance(value, Mapping):
        return {name: changed(one, leaf) for name, one in value.items()}
    return [changed(one, leaf) for one in value] if isinstance(value, list) else leaf(value)


def written_otherwise(request: Request) -> list[Request]:
    ways = (lambda value: value, as_float, next_text)
    return [replace(request, params=changed(request.params, way)) for way in ways]


def same(one: Any, other: Any, uploads: dict[str, str]) -> bool:
    """Whether two JSON values are equal as JSON has it, and as far as they are files, in bytes."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[k], other[k], uploads) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(same(a, b, uploads) for a, b in pairs)
    if isinstance(one, str) and isinstance(other, str):
        files = {**uploads, DATA: HELLO}
        return one == other or (one in files and files[one] == files.get(other))
    return bool(one == other)


def equal(one: Request, other: Request, uploads: dict[str, str]) -> bool:
    return one.model == other.model and same(one.body(), other.body(), uploads)


def plans_of(few: list[Request]) -> st.SearchStrategy[list[Request]]:
    each = [way for request in few for way in written_otherwise(request)]
    return st.lists(st.sampled_from(each), min_size=1, max_size=5)


# Of few different requests, so that many are equal, and some repeated.
two_plans = st.lists(requests, min_size=1, max_size=3).flatmap(
    lambda few: st.tuples(plans_of(few), plans_of(few))
)
services = st.sampled_from(["s", "t"])


@settings(max_examples=200)
@given(two_plans, services, services, digests)
def test_two_requests_have_one_key_exactly_when_they_are_equal(
    plans: tuple[list[Request], list[Request]], here: str, there: str, uploads: dict[str, str]
) -> None:
    one, other = plans

    def repeat(plan: list[Request], place: int) -> int:
        return sum(equal(plan[place], before, uploads) for before in plan[:place])

    keys, others = request_keys(one, here, uploads), request_keys(other, there, uploads)
    for (i, a), (j, b) in product(enumerate(one), enumerate(other)):
        are_equal = here == there and equal(a, b, uploads) and repeat(one, i) == repeat(other, j)
        assert (keys[i] == others[j]) == are_equal
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("same_bytes", [True, False])
def test_inputs_count_by_their_bytes_and_not_by_their_address(same_bytes: bool) -> None:  # noqa: FBT001 - a case of the test
    uploads = {"https://files/1": "digest-1", "https://files/2": "digest-2"}
    if same_bytes:
        uploads["https://files/2"] = "digest-1"
    one, other = (Request("a/x", "p", {"image": [url]}) for url in uploads)
    keys = [request_keys([r], "s", uploads) for r in (one, other)]
    assert (keys[0] == keys[1]) == same_bytes


@pytest.mark.parametrize(
    ("seed", "reuse", "expected"),
    [
        (7, "seeded", True),
        (0, "seeded", True),
        ("7", "seeded", True),
        (-1, "seeded", False),
        (None, "seeded", False),
        (True, "seeded", False),
        (None, "always", True),
        (7, "off", False),
    ],
)
def test_whose_result_may_be_used_again(seed: Any, reuse: str, expected: bool) -> None:  # noqa: FBT001 - what is expected
    assert is_reusable(Request("a/x", "p", {"seed": seed}), reuse) is expected
    assert is_reusable(Request("a/x", "p"), reuse) is (reuse == "always")


def a_task(uid: str, status: Status, *paths: str | None, origin: str = HERE) -> Task:
    files = tuple(Resource(url="https://u", path=path, lost=path == "") for path in paths)
    return Task(
        uid=uid,
        batch="b",
        origin=origin,
        request=Request("a/x", "p"),
        status=status,
        created_at=1,
        resources=files,
    )


RUNNING = a_task("running", Status.PROCESSING)
UNKNOWN = a_task("unknown", Status.UNKNOWN)
WHOLE = a_task("whole", Status.SUCCESS, "/a.png")


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([], None),
        (
            [a_task("x", status) for status in (Status.REJECTED, Status.FAILED, Status.EXPIRED)],
            None,
        ),
        ([UNKNOWN], "unknown"),
        ([RUNNING, UNKNOWN], "running"),
        ([WHOLE, RUNNING, UNKNOWN], "whole"),
        ([WHOLE, replace(WHOLE, uid="newer")], "newer"),
        ([a_task("saving", Status.SUCCESS, "/a.png", None)], "saving"),
        ([a_task("lost", Status.SUCCESS, "")], None),
        ([a_task("empty", Status.SUCCESS)], None),
        ([replace(RUNNING, origin="elsewhere"), replace(UNKNOWN, origin="elsewhere")], None),
        ([replace(WHOLE, origin="elsewhere")], "whole"),
    ],
)
def test_which_task_stands_for_the_next_such_request(
    known: list[Task], expected: str | None
) -> None:
    found = best(known, HERE)
    assert (found.uid if found else None) == expected
