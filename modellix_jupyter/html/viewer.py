"""The viewer: its JavaScript and style sheet, and what it shows of a task."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from modellix_jupyter.html.markup import Html
from modellix_jupyter.values import Resource, Task, to_datetime

_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)


def viewer_js() -> str:
    """Return JavaScript that defines `viewer`; what uses it follows in the same script."""
    return _module("viewer")


def tables_js() -> str:
    """Return JavaScript that defines `tables`, which lets tables be sorted and searched."""
    return _module("tables")


@cache
def _module(name: str) -> str:
    """Return a module as one object that has only its exports.

    An anywidget's module cannot import another, so the texts are joined.
    """
    source = files(__package__).joinpath(f"{name}.js").read_text("utf-8")
    names = ", ".join(_EXPORT.findall(source))
    return f"const {name} = (() => {{\n{_EXPORT.sub('', source)}\nreturn {{ {names} }};\n}})();\n"


@cache
def viewer_css() -> str:
    """Return the viewer's style sheet; its rules apply to nothing else in a page."""
    return files(__package__).joinpath("viewer.css").read_text("utf-8")


@cache
def page_js() -> str:
    """Return the script of an exported page, which finds its facts in the page."""
    return (
        viewer_js() + tables_js() + files(__package__).joinpath("viewer_page.js").read_text("utf-8")
    )


def facts_of(task: Task, resource: Resource) -> dict[str, Any]:
    """Return what the viewer shows of a picture, video or sound beside it."""
    ended = to_datetime(task.completed_at)
    known = {
        "type": resource.type if resource.type in {"video", "audio"} else "image",
        "width": resource.width,
        "height": resource.height,
        "prompt": task.request.prompt,
        "model": task.request.model,
        "params": dict(task.request.params),
        "price": task.price if task.charged is None else None,
        "charged": task.charged,
        "seconds": task.elapsed_s,
        "date": ended.astimezone().strftime("%d %b %Y, %H:%M") if ended else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def script_json(value: object) -> Html:
    """Return JSON that is safe in a script element."""
    text = json.dumps(value)
    return Html(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
