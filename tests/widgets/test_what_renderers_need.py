"""What front ends that cannot be run here need of outputs and widgets: VS Code's, and Colab's."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import anywidget
import pytest

import modellix_jupyter
from modellix_jupyter.html.elements import asset, module_js
from modellix_jupyter.notebook.display import LiveView
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.notebook.viewer import ViewerLink, talk_js
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results.show import show
from modellix_jupyter.widgets.marimo_panel import MarimoPanel

from .panel_rig import HANG_S, Page

PACKAGE = Path(modellix_jupyter.__file__).parent
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# Handlers, and elements that are no part of what a page of results needs.
ACTIVE = re.compile(r"<(?:script|style|link|iframe|object|embed|form)\b|\son\w+\s*=", re.IGNORECASE)
IMPORT = re.compile(r"^\s*(?:import|export)\b[^;]*\bfrom\b|^\s*import\s*[\"']", re.MULTILINE)
DYNAMIC = re.compile(r"\bimport\(([^)]*)\)")
REMOTE = re.compile(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE)


def widget_classes() -> set[type[anywidget.AnyWidget]]:
    """Return every widget of the package, wherever it is defined.

    Each instance has a class of its own below these, with traits in place of what is written.
    """
    for module in walk_packages(modellix_jupyter.__path__, "modellix_jupyter."):
        if ".migrations" not in module.name:
            import_module(module.name)
    found, classes = [anywidget.AnyWidget], set()
    while found:
        below = found.pop().__subclasses__()
        found += below
        classes |= {each for each in below if isinstance(vars(each).get("_esm"), str)}
    return {each for each in classes if each.__module__.startswith("modellix_jupyter.")}


def scripts() -> dict[str, str]:
    """Return all code that a page runs: of each widget, and what the viewer is sent."""
    of_widgets = {each.__name__: vars(each)["_esm"] for each in widget_classes()}
    link = (PACKAGE / "notebook" / "viewer_link.js").read_text("utf-8")
    return {
        **of_widgets,
        "the panel in marimo": MarimoPanel._esm.default_value,
        "the viewer": module_js("viewer") + module_js("tables") + talk_js() + link,
    }


def test_the_widgets_are_found() -> None:
    assert ViewerLink in widget_classes()
    assert len(widget_classes()) > 4


def test_code_imports_nothing_and_names_no_other_place() -> None:
    """A page of VS Code or Colab reaches no file of ours, and may reach no network."""
    for name, code in scripts().items():
        without_comments = re.sub(r"^\s*(?://|/\*|\*).*$", "", code, flags=re.MULTILINE)
        assert not IMPORT.search(without_comments), name
        assert not REMOTE.search(without_comments), name
        assert not re.search(r"var\(\s*--jp[\w-]*\s*\)", code), name
        # the only one is of a blob that the kernel sent, as anywidget does itself
        assert DYNAMIC.findall(without_comments) == (["address"] if name == "ViewerLink" else []), (
            name
        )


def test_code_is_a_module_with_one_default() -> None:
    for name, code in scripts().items():
        assert len(re.findall(r"^export default ", code, re.MULTILINE)) == 1, name


@pytest.mark.parametrize("sheet", sorted(PACKAGE.rglob("*.css")), ids=lambda path: path.name)
def test_a_colour_of_jupyterlab_has_another_to_fall_back_on(sheet: Path) -> None:
    css = sheet.read_text("utf-8")
    used = re.findall(r"var\(\s*(--[\w-]+)\s*([,)])", css)
    code = "".join(scripts().values())  # which sets some on elements
    sheets = "".join(each.read_text("utf-8") for each in PACKAGE.rglob("*.css"))
    defined = set(re.findall(r"(--[\w-]+)\s*:", sheets)) | set(re.findall(r"--[\w-]+", code))
    defined = {name for name in defined if not name.startswith("--jp")}
    assert [name for name, end in used if end == ")" and name not in defined] == []
    assert not REMOTE.search(css)
    assert "@import" not in css
    assert "url(" not in css


def test_outputs_are_two_types_of_data_with_nothing_that_runs(session: Session) -> None:
    results = session.submit(make_plan(["a cat"], ["sandbox/fast", "sandbox/refuses"])).wait(HANG_S)
    view = LiveView(session, [task.uid for task in results], Silent())
    pages = [view.bundle(final=False), view.bundle(final=True)]
    view.stop()
    assert [set(page) for page in pages] == [{"text/html", "text/plain"}] * 2
    table = show(results.frame())
    texts = [page["text/html"] for page in pages]
    texts += [results._repr_html_(), results.grid()._repr_html_()]
    # but for what sorts and searches the table, which is read without it
    texts.append(table._repr_html_().partition('<script type="module">')[0])
    for text in texts:
        assert not ACTIVE.search(text)
        assert "var(--jp" not in text


def test_the_panel_is_one_view_and_small_states(page: Page) -> None:
    panel: Any = page.panel
    if hasattr(panel, "_repr_mimebundle_"):
        assert set(panel._repr_mimebundle_()) == {WIDGET_VIEW, "text/plain"}
    # of a saved state, VS Code shows what a page can show without a kernel
    assert len(repr(panel.get_state())) < 10_000
    for gallery in panel.actions.galleries:
        state = {k: v for k, v in gallery.get_state().items() if k not in {"_esm", "_css"}}
        assert len(repr(state)) < 10_000


def test_the_viewer_brings_its_own_style() -> None:
    assert "var(--jp" in asset("viewer.css")  # and falls back, as the sheets above are held to


class Silent:
    """Draws nothing."""

    def draw(self, bundle: dict[str, str], *, last: bool) -> None:
        """Take it."""
