"""A real JupyterLab, and a real Chromium to look at it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browser.panel_page import START, Panel, notebook, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TOKEN = "browser-tests"
START_S = 60


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page of a usual size."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def panel(page: Page, lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Panel:
    """Open a panel on a sandbox, in a notebook of its own in JupyterLab."""
    name = re.sub(r"\W", "-", request.node.name)
    return opened(page, lab.lab(lab.add(notebook(tmp_path, name, START, ""))))


@dataclass(frozen=True)
class Lab:
    """A running Jupyter server and the folder that it shows."""

    url: str
    folder: Path
    settings: Path

    def add(self, notebook: Path) -> str:
        """Copy a notebook into the folder and return its name."""
        shutil.copy(notebook, self.folder / notebook.name)
        return notebook.name

    def lab(self, name: str) -> str:
        """Return the address of a notebook in JupyterLab, in a workspace of its own."""
        return f"{self.url}/lab/workspaces/{Path(name).stem}/tree/{name}?token={TOKEN}"

    def notebook(self, name: str) -> str:
        """Return the address of a notebook in Notebook 7."""
        return f"{self.url}/notebooks/{name}?token={TOKEN}"

    def end_kernel(self, name: str) -> None:
        """End the kernel of a notebook: who opens it anew gets another, in which nothing ran."""
        for session in json.loads(self._ask("GET", "sessions")):
            if session["path"] == name:
                self._ask("DELETE", f"sessions/{session['id']}")

    def _ask(self, method: str, what: str) -> bytes:
        head = {"Authorization": f"token {TOKEN}"}
        request = urllib.request.Request(f"{self.url}/api/{what}", method=method, headers=head)  # noqa: S310 - our own server
        with urllib.request.urlopen(request, timeout=START_S) as answer:  # noqa: S310 - our own server
            return bytes(answer.read())

    def set_theme(self, theme: str) -> None:
        """Have pages that are opened from now on in the light or in the dark theme."""
        name = f"JupyterLab {theme.capitalize()}"
        file = self.settings / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
        file.write_text(json.dumps({"theme": name}))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Start a Jupyter server with JupyterLab and Notebook 7, in an empty home."""
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("home")
    port = free_port()
    settings = home / "lab" / "user-settings"
    _quiet(settings)
    log = (home / "server.log").open("w")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += [f"--LabApp.user_settings_dir={settings}"]
    server = subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=log, stderr=subprocess.STDOUT, env=environment(home)
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/api/status?token={TOKEN}", server)
        yield Lab(url, folder, settings)
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()


def _quiet(settings: Path) -> None:
    """Answer the question whether to fetch news, which would cover what is looked at."""
    extension = settings / "@jupyterlab" / "apputils-extension"
    extension.mkdir(parents=True)
    (extension / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a server with a home of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MODELLIX_", "JUPYTER_"))}
    ours = {
        "MODELLIX_HOME": str(home / ".local/share/modellix-jupyter"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    jupyter = {f"JUPYTER_{k}_DIR": str(home / k.lower()) for k in ("CONFIG", "DATA", "RUNTIME")}
    # the kernel must be the one of this environment, whatever PATH says
    return kept | ours | jupyter | {"HOME": str(home)}


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended at its start"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own server
                json.load(answer)
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("the server did not start")
