"""Results out of the notebook: copies under readable names, tables, a page, a folder of it all."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.html.elements import shown_of
from modellix_jupyter.results.frame import task_frame
from modellix_jupyter.results.report import report_html
from modellix_jupyter.results.table_files import replacing, write_table
from modellix_jupyter.storage.files import local_copy
from modellix_jupyter.storage.thumbnails import jpeg_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from modellix_jupyter.values import Card, Task

# The endings of a page, besides those of a table.
PAGES = (".html", ".htm")
# Letters of each part of a name, and bytes: a name may have 255, which are 63 letters in some
# scripts.
_MAX_PART, _MAX_PROMPT_BYTES, _MAX_BYTES = 48, 120, 40
# The columns that differ between the rows of one task where it has several files.
_FROM_RESOURCE = ("type", "width", "height", "format", "url", "path")


def save_files(tasks: Iterable[Task], folder: str | Path) -> list[Path]:
    """Copy the files of tasks to a folder, named by prompt, model and seed."""
    _check_named(folder, "Write save('pictures'), or save('.') for here.")
    return list(_copy_all(tasks, Path(folder).expanduser()).values())


def _copy_all(tasks: Iterable[Task], folder: Path) -> dict[str, Path]:
    """Copy every file; return where each is by its key in a page."""
    return {
        f"{task.uid}/{index}": _copy(resource.path, folder, _name(task, index))
        for task in tasks
        for index, resource in enumerate(task.resources)
        if resource.path
    }


def _copy(path: str, folder: Path, name: str) -> Path:
    source = local_copy(path)
    target = folder / f"{name}{source.suffix}"
    with replacing(target) as part:
        shutil.copyfile(source, part)
    return target


def _name(task: Task, index: int) -> str:
    """Return the name of a copy: unique by our own id, and the same when it is saved twice."""
    seed = task.request.params.get("seed")
    parts = [
        _plain(task.request.prompt or "no prompt", _MAX_PROMPT_BYTES),
        _plain(task.request.model.partition("/")[2]),
        f"seed{_plain(str(seed))}" if seed is not None else "",
        f"{task.uid[:8]}-{index + 1}",
    ]
    return "_".join(part for part in parts if part)


def _plain(text: str, max_bytes: int = _MAX_BYTES) -> str:
    parts = "".join(c if c.isalnum() or c in "._" else " " for c in text).split()
    plain = "-".join(parts)[:_MAX_PART].encode()[:max_bytes].decode(errors="ignore")
    return plain.strip("-._")


def export(
    cards: Callable[[], Sequence[Card]],
    frame: pd.DataFrame,
    path: str | Path,
    *,
    format: Literal["folder"] | None = None,  # noqa: A002 - the word that users know for it
) -> Path:
    """Write tasks as a table, as a page where the path ends in html, or as a folder."""
    if format not in {None, "folder"}:
        raise InvalidRequest(
            f"There is no format {format!r}.", "Say format='folder', or let the ending choose."
        )
    _check_named(path, "As in export('tasks.csv'), or export('name/') for a folder.")
    target = Path(path).expanduser()
    if format == "folder" or str(path).endswith(("/", os.sep)):
        return _write_folder(cards(), frame, target)
    if target.is_dir():  # its content may not be ours to replace
        raise InvalidRequest(
            f"{target} is a folder that is there already.",
            f"End it with a slash, {target}{os.sep}, or say format='folder', to write into it; "
            "or name a file.",
        )
    ending = target.suffix.lower()
    if ending in PAGES:
        return _write(report_html(cards(), frame), target)
    thumbnails = _thumbnails(cards()) if ending == ".xlsx" else None
    return write_table(frame, target, thumbnails=thumbnails)


def is_there(path: str | Path) -> bool:
    """Whether an export to this path replaces something: a file, or what a folder was made of."""
    target = Path(path).expanduser()
    return (target / "index.csv" if target.is_dir() else target).exists()


def _check_named(path: str | Path, hint: str) -> None:
    """Refuse what Python takes for the working directory."""
    if not str(path).strip():
        raise InvalidRequest("There is no name to write to.", hint)


def _thumbnails(cards: Sequence[Card]) -> dict[int, bytes]:
    found = {row: jpeg_of(card.media[0]) for row, card in enumerate(cards) if card.media}
    return {row: jpeg for row, jpeg in found.items() if jpeg is not None}


def _write(page: str, target: Path) -> Path:
    with replacing(target) as part:
        part.write_text(page, encoding="utf-8")
    return target


def _write_folder(cards: Sequence[Card], frame: pd.DataFrame, target: Path) -> Path:
    """Write the originals, a table of them, and a page that shows and links to them."""
    copies = _copy_all((card.task for card in cards), target)
    names = {key: path.name for key, path in copies.items()}
    index = _index([card.task for card in cards], frame, names)
    write_table(index, target / "index.csv")
    page = report_html([_beside(card, names) for card in cards], frame, names)
    _write(page, target / "index.html")
    return target


def _index(tasks: Sequence[Task], frame: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Return the frame with one row for each file and the name of its copy."""
    rows = [(at, i) for at, task in enumerate(tasks) for i in range(max(len(task.resources), 1))]
    index = frame.iloc[[at for at, _ in rows]].reset_index(drop=True)
    one_each = task_frame(tasks, by="resource")
    for name in _FROM_RESOURCE:
        index[name] = one_each[name]
    files = [names.get(f"{tasks[at].uid}/{i}") for at, i in rows]
    index.insert(0, "file", files)
    return index.astype({"file": "string"})


def _beside(card: Card, names: dict[str, str]) -> Card:
    """Return the card with links to the copies instead of addresses that end in a day."""
    files = (names.get(shown.key) for shown in shown_of(card))
    media = tuple(replace(item, file=next(files)) for item in card.media)
    return replace(card, media=media)
