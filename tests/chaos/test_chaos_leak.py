"""The quickstart in a real kernel with a recognisable key, and a search for it everywhere.

Everything that a session can leave behind is searched: the notebook with its outputs and widgets,
the ledger with its write-ahead log, every export, every logger at DEBUG, tracebacks that show
variables, IPython's own files, and what each origin was sent. It may stand in one place: the
Authorization header of a request to the API. And, where the user had it kept, in a file that only
its owner can read.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import IPython
import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from modellix_jupyter.sandbox_server import JournalEntry, Sandbox

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

KEY = "sk-ZqX7sEnTiNeL3f9a1c5e8b2d0446LeAk"
MARK = "seven herons"
"""Stands in a prompt, and so must be found wherever prompts go: else the search is blind."""
QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
COLOURS = re.compile(r"\\u001b\[[0-9;]*m")
EXPORTS = ("csv", "json", "jsonl", "parquet", "xlsx", "html")

LOG_EVERYTHING = """
import logging, os
logging.basicConfig(filename=os.environ["LOG_FILE"], level=logging.DEBUG, force=True)
for name in list(logging.root.manager.loggerDict):
    logging.getLogger(name).setLevel(logging.DEBUG)
logging.captureWarnings(True)
"""

CELLS = f"""
%%modellix sandbox/fast --out marked
{MARK}
# %%
for ending in {EXPORTS}:
    print(marked.export(f"results/marked.{{ending}}"))
    get_ipython().run_line_magic("modellix", f"export results/everything.{{ending}}")
# %%
%modellix doctor
# %%
%modellix models sandbox
# %%
%modellix balance
# %%
%modellix resume
# %%
%modellix history
# %%
%config Modellix
# %%
%whos
# %%
# whatever can be printed, and what it is made of
import pprint
from modellix_jupyter.notebook.current_session import current
client, session = mx.AsyncClient(), current()
parts = [session, session.settings, session.key(), session.engine, session.ledger, client]
parts += [client._http, marked, marked[0], *marked.cards(), marked.frame(), marked.grid()]
for part in parts:
    print(repr(part), str(part), f"{{part}}")
    pprint.pprint(getattr(part, "__dict__", None))
# %%
form = mx.panel()
form
# %%
import os, time
form.create.choose(["sandbox/fast"])
while form.create.form.models != ("sandbox/fast",):
    time.sleep(0.05)
form.create.prompt.value = "from the panel"
before = len(session.engine.watched())
form.create.generate("Generate")
while len(session.engine.watched()) == before:
    time.sleep(0.05)
session.resume().wait()
form.actions.pick(item.key for item in form.create.results.gallery.items)
for place in range(len(form.tabs.children)):
    form.tabs.selected_index = place
    time.sleep(1)
form.connection.secret.on_message(None, {{"text": os.environ["MODELLIX_API_KEY"]}}, [])
while "in use in this kernel" not in form.connection.status.view.value:
    time.sleep(0.05)
# %%
# failures, at their most talkative
mx.generate("x", "sandbox/out-of-credit")
# %%
%tb
# %%
%xmode Verbose
# %%
%%modellix sandbox/unauthorized
x
# %%
%tb
# %%
await client.submit("sandbox/out-of-credit", {{"prompt": "x"}})
# %%
%tb
# %%
class Broken(type(client._http._transport)):
    async def handle_async_request(self, request):
        raise RuntimeError("an error that nobody has translated")
await mx.AsyncClient(transport=Broken()).submit("sandbox/fast", {{"prompt": "x"}})
# %%
%tb
# %%
import traceback
for broken in (client, mx.AsyncClient(transport=Broken())):
    try:
        await broken.submit("sandbox/server-error", {{"prompt": "x"}})
    except Exception as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        print("".join(shown.format()), repr(error), vars(error))
# %%
# a key that is asked for, kept, and found again
import builtins, getpass, os
getpass.getpass = lambda *_: os.environ["MODELLIX_API_KEY"]
builtins.input = lambda *_: "y"
%modellix key
# %%
os.environ.pop("MODELLIX_API_KEY") and None
# %%
%unload_ext modellix_jupyter
# %%
%load_ext modellix_jupyter
# %%
%modellix doctor
# %%
# a service that quotes the key which it refuses; its user has confirmed that the key is for it
from pathlib import Path
from modellix_jupyter.keys import places
known = places(Path(os.environ["MODELLIX_HOME"]))
known.confirm(known.find(), os.environ["ECHO_URL"])
%config Modellix.base_url = os.environ["ECHO_URL"]
# %%
%modellix balance
# %%
%tb
# %%
%modellix doctor
# %%
mx.generate("x", "a/b")
# %%
mx.history()
""".strip().split("\n# %%\n")


class Echo(BaseHTTPRequestHandler):
    """Refuses everything, and quotes what it was sent."""

    def do_GET(self) -> None:
        said = f"Unauthorized: this is no key: {self.headers['Authorization']}"
        body = json.dumps({"code": 401, "message": said}).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def echo_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Run:
    """What a run has left behind."""

    folder: Path
    notebook: str
    journal: list[JournalEntry]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, echo_url: str) -> Run:
    """Run the quickstart, and the cells above after it."""
    folder = tmp_path_factory.mktemp("leak")
    book = nbformat.read(QUICKSTART, as_version=4)
    book.cells += [nbformat.v4.new_code_cell(source) for source in CELLS]
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "log.py").write_text(LOG_EVERYTHING)
    work = folder / "work"
    work.mkdir()
    with Sandbox(speed=50) as sandbox:
        client = NotebookClient(
            book,
            timeout=120,
            kernel_name="python3",
            allow_errors=True,
            store_widget_state=True,
            resources={"metadata": {"path": str(work)}},
        )
        client.execute(env=environment(folder, sandbox.base_url, echo_url))
        return Run(folder, nbformat.writes(book), list(sandbox.journal))


def environment(folder: Path, base_url: str, echo_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "MODELLIX_BASE_URL": base_url,
        "MODELLIX_API_KEY": KEY,
        "MODELLIX_HOME": str(folder / "home"),
        "ECHO_URL": echo_url,
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "LOG_FILE": str(folder / "everything.log"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }


# -- the search


def spellings(secret: str) -> list[bytes]:
    """Return the secret as it may be written: plain, encoded, in base64 at each alignment."""
    plain = secret.encode()
    found = [plain, plain.hex().encode(), quote(secret, safe="").encode(), plain[::-1]]
    found += [secret.encode("utf-16-le"), json.dumps(secret)[1:-1].encode()]
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + plain)
        found.append(coded[4 if shift else 0 : -4])
    return found


def holds(content: bytes, secret: str) -> bool:
    return any(spelling in content for spelling in spellings(secret))


def contents(path: Path) -> Iterator[bytes]:
    """Yield what a file says: its bytes, and what is packed inside."""
    raw = path.read_bytes()
    yield raw
    if zipfile.is_zipfile(BytesIO(raw)):
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                yield packed.read(name)
    if path.suffix == ".parquet":
        yield pd.read_parquet(path).astype(str).to_json().encode()
        yield repr(pd.read_parquet(path).attrs).encode()


def where(folder: Path, secret: str) -> set[str]:
    """Return the files below a folder that hold the secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder))
        for path in files
        if any(holds(content, secret) for content in contents(path))
    }


