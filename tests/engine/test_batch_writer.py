"""Rows that are written together: each on the disk before its own job goes on."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from modellix_jupyter.engine.batch_writer import BatchWriter
from modellix_jupyter.errors import LedgerError, LedgerUnavailable
from modellix_jupyter.values import Status, Task

from .engine_fakes import HANG_S, Rig, a_task


@pytest.fixture
def tasks(rig: Rig) -> list[Task]:
    known = [a_task(uid=f"{number:032x}") for number in range(20)]
    rig.ledger.add(known, "me")
    return [a_task(uid=task.uid, status=Status.PENDING, task_id=task.uid) for task in known]


def test_what_comes_while_one_is_written_goes_to_the_disk_together(
    rig: Rig, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, together = rig.ledger.save, []
    others = threading.Event()

    def counted(*written: Task, owner: str | None = None) -> None:
        assert others.wait(HANG_S)
        together.append(len(written))
        save(*written, owner=owner)

    monkeypatch.setattr(rig.ledger, "save", counted)

    async def one(writer: BatchWriter, task: Task) -> None:
        await writer.save(task)
        assert rig.row(task.uid) == task

    async def run() -> None:
        writer = BatchWriter(rig.ledger, "me")
        saving = [asyncio.create_task(one(writer, task)) for task in tasks]
        await asyncio.sleep(0)
        others.set()
        await asyncio.gather(*saving)
        await writer.close()

    asyncio.run(run())
    assert sum(together) == len(tasks)
    assert len(together) <= 3


def test_a_row_that_cannot_be_written_says_nothing_of_the_others(
    rig: Rig, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, bad = rig.ledger.save, tasks[7].uid

    def choosy(*written: Task, owner: str | None = None) -> None:
        if any(task.uid == bad for task in written):
            raise LedgerError("no")
        save(*written, owner=owner)

    monkeypatch.setattr(rig.ledger, "save", choosy)

    async def run() -> list[BaseException | None]:
        writer = BatchWriter(rig.ledger, "me")
        saved = await asyncio.gather(*map(writer.save, tasks), return_exceptions=True)
        await writer.close()
        return saved

    outcomes = asyncio.run(run())
    assert [type(outcome) for outcome in outcomes].count(LedgerError) == 1
    assert isinstance(outcomes[7], LedgerError)
    assert all(rig.row(task.uid) == task for task in tasks if task.uid != bad)


def test_a_row_is_written_though_nobody_waits_for_it_any_more(rig: Rig, tasks: list[Task]) -> None:
    async def run() -> None:
        writer = BatchWriter(rig.ledger, "me")
        saving = [asyncio.create_task(writer.save(task)) for task in tasks]
        await asyncio.sleep(0)
        for each in saving:
            each.cancel()
        await asyncio.wait(saving)
        await writer.close()

    asyncio.run(run())
    assert all(rig.row(task.uid) == task for task in tasks)


def test_rows_of_one_task_are_written_in_their_order(rig: Rig, tasks: list[Task]) -> None:
    last = replace(tasks[0], status=Status.SUCCESS)

    async def run() -> None:
        writer = BatchWriter(rig.ledger, "me")
        for task in (*tasks, replace(tasks[0], status=Status.PROCESSING), last):
            writer.put(task)
        await writer.close()

    asyncio.run(run())
    assert rig.row(last.uid) == last


def test_what_is_locked_is_tried_once_for_all_and_not_row_by_row(
    rig: Rig, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, may_try = [], threading.Event()

    def locked(*written: Task, owner: str | None = None) -> None:
        del owner
        assert may_try.wait(HANG_S)
        tries.append(len(written))
        raise LedgerUnavailable("The ledger cannot be written: database is locked.")

    monkeypatch.setattr(rig.ledger, "save", locked)

    async def run() -> list[BaseException | None]:
        writer = BatchWriter(rig.ledger, "me")
        saving = [writer.put(task) for task in tasks]
        may_try.set()
        saved = await asyncio.gather(*saving, return_exceptions=True)
        await writer.close()
        return saved

    assert {type(outcome) for outcome in asyncio.run(run())} == {LedgerUnavailable}
    assert sum(tries) == len(tasks)
    assert len(tries) <= 3
