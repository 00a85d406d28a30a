"""The panel as a whole: from a prompt to a picture, a comparison, a variable and a cell."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets
import pandas as pd

from modellix_jupyter.notebook import current_session, display
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.cell_parser import parse_cell
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Status
from modellix_jupyter.widgets import panel as panels

from .panel_rig import HANG_S, Page, until

if TYPE_CHECKING:
    import pytest

QWEN, BANANA, FLUX = (
    "alibaba/qwen-image-plus",
    "google/nano-banana-2",
    "black-forest-labs/flux-2-pro",
)


def test_two_models_are_sent_seen_and_compared(page: Page) -> None:
    panel = page.panel
    tasks = page.generate("a cat", QWEN, BANANA)
    assert {task.request.model for task in tasks} == {QWEN, BANANA}
    page.until(
        lambda: all("<img" in c["html"] for c in page.seen(panel.tasks_view.gallery).values())
    )

    page.tick(*(task.uid for task in tasks))
    page.open("Compare")
    page.until(lambda: panel.compare.html.value.count("<img") == 2)
    for mode, sign in (("Summary", "success_rate"), ("Table", "request_id"), ("Plot", "data:")):
        panel.compare.mode.value = mode
        page.until(partial(_shows, page, sign))
    panel.compare.mode.value = "Cards"
    page.until(lambda: panel.compare.gallery.count == 2)


def test_ticked_tasks_are_filtered_and_sorted_by_any_column(page: Page) -> None:
    panel = page.panel
    page.tick(*(task.uid for task in page.generate("a cat", QWEN, BANANA, FLUX)))
    page.open("Compare")
    panel.compare.mode.value = "Cards"
    page.until(lambda: panel.compare.gallery.count == 3)
    for descending in (False, True):
        panel.compare.filters.sort.value = "model"
        panel.compare.filters.descending.value = descending
        models = sorted((QWEN, BANANA, FLUX), reverse=descending)
        page.until(partial(_stand, page, models))
    panel.compare.filters.model.value = FLUX
    page.until(lambda: panel.compare.gallery.count == 1)
    panel.compare.filters.text.value = "no such words"
    page.until(
        lambda: "No ticked task fits" in panel.compare.html.value or not panel.compare.gallery.count
    )


def _shows(page: Page, sign: str) -> bool:
    return sign in page.panel.compare.html.value


def _stand(page: Page, models: list[str]) -> bool:
    engine = page.panel.context.session.engine
    return [engine.get(u).request.model for u in page.panel.compare.gallery._uids] == models


def test_a_rating_reaches_the_ledger_and_the_same_star_takes_it_back(page: Page) -> None:
    session = page.panel.context.session
    (task,) = page.generate("a cat", QWEN)
    page.say(page.panel.tasks_view.gallery, {"do": "rate", "uid": task.uid, "value": 4})
    page.until(lambda: session.ledger.remarks().get(task.uid, {}).get("rating") == 4)
    page.until(lambda: page.seen(page.panel.tasks_view.gallery)[task.uid]["rating"] == 4)
    page.say(page.panel.tasks_view.gallery, {"do": "rate", "uid": task.uid, "value": 4})
    page.until(lambda: task.uid not in session.ledger.remarks())


def test_what_is_no_rating_is_not_recorded(page: Page) -> None:
    (task,) = page.generate("a cat", "sandbox/fast")
    for stars in (0, 6, -1, 2.5, "5", None, True):
        page.say(page.panel.tasks_view.gallery, {"do": "rate", "uid": task.uid, "value": stars})
    assert page.panel.context.session.ledger.remarks() == {}


def test_the_count_and_the_price_stand_beside_generate(page: Page) -> None:
    create = page.panel.create
    page.choose(QWEN)
    create.prompt.value = "a cat\n---\na dog"
    assert "2 tasks for $0.06" in create.cost.value
    create.repeat.value = 3
    create.vary.value = "seed=1,2"
    assert "12 tasks for $0.36" in create.cost.value
    create.form.put(QWEN, {"n": 4})
    assert "12 tasks for $1.44" in create.cost.value


def test_above_the_limit_it_asks_first(page: Page, sandbox: Sandbox) -> None:
    create = page.panel.create
    before = len(sandbox.submissions)
    page.choose("sandbox/fast")
    create.prompt.value, create.repeat.value = "many", 13
    create.button.click()
    page.until(lambda: create.question.layout.display == "")
    assert "13 tasks" in create.status.view.value
    create.no.click()
    assert create.question.layout.display == "none"
    assert page.panel.context.uids() == []
    create.button.click()
    page.until(lambda: create.question.layout.display == "")
    create.yes.click()
    page.until(lambda: len(page.panel.context.uids()) == 13)
    page.until_final()
    assert len(sandbox.submissions) - before == 13


def test_what_is_missing_is_said_and_nothing_is_sent(page: Page, sandbox: Sandbox) -> None:
    create = page.panel.create
    before = len(sandbox.submissions)
    create.button.click()
    assert "No model is chosen" in create.status.view.value
    page.choose(QWEN)
    create.button.click()
    assert "prompt is empty" in create.status.view.value
    create.prompt.value, create.vary.value = "a cat", "seed"
    create.button.click()
    assert "no equals sign" in create.status.view.value
    create.vary.value = "seed=1,2\nseed=3,4"
    create.button.click()
    assert "is given twice" in create.status.view.value
    create.model.value = "alibaba/qwen-image-plsu"
    assert "alibaba/qwen-image-plus" in create.status.view.value
    assert len(sandbox.submissions) == before


def test_a_refused_prompt_says_why_on_its_card(page: Page) -> None:
    (task,) = page.generate("something forbidden", "sandbox/refuses")
    assert task.status in {Status.FAILED, Status.REJECTED}
    page.until(
        lambda: str(task.status) in page.seen(page.panel.tasks_view.gallery)[task.uid]["html"]
    )


def test_a_task_is_let_go_taken_up_and_run_again(page: Page, session: Session) -> None:
    page.choose("google/veo-3-fast")
    panel = page.panel
    panel.create.prompt.value = "the sea"
    panel.create.button.click()
    page.until(panel.context.uids)
    (uid,) = panel.context.uids()
    page.until(lambda: session.engine.get(uid).task_id)
    page.press(uid, "stop")
    page.until(lambda: not session.engine.watches(uid))
    if not session.engine.get(uid).is_final:
        page.until(
            lambda: (
                ("take_up", "Take up again") in page.seen(panel.tasks_view.gallery)[uid]["actions"]
            )
        )
        page.press(uid, "take_up")
    page.until(lambda: session.engine.get(uid).is_final)
    page.press(uid, "again")
    page.until(lambda: len(panel.context.uids()) == 2)
    page.until_final()


def test_settings_of_a_task_are_used_again(page: Page) -> None:
    panel = page.panel
    page.choose(QWEN)
    panel.create.form.put(QWEN, {"seed": 7, "size": "1328*1328"})
    (task,) = page.generate("a cat", QWEN)
    panel.create.choose_all([])
    panel.create.prompt.value = ""
    page.until(lambda: not panel.create.form.models)
    page.press(task.uid, "use")
    page.until(lambda: panel.create.form.models == (QWEN,))
    page.until(lambda: panel.create.form.params(QWEN) == {"seed": 7, "size": "1328*1328"})
    assert panel.create.prompt.value == "a cat"
    assert task.request.params == {"seed": 7, "size": "1328*1328"}


def test_a_picture_is_uploaded_or_taken_from_an_earlier_result(page: Page) -> None:
    edit = "google/nano-banana-2-edit"
    (earlier,) = page.generate("a cat", QWEN)
    page.panel.create.choose_all([])
    page.until(lambda: not page.panel.create.form.models)
    page.choose(edit)
    parts = [w for w in page.panel.create.form.view.children if isinstance(w, ipywidgets.VBox)]
    address, more, status = parts[0].children
    files, choice = more.children
    assert address.description.startswith("image")

    content = Path(earlier.path or "").read_bytes()
    upload = {"name": "../../x.png", "type": "image/png", "size": len(content)}
    now = datetime.now(UTC)
    files.value = ({**upload, "content": memoryview(content), "last_modified": now},)
    page.until(lambda: "Uploaded" in status.value)
    uploaded = address.value
    assert uploaded.startswith("http")
    assert files.value == ()

    choice.value = earlier.path
    page.until(lambda: address.value != uploaded)
    tasks = page.generate("the same cat, in the rain", edit)
    assert [task.status for task in tasks] == [Status.SUCCESS]
    assert tasks[0].request.params["image"] == address.value


def test_what_cannot_be_uploaded_is_said_beside_the_field(page: Page) -> None:
    page.choose("google/nano-banana-2-edit")
    parts = [w for w in page.panel.create.form.view.children if isinstance(w, ipywidgets.VBox)]
    address, more, status = parts[0].children
    content, now = b"no picture at all", datetime.now(UTC)
    upload = {"name": "x.png", "type": "image/png", "size": len(content)}
    more.children[0].value = (
        {**upload, "content": memoryview(content), "last_modified": now},
    )  # fmt: skip
    page.until(lambda: status.value not in {"", "Uploading …"})
    assert "Uploaded" not in status.value
    assert address.value == ""


# -- history


def test_the_history_is_paged_and_what_is_unknown_stands_on_top(
    page: Page, session: Session
) -> None:
    panel = page.panel
    for _ in range(3):
        session.submit([task.request for task in page.generate("many", "sandbox/fast")] * 9)
        page.until_final()
    page.open("History")
    page.until(lambda: panel.history.position.value.startswith("1 to 24 of 30"))
    panel.history.next.click()
    page.until(lambda: panel.history.position.value.startswith("25 to 30 of 30"))
    assert panel.history.next.disabled
    panel.history.filters.text.value = "100%"
    page.until(lambda: panel.history.gallery.count == 0)


def test_an_unknown_task_is_settled_by_its_id(page: Page, session: Session) -> None:
    panel = page.panel
    (good,) = page.generate("a cat", "sandbox/fast")
    lost = replace(
        good, uid="b" * 32, status=Status.UNKNOWN, task_id=None, resources=(), completed_at=None
    )
    session.ledger.add([lost], "a-kernel-that-is-gone")
    page.open("History")
    page.until(lambda: panel.history.resolve.layout.display == "")
    assert "none is sent again" in panel.history.open_line.value
    panel.history.take_up.click()
    assert "Choose the unknown task" in panel.history.status.view.value
    panel.history.unknown.value = lost.uid
    panel.history.task_id.value = good.task_id or ""
    panel.history.take_up.click()
    page.until(lambda: session.engine.get(lost.uid).status is Status.SUCCESS)
    page.until(lambda: panel.history.resolve.layout.display == "none")


# -- taking away


class Shell:
    """As much of a shell as an export needs."""

    def __init__(self) -> None:
        self.user_ns: dict[str, object] = {}


def test_a_variable_a_file_and_a_cell(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, ip = page.panel, Shell()
    monkeypatch.setattr("modellix_jupyter.widgets.export.shell", lambda: ip)
    page.choose(QWEN)
    panel.create.form.put(QWEN, {"seed": 7})
    page.generate("a {cat}", QWEN)

    panel.export.variable.value = "kept"
    panel.export.to_variable.click()
    page.until(lambda: "kept" in ip.user_ns)
    frame = ip.user_ns["kept"]
    assert isinstance(frame, pd.DataFrame)
    assert frame["param.seed"].tolist() == [7]

    panel.export.path.value = str(tmp_path / "all.csv")
    panel.export.format.value = "json"
    assert panel.export.path.value == str(tmp_path / "all.json")
    panel.export.to_file.click()
    page.until((tmp_path / "all.json").exists)
    assert json.loads((tmp_path / "all.json").read_text())

    for button in (panel.export.of_form, panel.export.of_tasks):
        button.click()
        line, _, body = panel.export.cell.value.removeprefix("%%modellix ").partition("\n")
        command = parse_cell(line, body, {})
        assert (command.models, command.prompts) == ((QWEN,), ("a {cat}",))
        assert command.params == {"seed": 7}


def test_an_export_says_at_once_that_it_writes(page: Page, tmp_path: Path) -> None:
    export, goes_on = page.panel.export, threading.Event()
    page.generate("a cat", "sandbox/fast")
    export.path.value = str(tmp_path / "all.txt")
    export.to_file.click()
    page.until(lambda: "the ending" in export.status.view.value)
    for _ in range(2):  # as many threads as the context has
        page.panel.context.do(lambda: goes_on.wait(HANG_S), lambda _: None)
    export.path.value = str(tmp_path / "all.csv")
    export.to_file.click()
    assert "Writing" in export.status.view.value
    assert "all.csv" in export.status.view.value
    assert "the ending" not in export.status.view.value
    goes_on.set()
    page.until(lambda: "Written" in export.status.view.value)


def test_only_a_variable_of_a_notebook_is_set(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    export, ip = page.panel.export, Shell()
    assert display.shell() is None
    export.to_variable.click()
    assert "no notebook" in export.status.view.value
    monkeypatch.setattr("modellix_jupyter.widgets.export.shell", lambda: ip)
    for name in ("", "1st", "for", "a b"):
        export.status.clear()
        export.variable.value = name
        export.to_variable.click()
        assert "not the name of a variable" in export.status.view.value, name
    assert ip.user_ns == {}


# -- the key


def test_a_key_is_used_and_stays_in_no_state(page: Page, session: Session) -> None:
    panel, key = page.panel, "typed-into-the-panel-42"
    page.open("Connection")
    page.until(
        lambda: "99" in panel.connection.state.value or "USD" in panel.connection.state.value
    )
    secret = panel.connection.secret
    secret.on_message(secret, {"secret": key}, [])
    page.until(lambda: "in use in this kernel" in panel.connection.status.view.value)
    page.until(lambda: panel.context.session is not session)
    assert current_session.current().key().reveal() == key
    states = [w.get_state() for w in ipywidgets.widgets.widget._instances.values()]
    assert key not in repr(states)
    page.generate("with the other key", "sandbox/fast")


def test_a_key_of_the_wrong_form_changes_nothing(page: Page, session: Session) -> None:
    secret = page.panel.connection.secret
    secret.on_message(secret, {"secret": "two words"}, [])
    page.until(lambda: "characters that no key has" in page.panel.connection.status.view.value)
    assert "two words" not in page.panel.connection.status.view.value
    assert current_session.current() is session


def test_without_a_key_the_panel_opens_where_one_is_given(
    nothing_of_it_left: None, home: Path, sandbox: Sandbox
) -> None:
    del nothing_of_it_left
    current_session.push(Session(Settings(base_url=sandbox.base_url, home=str(home))))
    panel = panels.panel()
    try:
        until(lambda: panel.tabs.selected_index == panels.TABS.index("Connection"))
        until(lambda: "no Modellix API key" in panel.create.status.view.value)
    finally:
        panel.close()
        current_session.close_all()


# -- living and ending


def test_two_panels_show_the_same_tasks(page: Page, session: Session) -> None:
    other = Page(panels.Panel(session))
    try:
        (task,) = page.generate("a cat", QWEN)
        for each in (page, other):
            page.until(partial(_is_over, each, task.uid))
        page.tick(task.uid)
        assert other.panel.context.ticked == {}
    finally:
        other.panel.close()


def test_a_panel_that_no_page_shows_rests_and_wakes(page: Page, session: Session) -> None:
    page.generate("a cat", "sandbox/fast")
    page.leave()
    assert page.panel.abandoned
    page.until(lambda: session.engine._listeners == [])
    page.until(lambda: not any(t.name.startswith("modellix-p") for t in threading.enumerate()))
    again = Page(page.panel)
    page.until(lambda: session.engine._listeners)
    again.generate("a dog", "sandbox/fast")


def test_the_next_panel_closes_one_that_rests(page: Page) -> None:
    page.leave()
    before = set(ipywidgets.widgets.widget._instances)
    other = panels.panel()
    page.until(lambda: other.create.model.options)
    try:
        assert page.panel.comm is None
        assert not before & set(ipywidgets.widgets.widget._instances)
    finally:
        other.close()


def test_a_closed_panel_says_that_it_is(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    page.panel.close()
    page.panel._ipython_display_()
    assert capsys.readouterr().out == "This panel is closed.\n`mx.panel()` makes another.\n"


def test_only_what_is_in_sight_is_sent(page: Page, session: Session) -> None:
    gallery = page.panel.tasks_view.gallery
    (task,) = page.generate("one", "sandbox/fast")
    session.submit([task.request] * 60)
    page.until(lambda: len(page.panel.context.uids()) == 61)
    page.until_final()
    page.until(lambda: sum("<img" in card["html"] for card in page.seen(gallery).values()) >= 12)
    page.sent.clear()
    page.say(gallery, {"see": [20, 26], "lack": list(range(20, 26)), "view": "page"})
    sent = [at for f, message in page.sent if f is gallery for at, _ in message["cards"]]
    assert sorted(set(sent)) == list(range(20, 26))
    page.sent.clear()
    page.say(gallery, {"see": [20, 26], "lack": [], "view": "page"})
    assert page.sent == []


def _is_over(page: Page, uid: str) -> bool:
    return "<img" in page.seen(page.panel.tasks_view.gallery).get(uid, {}).get("html", "")


def test_whatever_a_browser_says_breaks_nothing(page: Page) -> None:
    (task,) = page.generate("one", "sandbox/fast")
    gallery = page.panel.tasks_view.gallery
    messages: tuple[object, ...] = (
        *(None, 7, [], {}, {"view": [], "gone": True}, {"view": "x", "see": None}),
        *({"view": "x", "see": [5, 1]}, {"view": "x", "see": ["a", "b"]}),
        {"view": "x", "see": [-(10**9), 10**9]},
        {"view": "x", "see": [0, 10**9], "lack": [[], {}, None, "a", -1, 10**9]},
        *({"do": "stop", "uid": "nobody"}, {"do": [], "uid": task.uid}, {"do": "stop", "uid": []}),
        *({"do": name, "uid": task.uid} for name in ("drop tables", "card", "rate", "tick")),
        {"do": "enlarge", "uid": task.uid, "value": -1},
    )
    for message in messages:
        page.say(gallery, message)
    assert len(gallery._in_sight()) == 1
    assert max(last - first for first, last in gallery._ranges.values()) <= 200
    assert page.tasks() == [task]


class Output:
    """As much of an output as a still picture needs."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.pages.append(bundle["text/html"])


def test_the_still_picture_has_the_last_result_and_is_not_written_for_a_clock(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    still, output = page.panel._snapshot, Output()
    monkeypatch.setattr("modellix_jupyter.widgets.panel.SNAPSHOT_EVERY_S", 0.3)
    still.show()
    still._screen._handle = output
    for prompt in ("one", "two", "three"):
        page.generate(prompt, "sandbox/fast")
    page.until(lambda: output.pages and output.pages[-1].count("<img") == 3)
    assert len(output.pages) <= 3
    assert all(text.startswith(f'<div class="{still.class_name}">') for text in output.pages)
