"""Parses the service's answers, which are untrusted JSON, into values.

A documented field of the wrong type counts as missing, an unknown field is ignored, and an answer
of the wrong shape is a `BadAnswer`. Nothing else is raised for any input, as property tests check.
Fields are read by hand, because a schema library refuses a whole message for one odd field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

from modellix_jupyter.errors import BadAnswer
from modellix_jupyter.values import (
    EPOCH,
    Accepted,
    Json,
    Model,
    Price,
    Resource,
    Status,
    TaskAnswer,
    UploadedFile,
    number,
)

_T = TypeVar("_T")

# Files of one task that are read at most (as in the vendor's own command line).
MAX_RESOURCES = 100

# The names under which an answer lists its files, and its groups by type.
_LISTS = ("resources", "result_resources")
_GROUPS = {"images": "image", "videos": "video", "audios": "audio"}

# Smaller times are in seconds (until the year 5138), larger ones in milliseconds.
_FIRST_MS, _LAST_MS = 1e11, 1e14
# The largest page of the catalog, in entries; a larger claim is ignored.
_MAX_PAGE_SIZE = 100_000

_NAMES = {
    Status.PENDING: "pending queued created submitted",
    Status.PROCESSING: "processing running in_progress",
    Status.SUCCESS: "success succeeded completed done",
    Status.FAILED: "failed error canceled cancelled",
}
_STATUS = {name: status for status, names in _NAMES.items() for name in names.split()}


def parse_json(body: bytes | str) -> Json:
    """Return the JSON value; raises `BadAnswer`, also for NaN and Infinity."""
    try:
        value: Json = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("The service's answer is not JSON.") from error
    return value


def parse_page(body: bytes) -> Json:
    """Return the JSON value, or None of what is none, as a web site answers for a page it lacks."""
    try:
        return parse_json(body)
    except BadAnswer:
        return None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def error_message(body: bytes, status: int) -> str | None:
    """Return the message of a documented error, whose ``code`` is the HTTP status; else None."""
    try:
        value = parse_json(body)
    except BadAnswer:
        return None
    if not isinstance(value, dict) or value.get("code") != status:
        return None
    return _text(value.get("message"))


def parse_accepted(body: bytes) -> Accepted:
    """Return the id of an accepted task; without a usable id the outcome is unknown."""
    data = _task(_data(_success(body)))
    task_id = _task_id(data)
    if task_id is None or not usable_task_id(task_id):
        raise BadAnswer(f"The service accepted something, but named no task{_as_it_came(data)}.")
    return Accepted(task_id, _text(data.get("model_id")))


def _as_it_came(data: dict[str, Json]) -> str:
    """Return the unusable id as text, so that the user can look the task up by hand."""
    named = data.get("task_id")
    return "" if named is None else f" by an id that can be used: {named!r:.300}"


def _task(data: dict[str, Json]) -> dict[str, Json]:
    """Return the fields of a task, which may be nested in `task`."""
    inside = _mapping(data.get("task"))
    named = {"task_id": inside["id"]} if "id" in inside else {}
    return {**named, **data, **inside}


def _task_id(data: dict[str, Json]) -> str | None:
    """Return the id; a number is accepted too, since the task was paid for."""
    named = data.get("task_id")
    return str(named) if type(named) is int else _text(named)


def parse_task(body: bytes, task_id: str) -> TaskAnswer:
    """Return the state of a task; raises `BadAnswer` if the answer is about another task."""
    data = _task(_data(_success(body)))
    named = _task_id(data)
    if named is not None and named != task_id:
        raise BadAnswer("The service answered about another task.")
    status = _text(data.get("status")) or _text(data.get("state"))
    if status is None:
        raise BadAnswer("The service answered about a task, but not its status.")
    return _task_answer(data, status)


def _task_answer(data: dict[str, Json], status: str) -> TaskAnswer:
    result = _mapping(data.get("result")) or _mapping(data.get("output"))
    extensions = _mapping(result.get("extensions"))
    metadata = _mapping(result.get("metadata"))
    listed = _files_in(data, result)
    resources = _resources(listed)
    named = max(len(listed), count(metadata.get("image_count")) or 0)
    known = _STATUS.get(status.strip().lower().replace("-", "_"))
    return TaskAnswer(
        status=known or Status.PROCESSING,
        odd=None if known else status,
        model_id=_text(data.get("model_id")),
        duration_ms=count(data.get("duration")),
        resources=resources,
        lacking=max(0, min(named, MAX_RESOURCES) - len(resources)),
        beyond=max(0, named - MAX_RESOURCES),
        expires_at=_moment(data.get("result_expires_at")) or _moment(data.get("expires_at")),
        request_id=_text(metadata.get("request_id")),
        completed_at=_time(extensions.get("end_time")),
        reason=_reason(data, result) or _canceled(status),
        charged=_charged(data),
    )


class CatalogPage(NamedTuple):
    """One page of the catalog; `total` is None if the service does not state it."""

    models: list[Model]
    total: int | None
    size: int
    has_more: bool = False


def parse_models(body: bytes) -> CatalogPage:
    """Return one page of the catalog; its length counts as its size unless one is stated."""
    value = parse_json(body)
    if isinstance(value, dict) and isinstance(value.get("data"), dict | list):
        value = value["data"]
    page, entries = _mapping(value), _listed(value, "models", "items", "list")
    if entries is None:
        raise BadAnswer("The service's answer has no list of models.")
    size = count(page.get("page_size")) or 0
    return CatalogPage(
        models=[model for model in map(_model, entries) if model is not None],
        total=_first((count(page.get("total")), count(page.get("total_count")))),
        size=size if 0 < size < _MAX_PAGE_SIZE else len(entries),
        has_more=page.get("has_more") is True,
    )


def max_age_s(cache_control: str) -> float | None:
    """Return the seconds for which an answer may be cached, or None if the header is missing."""
    said = [each.strip().partition("=") for each in cache_control.lower().split(",")]
    if any(name in {"no-store", "no-cache"} for name, _, _ in said):
        return 0.0
    ages = (number(value.strip('" ')) for name, _, value in said if name == "max-age")
    return _first(age for age in ages if age is not None and age >= 0)


def parse_validity(body: bytes) -> bool:
    """Return whether the service accepts the key."""
    valid = _data(_success(body)).get("is_valid")
    if not isinstance(valid, bool):
        raise BadAnswer("The service did not say whether the key is valid.")
    return valid


def parse_balance(body: bytes) -> float:
    """Return the balance, in USD."""
    balance = number(_data(_success(body)).get("balance"))
    if balance is None:
        raise BadAnswer("The service did not state the balance.")
    return balance


def parse_upload(body: bytes) -> UploadedFile:
    """Return an uploaded file."""
    data = _data(_success(body))
    found = _uploaded(data) or _uploaded(_mapping(data.get("file")))
    if found is None:
        raise BadAnswer("The service accepted the file, but did not say where it is.")
    return found


def parse_files(body: bytes) -> list[UploadedFile]:
    """Return the uploaded files that the service keeps, listed under any of several names."""
    found = _listed(_success(body).get("data"), "files", "items", "list", "data")
    if found is None:
        raise BadAnswer("The service's answer has no list of files.")
    return [each for each in map(_uploaded, map(_mapping, found)) if each is not None]


def _uploaded(entry: dict[str, Json]) -> UploadedFile | None:
    url = _text(entry.get("url"))
    if url is None:
        return None
    return UploadedFile(
        file_id=_text(entry.get("file_id")) or _text(entry.get("id")) or "",
        url=url,
        filename=_text(entry.get("filename")) or _text(entry.get("name")) or "",
        size=count(entry.get("size")),
        created_at=_moment(entry.get("created_at")),
        expires_at=_moment(entry.get("expires_at")),
    )


def usable_task_id(task_id: str) -> bool:
    """Whether an id is safe in a URL path and in a message: 1 to 256 visible ASCII characters."""
    if task_id in {".", ".."}:
        return False
    return 0 < len(task_id) <= 256 and all("!" <= c <= "~" for c in task_id)  # noqa: PLR2004 - a bound on an untrusted string


def _success(body: bytes) -> dict[str, Json]:
    value = parse_json(body)
    if not isinstance(value, dict) or value.get("code", 0) != 0:
        raise BadAnswer("The service's answer has a form that is not documented.")
    return value


def _data(value: dict[str, Json]) -> dict[str, Json]:
    data = value.get("data")
    if not isinstance(data, dict):
        raise BadAnswer("The service's answer has no data.")
    return data


def _model(entry: Json) -> Model | None:
    if not isinstance(entry, dict):
        return None
    slug = _text(entry.get("slug")) or _slug(entry)
    if slug is None:
        return None
    return Model(
        slug=slug,
        type=_text(entry.get("type")) or "",
        description=_text(entry.get("description")) or "",
        price=_price(entry),
    )


def _slug(entry: dict[str, Json]) -> str | None:
    """Return the slug of a model, also if it is given as provider and model id."""
    provider, name = _text(entry.get("provider")), _text(entry.get("model_id"))
    if provider is None or name is None:
        return None
    return name if "/" in name else f"{provider}/{name}"


def _price(entry: dict[str, Json]) -> Price | None:
    """Return the display price; its field names are not published, so several are tried."""
    places = (entry.get(field) for field in ("price", "display_price", "pricing", "price_usd"))
    stated = next((each for each in places if isinstance(each, dict | str | int | float)), entry)
    amounts = stated if isinstance(stated, dict) else {"amount": stated}
    found = {"unit": entry.get("unit") or entry.get("price_unit"), **amounts}
    if str(found.get("currency") or "USD").upper() != "USD":
        return None
    fixed = _amount(found, "amount", "value", "price", "fixed", "usd", "price_usd")
    low = _first((_amount(found, "min", "min_price"), fixed))
    high = _first((_amount(found, "max", "max_price"), fixed))
    if low is None and high is None:
        return None
    # of which only one end is stated: the other is not guessed
    low, high = low or 0.0, math.inf if high is None else high
    if low < 0 or high < low:
        return None
    return Price(low=low, high=high, unit=_text(found.get("unit")))


def _amount(found: dict[str, Json], *names: str) -> float | None:
    """Return the first value that is an amount in dollars, which may be written ``$0.01``."""
    given = (found.get(name) for name in names)
    plain = (v.strip().removesuffix("USD").strip(" $") if isinstance(v, str) else v for v in given)
    return _first(map(number, plain))


def _files_in(data: dict[str, Json], result: dict[str, Json]) -> list[Json]:
    """Return the entries of the first field of an answer that lists any file."""
    places = [level.get(name) for level in (result, data) for name in _LISTS]
    places += [data.get("result"), data.get("output"), [result] if _address(result) else None]
    found = next((each for each in map(_entries, places) if each), None)
    return found or _grouped(result) or _grouped(data)


def _grouped(level: dict[str, Json]) -> list[Json]:
    return [
        {**entry, "type": entry.get("type") or kind}
        for name, kind in _GROUPS.items()
        for item in _entries(level.get(name))
        for entry in [item if isinstance(item, dict) else {"url": item}]
    ]


def _entries(value: Json) -> list[Json]:
    """Return a list; a single URL becomes a list of one."""
    if isinstance(value, str) and is_web(value):
        return [value]
    return value if isinstance(value, list) else []


def _resources(items: list[Json]) -> tuple[Resource, ...]:
    found = (_resource(item) for item in items[:MAX_RESOURCES])
    return tuple(resource for resource in found if resource is not None)


def _resource(item: Json) -> Resource | None:
    if isinstance(item, str):
        return Resource(url=item) if item else None
    entry = _mapping(item)
    url = _address(entry)
    if url is None:
        return None
    mime = _text(entry.get("mime_type")) or ""
    return Resource(
        url=url,
        type=_text(entry.get("type")) or mime.partition("/")[0] or None,
        width=count(entry.get("width")),
        height=count(entry.get("height")),
        format=_text(entry.get("format")) or mime.partition("/")[2] or None,
        role=_text(entry.get("role")),
    )


def _address(entry: dict[str, Json]) -> str | None:
    return _first(_text(entry.get(name)) for name in ("url", "uri", "image_url"))


def _charged(data: dict[str, Json]) -> float | None:
    """Return what the task was charged, in USD, or None if the bill is not settled."""
    billing = _mapping(data.get("billing"))
    settled = _STATUS.get(str(billing.get("status", "done")).lower()) is Status.SUCCESS
    amount = _amount(billing, "amount")
    return amount if settled and amount is not None and amount >= 0 else None


def _reason(data: dict[str, Json], result: dict[str, Json]) -> str | None:
    """Return why a task failed; the field is not documented, so several are tried."""
    fields = (data.get("error"), data.get("message"), data.get("error_message"))
    return _first(_sentence(field) for field in (*fields, result.get("error")))


def _canceled(status: str) -> str | None:
    return "the service canceled it" if status.lower().startswith("cancel") else None


def _sentence(value: Json) -> str | None:
    if isinstance(value, dict):
        return _first(_text(value.get(k)) for k in ("message", "detail", "reason", "code"))
    return _text(value)


def _first(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)


def _listed(value: Json, *names: str) -> list[Json] | None:
    """Return the value itself if it is a list, or its field of one of these names."""
    places = (value, *map(_mapping(value).get, names))
    return next((each for each in places if isinstance(each, list)), None)


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _text(value: Json) -> str | None:
    """Return a non-empty text, with lone surrogates and NUL replaced, or None."""
    if not isinstance(value, str) or not value:
        return None
    return value.encode("utf-8", "replace").decode().replace("\0", "�")


def count(value: Json) -> int | None:
    """Return a non-negative integer, which may be written as text, as in headers; else None."""
    found = number(value)
    return int(found) if found is not None and 0 <= found < 2**53 else None


def _time(value: Json) -> int | None:
    """Return an ISO 8601 time as microseconds since the epoch; without a zone it is UTC."""
    text = _text(value)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (aware.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


def _moment(value: Json) -> int | None:
    """Return a time in ISO 8601, seconds or milliseconds as microseconds since the epoch."""
    found = number(value)
    if found is None:
        return _time(value)
    if not 0 < found < _LAST_MS:
        return None
    return int(found * (1_000_000 if found < _FIRST_MS else 1000))


def is_web(url: str) -> bool:
    """Whether a URL is http(s) with a host; no other URL is fetched or linked."""
    try:
        parts = urlsplit(url)
        port = parts.port  # raises where there is one that cannot be
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0
    except ValueError:
        return False
