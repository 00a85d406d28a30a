"""What a plan above the limit of tasks needs: a yes, or the word that stands for it."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from session_rig import HANG_S, Sessions

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.errors import InvalidRequest, OverBudget, TransportError, UserError
from modellix_jupyter.notebook import current_session, functions
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.notebook.spending import Quote, confirmed
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.planning.pricing import Pricing
from modellix_jupyter.results.results import Results
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Model, Price, Request, Status

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")

FAST = "sandbox/fast"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Say no to every question, and keep them."""
    questions: list[str] = []

    def reply(question: str = "") -> str:
        questions.append(question)
        return "n"

    monkeypatch.setattr(builtins, "input", reply)
    return questions


@pytest.fixture
def limit(sessions: Sessions) -> int:
    session = current_session.push(sessions(ask_above=2))
    return session.settings.ask_above


NONE = "the catalog could not be read"
PRICE = Pricing(Price(low=0.25, high=0.25, unit="task"))
RANGE = Pricing(Price(low=0.4, high=0.6, unit="task"))


def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(_: str = "") -> str:
        raise EOFError

    monkeypatch.setattr(builtins, "input", reply)


def compared(count: int, **more: bool) -> Results:
    seeds = {"seed": list(range(count))}
    return functions.compare("p", FAST, vary=seeds, size="256x256", timeout=HANG_S, **more)


def test_up_to_the_limit_nobody_is_asked(limit: int, asked: list[str]) -> None:
    assert len(compared(limit)) == limit
    assert asked == []


