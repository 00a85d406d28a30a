"""A service that answers with markup wherever it can, and prompts that are markup themselves.

Each text of the corpus is the prompt, and comes back as the error, the reason of a failure, the
status, the address of a result, its format, its role, the metadata, and the entries of the catalog.
Nothing of it may run, or be loaded, in JupyterLab (live, and again from a notebook that was saved
and is trusted), in the panel, or in an exported page that is opened by itself.

A canary says what has run: `window.fired`, or a request to a path of the hostile service. That it
does sing is shown for every text of the corpus first, where the text stands raw.
"""

from __future__ import annotations

import html
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import nbformat
import pytest
from PIL import Image
from playwright.sync_api import expect

from browser.test_quickstart import PATIENCE_MS, run_all

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Placeholders: the number of the text, and the address at which the canary listens.
RUN = "(window.fired=window.fired||[]).push(#N)"
RUN_ABOVE = RUN.replace("window", "parent")
LOAD = "CANARY/#N"

RAW = "{}"
LINK = '<a id=bait href="{}">bait</a>'
FRAME = '<iframe src="{}"></iframe>'
DECODED = "decoded"
HARMLESS = None

CORPUS: tuple[tuple[str, str | None], ...] = (
    (f"<script>{RUN}</script>", RAW),
    (f"</script><script>{RUN}</script>", RAW),
    (f"<img src=x onerror={RUN}>", RAW),
    (f'"><img src=x onerror="{RUN}">', RAW),
    (f"'><svg onload='{RUN}'>", RAW),
    (f"<svg/onload={RUN}>", RAW),
    (f"<svg><script>{RUN}</script></svg>", RAW),
    (f"<style>@import url({LOAD});</style>", RAW),
    (f"</style><link rel=stylesheet href={LOAD}>", RAW),
    (f'<div style="background:url({LOAD})">x</div>', RAW),
    (f"<img src={LOAD}>", RAW),
    (f'<iframe srcdoc="<script>{RUN_ABOVE}</script>"></iframe>', RAW),
    (f"<details open ontoggle={RUN}>x</details>", RAW),
    (f"<input autofocus onfocus={RUN}>", RAW),
    (f"</title></td></table></div><img src=x onerror={RUN}>", RAW),
    (f"--><img src=x onerror={RUN}><!--", RAW),
    (f"]]><img src=x onerror={RUN}>", RAW),
    (f"\x00<img src=x onerror={RUN}>", RAW),
    (f"{'A' * 20_000}<img src=x onerror={RUN}>", RAW),
    (f'<a id=bait href="javascript:{RUN}">bait</a>', RAW),
    (f'" id=bait onclick="{RUN}', '<a title="{}">bait</a>'),
    (f'x" onmouseover="{RUN}', '<b id=bait title="{}">bait</b>'),
    (f"x;background:url({LOAD})", '<b style="color:{}">x</b>'),
    (f"javascript:{RUN}", LINK),
    (f"  java\tscript:{RUN}", LINK),
    (f"data:text/html,<img src={LOAD}>", FRAME),
    (f"&lt;img src=x onerror={RUN}&gt;", DECODED),
    (f"&#60;img src=x onerror={RUN}&#62;", DECODED),
    # these sing in frameworks that are not there, or deceive a reader: they are not to be changed
    (f"{{{{constructor.constructor('{RUN}')()}}}} ${{{RUN}}} <%= {RUN} %>", HARMLESS),
    (f"$\\href{{javascript:{RUN}}}{{bait}}$", HARMLESS),
    ("invoice\u202egnp.exe \u2066\u200b", HARMLESS),
)
PICTURES = 3
"""Resources of a task that succeeds: a good one, one at a hostile address, one below such a one."""


@dataclass
class Said:
    """What a request to the hostile service asked for."""

    number: int
    way: str
    asked: int = 0


class Hostile(ThreadingHTTPServer):
    """Speaks the API, and answers with the text whose number stands in the prompt's parameters."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.tasks: dict[str, Said] = {}
        self.sung: list[str] = []
        picture = BytesIO()
        Image.new("RGB", (64, 48), "teal").save(picture, "PNG")
        self.picture = picture.getvalue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def texts(self) -> list[str]:
        """Return the corpus, each text with its number and this server's canary."""
        canary = f"{self.url}/canary"
        return [
            text.replace("CANARY", canary).replace("#N", str(number))
            for number, (text, _) in enumerate(CORPUS)
        ]


