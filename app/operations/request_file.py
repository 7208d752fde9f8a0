"""Reads a request that is to be explained: a prompt, a file of messages, or the body of a request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

from ..dialects import CHAT, COMPLETIONS, MESSAGES, RESPONSES, Dialect, ParsedRequest
from ..dialects.base import part_types
from ..errors import BadRequest

#: Types of content parts that only Anthropic's API has.
_ANTHROPIC_PARTS = frozenset(("tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document"))
#: Members of a body that only Anthropic's API has.
_ANTHROPIC_MEMBERS = ("system", "anthropic_version", "thinking", "stop_sequences")


def parsed_prompt(prompt: str) -> ParsedRequest:
    """Return a request with a prompt as its one message."""
    return ParsedRequest([{"role": "user", "content": prompt}])


def parsed_file(path: Path) -> ParsedRequest:
    """Read a JSON file of messages or of a request's body; `-` is stdin. Raises `BadRequest` naming what is wrong."""
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        given = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}.", param="messages") from None
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{path} is not JSON: {error}.", param="messages") from None
    dialect, body = recognised(given)
    try:
        return dialect.read(body)
    except BadRequest as error:
        raise BadRequest(f"{path}: {error.param}: {error.message}", param="messages") from None


def recognised(given: Any) -> tuple[Dialect, dict[str, Any]]:
    """Return the API of a body or of a list of messages, and the body. Raises `BadRequest` if it is neither."""
    if isinstance(given, list):
        items = [each for each in given if isinstance(each, dict)]
        if any("role" not in each or each.get("type") == "message" for each in items):
            return RESPONSES, {"input": given}
        given = {"messages": given}
    if isinstance(given, dict) and "messages" in given:
        return MESSAGES if _is_anthropic(given) else CHAT, given
    if isinstance(given, dict) and "input" in given:
        return RESPONSES, given
    if isinstance(given, dict) and "prompt" in given:
        return COMPLETIONS, given
    raise BadRequest(
        "The file holds neither a list of messages nor a body with `messages`, `input` or `prompt`.", param="messages"
    )


def _is_anthropic(body: dict[str, Any]) -> bool:
    messages = body["messages"]
    messages = [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []
    return any(name in body for name in _ANTHROPIC_MEMBERS) or bool(part_types(messages) & _ANTHROPIC_PARTS)
