"""The demo's three fictional models: prices, capabilities and the pace of their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class DemoModel:
    """A model that exists in the demo only. Prices are in USD per million tokens."""

    name: str
    input_price: float
    cached_input_price: float
    output_price: float
    #: Seconds to the first token, and seconds for each word after it: plausible values, not measurements.
    first_token: float
    word: float
    #: By column of `router.models`. A model without `json_schema` is not offered requests that demand one.
    capabilities: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def _capabilities(context_window: int, *, vision: bool, json_schema: bool, reasoning: bool) -> Mapping[str, Any]:
    return MappingProxyType(
        {
            "context_window": context_window,
            "tools": True,
            "vision": vision,
            "audio": False,
            "json_schema": json_schema,
            "reasoning": reasoning,
        }
    )


#: The day from which the fictional prices are valid.
PRICED_ON = date(2026, 1, 1)

#: Cheapest first. Every example has an answer of each model.
DEMO_MODELS = (
    DemoModel(
        "demo-small", 0.20, 0.02, 0.80, 0.030, 0.0025,
        _capabilities(64_000, vision=False, json_schema=False, reasoning=False),
    ),
    DemoModel(
        "demo-medium", 2.00, 0.20, 8.00, 0.040, 0.0030,
        _capabilities(128_000, vision=True, json_schema=False, reasoning=False),
    ),
    DemoModel(
        "demo-large", 4.00, 0.40, 16.00, 0.060, 0.0040,
        _capabilities(200_000, vision=True, json_schema=True, reasoning=True),
    ),
)  # fmt: skip

MODELS = tuple(model.name for model in DEMO_MODELS)
BY_NAME: Mapping[str, DemoModel] = MappingProxyType({model.name: model for model in DEMO_MODELS})
