"""Reads the bundled recordings: prompts, what three models answered, and whether each answer was right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

import orjson

MODELS = ("gpt-4o-mini", "claude-3-5-haiku", "gpt-4o")
"""The recorded models, cheapest first; every recording has an answer of each."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's answer: `score` is 1.0 if right and 0.0 if wrong; ATTRIBUTION.md says how tokens are counted."""

    text: str
    score: float
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Recording:
    """One prompt with its answers by model; `split` is `memory` or `showcase`, `task` is `gsm`, `math-l5` or `crux`."""

    id: str
    split: str
    task: str
    prompt: str
    answers: Mapping[str, Answer]


@cache
def recordings() -> tuple[Recording, ...]:
    """All 324 recordings in file order, read once at the first call."""
    lines = (resources.files(__package__) / "demo.jsonl").read_bytes().splitlines()
    return tuple(_recording(orjson.loads(line)) for line in lines)


@cache
def memory() -> tuple[Recording, ...]:
    """The 300 recordings that a new tenant of the demo has been taught."""
    return tuple(recording for recording in recordings() if recording.split == "memory")


@cache
def showcase() -> tuple[Recording, ...]:
    """The 24 recordings that were not taught: prompts to try the router on."""
    return tuple(recording for recording in recordings() if recording.split == "showcase")


@cache
def by_prompt() -> Mapping[str, Recording]:
    """All recordings by their prompt, without white space at either end."""
    return MappingProxyType({recording.prompt.strip(): recording for recording in recordings()})


def _recording(row: dict[str, object]) -> Recording:
    answers = row.pop("answers")
    assert isinstance(answers, dict)
    by_model = MappingProxyType({model: Answer(**answer) for model, answer in answers.items()})
    return Recording(**row, answers=by_model)  # type: ignore[arg-type]
