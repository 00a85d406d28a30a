"""What every test stands on: a home of its own, and an environment that names no key."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from modellix_jupyter.notebook import current_session

# jsonschema, and so nbformat, takes seconds to import where this is there: it builds 38 grammars
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # as "not installed"

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ["session_rig", "postgres_server", "s3_server"]

CHROMIUM = "/usr/bin/chromium"
MISSING = f"{CHROMIUM} is not there; `apt-get install chromium` brings it"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")

# no time is asserted in a test, not by hypothesis either; other examples are tried in each run
hypothesis.settings.register_profile("ours", deadline=None, max_examples=30)
hypothesis.settings.load_profile("ours")

# Run in the background of a shell, an interrupt is ignored, and so it would be in every process
# that a test starts: a handler of one's own is not inherited, and "ignored" is.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_numbers = itertools.count()


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder in one system call: pytest's own takes several, for each of the tests."""
    return tmp_path_factory.mktemp(f"test-{next(_numbers)}", numbered=False)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own home, so that none can touch the real one."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MODELLIX_HOME", str(folder))
    monkeypatch.delenv("MODELLIX_API_KEY", raising=False)
    monkeypatch.delenv("MODELLIX_BASE_URL", raising=False)
    monkeypatch.delenv("MODELLIX_LEDGER", raising=False)
    monkeypatch.delenv("MODELLIX_FILES", raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Assert that a test leaves no session and no thread of ours behind; end its processes."""
    yield
    for process in multiprocessing.active_children():  # of a test that failed
        process.kill()
        process.join()
    current_session.close_all()
    left = [t.name for t in threading.enumerate() if t.name.startswith("modellix-engine")]
    assert not left, f"threads left behind: {left}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, so that no process is left alone with one at the end.

    The browser's tests stay last: its driver's loop counts as running until the process ends.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda i: (i.get_closest_marker("browser") is not None, i.path not in slow))


def pytest_collection_finish() -> None:
    """Take what was collected out of the garbage collector's sight.

    Each shell of IPython that ends calls for a full collection, which thousands of tests make slow.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium, one for all tests, or skip, out loud."""
    if not Path(CHROMIUM).exists():
        pytest.skip(MISSING)
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()
