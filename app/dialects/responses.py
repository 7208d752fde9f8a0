"""OpenAI's Responses: items in, items out, and answers that the provider keeps to be gone on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from app.dialects.base import OpenAI, ParsedRequest, count, inner, parts, positive
from app.dialects.usage import UNKNOWN, TokenUsage
from app.errors import BadRequest, RouterError

#: Tools that the provider runs itself need no function calling of the model.
_CALLED = ("function", "custom")


class Responses(OpenAI):
    """`/responses`."""

    name: ClassVar = "responses"
    path: ClassVar = "/responses"
    operation: ClassVar = "chat"
    routed: ClassVar = True

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """As `Dialect.read`: `instructions` are the system prompt, items become messages."""
        messages = _messages(body.get("input"))
        instructions = body.get("instructions")
        if isinstance(instructions, str) and instructions:
            messages = [{"role": "system", "content": instructions}, *messages]
        previous = body.get("previous_response_id")
        if previous is not None and not isinstance(previous, str):
            raise BadRequest("`previous_response_id` must be text.", param="previous_response_id")
        if previous is None:
            talk = body.get("conversation")
            previous = talk if isinstance(talk, str) else inner(body, "conversation").get("id")
            previous = previous if isinstance(previous, str) else None
        tools = body.get("tools")
        tools = tools if isinstance(tools, list) else []
        answer = inner(inner(body, "text"), "format")
        kinds = parts(messages)
        return ParsedRequest(
            messages,
            schemas=tuple(filter(None, (tools, answer.get("schema")))),
            limit=positive(body.get("max_output_tokens")),
            streamed=body.get("stream") is True,
            tools=any(isinstance(tool, dict) and tool.get("type") in _CALLED for tool in tools),
            parallel_tools=bool(tools) and body.get("parallel_tool_calls") is True,
            vision="input_image" in kinds,
            audio="input_audio" in kinds,
            json_schema=answer.get("type") == "json_schema",
            reasoning=inner(body, "reasoning").get("effort") not in (None, "none"),
            previous=previous or None,
        )

    def usage(self, said: dict[str, Any]) -> TokenUsage:
        """Of a whole answer, or of the event that brings it."""
        reported = inner(inner(said, "response") or said, "usage")
        if not reported:
            return UNKNOWN
        return TokenUsage(
            count(reported.get("input_tokens")),
            count(inner(reported, "input_tokens_details").get("cached_tokens")),
            count(reported.get("output_tokens")),
            count(inner(reported, "output_tokens_details").get("reasoning_tokens")),
        )

    def text(self, said: dict[str, Any]) -> str:
        """Of an event its delta; of a whole answer the text and the calls of its items."""
        delta = said.get("delta")
        if isinstance(delta, str):
            return delta
        output = said.get("output")
        found: list[str] = []
        for item in output if isinstance(output, list) else ():
            if not isinstance(item, dict):
                continue
            found += [item[name] for name in ("name", "arguments") if isinstance(item.get(name), str)]
            content = item.get("content")
            for part in content if isinstance(content, list) else ():
                if isinstance(part, dict) and isinstance(part.get("text"), str):
                    found.append(part["text"])
        return "".join(found)

    def broken_off(self, error: RouterError) -> bytes:
        """An event `error` in the shape of this API's."""
        event = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        return b"event: error\ndata: " + orjson.dumps({**event, "sequence_number": 0}) + b"\n\n"


def _messages(given: Any) -> list[Mapping[str, Any]]:
    if isinstance(given, str) and given:
        return [{"role": "user", "content": given}]
    if given is None:
        # A stored prompt, or a conversation that the provider keeps, may be all there is.
        return []
    if not isinstance(given, list) or not given:
        raise BadRequest("`input` must be text or a list of at least one item.", param="input")
    return [_message(item, position) for position, item in enumerate(given)]


def _message(item: Any, position: int) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise BadRequest("An item must be an object.", param=f"input[{position}]")
    kind = item.get("type") or ("message" if "role" in item or "id" not in item else "item_reference")
    if kind == "message":
        if not isinstance(item.get("role"), str):
            raise BadRequest("A message needs a role.", param=f"input[{position}].role")
        if not isinstance(item.get("content"), str | list):
            raise BadRequest("`content` must be text or a list of parts.", param=f"input[{position}].content")
        return item
    if str(kind).endswith("_output"):
        return {"role": "tool", "content": item["output"] if isinstance(item.get("output"), str | list) else None}
    # What the model did before: calls, thoughts, searches. There is an answer, then, to go on from.
    return {"role": "assistant", "content": None, "tool_calls": [item]}


class InputTokens(Responses):
    """`/responses/input_tokens`: nothing is said, and nothing is paid for."""

    path: ClassVar = "/responses/input_tokens"
    routed: ClassVar = False
    billed: ClassVar = False
