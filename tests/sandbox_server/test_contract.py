"""What the API's documentation promises, asked for over the wire."""

import re
import time
from typing import Any

import httpx
import pytest

from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.sandbox_server.catalog import MODELS
from modellix_jupyter.sandbox_server.models import Quirk, problem

from .conftest import Run, get, post, request

QWEN = "/api/v1/alibaba/qwen-image-plus"
PROMPT = {"prompt": "a cat"}
PICTURE = "https://example.com/a.png"


def refused(answer: httpx.Response, status: int, words: str) -> None:
    """Check an error's form, to the letter."""
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert body["code"] == status
    assert re.fullmatch(r"[A-Z][a-z ]+: \S.*", body["message"])
    assert words in body["message"]


@pytest.mark.parametrize("path", [QWEN, f"{QWEN}/async"])
def test_both_submit_paths_answer_as_documented(
    http: httpx.Client, sandbox: Sandbox, path: str
) -> None:
    answer = http.post(path, json=PROMPT).json()

    task_id = answer["data"].pop("task_id")
    assert re.fullmatch(r"task-[0-9a-f]{16}", task_id)
    url = f"{sandbox.base_url}/api/v1/tasks/{task_id}"
    assert answer == {
        "code": 0,
        "message": "success",
        "data": {
            "status": "pending",
            "model_id": "qwen-image-plus",
            "get_result": {"method": "GET", "url": url},
        },
    }


def test_a_finished_task_answers_as_documented(run: Run, sandbox: Sandbox) -> None:
    data = run("alibaba/qwen-image-plus")

    more = {"result_expires_at", "billing"}
    assert set(data) == {"status", "task_id", "model_id", "duration", "result"} | more
    assert data["billing"] == {"status": "succeeded", "amount": "0.0300"}
    week_ms = 7 * 24 * 3600 * 1000
    assert data["result_expires_at"] - week_ms == pytest.approx(time.time() * 1000, abs=20_000)
    assert data["status"] == "success"
    assert 2000 / 50 <= data["duration"] <= 6000 / 50
    (resource,) = data["result"]["resources"]
    assert resource.pop("url") == f"{sandbox.cdn_url}/files/{data['task_id']}-0.png"
    assert resource == {
        "type": "image",
        "width": 1024,
        "height": 1024,
        "format": "png",
        "role": "primary",
    }
    assert data["result"]["metadata"]["image_count"] == 1
    assert re.fullmatch(r"req-[0-9a-f]+", data["result"]["metadata"]["request_id"])
    times = data["result"]["extensions"]
    assert set(times) == {"submit_time", "end_time"}
    for at in times.values():
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", at)


def test_a_task_is_pending_at_first(http: httpx.Client) -> None:
    task_id = http.post("/api/v1/sandbox/slow", json=PROMPT).json()["data"]["task_id"]

    data = http.get(f"/api/v1/tasks/{task_id}").json()["data"]

    assert data == {"status": "pending", "task_id": task_id, "model_id": "slow"}


def test_a_bad_key_is_401_everywhere(sandbox: Sandbox) -> None:
    headers = {
        None: "missing",
        "": "missing",
        "Bearer": "missing",
        "Basic abc": "missing",
        "Bearer wrong-key": "invalid",
        "Bearer wrong": "invalid",
        "Bearer two words": "invalid",
        "Bearer expired-2024": "expired",
    }
    reads = ("tasks/task-1", "models", "team/balance", "media/files")
    paths = [("POST", QWEN), ("POST", "/api/v1/media/files")]
    paths += [("GET", f"/api/v1/{path}") for path in reads]
    for header, words in headers.items():
        sent = {} if header is None else {"Authorization": header}
        for method, path in paths:
            refused(request(method, sandbox.base_url + path, headers=sent), 401, words)
        answer = get(f"{sandbox.base_url}/api/v1/apikey/validate", headers=sent)
        assert (answer.status_code, answer.json()["data"]) == (200, {"is_valid": False})


def test_a_task_is_its_keys_alone(http: httpx.Client, sandbox: Sandbox) -> None:
    task_id = http.post(QWEN, json=PROMPT).json()["data"]["task_id"]

    url = f"{sandbox.base_url}/api/v1/tasks/{task_id}"
    refused(get(url, headers={"Authorization": "Bearer another"}), 403, "belongs to another key")


def test_a_bad_body_is_400_and_costs_nothing(http: httpx.Client, sandbox: Sandbox) -> None:
    bodies = [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"prompt": "x", "n": NaN}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"{}", "parameter 'prompt' is required"),
        (b'{"prompt": ""}', "parameter 'prompt' must have at least 1 character"),
        (b'{"prompt": "  "}', "parameter 'prompt' must have at least 1 character"),
        (b'{"prompt": 5}', "parameter 'prompt' must be of type string"),
        (b'{"prompt": null}', "parameter 'prompt' must be of type string"),
        (b'{"prompt": "x", "size": "1x1"}', "parameter 'size' must be one of 1024*1024"),
        (b'{"prompt": "x", "n": 5}', "parameter 'n' must be at most 4"),
        (b'{"prompt": "x", "n": 0}', "parameter 'n' must be at least 1"),
        (b'{"prompt": "x", "n": true}', "parameter 'n' must be of type integer"),
        (b'{"prompt": "x", "n": 1.5}', "parameter 'n' must be of type integer"),
        (b'{"prompt": "x", "seed": -1}', "parameter 'seed' must be at least 0"),
        (b'{"prompt": "x", "prompt_extend": 1}', "'prompt_extend' must be of type boolean"),
    ]
    for body, words in bodies:
        refused(http.post(QWEN, content=body), 400, words)
    assert sandbox.submissions == {}
    assert sandbox.balance == 100.0


