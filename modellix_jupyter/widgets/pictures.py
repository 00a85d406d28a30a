"""A field for pictures as inputs: an address, an upload, or an earlier result."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from modellix_jupyter.html.markup import html
from modellix_jupyter.widgets.fields import LABEL, UNSET, WIDE, Field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modellix_jupyter.planning.schema import Parameter
    from modellix_jupyter.values import Task

_EARLIER = 30
"""Earlier results to choose from, the newest first."""


class PictureField:
    """The parts of one such field.

    Parameters
    ----------
    parameter
        A text, or a list of texts.
    upload
        Uploads a file off this thread, then calls the first function with its address, or the
        second with what went wrong.
    earlier
        Returns tasks that made pictures, the newest first.

    """

    def __init__(
        self,
        parameter: Parameter,
        upload: Callable[[Path, Callable[[str], None], Callable[[str], None]], None],
        earlier: Callable[[], Sequence[Task]],
    ) -> None:
        self._many = parameter.type == "array"
        self._upload = upload
        name = parameter.name.replace("_", " ")
        self._address = widgets.Text(
            description=name + (" *" if parameter.required else ""),
            placeholder="https://… or upload",
            tooltip=" ".join(parameter.description.split())[:400] or None,
            continuous_update=False,
            layout=WIDE,
            style=LABEL,
        )
        self._files = widgets.FileUpload(
            description=f"Upload {name}",
            accept="image/png,image/jpeg,image/webp",
            multiple=self._many,
            layout=widgets.Layout(width="auto"),
        )
        self._earlier = widgets.Dropdown(
            description="or an earlier result",
            options=[("choose", None), *_choices(earlier())],
            layout=widgets.Layout(width="auto", max_width="100%", flex="1 1 14em"),
            style={"description_width": "initial"},
        )
        self._status = widgets.HTML()
        self._files.observe(self._uploaded, "value")
        self._earlier.observe(self._chosen, "value")
        more = widgets.HBox(
            [self._files, self._earlier], layout=widgets.Layout(flex_flow="row wrap")
        )
        self.field = Field(
            parameter.name, widgets.VBox([self._address, more, self._status]), self._get, self._put
        )

    def _get(self) -> Any:  # noqa: ANN401 - JSON, or UNSET
        addresses = self._address.value.split()
        if not addresses:
            return UNSET
        return list(addresses) if self._many else addresses[0]

    def _put(self, value: Any) -> None:  # noqa: ANN401 - JSON, or UNSET
        texts = value if isinstance(value, list) else [] if value is UNSET else [value]
        self._address.value = " ".join(map(str, texts))

    def _uploaded(self, change: dict[str, Any]) -> None:
        for file in change["new"]:
            folder = Path(tempfile.mkdtemp(prefix="modellix-upload-"))
            # its name is the browser's, and untrusted: the ending alone is used
            path = folder / f"upload{_ending(file['type'])}"
            path.write_bytes(bytes(file["content"]))
            self._send(path, f"{len(file['content']) / 1e6:.1f} MB", folder)
        if change["new"]:
            self._files.value = ()  # the bytes need not stay in a synced state

    def _chosen(self, change: dict[str, Any]) -> None:
        if change["new"] is not None:
            self._send(Path(change["new"]), Path(change["new"]).name)

    def _send(self, path: Path, what: str, folder: Path | None = None) -> None:
        """Upload a file; `folder` is ours and goes when that is over, well or not."""

        def take(url: str) -> None:
            self._clear(folder)
            kept = self._address.value.split() if self._many else []
            self._address.value = " ".join([*kept, url])
            self._status.value = html(f"Uploaded: {what}")

        def fail(reason: str) -> None:
            self._clear(folder)
            self._status.value = html(reason)

        self._status.value = html("Uploading …")
        self._upload(path, take, fail)

    def _clear(self, folder: Path | None) -> None:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _ending(kind: str) -> str:
    return {"image/jpeg": ".jpg", "image/webp": ".webp"}.get(kind, ".png")


def _choices(tasks: Sequence[Task]) -> list[tuple[str, str]]:
    found = []
    for task in tasks:
        pictures = [r.path for r in task.pictures if r.path]
        prompt = " ".join((task.request.prompt or "").split())[:40]
        for place, path in enumerate(pictures, 1):
            which = f" ({place})" if pictures[1:] else ""
            found.append((f"{task.request.model}: {prompt}{which}", path))
    return found[:_EARLIER]
