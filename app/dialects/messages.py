"""The dialect of Anthropic's Messages API."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from ..errors import RouterError
from .base import (
    NOT_BEGUN,
    Begun,
    ParsedRequest,
    content_parts,
    first_positive,
    object_at,
    part_types,
    session_in,
)
from .chat import validate_messages
from .usage import TokenUsage
from .usage_conventions import MESSAGES_PLACES, Place
from .usage_reading import read_usage
from .usage_reports import Report, report_in

#: Anthropic's error type for each HTTP status.
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 409: "conflict_error", 413: "request_too_large", 422: "invalid_request_error",
    429: "rate_limit_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip


class Messages:
    """The dialect of `/messages`."""

    name: ClassVar = "messages"
    path: ClassVar = "/messages"
    operation: ClassVar = "chat"
    routed: ClassVar = True
    billed: ClassVar = True
    usage_places: ClassVar[tuple[Place, ...]] = MESSAGES_PLACES
    splits_usage: ClassVar = True

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """Parse a request body; `system` becomes the first message. Raises `BadRequest` naming the invalid field."""
        messages = validate_messages(body.get("messages"), "messages")
        system = body.get("system")
        kinds = part_types(messages)
        if "tool_result" in kinds:
            # The result of a tool may contain images.
            kinds |= part_types([block for message in messages for block in content_parts(message)])
        thinking = object_at(body, "thinking").get("type")
        return ParsedRequest(
            [{"role": "system", "content": system}, *messages] if isinstance(system, str | list) else messages,
            schemas=tuple(filter(None, (body.get("tools"),))),
            limit=first_positive(body.get("max_tokens")),
            streamed=body.get("stream") is True,
            tools=bool(body.get("tools")),
            vision="image" in kinds,
            json_schema=object_at(object_at(body, "output_config"), "format").get("type") == "json_schema",
            reasoning=thinking in ("enabled", "adaptive"),
            session=session_in(body),
        )

    def report(self, answer: dict[str, Any]) -> Report:
        """Return the report in an answer, in a `message_start` event, or in a `message_delta` event.

        Counts of a delta are totals since the start. `message_start` also has an `output_tokens`, which is left out
        because the answer has only begun.
        """
        found = report_in(answer, self.usage_places)
        if not found.counts or not isinstance(answer.get("message"), dict):
            return found
        counts = {name: value for name, value in found.counts.items() if name != "output_tokens"}
        return Report(counts, found.model, begun=True)

    def read_usage(self, report: Report) -> TokenUsage:
        """Return the usage of a report; Anthropic's prompt tokens are those of its cache too."""
        return read_usage(report)

    def text(self, answer: dict[str, Any]) -> str:
        """Return the delta of an event, or the text, thinking and tool calls of an answer's content blocks."""
        content = answer.get("content")
        blocks = content if isinstance(content, list) else [object_at(answer, n) for n in ("delta", "content_block")]
        found: list[str] = []
        for block in blocks:
            if isinstance(block, dict):
                found += [
                    block[name]
                    for name in ("text", "thinking", "partial_json", "name")
                    if isinstance(block.get(name), str)
                ]
                if block.get("input"):
                    found.append(str(block["input"]))
        return "".join(found)

    def error(self, error: RouterError) -> dict[str, Any]:
        """Return `{"type": "error", "error": {"type", "message"}}`."""
        kind = _TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
        where = f"{error.param}: " if error.param and error.param not in error.message else ""
        return {"type": "error", "error": {"type": kind, "message": where + error.message}}

    def error_event(self, error: RouterError, begun: Begun = NOT_BEGUN) -> bytes:
        """Return the error body as an event `error`."""
        return b"event: error\ndata: " + orjson.dumps(self.error(error)) + b"\n\n"


class CountTokens(Messages):
    """The dialect of `/messages/count_tokens`, which calls no model and costs nothing."""

    path: ClassVar = "/messages/count_tokens"
    routed: ClassVar = False
    billed: ClassVar = False