def outputs(run: Run) -> list[tuple[str, str]]:
    """Return each of the cells above with its outputs."""
    book = nbformat.reads(run.notebook, as_version=4)
    cells = book.cells[-len(CELLS) :]
    return [(cell.source, COLOURS.sub("", json.dumps(cell.outputs))) for cell in cells]


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "plain.txt").write_text(f"Bearer {KEY}")
    for shift in range(3):
        coded = base64.b64encode(b"x" * shift + KEY.encode() + b"tail")
        (tmp_path / f"base64-{shift}").write_bytes(coded)
    with zipfile.ZipFile(tmp_path / "packed.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("sheet", KEY)
    pd.DataFrame({"a": [KEY]}).to_parquet(tmp_path / "table.parquet")
    (tmp_path / "innocent").write_text(KEY[:-1])
    assert where(tmp_path, KEY) == {
        "deep/plain.txt",
        "base64-0",
        "base64-1",
        "base64-2",
        "packed.xlsx",
        "table.parquet",
    }


FAILING = (
    "# failures, at their most talkative",
    "%tb",
    "%%modellix sandbox/unauthorized",
    "%tb",
    'await client.submit("sandbox/out-of-credit", {"prompt": "x"})',
    "%tb",
    "class Broken(type(client._http._transport)):",
    "%tb",
    "%modellix balance",
    "%tb",
    'mx.generate("x", "a/b")',
)


def test_the_run_went_where_it_was_meant_to(run: Run) -> None:
    """Hold that each cell did what it is there for: a search of nothing finds nothing."""
    said = outputs(run)
    failed = [s.partition("\n")[0] for s, o in said if '"output_type": "error"' in o]
    tb = [o for s, o in said if s == "%tb"]
    assert all("Error" in o or "402" in o or "401" in o for o in tb), tb
    assert tuple(failed) == FAILING
    (broken,) = [o for s, o in said if s.startswith("class Broken")]
    assert "an error that nobody has translated" in broken
    if IPython.version_info >= (8,):  # 7 shows none on the Python that Colab runs it on
        assert "attempt = 1" in broken, "the traceback shows no variables"
    (asked,) = [o for s, o in said if "getpass" in s]
    assert "Kept in" in asked
    doctors = [o for s, o in said if s == "%modellix doctor"]
    assert [("from MODELLIX_API_KEY" in o, "the stored key file" in o) for o in doctors[:2]] == [
        (True, False),
        (False, True),
    ]
    quoted = [o for s, o in said if s == "%modellix balance"][-1]
    assert "this is no key: Bearer [the key]" in quoted


def test_prompts_are_found_where_prompts_go(run: Run) -> None:
    found = where(run.folder, MARK)
    assert {f"work/results/marked.{e}" for e in EXPORTS} <= found
    assert {f"work/results/everything.{e}" for e in EXPORTS} <= found
    assert any(name.startswith("home/ledger.sqlite3") for name in found)
    assert MARK in run.notebook
    log = (run.folder / "everything.log").read_text()
    for logger in ("httpcore.http11", "httpx", "asyncio"):
        assert f":{logger}:" in log, f"{logger} was not listened to"


def test_the_key_is_nowhere_but_in_its_own_file(run: Run) -> None:
    assert where(run.folder, KEY) == {"home/key"}
    kept = run.folder / "home" / "key"
    assert kept.read_text() == KEY
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_the_key_is_not_in_the_notebook(run: Run) -> None:
    assert '"widgets"' in run.notebook
    assert not holds(run.notebook.encode(), KEY)


def test_only_the_api_was_ever_told_the_key(run: Run) -> None:
    api = [e for e in run.journal if e.origin == "api" and e.path.startswith("/api/v1/")]
    others = [e for e in run.journal if e not in api]
    assert {e.origin for e in others} == {"api", "cdn"}  # schemas, and files
    for entry in others:
        assert not entry.authorized
        assert "cookie" not in entry.headers
        assert not holds(repr((entry, dict(entry.headers))).encode(), KEY)
    for entry in api:
        headers = dict(entry.headers)
        assert headers.pop("authorization") == f"Bearer {KEY}"
        assert not holds(repr((entry, headers)).encode(), KEY)
