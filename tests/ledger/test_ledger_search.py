"""Pages of the ledger: filtered, sorted, counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_samples import a_task

from modellix_jupyter.ledger.history import SORTS, Search
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.values import Request, Status, Task

BEGIN = 1_800_000_000_000_000


@pytest.fixture
def ledger(place: Path | str, home: Path) -> Iterator[Ledger]:
    made = Ledger(place, home / "files")
    made.add([task(n) for n in range(10)], "owner")
    yield made
    made.close()


def task(n: int) -> Task:
    """Return the n-th task: models alternate, every third failed, and n seconds were taken."""
    base = a_task(f"prompt {n}", uid=f"{n:032d}", task_id=f"task-{n}", created_at=BEGIN + n)
    return replace(
        base,
        request=Request(f"a/{'xy'[n % 2]}", f"prompt {n}", {}),
        status=Status.FAILED if n % 3 == 0 else Status.SUCCESS,
        submitted_at=BEGIN,
        completed_at=BEGIN + n * 1_000_000 if n else None,
        price=None if n == 5 else n / 100,
    )


def numbers(found: tuple[list[Task], int]) -> list[int]:
    return [int(each.uid) for each in found[0]]


def test_the_newest_stand_first_a_page_at_a_time(ledger: Ledger) -> None:
    pages = [ledger.search(Search(), offset, 4) for offset in (0, 4, 8)]
    assert [numbers(page) for page in pages] == [[9, 8, 7, 6], [5, 4, 3, 2], [1, 0]]
    assert {count for _, count in pages} == {10}


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search(model="a/x"), [8, 6, 4, 2, 0]),
        (Search(states=("failed", "rejected")), [9, 6, 3, 0]),
        (Search(text="PROMPT 7"), [7]),
        (Search(text="task-3"), [3]),
        (Search(text="a/y"), [9, 7, 5, 3, 1]),
        (Search(text="a choice"), [4]),
        (Search(text="%"), []),
        (Search(text="prompt_1"), []),
        (Search(text="\\"), []),
        (Search(text="' OR 1 = 1 --"), []),
        (Search(since=BEGIN + 8), [9, 8]),
        (Search(uids=(f"{3:032d}", f"{7:032d}", "nobody")), [7, 3]),
        (Search(model="a/x", states=("failed",), text="prompt"), [6, 0]),
    ],
    ids=str,
)
def test_what_is_wanted_is_found_and_counted(
    ledger: Ledger, search: Search, expected: list[int]
) -> None:
    ledger.note(f"{4:032d}", "a choice of mine")
    found = ledger.search(search)
    assert numbers(found) == expected
    assert found[1] == len(expected)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [True, False])
def test_each_order_is_an_order_of_all(ledger: Ledger, sort: str, *, descending: bool) -> None:
    found = ledger.search(Search(sort=sort, descending=descending))  # type: ignore[arg-type]  # a key of the table
    assert sorted(numbers(found)) == list(range(10))


def test_what_has_no_value_stands_last_either_way(ledger: Ledger) -> None:
    rising = numbers(ledger.search(Search(sort="price", descending=False)))
    falling = numbers(ledger.search(Search(sort="price", descending=True)))
    assert rising == [0, 1, 2, 3, 4, 6, 7, 8, 9, 5]
    assert falling == [9, 8, 7, 6, 4, 3, 2, 1, 0, 5]


def test_a_rating_is_an_order_too(ledger: Ledger) -> None:
    ledger.rate(f"{2:032d}", 3)
    ledger.rate(f"{6:032d}", 5)
    assert numbers(ledger.search(Search(sort="rating")))[:2] == [6, 2]


def test_more_tasks_than_sqlite_takes_values(ledger: Ledger) -> None:
    many = tuple(f"{n:032d}" for n in range(60_000))
    assert ledger.search(Search(uids=many))[1] == 10
