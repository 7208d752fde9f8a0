"""The demo's memory as rows of a label set."""

from __future__ import annotations

from collections.abc import Iterator

from app.demo.dataset import memory
from app.demo.models import DEMO_MODELS, DemoModel
from app.entities import cost_usd


def rows() -> Iterator[dict[str, str]]:
    """The prompts that the demo's tenant is taught, with the score of each model's answer and its cost in USD."""
    for example in memory():
        answers = [(model, example.answers[model.name]) for model in DEMO_MODELS]
        yield {
            "prompt": example.prompt,
            "task": example.kind,
            "bench": "demo",
            **{f"q:{model.name}": str(answer.score) for model, answer in answers},
            **{
                f"c:{model.name}": f"{_cost(model, example.prompt_tokens, answer.tokens):.9f}"
                for model, answer in answers
            },
        }


def _cost(model: DemoModel, prompt_tokens: int, answer_tokens: int) -> float:
    return cost_usd(model.input_price, model.output_price, prompt_tokens, answer_tokens) or 0.0
