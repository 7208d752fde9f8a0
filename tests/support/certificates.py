"""Memories whose true share of worse answers is known, for certificates."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pgvector import HalfVector

from tests.support.sql_world import Taught, World, vector

#: The share of prompts of each topic that `small` answers worse than `large`; topics are equally frequent.
TOPICS = (0.0, 0.0, 0.02, 0.02, 0.05, 0.05, 0.08, 0.1, 0.12, 0.15, 0.18, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.9)


def topic(number: int) -> HalfVector:
    """Return the embedding that all prompts of a topic have."""
    return vector([float(number == place) for place in range(len(TOPICS))])


@dataclass(frozen=True)
class Draw:
    """A tenant whose memory is a random sample, and its policy."""

    tenant: int
    policy: int

    @classmethod
    async def of(cls, world: World, seed: int, memories: int) -> Draw:
        """Draw a memory: `large` is right in most prompts, `small` worse in a share of them that its topic sets."""
        dice = random.Random(seed)
        tenant = await world.tenant(f"draw {seed}")
        policy = await world.policy(tenant)
        lessons = []
        for number in range(memories):
            about = dice.randrange(len(TOPICS))
            worse = dice.random() < TOPICS[about]
            large = worse or dice.random() < 0.95
            small = not worse and (large or dice.random() < 0.5)
            scores = {world.small: float(small), world.large: float(large)}
            lessons.append(Taught(f"{seed} {number}", scores, topic(about)))
        await world.teach(tenant, *lessons)
        return cls(tenant, policy)

    async def risk(self, world: World, alpha: float | None = None) -> float:
        """Return the true share of requests that the policy serves worse, by decide for each topic."""
        share = 0.0
        for number, worse in enumerate(TOPICS):
            first = (await world.decide(self.tenant, self.policy, topic(number), alpha=alpha))[0]["model_id"]
            share += worse * (first == world.small) / len(TOPICS)
        return share
