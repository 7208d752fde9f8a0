"""Checks the settings of a model: members of request bodies that it sets where the client sends none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from ..dialects.body_settings import MEANINGS
from ..errors import BadRequest

#: Most settings of a model, and most bytes of all of them, as in the constraint `models_settings_check`.
MOST, LARGEST = 16, 4096
#: Members that state what is asked, or how the answer is delivered and kept, as in `models_settings_fields_check`.
REFUSED = frozenset(
    (
        "audio", "background", "best_of", "container", "context", "conversation", "documents", "echo", "function_call",
        "functions", "include", "input", "instructions", "logprobs", "mcp_servers", "messages", "metadata",
        "modalities", "model", "models", "n", "output_config.format", "parallel_tool_calls", "plugins", "prediction",
        "previous_response_id", "prompt", "prompt_cache_key", "response_format", "safety_identifier", "session_id",
        "stop", "stop_sequences", "store", "stream", "stream_options", "suffix", "system", "text.format",
        "tool_choice", "tools", "top_logprobs", "usage", "user", "web_search_options",
    )
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64}){0,3}")
#: Names whose values are numbers of tokens.
_TOKENS = frozenset(("max_tokens", "max_completion_tokens", "max_output_tokens", "thinking.budget_tokens"))
#: Names whose values are words.
_WORDS = frozenset(("reasoning_effort", "reasoning.effort", "output_config.effort", "verbosity", "text.verbosity"))


def parsed(pairs: Iterable[str]) -> dict[str, Any]:
    """Return the settings of a command line, `NAME=VALUE` each. A value is JSON if it parses, else text.

    Raises `BadRequest` for a pair without a name or a value.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise BadRequest(f"{pair!r} is not of the form NAME=VALUE.", param="set")
        try:
            found[name] = orjson.loads(text)
        except orjson.JSONDecodeError:
            found[name] = text
    return found


def changed(known: Mapping[str, Any], given: Mapping[str, Any], removed: Iterable[str]) -> dict[str, Any]:
    """Return `known` without the settings `removed` and with those `given`, which replace others of the same meaning.

    Raises `BadRequest` for a removed name that is not known, and as `checked` does.
    """
    left = dict(known)
    for name in removed:
        within = [each for each in left if each == name or each.startswith(f"{name}.")]
        if not within:
            raise BadRequest(f"The model has no setting {name!r}.", param="unset")
        for each in within:
            del left[each]
    new = checked(given)
    replaced = [each for each in left if any(_same(each, name) for name in new)]
    return checked({**{name: value for name, value in left.items() if name not in replaced}, **new})


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by dotted name, objects taken apart. Raises `BadRequest` naming the setting that is wrong."""
    found: dict[str, Any] = {}
    for name, value in _leaves(given):
        if name in found:
            raise BadRequest(f"The setting {name!r} is given twice.", param=f"settings.{name}")
        twin = next((each for each in found if _same(each, name)), None)
        if twin is not None:
            raise BadRequest(f"The settings {twin!r} and {name!r} exclude each other.", param=f"settings.{name}")
        _check(name, value)
        found[name] = value
    if len(found) > MOST:
        raise BadRequest(f"A model has at most {MOST} settings, not {len(found)}.", param="settings")
    try:
        # With blanks after colons and commas, as Postgres writes it.
        written = json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise BadRequest("A model's settings are JSON in UTF-8.", param="settings") from None
    if b"\\u0000" in written:
        raise BadRequest("Postgres stores no text with the character NUL.", param="settings")
    if len(written) > LARGEST:
        raise BadRequest(f"A model's settings have at most {LARGEST} bytes.", param="settings")
    if "thinking.budget_tokens" in found and found.get("thinking.type", "enabled") != "enabled":
        raise BadRequest("A thinking budget needs `thinking.type` enabled.", param="settings.thinking.type")
    return found


def _leaves(given: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in given.items():
        name = f"{above}{key}"
        if not _NAME.fullmatch(name):
            raise BadRequest(
                f"{name[:100]!r} is not the name of a setting: letters, digits, _ and -, with up to three dots.",
                param="settings",
            )
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _check(name: str, value: Any) -> None:
    param = f"settings.{name}"
    refused = next((each for each in REFUSED if name == each or name.startswith(f"{each}.")), None)
    if refused is not None:
        raise BadRequest(
            f"`{refused}` cannot be a setting of a model: it changes what is asked, not how it is answered.",
            param=param,
        )
    if value is None or value == {}:
        raise BadRequest(f"The setting {name!r} has no value; to remove it, leave it out.", param=param)
    if name in _TOKENS and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31):
        raise BadRequest(f"`{name}` is a number of tokens from 1 to {2**31 - 1}.", param=param)
    if name in _WORDS and not (isinstance(value, str) and value):
        raise BadRequest(f"`{name}` is a word, such as low.", param=param)


def _same(one: str, other: str) -> bool:
    """Return whether two settings exclude each other: they mean the same, or one is within the other."""
    if one == other or f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}."):
        return True
    meanings = MEANINGS.get(one), MEANINGS.get(other)
    return None not in meanings and bool(set(meanings[0].values()) & set(meanings[1].values()))  # type: ignore[union-attr]
