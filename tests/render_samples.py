"""Tasks and cards for the tests of what is shown, and text that tries to be more than text."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from modellix_jupyter.values import Activity, Card, Media, Request, Resource, Status, Task

NOW = 1_800_000_000.0
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

INJECTIONS = (
    "<script>window.canary = 1</script>",
    "</script><script>window.canary = 1</script>",
    "<img src=x onerror='window.canary = 1'>",
    '"><img src=x onerror="window.canary = 1">',
    "' onmouseover='window.canary = 1' x='",
    '" style="position:fixed;inset:0" onclick="window.canary = 1',
    "<svg/onload=window.canary=1>",
    "</style><script>window.canary = 1</script><style>",
    "</title><script>window.canary = 1</script>",
    "--><script>window.canary = 1</script><!--",
    "]]><script>window.canary = 1</script>",
    "<iframe srcdoc='<script>parent.canary = 1</script>'></iframe>",
    "<details open ontoggle=window.canary=1>",
    "<a href='javascript:window.canary=1'>x</a>",
    "javascript:window.canary=1",
    "data:text/html,<script>window.canary=1</script>",
    "data:image/svg+xml;base64,PHN2Zy8+",
    'data:image/png;base64,AAAA" onerror="window.canary=1',
    'https://example.com/" onmouseover="window.canary=1',
    "&lt;script&gt;window.canary=1&lt;/script&gt;",
    "{{constructor.constructor('window.canary=1')()}}",
    "`<b>`%modellix`<i>`",
    "red;background:url(https://example.com/x)",
    "\x00<script>window.canary = 1</script>",
    "\x1b]8;;https://example.com\x07click\x1b]8;;\x07 \x1b[2J",
    "invoice\u202egnp.exe",
    "\ud800<b>",
)

TAGS: dict[str, set[str]] = {
    "div": {"style", "role", "aria-label", "aria-valuemin", "aria-valuemax", "aria-valuenow"}
    | {"title", "class", "data-mx", "data-mx-type", "data-mx-group", "data-mx-box", "tabindex"},
    "span": {"style"},
    "strong": set(),
    "bdi": set(),
    "code": {"style"},
    "a": {"href", "target", "rel", "style"},
    "img": {"src", "alt", "width", "height", "title", "style"},
    "video": {"controls", "preload", "src", "aria-label", "style"},
    "audio": {"controls", "preload", "src", "aria-label", "style"},
    "figure": {"style", "title"},
    "figcaption": {"style"},
    "table": {"style", "data-mx-table"},
    "caption": {"style"},
    "thead": set(),
    "tbody": set(),
    "tr": {"style"},
    "th": {"style", "scope", "colspan", "class"},
    "td": {"style", "class", "data-v"},
}
PAGE_TAGS: dict[str, set[str]] = TAGS | {
    "html": {"lang"},
    "head": set(),
    "meta": {"charset", "http-equiv", "content", "name"},
    "title": set(),
    "style": set(),
    "body": set(),
    "header": set(),
    "main": {"data-mx-group"},
    "script": {"type", "id"},
    "footer": set(),
    "h1": set(),
    "h2": set(),
    "small": set(),
    "time": {"datetime"},
    "dl": {"class"},
    "dt": set(),
    "dd": set(),
    "picture": set(),
    "source": {"media", "srcset"},
}
VOID = {"img", "meta", "source"}


class Parsed(HTMLParser):
    """Markup as a browser's parser takes it: its elements, its text, and whether it is balanced."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.others: list[str] = []
        self._open: list[str] = []
        self.feed(markup)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), attrs
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def bars(self) -> list[dict[str, str | None]]:
        return [a for _, a in self.elements if a.get("role") == "progressbar"]


def us(seconds: float) -> int:
    """Return a moment before or after NOW as the values keep it."""
    return int((NOW + seconds) * 1e6)


def task(status: Status = Status.SUCCESS, **changes: Any) -> Task:
    ended = status.ended
    values: dict[str, Any] = {
        "uid": "u1",
        "batch": "b1",
        "origin": "https://api.modellix.ai",
        "request": Request("alibaba/qwen-image-plus", "a cat", {"seed": 7, "size": "1024*1024"}),
        "status": status,
        "created_at": us(-20.5),
        "submitted_at": None if status is Status.SUBMITTING else us(-20),
        "completed_at": us(-7.6) if ended else None,
        "task_id": None if status in {Status.SUBMITTING, Status.REJECTED} else "task-1",
        "attempts": 1,
        "price": 0.04,
    }
    return Task(**values | changes)


def resource(**changes: Any) -> Resource:
    values: dict[str, Any] = {
        "url": "https://cdn.example.com/1.png",
        "type": "image",
        "width": 1024,
        "height": 768,
        "path": "/data/1.png",
        "size": 1_300_000,
    }
    return Resource(**values | changes)


def picture(**changes: Any) -> Media:
    values: dict[str, Any] = {
        "kind": "image",
        "src": PIXEL,
        "width": 1024,
        "height": 768,
        "path": "/data/1.png",
        "url": "https://cdn.example.com/1.png",
        "size": 1_300_000,
    }
    return Media(**values | changes)


def done(**changes: Any) -> Card:
    return Card(task=task(resources=(resource(),), **changes), media=(picture(),))


def hostile(text: str, status: Status, kind: str, src: str | None = None) -> Card:
    """Return a card in which every field that holds text holds this one."""
    return Card(
        task=Task(
            uid=text,
            batch=text,
            origin=text,
            request=Request(text, text, {"seed": text, text: text}),
            status=status,
            created_at=us(-20),
            submitted_at=us(-20),
            completed_at=us(-5),
            task_id=text,
            model_id=text,
            resources=(
                Resource(url=text, type=text, format=text, role=text, path=text, problem=text),
                Resource(url=text, problem=text),
            ),
            price=0.04,
            request_id=text,
            error_code=400,
            error_message=text,
        ),
        activity=Activity(what=text, until=NOW + 3, attempt=2, of=4),
        usual_s=20,
        media=(
            Media(kind=kind, src=text if src is None else src, path=text, url=text, problem=None),
            Media(kind=kind, src=PIXEL, path=text, url=text, width=8, height=8),
            Media(kind=text, src=text, path=text, url=text, problem=text),
        ),
    )
