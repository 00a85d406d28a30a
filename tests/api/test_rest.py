from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from client_fakes import (
    BODY,
    KEY,
    MODEL,
    NOW,
    Chunks,
    Service,
    accepted,
    finished,
    ok,
    page,
    raw,
    read,
    refusal,
    submit,
)

from modellix_jupyter.api.client import AsyncClient
from modellix_jupyter.api.responses import MAX_ANSWER
from modellix_jupyter.errors import (
    BadAnswer,
    ConfigError,
    ConnectFailed,
    InvalidRequest,
    MissingKey,
    ModellixError,
    NoAnswer,
    TaskFailed,
    Unauthorized,
)
from modellix_jupyter.keys import SecretKey
from modellix_jupyter.settings import Settings
from modellix_jupyter.values import Accepted, Status

Call = Callable[[AsyncClient], Awaitable[Any]]


def catalog(*slugs: str, **more: Any) -> httpx.Response:
    return raw(200, json.dumps({"models": [{"slug": s} for s in slugs], **more}).encode())


def run(service: Service, call: Call, **settings: Any) -> Any:
    async def within() -> Any:
        async with service.client(**settings) as client:
            return await call(client)

    return asyncio.run(within())


# -- what is sent


@pytest.mark.parametrize("path", ["/async", ""])
@pytest.mark.parametrize("base", ["https://api.modellix.ai", "http://127.0.0.1:9000"])
def test_a_submission(path: str, base: str) -> None:
    service = Service([accepted()])
    body: dict[str, Any] = {
        "prompt": "une été 🐱",
        "size": "1024*1024",
        "seed": None,
        "n": [1, {"a": 0.5}],
    }
    got = run(service, lambda c: c.submit(MODEL, body), submit_path=path, base_url=base)
    assert got == Accepted("task-abc123", "qwen-image-plus")
    [request] = service.requests
    assert request.method == "POST"
    assert str(request.url) == f"{base}/api/v1/{MODEL}{path}"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(service.bodies[0]) == body
    assert "une été 🐱".encode() in service.bodies[0]


CALLS: dict[str, tuple[Call, httpx.Response, str]] = {
    "submit": (lambda c: c.submit(MODEL, BODY), accepted(), f"POST /api/v1/{MODEL}/async"),
    "task": (lambda c: c.task("task-abc123"), finished(), "GET /api/v1/tasks/task-abc123"),
    "models": (lambda c: c.models(), catalog("a/b"), "GET /api/v1/models"),
    "featured": (lambda c: c.models(featured=True), catalog(), "GET /api/v1/models?featured=true"),
    "valid": (lambda c: c.key_is_valid(), ok({"is_valid": True}), "GET /api/v1/apikey/validate"),
    "balance": (lambda c: c.balance(), ok({"balance": 3}), "GET /api/v1/team/balance"),
    "send_file": (
        lambda c: c.send_file(b"x", "x.png"),
        ok({"url": "u"}),
        "POST /api/v1/media/files",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_call_has_the_key_and_goes_to_the_base_url(name: str) -> None:
    call, answer, line = CALLS[name]
    service = Service([answer])
    run(service, call)
    [request] = service.requests
    assert f"{request.method} {request.url.raw_path.decode()}" == line
    assert (request.url.scheme, request.url.host) == ("https", "api.modellix.ai")
    assert request.headers.get_list("authorization") == [f"Bearer {KEY}"]
    assert request.headers["user-agent"] == "modellix-jupyter"
    assert KEY not in str(request.url)


def test_a_silent_service_is_waited_for_as_long_as_the_setting_says() -> None:
    service = Service([accepted()])
    run(service, CALLS["submit"][0], submit_timeout_s=7.0)
    times = service.requests[0].extensions["timeout"]
    assert times == {"connect": 15.0, "read": None, "write": 7.0, "pool": None}


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("a/b?c=d#e", "/api/v1/a/b%3Fc%3Dd%23e/async"),
        ("https://evil.example/x", "/api/v1/https%3A//evil.example/x/async"),
        ("//evil.example/x", "/api/v1///evil.example/x/async"),
        ("a/b c\r\nX: y", "/api/v1/a/b%20c%0D%0AX%3A%20y/async"),
        ("a/\ud800", "/api/v1/a/%3F/async"),
    ],
)
def test_no_model_leads_away_from_the_origin(model: str, path: str) -> None:
    service = Service([accepted()])
    run(service, lambda c: c.submit(model, BODY))
    url = service.requests[0].url
    assert (url.host, url.raw_path.decode()) == ("api.modellix.ai", path)


