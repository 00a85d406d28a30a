"""Prompts and media of requests: found and checked, and uploaded after the confirmation.

`prepared` puts a prompt where the model's schema wants it and finds every file, so that mistakes
are reported before anything is sent. `sent` uploads the files that have no address yet. The same
bytes are uploaded only once by all kernels, as long as the service keeps them.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modellix_jupyter.errors import (
    ApiError,
    InvalidRequest,
    ModellixError,
    TransportError,
    Unauthorized,
    did_you_mean,
    short,
)
from modellix_jupyter.planning.inputs import (
    Input,
    Slot,
    as_input,
    holds_input,
    inputs_in,
    leaves,
    noun_of,
    place,
    replaced,
    slots_of,
)
from modellix_jupyter.planning.schema import as_choice
from modellix_jupyter.storage.files import is_there, local_copy
from modellix_jupyter.storage.input_files import (
    PREVIEW_BYTES,
    PREVIEW_PX,
    InputFile,
    input_file,
    preview,
)
from modellix_jupyter.storage.thumbnails import data_uri, smaller
from modellix_jupyter.values import MAX_UPLOAD, RESULT_LIFETIME_US, Media, Resource, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.planning.schema import ModelSchema
    from modellix_jupyter.values import Json, Request, UploadedFile

# How many files the service keeps for an account, and for how long, in microseconds. An address
# that expires within the margin is not used.
QUOTA = 10
_KEPT_US = 7 * 24 * 3600 * 1_000_000
_MARGIN_US = 3600 * 1_000_000
# A text with a scheme is an address. A longer text than this is not taken for a path.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|data:", re.ASCII)
_MAX_PATH = 1000
# A text with this ending is a file's name, also for a parameter that may take other texts.
_FILE_NAME = re.compile(
    r"\.(?:png|jpe?g|webp|gif|bmp|tiff?|avif|heic|mp4|mov|webm|avi|wav|mp3|m4a|ogg|flac)$",
    re.IGNORECASE,
)
# The address of an input while its request is checked.
_STAND_IN = "https://modellix.invalid/input"
# The most inputs of a task that are shown beside its result.
_SHOWN = 4
_ANYTHING = Slot("media", one=True, many=True)
_PICTURE = Slot("image", one=True, many=False)


@dataclass(frozen=True, slots=True)
class Ready:
    """A file that was checked and can be sent."""

    file: InputFile
    sha256: str
    by_value: bool

    @property
    def name(self) -> str:
        """The file name of the upload, by which it is found again."""
        return f"modellix-jupyter-{self.sha256[:32]}.{self.file.ending}"

    @property
    def data(self) -> str:
        """The file as a ``data:`` address."""
        return data_uri(self.file.mime, self.file.content)


def prepared(session: Session, requests: Sequence[Request]) -> list[Request]:
    """Return requests with prompts and inputs where their models want them; send nothing."""
    schemas = session.schemas(request.model for request in requests)
    finder = _Finder(session)
    return [finder.request(request, schemas[request.model]) for request in requests]


def stand_ins(requests: Iterable[Request]) -> list[Request]:
    """Return requests with a made-up address for each input, to check them with a schema."""
    return [_with_addresses(request, lambda _: _STAND_IN) for request in requests]


def digests(session: Session, requests: Iterable[Request]) -> dict[str, str]:
    """Return the SHA-256 of each input, by the text that stands for it in a request."""
    found = session.ledger.upload_digests(session.settings.base_url)
    return found | {text: ready.sha256 for text, ready in _ready_in(requests)}


def _ready_in(requests: Iterable[Request]) -> Iterator[tuple[str, Ready]]:
    """Yield the files of requests, each with the text that stands for it."""
    for request in requests:
        for each in inputs_in(request.params):
            if isinstance(each.source, Ready):
                yield str(each), each.source


def sent(session: Session, requests: Sequence[Request]) -> list[Request]:
    """Upload the inputs of requests, and return the requests with their addresses."""
    ready = {each.sha256: each for _, each in _ready_in(requests)}
    if not ready:
        return list(requests)
    addresses = _addresses(session, list(ready.values()))
    return [
        _with_addresses(request, lambda each: addresses[cast("Ready", each.source).sha256])
        for request in requests
    ]


def uploaded(session: Session, source: object) -> str:
    """Upload one picture, unless the service has it, and return its address."""
    found = _Finder(session).find("file", _PICTURE, _given(source))
    ready = found.source if isinstance(found, Input) else None
    return _addresses(session, [ready])[ready.sha256] if isinstance(ready, Ready) else str(found)


def picture_to_send(source: object) -> tuple[bytes, str]:
    """Return the bytes of a picture as they are sent, and a file name for them."""
    value = _given(source)
    found = value.source if isinstance(value, Input) else _path_or_address("file", _PICTURE, value)
    if not isinstance(found, Path | bytes):
        raise InvalidRequest(f"{short(value)} is no file.", "Give a path, bytes or a picture.")
    file = input_file(_content("file", found), short(value))
    _check_kind("file", _PICTURE, file, value)
    return file.content, f"{hashlib.sha256(file.content).hexdigest()[:32]}.{file.ending}"


def _given(source: object) -> str:
    given = as_input(source)
    return str(source) if given is None or isinstance(given, list) else given


def _with_addresses(request: Request, address: Callable[[Input], str]) -> Request:
    params = {name: replaced(value, address) for name, value in request.params.items()}
    return replace(request, params=params)


# -- finding


class _Finder:
    """Finds the media of one plan's requests; reads each file once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._maker = session.ledger.maker
        self._origin = session.settings.base_url
        self._now = time.time_ns() // 1000
        self._slots: dict[str, dict[str, Slot]] = {}
        self._read: dict[object, Input] = {}
        self._parents: list[str] = []

    def request(self, request: Request, schema: ModelSchema | None) -> Request:
        """Return a request with its prompt and its inputs in their places."""
        request = _routed(request, schema)
        slots = self._slots_of(request, schema)
        self._parents = []
        params = place(request.params, slots, self.find)
        for name in params.keys() - slots.keys():
            params[name] = replaced(params[name], partial(_plain_text, name, request.model))
            if schema is not None and name in schema.parameters:
                params[name] = as_choice(params[name], schema.parameters[name])
        return replace(request, params=params, parents=tuple(dict.fromkeys(self._parents)))

    def _slots_of(self, request: Request, schema: ModelSchema | None) -> dict[str, Slot]:
        if schema is None:
            return {n: _ANYTHING for n, v in request.params.items() if holds_input(v)}
        if request.model not in self._slots:
            self._slots[request.model] = slots_of(schema)
        return self._slots[request.model]

    def find(self, name: str, slot: Slot, value: str) -> Json:
        """Return the address that a value means, or an input that is ready to be sent."""
        source = value.source if isinstance(value, Input) else _path_or_address(name, slot, value)
        if isinstance(source, Ready):
            return value
        if isinstance(source, str):
            self._child_of(None if source.startswith("data:") else self._maker(source))
            return source
        if isinstance(source, Task):
            return self._result(name, slot, source, _resource_for(name, slot, source))
        if isinstance(source, Resource):
            maker = self._maker(source.url or source.path or "")
            return self._result(name, slot, maker, source)
        if isinstance(source, Path):
            path = str(source.expanduser().absolute())
            maker = self._maker(path)
            for resource in maker.resources if maker is not None else ():
                if resource.path == path:
                    return self._result(name, slot, maker, resource)
        return self._file(name, slot, source, value)

    def _child_of(self, task: Task | None) -> None:
        if task is not None:
            self._parents.append(task.task_id or task.uid)

    def _result(self, name: str, slot: Slot, task: Task | None, resource: Resource) -> Json:
        """Return a result's address while the service keeps it, else its file."""
        self._child_of(task)
        if task is not None and resource.url and self._is_kept(task, slot, resource):
            return resource.url
        if resource.path is None or not is_there(resource.path):
            raise InvalidRequest(
                f"The result for `{name}` is gone from the service, and is not on this disk.",
                "Generate it again, or name a file.",
            )
        return self._file(name, slot, local_copy(resource.path), resource.path)

    def _is_kept(self, task: Task, slot: Slot, resource: Resource) -> bool:
        """Whether the service surely has a result, or may have it if we cannot send the file."""
        sent = resource.type in {"image", None} or slot.by_value
        sure = task.expires_at or (task.completed_at or 0) + RESULT_LIFETIME_US
        until = sure if sent and is_there(resource.path) else task.kept_until
        return task.origin == self._origin and self._now + _MARGIN_US < until

    def _file(self, name: str, slot: Slot, source: object, shown: str) -> Input:
        key = (source, slot)
        if key not in self._read:
            self._read[key] = self._ready(name, slot, _content(name, source), shown)
        return self._read[key]

    def _ready(self, name: str, slot: Slot, content: bytes, shown: str) -> Input:
        file = input_file(content, f"{short(shown)} for `{name}`")
        _check_kind(name, slot, file, shown)
        sha256 = hashlib.sha256(file.content).hexdigest()
        known = self._uploads.get(sha256)
        kept = known is not None and (known.expires_at or 0) > self._now + _MARGIN_US
        text = known.url if kept and known is not None else shown
        return Input(text, Ready(file, sha256, slot.by_value))

    @cached_property
    def _uploads(self) -> dict[str, UploadedFile]:
        return self._session.ledger.uploads(self._origin)