def test_text_bounds_and_patterns_are_checked(http: httpx.Client) -> None:
    long = {"prompt": "x" * 32_001}
    refused(http.post("/api/v1/openai/gpt-image-2", json=long), 400, "at most 32000 characters")
    edit = "/api/v1/google/nano-banana-2-edit"
    refused(http.post(edit, json=PROMPT), 400, "parameter 'image' is required")
    refused(http.post(edit, json={**PROMPT, "image": "cat.png"}), 400, "'image' must match")


def test_unknown_parameters_are_ignored(http: httpx.Client, sandbox: Sandbox) -> None:
    answer = http.post(QWEN, json={**PROMPT, "sparkles": 9})

    assert answer.status_code == 200
    (accepted,) = sandbox.submissions.values()
    assert accepted.body == {"prompt": "a cat", "sparkles": 9}
    assert accepted.model == "alibaba/qwen-image-plus"


def test_what_is_not_there_is_404(http: httpx.Client) -> None:
    for method, path, words in (
        ("POST", "/api/v1/nobody/anything/async", "provider 'nobody'"),
        ("POST", "/api/v1/alibaba/nothing/async", "model 'alibaba/nothing'"),
        ("GET", "/api/v1/tasks/task-unknown", "task 'task-unknown'"),
        ("GET", "/models/alibaba/nothing/api_schema", "model 'alibaba/nothing'"),
        ("GET", "/", "no such path"),
        ("DELETE", "/nowhere", "no such path"),
    ):
        refused(http.request(method, path, json=PROMPT), 404, words)


def test_another_method_is_405(http: httpx.Client) -> None:
    for method, path in (("GET", QWEN), ("POST", "/api/v1/models"), ("PUT", "/api/v1/tasks/t")):
        refused(http.request(method, path), 405, "does not take this method")


def test_the_catalogue_has_no_envelope_and_a_price(http: httpx.Client, sandbox: Sandbox) -> None:
    answer = http.get("/api/v1/models").json()

    assert set(answer) == {"models"}
    by_slug = {entry["slug"]: entry for entry in answer["models"]}
    assert len(by_slug) == len(answer["models"]) >= 26
    for entry in by_slug.values():
        prices = set(entry) - {"slug", "type", "docs_url", "description"}
        assert prices in ({"price"}, {"price", "unit"}, {"pricing"})
    assert by_slug["alibaba/qwen-image-plus"] == {
        "slug": "alibaba/qwen-image-plus",
        "type": "text-to-image",
        "docs_url": f"{sandbox.base_url}/models/alibaba/qwen-image-plus/api_schema",
        "description": "Layered hills under a low sun, in the blues of a winter morning.",
        "price": {"amount": 0.03, "currency": "USD", "unit": "image"},
    }
    assert by_slug["openai/gpt-image-2"]["price"] == {
        "min": 0.01,
        "max": 0.17,
        "currency": "USD",
        "unit": "image",
    }


def test_the_featured_are_some_of_the_catalogue(http: httpx.Client) -> None:
    every = [each["slug"] for each in http.get("/api/v1/models").json()["models"]]
    few = [each["slug"] for each in http.get("/api/v1/models?featured=true").json()["models"]]

    assert few
    assert set(few) < set(every)


def test_a_good_key_is_valid(http: httpx.Client) -> None:
    answer = http.get("/api/v1/apikey/validate").json()

    assert answer == {"code": 0, "message": "success", "data": {"is_valid": True}}


@pytest.mark.parametrize(
    ("slug", "body", "price"),
    [
        ("alibaba/qwen-image-plus", {}, 0.03),
        ("alibaba/qwen-image-plus", {"n": 4}, 0.12),
        ("openai/gpt-image-2", {"quality": "high", "n": 2}, 0.34),
        ("google/veo-3-fast", {"durationSeconds": "6", "resolution": "720p"}, 0.90),
        ("minimax/speech-2.6", {}, 0.01),
        ("alibaba/wan2.6-t2i", {}, 0.12),
        (
            "bytedance/seedream-5.0-lite-edit",
            {"image": PICTURE, "sequential_image_generation": "auto"},
            0.14,
        ),
        ("kling/kling-image-o1", {"image_list": [{"image": PICTURE}], "series_amount": 3}, 0.084),
        ("bytedance/seedance-2.0-mini-t2v", {"duration": 10}, 0.2),
        ("alibaba/wan2.7-videoedit", {"video_url": "https://example.com/a.mp4"}, 0.4),
    ],
)
def test_the_balance_goes_down_by_the_price(
    http: httpx.Client, slug: str, body: dict[str, Any], price: float
) -> None:
    http.post(f"/api/v1/{slug}", json={**PROMPT, **body})

    answer = http.get("/api/v1/team/balance").json()
    assert answer["data"] == {"balance": pytest.approx(100 - price)}


