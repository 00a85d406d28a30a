"""Sessions against a real local service: sending, failing, resuming, following, changing."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from postgres_server import PASSWORD
from session_rig import HANG_S, KEY, UNPOLLED, Sessions, hurried, is_whole

from modellix_jupyter.errors import (
    BadRequest,
    ConfigError,
    InvalidRequest,
    LedgerError,
    MissingKey,
    ModellixError,
    NotFound,
    OutcomeUnknown,
    PaymentRequired,
    TaskFailed,
    Unauthorized,
    UnknownModel,
)
from modellix_jupyter.notebook import current_session, doctor, functions, recovery
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results.show import show
from modellix_jupyter.sandbox_server import Faults, Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Card, Request, Status
from modellix_jupyter.widgets import cards

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")

FAST = "sandbox/fast"
SMALL = "256x256"

COLUMNS = """
task_id status model provider model_id prompt params submitted_at completed_at elapsed_s duration_ms
n_resources type width height format url expires_at path attempts price request_id error_code
error_message service charged reused parents
""".split()  # noqa: SIM905 - one name a line would hide the order
TIMES = {"submitted_at", "completed_at", "expires_at"}
COUNTS = {"duration_ms", "n_resources", "width", "height", "attempts", "error_code"}
NUMBERS = {"elapsed_s", "price", "charged"}


def plan(*prompts: str, model: str = FAST, **params: object) -> list[Request]:
    return make_plan(list(prompts), [model], params={"size": SMALL, **params})


# -- the happy way


@pytest.mark.usefixtures("session")
def test_the_frame_is_as_promised(sessions: Sessions) -> None:
    results = functions.generate(["a cat", "a dog"], FAST, size=SMALL, seed=7)
    frame = results.frame()
    assert list(frame.columns) == [*COLUMNS, "param.seed", "param.size"]
    for name in COLUMNS:
        kind = str(frame[name].dtype)
        if name in TIMES:
            assert kind in {"datetime64[ns, UTC]", "datetime64[us, UTC]"}
        elif name in COUNTS:
            assert kind == "Int64"
        elif name in NUMBERS:
            assert kind == "Float64"
        elif name == "reused":
            assert kind == "boolean"
        else:
            assert kind == "string"
    assert str(frame["param.seed"].dtype) == "Int64"
    assert list(frame["prompt"]) == ["a cat", "a dog"]
    assert set(frame["status"]) == {"success"}
    assert set(frame["width"]) == {256}
    assert set(frame["price"]) == {0.001}
    assert frame["provider"].tolist() == frame["service"].tolist() == ["sandbox", "sandbox"]
    assert set(frame["task_id"]) == set(sessions.sandbox.submissions)
    assert all(Path(p).is_file() for p in frame["path"])
    pd.testing.assert_frame_equal(functions.history(), frame)


@pytest.mark.usefixtures("session")
def test_a_comparison_is_the_product_in_its_order(sessions: Sessions) -> None:
    results = functions.compare(
        ["p1", "p2"],
        [FAST, "sandbox/unavailable"],
        vary={"seed": [1, 2]},
        size=SMALL,
        timeout=HANG_S,
    )
    expected = [
        (prompt, model, seed)
        for prompt in ("p1", "p2")
        for model in (FAST, "sandbox/unavailable")
        for seed in (1, 2)
    ]
    found = [(t.request.prompt, t.request.model, t.request.params["seed"]) for t in results]
    assert found == expected
    assert all(is_whole(task) for task in results)
    assert {t.attempts for t in results if t.request.model == "sandbox/unavailable"} == {2}
    assert sum(sessions.prompts().values()) == 8


@pytest.mark.usefixtures("session")
def test_one_failure_of_several_is_shown_and_not_raised() -> None:
    results = functions.compare("p", [FAST, "sandbox/refuses"], size=SMALL)
    good, bad = results
    assert (good.status, bad.status) == (Status.SUCCESS, Status.FAILED)
    assert "Content policy" in str(bad.error_message)
    with pytest.raises(TaskFailed, match="Content policy"):
        results[1:].check()


@pytest.mark.usefixtures("session")
def test_the_service_can_be_asked(session: Session) -> None:
    assert {m.slug for m in session.models()} > {FAST, "alibaba/qwen-image-plus"}
    schema = session.schema(FAST)
    assert schema is not None
    assert session.schema("nobody/nothing") is None
    assert session.balance() == 100.0
    assert session.key_is_valid()


# -- what is refused


REFUSED: dict[str, type[ModellixError]] = {
    "sandbox/bad-request": BadRequest,
    "sandbox/unauthorized": Unauthorized,
    "sandbox/out-of-credit": PaymentRequired,
    "sandbox/not-found": NotFound,
    "sandbox/refuses": TaskFailed,
}


@pytest.mark.usefixtures("session")
def test_each_refusal_is_the_error_of_its_name(sessions: Sessions) -> None:
    for model, error in REFUSED.items():
        with pytest.raises(error) as caught:
            functions.generate("a cat", model)
        assert len(caught.value._render_traceback_()) == 2
    assert sum(sessions.prompts().values()) == 1  # the one that fails was accepted
    assert sessions.posts() == len(REFUSED)


MISTAKES: list[tuple[Any, str, type[ModellixError], str]] = [
    ("a cat", "sandbox/fats", UnknownModel, "sandbox/fast"),
    ("a cat", "no slash", InvalidRequest, "provider/model"),
    ("", FAST, InvalidRequest, ""),
    (17, FAST, InvalidRequest, "int"),
]


@pytest.mark.usefixtures("session")
def test_a_mistake_is_found_before_anything_is_sent(sessions: Sessions) -> None:
    for prompt, model, error, words in MISTAKES:
        with pytest.raises(error) as caught:
            functions.submit(prompt, model)
        assert words in str(caught.value)
    assert sessions.posts() == 0


@pytest.mark.usefixtures("session")
def test_a_parameter_that_the_model_lacks_is_found_too(
    session: Session, sessions: Sessions
) -> None:
    with pytest.raises(InvalidRequest, match="size"):
        functions.submit("a cat", FAST, size="enormous")
    assert sessions.posts() == 0
    unchecked = current_session.configure(session.settings.changed(check_requests=False))
    assert unchecked is session
    with pytest.raises(BadRequest):  # then the service is the judge
        functions.generate("a cat", FAST, size="enormous")


def test_without_a_key_nothing_is_written(sessions: Sessions, home: Path) -> None:
    session = sessions(key=None)
    for use in (session.models, session.balance, lambda: session.submit(plan("a cat"))):
        with pytest.raises(MissingKey):
            use()
    assert not home.exists()
    assert sessions.sandbox.journal == []


def test_a_home_that_cannot_be_written_sends_nothing(sessions: Sessions, home: Path) -> None:
    home.write_text("in the way")
    with pytest.raises((LedgerError, ConfigError)) as caught:
        sessions().submit(plan("a cat"))
    assert "MODELLIX_HOME" in caught.value.hint
    assert sessions.posts() == 0


def test_a_wrong_key_is_a_refusal(sessions: Sessions) -> None:
    results = sessions(key="wrong-key").submit(plan("a cat")).wait(HANG_S)
    with pytest.raises(Unauthorized):
        results.check()
    assert sessions.prompts() == {}


# -- outcomes that nobody knows


@pytest.mark.parametrize(
    ("model", "accepted"),
    [("sandbox/silent", 1), ("sandbox/garbled", 1), ("sandbox/proxy-error", 0)],
)
@pytest.mark.usefixtures("session")
def test_what_may_have_been_accepted_is_never_sent_again(
    session: Session, sessions: Sessions, model: str, accepted: int
) -> None:
    with pytest.raises(OutcomeUnknown):
        functions.generate("a cat", model)
    assert list(session.history()["status"]) == ["unknown"]
    assert list(session.resume()) == []
    session.close()
    other = sessions()
    results = other.resume()
    words = "\n".join(recovery.report(other, results))
    assert "1 submitted with no readable answer" in words
    assert "none is sent again" in words
    assert model in words
    assert [t.status for t in other.unknown()] == [Status.UNKNOWN]
    assert sum(sessions.prompts().values()) == accepted
    assert sessions.posts() == 1


# -- tasks that outlive their session


def test_a_session_closed_in_the_middle_is_resumed_by_the_next(sessions: Sessions) -> None:
    first = sessions(pace=UNPOLLED)
    prompts = [f"p{i}" for i in range(4)]
    results = first.submit(plan(*prompts))
    first.close()  # waits for the answers, and no longer
    assert {t.status for t in results} == {Status.PENDING}
    second = sessions()
    assert len(second.unfinished()) == 4
    resumed = second.resume().wait(HANG_S)
    assert sorted(str(t.request.prompt) for t in resumed) == prompts
    assert all(is_whole(task) for task in resumed)
    assert sessions.prompts() == dict.fromkeys(prompts, 1)
    assert second.unfinished() == []
    assert list(recovery.report(second, second.resume())) == ["Nothing is unfinished."]


def test_a_task_that_the_service_does_not_find_is_not_given_up(sessions: Sessions) -> None:
    first = sessions(pace=UNPOLLED)
    (task,) = first.submit(plan("p"))
    first.close()
    (task_id,) = sessions.sandbox.submissions
    sessions.sandbox.expire(task_id)
    second = sessions(sleep=hurried)
    results = second.resume().wait(HANG_S)
    assert (results[0].uid, results[0].task_id) == (task.uid, task_id)
    assert results[0].status is Status.PENDING
    assert len(second.unfinished()) == 1
    with pytest.raises(ModellixError, match="does not find the task"):
        results.check()


def test_files_that_are_not_found_are_said_and_not_given_up(sessions: Sessions) -> None:
    current_session.push(sessions(sleep=hurried))
    (task,) = functions.generate("p", "sandbox/expires", size=SMALL)
    assert task.status is Status.SUCCESS
    assert not task.is_final
    assert "no longer has the file" in str(task.resources[0].problem)
    assert sum(sessions.fetches().values()) >= 6


def test_files_cut_short_are_fetched_again(home: Path) -> None:
    faults = Faults(download={"truncated_file": 0.4, "reset_before": 0.1}, seed=3)
    with Sandbox(speed=50, faults=faults) as unlucky:
        sessions = Sessions(home, unlucky)
        session = sessions()
        try:
            results = session.submit(plan("p0", "p1", "p2", "p3")).wait(HANG_S)
            assert all(is_whole(task) for task in results)
            assert sum(sessions.fetches().values()) > 4
        finally:
            sessions.close()
    assert list(home.rglob(".part-*")) == []


def test_two_sessions_on_one_home_share_the_work(sessions: Sessions) -> None:
    one, other = sessions(), sessions()
    mine = one.submit(plan("m0", "m1", "m2", model="sandbox/slow"))
    theirs = other.submit(plan("t0", "t1", model="sandbox/slow"))
    followed = [one.resume(), other.resume()]
    for results in (mine, theirs, *followed):
        results.wait(HANG_S)
    assert [len(r) for r in followed] == [5, 5]
    for results in followed:
        assert all(is_whole(task) for task in results)
    assert sessions.prompts() == dict.fromkeys(["m0", "m1", "m2", "t0", "t1"], 1)
    assert sorted(sessions.fetches().values()) == [1] * 5  # no file came home twice
    assert list(followed[0]) == list(followed[1])


def test_a_follower_takes_over_when_the_other_ends(sessions: Sessions) -> None:
    one, other = sessions(pace=UNPOLLED), sessions()
    tasks = one.submit(plan("p0", "p1"))
    watched = other.resume()
    one.close()
    assert len(watched) == 2
    watched.wait(HANG_S)
    assert all(is_whole(task) for task in watched)
    assert {other.ledger.owner(t.uid) for t in tasks} == {other.kernel_lock.name}
    assert sessions.prompts() == {"p0": 1, "p1": 1}


# -- one after the other, and one above the other


def test_sandboxes_stack(home: Path) -> None:
    outside = current_session.current()
    with functions.sandbox(speed=50) or pytest.fail("none") as outer:
        outer_session = current_session.current()
        with functions.sandbox(speed=50) or pytest.fail("none") as inner:
            assert inner.base_url != outer.base_url
            results = functions.generate("p", FAST, size=SMALL)
            assert results[0].origin == inner.base_url
        assert current_session.current() is outer_session
        assert outer_session.unfinished() == []
        assert "local Modellix" in repr(outer)
    assert current_session.current() is outside
    # what was made can still be looked at, and nothing is opened anew for it
    assert results[0].status is Status.SUCCESS
    assert results.done
    assert results.wait(HANG_S) is results
    assert len(results.frame()) == 1
    assert "success" in repr(results)
    assert not [t for t in threading.enumerate() if t.name == "modellix-engine"]
    assert home.is_dir()


def test_a_sandbox_left_with_tasks_on_their_way_leaves_no_thread() -> None:
    with functions.sandbox(speed=50) or pytest.fail("none"):
        results = functions.submit("p", "sandbox/slow")
    assert results.done
    assert not [t for t in threading.enumerate() if t.name.startswith("modellix-")]


def test_no_sandbox_where_a_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELLIX_API_KEY", KEY)
    assert functions.sandbox(unless_key=True) is None


def test_a_closed_session_takes_nothing(sessions: Sessions) -> None:
    session = sessions()
    session.submit(plan("p")).wait(HANG_S)
    session.close()
    session.close()
    for use in (session.balance, lambda: session.submit(plan("q"))):
        with pytest.raises(ModellixError, match="closed"):
            use()
    never_opened = sessions()
    never_opened.close()
    with pytest.raises(ModellixError, match="closed"):
        never_opened.models()
    assert sessions.prompts() == {"p": 1}


def test_what_only_shows_is_changed_in_place(session: Session) -> None:
    session.models()
    there = current_session.configure(
        session.settings.changed(thumbnail_px=64, reentrant_wait=False)
    )
    assert there is session is current_session.current()
    assert current_session.settings().thumbnail_px == 64


def test_before_anything_is_open_all_is_changed_in_place(session: Session) -> None:
    assert current_session.configure(session.settings.changed(max_in_flight=2)) is session


def test_what_the_engine_is_made_of_needs_another_session(
    session: Session, sessions: Sessions
) -> None:
    tasks = session.submit(plan("p0", "p1", model="sandbox/slow"))
    other = current_session.configure(session.settings.changed(max_in_flight=2))
    assert other is not session
    assert current_session.current() is other
    tasks.wait(HANG_S)  # the first goes on until what it was driving is over
    assert {t.status for t in other.ledger.tasks()} == {Status.SUCCESS}
    assert sessions.prompts() == {"p0": 1, "p1": 1}


def test_a_sandbox_goes_on_when_its_session_is_exchanged() -> None:
    with functions.sandbox(speed=50) or pytest.fail("none") as running:
        first = current_session.current()
        first.models()
        second = current_session.configure(first.settings.changed(max_in_flight=2))
        assert second is not first
        assert second.sandbox is not None
        assert second.settings.base_url == running.base_url
        assert functions.generate("p", FAST, size=SMALL)[0].status is Status.SUCCESS
        current_session.pop(second)
    assert not [t for t in threading.enumerate() if t.name == "modellix-sandbox"]


def test_a_key_is_not_handed_to_another_service(session: Session) -> None:
    session.models()
    elsewhere = current_session.configure(session.settings.changed(base_url="https://other.test"))
    with pytest.raises(MissingKey):
        elsewhere.key()


def test_another_key_makes_another_session(session: Session) -> None:
    other = current_session.configure(session.settings, key="another-key")
    assert other is not session
    assert other.key().reveal() == "another-key"


def test_the_session_in_use_is_made_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("MODELLIX_BASE_URL", "https://service.test")
    monkeypatch.setenv("MODELLIX_API_KEY", KEY)
    session = current_session.current()
    assert session is current_session.current()
    assert session.settings.base_url == "https://service.test"
    assert session.home == home
    assert session.key().source == "MODELLIX_API_KEY"
    assert not home.exists()
    current_session.pop(session)
    assert current_session.current() is not session


# -- ids, and what was left behind


def test_tasks_are_found_by_their_ids(sessions: Sessions) -> None:
    first = sessions(pace=UNPOLLED)
    results = first.submit(plan("p"))
    first.close()
    second = sessions()
    task_id = results[0].task_id
    assert task_id is not None
    found = second.find([task_id, results[0].uid])
    assert [t.uid for t in found] == [results[0].uid] * 2
    assert is_whole(found.wait(HANG_S)[0])
    with pytest.raises(ModellixError, match="no task `nobody`"):
        second.find(["nobody"])


def test_nothing_is_announced_where_there_is_nothing(
    session: Session, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recovery.announce()
    assert capsys.readouterr().out == ""
    assert not home.exists()
    session.submit(plan("p")).wait(HANG_S)
    recovery.announce()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("kept", "lines"),
    [
        ({}, 1),
        ({"ledger": "postgresql://db/kept"}, 1),
        ({"files": "s3://kept"}, 1),
        ({"ledger": "postgresql://db/kept", "files": "s3://kept"}, 0),
    ],
)
def test_on_colab_it_says_what_is_not_kept(
    kept: dict[str, str],
    lines: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    ours = Settings(**kept)  # type: ignore[arg-type]  # all of these are texts
    monkeypatch.setattr(recovery, "settings", lambda: ours)
    monkeypatch.setattr(recovery, "_announce", lambda: None)
    recovery.announce()
    assert capsys.readouterr().out.count("\n") == lines


def test_what_is_unfinished_is_announced_and_taken_up(
    sessions: Sessions, capsys: pytest.CaptureFixture[str]
) -> None:
    first = sessions(pace=UNPOLLED)
    first.submit(plan("p0", "p1"))
    first.submit(plan("p", model="sandbox/silent")).wait(HANG_S)
    first.close()
    second = current_session.push(sessions())
    recovery.announce()
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "2 tasks are unfinished and 1 task is of unknown outcome" in line
    for thread in threading.enumerate():
        if thread.name == "modellix-resume":
            thread.join(HANG_S)
    taken = second.resume()
    words = list(recovery.report(second, taken))
    assert words[0] == "2 tasks taken up."
    taken.wait(HANG_S)
    assert all(is_whole(task) for task in taken)


def test_nothing_is_taken_up_where_that_is_off(
    sessions: Sessions, capsys: pytest.CaptureFixture[str]
) -> None:
    first = sessions(pace=UNPOLLED)
    first.submit(plan("p"))
    first.close()
    second = current_session.push(sessions(auto_resume=False))
    recovery.announce()
    assert "1 task is unfinished" in capsys.readouterr().out
    assert second._running is None


def test_what_never_left_is_told_apart(sessions: Sessions) -> None:
    first = sessions(pace=UNPOLLED, max_in_flight=1)
    first.submit(plan("p0", "p1\x1b[31m", "p2"))
    first.close()
    second = sessions()
    results = second.resume()
    words = "\n".join(recovery.report(second, results))
    never = [t for t in second.unfinished() if t.submitted_at is None]
    assert len(never) == 2
    assert f"{len(never)} recorded but never sent" in words
    assert "nothing was charged" in words
    assert "\x1b" not in words
    results.wait(HANG_S)
    assert sum(sessions.prompts().values()) == 3 - len(never)


# -- the doctor


def test_the_doctor_never_shows_the_key(sessions: Sessions) -> None:
    session = sessions()
    session.submit(plan("p")).wait(HANG_S)
    checks = doctor.examine(session)
    assert KEY not in repr(checks)
    marks = {c.name: c.mark for c in checks}
    assert marks["key"] == marks["service answers"] == marks["ledger"] == marks["home"] == "ok"
    details = {c.name: c.detail for c in checks}
    assert details["key"] == "from an argument"
    assert details["ledger"] == "1 task, 0 unfinished, 0 unknown"
    assert details["balance"] == "100.00 USD"
    assert KEY not in repr(vars(session))
    assert all(KEY.encode() not in p.read_bytes() for p in sessions.home.rglob("*") if p.is_file())


def test_the_doctor_asks_the_server_of_a_ledger(sessions: Sessions, postgres_url: str) -> None:
    session = sessions(ledger=postgres_url, user="ann")
    session.submit(plan("p")).wait(HANG_S)
    (check,) = (c for c in doctor.examine(session) if c.name == "ledger")
    assert check.good
    assert re.search(
        r"/ledger_\d+, PostgreSQL \d+.*, [\d.]+ ms, may read and write; by user: ann 1$",
        check.detail,
    )
    assert PASSWORD not in check.detail
    other = sessions(ledger=postgres_url, user="bob")
    (task,) = other.ledger.tasks()
    assert "by ann" in other.find([task.uid])._repr_html_()
    assert "by ann" in cards._facts(Card(task=task), ())
    assert session.history()["user"].tolist() == ["ann"]
    assert "ann" in repr(show(session.history()))


def test_the_doctor_says_what_is_wrong(sessions: Sessions, home: Path) -> None:
    refused = doctor.examine(sessions(key="wrong-sentinel-key"))
    assert {c.name for c in refused if c.good is False} == {"service answers", "balance"}
    assert "wrong-sentinel-key" not in repr(refused)
    without = doctor.examine(sessions(key=None))
    assert {c.name for c in without if c.good is False} == {"key"}
    assert sum("There is no Modellix API key" in c.detail for c in without) == 1
    extras = {c.name for c in without if ", for " in c.detail}
    assert extras == {"pyarrow", "xlsxwriter", "matplotlib", "psycopg", "s3fs", "keyring"}
    assert any("%modellix key" in c.detail for c in without)
    home_in_the_way = home.with_name("file")
    home_in_the_way.write_text("in the way")
    blocked = doctor.examine(sessions(home=str(home_in_the_way)))
    assert {c.name for c in blocked if c.good is False} >= {"home", "ledger"}


def test_the_doctor_looks_where_nobody_answers(home: Path) -> None:
    unreachable = Settings(
        base_url="http://127.0.0.1:9", home=str(home), retry_deadline_s=0, requests_per_second=500
    )
    session = Session(unreachable, key=KEY)
    checks = doctor.examine(session)
    session.close()
    assert {c.name for c in checks if c.good is False} == {"service answers", "balance"}
    assert KEY not in repr(checks)


def test_a_batch_that_is_sent_by_two_at_once_is_sent_once(
    sessions: Sessions, sandbox: Sandbox
) -> None:
    requests = plan(*(f"row {n}" for n in range(20)))
    both = [sessions(), sessions()]
    gate, sent = threading.Barrier(4), list[tuple[str, ...]]()

    def send(place: int) -> None:
        gate.wait(HANG_S)
        results = both[place % 2].submit(requests, batch="night")
        sent.append(tuple(task.uid for task in results))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    for session in both:
        session.block()
    assert len(set(sent)) == 1
    assert len(sandbox.submissions) == len(requests)


PRICED: list[tuple[str, dict[str, int]]] = [
    ("alibaba/qwen-image-plus", {}),
    ("alibaba/qwen-image-plus", {"n": 4}),
    ("alibaba/wan-2.5-t2v", {"duration": 2}),
    ("alibaba/wan-2.5-t2v", {}),
]


def test_the_price_of_a_task_is_what_is_charged(session: Session) -> None:
    for model, params in PRICED:
        before = session.balance()
        requests = make_plan(["a cat"], [model], params=params)
        quoted, unknown = session.order(requests).quote.total
        (task,) = session.submit(requests).wait(HANG_S)
        assert not unknown
        assert task.price == quoted.low == quoted.high == pytest.approx(before - session.balance())


@pytest.mark.usefixtures("session")
def test_a_frame_that_cannot_be_sent_is_said(sandbox: Sandbox) -> None:
    nothing: Any
    for nothing in (None, float("nan"), pd.NA, pd.NaT):
        seeds = pd.Series([1, nothing], dtype="object")
        frame = pd.DataFrame({"prompt": ["a", "b"], "seed": seeds})
        for given in (frame, frame.convert_dtypes()):
            with pytest.raises(InvalidRequest, match="Row 1 has no value in column `seed`"):
                functions.submit_frame(given, FAST)
    none: Any
    for none in (["a"], {"prompt": ["a"]}, "a"):
        with pytest.raises(InvalidRequest, match="not a DataFrame"):
            functions.submit_frame(none, FAST)
    assert not sandbox.submissions


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_a_home_is_its_owners_alone_whatever_the_umask(
    umask: int, sessions: Sessions, home: Path
) -> None:
    before = os.umask(umask)
    try:
        session = sessions()
        session.submit(make_plan(["p"], [FAST])).wait(HANG_S)
        modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (home, *home.rglob("*"))}
    finally:
        os.umask(before)
    assert modes[home] == 0o700
    assert home / "ledger.sqlite3-wal" in modes
    kept = [p for p in modes if p.name.startswith("ledger.sqlite3") and p.suffix != ".lock"]
    kept += [p for p in modes if p.is_file() and "files" in p.parts]
    assert len(kept) >= 4
    assert {modes[p] for p in kept} == {0o600}
