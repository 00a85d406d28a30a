"""What is written is what is read back, whole batches or nothing, in every process's eyes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_samples import HANG_S, ORIGIN, a_task, full_task, python
from sqlalchemy import func, select, text

from modellix_jupyter.errors import LedgerError, NotOwned
from modellix_jupyter.ledger import dialects
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.ledger.tables import tasks
from modellix_jupyter.values import Request, Resource, Status, Task


@pytest.fixture
def ledger(place: Path | str, home: Path) -> Iterator[Ledger]:
    made = Ledger(place, home / "files")
    yield made
    made.close()


def test_what_is_committed_survives_a_power_cut(home: Path) -> None:
    ledger = Ledger(home / "ledger.sqlite3", home / "files")
    for connect in (ledger._transaction, ledger._reading):
        with connect() as connection:
            for name, value in {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}.items():
                assert connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() == value
    ledger.close()


def test_everything_known_of_a_task_comes_back(ledger: Ledger) -> None:
    task = full_task(ledger.files)
    ledger.add([task], "me")
    assert ledger.get(task.uid) == task
    assert ledger.find("task-1") == task == ledger.find(task.uid)
    assert ledger.tasks() == [task]
    assert ledger.owner(task.uid) == "me"


def test_little_known_of_a_task_comes_back(ledger: Ledger) -> None:
    task = a_task(None)
    ledger.add([task], "me")
    assert ledger.get(task.uid) == task


def test_what_is_not_there_is_none(ledger: Ledger) -> None:
    assert ledger.get("nobody") is None
    assert ledger.find("nobody") is None
    assert ledger.owner("nobody") is None
    assert ledger.count() == 0
    assert ledger.batch("nothing") == []
    assert ledger.durations("a/b", ORIGIN) == []
    assert ledger.recent_models(ORIGIN) == []


def test_a_batch_is_recorded_whole_or_not_at_all(ledger: Ledger) -> None:
    first, second = a_task(), a_task()
    with pytest.raises(LedgerError) as caught:
        ledger.add([first, second, replace(first)], "me")
    assert len(caught.value._render_traceback_()) == 2
    assert ledger.count() == 0
    ledger.add([first, second], "me")  # and the failure left no transaction open
    assert ledger.batch("batch") == [first, second]


def test_saving_changes_neither_what_was_asked_for_nor_the_owner(ledger: Ledger) -> None:
    task = a_task()
    ledger.add([task, a_task()], "me")
    asked_for = ("batch", "origin", "request", "created_at", "request_key", "reused_from")
    stays = {name: getattr(task, name) for name in (*asked_for, "parents")}
    other = replace(full_task(ledger.files), uid=task.uid)
    ledger.save(other)
    assert ledger.get(task.uid) == replace(other, **stays)
    assert ledger.owner(task.uid) == "me"
    assert ledger.count() == 2


def test_what_is_unfinished_is_found_by_its_service(ledger: Ledger) -> None:
    waiting = a_task(status=Status.PENDING, created_at=2)
    older = a_task(created_at=1)
    unfetched = a_task(status=Status.SUCCESS, resources=(Resource(url="u"),), created_at=3)
    over = full_task(ledger.files)
    unknown = a_task(status=Status.UNKNOWN)
    foreign = a_task(origin="https://other.test")
    ledger.add([waiting, older, unfetched, over, unknown, foreign], "me")
    assert ledger.unfinished(ORIGIN) == [older, waiting, unfetched]
    assert ledger.unknown(ORIGIN) == [unknown]
    assert ledger.unfinished("https://other.test") == [foreign]


def test_durations_are_of_the_latest_successes(ledger: Ledger) -> None:
    def took(seconds: int, end: int, **more: object) -> Task:
        start = end - seconds * 1_000_000
        return replace(
            a_task(status=Status.SUCCESS, submitted_at=start, completed_at=end),
            **more,  # type: ignore[arg-type]  # fields of a task, by name
        )

    tasks = [took(s, s * 10**9) for s in range(1, 61)]
    tasks.append(took(99, 10**12, status=Status.FAILED))
    tasks.append(took(98, 10**12, request=Request("c/d", None)))
    tasks.append(a_task(status=Status.SUCCESS))
    ledger.add(tasks, "me")
    assert ledger.durations("a/b", ORIGIN) == [float(s) for s in range(60, 10, -1)]


def test_recent_models_come_latest_first(ledger: Ledger) -> None:
    for at, model in enumerate(["a/1", "a/2", "a/1", "a/3"]):
        ledger.add([a_task(created_at=at, request=Request(model, None))], "me")
    assert ledger.recent_models(ORIGIN) == ["a/3", "a/1", "a/2"]
    assert ledger.recent_models(ORIGIN, limit=1) == ["a/3"]


# -- texts and numbers that are hard to keep

HARD = {
    "emoji": "👩\N{ZERO WIDTH JOINER}🚀 é中文",
    "controls": "\x1b[31mred\x07\r\n\t",
    "bidi": "abc\u202edef",
    "quotes": "'; DROP TABLE tasks; --",
    "huge": "long " * 400_000,
    "empty": "",
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD.keys())
def test_hard_texts_survive(ledger: Ledger, text: str) -> None:
    task = a_task(request=Request("a/b", text, {"note": text}), error_message=text)
    ledger.add([task], "me")
    assert ledger.get(task.uid) == task


def test_half_of_a_surrogate_pair_is_made_safe(ledger: Ledger) -> None:
    half = "half \ud83d pair"
    task = a_task(request=Request("a/b", half, {"note": half, half: 1}), error_message=half)
    ledger.add([task], "me")
    safe = "half ? pair"
    found = ledger.get(task.uid)
    assert found is not None
    assert found.request == Request("a/b", safe, {"note": safe, safe: 1})
    assert found.error_message == safe
    ledger.save(task)


def test_nul_is_replaced_and_found_again_by_the_name_that_had_it(ledger: Ledger) -> None:
    nul = Request("a/b", "before\0after", {"note": "\0"})
    task = a_task(batch="a\0b", request=nul, error_message="\0")
    ledger.add([task], "me")
    ledger.note(task.uid, "\0")
    (found,) = ledger.batch("a\0b")
    assert found.request == Request("a/b", "before\ufffdafter", {"note": "\0"})
    assert found.error_message == "\ufffd"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.none() | st.text(), st.dictionaries(st.text(), json_values, max_size=4))
def test_any_request_comes_back(
    ledger: Ledger, prompt: str | None, params: dict[str, None]
) -> None:
    task = a_task(request=Request("a/b", prompt, params))
    ledger.add([task], "me")
    kept = prompt and prompt.replace("\0", "\ufffd")
    assert ledger.get(task.uid) == replace(task, request=Request("a/b", kept, params))


# -- a home that moves


def test_stored_paths_are_relative_so_a_moved_home_works(home: Path) -> None:
    ledger = Ledger(home / "ledger.sqlite3", home / "files")
    task = full_task(ledger.files)
    ledger.add([task], "me")
    ledger.close()
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as connection:
        paths = connection.execute("SELECT path FROM files").fetchall()
    assert paths == [("2027-01-15/one.png",), (None,)]
    moved = home.with_name("elsewhere")
    home.rename(moved)
    there = Ledger(moved / "ledger.sqlite3", moved / "files")
    found = there.get(task.uid)
    there.close()
    assert found is not None
    assert found.path == str(moved / "files" / "2027-01-15" / "one.png")


# -- several at once

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from modellix_jupyter.values import Request, Status, Task
from modellix_jupyter.ledger.ledger import Ledger

home, name, count, place = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
print("ready", flush=True)
sys.stdin.readline()
ledger = Ledger(place if "://" in place else Path(place), home / "files")
for i in range(count):
    task = Task(uid=f"{name}-{i}", batch=name, origin="o", request=Request("a/b", name),
                status=Status.SUBMITTING, created_at=i)
    ledger.add([task], name)
    ledger.save(replace(task, status=Status.PENDING, task_id=f"id-{name}-{i}"))
ledger.close()
"""


