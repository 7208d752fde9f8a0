"""Label sets of known structure: kinds of prompts with words of their own, and models good at some of them.

A prompt is a sentence of its kind. A model's answer is right with the probability `skill` of that kind, shifted by the
difficulty of the prompt, which is the same for all models. The cost is the model's prices times the tokens of prompt
and answer. The benefit of routing is therefore known: with the kind recognised, the best model of each kind is optimal;
without it, only mixtures of single models are left.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.labels.kinds import KINDS, PLACES, QUALITIES, Kind

#: Standard deviation of the shift of the probability of a right answer by a prompt's difficulty.
DIFFICULTY = 0.12


@dataclass(frozen=True)
class Candidate:
    """A model of a set: USD per million tokens, and its share of right answers: `skill`, or by kind if it differs."""

    name: str
    input_price: float
    output_price: float
    skill: float
    skills: Mapping[str, float] = field(default_factory=dict)

    def right(self, kind: Kind) -> float:
        """Return the probability of a right answer to an average prompt of a kind."""
        return self.skills.get(kind.name, self.skill)


#: The small model is as good as the large one on every second kind.
PAIR = (
    Candidate("small", 0.2, 0.6, 0.45, {"kitchen": 0.9, "letters": 0.9, "arithmetic": 0.85, "databases": 0.8}),
    Candidate("large", 3.0, 12.0, 0.9),
)
#: Specialists of different prices, and one model that is dominated by the others.
SIX = (
    Candidate("tiny", 0.05, 0.2, 0.35, {"kitchen": 0.8, "garden": 0.75}),
    Candidate("writer", 0.4, 1.6, 0.5, {"letters": 0.95, "kitchen": 0.85, "clauses": 0.75}),
    Candidate("coder", 0.6, 2.4, 0.4, {"debugging": 0.9, "databases": 0.9, "arithmetic": 0.7}),
    Candidate("reckoner", 1.0, 4.0, 0.45, {"arithmetic": 0.95, "algebra": 0.85}),
    Candidate("plain", 1.2, 5.0, 0.4),
    Candidate("large", 3.0, 12.0, 0.85),
)


def rows(
    prompts: int, candidates: Sequence[Candidate], *, seed: int, kinds: Sequence[Kind] = KINDS, unknown: float = 0.0
) -> Iterator[dict[str, str]]:
    """Yield the rows of a label set with different prompts; the same for the same arguments.

    Columns: `prompt`, `task` (the kind), `bench`, `q:MODEL` (0 or 1) and `c:MODEL` (USD). A share of `unknown` scores
    is left empty, the last model's excepted.
    """
    dice = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < prompts:
        kind = dice.choice(kinds)
        prompt = sentence(kind, dice)
        if prompt in seen:
            continue
        seen.add(prompt)
        yield {
            "prompt": prompt,
            "task": kind.name,
            "bench": kind.bench,
            **labels(prompt, kind, candidates, dice, unknown),
        }


def sentence(kind: Kind, dice: random.Random) -> str:
    """Return a prompt of a kind: one or two of its sentences."""
    chosen = dice.sample(kind.patterns, dice.choice((1, 1, 2)))
    return " ".join(_filled(pattern, kind, dice) for pattern in chosen)


def _filled(pattern: str, kind: Kind, dice: random.Random) -> str:
    thing, other = dice.sample(kind.words, 2)
    return pattern.format(
        thing=thing, other=other, quality=dice.choice(QUALITIES), place=dice.choice(PLACES), number=dice.randint(2, 400)
    )


def labels(
    prompt: str, kind: Kind, candidates: Sequence[Candidate], dice: random.Random, unknown: float
) -> dict[str, str]:
    """Return the cells of a prompt: whether each model's answer is right, and its cost."""
    harder = dice.gauss(0, DIFFICULTY)
    answer = kind.answer * 2 ** dice.uniform(-1, 1)
    scores, costs = {}, {}
    for candidate in candidates:
        right = dice.random() < candidate.right(kind) - harder
        hidden = dice.random() < unknown and candidate is not candidates[-1]
        scores[f"q:{candidate.name}"] = "" if hidden else str(int(right))
        tokens = answer * 2 ** dice.uniform(-0.3, 0.3)
        cost = len(prompt) / 4 * candidate.input_price + tokens * candidate.output_price
        costs[f"c:{candidate.name}"] = f"{cost / 1e6:.9f}"
    return {**scores, **costs}


def write(path: Path, found: Iterator[Mapping[str, str]]) -> Path:
    """Write rows as a gzip-compressed CSV file whose bytes depend on the rows alone, and return its path."""
    text = io.StringIO(newline="")
    first = next(found)
    writer = csv.DictWriter(text, list(first), lineterminator="\n")
    writer.writeheader()
    writer.writerow(first)
    writer.writerows(found)
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    return path
