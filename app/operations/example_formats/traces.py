"""Finds prompt, model and answer length in the traces of observability programs, and reads files of traces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .base import named
from .cells import loads
from .prompts import prompt_of
from .records import Record

_PROMPTS = ("inputs", "input", "traceInput", "trace_input", "prompt", "messages")
_MODELS = ("model", "providedModelName", "modelName", "ls_model_name", "model_name", "served_model")
_WITHIN = ("extra", "metadata", "invocation_params", "trace", "observation", "run", "model_parameters")
_IDS = ("id", "trace_id", "traceId", "observationId", "observation_id", "run_id")


def prompt_in(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the member `prompt` or `messages` of an example."""
    for name in _PROMPTS:
        found = prompt_of(row.get(name))
        if found:
            return found
    flat = {name.partition(".")[2]: value for name, value in row.items() if name.startswith(("inputs.", "input."))}
    if flat:
        return prompt_of({name: value for name, value in flat.items() if value not in (None, "")})
    inner = (row.get(name) for name in ("trace", "observation", "run"))
    return next((found for each in inner if isinstance(each, dict) and (found := prompt_in(each))), None)


def model_in(row: Mapping[str, Any], depth: int = 3) -> str:
    """Return the name of the model that answered; empty if it is unknown."""
    for name in _MODELS:
        found = named(row.get(name)) or named(row.get(f"metadata.{name}")) or named(row.get(f"extra.metadata.{name}"))
        if found:
            return found
    for name in _WITHIN if depth else ():
        inner = parsed(row.get(name))
        if isinstance(inner, dict) and (found := model_in(inner, depth - 1)):
            return found
    return ""


def parsed(value: Any) -> Any:
    """Return the value of a text that is a JSON object or list; other values as they are."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return loads(value)
        except ValueError:
            return value
    return value


def traces_by_id(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Return prompt and model of each trace, observation or run, by each of its ids; an observation fills its trace."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        row = record.value
        if not isinstance(row, dict):
            continue
        prompt, model = prompt_in(row), model_in(row)
        for name in _IDS:
            key = named(row.get(name))
            if key:
                entry = found.setdefault(key, {})
                if prompt:
                    entry.setdefault("prompt", prompt)
                if model:
                    entry.setdefault("model", model)
    return found