def test_a_task_id_is_one_part_of_the_path() -> None:
    service = Service([ok({"status": "pending"})])
    run(service, lambda c: c.task("a/../b?c#d\ud800"))
    assert service.requests[0].url.raw_path == b"/api/v1/tasks/a%2F..%2Fb%3Fc%23d%3F"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"x"])
def test_what_is_not_json_is_not_sent(value: Any) -> None:
    service = Service([accepted()])
    with pytest.raises(InvalidRequest, match="not JSON"):
        run(service, lambda c: c.submit(MODEL, {"x": value}))
    assert service.requests == []


def test_a_body_that_holds_itself_is_not_sent() -> None:
    service = Service([accepted()])
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    with pytest.raises(InvalidRequest):
        run(service, lambda c: c.submit(MODEL, loop))


def test_a_url_that_cannot_be_is_never_sent() -> None:
    service = Service([accepted()])
    with pytest.raises(ConnectFailed):
        run(service, lambda c: c.submit("a/" + "b" * 70_000, BODY))
    assert service.requests == []


# -- where the key and the cookies stay away


@pytest.mark.parametrize(
    ("settings", "origin"),
    [
        ({}, "https://www.modellix.ai"),
        ({"schema_url": "https://schemas.example"}, "https://schemas.example"),
        ({"schema_url": "https://api.modellix.ai"}, "https://api.modellix.ai"),
        ({"base_url": "http://localhost:9000"}, "http://localhost:9000"),
    ],
)
def test_a_schema_is_read_without_key_and_cookies(settings: dict[str, str], origin: str) -> None:
    cookie = {"set-cookie": "sid=secret; Domain=modellix.ai; Path=/"}
    schema = raw(200, b'{"post": {}}', headers=cookie)
    service = Service([raw(200, b'{"models": []}', headers=cookie), schema])

    async def both(client: AsyncClient) -> Any:
        await client.models()
        await client.schema(MODEL)
        return await client.schema(MODEL)

    assert run(service, both, **settings) == {"post": {}}
    for request in service.requests[1:]:
        assert str(request.url) == f"{origin}/models/{MODEL}/api_schema"
        assert request.content == b""
        assert "authorization" not in request.headers
        assert "cookie" not in request.headers
        assert KEY not in repr(request.headers.raw)
    assert "authorization" in service.requests[0].headers


@pytest.mark.parametrize("answer", [refusal(404, "Not found: model"), page(404), page(200)])
def test_a_model_without_a_schema_has_none(answer: httpx.Response) -> None:
    assert run(Service([answer]), lambda c: c.schema(MODEL)) is None


@pytest.mark.parametrize("answer", [page(403), refusal(400)])
def test_a_schema_that_is_refused_for_another_reason_is_an_error(answer: httpx.Response) -> None:
    with pytest.raises(ModellixError):
        run(Service([answer]), lambda c: c.schema(MODEL))


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_the_api_follows_no_redirect(name: str) -> None:
    for status in (301, 302, 303, 307, 308):
        service = Service([page(status, location="https://evil.example/")])
        with pytest.raises(BadAnswer, match=f"HTTP {status}"):
            run(service, CALLS[name][0], retry_deadline_s=0)
        assert [request.url.host for request in service.requests] == ["api.modellix.ai"]


