"""Finds the prompt in the fields of other programs: texts, lists of turns, messages, and LangChain's messages."""

from __future__ import annotations

import ast
from typing import Any

from .cells import TooMuch, loads

#: Members of an object that hold a prompt, the first that is there.
_MEMBERS = ("messages", "prompt", "raw", "input", "question", "query", "text", "content", "user_input", "conversation")
_ROLES = {
    "human": "user", "humanmessage": "user", "ai": "assistant", "aimessage": "assistant", "systemmessage": "system",
    "toolmessage": "tool",
}  # fmt: skip
#: Longest literal of Python that is read, and the brackets, commas, colons and quotes that it may have: Python takes
#: half a second for so many, and keeps other threads waiting.
_LONGEST_LITERAL, _MOST_MARKS = 1024 * 1024, 100_000


def prompt_of(value: Any) -> dict[str, Any] | None:
    """Return the member `prompt` or `messages` of an example, or None if `value` holds no prompt.

    A list of texts is the user's turns, of which the first is the prompt.
    """
    if isinstance(value, str):
        found = _parsed(value) if value.lstrip()[:1] in ("[", "{") else None
        inner = prompt_of(found) if found is not None else None
        return inner or ({"prompt": value} if value.strip() else None)
    if isinstance(value, list):
        return _of_list(value)
    if isinstance(value, dict):
        for name in _MEMBERS:
            found = prompt_of(value.get(name)) if value.get(name) else None
            if found:
                return found
        texts = [each for each in value.values() if isinstance(each, str) and each.strip()]
        return {"prompt": texts[0]} if len(texts) == 1 and len(value) == 1 else None
    return None


def _of_list(values: list[Any]) -> dict[str, Any] | None:
    first = next((value for value in values if value is not None), None)
    if isinstance(first, str) and all(value is None or isinstance(value, str) for value in values):
        return {"prompt": first} if first.strip() else None
    if isinstance(first, list):
        return _of_list(first)
    messages = [_message(value) for value in values]
    found = [message for message in messages if message is not None]
    return {"messages": found} if found and len(found) == len(messages) else None


def _message(value: Any) -> dict[str, Any] | None:
    """Return a message of a chat request: it has a role, a type, or is LangChain's own form of one."""
    if not isinstance(value, dict):
        return None
    kind: Any = value.get("role") or value.get("type")
    content = value.get("content")
    if isinstance(value.get("kwargs"), dict):
        kind, content = (value.get("id") or [""])[-1], value["kwargs"].get("content")
    elif isinstance(value.get("data"), dict):
        content = value["data"].get("content")
    elif "from" in value and "value" in value:
        kind, content = value["from"], value["value"]
    if not isinstance(kind, str) or not isinstance(content, str | list | None):
        return None
    return {"role": _ROLES.get(kind.lower(), kind.lower()), "content": content}


def _parsed(text: str) -> Any:
    """Return the value of JSON, or of a literal of Python, which data frames write; None if it is neither."""
    try:
        return loads(text)
    except TooMuch:
        return None
    except ValueError:
        pass
    if len(text) > _LONGEST_LITERAL or not text.rstrip().endswith(("]", "}")):
        return None
    if sum(map(text.count, "[{(,:'\"")) > _MOST_MARKS:
        return None
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
