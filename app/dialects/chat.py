"""OpenAI's Chat Completions: messages in, choices out."""

from __future__ import annotations

from typing import Any, ClassVar

from app.dialects.base import OpenAI, ParsedRequest, inner, parts, positive
from app.errors import BadRequest


class Chat(OpenAI):
    """`/chat/completions`."""

    name: ClassVar = "chat"
    path: ClassVar = "/chat/completions"
    operation: ClassVar = "chat"
    routed: ClassVar = True

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """As `Dialect.read`; a body without any of the fields that need something costs a look at each."""
        messages = checked(body.get("messages"), "messages")
        tools = body.get("tools") or body.get("functions")
        answer = inner(body, "response_format")
        kinds = parts(messages)
        modalities = body.get("modalities")
        return ParsedRequest(
            messages,
            schemas=tuple(filter(None, (body.get("tools"), body.get("functions"), answer.get("json_schema")))),
            limit=times(positive(body.get("max_completion_tokens"), body.get("max_tokens")), body.get("n")),
            answers=positive(body.get("n")) or 1,
            streamed=body.get("stream") is True,
            tools=bool(tools),
            parallel_tools=bool(tools) and body.get("parallel_tool_calls") is True,
            vision="image_url" in kinds,
            audio="input_audio" in kinds or (isinstance(modalities, list) and "audio" in modalities),
            json_schema=answer.get("type") == "json_schema",
            reasoning=body.get("reasoning_effort") not in (None, "none"),
        )

    def text(self, said: dict[str, Any]) -> str:
        """Of every choice: content, refusal, thoughts, and the calls of tools."""
        found: list[str] = []
        choices = said.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            spoken = inner(choice, "delta") or inner(choice, "message")
            found += [
                spoken[name]
                for name in ("content", "refusal", "reasoning_content")
                if isinstance(spoken.get(name), str)
            ]
            calls = spoken.get("tool_calls")
            for call in calls if isinstance(calls, list) else ():
                function = inner(call, "function") if isinstance(call, dict) else {}
                found += [
                    value for value in (function.get("name"), function.get("arguments")) if isinstance(value, str)
                ]
        return "".join(found)


def times(limit: int | None, choices: Any) -> int | None:
    """The tokens of so many answers of up to `limit` each."""
    return None if limit is None else limit * (positive(choices) or 1)


def checked(messages: Any, field: str) -> list[dict[str, Any]]:
    """`messages`, once they are a list of objects with roles. Raises `BadRequest` naming the field."""
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
