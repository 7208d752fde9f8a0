"""What of a chat request the router looks at: the text to embed, the conversation it belongs to, its size."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

import orjson

from app.errors import BadRequest
from app.tokens import Count, estimate

#: What a message's frame takes beside the line break that joins it to the next here, and what a request's takes: OpenAI
#: counts 4 a message and 3 a request.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_REQUEST = 4
#: What an image takes, by OpenAI's rule for one of 1024 x 1024 pixels; and one of low detail.
TOKENS_PER_IMAGE = 765
TOKENS_PER_SMALL_IMAGE = 85


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
    return round(estimate(text)) + TOKENS_PER_MESSAGE + TOKENS_PER_REQUEST


def prompt_tokens(body: dict[str, Any], messages: list[dict[str, Any]], count: Count = estimate) -> int:
    """The prompt's tokens: its text by `count`, with the tools' and the answer's schemas and frames; images by a rule.

    Sound and files are not counted.
    """
    texts = [text_of(message) for message in messages]
    tokens = TOKENS_PER_REQUEST + TOKENS_PER_MESSAGE * len(messages)
    for message in messages:
        if message.get("tool_calls"):
            texts.append(_written(message["tool_calls"]).decode())
        if isinstance(message.get("content"), list):
            tokens += sum(map(_image_tokens, message["content"]))
    answer = body.get("response_format")
    schemas = (
        body.get("tools"),
        body.get("functions"),
        answer.get("json_schema") if isinstance(answer, dict) else None,
    )
    texts.extend(_written(schema).decode() for schema in schemas if schema)
    return tokens + round(count("\n".join(texts)))


def _image_tokens(part: Any) -> int:
    if not isinstance(part, dict) or part.get("type") != "image_url":
        return 0
    image = part.get("image_url")
    low = isinstance(image, dict) and image.get("detail") == "low"
    return TOKENS_PER_SMALL_IMAGE if low else TOKENS_PER_IMAGE


def _written(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # What orjson does not read it does not write either: half a surrogate pair, numbers past 64 bits.
        return json.dumps(value).encode()
