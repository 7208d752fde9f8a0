"""Paths of OpenAI's and Anthropic's APIs that models serve.

Request and response bodies are the provider's: the models below name the few fields that the router reads, and every
other field may be present.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .operation import EVENTS, JSON, DocumentedPath, Operation, Schema, parameter

#: The headers of a request that the router reads.
_HEADERS = (
    parameter("X-Router", "header", "off: the default model serves.", {"enum": ["on", "off"]}, required=False),
    parameter("X-Router-Conversation", "header", "The conversation's name; it keeps its model.", required=False),
    parameter("X-Router-Task", "header", "The task tag of the request; memories have such tags too.", required=False),
    parameter("X-Router-Alpha", "header", "The policy's alpha for this request, 0 to 100.", required=False),
)
#: Statuses of errors of a request that a model serves; a provider's own errors are returned unchanged.
ERRORS = (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504)

_Messages = Annotated[list[dict[str, Any]], Field(min_length=1)]
_Text = str | list[Any]


class InferenceRequest(BaseModel):
    """A request that a model serves."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(description="A model, or a policy such as `auto`: a request for a policy is routed.")


class ChatRequest(InferenceRequest):
    """A request of the Chat Completions API."""

    messages: _Messages
    stream: bool = False


class ResponsesRequest(InferenceRequest):
    """A request of the Responses API."""

    input: _Text = ""
    stream: bool = False
    previous_response_id: str | None = Field(None, description="The provider that keeps this response serves the next.")


class CompletionRequest(InferenceRequest):
    """A request of the Completions API."""

    prompt: _Text
    stream: bool = False


class EmbeddingsRequest(InferenceRequest):
    """A request of the Embeddings API."""

    input: _Text


class InputTokensRequest(InferenceRequest):
    """A request for the number of input tokens."""

    input: _Text = ""


class MessagesRequest(InferenceRequest):
    """A request of Anthropic's Messages API."""

    messages: _Messages
    max_tokens: int
    stream: bool = False


class CountTokensRequest(InferenceRequest):
    """A request for the number of tokens of messages."""

    messages: _Messages


def _path(
    path: str,
    summary: str,
    body: type[InferenceRequest],
    *,
    streams: bool = True,
    tag: Literal["OpenAI", "Anthropic"] = "OpenAI",
) -> DocumentedPath:
    content: dict[str, Schema] = {JSON: {"type": "object"}}
    if streams:
        content[EVENTS] = {"type": "string"}
    operation = Operation(
        summary=summary,
        tag=tag,
        scope="ask",
        responses={200: content},
        errors=ERRORS,
        parameters=_HEADERS,
        body=body,
        from_provider=True,
        error="Error" if tag == "OpenAI" else "AnthropicError",
    )
    return DocumentedPath("POST", path, operation)


PATHS = (
    _path("/v1/chat/completions", "A chat completion; routed if `model` is a policy.", ChatRequest),
    _path("/v1/responses", "A response; routed if `model` is a policy.", ResponsesRequest),
    _path(
        "/v1/responses/compact", "A shorter form of a conversation; routed if `model` is a policy.", InputTokensRequest,
        streams=False,
    ),
    _path(
        "/v1/responses/input_tokens", "The number of input tokens of a response.", InputTokensRequest, streams=False
    ),
    _path(
        "/v1/messages", "A message in Anthropic's format; routed among providers that support it.", MessagesRequest,
        tag="Anthropic",
    ),
    _path(
        "/v1/messages/count_tokens", "The number of tokens of messages.", CountTokensRequest,
        streams=False, tag="Anthropic",
    ),
    _path("/v1/completions", "A text completion.", CompletionRequest),
    _path("/v1/embeddings", "Embeddings of texts.", EmbeddingsRequest, streams=False),
)  # fmt: skip
