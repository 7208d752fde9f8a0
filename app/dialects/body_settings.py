"""Settings of a model: members of request bodies that it sets where the client sends none, in the spelling of each API.

A setting has a dotted name (`reasoning.effort`) and a JSON value that is no object. The same setting has other names in
other APIs; `in_body` returns the names and values for one request. The tables below are documented in app/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .base import content_parts

Settings = Mapping[str, Any]

#: The effort of reasoning, by API.
_EFFORT = {"chat": "reasoning_effort", "responses": "reasoning.effort", "messages": "output_config.effort"}
#: The most tokens of an answer, by API.
_LONGEST = {
    "chat": "max_completion_tokens",
    "responses": "max_output_tokens",
    "messages": "max_tokens",
    "completions": "max_tokens",
}
_VERBOSITY = {"chat": "verbosity", "responses": "text.verbosity"}
#: What the names mean that differ between APIs: the spelling of each API; an API that is not named has no such member.
MEANINGS: Mapping[str, Mapping[str, str]] = {
    "reasoning_effort": _EFFORT,
    "reasoning.effort": _EFFORT,
    "output_config.effort": _EFFORT,
    "max_output_tokens": _LONGEST,
    "max_completion_tokens": _LONGEST,
    # Chat has this name too: older servers know no other.
    "max_tokens": {**_LONGEST, "chat": "max_tokens"},
    "verbosity": _VERBOSITY,
    "text.verbosity": _VERBOSITY,
}
#: Members that only some APIs have, with the same name in each; all others are set in every API as they are written.
_APIS = {
    "reasoning": ("responses", "chat"),
    "thinking": ("messages", "chat"),
    "output_config": ("messages",),
    "text": ("responses",),
}
#: Paths of APIs whose requests get settings: the others generate no answer.
_PATHS = frozenset(("/chat/completions", "/responses", "/messages", "/completions"))
#: Levels that OpenAI and Anthropic both have: others are sent only in the API in whose spelling they are written.
_SHARED_EFFORTS = frozenset(("low", "medium", "high"))
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_CHAT_REASONING = ("reasoning_effort", "reasoning", "thinking")


def limit_in(settings: Settings) -> int | None:
    """Return the most tokens of an answer that settings allow; None: they have no limit."""
    return next((settings[name] for name in _LIMITS if name in settings), None)


def in_body(settings: Settings, path: str, api: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a request gets, by dotted name in its API; those that its client has set are left out.

    `path` and `api`: those of the dialect. A member that is null counts as not set. Thinking is set as a whole or not
    at all.
    """
    if path not in _PATHS:
        return {}
    found: dict[str, Any] = {}
    thinking: dict[str, Any] = {}
    for name, value in settings.items():
        spelled = _spelled(name, value, api)
        if spelled is None or _is_set(body, spelled, api):
            continue
        (thinking if spelled.startswith("thinking.") else found)[spelled] = value
    if thinking:
        if "thinking.budget_tokens" in thinking:
            thinking = {"thinking.type": "enabled", **thinking}
        if thinking.get("thinking.type") == "disabled" or _may_think(body, thinking):
            found |= thinking
    return found


def _spelled(name: str, value: Any, api: str) -> str | None:
    """Return the name of a setting in an API; None: the API has no such member, or not this value."""
    meaning = MEANINGS.get(name)
    if meaning is None:
        return name if api in _APIS.get(name.partition(".")[0], (api,)) else None
    spelled = meaning.get(api)
    crosses = (name == _EFFORT["messages"]) != (api == "messages")
    return None if meaning is _EFFORT and crosses and value not in _SHARED_EFFORTS else spelled


def _is_set(body: Mapping[str, Any], name: str, api: str) -> bool:
    """Return whether a client has set a member, or another one with the same meaning."""
    if api == "chat" and name in _LIMITS:
        return any(body.get(each) is not None for each in _LIMITS)
    top, _, rest = name.partition(".")
    if top == "thinking" or (api == "chat" and top in _CHAT_REASONING):
        return any(body.get(each) is not None for each in (_CHAT_REASONING if api == "chat" else ("thinking",)))
    value = body.get(top)
    while rest and isinstance(value, dict):
        top, _, rest = rest.partition(".")
        value = value.get(top)
    return value is not None


def _may_think(body: Mapping[str, Any], thinking: Settings) -> bool:
    """Return whether a request may be answered with thinking, by the rules of Anthropic.

    Temperature, `top_k`, a low `top_p`, a forced tool, an answer that the client begins, and a limit within the budget
    exclude it (platform.claude.com/docs, "Extended thinking"); so does a tool loop that began without thinking.
    """
    temperature, top_p = body.get("temperature"), body.get("top_p")
    if temperature not in (None, 1) or body.get("top_k") is not None:
        return False
    if isinstance(top_p, int | float) and top_p < 0.95:
        return False
    choice = body.get("tool_choice")
    forced = choice.get("type") if isinstance(choice, dict) else choice
    if forced in ("any", "tool", "required", "function", "custom"):
        return False
    budget = thinking.get("thinking.budget_tokens", 0)
    limits = [body[name] for name in _LIMITS if isinstance(body.get(name), int)]
    if any(limit <= budget for limit in limits):
        return False
    messages = body.get("messages")
    return not isinstance(messages, list) or not _continues_without_thinking(messages)


def _continues_without_thinking(messages: Sequence[Any]) -> bool:
    known = [message for message in messages if isinstance(message, dict)]
    if not known:
        return False
    last = known[-1]
    if last.get("role") == "assistant":
        return True
    if last.get("role") != "tool" and not _has_part(last, "tool_result"):
        return False
    answer = next((message for message in reversed(known) if message.get("role") == "assistant"), {})
    return not (isinstance(answer.get("reasoning_content"), str) or _has_part(answer, "thinking", "redacted_thinking"))


def _has_part(message: Mapping[str, Any], *types: str) -> bool:
    return any(part.get("type") in types for part in content_parts(message))


def tree_of(settings: Settings) -> dict[str, Any]:
    """Return settings by dotted name as nested objects."""
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        *path, leaf = name.split(".")
        at = tree
        for step in path:
            at = at.setdefault(step, {})
        at[leaf] = value
    return tree
