"""The text of a request: what a person asked, which is embedded when it is routed, taught and explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .base import content_parts
from .markers import INSTRUCTION_HEADINGS, Markers
from .wrappers import unwrap, wrapped

#: For granularity `step`: characters of earlier messages that are added to a short message, such as "go on"; to a
#: longer one as many as it has itself.
EARLIER = 200
#: User messages of which the latest one with words is sought, from the last.
SOUGHT = 200


def request_text(messages: Sequence[Mapping[str, Any]], granularity: str, markers: Markers) -> str:
    """Return the text to embed, stripped; empty if no user wrote any.

    `conversation`: the user's messages before the first answer, without wrappers; `step`: the latest message in which
    a user wrote something, followed by the start of earlier ones. Results of tools are not words of a person. If only
    wrappers are left, the text is the first message behind them that has words, else the last message as it is.
    """
    if granularity == "step":
        return _latest(messages, markers)
    end = next((at for at, message in enumerate(messages) if message.get("role") == "assistant"), len(messages))
    opening = _user_texts(messages[:end])
    # The one ordinary message of most requests.
    if len(opening) == 1 and len(opening[0]) == 1 and not wrapped(opening[0][0]):
        return opening[0][0].strip()
    text = "\n".join(filter(None, unwrap(opening, markers)))
    if not text and any(part.lstrip().startswith(INSTRUCTION_HEADINGS) for parts in opening for part in parts):
        text = "\n".join(filter(None, unwrap(opening, markers, files=False)))
    if text:
        return text
    later = _user_texts(messages[end:], SOUGHT)
    return next(filter(None, unwrap(later, markers)), "") or _as_it_is([*opening, *later])


def texts_of(message: Mapping[str, Any]) -> list[str]:
    """Return the texts of a message's parts."""
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    return [
        text
        for part in content_parts(message)
        if isinstance(text := part.get("text"), str) and part.get("type") != "tool_result"
    ]


def _user_texts(messages: Sequence[Mapping[str, Any]], limit: int | None = None) -> list[list[str]]:
    found = []
    for message in messages:
        if message.get("role") == "user":
            texts = texts_of(message)
            if texts:
                found.append(texts)
                if len(found) == limit:
                    break
    return found


def _latest(messages: Sequence[Mapping[str, Any]], markers: Markers) -> str:
    newest = _user_texts(list(reversed(messages)), SOUGHT)
    asked = list(filter(None, unwrap(newest, markers)))
    if not asked:
        return _as_it_is(newest[::-1])
    latest, *earlier = asked
    room = max(EARLIER, len(latest))
    blended = [latest]
    for text in earlier:
        if text not in blended:
            blended.append(text[:room].strip())
            room -= len(text)
        if room <= 0:
            break
    return "\n".join(filter(None, blended))


def _as_it_is(texts: Sequence[Sequence[str]]) -> str:
    """Return the last text with its wrappers: a poor signal is better than none."""
    return next(filter(None, ("\n".join(parts).strip() for parts in reversed(texts))), "")
