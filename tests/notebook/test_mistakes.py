"""What a user gets wrong is said in two lines, and before anything is paid for."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from session_rig import HANG_S, KEY, UNPOLLED, Sessions, wait_until_accepted

import modellix_jupyter as mx
from modellix_jupyter.errors import (
    ApiError,
    ConfigError,
    InvalidRequest,
    WaitInterrupted,
    WaitTimeout,
)
from modellix_jupyter.notebook import current_session, functions
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results.results import Results
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Status

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")

FAST = "sandbox/fast"

# -- how long to wait

CALLS: dict[str, Callable[[Any], Results]] = {
    "generate": lambda timeout: functions.generate("p", FAST, timeout=timeout),
    "compare": lambda timeout: functions.compare("p", FAST, timeout=timeout),
    "agenerate": lambda timeout: asyncio.run(functions.agenerate("p", FAST, timeout=timeout)),
}


WRONG_TIMEOUTS = ["5", -1, float("nan"), float("inf"), 10**400, True, [5]]
RIGHT_TIMEOUTS = [None, 60, 60.5, np.int64(60), np.float32(60), Fraction(60)]


@pytest.mark.usefixtures("session")
def test_a_wrong_timeout_is_said_before_anything_is_sent(sessions: Sessions) -> None:
    for call, timeout in product(CALLS.values(), WRONG_TIMEOUTS):
        with pytest.raises(InvalidRequest, match=r"timeout=.* not a number of seconds") as caught:
            call(timeout)
        assert "timeout=300" in caught.value.hint
    assert sessions.posts() == 0


def test_a_wait_takes_no_wrong_timeout(session: Session) -> None:
    nothing = session.results([])
    for wait in (nothing.wait, lambda t: functions.run(nothing, t)):
        with pytest.raises(InvalidRequest, match="timeout='5'"):
            wait("5")  # type: ignore[arg-type]  # it is the test


def test_any_kind_of_number_is_a_timeout(session: Session) -> None:
    results = session.submit(make_plan(["p"], [FAST]))
    for timeout in RIGHT_TIMEOUTS:
        assert results.wait(timeout)[0].status is Status.SUCCESS  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_ends_too_soon_still_hands_over_its_results(
    session: Session, name: str
) -> None:
    session.pace = UNPOLLED
    with pytest.raises(WaitTimeout, match=r"1 task goes on after 0\.05 s") as caught:
        CALLS[name](0.05)
    results = caught.value.results
    assert isinstance(results, Results)
    assert [task.request.prompt for task in results] == ["p"]
    session.close()


def test_an_interrupted_call_still_hands_over_its_results(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    results = session.submit(make_plan(["p"], [FAST]))
    with monkeypatch.context() as patch:
        patch.setattr("modellix_jupyter.results.results.wait_for", interrupt)
        with pytest.raises(WaitInterrupted) as caught:
            functions.run(results)
    assert caught.value.results is results
    assert results.wait(HANG_S).done


def test_the_end_of_a_wait_still_goes_to_another_process(session: Session) -> None:
    session.pace = UNPOLLED
    results = session.submit(make_plan(["p"], [FAST]))
    with pytest.raises(WaitTimeout) as caught:
        results.wait(0)
    session.close()
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (type(again), str(again)) == (WaitTimeout, str(caught.value))


def test_a_task_of_another_key_is_said_in_two_lines(sessions: Sessions) -> None:
    first = sessions(pace=UNPOLLED)
    sent = first.submit(make_plan(["p"], [FAST]))
    wait_until_accepted(first, sent)
    task_id = sent[0].task_id or ""
    first.close()
    with pytest.raises(ApiError) as caught:
        sessions("another-key-0123456789").find([task_id]).wait(HANG_S).check()
    message, hint = str(caught.value).split("\n")
    assert message.startswith("403: ")
    assert "belongs to another key" in message
    assert "the key it was sent with" in hint
    done = sessions().find([task_id]).wait(HANG_S).check()
    assert done[0].status is Status.SUCCESS


# -- the bare client, and which service it speaks to


def sent_by(client: mx.AsyncClient) -> tuple[str, str, str]:
    """Return where a client's submissions go, where schemas come from, and with which key."""
    with_key = client._request("GET", "/", key=True).headers["authorization"]
    s = client.settings
    return f"{s.base_url}{s.submit_path}", s.schema_url, with_key.removeprefix("Bearer ")


def test_the_bare_client_follows_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELLIX_API_KEY", KEY)
    real = f"{Settings().base_url}/async"
    assert sent_by(mx.AsyncClient()) == (real, "", KEY)
    with functions.sandbox(speed=50) or pytest.fail("none") as running:
        assert sent_by(mx.AsyncClient()) == (f"{running.base_url}/async", "", functions.SANDBOX_KEY)

        async def valid() -> bool:
            async with mx.AsyncClient() as client:
                return await client.key_is_valid()

        assert asyncio.run(valid())
    assert sent_by(mx.AsyncClient()) == (real, "", KEY)


def test_the_bare_client_follows_the_settings_in_force(session: Session) -> None:
    elsewhere = session.settings.changed(
        base_url="https://other.test", schema_url="https://schemas.test", submit_path=""
    )
    current_session.configure(elsewhere, key="the-other-key")
    expected = ("https://other.test", "https://schemas.test", "the-other-key")
    assert sent_by(mx.AsyncClient()) == expected


