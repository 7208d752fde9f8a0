"""The dialect of OpenAI's Chat Completions API."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import BadRequest
from .base import OpenAI, ParsedRequest, first_positive, object_at, part_types, session_in


class Chat(OpenAI):
    """The dialect of `/chat/completions`."""

    name: ClassVar = "chat"
    path: ClassVar = "/chat/completions"
    operation: ClassVar = "chat"
    routed: ClassVar = True

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """Parse a request body. Raises `BadRequest` naming the invalid field."""
        messages = validate_messages(body.get("messages"), "messages")
        tools = body.get("tools") or body.get("functions")
        response_format = object_at(body, "response_format")
        kinds = part_types(messages)
        modalities = body.get("modalities")
        return ParsedRequest(
            messages,
            schemas=tuple(filter(None, (body.get("tools"), body.get("functions"), response_format.get("json_schema")))),
            limit=total_limit(first_positive(body.get("max_completion_tokens"), body.get("max_tokens")), body.get("n")),
            answers=first_positive(body.get("n")) or 1,
            streamed=body.get("stream") is True,
            tools=bool(tools),
            parallel_tools=bool(tools) and body.get("parallel_tool_calls") is True,
            vision="image_url" in kinds,
            audio="input_audio" in kinds or (isinstance(modalities, list) and "audio" in modalities),
            json_schema=response_format.get("type") == "json_schema",
            reasoning=body.get("reasoning_effort") not in (None, "none"),
            session=session_in(body),
        )

    def text(self, answer: dict[str, Any]) -> str:
        """Return content, refusal, reasoning and tool calls of all choices."""
        found: list[str] = []
        choices = answer.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            message = object_at(choice, "delta") or object_at(choice, "message")
            # Some hosts repeat the reasoning under both of its names.
            reasoning = "reasoning_content" if isinstance(message.get("reasoning_content"), str) else "reasoning"
            found += [message[name] for name in ("content", "refusal", reasoning) if isinstance(message.get(name), str)]
            calls = message.get("tool_calls")
            for call in calls if isinstance(calls, list) else ():
                function = object_at(call, "function") if isinstance(call, dict) else {}
                found += [
                    value for value in (function.get("name"), function.get("arguments")) if isinstance(value, str)
                ]
        return "".join(found)


def total_limit(limit: int | None, choices: Any) -> int | None:
    """Return the tokens that `choices` answers of up to `limit` tokens each may have; None if there is no limit."""
    return None if limit is None else limit * (first_positive(choices) or 1)


def validate_messages(messages: Any, field: str) -> list[dict[str, Any]]:
    """Return `messages` if they are a list of objects with roles. Raises `BadRequest` naming the invalid field."""
    if not isinstance(messages, list) or not messages:
        raise BadRequest(f"`{field}` must be a list of at least one message.", param=field)
    for position, message in enumerate(messages):
        if not isinstance(message, dict):
            raise BadRequest("A message must be an object.", param=f"{field}[{position}]")
        if not isinstance(message.get("role"), str):
            raise BadRequest("A message needs a role.", param=f"{field}[{position}].role")
        content = message.get("content")
        if content is not None and not isinstance(content, str | list):
            raise BadRequest("`content` must be text or a list of parts.", param=f"{field}[{position}].content")
    return messages
