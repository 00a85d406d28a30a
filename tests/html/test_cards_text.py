from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render_samples import NOW, done, resource, task

from modellix_jupyter.html.cards import cards_html, cards_text
from modellix_jupyter.html.formatting import fit_line, terminal_width
from modellix_jupyter.values import Activity, Card, Request, Status


def test_an_open_task_is_one_line_with_a_bar() -> None:
    shown = cards_text([Card(task=task(Status.PENDING), usual_s=40)], NOW)
    assert shown == (
        "alibaba/qwen-image-plus  pending  [#########...........]  20 s (usually 40 s)"
    )


def test_what_is_waited_for_moves_to_its_own_line_where_it_is_narrow() -> None:
    activity = Activity(what="rate limited", until=NOW + 12, attempt=2, of=4)
    lines = cards_text([Card(task=task(Status.SUBMITTING), activity=activity)], NOW).split("\n")
    assert lines == [
        "alibaba/qwen-image-plus  submitting  20 s",
        "  rate limited, goes on in 12 s, attempt 2 of 4",
    ]


def test_a_finished_task_has_its_facts_and_the_path_to_copy() -> None:
    path = "/data/" + "x" * 200 + ".png"
    lines = cards_text([Card(task=task(resources=(resource(path=path),)))], NOW).split("\n")
    assert lines == [
        "alibaba/qwen-image-plus  success  12.4 s  1024×768  $0.04  task-1",  # noqa: RUF001 -- the sign, not an x
        "  " + path,
    ]


def test_a_failed_task_has_its_reason_and_what_to_do() -> None:
    shown = cards_text([Card(task=task(Status.FAILED, error_message="too dark"))], NOW)
    assert shown.split("\n")[1] == "  too dark"
    assert "Change the prompt or the parameters." in shown


def test_a_success_with_no_file_says_so() -> None:
    card = Card(task=task(resources=(), error_message="the service named no file"))
    assert "the service named no file" in cards_text([card], NOW)
    assert "the service named no file" in cards_html([card], NOW)


def test_many_tasks_are_counted_and_cut() -> None:
    cards = [done()] * 30 + [Card(task=task(Status.PENDING))] * 470
    lines = cards_text(cards, NOW).split("\n")
    assert lines[0].startswith("30 of 500 done, 470 pending")
    assert "and 462 more waiting" in lines
    assert "and 22 more ended" in lines
    assert len(lines) == 1 + 8 + 1 + 8 * 2 + 1


@given(
    model=st.text(min_size=1),
    reason=st.text(),
    what=st.text(),
    status=st.sampled_from([s for s in Status if s is not Status.SUCCESS]),
)
def test_no_line_is_wider_than_the_terminal(
    model: str, reason: str, what: str, status: Status
) -> None:
    one = task(status, request=Request(model, "p"), error_message=reason)
    card = Card(task=one, activity=Activity(what=what, until=NOW + 5), usual_s=30)
    shown = cards_text([card, card], NOW, stopped=reason)
    assert max(terminal_width(line) for line in shown.split("\n")) <= 80


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("猫猫猫猫", 6, "猫猫…"),
        ("e\u0301e", 2, "e\u0301e"),
    ],
)
def test_wide_characters_take_two_columns_and_marks_none(text: str, width: int, shown: str) -> None:
    assert fit_line(text, width) == shown


def test_no_tasks_are_no_error() -> None:
    assert cards_text([], NOW) == "no tasks"
