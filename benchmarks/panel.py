"""The panel with many tasks: what it sends a second, and how soon a click is answered."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comm
import nbformat
from comm.base_comm import BaseComm

from benchmarks.figures import Figure
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import from_environment
from modellix_jupyter.values import Request
from modellix_jupyter.widgets.panel import panel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Scale

CHROMIUM = Path("/usr/bin/chromium")
SIGHT = 12
"""Cards that a page shows at once."""
LONG = "google/veo-3-fast"
CLICKS = 15
START_S = 60
IN_PAGE = """async (selectors) => {
    const took = async (button, done) => {
        const begun = performance.now();
        button.click();
        while (!done(button) && performance.now() - begun < 10000) {
            await new Promise(requestAnimationFrame);
        }
        return performance.now() - begun;
    };
    const star = document.querySelector(".mx-tile [aria-label^='Rate 3']");
    const bare = [...document.querySelectorAll("button")].find(b => /^count /.test(b.textContent));
    const ours = [], theirs = [];
    for (let i = 0; i < selectors.clicks; i++) {
        const was = star.getAttribute("aria-pressed");
        ours.push(await took(star, (b) => b.getAttribute("aria-pressed") !== was));
        const said = bare.textContent;
        theirs.push(await took(bare, (b) => b.textContent !== said));
    }
    return [ours, theirs];
}"""
CELL = """import ipywidgets, modellix_jupyter as mx
sandbox = mx.sandbox(speed=20)
many = mx.submit(["one of many"] * {tasks}, "sandbox/fast", yes=True)
bare = ipywidgets.Button(description="count 0")
def more(_):
    bare.description = f"count {{int(bare.description.split()[1]) + 1}}"
bare.on_click(more)
display(bare)
mx.panel()"""


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield what is sent a second while all tasks run, and the time from a click to its answer."""
    yield _sent(scale)
    # the smoke leaves the browser out: tests/browser does the same clicks
    if scale.name == "full" and CHROMIUM.exists():
        yield _clicked(scale)


class _Counted(BaseComm):
    """A comm to nowhere that adds up what it is given."""

    total = 0

    def publish_msg(self, *arguments: Any, **parts: Any) -> None:  # noqa: ANN401 - as its base has it
        del arguments
        said = {k: parts.get(k) for k in ("data", "metadata")}
        _Counted.total += len(json.dumps(said, default=str))
        _Counted.total += sum(memoryview(b).nbytes for b in parts.get("buffers") or ())


def _sent(scale: Scale) -> Figure:
    before, comm.create_comm = comm.create_comm, _Counted
    try:
        with Sandbox(speed=0.2) as sandbox:
            settings = from_environment().changed(
                base_url=sandbox.base_url, requests_per_second=100
            )
            session = current_session.push(Session(settings, key="sandbox"))
            rate, whole = _rate(session, scale)
            current_session.close_all()
    finally:
        comm.create_comm = before
    everything = whole * settings.updates_per_second
    return Figure(
        what=f"Panel with {scale.panel_tasks:,} tasks under way: sent a second",
        ours=f"{rate / 1000:.0f} kB",
        against=f"every card, as often as it may be drawn: {everything / 1000:,.0f} kB",
        ratio=rate / everything,
    )


def _rate(session: Session, scale: Scale) -> tuple[float, float]:
    """Return bytes a second, and the bytes of all cards together."""
    shown = panel()
    gallery = shown.create.results.gallery
    gallery.on_message(gallery, {"see": [0, SIGHT], "lack": [], "view": "bench"}, [])
    session.engine.submit([Request(LONG, f"number {n}") for n in range(scale.panel_tasks)])
    until = time.monotonic() + START_S
    while len(shown.context.uids()) < scale.panel_tasks and time.monotonic() < until:
        time.sleep(0.05)
    begun, _Counted.total = time.monotonic(), 0
    time.sleep(scale.seconds)
    rate = _Counted.total / (time.monotonic() - begun)
    cards = [shown.actions.card(item) for item in gallery.items]
    shown.close()
    return rate, sum(len(json.dumps(card)) for card in cards)


def _clicked(scale: Scale) -> Figure:
    from playwright.sync_api import sync_playwright

    with _lab(CELL.format(tasks=scale.panel_tasks)) as url, sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.goto(url)
        taken = page.locator(".jp-CodeCell .jp-InputPrompt").first
        for _ in range(START_S):
            page.locator(".jp-CodeCell .cm-content").first.click(timeout=START_S * 1000)
            page.keyboard.press("Shift+Enter")
            page.wait_for_timeout(1000)
            if taken.inner_text().strip() not in {"", "[ ]:"}:
                break
        page.get_by_text(f"{scale.panel_tasks} of {scale.panel_tasks} done").first.wait_for(
            timeout=180_000
        )
        ours, theirs = page.evaluate(IN_PAGE, {"clicks": CLICKS})
        browser.close()
    here, bare = statistics.median(ours), statistics.median(theirs)
    return Figure(
        what=f"Panel with {scale.panel_tasks:,} tasks: a click on a star, drawn in the page",
        ours=f"{here:.0f} ms",
        against=f"a bare ipywidgets button in the same page: {bare:.0f} ms",
        ratio=here / bare,
    )


@contextmanager
def _lab(code: str) -> Iterator[str]:
    """Start a JupyterLab on a notebook of one cell; yield the notebook's address."""
    with tempfile.TemporaryDirectory(prefix="modellix-bench-") as folder:
        kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(code)], metadata={"kernelspec": kernel}
        )
        nbformat.write(book, Path(folder, "bench.ipynb"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [f"--ServerApp.port={port}", f"--ServerApp.root_dir={folder}"]
        command += ["--IdentityProvider.token=bench"]
        command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        server = subprocess.Popen(  # noqa: S603 - our own command
            command, env={**os.environ, "HOME": folder}, **quiet
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/api/status?token=bench")
            yield f"http://127.0.0.1:{port}/lab/tree/bench.ipynb?token=bench"
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(url: str) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - our own server
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return
