"""Identifies the conversation that a request belongs to, so that it stays with one model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from .base import ParsedRequest, content_parts, text_of
from .markers import Markers
from .request_text import request_text

#: Members of a part that are no content: Anthropic's marks of the cache move from turn to turn.
_MARKS = frozenset(("cache_control", "id", "status"))


@dataclass(frozen=True, slots=True)
class Conversation:
    """What identifies a conversation within a tenant's policy.

    If the client has a `name` for it, nothing but the name and the task counts. Else these do: the client's session,
    because several ones may open with the same words; the text of the opening (`request_text`), and its images. The
    system prompt is left out, because it often holds a date, a time or the state of a project.
    """

    #: `X-Router-Conversation`, or the id of a conversation that the provider stores; None: neither.
    name: str | None
    #: The client's id of its session, from a header or the body; None: none.
    session: str | None
    #: `X-Router-Task`.
    task: str | None
    #: The text of the opening.
    text: str
    #: Parts of the opening that are no text, such as images.
    parts: tuple[bytes, ...]

    @property
    def key(self) -> bytes:
        """A hash of 16 bytes."""
        made = blake2b(_bytes(self.task or ""), digest_size=16)
        if self.name is not None:
            made.update(b"\0named\0" + _bytes(self.name))
            return made.digest()
        made.update(b"\0opens\0" + _bytes(self.session or "") + b"\0")
        made.update(_bytes(self.text))
        for part in self.parts:
            made.update(b"\0" + part)
        return made.digest()


def conversation_of(
    request: ParsedRequest,
    markers: Markers,
    name: str | None,
    session: str | None,
    task: str | None,
    text: str | None = None,
) -> Conversation:
    """Return what identifies the conversation of a request.

    `name`, `session` and `task` are from its headers; `text` is its `request_text` of a conversation, if known.
    """
    messages = request.messages
    parts = opening_parts(messages)
    if parts:
        # If an image opens a conversation without words, the words of later turns do not identify it.
        text = request_text(_opening(messages), "conversation", markers)
    elif text is None:
        text = request_text(messages, "conversation", markers)
    if not text and not parts:
        text = "\n".join(map(text_of, _opening(messages)))
    return Conversation(name or request.conversation, session or request.session, task, text, parts)


def _opening(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    end = next((at for at, message in enumerate(messages) if message.get("role") == "assistant"), len(messages))
    return messages[:end]


def opening_parts(messages: Iterable[Mapping[str, Any]]) -> tuple[bytes, ...]:
    """Return the parts of the user's messages before the first answer that are no text, as JSON."""
    found = []
    for message in messages:
        role = message.get("role")
        if role == "assistant":
            break
        if role == "user" and isinstance(message.get("content"), list):
            found += [
                _json({name: part[name] for name in part if name not in _MARKS})
                for part in content_parts(message)
                if not isinstance(part.get("text"), str)
            ]
    return tuple(found)


def continues(request: ParsedRequest) -> bool:
    """Return whether a request contains an answer, or refers to a stored one, so that it continues a conversation."""
    return request.previous is not None or any(message.get("role") == "assistant" for message in request.messages)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # orjson rejects lone surrogates and integers over 64 bits, which json.loads has accepted.
        return json.dumps(value).encode()
