"""Chooses the answer to a request, by its plan and its path."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from scripts.fake_provider.chat import chat, text_completion
from scripts.fake_provider.connection import Connection
from scripts.fake_provider.files import Files
from scripts.fake_provider.forms import form_of
from scripts.fake_provider.media import edited, embeddings, images, models, moderations, speech, transcription
from scripts.fake_provider.messages import HEADERS, count_tokens, message
from scripts.fake_provider.plan import Plan, alias, parse_plan
from scripts.fake_provider.responses import Responses
from scripts.fake_provider.spelling import anthropic_error, odd, openai_error
from scripts.fake_provider.wire import Pieces, Received, reply

FAKE = re.compile(rb"\r\n[Xx]-[Ff]ake: *([^\r]*)")
#: Handlers of POST with a JSON body.
POSTED: dict[str, Callable[[dict[str, Any], str, Plan], Pieces]] = {
    "/v1/chat/completions": chat,
    "/v1/completions": text_completion,
    "/v1/messages": message,
    "/v1/messages/count_tokens": count_tokens,
    "/v1/embeddings": embeddings,
    "/v1/images/generations": images,
    "/v1/audio/speech": speech,
    "/v1/moderations": moderations,
}
#: Handlers of POST with a form.
FORMS: dict[str, Callable[[Received, Plan], Pieces]] = {
    "/v1/images/edits": edited,
    "/v1/images/variations": edited,
    "/v1/audio/transcriptions": transcription,
    "/v1/audio/translations": transcription,
}
#: Names of a router's policies: no provider has a model of such a name.
POLICIES = ("auto",)
HELD = ("files", "uploads", "batches")


class Upstream:
    """The state that all connections share: the log, the scripts by model, and stored objects."""

    def __init__(self, *, log: bool = True, name: str = "") -> None:
        self.url = ""
        self.keep_log = log
        self.received: deque[Received] = deque(maxlen=1000)
        self.scripts: dict[str, str] = {}
        self.used: Counter[tuple[str, str]] = Counter()
        self.connections: set[Connection] = set()
        self.responses = Responses(name)
        self.files = Files()

    def log(self) -> list[dict[str, Any]]:
        """The last 1000 requests, oldest first."""
        return [received.entry() for received in self.received]

    def clear(self) -> None:
        """Delete the log, the scripts and their counts of use."""
        self.received.clear()
        self.scripts.clear()
        self.used.clear()

    def script(self, model: str, plan: str = "") -> None:
        """Answer every request for this model by `plan` from now on; an empty plan removes the script."""
        parse_plan(plan)
        self.scripts[model] = plan
        self.used.pop((model, plan), None)

    def answer(self, received: Received) -> tuple[Plan, Pieces]:
        """Return the plan of a request and the pieces to write: the head, then events or the body."""
        if received.path.startswith("/_"):
            return Plan(), self._control(received)
        if self.keep_log:
            self.received.append(received)
        try:
            body = _parsed(received)
            model = str(body.get("model", ""))
            plan = self._plan(received, model)
        except ValueError as error:
            return Plan(), _error(received, 400, str(error))
        if plan.needs_key is not None and plan.needs_key != _key(received):
            return plan, _error(received, 401, "Incorrect API key provided.", plan)
        if model in POLICIES:
            return plan, _error(received, 404, f"The model '{model}' does not exist.", plan)
        if plan.status != 200:
            return plan, _error(received, plan.status, "The fake provider failed as planned.", plan)
        try:
            return plan, self._answer(received, body, model, plan)
        except KeyError as error:
            missing = str(error.args[0])
            known = re.match(r"(file|upload|batch|part)[-_]", missing)
            message = f"No such object: {missing}" if known else f"Missing required parameter: '{missing}'."
            return plan, _error(received, 404 if known else 400, message, plan)
        except ValueError as error:
            return plan, _error(received, 400, str(error), plan)

    def _answer(self, received: Received, body: dict[str, Any], model: str, plan: Plan) -> Pieces:
        method, path = received.method, received.path
        if method == "POST":
            if posted := POSTED.get(path):
                return posted(body, model, plan)
            if form := FORMS.get(path):
                return form(received, plan)
            if path == "/v1/responses":
                return self.responses.create(body, model, plan)
        if path.startswith("/v1/"):
            kind, *rest = path.removeprefix("/v1/").split("/")
            if kind == "models" and method in ("GET", "DELETE"):
                return models(received, unquote("/".join(rest)), plan)
            if kind == "responses" and rest == ["input_tokens"]:
                return reply(200, odd({"object": "response.input_tokens", "input_tokens": 11}), plan)
            if kind == "responses" and rest:
                stream = "stream=true" in received.query
                return self.responses.one(method, rest[0], "/".join(rest[1:]), plan, stream)
            if kind in HELD and method != "PUT":
                return self.files.answer(received, [kind, *rest], body, plan)
        kinds = received.named.get("content-type", "application/octet-stream")
        return reply(200, received.body, plan, kinds.encode("latin-1"))

    def _plan(self, received: Received, model: str) -> Plan:
        text = ""
        if match := FAKE.search(received.head):
            text = match[1].decode("latin-1")
        elif received.query and (query := parse_qs(received.query).get("fake")):
            text = query[0]
        else:
            text = self.scripts.get(model) or alias(model)
        plan = parse_plan(text)
        if plan.times is not None:
            self.used[model, text] += 1
            if self.used[model, text] > plan.times:
                return Plan()
        return plan

    def _control(self, received: Received) -> Pieces:
        match received.method, received.path:
            case "GET", "/_log":
                return reply(200, orjson.dumps(self.log()))
            case "DELETE", "/_log":
                self.clear()
                return reply(200, b"{}")
            case "PUT", "/_script":
                try:
                    for model, plan in orjson.loads(received.body).items():
                        self.script(model, str(plan))
                except ValueError as error:
                    return reply(400, openai_error(400, str(error)))
                return reply(200, orjson.dumps(self.scripts))
        return reply(404, openai_error(404, f"{received.method} {received.path}: no such control."))


def _parsed(received: Received) -> dict[str, Any]:
    """Return the JSON body, or the texts of a form; an empty object for paths that take neither."""
    if received.method != "POST" or not received.path.startswith("/v1/"):
        return {}
    if received.path in FORMS:
        form = form_of(received.named.get("content-type", ""), received.body)
        return {name: part.text for name, part in form.items() if part.filename is None}
    known = received.path in POSTED or received.path in ("/v1/responses", "/v1/responses/input_tokens")
    if not known and not received.path.startswith(("/v1/uploads", "/v1/batches")):
        return {}
    if received.path.endswith(("/parts", "/cancel")):
        return {}
    body = orjson.loads(received.body)
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    return body


def _key(received: Received) -> str:
    bearer = received.named.get("authorization", "")
    return received.named.get("x-api-key") or bearer.removeprefix("Bearer ")


def _error(received: Received, status: int, message: str, plan: Plan | None = None) -> Pieces:
    """Return an error in the format of the request's API."""
    if received.path.startswith("/v1/messages") or "anthropic-version" in received.named:
        return reply(status, anthropic_error(status, message), plan, headers=HEADERS)
    return reply(status, openai_error(status, message), plan)
