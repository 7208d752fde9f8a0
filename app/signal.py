"""What of a chat request the router looks at: the text to embed, the conversation it belongs to, its size."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

import orjson

from app.errors import BadRequest

#: Characters of a token where no tokenizer is known; the usual estimate for English.
CHARACTERS_PER_TOKEN = 4
#: What a message's role and frame take.
TOKENS_PER_MESSAGE = 4


def messages_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The request's messages. Raises `BadRequest` naming the field unless they are a list of objects with roles."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("`messages` must be a list of at least one message.", param="messages")
    for position, message in enumerate(messages):
        if not isinstance(message, dict):
            raise BadRequest("A message must be an object.", param=f"messages[{position}]")
        if not isinstance(message.get("role"), str):
            raise BadRequest("A message needs a role.", param=f"messages[{position}].role")
        content = message.get("content")
        if content is not None and not isinstance(content, str | list):
            raise BadRequest("`content` must be text or a list of parts.", param=f"messages[{position}].content")
    return messages


def text_of(message: dict[str, Any]) -> str:
    """The text of a message: its content, or the text parts of it; images and sound have none."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))


def task_signal(messages: list[dict[str, Any]], granularity: str) -> str:
    """The text that stands for the task: the first user message, or the latest for granularity `step`."""
    ordered = reversed(messages) if granularity == "step" else messages
    for message in ordered:
        if message.get("role") == "user":
            return text_of(message).strip()
    return ""


def continues(messages: list[dict[str, Any]]) -> bool:
    """Whether the request already carries an answer, so that there is a model to stay with."""
    return any(message.get("role") == "assistant" for message in messages)


def conversation_key(messages: list[dict[str, Any]], named: str | None, task: str | None) -> bytes:
    """16 bytes that name the conversation within a tenant's policy.

    `named` is the caller's own name for it; without one it is everything before the first answer.
    """
    if named is not None:
        opening = b"named\0" + named.encode("utf-8", "surrogatepass")
    else:
        end = next((i for i, message in enumerate(messages) if message.get("role") == "assistant"), len(messages))
        opening = b"opens\0" + _written(messages[:end])
    return blake2b((task or "").encode("utf-8", "surrogatepass") + b"\0" + opening, digest_size=16).digest()


def tokens_of(text: str) -> int:
    """An estimate of the tokens of one prompt, as `prompt_tokens` counts a request of that one message."""
    return len(text) // CHARACTERS_PER_TOKEN + TOKENS_PER_MESSAGE


def prompt_tokens(body: dict[str, Any], messages: list[dict[str, Any]]) -> int:
    """An estimate of the prompt's tokens: characters over four, the tools' definitions included."""
    characters = sum(len(text_of(message)) for message in messages)
    tools = body.get("tools")
    if tools:
        characters += len(_written(tools))
    return characters // CHARACTERS_PER_TOKEN + TOKENS_PER_MESSAGE * len(messages)


def _written(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # What orjson does not read it does not write either: half a surrogate pair, numbers past 64 bits.
        return json.dumps(value).encode()