def test_the_representation_hides_the_key() -> None:
    client = Service([accepted()]).client()
    for text in (repr(client), str(client), f"{client}", repr(vars(client))):
        assert KEY not in text
    assert "https://api.modellix.ai" in repr(client)


ECHOES: dict[str, Any] = {
    "401": refusal(401, f"Unauthorized: the key {KEY} is unknown"),
    "429": refusal(429, f"Busy: {KEY}"),
    "504": refusal(504, f"Gateway: {KEY}"),
    "a page": raw(502, f"<p>{KEY}</p>".encode()),
    "no JSON": raw(200, f"Bearer {KEY}".encode()),
    "half of it": raw(200, b'{"a": "' + KEY.encode()),
    "a redirect": page(302, location=f"https://evil.example/?key={KEY}"),
    "an odd redirect": page(302, location=f"http://[{KEY}"),
    "silence": httpx.ReadTimeout("", request=httpx.Request("GET", "https://x", headers={"a": KEY})),
    "no connection": httpx.ConnectError("x", request=httpx.Request("GET", "https://x")),
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo = [error]
    while todo:
        each = todo.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            todo += [each.__cause__, each.__context__]


@pytest.mark.parametrize("call", [submit, read])
@pytest.mark.parametrize("name", ECHOES)
def test_no_error_has_the_key(name: str, call: Any) -> None:
    service = Service([ECHOES[name]])
    with pytest.raises(ModellixError) as caught:
        asyncio.run(call(service))
    for error in chain(caught.value):
        assert KEY not in str(error)
        assert KEY not in repr(error)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in "".join(caught.value._render_traceback_())
    assert KEY not in repr(service.progress)


@pytest.mark.parametrize("coding", ["utf-8", "utf-16", "utf-16-be", "utf-32"])
def test_no_answer_has_the_key(coding: str) -> None:
    failed = {"status": "failed", "error": {"message": f"the key {KEY} is out"}, "model_id": KEY}
    body = json.dumps({"code": 0, "message": KEY, "data": failed})
    answer = asyncio.run(read(Service([raw(200, body.encode(coding))])))
    assert answer.reason == "the key [the key] is out"
    assert KEY not in repr(answer)


@pytest.mark.parametrize("slash", ["/", r"\/"])
def test_no_answer_has_a_key_that_json_escapes(slash: str) -> None:
    key = 'secret-/"\\-secret'
    text = json.dumps({"code": 0, "data": {"status": "failed", "error": f"no {key}"}})
    text = text.replace("/", slash)

    async def ask() -> Any:
        transport = Service([raw(200, text.encode())])
        async with AsyncClient(key, transport=transport) as client:
            return await client.task("task-abc123")

    assert asyncio.run(ask()).reason == "no [the key]"


def test_an_error_that_quotes_the_key_is_still_read() -> None:
    with pytest.raises(Unauthorized, match=r"the key \[the key\] is unknown"):
        asyncio.run(submit(Service([ECHOES["401"]])))


# -- what is read

BIG = json.dumps({"code": 0, "data": {"status": "success"}}).encode()


def test_an_answer_of_the_largest_size_is_read() -> None:
    service = Service([raw(200, BIG + b" " * (MAX_ANSWER - len(BIG)))])
    assert asyncio.run(read(service)).status is Status.SUCCESS


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_larger_one_is_refused_before_all_of_it_is_there(status: int) -> None:
    stream = Chunks(b"x" * 2**20 for _ in range(1000))
    service = Service([httpx.Response(status, stream=stream)])
    with pytest.raises(BadAnswer, match="larger than 16 MiB"):
        asyncio.run(submit(service))
    assert stream.taken == 17
    assert stream.closed
    assert len(service.requests) == 1


def test_an_answer_that_grows_when_unpacked_is_refused() -> None:
    bomb = gzip.compress(bytes(MAX_ANSWER + 1), compresslevel=1)
    assert len(bomb) < MAX_ANSWER / 100
    service = Service([raw(200, bomb, headers={"content-encoding": "gzip"})])
    with pytest.raises(BadAnswer, match="larger than 16 MiB"):
        asyncio.run(submit(service))


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "gzip,br", "compress"])
def test_a_coding_without_a_bound_is_not_unpacked(coding: str) -> None:
    stream = Chunks([b"x"])
    answer = httpx.Response(200, stream=stream, headers={"content-encoding": coding})
    with pytest.raises(BadAnswer, match="not asked for"):
        asyncio.run(submit(Service([answer])))
    assert stream.taken == 0
    assert stream.closed


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "identity", ""])
def test_a_coding_that_was_asked_for_is_read(coding: str) -> None:
    packed = gzip.compress(BIG) if coding.lower() == "gzip" else BIG
    service = Service([raw(200, packed, headers={"content-encoding": coding})])
    assert asyncio.run(read(service)).status is Status.SUCCESS
    assert service.requests[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_success_is_one(status: int) -> None:
    answer = raw(status, b'{"code": 0, "data": {"task_id": "t"}}')
    assert asyncio.run(submit(Service([answer]))) == Accepted("t", None)


def test_an_answer_about_another_task_is_asked_again() -> None:
    other = ok({"status": "success", "task_id": "task-other"})
    service = Service([other, finished()])
    assert asyncio.run(read(service)).status is Status.SUCCESS
    assert len(service.requests) == 2


# -- the catalog's pages


def queries(service: Service) -> list[dict[str, str]]:
    return [dict(request.url.params) for request in service.requests]


def test_the_catalog_is_read_page_by_page() -> None:
    service = Service(
        [
            catalog("a/1", "a/2", total=5),
            catalog("a/3", "a/2", total=5),
            catalog("a/4", "a/5", total=5),
            catalog("a/6"),
        ]
    )
    models = run(service, lambda c: c.models(featured=True))
    assert [m.slug for m in models] == [f"a/{n}" for n in range(1, 6)]
    assert queries(service) == [
        {"featured": "true"},
        {"page": "2", "page_size": "2", "featured": "true"},
        {"page": "3", "page_size": "2", "featured": "true"},
    ]


@pytest.mark.parametrize("says", [{}, {"page_size": 50}, {"page_size": "many"}])
@pytest.mark.parametrize("envelope", [True, False])
def test_no_entry_is_skipped_whatever_the_services_page_is(
    envelope: bool,  # noqa: FBT001 - both kinds
    says: dict[str, Any],
) -> None:
    everything: list[Any] = [{"slug": f"a/{n}"} for n in range(120)]
    everything[7] = "an odd one"  # is left out, and counts as a place all the same

    def reply(request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        size = min(int(asked.get("page_size", 50)), 200)
        first = (int(asked.get("page", 1)) - 1) * size
        body = {"models": everything[first : first + size], "total": 120, **says}
        return httpx.Response(200, json={"data": body} if envelope else body)

    models = run(Service([reply]), lambda c: c.models())
    assert len(models) == 119


@pytest.mark.parametrize("said", [True, 10**9, -1, 0, 1.5])
def test_a_size_of_a_page_that_cannot_be_does_no_harm(said: Any) -> None:
    pages = [catalog("a/1", total=2, page_size=said), catalog("a/2", total=2)]
    assert len(run(service := Service(pages), lambda c: c.models())) == 2
    assert queries(service)[1] == {"page": "2", "page_size": "1"}


@pytest.mark.parametrize("total", [None, 0, 2, -1])
def test_a_catalog_that_says_no_more_is_not_asked_for_more(total: int | None) -> None:
    service = Service([catalog("a/1", "a/2", total=total)])
    assert len(run(service, lambda c: c.models())) == 2
    assert queries(service) == [{}]


def test_pages_without_a_total_are_read_while_there_are_more() -> None:
    pages = [catalog("a/1", has_more=True), catalog("a/2", has_more=True), catalog("a/3")]
    service = Service(pages)
    assert len(run(service, lambda c: c.models())) == 3
    assert [query.get("page") for query in queries(service)] == [None, "2", "3"]


def test_a_total_that_lies_ends_with_the_first_page_that_brings_nothing_new() -> None:
    service = Service(
        [catalog("a/1", total=10**9), catalog("a/2", total=10**9), catalog("a/1", total=9)]
    )
    assert len(run(service, lambda c: c.models())) == 2
    assert len(service.requests) == 3


def test_a_catalog_without_end_is_left_in_time() -> None:
    count = iter(range(10**6))
    service = Service([lambda _: again_raw(f"a/{next(count)}")])
    assert len(run(service, lambda c: c.models())) == 50
    assert len(service.requests) == 50


def again_raw(slug: str) -> httpx.Response:
    return httpx.Response(200, json={"models": [{"slug": slug}], "total": 10**9})


# -- the other calls


def test_the_small_answers() -> None:
    assert run(Service([ok({"is_valid": False})]), lambda c: c.key_is_valid()) is False
    assert run(Service([ok({"balance": "12.5"})]), lambda c: c.balance()) == 12.5


UPLOADED = {
    "file_id": "file-1",
    "url": "https://cdn.example.com/u.png",
    "filename": "a.png",
    "size": 7,
    "created_at": "2026-11-25T10:00:00Z",
}
CREATED_US = 1_795_600_800_000_000


def test_an_upload_is_a_form_with_the_file() -> None:
    content = b"\x89PNG\r\n\x1a\n..."
    service = Service([ok(UPLOADED)])
    file = run(service, lambda c: c.send_file(content, "a cat.png"))
    assert (file.file_id, file.url, file.created_at) == (
        "file-1",
        "https://cdn.example.com/u.png",
        CREATED_US,
    )
    (request,), (body,) = service.requests, service.bodies
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="a cat.png"' in body
    assert content in body


def test_an_upload_without_an_answer_is_not_sent_again() -> None:
    service = Service([page(502), ok(UPLOADED)])
    with pytest.raises(BadAnswer):
        run(service, lambda c: c.send_file(b"x", "x.png"))
    assert len(service.requests) == 1


def test_a_file_that_is_too_large_is_not_uploaded() -> None:
    service = Service([ok(UPLOADED)])
    with pytest.raises(InvalidRequest, match="larger than 16 MiB"):
        run(service, lambda c: c.send_file(bytes(16 * 2**20 + 1), "large.png"))
    assert service.requests == []


@pytest.mark.parametrize("data", [[UPLOADED], {"files": [UPLOADED]}, {"items": [UPLOADED, 7, {}]}])
def test_files_are_listed_and_deleted(data: Any) -> None:
    service = Service([ok(data), raw(204), refusal(404)])
    (file,) = run(service, lambda c: c.files())
    assert file.url == "https://cdn.example.com/u.png"
    assert run(service, lambda c: c.delete_file(file.file_id)) is True
    assert run(service, lambda c: c.delete_file(file.file_id)) is False
    assert [r.method for r in service.requests] == ["GET", "DELETE", "DELETE"]
    assert service.requests[1].url.path == "/api/v1/media/files/file-1"


def test_waiting_asks_until_the_end() -> None:
    running = ok({"status": "processing"})
    service = Service([ok({"status": "pending"}), running, ok({"status": "odd"}), finished()])
    answer = run(service, lambda c: c.wait("task-abc123", every=3))
    assert answer.status is Status.SUCCESS
    assert service.times == [0, 3, 6, 9]


def test_waiting_for_a_task_that_fails_says_why() -> None:
    service = Service([ok({"status": "failed", "error": "too dark"})])
    with pytest.raises(TaskFailed, match="task-abc123 failed: too dark"):
        run(service, lambda c: c.wait("task-abc123"))


def test_closing_closes_the_connections() -> None:
    service = Service([catalog()])
    run(service, lambda c: c.models())
    assert service.closed


# -- where the key and the settings come from


def test_without_a_key_there_is_no_client() -> None:
    with pytest.raises(MissingKey):
        AsyncClient()


def test_the_key_and_the_origin_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELLIX_API_KEY", "from-the-environment")
    monkeypatch.setenv("MODELLIX_BASE_URL", "http://localhost:9000")
    service = Service([catalog()])
    client = AsyncClient(transport=service)
    asyncio.run(client.models())
    assert service.requests[0].headers["authorization"] == "Bearer from-the-environment"
    assert service.requests[0].url.port == 9000


@pytest.mark.parametrize("key", [KEY, f" {KEY}\n", SecretKey(KEY, "a test")])
def test_a_key_that_is_given_comes_first(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELLIX_API_KEY", "another")
    service = Service([catalog()])
    asyncio.run(AsyncClient(key, settings=Settings(), transport=service).models())
    assert service.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["", "a key", "schlüssel-geheim", "a\r\nX-Evil: 1"])
def test_a_key_that_cannot_be_is_refused_without_quoting_it(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AsyncClient(key)
    assert not key or key not in str(caught.value)


def test_a_proxy_of_the_environment_is_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")

    async def mounts(base: str) -> int:
        async with AsyncClient(KEY, settings=Settings(base_url=base)) as client:
            return len(client._http._mounts)

    assert asyncio.run(mounts("http://127.0.0.1:9000")) == 0
    assert asyncio.run(mounts("https://api.modellix.ai")) > 0


# -- whatever answers, what comes out is ours

CORPUS: dict[str, Any] = {
    **ECHOES,
    "headers": raw(
        200, b"{}", headers=[(b"set-cookie", b"\xff\xfe=;;;"), (b"content-type", b"\xff")]
    ),
    "charset": raw(200, b"{}", headers={"content-type": "application/json; charset=nonsense"}),
    "lengths": raw(200, b"{}", headers={"content-length": "999999999999"}),
    "utf-16": raw(500, '{"code": 500, "message": "ü"}'.encode("utf-16")),
    "null": raw(200, b"null"),
    "deep": raw(200, b"[" * 100_000),
    "surrogate": raw(400, b'{"code": 400, "message": "\\ud800"}'),
    "nul": raw(200, b'{"code": 0, "data": {"task_id": "\\u0000"}}'),
    "large": lambda _: httpx.Response(200, stream=Chunks(b"x" * 2**20 for _ in range(99))),
    "broken": lambda _: httpx.Response(200, stream=Chunks([b"{"], httpx.ReadError("reset"))),
    "stream": httpx.StreamError("x"),
    "url": httpx.InvalidURL("x"),
    "idna": UnicodeError("x"),
}


@pytest.mark.parametrize("name", CALLS)
def test_whatever_answers_the_error_is_ours(name: str) -> None:
    for answer in CORPUS.values():
        with pytest.raises(ModellixError):
            run(Service([answer]), CALLS[name][0], retry_deadline_s=0)


def test_whatever_answers_for_a_schema_is_json_or_an_error_of_ours() -> None:
    read = []
    for name, answer in CORPUS.items():
        with contextlib.suppress(ModellixError):
            run(Service([answer]), lambda c: c.schema(MODEL), retry_deadline_s=0)
            read.append(name)
    json = {"headers", "charset", "lengths", "null", "nul"}
    assert set(read) == json | {"half of it", "deep", "no JSON"}


def test_the_clock_is_the_callers() -> None:
    assert Service([page(200)]).clock() == NOW
    with pytest.raises(NoAnswer):
        asyncio.run(submit(Service([httpx.ReadTimeout("")])))
