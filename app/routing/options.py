"""The routing options of a request: its `X-Router*` headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import BadRequest

#: Headers in which clients send the id of their session: Claude Code; Codex, in two spellings; OpenRouter's; xAI's.
SESSION_HEADERS = (b"x-claude-code-session-id", b"session_id", b"session-id", b"x-session-id", b"x-grok-conv-id")


@dataclass(frozen=True, slots=True)
class RoutingOptions:
    """The options of one request; None: the header is absent.

    `routed` False: the default model serves; `conversation` and `task`: the client's own names for them; `alpha`:
    replaces the policy's; `session`: the id of the client's session.
    """

    routed: bool = True
    conversation: str | None = None
    task: str | None = None
    alpha: float | None = None
    session: str | None = None

    @classmethod
    def of(cls, headers: Mapping[bytes, bytes]) -> RoutingOptions:
        """Read the `X-Router*` headers (lower-case names). Raises `BadRequest` naming the header."""
        switch = headers.get(b"x-router", b"on").decode("latin-1").strip().lower()
        if switch not in ("on", "off"):
            raise BadRequest(f"X-Router is `on` or `off`, not {switch!r}.", param="X-Router")
        alpha = headers.get(b"x-router-alpha")
        return cls(
            routed=switch == "on",
            conversation=_text(headers, b"x-router-conversation", "X-Router-Conversation", 1000),
            task=_text(headers, b"x-router-task", "X-Router-Task", 100),
            alpha=None if alpha is None else _alpha(alpha),
            session=_session(headers),
        )


NO_OPTIONS = RoutingOptions()


def _session(headers: Mapping[bytes, bytes]) -> str | None:
    for name in SESSION_HEADERS:
        value = headers.get(name)
        if value:
            return value.decode("latin-1")
    return None


def _text(headers: Mapping[bytes, bytes], name: bytes, shown: str, longest: int) -> str | None:
    value = headers.get(name)
    if value is None:
        return None
    try:
        text = value.decode().strip()
    except UnicodeDecodeError:
        raise BadRequest(f"{shown} is not UTF-8.", param=shown) from None
    if len(text) > longest or "\0" in text:
        raise BadRequest(f"{shown} has up to {longest} characters, none of them NUL.", param=shown)
    return text or None


def _alpha(value: bytes) -> float:
    try:
        alpha = -1.0 if b"_" in value else float(value)
    except ValueError:
        alpha = -1.0
    if not 0 <= alpha <= 100:
        raise BadRequest("X-Router-Alpha is a number from 0 to 100.", param="X-Router-Alpha")
    # Smaller differences are lost beside a quality of 0 to 1, and Postgres reports an underflow for tiny numbers.
    return round(alpha, 9)
