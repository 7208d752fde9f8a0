"""The demo's memory as rows of a label set."""

from __future__ import annotations

from collections.abc import Iterator

from app.demo.dataset import Example, memory
from app.demo.models import DEMO_MODELS, DemoModel


def rows() -> Iterator[dict[str, str]]:
    """Yield the prompts that the demo tenant is taught, with the score and the cost (USD) of each answer."""
    for example in memory():
        yield {
            "prompt": example.prompt,
            "task": example.kind,
            "bench": "demo",
            **{f"q:{model.name}": str(example.answers[model.name].score) for model in DEMO_MODELS},
            **{f"c:{model.name}": f"{cost(example, model):.9f}" for model in DEMO_MODELS},
        }


def cost(example: Example, model: DemoModel) -> float:
    """Return the cost of a model's answer at its list prices, USD."""
    tokens = example.answers[model.name].tokens
    return (example.prompt_tokens * model.input_price + tokens * model.output_price) / 1e6
