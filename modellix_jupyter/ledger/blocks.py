"""Tasks by column, for tables: no object for a row, and JSON that repeats is read once.

A million rows are no million objects: what is read is a block of rows, each of its columns a list.
"""

from __future__ import annotations

import json
import os
import re
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from modellix_jupyter.ledger.rows import PLAIN

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

Block: TypeAlias = "dict[str, list[Any]]"

NAMES = (*PLAIN, "model", "prompt", "params", "status", "resources")
"""A block's columns: the fields of a task, and of its request those that a row has."""
_ROWS = 10000
"""Of a block: more save nothing, and what is read of their JSON is held as long as they are."""

_PLAIN_PATH = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)*", re.ASCII).fullmatch
"""What no joining of paths changes but by its separators; every path that we store is one."""


def blocks(rows: sqlite3.Cursor, files: Path) -> Iterator[Block]:
    """Yield the rows by column, so many at a time.

    Parameters
    ----------
    rows
        With the columns of `NAMES`, in their order.
    files
        The folder of the downloads, to which stored paths are relative.

    Yields
    ------
    dict
        For each of `NAMES` a list, alike long. `params` has JSON objects, and `resources` lists of
        what is known of each, with absolute paths; both may be one object in several rows, and are
        only to be read.

    """
    while part := rows.fetchmany(_ROWS):
        columns = map(list, zip(*part, strict=True))
        block: Block = dict(zip(NAMES, columns, strict=True))
        block["params"] = _each_once(block["params"], _read)
        block["resources"] = _each_once(block["resources"], lambda texts: _placed(texts, files))
        yield block


def _each_once(texts: list[str], read: Callable[[list[str]], list[Any]]) -> list[Any]:
    """Return the value of each text; equal texts have one and the same."""
    unique = list(dict.fromkeys(texts))
    if len(unique) == len(texts):
        return read(texts)
    known = dict(zip(unique, read(unique), strict=True))
    return [known[text] for text in texts]


def _read(texts: list[str]) -> list[Any]:
    """Read JSON; one text of all of them takes half the time of each by itself."""
    values: list[Any] = json.loads(f"[{','.join(texts)}]")
    return values


def _placed(texts: list[str], files: Path) -> list[list[dict[str, Any]]]:
    """Read resources, and make their paths absolute as `rows.from_row` does."""
    start = str(files / "x")[:-1]
    rows = _read(texts)
    for entry in chain.from_iterable(rows):
        if "path" in entry:
            path = entry["path"]
            plain = os.sep == "/" and _PLAIN_PATH(path)
            entry["path"] = start + path if plain else str(files / str(path))
    return rows
