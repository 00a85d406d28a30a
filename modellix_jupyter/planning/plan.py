"""The plan of a cell or a call: every request, counted and checked before anything is paid.

The order is part of the contract, because rows and grids follow it: prompts change slowest, then
models, then the varied parameters in the given order; the repeats of a request are adjacent.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from modellix_jupyter.errors import InvalidRequest, did_you_mean, short
from modellix_jupyter.planning.inputs import as_json, mapped
from modellix_jupyter.values import Json, Request, Status, Task, number

if TYPE_CHECKING:
    import pandas as pd

# The model in the example on the service's first page.
EXAMPLE_MODEL = "alibaba/qwen-image-plus"

# The maximal number of requests in a plan; a larger product is probably a mistake.
MAX_REQUESTS = 10_000

# Final states without a result to use: such a request is sent again.
GONE = frozenset({Status.REJECTED, Status.FAILED, Status.EXPIRED})
_NO_DIGESTS: Mapping[str, str] = {}
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_SLUG = re.compile(f"{_PART}/{_PART}")
_MODEL_HINT = f"Write it as provider/model, as in `{EXAMPLE_MODEL}`; `%modellix models` lists them."


def make_plan(
    prompts: Sequence[str | None],
    models: Sequence[str],
    *,
    params: Mapping[str, object] | None = None,
    vary: Mapping[str, Sequence[object]] | None = None,
    repeat: int = 1,
) -> list[Request]:
    """Check the arguments, count the requests, and only then build them; values are copied.

    A prompt of None is for a request without a prompt. Too large a plan is refused as a mistake.
    """
    _check_prompts(prompts)
    _check_models(models)
    checked_params = {name: _plain(name, value) for name, value in (params or {}).items()}
    if vary is not None and not isinstance(vary, Mapping):
        raise InvalidRequest(
            f"What to vary is of type {type(vary).__name__}.", 'Write it as {"seed": [1, 2]}.'
        )
    axes = {name: _check_axis(name, values) for name, values in (vary or {}).items()}
    _check_names(checked_params, axes)
    _check_repeat(repeat)
    sizes = {"prompt": len(prompts), "model": len(models)}
    sizes |= {name: len(values) for name, values in axes.items()}
    _check_count({**sizes, "repeat": repeat})
    combinations = product(prompts, models, product(*axes.values()), range(repeat))
    return [
        Request(model, prompt, {**checked_params, **dict(zip(axes, values, strict=True))})
        for prompt, model, values, _ in combinations
    ]


def plan_rows(requests: Sequence[Request], repeat: int = 1) -> list[dict[str, Json]]:
    """Return a row for each request: its prompt, model, parameters, and repeat if several."""
    rows: list[dict[str, Json]] = []
    for index, request in enumerate(requests):
        row: dict[str, Json] = {"prompt": request.prompt, "model": request.model}
        row |= {f"param.{name}": value for name, value in request.params.items()}
        rows.append(row if repeat == 1 else {**row, "repeat": index % repeat})
    return rows


def check_slug(model: object) -> str:
    """Return a model's slug if it has the form ``provider/model``."""
    if isinstance(model, str) and _SLUG.fullmatch(model):
        return model
    error = InvalidRequest(f"`{short(model)}` is not the name of a model.", _MODEL_HINT)
    error.model = model if isinstance(model, str) else None
    raise error


def _check_prompts(prompts: Sequence[object]) -> None:
    if not prompts:
        raise InvalidRequest("There is no prompt.", "Give at least one.")
    given = ((index, prompt) for index, prompt in enumerate(prompts, 1) if prompt is not None)
    for index, prompt in given:
        where = f"Prompt {index} of {len(prompts)}" if prompts[1:] else "The prompt"
        if not isinstance(prompt, str):
            raise InvalidRequest(
                f"{where} is not a text but of type {type(prompt).__name__}.",
                "Use str(...), or leave it out.",
            )
        if not prompt.strip():
            raise InvalidRequest(f"{where} is empty.", "Write it, or leave it out.")
        _plain(where, prompt)


