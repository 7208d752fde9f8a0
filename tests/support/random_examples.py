"""Batches of random examples."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.support.sql_world import Taught, direction


def random_lessons(dice: random.Random, models: Sequence[int], prompts: int) -> list[Taught]:
    """Return a batch of 1 to 12 examples of few prompts, so that many overwrite others."""
    return [
        Taught(
            f"{dice.randrange(prompts)}",
            {model: dice.random() for model in models if dice.random() < 0.6} or {dice.choice(models): dice.random()},
            direction(dice.random()),
            {model: float(dice.randint(0, 500)) for model in models if dice.random() < 0.4},
            dice.choice([None, "a", "b", "c"]),
            dice.choice(["human", "judge"]),
            dice.randint(0, 100),
        )
        for _ in range(dice.randint(1, 12))
    ]
