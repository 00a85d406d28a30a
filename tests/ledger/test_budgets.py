"""Limits of what is spent: held before anything is sent, for all kernels on a ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from ledger_samples import HANG_S, a_task

from modellix_jupyter.errors import OverBudget
from modellix_jupyter.ledger import budgets
from modellix_jupyter.ledger.budgets import Period, bounds
from modellix_jupyter.ledger.ledger import Ledger, insert_tasks
from modellix_jupyter.values import Status, Task

if TYPE_CHECKING:
    from postgres_server import PostgresServer
    from sqlalchemy import Connection

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
        ledger.hold_again([left], [1.0], NOW)
    assert standing(ledger) == (1.0, 0)
    ledger.hold_again([left], [0.5], NOW)
    assert standing(ledger) == (1.5, 0)


def test_what_was_read_before_it_was_held_again_still_counts_now(ledger: Ledger) -> None:
    (left,) = priced(1.0, at=NOW - DAY_US)
    ledger.add([left], "me")
    ledger.hold_again([left], [1.0], NOW)
    ledger.save(replace(left, status=Status.PENDING, submitted_at=NOW, task_id="t"), owner="me")
    assert standing(ledger, "day") == (1.0, 0)


def test_what_was_read_before_it_was_deleted_brings_no_word_of_it_back(ledger: Ledger) -> None:
    done = replace(a_task(price=1.0), status=Status.SUCCESS, submitted_at=NOW, task_id="t")
    ledger.add([done], "me")
    assert ledger.delete([done.uid])[0] == [done.uid]
    ledger.save(replace(done, charged=0.5), owner="me")
    kept = ledger.get(done.uid)
    assert kept is not None
    assert (kept.request.prompt, dict(kept.request.params), kept.charged) == (None, {}, 0.5)


def test_a_limit_that_was_set_meanwhile_holds_for_what_was_recorded_before_it(
    ledger: Ledger,
) -> None:
    (left,) = priced(1.0)
    ledger.add([left], "me")
    ledger.set_budget(SERVICE, "day", 0.5)
    with pytest.raises(OverBudget):
        ledger.hold_again([left], [1.0], NOW)


def test_what_another_kernel_took_back_is_not_held_again(ledger: Ledger) -> None:
    (left,) = priced(1.0, at=NOW - DAY_US)
    ledger.add([left], "me")
    ledger.save(replace(left, status=Status.REJECTED, price=None))
    ledger.hold_again([left], [1.0], NOW)
    assert standing(ledger, "all") == (0.0, 0)


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


@pytest.fixture
def strict_url(postgres: PostgresServer, postgres_url: str) -> Iterator[str]:
    """Return the URL of a database whose transactions see, unless told otherwise, one moment."""
    name = postgres_url.rpartition("/")[2]
    setting = f"ALTER DATABASE {name} SET default_transaction_isolation"
    postgres.execute(f"{setting} = 'repeatable read'")
    yield postgres_url
    postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_isolation")


def test_a_kernel_that_waited_for_another_counts_what_it_spent(strict_url: str, home: Path) -> None:
    with closing(Ledger(strict_url, home)) as one, closing(Ledger(strict_url, home)) as other:
        one.set_budget(SERVICE, "all", 1.0)

        def spend() -> None:
            with pytest.raises(OverBudget):
                other.add(priced(0.6), "other")

        with meanwhile(one, strict_url, spend) as connection:
            insert_tasks(connection, priced(0.6), "", "one")
            budgets.standings(connection, SERVICE, NOW, lock=True)
        assert standing(one) == (0.6, 0)


def test_a_limit_that_is_changed_meanwhile_is_still_a_limit(postgres_url: str, home: Path) -> None:
    with closing(Ledger(postgres_url, home)) as one, closing(Ledger(postgres_url, home)) as other:
        one.set_budget(SERVICE, "all", 1.0)

        def spend() -> None:
            with pytest.raises(OverBudget, match=r"\$0\.50 in all"):
                other.add(priced(0.6), "other")

        with meanwhile(one, postgres_url, spend) as connection:
            budgets.set_budget(connection, SERVICE, "all", 0.5)


@contextmanager
def meanwhile(ledger: Ledger, url: str, call: Callable[[], None]) -> Iterator[Connection]:
    """Yield a transaction that ends once `call`, on another thread, waits for its locks."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with ThreadPoolExecutor(1) as pool, psycopg.connect(plain(url), autocommit=True) as looks:
        with ledger._transaction() as connection:
            yield connection
            called = pool.submit(call)
            while looks.execute(waiting).fetchone() == (0,):
                assert not called.done()
                time.sleep(0.01)
        called.result(HANG_S)


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


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
