"""Whether a request was made before: what equal requests share, and what of it stands for them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from modellix_jupyter.values import Json, Request, Status, Task, number

# Ends of which nothing is left to use: such a request is sent again.
GONE = frozenset({Status.REJECTED, Status.FAILED, Status.EXPIRED})
_NO_DIGESTS: Mapping[str, str] = {}


def request_keys(
    requests: Iterable[Request], service: str, digests: Mapping[str, str] = _NO_DIGESTS
) -> list[str]:
    """Return a key for each request; an equal one further down the list is its next repeat.

    `digests` are those of uploaded files by address: the key is of their bytes, because an address
    changes with each upload.
    """
    seen: Counter[str] = Counter()
    keys = []
    for request in requests:
        text = canonical_text([service, request.model, request.body()], digests)
        keys.append(hashlib.sha256(f"{seen[text]}\n{text}".encode()).hexdigest())
        seen[text] += 1
    return keys


def is_reusable(request: Request, reuse: str) -> bool:
    """Whether an earlier result may stand for a request: without a seed, others are wanted."""
    return reuse == "always" or (reuse == "seeded" and is_seeded(request))


def is_seeded(request: Request) -> bool:
    """Whether it has an explicit seed; a negative one stands for any."""
    seed = number(request.params.get("seed"))
    return seed is not None and seed >= 0


def best(known: Sequence[Task], origin: str) -> Task | None:
    """Return which of the tasks of one key, oldest first, stands for the next such request.

    A result with all of its files is taken, else one that is on its way, else one of unknown
    outcome: it may have been paid for.
    """
    here = [task for task in known if task.origin == origin]
    for wanted in (
        [task for task in known if _is_whole(task)],
        [task for task in here if not task.status.ended or task.missing],
        [task for task in here if task.status is Status.UNKNOWN],
    ):
        if wanted:
            return wanted[-1]
    return None


def _is_whole(task: Task) -> bool:
    files = task.resources
    return task.status is Status.SUCCESS and bool(files) and all(r.path for r in files)


def _digest(text: str) -> str | None:
    """Return the digest of a file that is written into its address."""
    head, comma, content = text.partition(";base64,")
    if comma and head.startswith("data:"):
        with suppress(ValueError):
            return hashlib.sha256(base64.b64decode(content, validate=True)).hexdigest()
    return None


def canonical_text(value: object, digests: Mapping[str, str] = _NO_DIGESTS) -> str:
    """Return a text that equal JSON values share, and equal files in them."""
    return json.dumps(_canonical(value, digests), sort_keys=True)


def _canonical(value: Any, digests: Mapping[str, str]) -> Json:  # noqa: ANN401 - any JSON
    """Return a value that equal ones share: 1 and 1.0 do, 1 and true do not.

    A text is marked as one, so that none is taken for the bytes of a file.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        digest = _digest(value) or digests.get(value)
        return f"text {value}" if digest is None else f"bytes {digest}"
    if isinstance(value, Mapping):
        return {name: _canonical(one, digests) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(one, digests) for one in value]
    plain: Json = value
    return plain
