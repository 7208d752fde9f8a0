"""The demo's examples: prompts, the answers of three fictional models, and a score for each answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

import orjson

from ..dialects.prompt import tokens_of
from ..dialects.tokens import estimate

#: The kinds of work, each a file `examples/KIND.jsonl`.
KINDS = (
    "classification", "extracting_fields", "rewriting", "support_tickets", "arithmetic", "sql", "contract_clauses",
    "debugging",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's answer; `score` from 0 (harmful if used) to 1 (usable as it stands), `tokens` counted from `text`."""

    text: str
    score: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt with its answers by model; `split` is `memory` (taught) or `showcase` (not taught)."""

    id: str
    kind: str
    split: str
    prompt: str
    prompt_tokens: int
    answers: Mapping[str, Answer]


@cache
def examples() -> tuple[Example, ...]:
    """Return all 328 examples by kind and in file order; the files are read at the first call."""
    folder = resources.files(__package__) / "examples"
    return tuple(
        _example(kind, orjson.loads(line))
        for kind in KINDS
        for line in (folder / f"{kind}.jsonl").read_bytes().splitlines()
    )


@cache
def memory() -> tuple[Example, ...]:
    """Return the 304 examples that the demo tenant is taught."""
    return tuple(example for example in examples() if example.split == "memory")


@cache
def showcase() -> tuple[Example, ...]:
    """Return the 24 examples that are not taught: prompts to try the router on, three of each kind."""
    return tuple(example for example in examples() if example.split == "showcase")


@cache
def by_prompt() -> Mapping[str, Example]:
    """Return all examples by prompt."""
    return MappingProxyType({example.prompt: example for example in examples()})


def _example(kind: str, row: Mapping[str, object]) -> Example:
    """Build an example from a line of its kind's file; white space at either end of the prompt is dropped."""
    answers = row["answers"]
    assert isinstance(answers, dict)
    prompt = str(row["prompt"]).strip()
    return Example(
        id=str(row["id"]),
        kind=kind,
        split=str(row["split"]),
        prompt=prompt,
        prompt_tokens=tokens_of(prompt),
        answers=MappingProxyType({model: _answer(**answer) for model, answer in answers.items()}),
    )


def _answer(text: str, score: float) -> Answer:
    return Answer(text, float(score), max(1, round(estimate(text))))
