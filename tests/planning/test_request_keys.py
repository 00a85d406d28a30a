"""When two requests are one, and whose result stands for the next such request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.planning.reuse import best, is_reusable, request_keys
from modellix_jupyter.values import Request, Resource, Status, Task

HERE = "https://a.test"

values = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 1.0, 1.5, 2, 2.0, "", "1", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
requests = st.builds(
    Request,
    st.sampled_from(["a/x", "a/y"]),
    st.sampled_from([None, "p", "q"]),
    st.dictionaries(st.sampled_from(["seed", "url"]), values, max_size=2),
)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, in the words of JSON: 1 is 1.0, and 1 is not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@given(requests, requests, st.sampled_from(["s", "t"]), st.sampled_from(["s", "t"]))
def test_two_requests_have_one_key_exactly_when_they_are_equal(
    one: Request, other: Request, here: str, there: str
) -> None:
    equal = one.model == other.model and same(one.body(), other.body()) and here == there
    assert (request_keys([one], here) == request_keys([other], there)) == equal


@given(st.lists(requests, max_size=5))
def test_repeats_have_keys_of_their_own_and_the_same_ones_again(plan: list[Request]) -> None:
    keys = request_keys(plan, "s")
    assert len(set(keys)) == len(keys)
    assert request_keys(plan, "s") == keys


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