def _routed(request: Request, schema: ModelSchema | None) -> Request:
    """Put the prompt where the schema wants it."""
    name = schema.prompt_parameter if schema is not None else None
    if request.prompt is None or name is None:
        return request
    if name in request.params:
        raise InvalidRequest(
            f"{request.model} takes the prompt as `{name}`, and `{name}` is given as well.",
            "Give one of them.",
        )
    return replace(request, prompt_parameter=name)


def _plain_text(name: str, model: str, each: Input) -> str:
    """Return the text of a path, for a parameter that takes a text; refuse any other input."""
    if isinstance(each.source, Path):
        return str(each)
    raise InvalidRequest(
        f"`{name}` of {model} does not take a file.",
        f"`%modellix describe {model}` says what it takes.",
    )


def _path_or_address(name: str, slot: Slot, value: str) -> Path | str:
    """Return a text as a path if it names a file, else as it is."""
    if _ADDRESS.match(value) or len(value) > _MAX_PATH:
        return value
    path = Path(value).expanduser()
    if path.is_file():
        return path
    if not (slot.sure or _FILE_NAME.search(value)):
        return value
    raise InvalidRequest(
        f"There is no file `{short(value)}` for `{name}`.",
        f"{_files_like(path)} Paths begin in {Path.cwd()}.".strip(),
    )


