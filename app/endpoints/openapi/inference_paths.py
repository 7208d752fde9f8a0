"""OpenAI's and Anthropic's own paths: bodies are the provider's, so little is said of them and every field may come."""

from __future__ import annotations

from typing import Any

from app.endpoints.openapi.operation import EVENTS, JSON, Operation, Schema, fields, listing, parameter

_OPENAI, _ANTHROPIC = "OpenAI", "Anthropic"
ANTHROPIC_ERROR = "AnthropicError"

_MODEL: Schema = {"type": "string", "description": "A model, or a policy such as `auto`, which asks to be routed."}
_MESSAGES: Schema = {"type": "array", "items": {"type": "object"}, "minItems": 1}
_TEXTS: Schema = {"anyOf": [{"type": "string"}, {"type": "array"}]}
_STREAM: Schema = {"type": "boolean"}

#: What the router reads of a request's headers.
HEADERS = (
    parameter("X-Router", "header", "off: the default model serves.", {"enum": ["on", "off"]}, required=False),
    parameter("X-Router-Conversation", "header", "Names the conversation; it keeps its model.", required=False),
    parameter("X-Router-Task", "header", "Tags the request, as memories are tagged.", required=False),
    parameter("X-Router-Alpha", "header", "The policy's alpha for this request, 0 to 100.", required=False),
)
#: What may go wrong with a request that a model serves; a provider's own errors come as they are.
ERRORS = (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504)

_SHOWN = fields(id="string", object={"const": "model"}, created="integer", owned_by="string")


def _asked(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": True,
    }


def _model(
    path: str, summary: str, body: Schema, answer: Schema, *, streams: bool = True, tag: str = _OPENAI, **more: Any
) -> Operation:
    answers = {JSON: answer, **({EVENTS: {"type": "string"}} if streams else {})}
    return Operation("POST", path, summary, tag, {200: answers}, ERRORS, HEADERS, body, passes=True, **more)


OPERATIONS = (
    _model(
        "/v1/chat/completions", "A chat completion, routed where `model` names a policy.",
        _asked({"model": _MODEL, "messages": _MESSAGES}, stream=_STREAM), {"type": "object"},
    ),
    _model(
        "/v1/responses", "A response, routed where `model` names a policy.",
        _asked({"model": _MODEL}, input=_TEXTS, stream=_STREAM, previous_response_id={"type": ["string", "null"]}),
        {"type": "object"},
    ),
    _model(
        "/v1/completions", "A completion of a text.",
        _asked({"model": _MODEL, "prompt": _TEXTS}, stream=_STREAM), {"type": "object"},
    ),
    _model(
        "/v1/embeddings", "Embeddings of texts.",
        _asked({"model": _MODEL, "input": _TEXTS}), {"type": "object"}, streams=False,
    ),
    _model(
        "/v1/messages", "A message in Anthropic's shape, routed among providers that speak it.",
        _asked({"model": _MODEL, "messages": _MESSAGES, "max_tokens": {"type": "integer"}}, stream=_STREAM),
        {"type": "object"}, tag=_ANTHROPIC, error=ANTHROPIC_ERROR,
    ),
    _model(
        "/v1/responses/input_tokens", "How many tokens a response's input has.",
        _asked({"model": _MODEL}, input=_TEXTS), {"type": "object"}, streams=False,
    ),
    _model(
        "/v1/messages/count_tokens", "How many tokens a message has.",
        _asked({"model": _MODEL, "messages": _MESSAGES}), {"type": "object"}, streams=False, tag=_ANTHROPIC,
        error=ANTHROPIC_ERROR,
    ),
    Operation(
        "GET", "/v1/models", "The tenant's policies and the models, with what each can do.", _OPENAI,
        {200: listing(_SHOWN)},
    ),
    Operation("GET", "/v1/models/{name}", "One of them.", _OPENAI, {200: _SHOWN}, (404,)),
)  # fmt: skip