def test_an_empty_account_is_402(http: httpx.Client) -> None:
    dear = {**PROMPT, "quality": "high", "n": 10}
    answers = [http.post("/api/v1/openai/gpt-image-2", json=dear) for _ in range(59)]

    assert [answer.status_code for answer in answers[:58]] == [200] * 58
    refused(answers[58], 402, "insufficient")


def test_a_schema_is_public_and_is_what_is_enforced(sandbox: Sandbox) -> None:
    url = f"{sandbox.base_url}/models/openai/gpt-image-2/api_schema"
    answer = get(url)
    fragment = answer.json()

    assert answer.headers["Cache-Control"] == "no-store"
    assert fragment["servers"] == [{"url": f"{sandbox.base_url}/api/v1/openai/gpt-image-2/async"}]
    schema = fragment["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["prompt"]
    assert schema["properties"]["size"] == {
        "type": "string",
        "description": "Width and height in pixels.",
        "default": "1024x1024",
        "enum": ["1024x1024", "1536x1024", "1024x1536"],
    }
    assert schema["properties"]["prompt"]["minLength"] == 1
    assert schema["properties"]["prompt"]["maxLength"] == 32_000


FILLED = {"default", "example"}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("openai/gpt-image-2-edit", {**PROMPT, "image": PICTURE}, "'image' must be of type array"),
    ("openai/gpt-image-2-edit", {**PROMPT, "image": []}, "at least 1 item"),
    ("openai/gpt-image-2-edit", {**PROMPT, "image": [PICTURE] * 17}, "at most 16 items"),
    ("openai/gpt-image-2-edit", {**PROMPT, "image": ["data:image/png;base64,"]}, "must match"),
    ("bytedance/seedream-5.0-lite-edit", {**PROMPT, "image": 5}, "'image' must be of type string"),
    ("kling/kling-image-o1", {**PROMPT, "image_list": [{}]}, "has an item that must have 'image'"),
    ("alibaba/wan2.7-i2v", PROMPT, "exactly one of these is required: 'first_frame' or"),
    (
        "alibaba/wan2.7-i2v",
        {"first_frame": PICTURE, "first_clip": "https://example.com/a.mp4"},
        "exactly one",
    ),
    ("vidu/viduq2-pro-multi-frame", {"start_image": PICTURE}, "'key_images' is required"),
    ("alibaba/qwen3-tts-flash", {"prompt": "hello"}, "'text' is required"),
    ("google/veo-3-fast", {**PROMPT, "durationSeconds": 4}, "must be of type string"),
    ("black-forest-labs/flux-2-pro", {**PROMPT, "guidance": 1.0}, "must be above 1.0"),
]


def test_every_default_and_every_enum_value_is_accepted_by_its_own_schema() -> None:
    checked = 0
    for model in MODELS.values():
        for name, schema in model.parameters.items():
            for value in (*schema.get("enum", ()), *(schema[n] for n in FILLED & schema.keys())):
                checked += 1
                assert problem(schema, value) is None, (model.slug, name, value)
    assert checked > 100


def test_every_request_of_an_example_is_accepted(http: httpx.Client) -> None:
    tried = 0
    for model in MODELS.values():
        if model.quirk != Quirk() or model.bare:
            continue
        (content,) = model.openapi("")["post"]["requestBody"]["content"].values()  # type: ignore[index]
        tried += 1
        answer = http.post(f"/api/v1/{model.slug}", json=content["examples"]["short"]["value"])
        assert answer.status_code == 200, (model.slug, answer.text)
    assert tried > 20


def test_each_kind_of_schema_is_enforced(http: httpx.Client) -> None:
    for slug, body, words in REFUSED:
        refused(http.post(f"/api/v1/{slug}", json=body), 400, words)


def test_the_journal_shows_what_was_sent_where(sandbox: Sandbox) -> None:
    get(f"{sandbox.base_url}/models/openai/gpt-image-2/api_schema")
    get(
        f"{sandbox.base_url}/models/openai/gpt-image-2/api_schema",
        headers={"Authorization": "Bearer secret-key"},
    )
    post(f"{sandbox.base_url}{QWEN}?a=1", content=b"12345")
    get(f"{sandbox.cdn_url}/files/none.png")

    public, leaked, posted, file = sandbox.journal
    assert (public.origin, public.method, public.authorized) == ("api", "GET", False)
    assert leaked.authorized
    assert leaked.headers["authorization"] == "Bearer secret-key"
    assert "secret-key" not in repr(leaked)
    assert (posted.path, posted.query, posted.body_size) == (QWEN, "a=1", 5)
    assert (file.origin, file.path) == ("cdn", "/files/none.png")
    assert public.at <= leaked.at <= posted.at <= file.at