def _check_models(models: Sequence[str]) -> None:
    if not models:
        raise InvalidRequest("There is no model.", _MODEL_HINT)
    for model in models:
        check_slug(model)
    twice = next((name for i, name in enumerate(models) if name in models[:i]), None)
    if twice is not None:  # it would be paid for twice
        raise InvalidRequest(
            f"The model `{twice}` is named twice.",
            "Name it once; to make each request again use `--repeat 2` (repeat=2 in Python).",
        )


def _check_axis(name: str, values: Sequence[object]) -> tuple[Json, ...]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise InvalidRequest(
            f"The values to vary `{name}` over are not a list.", "Give a list with each value once."
        )
    checked = tuple(_plain(name, value) for value in values)
    if not checked:
        raise InvalidRequest(
            f"`{name}` is to be varied over no values.", "Give at least one, or leave the axis out."
        )
    texts = [canonical_text(value) for value in checked]
    text, times = Counter(texts).most_common(1)[0]
    if times > 1:
        twice = json.dumps(checked[texts.index(text)], ensure_ascii=False)
        raise InvalidRequest(
            f"`{name}` is to be varied over {short(twice)} twice.",
            "Give each value once; to make each request again use `--repeat 2` (repeat=2).",
        )
    return checked


def _check_names(params: Mapping[str, Json], axes: Mapping[str, object]) -> None:
    for name in (*params, *axes):
        if not isinstance(name, str) or not name.strip():
            raise InvalidRequest("A parameter has no name.", "A name is a text that is not empty.")
        if name == "prompt":
            raise InvalidRequest(
                "The prompt is not a parameter.",
                "Several prompts are a list; `---` parts them in a cell.",
            )
    both = next((name for name in axes if name in params), None)
    if both is not None:
        raise InvalidRequest(
            f"`{both}` is given one value and is also to be varied.", "Do one or the other."
        )


def _check_repeat(repeat: object) -> None:
    if not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1:
        raise InvalidRequest(
            f"{short(repeat)} is not a number of repeats.", "Use a whole number from 1 up."
        )


def _check_count(sizes: Mapping[str, int]) -> None:
    count = math.prod(sizes.values())
    if count <= MAX_REQUESTS:
        return
    factors = " x ".join(f"{size:,} {name}" for name, size in sizes.items() if size > 1)
    raise InvalidRequest(
        f"{factors} makes {count:,} requests; one plan holds {MAX_REQUESTS:,} at most.",
        "Vary or repeat less, or run it in several cells.",
    )


def _plain(name: str, value: object) -> Json:
    """Return a copy of a value as JSON, which can be sent and recorded.

    Media stay an `Input` until the schema of the model is known.
    """
    return as_json(value, partial(_sendable, name))


def _sendable(name: str, value: object) -> Json:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=_of_numpy)
        text.encode()  # a lone surrogate is a str, but cannot be encoded as UTF-8
        plain: Json = json.loads(text)
    except (TypeError, ValueError, RecursionError) as problem:
        raise InvalidRequest(
            f"`{short(name)}` cannot be sent as JSON: {problem}.",
            "Use numbers, texts, true, false, null, and lists and objects of these.",
        ) from None
    return plain