def test_what_the_bare_client_is_told_wins(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELLIX_API_KEY", "of-the-environment")
    here = f"{session.settings.base_url}/async"
    assert sent_by(mx.AsyncClient("told-to-it")) == (here, "", "told-to-it")
    same = mx.AsyncClient(settings=session.settings.changed(submit_path=""))
    assert sent_by(same) == (session.settings.base_url, "", KEY)
    # the session's key is for its own service
    with pytest.raises(ConfigError, match=r"not given for https://other\.test"):
        mx.AsyncClient(settings=session.settings.changed(base_url="https://other.test"))
    monkeypatch.setenv("MODELLIX_BASE_URL", "https://other.test")
    there = mx.AsyncClient(settings=session.settings.changed(base_url="https://other.test"))
    assert sent_by(there) == ("https://other.test/async", "", "of-the-environment")


# -- leaving the sandbox


def sandboxes() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "modellix-sandbox"]


def test_the_sandbox_is_left_also_where_a_setting_changed_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outside = current_session.current()
    with functions.sandbox(speed=50) or pytest.fail("none"):
        functions.generate("p", FAST)
        slow = functions.submit("p", "sandbox/slow")
        current_session.configure(current_session.settings().changed(max_in_flight=8))
        current_session.configure(current_session.settings().changed(base_url="https://other.test"))
    assert current_session.current() is outside
    assert sandboxes() == []
    assert slow.done  # nothing asks a server that is no more
    monkeypatch.setenv("MODELLIX_API_KEY", KEY)
    assert mx.AsyncClient().settings.base_url == Settings().base_url


def test_a_sandbox_that_is_left_twice_leaves_the_next_one_alone() -> None:
    first = functions.sandbox(speed=50) or pytest.fail("none")
    second = functions.sandbox(speed=50) or pytest.fail("none")
    first.stop()
    first.stop()
    assert current_session.settings().base_url == second.base_url
    assert sandboxes() == ["modellix-sandbox"]
    second.stop()
    assert sandboxes() == []


def test_a_sandbox_of_no_speed_is_not_begun() -> None:
    wrong: Any
    for wrong in (0, -1, "fast", float("nan"), None, True):
        with pytest.raises(InvalidRequest, match=r"speed=.* is not a number above 0") as caught:
            functions.sandbox(speed=wrong)
        assert "speed=20" in caught.value.hint
    assert sandboxes() == []


# -- which of the results


@pytest.fixture
def three(session: Session) -> Results:
    plan = make_plan(["p0", "p1", "p2"], [FAST], params={"size": "256x256"})
    return session.submit(plan).wait(HANG_S)


def test_a_result_is_rated_by_its_index_itself_or_its_id(three: Results) -> None:
    which: Any
    task = three[1]
    for rating, which in enumerate((1, -2, np.int64(1), task, task.task_id, task.uid)):
        three.rate(which, rating % 5 + 1)
        three.note(which, f"{rating}")
        frame = three.frame()
        assert frame["rating"].fillna(0).tolist() == [0, rating % 5 + 1, 0]
        assert frame["note"].fillna("").tolist() == ["", f"{rating}", ""]


NONE_OF_THEM: list[tuple[Any, str]] = [
    (99, "no result 99"),
    (-4, "no result -4"),
    (10**30, "no result 1000"),
    ("task-323b", "the task 'task-323b'"),
    (None, "the task None"),
    (1.0, "the task 1.0"),
    (True, "the task True"),
    (np.array([1]), "the task array"),
]


def test_what_is_none_of_the_results_is_said(three: Results) -> None:
    for which, message in NONE_OF_THEM:
        with pytest.raises(InvalidRequest, match=message) as caught:
            three.rate(which, 5)
        assert "There are 3 results, 0 to 2." in caught.value.hint
        with pytest.raises(InvalidRequest, match=message):
            three.note(which, "soft")


def test_another_s_task_is_none_of_the_results(three: Results) -> None:
    with pytest.raises(InvalidRequest, match=f"the task '{three[0].uid}'") as caught:
        three[1:2].rate(three[0], 5)
    assert "There is 1 result, 0." in caught.value.hint
    with pytest.raises(InvalidRequest, match="no result 0") as caught:
        three[3:].rate(0, 5)
    assert caught.value.hint == "There are none."


# -- what can be shown


def pictures(shown: object) -> int:
    """Count the pictures of what shows itself."""
    return str(getattr(shown, "_repr_html_", str)()).count("data:image/jpeg")


def test_results_and_tasks_show_themselves_as_a_frame(three: Results) -> None:
    three.rate(0, 5)
    assert pictures(mx.show(three)) == pictures(mx.show(list(three))) == 3
    assert pictures(mx.show(three[1:])) == 2
    assert pictures(mx.show(three[:1][0:0])) == pictures(mx.show([])) == 0
    assert "rating" in mx.show(three)._repr_html_()
    one: Any = three[0]
    assert pictures(mx.show(one)) == 1


def test_the_column_of_paths_alone_brings_the_pictures(three: Results) -> None:
    frame = three.frame()
    for columns in (["path"], ["prompt", "path"], ["prompt", "path", "type"]):
        assert pictures(mx.show(frame[columns])) == 3
    without = frame[["prompt", "type"]]
    assert mx.show(without) is without


def test_what_cannot_be_shown_is_said() -> None:
    what: Any
    for what in (None, 7, "path", [7], {"path": 1}):
        with pytest.raises(InvalidRequest, match=f"of type {type(what).__name__}") as caught:
            mx.show(what)
        assert "show(history())" in caught.value.hint