def test_several_processes_write_at_once_and_lose_nothing(home: Path, place: Path | str) -> None:
    count = 25
    writers = [python(WRITER, home, f"w{i}", count, place) for i in range(3)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:  # none has opened the ledger yet: they make it together
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    endings = [(writer.communicate(timeout=HANG_S)[1], writer.returncode) for writer in writers]
    assert endings == [("", 0)] * 3
    ledger = Ledger(place, home / "files")
    found = {(t.uid, t.task_id, t.status) for t in ledger.tasks()}
    ledger.close()
    expected = {
        (f"w{w}-{i}", f"id-w{w}-{i}", Status.PENDING) for w in range(3) for i in range(count)
    }
    assert found == expected


def test_several_threads_write_and_read_at_once(ledger: Ledger) -> None:
    tasks = [a_task() for _ in range(60)]
    failures: list[BaseException] = []

    def write(mine: list[Task]) -> None:
        try:
            for task in mine:
                ledger.add([task], "me")
                assert task in ledger.tasks()
        except BaseException as error:  # noqa: BLE001 - raised again on the test's thread
            failures.append(error)

    threads = [threading.Thread(target=write, args=(tasks[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    assert failures == []
    assert ledger.count() == 60


def test_a_claim_is_for_one_only(ledger: Ledger, place: Path | str) -> None:
    tasks = [a_task() for _ in range(20)]
    ledger.add(tasks, "gone")
    ledgers = [Ledger(place, ledger.files) for _ in range(3)]
    won: list[tuple[str, str]] = []
    together = threading.Barrier(3)

    def claim(mine: Ledger, name: str) -> None:
        together.wait(HANG_S)
        won.extend((t.uid, name) for t in tasks if mine.claim(t.uid, name, was="gone"))

    threads = [
        threading.Thread(target=claim, args=(one, f"heir{i}")) for i, one in enumerate(ledgers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    for one in ledgers:
        one.close()
    assert sorted(uid for uid, _ in won) == sorted(t.uid for t in tasks)
    assert all(ledger.owner(uid) == name for uid, name in won)


def test_a_claim_needs_the_right_owner(ledger: Ledger) -> None:
    task = a_task()
    ledger.add([task], "gone")
    assert not ledger.claim(task.uid, "heir", was="somebody else")
    assert not ledger.claim(task.uid, "heir", was=None)
    assert not ledger.claim("nobody", "heir", was=None)
    assert ledger.owner(task.uid) == "gone"
    assert ledger.claim(task.uid, "heir", was="gone")
    assert ledger.owner(task.uid) == "heir"


def test_only_its_owner_writes_a_task_and_a_batch_of_two_owners_is_refused_whole(
    ledger: Ledger,
) -> None:
    mine, theirs = a_task(), a_task()
    ledger.add([mine], "me")
    ledger.add([theirs], "other")
    changed = [replace(task, status=Status.PENDING, task_id="x") for task in (mine, theirs)]
    with pytest.raises(NotOwned):
        ledger.save(*changed, owner="me")
    assert ledger.tasks() == [mine, theirs]
    ledger.save(changed[0], owner="me")
    assert ledger.tasks() == [changed[0], theirs]


def test_one_at_a_time_adds_to_a_batch(ledger: Ledger, place: Path | str) -> None:
    other, inside = Ledger(place, ledger.files), threading.Event()

    def enter() -> None:
        with other.continuing():
            inside.set()

    thread = threading.Thread(target=enter)
    with ledger.continuing():
        thread.start()
        assert not inside.wait(0.2)
    assert inside.wait(HANG_S)
    thread.join(HANG_S)
    other.close()


def test_who_adds_to_a_batch_for_long_is_still_the_only_one(
    postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = dialects._SERVER | {"idle_in_transaction_session_timeout": 500}
    monkeypatch.setattr(dialects, "_SERVER", impatient)
    one, other = (Ledger(postgres_url, home) for _ in range(2))
    inside = threading.Event()

    def enter() -> None:
        with other.continuing():
            inside.set()

    thread = threading.Thread(target=enter)
    with one.continuing():
        thread.start()
        assert not inside.wait(1.2)
        one.add([a_task()], "me")
    assert inside.wait(HANG_S)
    thread.join(HANG_S)
    one.close()
    other.close()


def test_who_lost_the_lock_of_a_batch_adds_nothing(postgres_url: str, home: Path) -> None:
    one, other = (Ledger(postgres_url, home) for _ in range(2))
    with one.continuing():
        # as a restart of the server does
        ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        other._scalar(text(ended))
        with other.continuing():
            assert other.batch("night") == []
            with pytest.raises(LedgerError):
                one.add([a_task()], "me")
    assert one.count() == 0
    one.add([a_task()], "me")
    one.close()
    other.close()


def test_a_row_without_an_owner_can_be_claimed(ledger: Ledger) -> None:
    task = a_task()
    ledger.add([task], None)
    assert ledger.claim(task.uid, "heir", was=None)


def test_a_reader_does_not_hold_up_a_writer(ledger: Ledger) -> None:
    ledger.add([a_task(), a_task()], "me")
    with ledger._reading() as connection:
        count = connection.execute(select(func.count()).select_from(tasks))
        ledger.add([a_task()], "me")
        assert ledger.count() == 3
        again = connection.execute(select(func.count()).select_from(tasks))
        # and sees the past on SQLite, consistently
        assert (count.scalar(), again.scalar()) == (2, 2 if ledger.path else 3)


def test_a_writer_waits_for_another_process_and_then_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "ledger.sqlite3"
    ledger = Ledger(path, home / "files")
    monkeypatch.setattr(dialects, "BUSY_S", 0.05)
    with closing(Ledger(path, ledger.files)) as hasty:
        with ledger._transaction(), pytest.raises(LedgerError, match="database is locked"):
            hasty.add([a_task()], "me")
        hasty.add([a_task()], "me")
    assert ledger.count() == 1
    ledger.close()


def test_an_error_says_nothing_of_what_was_written(ledger: Ledger) -> None:
    task = a_task("a secret prompt")
    ledger.add([task], "me")
    with pytest.raises(LedgerError) as caught:
        ledger.add([task], "me")
    assert "unique constraint" in caught.value.message.lower()
    assert "secret" not in f"{caught.value}{caught.value.__cause__}"


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="written"):
        ledger.add([a_task()], "me")
    assert ledger.count() == 0
