"""What of a request the router looks at: the text to embed, the conversation it belongs to, its size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from app.dialects.base import ParsedRequest, text_of
from app.dialects.tokens import Count, estimate

#: What a message's frame takes beside the line break that joins it to the next here, and what a request's takes: OpenAI
#: counts 4 a message and 3 a request.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_REQUEST = 4
#: What an image takes, by OpenAI's rule for one of 1024 x 1024 pixels; and one of low detail.
TOKENS_PER_IMAGE = 765
TOKENS_PER_SMALL_IMAGE = 85
#: Parts of a message: images, as each API calls them, and what Anthropic has in the place of calls of tools.
_IMAGES = ("image_url", "input_image", "image")
_WORDLESS = ("tool_use", "tool_result")


def task_signal(messages: Sequence[Mapping[str, Any]], granularity: str) -> str:
    """The text that stands for the task: the first user message, or the latest for granularity `step`."""
    ordered = reversed(messages) if granularity == "step" else messages
    for message in ordered:
        if message.get("role") == "user":
            return text_of(message).strip()
    return ""


def continues(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the request already carries an answer, so that there is a model to stay with."""
    return any(message.get("role") == "assistant" for message in messages)


def conversation_key(messages: Sequence[Mapping[str, Any]], named: str | None, task: str | None) -> bytes:
    """16 bytes that name the conversation within a tenant's policy.

    `named` is the caller's own name for it; without one it is everything before the first answer.
    """
    if named is not None:
        opening = b"named\0" + named.encode("utf-8", "surrogatepass")
    else:
        end = next((i for i, message in enumerate(messages) if message.get("role") == "assistant"), len(messages))
        opening = b"opens\0" + _written(list(messages[:end]))
    return blake2b((task or "").encode("utf-8", "surrogatepass") + b"\0" + opening, digest_size=16).digest()


def tokens_of(text: str) -> int:
    """An estimate of the tokens of one prompt, as `prompt_tokens` counts a request of that one message."""
    return round(estimate(text)) + TOKENS_PER_MESSAGE + TOKENS_PER_REQUEST


def prompt_tokens(reading: ParsedRequest, count: Count = estimate) -> int:
    """The prompt's tokens: its text by `count`, with the tools' and the answer's schemas and frames; images by a rule.

    Sound and files are not counted.
    """
    texts = [text_of(message) for message in reading.messages]
    tokens = TOKENS_PER_REQUEST + TOKENS_PER_MESSAGE * len(texts)
    for message in reading.messages:
        if message.get("tool_calls"):
            texts.append(_written(message["tool_calls"]).decode())
        if isinstance(message.get("content"), list):
            for part in message["content"]:
                if isinstance(part, dict):
                    tokens += _image_tokens(part)
                    if part.get("type") in _WORDLESS:
                        texts.append(_written(part).decode())
    texts.extend(_written(schema).decode() for schema in reading.schemas)
    return tokens + round(count("\n".join(texts)))


def _image_tokens(part: dict[str, Any]) -> int:
    if part.get("type") not in _IMAGES:
        return 0
    image = part.get("image_url")
    detail = image.get("detail") if isinstance(image, dict) else part.get("detail")
    return TOKENS_PER_SMALL_IMAGE if detail == "low" else TOKENS_PER_IMAGE


def _written(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # What orjson does not read it does not write either: half a surrogate pair, numbers past 64 bits.
        return json.dumps(value).encode()
