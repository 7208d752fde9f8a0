"""The demo's memory as rows of a label set."""

from __future__ import annotations

from collections.abc import Iterator

from app.demo.recordings import MODELS, memory

#: USD per million tokens of prompt and answer, by the order of the demo's models, which is that of their prices.
PRICES = ((0.15, 0.6), (0.8, 4.0), (2.5, 10.0))


def rows() -> Iterator[dict[str, str]]:
    """The prompts that the demo's tenant is taught, with the score of each model's answer and its cost in USD."""
    for recording in memory():
        answers = [(model, recording.answers[model], prices) for model, prices in zip(MODELS, PRICES, strict=True)]
        yield {
            "prompt": recording.prompt,
            "task": recording.task,
            "bench": "demo",
            **{f"q:{model}": str(answer.score) for model, answer, _ in answers},
            **{
                f"c:{model}": f"{(answer.prompt_tokens * into + answer.completion_tokens * out) / 1e6:.9f}"
                for model, answer, (into, out) in answers
            },
        }
