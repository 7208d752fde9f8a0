"""Extent of the memory's benchmark: quick, whole, or with large tenants."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of the tenants to measure, and durations.

    `alone`: tenants in a database with one other each. `among`: tenants in one database with `others` of `each`
    memories, the smallest first. `taught`, `in_use`: two more there, one to be taught, one to graduate while in use.
    """

    alone: tuple[int, ...]
    among: tuple[int, ...]
    graduated: frozenset[int]
    swept: frozenset[int]
    others: int
    each: int
    taught: int
    in_use: int
    blocks: int
    seconds: float
    prompts: int | None

    def questions(self, memories: int) -> int:
        """Return the number of prompts to decide for a tenant of this size: fewer if an exact scan takes long."""
        return min(1000, max(400, 10_000_000 // memories)) if self.prompts is None else 100


QUICK = Plan(
    alone=(), among=(50, 500, 5_000), graduated=frozenset({5_000}), swept=frozenset(), others=1_000, each=50,
    taught=5_000, in_use=1_000, blocks=60, seconds=0.2, prompts=6_500,
)  # fmt: skip
CROSSING = (1_000, 2_000, 5_000, 10_000, 20_000)
FULL = Plan(
    alone=(50, 500, 5_000, 20_000, 100_000), among=(50, 500, *CROSSING),
    graduated=frozenset({*CROSSING, 100_000}), swept=frozenset({20_000, 100_000}), others=10_000, each=100,
    taught=5_000, in_use=20_000, blocks=500, seconds=3.0, prompts=None,
)  # fmt: skip


def chosen(*, quick: bool, large: int | None) -> Plan:
    """Return the plan of a run; `large`: size of the largest tenant, None: without it."""
    if quick:
        return QUICK
    if large is None:
        return FULL
    return replace(
        FULL,
        alone=(*FULL.alone, large),
        among=(*FULL.among, 100_000, large),
        graduated=FULL.graduated | {large},
        swept=FULL.swept | {large},
    )
