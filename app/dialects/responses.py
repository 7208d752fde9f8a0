"""The dialect of OpenAI's Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from ..errors import BadRequest, RouterError
from .base import (
    NOT_BEGUN,
    Begun,
    OpenAI,
    ParsedRequest,
    first_positive,
    object_at,
    part_types,
    session_in,
)
from .usage_conventions import RESPONSES_PLACES, Place

#: Types of tools that the client runs. The others are run by the provider and need no function calling.
_CLIENT_TOOLS = ("function", "custom")


class Responses(OpenAI):
    """The dialect of `/responses`."""

    name: ClassVar = "responses"
    path: ClassVar = "/responses"
    operation: ClassVar = "chat"
    routed: ClassVar = True
    usage_places: ClassVar[tuple[Place, ...]] = RESPONSES_PLACES

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """Parse a request body; `instructions` and items become messages. Raises `BadRequest` naming the field."""
        messages = _messages(body.get("input"))
        instructions = body.get("instructions")
        if isinstance(instructions, str) and instructions:
            messages = [{"role": "system", "content": instructions}, *messages]
        previous = body.get("previous_response_id")
        if previous is not None and not isinstance(previous, str):
            raise BadRequest("`previous_response_id` must be text.", param="previous_response_id")
        conversation = body.get("conversation")
        conversation = conversation if isinstance(conversation, str) else object_at(body, "conversation").get("id")
        conversation = conversation if isinstance(conversation, str) and conversation else None
        tools = body.get("tools")
        tools = tools if isinstance(tools, list) else []
        response_format = object_at(object_at(body, "text"), "format")
        kinds = part_types(messages)
        return ParsedRequest(
            messages,
            schemas=tuple(filter(None, (tools, response_format.get("schema")))),
            limit=first_positive(body.get("max_output_tokens")),
            streamed=body.get("stream") is True,
            tools=any(isinstance(tool, dict) and tool.get("type") in _CLIENT_TOOLS for tool in tools),
            parallel_tools=bool(tools) and body.get("parallel_tool_calls") is True,
            vision="input_image" in kinds,
            audio="input_audio" in kinds,
            json_schema=response_format.get("type") == "json_schema",
            reasoning=object_at(body, "reasoning").get("effort") not in (None, "none"),
            previous=previous or conversation,
            conversation=conversation,
            session=session_in(body),
        )

    def text(self, answer: dict[str, Any]) -> str:
        """Return the delta of an event, or the text and function calls of an answer's items."""
        delta = answer.get("delta")
        if isinstance(delta, str):
            return delta
        output = answer.get("output")
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

    def error_event(self, error: RouterError, begun: Begun = NOT_BEGUN) -> bytes:
        """Return an event `error`; behind it `response.failed` if the response has begun, numbered on from it."""
        number = begun.events
        event = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        events = b"event: error\ndata: " + orjson.dumps({**event, "sequence_number": number}) + b"\n\n"
        if not begun.response:
            return events
        reason = {"code": error.code, "message": error.message}
        response = {**begun.response, "status": "failed", "error": reason}
        failed = {"type": "response.failed", "sequence_number": number + 1, "response": response}
        return events + b"event: response.failed\ndata: " + orjson.dumps(failed) + b"\n\n"


def _messages(given: Any) -> list[Mapping[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if given is None:
        # `input` is optional: the request may refer to a prompt or conversation that the provider stores.
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
    # Calls, reasoning and searches are earlier output of the model, so that the conversation has an answer.
    return {"role": "assistant", "content": None, "tool_calls": [item]}


class InputTokens(Responses):
    """The dialect of `/responses/input_tokens`, which calls no model and costs nothing."""

    path: ClassVar = "/responses/input_tokens"
    routed: ClassVar = False
    billed: ClassVar = False


class Compact(Responses):
    """The dialect of `/responses/compact`: a model shortens a conversation; routed as the conversation is."""

    path: ClassVar = "/responses/compact"
