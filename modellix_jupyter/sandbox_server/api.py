"""The API's own origin: submissions, tasks, the catalogue, the account and uploads."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from tornado.web import Application

from modellix_jupyter.sandbox_server.answers import Answer, Nothing, Refusal, quiet
from modellix_jupyter.sandbox_server.faults import BEFORE
from modellix_jupyter.sandbox_server.files import resources
from modellix_jupyter.sandbox_server.model import Model
from modellix_jupyter.sandbox_server.site import Site

_LARGEST_UPLOAD = 16 * 2**20
_SLUG = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_KEY = re.compile(r"[!-~]{1,16384}")


class Keyed(Answer):
    """A handler that wants a key."""

    def prepare(self) -> None:
        """Refuse a key that is missing, made to be refused, or no key at all."""
        super().prepare()
        scheme, _, key = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Refusal(401, "the API key is missing")
        if key.startswith("expired"):
            raise Refusal(401, "the API key has expired")
        if key.startswith("wrong") or not _KEY.fullmatch(key):
            raise Refusal(401, "the API key is invalid")

    def model(self, provider: str, name: str) -> Model:
        """Return the model of a path.

        Raises
        ------
        Refusal
            404 where there is none.
        """
        slug = f"{provider}/{name}"
        if slug in self.site.models:
            return self.site.models[slug]
        if not any(known.startswith(f"{provider}/") for known in self.site.models):
            raise Refusal(404, f"provider '{provider}' does not exist")
        raise Refusal(404, f"model '{slug}' does not exist")


class Submit(Keyed):
    """POST /api/v1/{provider}/{model}, with /async at its end or without."""

    async def post(self, provider: str, name: str) -> None:
        """Check a request, meet it with its faults, and accept it."""
        model = self.model(provider, name)
        body = self._body()
        if problem := model.complaint(body):
            raise Refusal(400, problem)
        fault = self.site.chance("submit") or self.site.quirk(model, body)
        if fault in BEFORE:
            self.refuse(fault)
            return
        if self.site.tasks.price(model, body) > self.site.tasks.balance:
            raise Refusal(402)
        task = self.site.tasks.accept(model, body)
        where = f"{self.site.api_url}/api/v1/tasks/{task.id}"
        receipt: dict[str, object] = {
            "status": "pending",
            "task_id": task.id,
            "model_id": model.name,
            "get_result": {"method": "GET", "url": where},
        }
        await self.deliver(receipt, fault)

    def _body(self) -> dict[str, object]:
        """Return the request's JSON object."""
        try:
            body = json.loads(self.request.body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise Refusal(400, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Refusal(400, "the body must be a JSON object")
        return body


def _no_constant(name: str) -> object:
    """Refuse NaN and the infinities, which Python reads but JSON does not have."""
    raise ValueError(name)


class Read(Keyed):
    """GET /api/v1/tasks/{task_id}."""

    async def get(self, task_id: str) -> None:
        """Tell how a task is."""
        fault = self.site.chance("read")
        if fault in BEFORE:
            self.refuse(fault)
            return
        task = self.site.tasks.find(task_id)
        if task is None:
            raise Refusal(404, f"task '{task_id}' does not exist, or its day has passed")
        made = resources(task, self.site.cdn_url)
        await self.deliver(task.answer(self.site.tasks.clock(), made), fault)


class Models(Keyed):
    """GET /api/v1/models, the one answer without the usual envelope."""

    def get(self) -> None:
        """List the models."""
        chosen = self.get_query_argument("featured", "").lower() == "true"
        listed = [
            model.entry(self.site.api_url)
            for model in self.site.models.values()
            if model.featured or not chosen
        ]
        self.finish({"models": listed})


class Validate(Keyed):
    """GET /api/v1/apikey/validate."""

    def get(self) -> None:
        """Say that the key is good; a bad one never comes this far."""
        self.succeed({"is_valid": True})


class Balance(Keyed):
    """GET /api/v1/team/balance."""

    def get(self) -> None:
        """Tell what is left."""
        self.succeed({"balance": self.site.tasks.balance})


class Upload(Keyed):
    """POST /api/v1/media/files."""

    async def post(self) -> None:
        """Keep a picture and say where it is."""
        sent = self.request.files.get("file")
        if not sent:
            raise Refusal(400, "parameter 'file' is required, as multipart/form-data")
        content = sent[0].body
        if len(content) > _LARGEST_UPLOAD:
            raise Refusal(400, "parameter 'file' must have at most 16 MiB")
        kind = await self.site.files.checked_format(content)
        if kind is None:
            raise Refusal(400, "parameter 'file' must be a PNG, JPEG or WebP picture")
        name = self.site.files.keep_upload(content, kind)
        now = datetime.fromtimestamp(self.site.tasks.clock(), UTC)
        self.succeed(
            {
                "file_id": f"file-{name.partition('.')[0]}",
                "type": "image",
                "url": f"{self.site.cdn_url}/media/{name}",
                "filename": sent[0].filename,
                "size": len(content),
                "created_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )


class Schema(Keyed):
    """GET /models/{provider}/{model}/api_schema, for which no key must ever be sent."""

    def prepare(self) -> None:
        """Want no key. The journal shows whether one was sent all the same."""
        Answer.prepare(self)

    def get(self, provider: str, name: str) -> None:
        """Describe a model's request."""
        self.finish(self.model(provider, name).openapi(self.site.api_url))


def application(site: Site) -> Application:
    """Return the API's origin.

    Parameters
    ----------
    site
        The shared state.

    Returns
    -------
    tornado.web.Application
        Ready to be served.
    """
    about: dict[str, Any] = {"site": site, "origin": "api"}
    routes = [
        (r"/api/v1/models/?", Models, about),
        (r"/api/v1/tasks/([^/]+)", Read, about),
        (r"/api/v1/apikey/validate", Validate, about),
        (r"/api/v1/team/balance", Balance, about),
        (r"/api/v1/media/files", Upload, about),
        (rf"/api/v1/({_SLUG})/({_SLUG})(?:/async)?", Submit, about),
        (rf"/models/({_SLUG})/({_SLUG})/api_schema", Schema, about),
    ]
    return Application(
        routes, default_handler_class=Nothing, default_handler_args=about, log_function=quiet
    )