# without them the client begins at the limit of a new account, 100 requests a minute
LIMITS = {
    "X-RateLimit-Limit": "60000",
    "X-RateLimit-Remaining": "59999",
    "X-RateLimit-Reset": str(int(time.time()) + 86_400),
}


class Answer(BaseHTTPRequestHandler):
    server: Hostile

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/canary/"):
            self.server.sung.append(path)
            self.reply(b"", "text/css")
        elif path.startswith("/raw/"):
            self.reply(self.raw(int(path.rpartition("/")[2])), "text/html; charset=utf-8")
        elif path == "/files/good.png":
            self.reply(self.server.picture, "image/png")
        elif path == "/api/v1/models":
            self.say({"models": self.models()})
        elif path.startswith("/api/v1/tasks/"):
            self.say({"code": 0, "message": "success", "data": self.task(unquote(path))})
        elif path.startswith("/api/v1/"):
            self.say({"code": 0, "message": "success", "data": {"is_valid": True, "balance": 1}})
        else:
            self.say({"code": 404, "message": "Not found: nothing"}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = Said(int(body["number"]), str(body.get("way", "well")))
        text = self.server.texts()[said.number]
        if said.way == "refuse":
            self.say({"code": 400, "message": f"{text}: {text}"}, 400)
            return
        task_id = f"task-{len(self.server.tasks)}-{said.number}"
        self.server.tasks[task_id] = said
        data = {"status": "pending", "task_id": task_id, "model_id": text}
        self.say({"code": 0, "message": text, "data": data})

    def raw(self, number: int) -> bytes:
        """Return a page in which a text stands as no text of a server may."""
        text, (_, bait) = self.server.texts()[number], CORPUS[number]
        body = html.unescape(text) if bait == DECODED else (bait or RAW).replace("{}", text)
        page = f"<!doctype html><title>raw</title><body>{body}<p id=end>end</p>"
        return page.encode("utf-8", "replace")

    def models(self) -> list[dict[str, object]]:
        good: dict[str, object] = {"slug": "evil/model", "type": "text-to-image"}
        return [good] + [
            {"slug": f"evil/{text}", "type": text, "description": text, "docs_url": text}
            | {"price": {"amount": 1, "unit": text}}
            for text in self.server.texts()
        ]

    def task(self, path: str) -> dict[str, Any]:
        task_id = path.rpartition("/")[2]
        said = self.server.tasks[task_id]
        said.asked += 1
        text = self.server.texts()[said.number]
        data: dict[str, Any] = {"task_id": task_id, "model_id": text, "status": text}
        if said.asked == 1:
            return data  # a status that nobody has heard of
        if said.way == "fail":
            return data | {"status": "failed", "error": {"code": text, "message": text}}
        named = {"type": "image", "format": text, "role": text, "mime_type": text}
        resources = [
            named | {"url": f"{self.server.url}/files/good.png", "width": text},
            named | {"url": text},
            {"url": f"{self.server.url}/gone/{text}", "type": text},
        ]
        metadata = {"request_id": text, "image_count": text, text: text}
        result = {"resources": resources, "metadata": metadata, "extensions": {"end_time": text}}
        return data | {"status": "success", "duration": 5, "result": result}

    def say(self, value: object, status: int = 200) -> None:
        self.reply(json.dumps(value).encode(), "application/json", status)

    def reply(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in LIMITS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def hostile() -> Iterator[Hostile]:
    with Hostile() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


# -- the canary


@pytest.mark.parametrize(
    "number", [n for n, (_, bait) in enumerate(CORPUS) if bait], ids=lambda n: f"text-{n}"
)
def test_the_canary_sings_where_a_text_stands_raw(
    page: Page, hostile: Hostile, number: int
) -> None:
    hostile.sung.clear()
    page.goto(f"{hostile.url}/raw/{number}")
    for bait in page.locator("#bait").all():
        bait.hover()
        bait.click()
    for _ in range(50):
        if fired(page) or hostile.sung:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"it is silent: {hostile.texts()[number]!r}")


def fired(page: Page) -> list[int]:
    return list(page.evaluate("window.fired || []"))


def provoke(page: Page) -> None:
    """Do to everything that is shown what a reader may do by accident; links are not followed."""
    page.evaluate(
        "for (const e of document.querySelectorAll('.jp-OutputArea *, .jp-OutputArea, main *'))"
        " for (const name of ['mouseover', 'mouseenter', 'focus', 'toggle', 'error', 'load'])"
        "  e.dispatchEvent(new Event(name))"
    )
    page.wait_for_timeout(300)


def assert_silent(page: Page, hostile: Hostile) -> None:
    provoke(page)
    assert fired(page) == []
    assert hostile.sung == []
    for href in page.evaluate("[...document.links].map(a => a.href)"):
        assert re.match(r"(https?|file|blob):", href), href


# -- a notebook that shows everything


CONTROL = '<img src=x onerror="window.control=(window.control||0)+1"><b>the control</b>'


def notebook(hostile: Hostile, folder: Path) -> nbformat.NotebookNode:
    texts = hostile.texts()
    setup = (
        "import os\n"
        f"os.environ |= {{'MODELLIX_BASE_URL': {hostile.url!r}, 'MODELLIX_API_KEY': 'any'}}\n"
        f"os.environ['MODELLIX_HOME'] = {str(folder / 'home')!r}\n"
        "%load_ext modellix_jupyter\n"
        "%config Modellix.requests_per_second = 200\n"
        "import modellix_jupyter as mx\n"
        "from IPython.display import HTML, display\n"
        "from modellix_jupyter.engine.polling import Pace\n"
        "from modellix_jupyter.notebook import current_session\n"
        "from modellix_jupyter.engine import downloading, job\n"
        "job.PATIENT_TRIES = downloading.PATIENT_TRIES = 1\n"  # what it has not now, it never has
        "current_session.pace = Pace(unseen_first_s=0.05)\n"  # this service answers at once
        f"texts = {texts!r}\n"
        "def all_of(**more):\n"
        "    sent = [mx.submit(t, 'evil/model', number=n, **more) for n, t in enumerate(texts)]\n"
        "    return [each.wait() for each in sent]"
    )
    # numbers are JSON values there: the cell's own prompts are all met with the same text
    cells = [
        setup,
        *(
            f"%%modellix evil/model --number {n} --no-interpolate\n{texts[n]}"
            for n in (0, 2, 3, 29)
        ),
        "for each in all_of():\n    display(each)",
        "many = mx.compare(texts, 'evil/model', vary={'number': [2, 19]}, yes=True)",
        "many",
        "many.grid()",
        "for way in ('fail', 'refuse'):\n    for each in all_of(way=way):\n        display(each)",
        "mx.history().drop_duplicates('prompt')",
        "%modellix history",
        "%modellix models",
        "form = mx.panel()\nform",
        (
            "import time\n"
            "create = form.create\n"
            "create.choose(['evil/model'])\n"
            "while create.form.models != ('evil/model',):\n"
            "    time.sleep(0.05)\n"
            "for number, text in enumerate(texts):\n"
            "    create.prompt.value = text\n"
            "    create.form.put('evil/model', {'number': number})\n"
            "    create.generate('Generate')\n"
            "    while create.button.busy:\n"
            "        time.sleep(0.02)\n"
            "from modellix_jupyter.notebook.current_session import current\n"
            "_ = current().resume().wait()\n"
            "form.actions.pick(i.key for i in form.create.results.gallery.items)\n"
            "for mode in ('Summary', 'Plot', 'Grid', 'Pictures'):\n"
            "    form.compare.mode.value = mode\n"
            "    time.sleep(0.5)\n"
            "create.vary.value = texts[2]\n"
            "create.generate('Generate')"
        ),
        "form.create.status.view",
        (
            f"many.export({str(folder / 'many.html')!r})\n"
            f"%modellix export {folder / 'everything.html'}"
        ),
        f"display(HTML({CONTROL!r}))\nprint('all' + ' done')",
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return book


@pytest.fixture(scope="module")
def shown(hostile: Hostile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the notebook and return where it is; its exports will be beside it."""
    folder = tmp_path_factory.mktemp("injections")
    path = folder / "injections.ipynb"
    nbformat.write(notebook(hostile, folder), path)
    return path


def look_at_everything(page: Page) -> None:
    """Scroll through the notebook: what is far off the screen may not be drawn."""
    book = page.locator(".jp-WindowedPanel-outer").first
    height = int(book.evaluate("n => n.scrollHeight"))
    for top in range(0, height + 1, 700):
        book.evaluate("(n, top) => n.scrollTo(0, top)", top)
        page.wait_for_timeout(60)
        provoke_quickly(page)


def provoke_quickly(page: Page) -> None:
    page.evaluate(
        "for (const e of document.querySelectorAll('.jp-OutputArea *'))"
        " e.dispatchEvent(new Event('mouseover'))"
    )


def test_nothing_sings_in_jupyterlab(page: Page, lab: Lab, hostile: Hostile, shown: Path) -> None:
    name = lab.add(shown)
    page.goto(lab.lab(name))
    expect(page.locator(".jp-Notebook .jp-CodeCell").first).to_be_visible(timeout=PATIENCE_MS)
    hostile.sung.clear()
    run_all(page)
    scroll = "n => n.scrollTo(0, 1e7)"
    done = page.get_by_text("all done", exact=True).last
    for _ in range(PATIENCE_MS // 500):
        page.locator(".jp-WindowedPanel-outer").first.evaluate(scroll)
        if done.count() and done.is_visible():
            break
        page.wait_for_timeout(500)
    expect(done).to_be_visible()
    look_at_everything(page)
    assert page.evaluate("window.control") >= 1
    assert_silent(page, hostile)
    page.keyboard.press("Control+s")
    page.wait_for_function("document.querySelectorAll('.jp-mod-dirty').length === 0")
    saved = (lab.folder / name).read_text()
    assert "all done" in saved
    assert '"output_type": "error"' not in saved
    reopened_as_trusted(page, lab, hostile, name)


def reopened_as_trusted(page: Page, lab: Lab, hostile: Hostile, name: str) -> None:
    page.goto("about:blank")
    hostile.sung.clear()
    page.goto(lab.lab(name).replace("/workspaces/", "/workspaces/again-"))
    expect(page.locator(".jp-Notebook .jp-CodeCell").first).to_be_visible(timeout=PATIENCE_MS)
    look_at_everything(page)
    # the control runs only where the notebook is trusted: there, a slip of ours would run too
    page.wait_for_function("window.control >= 1")
    assert_silent(page, hostile)


@pytest.mark.parametrize("kind", ["many", "everything"])
@pytest.mark.parametrize("policy", [True, False], ids=["as it is", "without its policy"])
def test_nothing_sings_in_an_exported_page(
    page: Page,
    hostile: Hostile,
    shown: Path,
    kind: str,
    policy: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    source = shown.with_name(f"{kind}.html")
    assert source.exists(), "the notebook runs first, and writes it"
    markup = source.read_text(encoding="utf-8")
    opened = source
    if not policy:  # what is escaped must not need a second guard
        markup, removed = re.subn(r"<meta[^>]*Content-Security-Policy[^>]*>", "", markup)
        assert removed == 1
        opened = source.with_name(f"{kind}-bare.html")
        opened.write_text(markup, encoding="utf-8")
    hostile.sung.clear()
    page.goto(opened.as_uri())
    expect(page.locator("main")).to_be_visible()
    assert "<img src=x onerror=" in page.locator("body").inner_text()
    assert_silent(page, hostile)


def test_what_was_shown_was_the_corpus(hostile: Hostile, shown: Path, lab: Lab) -> None:
    """Hold that the texts were there to be shown: escaped, in each kind of output."""
    book = nbformat.read(lab.folder / shown.name, as_version=4)
    seen: dict[str, str] = {}
    for cell in book.cells:
        drawn = [o.data.get("text/html", "") for o in cell.outputs if "data" in o]
        seen[cell.source.partition("\n")[0]] = "".join(map(str, drawn))
    escaped = html.escape(hostile.texts()[2])
    for start in ("%%modellix evil/model --number 2", "for each in all_of()", "many", "for way in"):
        (found,) = [
            markup for source, markup in seen.items() if source.startswith(start) and markup
        ][:1]
        assert escaped in found, start
    # pandas cuts long cells short
    assert "&lt;img src=x onerror=" in seen["mx.history().drop_duplicates('prompt')"]
    assert escaped in seen["%modellix models"]
    assert "[U+202E]" in seen["for each in all_of():"]
    assert "\u202e" not in seen["for each in all_of():"]
