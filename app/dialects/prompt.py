"""Counts the tokens of a prompt: of a text, or of a parsed request."""

from __future__ import annotations

import json
from typing import Any

import orjson

from .base import ParsedRequest, text_of
from .tokens import Count, estimate

#: Tokens added per message and per request. OpenAI counts 4n + 3 for n messages; here n - 1 line breaks join them,
#: one token each.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_REQUEST = 4
#: Tokens of an image, by OpenAI's rule for 1024 x 1024 pixels, and of an image of low detail.
TOKENS_PER_IMAGE = 765
TOKENS_PER_SMALL_IMAGE = 85
#: Types of content parts: images in each API, and Anthropic's parts for tool calls, which are counted as JSON.
_IMAGES = ("image_url", "input_image", "image")
_TOOL_PARTS = ("tool_use", "tool_result")


def tokens_of(text: str) -> int:
    """Return the estimated tokens of a request with `text` as its one message; as `prompt_tokens`."""
    return round(estimate(text)) + TOKENS_PER_MESSAGE + TOKENS_PER_REQUEST


def prompt_tokens(request: ParsedRequest, count: Count = estimate) -> int:
    """Return the prompt's tokens: texts and schemas by `count`, constants per message, request and image.

    Sound and files are not counted.
    """
    texts = [text_of(message) for message in request.messages]
    tokens = TOKENS_PER_REQUEST + TOKENS_PER_MESSAGE * len(texts)
    for message in request.messages:
        if message.get("tool_calls"):
            texts.append(_serialize(message["tool_calls"]).decode())
        if isinstance(message.get("content"), list):
            for part in message["content"]:
                if isinstance(part, dict):
                    tokens += _image_tokens(part)
                    if part.get("type") in _TOOL_PARTS:
                        texts.append(_serialize(part).decode())
    texts.extend(_serialize(schema).decode() for schema in request.schemas)
    return tokens + round(count("\n".join(texts)))


def _image_tokens(part: dict[str, Any]) -> int:
    if part.get("type") not in _IMAGES:
        return 0
    image = part.get("image_url")
    detail = image.get("detail") if isinstance(image, dict) else part.get("detail")
    return TOKENS_PER_SMALL_IMAGE if detail == "low" else TOKENS_PER_IMAGE


def _serialize(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # orjson rejects lone surrogates and integers over 64 bits, which json.loads has accepted.
        return json.dumps(value).encode()