def _files_like(path: Path) -> str:
    with suppress(OSError):
        return did_you_mean(path.name, [each.name for each in path.parent.iterdir()])
    return ""


def _resource_for(name: str, slot: Slot, task: Task) -> Resource:
    """Return the result of a task that fits a parameter."""
    fitting = [r for r in task.resources if slot.kind == "media" or r.type in {slot.kind, None}]
    if not fitting:
        done = "has none" if task.status.ended else f"is {task.status.value}"
        raise InvalidRequest(
            f"`{name}` takes a {noun_of(slot.kind)}, and task {task.task_id or task.uid} {done}.",
            "Wait until it is done, or name another.",
        )
    return next((r for r in fitting if r.role == "primary"), fitting[0])


def _content(name: str, source: object) -> bytes:
    if isinstance(source, bytes):
        return source
    path = cast("Path", source).expanduser()
    try:
        with path.open("rb") as file:
            return file.read(8 * MAX_UPLOAD)
    except OSError as error:
        raise InvalidRequest(
            f"{path} for `{name}` cannot be read: {error.strerror}.", _files_like(path)
        ) from None


def _check_kind(name: str, slot: Slot, file: InputFile, shown: str) -> None:
    where = short(shown)
    if slot.kind not in {"media", file.type}:
        raise InvalidRequest(
            f"`{name}` takes a {noun_of(slot.kind)}, and {where} is a {noun_of(file.type)}.",
            "Nothing was sent.",
        )
    if len(file.content) > MAX_UPLOAD:
        raise InvalidRequest(
            f"{where} for `{name}` is larger than {MAX_UPLOAD // 2**20} MiB.",
            "Make it smaller, or give the https address of it.",
        )
    if file.type != "image" and not slot.by_value:
        raise InvalidRequest(
            f"`{name}` takes a {noun_of(file.type)} by its address, and the service takes uploads "
            "of pictures only.",
            "Give an https address, or the result of a task.",
        )


# -- showing


def shown(session: Session, task: Task) -> tuple[Media, ...]:
    """Return small pictures of the first few inputs of a task, if they are known here."""
    texts = (each for each in leaves(task.request.params) if isinstance(each, str))
    found = (_shown(session, task, text) for text in texts if _ADDRESS.match(text))
    return tuple(islice((media for media in found if media is not None), _SHOWN))


def _shown(session: Session, task: Task, address: str) -> Media | None:
    if address.startswith("data:"):
        content = address.partition(";base64,")[2][: 2 * MAX_UPLOAD]
        with suppress(ValueError):
            small = preview(base64.b64decode(content))
            return Media(kind="image", src=small) if small else None
        return None
    small = session.ledger.upload_preview(task.origin, address)
    if small is not None:
        return Media(kind="image", src=small)
    maker = session.ledger.maker(address)
    made = [r for r in maker.resources if r.url == address and r.path] if maker is not None else []
    media = session.media(made[0]) if made else None
    if media is None or media.kind != "image" or media.src is None:
        return None
    return smaller(media, pixels=PREVIEW_PX, picture_bytes=PREVIEW_BYTES)


# -- sending


