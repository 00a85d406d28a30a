"""The panel as a whole: from a prompt to a picture, a comparison, a variable and a cell."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.html.formatting import money
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.cell_parser import parse_cell
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Request, Status, Task
from modellix_jupyter.widgets import panel as panels
from modellix_jupyter.widgets.cards import Item
from modellix_jupyter.widgets.controls import MediaField

from .panel_rig import HANG_S, Page, living, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ipywidgets
    import pytest

    from modellix_jupyter.widgets.gallery import Gallery
    from modellix_jupyter.widgets.picks import Export

QWEN, BANANA, FLUX = (
    "alibaba/qwen-image-plus",
    "google/nano-banana-2",
    "black-forest-labs/flux-2-pro",
)


def test_two_models_are_sent_seen_and_compared(page: Page) -> None:
    panel = page.panel
    tasks = page.generate("a cat", QWEN, BANANA)
    assert {task.request.model for task in tasks} == {QWEN, BANANA}
    page.until(lambda: set(page.thumbs()) == {f"{task.uid}/0" for task in tasks})
    assert all(page.seen()[task.uid]["state"] == "done" for task in tasks)

    page.pick(*(task.uid for task in tasks))
    page.open("Compare")
    page.until(lambda: set(page.seen(panel.compare.gallery)) == {task.uid for task in tasks})
    for mode, sign in (("Grid", "<img"), ("Summary", "9 of 10 within"), ("Plot", "data:")):
        panel.compare.mode.value = mode
        page.until(partial(_shows, page, sign))
        assert ">index<" not in panel.compare.html.value
        assert "success_rate" not in panel.compare.html.value


def _shows(page: Page, sign: str) -> bool:
    return sign in page.panel.compare.html.value


def test_room_is_kept_for_what_is_not_there_yet(page: Page) -> None:
    page.choose(BANANA)
    page.create.form.put(BANANA, {"aspectRatio": "16:9", "n": 3})
    page.create.prompt.value = "a cat"
    page.click()
    page.until(page.layouts)
    assert page.layouts()[0]["ratios"] == (1.7778,) * 3
    page.until_final()


def test_a_rating_and_a_note_reach_the_ledger(page: Page) -> None:
    session, viewer = page.panel.context.session, page.panel.actions.viewer
    (task,) = page.generate("a cat", "sandbox/fast")
    for stars in (0, 6, -1, 2.5, "5", True):
        page.press(task.uid, "rate", stars)
    page.press(task.uid, "rate", 4)
    page.until(lambda: session.ledger.remarks().get(task.uid, {}).get("rating") == 4)
    page.until(lambda: page.seen()[task.uid]["rating"] == 4)
    page.press(task.uid, "rate", None)
    page.until(lambda: task.uid not in session.ledger.remarks())
    note = {"ask": "note", "key": f"{task.uid}/0", "value": "the best", "id": 1}
    page.say(viewer, note)
    page.until(lambda: session.ledger.remarks().get(task.uid, {}).get("note") == "the best")


def test_the_viewer_is_given_facts_and_originals(page: Page) -> None:
    (task,) = page.generate("a cat", "sandbox/fast")
    viewer, answers, key = page.panel.actions.viewer, [], f"{task.uid}/0"
    object.__setattr__(
        viewer, "send", lambda message, buffers=(): answers.append((message, buffers))
    )
    page.say(viewer, {"id": 1, "ask": "facts", "keys": [key]})
    page.until(lambda: answers)
    assert answers[0][0]["facts"][0]["prompt"] == "a cat"
    page.say(viewer, {"id": 2, "ask": "part", "key": key, "start": 0})
    page.until(partial(_has, answers, 2))
    message, (part,) = answers[1]
    assert (message["id"], message["mime"], part) == (
        *(2, "image/png"),
        Path(task.path or "").read_bytes(),
    )


def _has(answers: Sequence[object], count: object) -> bool:
    return len(answers) == count


def test_the_button_says_how_many_it_sends_and_what_they_cost(page: Page) -> None:
    create = page.create
    assert create.button.label == "Generate"
    page.choose(QWEN)
    create.prompt.value = "a cat\n---\na dog"
    page.until(lambda: create.button.label == "Generate 2, $0.06")
    create.repeat.value = 3
    create.vary.value = "seed=1,2"
    page.until(lambda: create.button.label == "Generate 12, $0.36")
    page.choose(QWEN, BANANA)
    page.until(lambda: create.button.label == "Generate 24, $0.84 to 2.16")


def test_a_click_sends_once(page: Page, sandbox: Sandbox) -> None:
    before, button = len(sandbox.submissions), page.create.button
    page.choose("sandbox/fast")
    page.create.prompt.value = "once"
    send = {"send": button.ticket, "label": "Generate"}
    for _ in range(4):  # as they queue up while a cell runs
        page.say(button, send)
    page.until(page.panel.context.uids)
    page.until_final()
    (task,) = page.tasks()
    page.until(lambda: page.seen()[task.uid])
    for _ in range(4):
        page.press(task.uid, "again", page.seen()[task.uid]["click"])
    page.until(lambda: len(page.panel.context.uids()) == 2)
    page.until_final()
    page.until(lambda: not button.busy)
    page.say(button, send)
    assert len(sandbox.submissions) - before == 2


def test_above_the_limit_it_asks_first(page: Page, sandbox: Sandbox) -> None:
    button = page.create.button
    before = len(sandbox.submissions)
    page.choose("sandbox/fast")
    page.create.prompt.value, page.create.repeat.value = "many", 13
    page.click()
    page.until(lambda: "13 tasks" in button.question)
    page.say(button, {"no": True})
    assert button.question == ""
    assert page.panel.context.uids() == []
    page.click()
    page.until(lambda: button.question)
    yes = {"yes": button.ticket}
    page.say(button, yes)
    page.say(button, yes)
    page.until(lambda: len(page.panel.context.uids()) == 13)
    page.until_final()
    assert len(sandbox.submissions) - before == 13


def test_what_the_button_did_not_say_is_sent_only_after_a_yes(page: Page, sandbox: Sandbox) -> None:
    before, button = len(sandbox.submissions), page.create.button
    page.choose(QWEN)
    page.create.prompt.value = "one"
    page.until(lambda: button.label == "Generate 1, $0.03")
    page.create.prompt.value = "one\n---\ntwo"
    page.say(button, {"send": button.ticket, "label": "Generate 1, $0.03"})
    page.until(lambda: button.question)
    assert button.question == "The button said Generate 1, $0.03. Send 2 tasks for $0.06?"
    assert len(sandbox.submissions) == before
    page.create.prompt.value = "something else"
    page.say(button, {"yes": button.ticket})
    page.until(lambda: len(page.panel.context.uids()) == 2)
    page.until_final()
    assert [task.request.prompt for task in page.tasks()] == ["one", "two"]


def test_a_result_that_is_there_is_not_paid_for_again(page: Page, sandbox: Sandbox) -> None:
    page.choose(QWEN)
    page.create.form.put(QWEN, {"seed": 7})
    (task,) = page.generate("a cat", QWEN)
    before = len(sandbox.submissions)
    page.until(lambda: page.create.button.label == "Generate 0, 1 made before")
    page.click()
    page.until(lambda: "Nothing was sent" in page.create.status.view.value)
    assert len(sandbox.submissions) == before
    page.until(lambda: page.seen()[task.uid])
    page.press(task.uid, "again", page.seen()[task.uid]["click"])
    page.until(lambda: len(sandbox.submissions) == before + 1)
    page.until_final()


def test_a_click_waits_for_the_parameters_of_the_models(page: Page, sandbox: Sandbox) -> None:
    before = len(sandbox.submissions)
    page.create.prompt.value = "a cat"
    page.create.model.chosen = [QWEN, BANANA]
    page.click()
    page.until(lambda: len(sandbox.submissions) == before + 2)
    page.until_final()
    page.until(lambda: not page.create.button.busy)


def test_stop_takes_back_what_was_not_sent_and_says_what_goes_on(
    page: Page, session: Session
) -> None:
    stop = page.create.stop
    session.submit([Request("google/veo-3-fast", "the sea")] * 3)
    page.until(lambda: stop.layout.display == "")
    page.until(lambda: any(task.task_id for task in page.tasks()))
    stop.click()
    page.until(lambda: page.create.status.view.value)
    assert "at the service, and charged" in page.create.status.view.value
    page.until(lambda: not any(session.engine.watches(task.uid) for task in page.tasks()))


def test_what_was_never_sent_is_held_and_sent_at_its_price(
    page: Page, session: Session, sandbox: Sandbox
) -> None:
    before = len(sandbox.submissions)
    (made,) = page.generate("a cat", "sandbox/fast")
    held, other = _left_unsent(session, made, "c"), _left_unsent(session, made, "d")
    card = page.panel.actions.card(Item(held.uid))
    assert card is not None
    assert card["word"] == "held"
    # what is paid for stands at the other end, where Stop never stood
    assert card["actions"][0] == ("stop", "Take back")
    assert card["actions"][-1] == ("send", "Send it now, $0.001")
    page.press(other.uid, "stop")
    page.until(lambda: session.engine.get(other.uid).status is Status.REJECTED)
    page.until(lambda: "1 taken back" in page.create.status.view.value)
    for _ in range(4):  # as they queue up while a cell runs
        page.press(held.uid, "send")
    page.until(lambda: session.engine.get(held.uid).status is Status.SUCCESS)
    assert len(sandbox.submissions) == before + 2
    assert page.create.button.question == ""


def _left_unsent(session: Session, made: Task, letter: str, **changes: Any) -> Task:
    """Record the request of a task as an intent that its kernel left behind."""
    none: dict[str, Any] = dict.fromkeys(("task_id", "submitted_at", "completed_at", "charged"))
    left = {"uid": letter * 32, "status": Status.SUBMITTING, "resources": ()}
    held = replace(made, **none | left | changes)
    session.ledger.add([held], "a-kernel-that-is-gone")
    return held


def test_what_was_never_sent_is_asked_about_as_everything_is(
    page: Page, session: Session, sandbox: Sandbox
) -> None:
    (made,) = page.generate("a cat", QWEN)
    before, button = len(sandbox.submissions), page.create.button
    cheaper = _left_unsent(session, made, "c", price=0.02)  # the price has risen since
    page.open("History")
    page.press(cheaper.uid, "send")
    page.until(lambda: button.question)
    assert button.question == "Its card said $0.02. Send 1 task for $0.03?"
    assert page.panel.tabs.selected_index == 0  # where the question stands
    page.say(button, {"no": True})
    assert session.engine.get(cheaper.uid).unsent

    session.adjust(session.settings.changed(ask_above_usd=0.02))
    dear = _left_unsent(session, made, "d")
    page.press(dear.uid, "send")
    page.until(lambda: "1 task for $0.03, and more than $0.02 needs a yes" in button.question)
    assert len(sandbox.submissions) == before
    yes = {"yes": button.ticket}
    for _ in range(2):
        page.say(button, yes)
    page.until(lambda: session.engine.get(dear.uid).status is Status.SUCCESS)
    assert len(sandbox.submissions) == before + 1


def test_to_run_again_what_was_free_asks_first(
    page: Page, session: Session, sandbox: Sandbox
) -> None:
    seeded = Request(QWEN, "a cat", {"seed": 7})
    session.submit([seeded]).wait()
    (again,) = session.submit([seeded]).wait()
    before, button = len(sandbox.submissions), page.create.button
    page.until(lambda: again.uid in page.seen())
    assert "$0.00" in page.seen()[again.uid]["facts"]
    page.press(again.uid, "again", page.seen()[again.uid]["click"])
    page.until(lambda: button.question)
    assert button.question == "Its card said $0.00. Send 1 task for $0.03?"
    page.say(button, {"yes": button.ticket})
    page.until(lambda: len(sandbox.submissions) == before + 1)
    page.until_final()


def test_the_history_is_of_the_service_in_use(page: Page, session: Session) -> None:
    history = page.panel.history
    (here,) = page.generate("a cat", "sandbox/fast")
    real = {"origin": "https://modellix.example", "status": Status.SUCCESS}
    made = _left_unsent(session, here, "c", **real)
    unsent = _left_unsent(session, here, "d", origin="https://modellix.example")
    page.open("History")
    page.until(lambda: _uids(history.gallery) == [here.uid])
    history.everywhere.value = True
    page.until(lambda: set(_uids(history.gallery)) == {here.uid, made.uid, unsent.uid})
    cards = [page.panel.actions.card(Item(task.uid)) or {} for task in (here, made, unsent)]
    assert [card["model"] for card in cards] == [
        "sandbox/fast",
        *["sandbox/fast · modellix.example"] * 2,
    ]
    # its price is not the one that its card says
    offered = [{name for name, _ in card["actions"]} & {"again", "send"} for card in cards]
    assert offered == [{"again"}, set(), set()]


def test_what_is_spent_stands_at_the_head_and_has_a_limit(page: Page, sandbox: Sandbox) -> None:
    panel, before = page.panel, len(sandbox.submissions)
    page.until(lambda: "$0.00 today" in panel._head.value)
    page.generate("a cat", QWEN)
    page.until(lambda: "$0.03 today" in panel._head.value)
    page.open("Connection")
    page.until(lambda: "$0.03 in all" in panel.connection.state.value)
    panel.connection.limit.value = "much"
    _click(panel.connection.view, "Set the limit")
    page.until(lambda: "is not a limit" in panel.connection.status.view.value)
    panel.connection.limit.value = "0.05/day"
    _click(panel.connection.view, "Set the limit")
    page.until(lambda: "$0.03 of $0.05 today" in panel._head.value)
    page.click()
    page.until(lambda: "$0.02 is left of $0.05 a day" in panel.create.status.view.value)
    assert len(sandbox.submissions) == before + 1


def _click(view: ipywidgets.Widget, label: str) -> None:
    for each in getattr(view, "children", ()):
        if getattr(each, "description", None) == label:
            each.click()
        _click(each, label)


def test_what_is_missing_is_said_and_nothing_is_sent(page: Page, sandbox: Sandbox) -> None:
    create = page.create
    before = len(sandbox.submissions)
    page.click()
    page.until(lambda: "No model is chosen" in create.status.view.value)
    page.choose(QWEN)
    page.click()
    page.until(lambda: "prompt is empty" in create.status.view.value)
    create.prompt.value = "a cat\n%%modellix a/x\na dog"
    page.click()
    page.until(lambda: "several cells were pasted" in create.status.view.value)
    create.prompt.value, create.vary.value = "a cat", "seed"
    page.click()
    page.until(lambda: "no equals sign" in create.status.view.value)
    create.vary.value = "seed=1,2\nseed=3,4"
    page.click()
    page.until(lambda: "is given twice" in create.status.view.value)
    page.say(create.model, {"text": "alibaba/qwen-image-plsu"})
    assert "alibaba/qwen-image-plus" in create.status.view.value
    assert len(sandbox.submissions) == before


def test_a_refused_prompt_says_why_on_its_card(page: Page) -> None:
    (task,) = page.generate("something forbidden", "sandbox/refuses")
    assert task.status in {Status.FAILED, Status.REJECTED}
    page.until(lambda: page.seen()[task.uid]["state"] == "failed")
    assert "refused by the safety system. Change" in page.seen()[task.uid]["note"]


def test_a_task_is_let_go_taken_up_and_run_again(page: Page, session: Session) -> None:
    page.choose("google/veo-3-fast")
    panel = page.panel
    panel.create.prompt.value = "the sea"
    page.click()
    page.until(panel.context.uids)
    (uid,) = panel.context.uids()
    page.until(lambda: session.engine.get(uid).task_id)
    page.press(uid, "stop")
    page.until(lambda: not session.engine.watches(uid))
    if not session.engine.get(uid).is_final:
        page.until(lambda: ("take_up", "Take up again") in page.seen()[uid]["actions"])
        assert page.seen()[uid]["state"] == "held"
        page.press(uid, "take_up")
    page.until(lambda: session.engine.get(uid).is_final)
    page.press(uid, "again", 0)
    page.until(lambda: len(panel.context.uids()) == 2)
    page.until_final()


def test_settings_of_a_task_are_used_again(page: Page) -> None:
    panel = page.panel
    page.choose(QWEN)
    panel.create.form.put(QWEN, {"seed": 7, "size": "1328*1328"})
    (task,) = page.generate("a cat", QWEN)
    panel.create.model.chosen = []
    panel.create.prompt.value = ""
    page.until(lambda: not panel.create.form.models)
    page.press(task.uid, "use")
    page.until(lambda: panel.create.form.models == (QWEN,))
    page.until(lambda: panel.create.form.params(QWEN) == {"seed": 7, "size": "1328*1328"})
    assert panel.create.prompt.value == "a cat"
    assert task.request.params == {"seed": 7, "size": "1328*1328"}


EDIT = "google/nano-banana-2-edit"


def test_a_picture_is_dropped_or_taken_from_an_earlier_result(page: Page, session: Session) -> None:
    form, status = page.create.form, page.create.status.view
    (earlier,) = page.generate("a cat", QWEN)
    page.press(earlier.uid, "input")
    page.until(lambda: "No chosen model takes a picture" in status.value)
    page.choose(EDIT)
    page.until(lambda: "It is the input for image" in status.value)
    (field,) = (each for each in form.view.children if isinstance(each, MediaField))
    assert field.items[0]["src"].startswith("data:image/jpeg")
    (edited,) = page.generate("the same cat, in the rain", EDIT)
    assert edited.status is Status.SUCCESS
    assert edited.request.parents == (earlier.task_id,)
    page.until(lambda: page.seen()[edited.uid]["inputs"])
    assert page.seen()[edited.uid]["inputs"][0].startswith("data:image/jpeg")
    assert page.seen()[earlier.uid]["inputs"] == []

    page.say(field, {"remove": 0})
    page.until(lambda: field.value == ())
    page.say(field, {"result": f"{edited.uid}/0"})
    page.until(lambda: field.items and edited.request.model in field.items[0]["name"])
    page.say(field, {"remove": 0})
    page.until(lambda: field.value == ())
    uploads = partial(session.ledger.uploads, session.settings.base_url)
    content = Path(earlier.path or "").read_bytes()
    for at in range(0, len(content), 1000):
        last = at + 1000 >= len(content)
        part = {"file": "f", "name": "../../x.png", "last": last}
        field.on_message(field, part, [memoryview(content[at : at + 1000])])
    page.until(lambda: field.value)
    assert "value" not in field.get_state()
    assert not uploads()
    (other,) = page.generate("in the snow", EDIT)
    assert other.status is Status.SUCCESS
    assert len(uploads()) == 1

    page.press(other.uid, "use")
    page.until(lambda: form.params(EDIT) == dict(other.request.params))


def test_a_model_that_is_not_checked_is_said(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreadable(*_: Any, **__: Any) -> Any:
        return {"openapi": "3.1.0"}

    monkeypatch.setattr(AsyncClient, "schema", unreadable)
    page.generate("a cat", QWEN)
    words = f"Unchecked: the parameters of {QWEN} cannot be read."
    page.until(lambda: words in page.create.status.view.value)


def test_what_is_no_picture_is_said_beside_the_field_and_is_not_kept(page: Page) -> None:
    page.choose(EDIT)
    (field,) = (each for each in page.create.form.view.children if isinstance(each, MediaField))
    for content, message in (
        (b"no picture at all", "not a picture, video or sound"),
        (b"", "empty"),
    ):
        field.on_message(field, {"file": "f", "name": "x.png", "last": True}, [content])
        page.until(partial(_says, field, message))
    (sound,) = page.generate("hello", "minimax/speech-2.6")
    page.say(field, {"result": f"{sound.uid}/0"})
    page.until(partial(_says, field, "is a sound, and this takes a picture"))
    page.say(field, {"result": "no such task/0"})
    page.until(lambda: field.problem and "is a sound" not in field.problem)
    assert field.value == ()
    page.say(field, {"text": "https://example.com/cat.png"})
    page.until(lambda: field.get() == "https://example.com/cat.png")
    for nonsense in ({"remove": 9}, {"remove": "x"}, {"text": 7}, {"file": 1}, {"result": 1}, None):
        page.say(field, nonsense)
    assert field.get() == "https://example.com/cat.png"


def _says(field: MediaField, text: str) -> bool:
    return text in field.problem


# -- history


def test_the_history_is_searched_sorted_and_deleted_from(page: Page, session: Session) -> None:
    history = page.panel.history
    cat, dog = page.generate("a cat\n---\na dog", "sandbox/fast")
    session.ledger.rate(cat.uid, 5)
    page.open("History")
    page.until(lambda: _uids(history.gallery) == [dog.uid, cat.uid])
    history.gallery.sort = "rating"
    page.until(lambda: _uids(history.gallery) == [cat.uid, dog.uid])
    history.gallery.search = "DOG"
    page.until(lambda: _uids(history.gallery) == [dog.uid])
    history.gallery.search = "100%"
    page.until(lambda: _uids(history.gallery) == [])
    history.gallery.search = ""

    page.pick(dog.uid)
    page.say(history.gallery, {"do": "delete"})
    assert history.delete_box.layout.display == ""
    page.pick()
    assert history.delete_box.layout.display == "none"
    page.pick(dog.uid)
    page.say(history.gallery, {"do": "delete"})
    history.delete.click()
    page.until(lambda: _uids(history.gallery) == [cat.uid])
    page.until(lambda: _uids(page.gallery) == [cat.uid])
    assert Path(dog.path or "").exists()
    page.pick(cat.uid)
    page.say(history.gallery, {"do": "delete"})
    history.files.value = True
    history.delete.click()
    page.until(lambda: _uids(history.gallery) == [])
    assert not Path(cat.path or "").exists()
    assert session.history().empty


def _uids(gallery: Gallery) -> list[str]:
    return [item.uid for item in gallery.items]


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
    panel.history.resolve.children[-1].click()
    assert "Choose the unknown task" in panel.history.status.view.value
    panel.history.unknown.value = lost.uid
    panel.history.task_id.value = good.task_id or ""
    panel.history.resolve.children[-1].click()
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
    export, ip = page.panel.export, Shell()
    page.choose(QWEN)
    page.create.form.put(QWEN, {"seed": 7})
    (task,) = page.generate("a {cat}", QWEN)
    page.pick(task.uid)
    page.say(page.gallery, {"do": "export"})
    assert export.view.layout.display == ""
    _press(export, "Set the variable")
    page.until(lambda: "no notebook" in export.status.view.value)
    monkeypatch.setattr("modellix_jupyter.widgets.picks.shell", lambda: ip)
    for name in ("", "1st", "for", "a b"):
        export.status.clear()
        export.variable.value = name
        _press(export, "Set the variable")
        page.until(lambda: "not the name of a variable" in export.status.view.value)

    export.variable.value = "kept"
    _press(export, "Set the variable")
    page.until(lambda: "kept" in ip.user_ns)
    frame = ip.user_ns["kept"]
    assert isinstance(frame, pd.DataFrame)
    assert frame["param.seed"].tolist() == [7]

    export.path.value = str(tmp_path / "all.csv")
    export.format.value = "json"
    assert export.path.value == str(tmp_path / "all.json")
    monkeypatch.setenv("HOME", str(tmp_path))
    for path, name in (  # what is there already stays
        (export.path.value, "all.json"),
        (export.path.value, "all-2.json"),
        ("~/all.json", "all-3.json"),
    ):
        export.path.value = path
        _press(export, "Save")
        page.until((tmp_path / name).exists)
        page.until(lambda: "Written" in export.status.view.value)
    assert json.loads((tmp_path / "all.json").read_text())

    sent: list[dict[str, Any]] = []
    object.__setattr__(export.cells, "send", sent.append)
    for message in (None, {"text": 7}, {"text": "token"}):
        page.say(export.cells, message)
    page.until(lambda: sent)
    assert (sent[0]["count"], sent[0]["to"]) == (1, "token")
    (cell,) = sent[0]["cells"]
    line, _, body = cell.removeprefix("%%modellix ").partition("\n")
    command = parse_cell(line, body, {})
    assert (command.models, command.prompts) == ((QWEN,), ("a {cat}",))
    assert command.params == {"seed": 7}
    page.pick()
    assert export.view.layout.display == "none"


def _press(export: Export, label: str) -> None:
    _click(export.view, label)


# -- the key


def test_a_key_is_used_and_stays_in_no_state(page: Page, session: Session) -> None:
    panel, key = page.panel, "typed-into-the-panel-42"
    page.open("Connection")
    page.until(lambda: money(session.balance()) in panel.connection.state.value)
    secret = panel.connection.secret
    secret.on_message(secret, {"text": key}, [])
    page.until(lambda: "in use in this kernel" in panel.connection.status.view.value)
    page.until(lambda: panel.context.session is not session)
    assert current_session.current().key().reveal() == key
    page.until(lambda: "from the panel" in panel.connection.state.value)
    states = [widget.get_state() for widget in living().values()]
    assert key not in repr(states)
    page.generate("with the other key", "sandbox/fast")


def test_a_key_of_the_wrong_form_changes_nothing(page: Page, session: Session) -> None:
    secret = page.panel.connection.secret
    secret.on_message(secret, {"text": "two words"}, [])
    page.until(
        lambda: "characters that keys cannot have" in page.panel.connection.status.view.value
    )
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
        page.pick(task.uid)
        assert other.panel.actions.picked == ()
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
    before = set(living())
    other = panels.panel()
    page.until(lambda: other.create.model.models)
    try:
        assert page.panel.comm is None
        assert not before & set(living())
    finally:
        other.close()


def test_a_closed_panel_says_that_it_is(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    page.panel.close()
    page.panel._ipython_display_()
    assert capsys.readouterr().out == "This panel is closed.\n`mx.panel()` makes another.\n"


def test_only_what_is_in_sight_is_sent_and_off_the_kernels_thread(
    page: Page, session: Session
) -> None:
    (task,) = page.generate("one", "sandbox/fast")
    session.submit([task.request] * 60)
    page.until(lambda: len(page.panel.context.uids()) == 61)
    page.until_final()
    page.until(lambda: len(set(page.thumbs())) >= 24)
    page.until(lambda: not page.gallery._working)
    page.sent.clear()
    kernel = threading.get_ident()
    makers: list[int] = []
    make = page.gallery._make

    def making(item: Item) -> dict[str, object] | None:
        makers.append(threading.get_ident())
        return make(item)

    page.gallery._make = making
    page.say(page.gallery, {"see": [30, 36], "lack": list(range(30, 36)), "view": "page"})
    page.until(lambda: len(page.thumbs()) == 6)
    sent = [at for f, m in page.sent if f is page.gallery for at, _ in m.get("cards", ())]
    assert sorted(sent) == list(range(30, 36))
    assert kernel not in makers
    page.until(lambda: not page.gallery._working)
    page.sent.clear()
    page.say(page.gallery, {"see": [30, 36], "lack": [], "view": "page"})
    page.until(lambda: not page.gallery._working)
    assert not [m for _, m in page.sent if "cards" in m or "thumbs" in m]


def test_a_message_waits_for_nothing_that_draws(page: Page) -> None:
    """Whatever holds the panel's lock or makes cards meanwhile, the kernel's thread goes on."""
    (task,) = page.generate("one", "sandbox/fast")
    key = f"{task.uid}/0"
    making, go_on = threading.Event(), threading.Event()
    make = page.gallery._make

    def slow(item: Item) -> dict[str, object] | None:
        making.set()
        assert go_on.wait(HANG_S)
        return make(item)

    page.gallery._make = slow
    lock, answered = page.panel.context.lock, threading.Event()

    def say() -> None:
        for message in (
            *({"view": "page", "see": [0, 24], "lack": each} for each in ("all", [0], [])),
            *({"do": name, "key": key, "value": 1} for name in ("rate", "use", "stop")),
            *({"example": 0}, {"view": "other", "see": [0, 9]}, {"view": "other", "gone": True}),
        ):
            page.say(page.gallery, message)
        answered.set()

    page.say(page.gallery, {"view": "page", "see": [0, 24], "lack": "all"})
    assert making.wait(HANG_S)
    with lock:
        threading.Thread(target=say).start()
        assert answered.wait(HANG_S)
    go_on.set()
    page.until(lambda: not page.gallery._working)


def test_what_changed_out_of_sight_is_sent_when_it_is_in_sight_again(
    page: Page, session: Session
) -> None:
    (task,) = page.generate("one", "sandbox/fast")
    session.submit([task.request] * 40)
    page.until_final()
    page.until(lambda: len(page.gallery.items) == 41)
    page.until(lambda: f"{task.uid}/0" not in page.thumbs() or not page.gallery._working)
    page.say(page.gallery, {"view": "page", "see": [40, 41], "lack": [40]})
    page.until(lambda: not page.gallery._working)
    page.say(page.gallery, {"view": "page", "see": [0, 24], "lack": []})
    uid = page.gallery.items[40].uid
    page.press(uid, "rate", 3)
    page.until(lambda: page.panel.context.ratings.get(uid) == 3)
    page.until(lambda: not page.gallery._working)
    page.sent.clear()
    page.say(page.gallery, {"view": "page", "see": [40, 41], "lack": []})
    page.until(lambda: page.seen().get(uid, {}).get("rating") == 3)


def test_what_is_in_sight_keeps_its_place_when_another_run_comes(page: Page) -> None:
    first, second = page.generate("a cat\n---\na dog", "sandbox/fast")
    page.until(lambda: set(page.seen()) == {first.uid, second.uid})
    page.sent.clear()
    page.generate("one\n---\ntwo\n---\nthree", "sandbox/fast")
    page.until(lambda: _moved(page.layouts()) == [3, 4])  # the new ones may come one by one


def _moved(layouts: list[Any]) -> list[int]:
    """Return where layouts, one after the other, moved the first and the second picture."""
    at = [0, 1]
    for layout in layouts:
        moved = dict(layout["moved"])
        at = [moved.get(place, place) for place in at]
    return at


def _is_over(page: Page, uid: str) -> bool:
    return f"{uid}/0" in page.thumbs()


def test_whatever_a_browser_says_breaks_nothing(page: Page) -> None:
    (task,) = page.generate("one", "sandbox/fast")
    gallery, key = page.gallery, f"{task.uid}/0"
    messages: tuple[object, ...] = (
        *(None, 7, [], {}, {"view": [], "gone": True}, {"view": "x", "see": None}),
        *({"view": "x", "see": [5, 1]}, {"view": "x", "see": ["a", "b"]}),
        {"view": "x", "see": [-(10**9), 10**9]},
        {"view": "x", "see": [0, 10**9], "lack": [[], {}, None, "a", -1, 10**9]},
        *({"do": "stop", "key": "nobody/0"}, {"do": [], "key": key}, {"do": "stop", "key": []}),
        *({"do": name, "key": key} for name in ("drop tables", "card", "again", "tick")),
        *({"do": "rate", "key": each} for each in ("/", "x/-1", f"{task.uid}/{10**9}", f"{key}/")),
        *({"do": "pick", "value": each} for each in (None, [0], [-1, 3], ["a", "b"])),
        *({"example": 10**9}, {"example": "x"}, {"do": "delete"}, {"do": "compare"}),
    )
    for message in messages:
        for widget in (gallery, page.panel.actions.viewer, page.create.button, page.create.model):
            page.say(widget, message)
    page.until(lambda: not gallery._working)
    assert len(gallery._in_sight(10**6)) <= 240
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
    assert all(f'class="{still.class_name}"' in text.split(">")[0] for text in output.pages)


def test_the_still_picture_says_of_how_many_tasks_it_has_the_newest(page: Page) -> None:
    still, output = page.panel._snapshot, Output()
    still.show()
    still._screen._handle = output
    (task,) = page.generate("one", "sandbox/fast")
    still.write(lambda: ([page.panel.context.session.card(task.uid)], 312))
    assert "The panel as it was, with the newest 1 of 312 tasks. Run" in output.pages[-1]
    assert "1 of 1 done" not in output.pages[-1]
