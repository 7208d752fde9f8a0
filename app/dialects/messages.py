"""Anthropic's Messages: the system prompt beside the messages, blocks of content, events with names."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from app.dialects.base import ParsedRequest, blocks, count, inner, parts, positive
from app.dialects.chat import checked
from app.dialects.usage import UNKNOWN, TokenUsage
from app.errors import RouterError

#: Anthropic's word for each status, as its clients know them.
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 409: "conflict_error", 413: "request_too_large", 422: "invalid_request_error",
    429: "rate_limit_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip


class Messages:
    """`/messages`."""

    name: ClassVar = "messages"
    path: ClassVar = "/messages"
    operation: ClassVar = "chat"
    routed: ClassVar = True
    billed: ClassVar = True

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """As `Dialect.read`: `system` is the system prompt."""
        messages = checked(body.get("messages"), "messages")
        system = body.get("system")
        kinds = parts(messages)
        if "tool_result" in kinds:
            # What a tool answered may be images too.
            kinds |= parts([block for message in messages for block in blocks(message)])
        thinking = inner(body, "thinking").get("type")
        return ParsedRequest(
            [{"role": "system", "content": system}, *messages] if isinstance(system, str | list) else messages,
            schemas=tuple(filter(None, (body.get("tools"),))),
            limit=positive(body.get("max_tokens")),
            streamed=body.get("stream") is True,
            tools=bool(body.get("tools")),
            vision="image" in kinds,
            json_schema=inner(inner(body, "output_config"), "format").get("type") == "json_schema",
            reasoning=thinking in ("enabled", "adaptive"),
        )

    def usage(self, said: dict[str, Any]) -> TokenUsage:
        """Of a whole answer, of the event that begins one, or of a delta, which counts from the beginning.

        Anthropic leaves what is read from its cache or written to it out of `input_tokens`; here it is among them.
        What an answer that begins counts of itself is no count of what it came to.
        """
        begins = inner(said, "message")
        reported = inner(begins or said, "usage")
        if not reported:
            return UNKNOWN
        read, written = count(reported.get("cache_read_input_tokens")), reported.get("cache_creation_input_tokens")
        fresh = count(reported.get("input_tokens"))
        return TokenUsage(
            None if fresh is None else fresh + (read or 0) + (count(written) or 0),
            read,
            None if begins else count(reported.get("output_tokens")),
            count(inner(reported, "output_tokens_details").get("thinking_tokens")),
        )

    def text(self, said: dict[str, Any]) -> str:
        """Of an event its delta; of a whole answer the text, thoughts and calls of its blocks."""
        content = said.get("content")
        blocks = content if isinstance(content, list) else [inner(said, "delta"), inner(said, "content_block")]
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
        """`{"type": "error", "error": {"type", "message"}}`."""
        kind = _TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
        where = f"{error.param}: " if error.param and error.param not in error.message else ""
        return {"type": "error", "error": {"type": kind, "message": where + error.message}}

    def broken_off(self, error: RouterError) -> bytes:
        """An event `error` of the same."""
        return b"event: error\ndata: " + orjson.dumps(self.error(error)) + b"\n\n"


class CountTokens(Messages):
    """`/messages/count_tokens`: nothing is said, and nothing is paid for."""

    path: ClassVar = "/messages/count_tokens"
    routed: ClassVar = False
    billed: ClassVar = False