def _addresses(session: Session, ready: Sequence[Ready]) -> dict[str, str]:
    """Return an address of each file, by its digest; upload pictures the service does not have."""
    pictures = [each for each in ready if each.file.type == "image"]
    found = {each.sha256: each.data for each in ready if each.file.type != "image"}
    if pictures:
        with session.ledger.uploading():
            found |= _Uploads(session, pictures).addresses()
    return found


class _Uploads:
    """The uploads of one plan, while no other kernel uploads."""

    def __init__(self, session: Session, pictures: Sequence[Ready]) -> None:
        self._session = session
        self._origin = session.settings.base_url
        self._pictures = pictures
        self._known = session.ledger.uploads(self._origin)
        self._kept = self._listed()

    def addresses(self) -> dict[str, str]:
        """Return the address of each picture."""
        found = {each.sha256: self._kept_address(each) for each in self._pictures}
        lacking = [each for each in self._pictures if found[each.sha256] is None]
        places = max(0, QUOTA - len(self._kept))
        old = self._ours_to_delete(list(found)) if len(lacking) > places else []
        beyond = max(0, len(lacking) - places - len(old))
        by_value = [each for each in reversed(lacking) if each.by_value][:beyond]
        if len(by_value) < beyond:
            raise _too_many(len(lacking), places + len(old))
        found |= {each.sha256: each.data for each in by_value}
        for each in (one for one in lacking if one not in by_value):
            if len(self._kept) >= QUOTA:
                self._delete(old.pop(0))
            found[each.sha256] = self._upload(each)
        return {sha256: address or "" for sha256, address in found.items()}

    def _listed(self) -> dict[str, UploadedFile]:
        """Return the service's files by id; if it does not list them, the ones we uploaded."""
        try:
            return {each.file_id: each for each in self._session.call(lambda r: r.client.files())}
        except (ApiError, TransportError):
            now = time.time_ns() // 1000
            return {f.file_id: f for f in self._known.values() if (f.expires_at or 0) > now}

    def _kept_address(self, each: Ready) -> str | None:
        known = self._known.get(each.sha256)
        if known is not None and known.file_id in self._kept:
            fresh = (known.expires_at or 0) > time.time_ns() // 1000 + _MARGIN_US
            return known.url if fresh else None
        return self._adopted(each)

    def _adopted(self, each: Ready) -> str | None:
        """Return the address of a picture that the service has and this ledger does not know."""
        found = next((f for f in self._kept.values() if f.filename == each.name), None)
        return None if found is None else self._record(each, found)

    def _ours_to_delete(self, wanted: Sequence[str]) -> list[UploadedFile]:
        """Return our own uploads that neither this plan nor an open task needs, oldest first."""
        open_params = [str(task.request.params) for task in self._session.unfinished()]
        return [
            file
            for sha256, file in self._known.items()
            if file.file_id in self._kept
            and sha256 not in wanted
            and not any(file.url in params for params in open_params)
        ]

    def _delete(self, file: UploadedFile) -> None:
        self._session.call(lambda r: r.client.delete_file(file.file_id))
        self._session.ledger.forget_upload(self._origin, file.file_id)
        self._kept.pop(file.file_id, None)

    def _upload(self, each: Ready) -> str:
        """Upload a picture; if it is refused, use a ``data:`` address if the model takes one."""
        try:
            file = self._session.call(lambda r: r.client.send_file(each.file.content, each.name))
        except ApiError as error:
            if isinstance(error, Unauthorized):
                raise
            if not each.by_value:
                error.hint = "The upload was refused, and no task was sent; an https address works."
                raise
            return each.data
        except TransportError as error:
            # the service may have it: look, and do not send it again
            self._kept = self._listed()
            address = self._adopted(each)
            if address is None:
                raise ModellixError(
                    f"An upload got no answer: {error.message}", "No task was sent; try again."
                ) from error
            return address
        return self._record(each, file)

    def _record(self, each: Ready, file: UploadedFile) -> str:
        now = time.time_ns() // 1000  # finer than the service's time, so that uploads have an order
        until = file.expires_at or (file.created_at or now) + _KEPT_US
        kept = replace(file, created_at=now, expires_at=until)
        small = preview(each.file.content)
        self._session.ledger.add_upload(self._origin, each.sha256, kept, small)
        self._kept[file.file_id] = kept
        return file.url


def _too_many(pictures: int, places: int) -> InvalidRequest:
    count = "1 picture" if pictures == 1 else f"{pictures} pictures"
    return InvalidRequest(
        f"The plan has {count} to upload, and the service, which keeps {QUOTA} files, has room for "
        f"{places}.",
        "Send it in parts, or delete files that were not uploaded from here: "
        "`AsyncClient.delete_file`.",
    )
