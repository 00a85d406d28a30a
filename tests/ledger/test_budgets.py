"""Limits of what is spent: held before anything is sent, for all kernels on a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger_samples import a_task

from modellix_jupyter.errors import OverBudget
from modellix_jupyter.ledger.budgets import Period, bounds
from modellix_jupyter.ledger.ledger import Ledger
from modellix_jupyter.values import Status, Task

SERVICE = "service.test"
NOW = 1_800_000_000_000_000  # 2027-01-15 08:00 UTC
DAY_US = 86_400_000_000


@pytest.fixture
def ledger(place: Path | str, home: Path) -> Iterator[Ledger]:
    with closing(Ledger(place, home / "files")) as opened:
        yield opened


def priced(*prices: float | None, at: int = NOW) -> list[Task]:
    return [a_task(price=price, created_at=at) for price in prices]


def standing(ledger: Ledger, period: Period = "day", at: int = NOW) -> tuple[float, int]:
    found = {each.period: each for each in ledger.standings(SERVICE, at)}[period]
    return round(found.spent, 6), found.unpriced


def test_up_to_the_limit_and_no_further_and_all_or_nothing(ledger: Ledger) -> None:
    ledger.set_budget(SERVICE, "day", 1.0)
    ledger.add(priced(0.3, 0.3), "me")
    with pytest.raises(OverBudget) as refused:
        ledger.add(priced(0.3, 0.3), "me")
    assert refused.value.message == (
        "This may cost $0.60, and $0.40 is left of $1 a day; it renews at 2027-01-16 00:00 UTC."
    )
    assert ledger.count() == 2
    ledger.add(priced(0.1, 0.1, 0.1, 0.1), "me")
    assert standing(ledger) == (1.0, 0)


def test_a_refusal_gives_back_a_charge_takes_its_place_and_an_unknown_outcome_keeps(
    ledger: Ledger,
) -> None:
    refused, charged, unknown = priced(0.3, 0.3, 0.3)
    ledger.add([refused, charged, unknown], "me")
    ledger.save(
        replace(refused, status=Status.REJECTED, price=None),
        replace(charged, status=Status.SUCCESS, charged=0.1),
        replace(unknown, status=Status.UNKNOWN),
    )
    assert standing(ledger) == (0.4, 0)


def test_what_is_used_again_costs_nothing_and_is_within_any_limit(ledger: Ledger) -> None:
    ledger.set_budget(SERVICE, "all", 0.0)
    ledger.add([a_task(price=0.0, reused_from="x", status=Status.SUCCESS)], "me")
    assert standing(ledger) == (0.0, 0)


def test_with_a_limit_what_has_no_price_is_not_sent(ledger: Ledger) -> None:
    ledger.add(priced(None), "me")
    assert standing(ledger) == (0.0, 1)
    ledger.set_budget(SERVICE, "month", 5.0)
    with pytest.raises(OverBudget, match=r"limit is \$5 a month, and not every price is known"):
        ledger.add(priced(0.1, None), "me")
    ledger.set_budget(SERVICE, "month", None)
    ledger.add(priced(None), "me")


def test_each_period_and_each_service_counts_for_itself(ledger: Ledger) -> None:
    ledger.set_budget(SERVICE, "day", 1.0)
    ledger.set_budget(SERVICE, "month", 1.5)
    ledger.set_budget("other.test", "day", 0.0)
    ledger.add(priced(1.0, at=NOW - DAY_US), "me")
    with pytest.raises(OverBudget, match=r"\$0\.50 is left of \$1\.50 a month"):
        ledger.add(priced(0.6), "me")
    ledger.add(priced(0.5), "me")
    assert standing(ledger, "day") == (0.5, 0)
    assert standing(ledger, "month") == standing(ledger, "all") == (1.5, 0)


def test_what_is_sent_only_now_counts_now(ledger: Ledger) -> None:
    (left,) = priced(1.0, at=NOW - DAY_US)
    ledger.add([left], "me")
    ledger.set_budget(SERVICE, "day", 1.5)
    ledger.add(priced(1.0), "me")
    with pytest.raises(OverBudget):
        ledger.hold_again([left], NOW)
    assert standing(ledger) == (1.0, 0)
    ledger.hold_again([replace(left, price=0.5)], NOW)
    assert standing(ledger) == (1.5, 0)


def test_kernels_that_spend_at_once_stay_within_the_limit(
    ledger: Ledger, place: Path | str, home: Path
) -> None:
    ledger.set_budget(SERVICE, "all", 1.0)

    def spend(_: int) -> int:
        with closing(Ledger(place, home / "files")) as kernel:
            try:
                kernel.add(priced(0.3), "me")
            except OverBudget:
                return 0
            return 1

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(spend, range(6))) == 3
    assert standing(ledger) == (0.9, 0)


@pytest.mark.parametrize(
    ("period", "moment", "begins", "renews"),
    [
        ("day", "2026-12-31T23:59", "2026-12-31", "2027-01-01"),
        ("month", "2026-12-31T23:59", "2026-12-01", "2027-01-01"),
        ("month", "2028-02-29T00:00", "2028-02-01", "2028-03-01"),
    ],
)
def test_periods_begin_and_renew_at_midnight(
    period: Period, moment: str, begins: str, renews: str
) -> None:
    def us(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000

    found, renewed = bounds(period, us(moment))
    assert (found, renewed) == (us(begins), datetime.fromisoformat(renews).replace(tzinfo=UTC))
