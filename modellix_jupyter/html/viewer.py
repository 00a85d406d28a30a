"""The viewer's JavaScript and style sheet, for a page of its own and for an anywidget."""

from __future__ import annotations

import re
from importlib.resources import files

_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)


def viewer_js() -> str:
    """Return JavaScript that defines `viewer`; what uses it follows in the same script.

    An anywidget's module cannot import another, so the text of both is joined; all names but
    `viewer` stay inside.
    """
    source = files(__package__).joinpath("viewer.js").read_text("utf-8")
    names = ", ".join(_EXPORT.findall(source))
    return f"const viewer = (() => {{\n{_EXPORT.sub('', source)}\nreturn {{ {names} }};\n}})();\n"


def viewer_css() -> str:
    """Return its style sheet, whose rules concern nothing else in a page."""
    return files(__package__).joinpath("viewer.css").read_text("utf-8")
