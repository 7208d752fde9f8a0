"""Reads the capabilities of models from the answer of a provider's `GET /models`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..entities import CAPABILITIES

#: Greatest value of the columns.
_MOST = 2**31 - 1

#: Paths at which providers list the value; the first that is set counts. Dots lead into objects.
_CONTEXT = (
    "context_length",  # OpenRouter, Together, Fireworks
    "max_model_len",  # vLLM, SGLang
    "max_context_length",  # Mistral
    "context_window",  # Groq, this router
    "max_input_tokens",  # Anthropic
    "metadata.context_length",  # DeepInfra
    "model_spec.availableContextTokens",  # Venice
)
_OUTPUT = (
    "top_provider.max_completion_tokens",  # OpenRouter
    "max_completion_tokens",  # Groq
    "max_output_tokens",  # this router
    "metadata.max_tokens",  # DeepInfra
)
_FLAGS: Mapping[str, tuple[str, ...]] = {
    "tools": (
        "capabilities.function_calling",  # Mistral
        "capabilities.tools",
        "supports_tools",  # Fireworks
        "model_spec.capabilities.supportsFunctionCalling",
    ),
    "parallel_tools": ("capabilities.parallel_tools", "capabilities.parallel_function_calling"),
    "vision": (
        "capabilities.vision",  # Mistral
        "capabilities.image_input.supported",  # Anthropic
        "supports_image_input",  # Fireworks
        "model_spec.capabilities.supportsVision",
    ),
    "audio": ("capabilities.audio",),
    "json_schema": (
        "capabilities.structured_outputs.supported",  # Anthropic
        "capabilities.json_schema",
        "capabilities.structured_outputs",
        "model_spec.capabilities.supportsResponseSchema",
    ),
    "reasoning": (
        "capabilities.thinking.supported",  # Anthropic
        "capabilities.reasoning",
        "model_spec.capabilities.supportsReasoning",
    ),
}
#: Input modalities, and parameters that only a model with the capability supports, as OpenRouter lists them.
_MODALITIES = {"vision": "image", "audio": "audio"}
_PARAMETERS = {"tools": "tools", "json_schema": "structured_outputs", "reasoning": "reasoning"}


def capabilities_in(listing: Any) -> dict[str, dict[str, Any]]:
    """The capabilities in a whole answer to `GET /models`, by the provider's name of the model: only those it lists.

    Raises `ValueError` if the answer is not a list of models.
    """
    # Together returns the bare list.
    models = listing.get("data", listing.get("models")) if isinstance(listing, Mapping) else listing
    if not isinstance(models, list):
        raise ValueError("the answer to GET /models is not a list of models")
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        if isinstance(model, Mapping) and isinstance(model.get("id"), str):
            found_of_model = capabilities_of(model)
            # Mistral lists a model once for each of its names; Gemini prefixes every name with `models/`.
            aliases = model.get("aliases")
            for name in (model["id"].removeprefix("models/"), *(aliases if isinstance(aliases, list) else ())):
                if isinstance(name, str):
                    found.setdefault(name, found_of_model)
    return found


def capabilities_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """The capabilities in one entry: `context_window` and `max_output` in tokens, the others True or False.

    A capcapability that the entry does not list is absent from the result.
    """
    found: dict[str, Any] = {
        "context_window": _first(model, _CONTEXT, _tokens),
        "max_output": _first(model, _OUTPUT, _tokens),
    }
    for capability, paths in _FLAGS.items():
        found[capability] = _first(model, paths, _flag)
    if _at(model, "capabilities.image_input.supported") is not None:
        # Anthropic lists no capability that all of its models have; none of them takes audio.
        found |= {"tools": True, "parallel_tools": True, "audio": False}
        found["max_output"] = found["max_output"] or _tokens(model.get("max_tokens"))
    modalities = _at(model, "architecture.input_modalities")
    if isinstance(modalities, list):
        found |= {name: word in modalities for name, word in _MODALITIES.items() if found[name] is None}
    parameters = model.get("supported_parameters")
    if isinstance(parameters, list):
        found |= {name: word in parameters for name, word in _PARAMETERS.items() if found[name] is None}
        # Many models support this without listing it.
        if "parallel_tool_calls" in parameters:
            found["parallel_tools"] = True
    return {capability: found[capability] for capability in CAPABILITIES if found[capability] is not None}


def _first(model: Mapping[str, Any], paths: tuple[str, ...], read: Any) -> Any:
    return next((value for value in (read(_at(model, path)) for path in paths) if value is not None), None)


def _at(model: Mapping[str, Any], path: str) -> Any:
    value: Any = model
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _tokens(value: Any) -> int | None:
    """A number of tokens, or None; providers write 0 for an unknown number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return int(value) if 1 <= value <= _MOST else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