def _of_numpy(value: object) -> object:
    """Return the Python value of a NumPy number or array."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"it is or holds a value of type {type(value).__name__}")
    return value.tolist()


# -- plans from a frame


def requests_of(frame: pd.DataFrame, model: str | None = None) -> list[Request]:
    """Return one request for each row of a frame.

    The column ``prompt`` is required, ``model`` replaces the argument of that name, and any other
    column is a parameter.
    """
    if not hasattr(frame, "columns"):
        raise InvalidRequest(
            f"The prompts are of type {type(frame).__name__}, not a DataFrame.",
            'Write pd.DataFrame({"prompt": [...]}) around them.',
        )
    columns = _frame_columns(frame, model)
    if len(frame) > MAX_REQUESTS:
        raise InvalidRequest(
            f"The frame has {len(frame):,} rows; one batch holds {MAX_REQUESTS:,} at most.",
            "Send it in parts.",
        )
    values = {name: frame[name].tolist() for name in columns}
    return [
        _row_request({name: values[name][index] for name in columns}, label, model)
        for index, label in enumerate(frame.index)
    ]


def _frame_columns(frame: pd.DataFrame, model: str | None) -> list[str]:
    names = [str(name) for name in frame.columns]
    if "prompt" not in names:
        hint = f"{did_you_mean('prompt', names)} Rename the column of texts to `prompt`.".strip()
        raise InvalidRequest("The frame has no column `prompt`.", hint)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidRequest(f"The frame has two columns `{twice}`.", "Rename or drop one.")
    if not len(frame):
        raise InvalidRequest("The frame has no rows.", "Nothing was sent.")
    if ("model" in names) == (model is not None):
        what = "and model= is given as well" if model else "and model= is not given"
        column = "a" if model else "no"
        raise InvalidRequest(f"The frame has {column} column `model`, {what}.", "Use one of them.")
    return names


def _row_request(row: dict[str, Any], label: object, model: str | None) -> Request:
    for name, value in row.items():
        if _is_missing(value):
            raise InvalidRequest(
                f"Row {label!r} has no value in column `{name}`.", "Fill it, or drop the row."
            )
        scalar = hasattr(value, "item") and not getattr(value, "shape", ())
        row[name] = value.item() if scalar else value
    slug, prompt = row.pop("model", model), row.pop("prompt")
    try:
        return make_plan([prompt], [slug], params=row)[0]
    except InvalidRequest as error:
        raise InvalidRequest(f"Row {label!r}: {error.message}", error.hint) from None


def _is_missing(value: object) -> bool:
    """Whether a cell of a frame is empty: None, NaN, NaT, NA; a list or an array never is."""
    import pandas as pd

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))  # type: ignore[call-overload]


# -- reusing earlier results


def request_keys(
    requests: Iterable[Request], service: str, digests: Mapping[str, str] = _NO_DIGESTS
) -> list[str]:
    """Return a key for each request; a later equal request is its next repeat, with another key.

    `digests` has the digests of uploaded files by URL: the key depends on their bytes, because the
    URL changes with each upload.
    """
    seen: Counter[str] = Counter()
    keys = []
    for request in requests:
        text = canonical_text([service, request.model, request.body()], digests)
        keys.append(hashlib.sha256(f"{seen[text]}\n{text}".encode()).hexdigest())
        seen[text] += 1
    return keys


def is_reusable(request: Request, reuse: str) -> bool:
    """Whether a request may reuse an earlier result: without a seed, it wants a new one.

    A negative seed means any seed.
    """
    seed = number(request.params.get("seed"))
    return reuse == "always" or (reuse == "seeded" and seed is not None and seed >= 0)


def best(known: Sequence[Task], origin: str) -> Task | None:
    """Return the task that the next request with its key reuses; `known` has them oldest first.

    It is the newest result with all of its files, else the newest task in progress, else the newest
    of unknown outcome: it may have been paid for.
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
    """Return the digest of a file that is embedded in a ``data:`` URI, or None."""
    head, comma, content = text.partition(";base64,")
    if comma and head.startswith("data:"):
        with suppress(ValueError):
            return hashlib.sha256(base64.b64decode(content, validate=True)).hexdigest()
    return None


def canonical_text(value: object, digests: Mapping[str, str] = _NO_DIGESTS) -> str:
    """Return a text that is the same for equal JSON values with equal files."""
    return json.dumps(mapped(value, partial(_canonical, digests)), sort_keys=True)


def _canonical(digests: Mapping[str, str], leaf: Json) -> Json:
    """Return a form that equal leaves share: 1 and 1.0 are equal, 1 and true are not.

    A text is marked as a text, so that none is taken for the digest of a file.
    """
    if isinstance(leaf, float) and leaf.is_integer():
        return int(leaf)
    if isinstance(leaf, str):
        digest = _digest(leaf) or digests.get(leaf)
        return f"text {leaf}" if digest is None else f"bytes {digest}"
    return leaf
