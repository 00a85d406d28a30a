"""Whether a kernel lives is whether it holds its lock: also when it was killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from ledger_samples import HANG_S, python

from modellix_jupyter.ledger.kernel_locks import KernelLock

LIVING = """
import sys
from pathlib import Path
from modellix_jupyter.ledger.kernel_locks import KernelLock

owner = KernelLock(Path(sys.argv[1]))
print(owner.name, flush=True)
sys.stdin.readline()
if sys.argv[2] == "close":
    owner.close()
"""


@pytest.fixture
def folder(home: Path) -> Path:
    return home / "owners"


def test_an_owner_is_alive_until_it_lets_go(folder: Path) -> None:
    one, other = KernelLock(folder), KernelLock(folder)
    assert one.name != other.name
    assert one.is_alive(one.name)
    assert one.is_alive(other.name)
    assert other.is_alive(one.name)
    other.close()
    assert not one.is_alive(other.name)
    one.close()
    one.close()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", [None, "", "nobody", "../../etc/passwd", "a/b", "a b"])
def test_what_names_no_kernel_is_not_alive(folder: Path, name: str | None) -> None:
    owner = KernelLock(folder)
    assert not owner.is_alive(name)
    owner.close()


@pytest.mark.parametrize("end", ["kill", "exit", "close"])
def test_another_process_is_alive_until_it_ends_however(folder: Path, end: str) -> None:
    owner = KernelLock(folder)
    process = python(LIVING, folder, end)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert name
    assert owner.is_alive(name)
    assert owner.is_alive(name)  # to look is not to take
    if end == "kill":
        process.send_signal(signal.SIGKILL)
    process.communicate("\n" if end != "kill" else None, timeout=HANG_S)
    assert not owner.is_alive(name)
    assert not (folder / name).exists()
    assert owner.is_alive(owner.name)
    owner.close()


def test_a_kernel_whose_lock_was_cleaned_away_takes_it_again(folder: Path) -> None:
    one, other = KernelLock(folder), KernelLock(folder)
    (folder / one.name).unlink()
    assert not other.is_alive(one.name)
    one.hold()
    assert other.is_alive(one.name)
    one.close()
    one.hold()
    assert not other.is_alive(one.name)
    other.close()


FORKING = """
import os, signal, sys, time
from pathlib import Path
from modellix_jupyter.ledger.kernel_locks import KernelLock

owner = KernelLock(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    # the child says it: its copy of the lock is closed by now
    print(owner.name, os.getpid(), flush=True)
    del owner
    time.sleep(60)
    os._exit(0)
signal.pause()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_process_neither_unlocks_nor_outlives_the_kernel_s_lock(folder: Path) -> None:
    owner = KernelLock(folder)
    with python(FORKING, folder) as process:
        assert process.stdout is not None
        name, child = process.stdout.readline().split()
        assert owner.is_alive(name)
        process.kill()
        process.wait(HANG_S)
        assert not owner.is_alive(name)
        os.kill(int(child), signal.SIGKILL)
    owner.close()