def test_above_the_limit_a_no_sends_nothing(
    limit: int, asked: list[str], sessions: Sessions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(compared(limit + 1)) == []
    assert asked == ["Send 3 tasks for $0.003? [y/N] "]
    assert capsys.readouterr().out == "Nothing was sent.\n"
    assert sessions.posts() == 0


def test_a_yes_sends_it(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "input", lambda _: "y")
    assert len(compared(limit + 1)) == limit + 1


def test_yes_is_said_beforehand(limit: int, asked: list[str]) -> None:
    assert len(compared(limit + 1, yes=True)) == limit + 1
    assert asked == []


def test_where_nobody_can_be_asked_it_is_an_error_that_says_what_to_add(
    limit: int, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody(monkeypatch)
    with pytest.raises(InvalidRequest, match=r"has 3 tasks, and more than 2 need a yes") as raised:
        compared(limit + 1)
    assert isinstance(raised.value, UserError)
    assert "add yes=True" in raised.value.hint
    assert sessions.posts() == 0


def test_what_cannot_be_sent_is_said_before_anybody_is_asked(limit: int, asked: list[str]) -> None:
    with pytest.raises(UserError, match="size"):
        functions.compare(["p"] * (limit + 1), FAST, size="1x1")
    assert asked == []


LIST = ["p1", "p2", "p3"]


async def awaited(**more: Any) -> Results:
    return await functions.agenerate(LIST, FAST, **more)


WAYS: dict[str, Callable[..., Results]] = {
    "submit": lambda **more: functions.submit(LIST, FAST, **more),
    "generate": lambda **more: functions.generate(LIST, FAST, **more),
    "agenerate": lambda **more: asyncio.run(awaited(**more)),
    "compare": lambda **more: functions.compare(LIST, FAST, **more),
    "submit_frame": lambda **more: functions.submit_frame(
        pd.DataFrame({"prompt": LIST}), FAST, **more
    ),
}


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_asks_alike(
    way: Callable[..., Results], asked: list[str], sessions: Sessions
) -> None:
    assert not way()
    assert asked == ["Send 3 tasks for $0.003? [y/N] "]
    assert sessions.posts() == 0
    assert len(way(yes=True).wait(HANG_S)) == 3
    assert len(asked) == 1


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_only_true_is_a_yes(way: Callable[..., Results], sessions: Sessions) -> None:
    with pytest.raises(InvalidRequest, match="yes=no is neither True nor False") as caught:
        way(yes="no")
    assert "yes=True" in caught.value.hint
    assert sessions.posts() == 0


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("prompt", [{"a cat": 1}, b"a cat", 3])
def test_what_is_no_text_and_no_list_is_no_prompt(prompt: Any, sessions: Sessions) -> None:
    for way in (functions.submit, functions.generate, functions.compare):
        with pytest.raises(InvalidRequest, match="The prompt is of type"):
            way(prompt, FAST)
    assert sessions.posts() == 0


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("models", [None, 3, [None], ""])
def test_what_names_no_model_is_compared_with_nothing(models: Any) -> None:
    with pytest.raises(InvalidRequest, match="is not the name of a model"):
        functions.compare("a cat", models)


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("batch", ["", " ", 3, True])
def test_a_batch_is_named_by_a_text(batch: Any, sessions: Sessions) -> None:
    with pytest.raises(InvalidRequest, match="is not a name"):
        functions.submit_frame(pd.DataFrame({"prompt": ["a cat"]}), FAST, batch=batch)
    assert sessions.posts() == 0


def test_above_a_price_it_asks_though_there_is_one_task(
    sessions: Sessions, asked: list[str]
) -> None:
    current_session.push(sessions(ask_above_usd=0.39))
    assert not functions.submit("a wave", "alibaba/wan-2.5-t2v", duration=8)
    assert asked == ["Send 1 task for $0.40? [y/N] "]


def test_the_sum_is_below_the_price_and_nobody_is_asked(
    sessions: Sessions, asked: list[str]
) -> None:
    current_session.push(sessions(ask_above_usd=0.40))
    assert len(functions.submit("a wave", "alibaba/wan-2.5-t2v", duration=8)) == 1
    assert asked == []


def test_several_tasks_of_unknown_price_ask_and_one_does_not() -> None:
    plan = make_plan(["p"], ["a/x"], repeat=2)
    assert "no price is known" in Quote(plan, {}, Settings()).why_confirm
    assert not Quote(plan[:1], {}, Settings()).why_confirm


def test_a_plan_that_may_cost_more_than_it_may_is_not_sent(
    session: Session, sessions: Sessions
) -> None:
    plan = make_plan(["p"], [FAST], repeat=3)
    with pytest.raises(OverBudget, match=r"3 tasks for \$0\.003, and --max-usd is \$0\.0029"):
        session.submit(plan, max_usd=0.0029)
    assert sessions.posts() == 0
    assert len(session.submit(plan, max_usd=0.003).wait(HANG_S)) == 3


def test_a_plan_of_unknown_price_is_not_within_any_limit(sessions: Sessions) -> None:
    session = sessions(check_requests=False)
    why = r"no price is known: sandbox/fast: the setting check_requests is off"
    with pytest.raises(OverBudget, match=why):
        session.submit(make_plan(["p"], [FAST]), max_usd=100)


def test_where_the_catalog_cannot_be_read_two_lines_say_what_to_add(
    sessions: Sessions, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody(monkeypatch)
    current_session.push(sessions())
    monkeypatch.setattr(AsyncClient, "models", out_of_reach)
    with pytest.raises(InvalidRequest) as raised:
        functions.submit(["p", "q"], FAST)
    assert raised.value.message == (
        "The plan has 2 tasks (no price is known: sandbox/fast: the catalog could not be read), "
        "and that needs a yes."
    )
    assert raised.value.hint == "Nothing was sent; add yes=True to send it."
    assert not sandbox.submissions
    assert len(functions.submit("p", FAST).wait(HANG_S)) == 1


async def out_of_reach(_: AsyncClient) -> list[Model]:
    raise TransportError("The service cannot be reached.")


@pytest.mark.parametrize("nobody_answers", [EOFError, OSError, RuntimeError])
def test_whoever_has_no_standard_input_is_nobody(
    limit: int, monkeypatch: pytest.MonkeyPatch, nobody_answers: type[Exception]
) -> None:
    def reply(_: str = "") -> str:
        raise nobody_answers

    monkeypatch.setattr(builtins, "input", reply)
    with pytest.raises(InvalidRequest, match="need a yes"):
        compared(limit + 1)


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ({}, f"(no price is known: a/x: {NONE}; b/y: {NONE})"),
        ({"a/x": PRICE}, f"for $0.50 and 2 of unknown price (b/y: {NONE})"),
        ({"a/x": PRICE, "b/y": RANGE}, "for $1.30 to 1.70"),
    ],
)
def test_the_question_says_the_price_as_far_as_it_is_known(
    prices: dict[str, Pricing], words: str
) -> None:
    plan = make_plan(["p", "q"], ["a/x", "b/y"])
    assert Quote(plan, prices, Settings()).words == f"4 tasks {words}"


def test_an_intent_for_another_service_is_not_sent_to_this_one(sessions: Sessions) -> None:
    session = sessions()
    made = session.submit([Request("sandbox/fast", "a cat")]).wait()[0]
    there = replace(
        made,
        uid="c" * 32,
        status=Status.SUBMITTING,
        task_id=None,
        resources=(),
        submitted_at=None,
        completed_at=None,
        origin="https://modellix.example",
    )
    session.ledger.add([there], "a-kernel-that-is-gone")
    assert len(session.send_unsent([there], confirm=confirmed)) == 0
    assert session.engine.send([there]) == []
    assert session.engine.get(there.uid).unsent
    assert sessions.posts() == 1
