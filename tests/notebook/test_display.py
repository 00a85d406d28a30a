"""Live status: what is drawn, when, by whom, and what happens when it cannot be."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from IPython.core.formatters import DisplayFormatter
from session_rig import HANG_S, UNPOLLED, wait_until_accepted

from modellix_jupyter.errors import TaskFailed
from modellix_jupyter.notebook import current_session, display, functions
from modellix_jupyter.notebook.display import LiveView
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results.results import Results
from modellix_jupyter.values import Status

if TYPE_CHECKING:
    from modellix_jupyter.notebook.display import Bundle

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")


class FakeScreen:
    """Keeps what is drawn; after so many draws it raises, as an output that is gone."""

    def __init__(self, good_for: int = 1_000_000) -> None:
        self.draws: list[tuple[Bundle, bool]] = []
        self.threads: list[str] = []
        self._good_for = good_for

    def draw(self, bundle: Bundle, *, last: bool) -> None:
        if len(self.draws) >= self._good_for:
            raise OSError("the front end is gone")
        self.draws.append((bundle, last))
        self.threads.append(threading.current_thread().name)

    @property
    def texts(self) -> list[str]:
        return [bundle["text/plain"] for bundle, _ in self.draws]


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def painter() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "modellix-painter"]


def send(session: Session, *prompts: str) -> Results:
    return session.submit(make_plan(list(prompts), ["sandbox/fast"], params={"size": "256x256"}))


def shown(results: Results, screen: FakeScreen) -> LiveView:
    session = current_session.current()
    return LiveView(session, [task.uid for task in results], screen).start()


def test_the_start_each_change_and_the_end_are_drawn(session: Session) -> None:
    seen = FakeScreen()
    default_rate = session.settings.changed(updates_per_second=1000.0)
    session.settings = default_rate
    session.pace = UNPOLLED
    results = send(session, "a cat")
    view = shown(results, seen)
    assert seen.threads[0] == threading.current_thread().name
    wait_until_accepted(session, results)
    until(lambda: any("pending" in text for text in seen.texts))
    session.close()
    until(lambda: not painter())
    del view
    assert all(set(bundle) == {"text/html", "text/plain"} for bundle, _ in seen.draws)
    assert set(seen.threads[1:]) == {"modellix-painter"}


def test_what_remains_is_the_end(session: Session) -> None:
    seen = FakeScreen()
    results = send(session, "a cat", "a dog")
    shown(results, seen)
    results.wait(HANG_S)
    until(lambda: not painter())  # nobody finished the cell: the painter drew the end by itself
    last = seen.draws[-1][0]
    assert last["text/plain"].count("success") == 2
    assert last["text/html"].count("data:image/jpeg") == 2
    assert session.engine._listeners == []


def test_the_end_of_a_cell_is_drawn_from_its_own_thread(session: Session) -> None:
    seen = FakeScreen()
    results = send(session, "a cat")
    view = shown(results, seen)
    results.wait(HANG_S)
    view.finish()
    assert seen.draws[-1][1] is True
    assert seen.threads[-1] == threading.current_thread().name
    assert "success" in seen.texts[-1]
    until(lambda: not painter())
    assert session.engine._listeners == []


def test_a_note_stands_while_the_tasks_go_on(session: Session) -> None:
    seen = FakeScreen()
    session.pace = UNPOLLED
    results = send(session, "a cat")
    view = shown(results, seen)
    view.note("only the waiting ended")
    wait_until_accepted(session, results)
    assert "only the waiting ended" in seen.texts[-1]
    assert "only the waiting ended" in seen.draws[-1][0]["text/html"]
    view.stop()
    session.close()
    view.draw(last=True)
    assert "only the waiting ended" not in seen.texts[-1]


def test_the_painter_ends_when_there_is_no_view_and_begins_again(session: Session) -> None:
    for _ in range(2):
        results = send(session, "a cat")
        view = shown(results, FakeScreen())
        assert len(painter()) == 1
        results.wait(HANG_S)
        view.stop()
        view.stop()
        until(lambda: not painter())


def test_one_painter_draws_them_all(session: Session) -> None:
    session.pace = UNPOLLED
    results = send(session, "p0", "p1", "p2")
    views = [shown(results[i : i + 1], FakeScreen()) for i in range(3)]
    assert len(painter()) == 1
    for view in views:
        view.stop()
    session.close()
    until(lambda: not painter())


def test_a_screen_that_is_gone_ends_the_drawing_and_not_the_task(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.settings = session.settings.changed(updates_per_second=1000.0)
    gone, good = FakeScreen(good_for=1), FakeScreen()
    results = send(session, "a cat")
    shown(results, gone)
    shown(results, good)
    (task,) = results.wait(HANG_S)
    assert task.status is Status.SUCCESS
    assert task.is_final
    until(lambda: not painter())
    assert len(gone.draws) == 1
    assert "success" in good.texts[-1]  # another view is none the worse for it
    assert "could not be drawn" in caplog.text
    assert session.engine._listeners == []


def test_what_weighs_more_is_drawn_less_often(session: Session) -> None:
    results = send(session, "a cat").wait(HANG_S)
    view = LiveView(session, [results[0].uid], FakeScreen())
    session.settings = session.settings.changed(updates_per_second=4.0)
    view.draw(last=False)
    drawn = view._drawn_at
    view._weight = 0
    assert not view.due(drawn + 0.24)
    assert view.due(drawn + 0.26)
    view._weight = display.TICK_BYTES_S * 3  # a tick of it is worth drawing every three seconds
    assert not view.due(drawn + 2.9)
    assert view.due(drawn + 3.1)
    view._changed = True  # a change, sooner
    pause = view._weight / display.CHANGE_BYTES_S
    assert not view.due(drawn + pause - 0.01)
    assert view.due(drawn + pause + 0.01)
    view.draw(last=False)
    assert not view._changed
    assert view._weight == sum(map(len, view.bundle(final=True).values()))
    view.stop()


def test_only_its_own_tasks_change_a_view(session: Session) -> None:
    first, second = send(session, "a").wait(HANG_S), send(session, "b").wait(HANG_S)
    view = LiveView(session, [first[0].uid], FakeScreen())
    view.draw(last=False)
    changed = []
    for task in (second[0], first[0]):
        view._on_update(session.engine.update(task.uid))
        changed.append(view._changed)
    assert changed == [False, True]
    view.stop()


# -- screens


def bundle(text: str) -> Bundle:
    return {"text/plain": text, "text/html": f"<b>{text}</b>"}


def test_a_terminal_is_redrawn_in_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    terminal = display.TerminalScreen()
    terminal.draw(bundle("one\ntwo\n"), last=False)
    terminal.draw(bundle("three"), last=False)
    terminal.draw(bundle("end"), last=True)
    terminal.draw(bundle("after"), last=False)
    assert capsys.readouterr().out == ("one\ntwo\n\x1b[2F\x1b[0Jthree\n\x1b[1F\x1b[0Jend\nafter\n")


def test_what_is_no_terminal_gets_the_last_only(capsys: pytest.CaptureFixture[str]) -> None:
    pipe = display.TerminalScreen()
    pipe.draw(bundle("one"), last=False)
    pipe.draw(bundle("two"), last=False)
    pipe.draw(bundle("end"), last=True)
    assert capsys.readouterr().out == "end\n"


def test_the_log_of_a_script_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = display.LogScreen()
    log.draw(bundle("too soon"), last=False)
    monkeypatch.setattr(display, "LOG_EVERY_S", 0)
    log = display.LogScreen()
    log.draw(bundle("1 of 2\na task"), last=False)
    log.draw(bundle("2 of 2\nboth tasks"), last=True)
    assert capsys.readouterr() == ("", "1 of 2\n2 of 2\nboth tasks\n")


def test_a_notebook_keeps_one_output(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    handle = SimpleNamespace(update=lambda b, **k: calls.append(("update", b, k)))

    def shown(given: Bundle, **options: object) -> object:
        calls.append(("display", given, options))
        return handle

    monkeypatch.setattr("IPython.display.display", shown)
    notebook = display.NotebookScreen()
    notebook.draw(bundle("one"), last=False)
    notebook.draw(bundle("two"), last=True)
    assert calls == [
        ("display", bundle("one"), {"raw": True, "display_id": True}),
        ("update", bundle("two"), {"raw": True}),
    ]


def test_where_to_draw_depends_on_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "shell", lambda: None)
    assert isinstance(display.find_screen(), display.LogScreen)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(display.find_screen(), display.TerminalScreen)
    assert display.execution_count() is None
    monkeypatch.setattr(display, "shell", lambda: SimpleNamespace(execution_count=7))
    assert isinstance(display.find_screen(), display.TerminalScreen)
    assert display.execution_count() == 7
    monkeypatch.setattr(display, "shell", lambda: SimpleNamespace(kernel=1, execution_count=8))
    assert isinstance(display.find_screen(), display.NotebookScreen)


def test_a_cell_that_has_shown_its_results_shows_them_once(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = FakeScreen()
    count = 1
    monkeypatch.setattr("modellix_jupyter.notebook.session.find_screen", lambda: seen)
    monkeypatch.setattr("modellix_jupyter.notebook.display.execution_count", lambda: count)
    results = send(session, "a cat").wait(HANG_S)
    view = results.show()
    assert view is not None
    view.finish()
    drawn = len(seen.draws)
    results._ipython_display_()
    assert len(seen.draws) == drawn
    count = 2  # in another cell, they are shown again
    results._ipython_display_()
    assert len(seen.draws) > drawn
    until(lambda: not painter())


def test_what_no_cell_waits_for_says_when_it_was_seen_and_how_to_see_it_again(
    session: Session,
) -> None:
    session.pace = UNPOLLED
    seen = FakeScreen()
    results = send(session, "a cat")
    view = shown(results, seen)
    for form in seen.draws[0][0].values():
        assert f"As of {time.strftime('%d %b %Y')}" in form
        assert "%modellix wait" in form
    view.waited = True
    assert "As of" not in view.bundle(final=False)["text/html"]
    view.waited = False
    assert "As of" not in view.bundle(final=True)["text/html"]
    view.stop()


@pytest.mark.usefixtures("session")
def test_a_reason_that_the_cell_raises_is_not_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = FakeScreen()
    monkeypatch.setattr("modellix_jupyter.notebook.session.find_screen", lambda: seen)
    with pytest.raises(TaskFailed, match="safety system"):
        functions.generate("a cat", "sandbox/refuses")
    last = seen.draws[-1][0]
    assert not any("safety system" in form for form in last.values())
    assert all("failed" in form for form in last.values())
    functions.compare("a cat", ["sandbox/refuses", "sandbox/fast"])  # which raises nothing
    assert all("safety system" in form for form in seen.draws[-1][0].values())


def test_a_task_shows_itself_as_its_picture(session: Session) -> None:
    formatter = DisplayFormatter()
    display.register_tasks(SimpleNamespace(display_formatter=formatter))
    task = send(session, "a cat").wait(HANG_S)[0]
    forms, _ = formatter.format(task)  # type: ignore[no-untyped-call]  # IPython has no types here
    assert "data:image/jpeg" in forms["text/html"]
    assert f'data-mx="{task.uid}/0"' in forms["text/html"]
    assert forms["text/plain"].startswith("sandbox/fast  success")
