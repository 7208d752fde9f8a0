"""Reads what models can do out of what a provider's `GET /models` says, whichever provider it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.entities import CAPABILITIES

#: As large as the columns are.
_MOST = 2**31 - 1

#: Where providers say it, the first that has it counts; dots lead into objects.
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
#: Modalities of input, and parameters that only a model with the ability supports, as OpenRouter lists them.
_MODALITIES = {"vision": "image", "audio": "audio"}
_PARAMETERS = {"tools": "tools", "json_schema": "structured_outputs", "reasoning": "reasoning"}


def abilities_in(listing: Any) -> dict[str, dict[str, Any]]:
    """Abilities by the provider's name of the model, out of a whole answer to `GET /models`: only those it tells.

    Raises `ValueError` when it is no list of models.
    """
    # Together answers with the bare list.
    models = listing.get("data", listing.get("models")) if isinstance(listing, Mapping) else listing
    if not isinstance(models, list):
        raise ValueError("its answer to GET /models is no list of models")
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        if isinstance(model, Mapping) and isinstance(model.get("id"), str):
            told = abilities_of(model)
            # Mistral lists a model once for each of its names; Gemini leads all with `models/`.
            aliases = model.get("aliases")
            for name in (model["id"].removeprefix("models/"), *(aliases if isinstance(aliases, list) else ())):
                if isinstance(name, str):
                    found.setdefault(name, told)
    return found


def abilities_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """What one entry tells: `context_window` and `max_output` in tokens, the others whether the model can.

    What it does not tell is not in the answer, as opposed to False.
    """
    told: dict[str, Any] = {
        "context_window": _first(model, _CONTEXT, _tokens),
        "max_output": _first(model, _OUTPUT, _tokens),
    }
    for ability, paths in _FLAGS.items():
        told[ability] = _first(model, paths, _flag)
    if _at(model, "capabilities.image_input.supported") is not None:
        # Anthropic does not list what all of its models can, and none of them hears.
        told |= {"tools": True, "parallel_tools": True, "audio": False}
        told["max_output"] = told["max_output"] or _tokens(model.get("max_tokens"))
    modalities = _at(model, "architecture.input_modalities")
    if isinstance(modalities, list):
        told |= {ability: word in modalities for ability, word in _MODALITIES.items() if told[ability] is None}
    parameters = model.get("supported_parameters")
    if isinstance(parameters, list):
        told |= {ability: word in parameters for ability, word in _PARAMETERS.items() if told[ability] is None}
        # Many can and do not list this one.
        if "parallel_tool_calls" in parameters:
            told["parallel_tools"] = True
    return {ability: told[ability] for ability in CAPABILITIES if told[ability] is not None}


def _first(model: Mapping[str, Any], paths: tuple[str, ...], read: Any) -> Any:
    return next((value for value in (read(_at(model, path)) for path in paths) if value is not None), None)


def _at(model: Mapping[str, Any], path: str) -> Any:
    value: Any = model
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _tokens(value: Any) -> int | None:
    """Providers write 0 for what they do not know."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return int(value) if 1 <= value <= _MOST else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
