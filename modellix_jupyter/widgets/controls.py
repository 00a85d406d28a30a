"""Controls that several views of the panel share."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.errors import ModellixError
from modellix_jupyter.html.markup import el, html
from modellix_jupyter.storage.files import local_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from modellix_jupyter.values import Task

    # Uploads a file, then calls the first function with its address or the second with why not.
    Upload = Callable[[Path, Callable[[str], None], Callable[[str], None]], None]

WIDE = {"width": "auto", "min_width": "0"}
# Labels stand above their fields, by the style sheet.
LABEL = {"description_width": "initial"}

# Earlier pictures to choose from, the newest first.
MAX_EARLIER = 30

_ALERT = (
    "border-left:3px solid #e5484d;padding:2px 0 2px 10px;line-height:1.5;overflow-wrap:anywhere"
)
_ENDINGS = {"image/jpeg": ".jpg", "image/webp": ".webp"}


def button(label: str, click: Callable[[], object], **traits: Any) -> widgets.Button:  # noqa: ANN401 - traits
    """Return a button as wide as its label."""
    made = widgets.Button(description=label, **{"layout": {"width": "auto"}, **traits})
    made.on_click(lambda _: click())
    return made


def field(kind: type[widgets.Widget], label: str, **traits: Any) -> widgets.Widget:  # noqa: ANN401 - traits
    """Return a labelled control that reports its value when the user leaves it."""
    if hasattr(kind, "continuous_update"):
        traits["continuous_update"] = False
    if "tooltip" in traits and not hasattr(kind, "tooltip"):  # ipywidgets 7
        traits["description_tooltip"] = traits.pop("tooltip")
    return kind(description=label, **{"layout": WIDE, "style": LABEL, **traits})


def checkbox(label: str, *, value: bool = False) -> widgets.Checkbox:
    """Return a box to tick, with its label beside it."""
    layout = {"width": "auto", "max_width": "100%"}
    return widgets.Checkbox(value, description=label, indent=False, layout=layout)


def row(*children: widgets.Widget, **layout: str) -> widgets.HBox:
    """Return controls side by side, on several lines where the page is narrow."""
    wrap = {"flex_flow": "row wrap", "align_items": "center"}
    return widgets.HBox(children, layout={**wrap, **layout})


def column(*children: widgets.Widget, **layout: str) -> widgets.VBox:
    """Return controls below each other."""
    return widgets.VBox(children, layout={**WIDE, **layout})


def box(name: str, *children: widgets.Widget) -> widgets.VBox:
    """Return controls in a box that the style sheet knows by its name."""
    made = widgets.VBox(children)
    made.add_class(name)
    return made


def set_visible(widget: widgets.Widget, *, visible: bool) -> None:
    """Show a control, or take it out of the page."""
    widget.layout.display = "" if visible else "none"


def close_all(widget: widgets.Widget) -> None:
    """Close a widget and all that it is made of, their layouts and styles included."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for part in ("layout", "style"):
        owned = getattr(widget, part, None)
        if isinstance(owned, widgets.Widget):
            owned.close()
    widget.close()


def title(task: Task, length: int = 60) -> str:
    """Return a task's model and the start of its prompt, on one line."""
    prompt = " ".join((task.request.prompt or "").split())[:length]
    return f"{task.request.model}: {prompt}" if prompt else task.request.model


class StatusLine:
    """A line that a screen reader reads out when it changes."""

    def __init__(self) -> None:
        self.view = widgets.HTML()

    def error(self, error: ModellixError) -> None:
        """Show what went wrong and what to do."""
        lines = el("div", html(error.message)), el("div", html(error.hint))
        self.view.value = el("div", *lines, role="alert", style=_ALERT)

    def message(self, text: str) -> None:
        """Show a sentence."""
        self.view.value = el("div", html(text), role="status", style="line-height:1.5")

    def clear(self) -> None:
        """Show nothing."""
        self.view.value = ""

    @contextlib.contextmanager
    def show_errors(self) -> Iterator[None]:
        """Show an error of the block instead of raising it."""
        try:
            yield
        except ModellixError as error:
            self.error(error)


class PictureField:
    """A field for addresses of pictures, with an upload and a list of earlier results."""

    def __init__(
        self,
        label: str,
        tooltip: str | None,
        *,
        many: bool,
        upload: Upload,
        earlier: Sequence[Task],
    ) -> None:
        self._many = many
        self._upload = upload
        self._address = field(
            widgets.Text, label, placeholder="https://… or upload", tooltip=tooltip
        )
        self._files = widgets.FileUpload(
            description=f"Upload {label.removesuffix(' *')}",
            accept="image/png,image/jpeg,image/webp",
            multiple=many,
            layout={"width": "auto"},
        )
        self._earlier = field(
            widgets.Dropdown,
            "or an earlier result",
            options=[("choose", None), *_pictures(earlier)],
            layout={"width": "auto", "max_width": "100%", "flex": "1 1 14em"},
            style={"description_width": "initial"},
        )
        self._status = widgets.HTML()
        self._files.observe(self._on_files, "value")
        self._earlier.observe(self._on_earlier, "value")
        self.view = widgets.VBox([self._address, row(self._files, self._earlier), self._status])

    @property
    def addresses(self) -> list[str]:
        """What is in the field."""
        return str(self._address.value).split()

    @addresses.setter
    def addresses(self, urls: Iterable[str]) -> None:
        self._address.value = " ".join(urls)

    def _on_files(self, change: dict[str, Any]) -> None:
        for mime, content in _uploaded(change["new"]):
            # its name is the browser's, and untrusted: the ending alone is used
            with tempfile.NamedTemporaryFile(
                suffix=_ENDINGS.get(mime, ".png"), delete=False
            ) as copy:
                copy.write(content)
            self._send(Path(copy.name), f"{len(content) / 1e6:.1f} MB", temporary=True)
        if change["new"]:
            self._forget_files()

    def _forget_files(self) -> None:
        """Let the bytes go, which need not stay in a synced state."""
        if isinstance(self._files.value, dict):  # ipywidgets 7
            self._files.data, self._files.metadata = [], []
            self._files.set_trait("value", {})
        else:
            self._files.value = ()

    def _on_earlier(self, change: dict[str, Any]) -> None:
        if change["new"] is not None:
            self._send(local_copy(change["new"]), Path(change["new"]).name)

    def _send(self, path: Path, name: str, *, temporary: bool = False) -> None:
        """Upload a file; a temporary one is removed afterwards."""

        def finish(message: str) -> None:
            if temporary:
                path.unlink(missing_ok=True)
            self._status.value = html(message)

        def add(url: str) -> None:
            self.addresses = [*(self.addresses if self._many else ()), url]
            finish(f"Uploaded: {name}")

        self._status.value = html("Uploading …")
        self._upload(path, add, finish)


def _uploaded(value: Any) -> list[tuple[str, bytes]]:  # noqa: ANN401 - ipywidgets has no types
    """Return the type and the content of each file; ipywidgets 7 has them by their names."""
    files = value.values() if isinstance(value, dict) else value
    return [(file.get("metadata", file)["type"], bytes(file["content"])) for file in files]


def _pictures(tasks: Iterable[Task]) -> list[tuple[str, str]]:
    """Return a label and the path of each picture of these tasks, as many as are offered."""
    found = []
    for task in tasks:
        paths = [picture.path for picture in task.pictures if picture.path]
        for number, path in enumerate(paths, 1):
            found.append((title(task, 40) + (f" ({number})" if paths[1:] else ""), path))
    return found[:MAX_EARLIER]
