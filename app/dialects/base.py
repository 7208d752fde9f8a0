"""The interface of a dialect (one API of models), the parsed request, and what OpenAI's dialects share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

import orjson

from ..errors import RouterError
from .usage import TokenUsage
from .usage_conventions import CHAT_PLACES, Place
from .usage_reading import read_usage
from .usage_reports import Report, report_in


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """The parts of a request body that routing needs, the same for every dialect."""

    #: Messages in the format of Chat Completions, system prompt included.
    messages: Sequence[Mapping[str, Any]]
    #: JSON that the model reads besides the messages: definitions of tools, the schema of the answer.
    schemas: tuple[Any, ...] = ()
    #: Maximum tokens of all `answers` together; None: the request sets none.
    limit: int | None = None
    #: Number of answers requested.
    answers: int = 1
    #: Whether the client requests a stream of server-sent events.
    streamed: bool = False
    #: Whether the model must support function calling.
    tools: bool = False
    #: Whether the model must support several function calls in one answer.
    parallel_tools: bool = False
    #: Whether a message has an image.
    vision: bool = False
    #: Whether a message has sound, or an answer in sound is requested.
    audio: bool = False
    #: Whether the answer must match a JSON schema.
    json_schema: bool = False
    #: Whether the request asks for reasoning.
    reasoning: bool = False
    #: Id of the response or conversation, stored by the provider, that this request continues.
    previous: str | None = None
    #: Id of the conversation, stored by the provider, that this request continues.
    conversation: str | None = None
    #: The client's id of its session.
    session: str | None = None


class Begun(NamedTuple):
    """What a client has received of a stream: the number of its next event, and the response as it began."""

    events: int = 0
    response: Mapping[str, Any] = MappingProxyType({})


NOT_BEGUN = Begun()


class Dialect(Protocol):
    """One API: parses its requests and answers, and formats errors for its clients."""

    #: Name of the API, a value of the column `router.providers.speaks`.
    name: ClassVar[str]
    #: Path below the base URL of a provider.
    path: ClassVar[str]
    #: Value of `gen_ai.operation.name` in OpenTelemetry's conventions.
    operation: ClassVar[str]
    #: Whether policies may route its requests.
    routed: ClassVar[bool]
    #: Whether its requests cost money and are recorded in the ledger.
    billed: ClassVar[bool]
    #: Where an answer or event has the report of its usage.
    usage_places: ClassVar[tuple[Place, ...]]
    #: Whether the first event of a stream reports a part of the usage.
    splits_usage: ClassVar[bool]

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """Parse a request body. Raises `BadRequest` naming the invalid field."""
        ...

    def report(self, answer: dict[str, Any]) -> Report:
        """Return the provider's report of usage in an answer, or in an event of a stream; empty if it has none."""
        ...

    def read_usage(self, report: Report) -> TokenUsage:
        """Return the usage of a report; `UNKNOWN` if it is empty."""
        ...

    def text(self, answer: dict[str, Any]) -> str:
        """Return the model's output in an answer, or in an event of a stream: text, reasoning, tool calls."""
        ...

    def error(self, error: RouterError) -> dict[str, Any]:
        """Return the response body for an error."""
        ...

    def error_event(self, error: RouterError, begun: Begun = NOT_BEGUN) -> bytes:
        """Return the event that reports an error to the client of a stream that has begun.

        `begun`: used by the Responses API, whose events are numbered.
        """
        ...


class OpenAI:
    """Base class of OpenAI's dialects."""

    billed: ClassVar = True
    usage_places: ClassVar[tuple[Place, ...]] = CHAT_PLACES
    splits_usage: ClassVar = False

    def error(self, error: RouterError) -> dict[str, Any]:
        """Return `{"error": {"message", "type", "param", "code"}}`."""
        return error.body()

    def error_event(self, error: RouterError, begun: Begun = NOT_BEGUN) -> bytes:
        """Return the error body as an event without a name, the format that OpenAI's clients expect."""
        return b"data: " + orjson.dumps(error.body()) + b"\n\n"

    def report(self, answer: dict[str, Any]) -> Report:
        """Return the member `usage`, or what the provider has in its place."""
        return report_in(answer, self.usage_places)

    def read_usage(self, report: Report) -> TokenUsage:
        """Return the usage of a report, by the convention that its names and its total fit."""
        return read_usage(report)


def object_at(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the member `name` if it is an object, else an empty object."""
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def session_in(body: Mapping[str, Any]) -> str | None:
    """Return the id of a session in a request body; None if there is none.

    `prompt_cache_key` and `user` are OpenAI's (Codex sends its thread in the former), `session_id` is OpenRouter's, and
    `metadata.user_id` is Anthropic's, in which Claude Code sends its session.
    """
    metadata = object_at(body, "metadata")
    for value in (
        body.get("prompt_cache_key"),
        body.get("session_id"),
        metadata.get("session_id"),
        metadata.get("user_id"),
        body.get("user"),
    ):
        if isinstance(value, str) and value:
            return value
    return None


def first_positive(*values: Any) -> int | None:
    """Return the first value that is a positive whole number, else None."""
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 0), None)


def part_types(messages: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the types of all content parts of the messages."""
    return {str(part.get("type")) for message in messages for part in content_parts(message)}


def content_parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the content parts of a message; empty if its content is plain text."""
    content = message.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message: its content, or its text parts joined by line breaks. Images have none."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))
