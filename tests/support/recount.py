"""Recounts of the sums that the memory keeps."""

from __future__ import annotations

import pytest

from tests.support.sql_world import World

RECOUNT = """
    select tenant_id, space_id, count(*) as memories, sum(prompt_tokens) as prompt_tokens
    from router.memories group by tenant_id, space_id order by 1, 2
"""
COUNTS = """
    select tenant_id, space_id, memories, prompt_tokens from router.memory_counts
    where memories > 0 or prompt_tokens <> 0 order by 1, 2
"""
RECOUNT_PRIORS = """
    select m.tenant_id, m.space_id, t.task_id, l.model_id::smallint, count(l.quality) as labels,
        coalesce(sum(l.quality::float8), 0) as quality_sum,
        count(l.quality) filter (where cardinality(array_remove(m.quality, null)) > 1) as paired,
        coalesce(sum(l.quality::float8) filter (where cardinality(array_remove(m.quality, null)) > 1), 0) as paired_sum,
        count(l.tokens) as completions,
        coalesce(sum(l.tokens::float8), 0) as completion_sum
    from router.memories as m
    cross join lateral (values (0::smallint), (m.task_id)) as t (task_id)
    cross join lateral unnest(m.quality, m.completion_tokens) with ordinality as l (quality, tokens, model_id)
    where t.task_id is not null and (l.quality is not null or l.tokens is not null)
    group by 1, 2, 3, 4 order by 1, 2, 3, 4
"""
PRIORS = """
    select tenant_id, space_id, task_id, model_id, labels, quality_sum, paired, paired_sum, completions, completion_sum
    from router.priors where labels > 0 or completions > 0 order by 1, 2, 3, 4
"""


async def assert_every_sum_is_a_recount(world: World) -> None:
    counts, recount = await world.owner.fetch(COUNTS), await world.owner.fetch(RECOUNT)
    assert [tuple(row) for row in counts] == [tuple(row) for row in recount]
    priors, again = await world.owner.fetch(PRIORS), await world.owner.fetch(RECOUNT_PRIORS)
    assert [tuple(row)[:4] for row in priors] == [tuple(row)[:4] for row in again]
    for row, other in zip(priors, again, strict=True):
        assert tuple(row)[4:] == pytest.approx(tuple(other)[4:], abs=1e-9)
    emptied = await world.owner.fetch(
        "select quality_sum, paired_sum, completion_sum from router.priors where labels = 0 and completions = 0"
    )
    assert all(abs(value) < 1e-6 for row in emptied for value in row)
    loose = await world.owner.fetchval(
        "select count(*) from router.memories as m"
        " full join router.memory_texts as x using (tenant_id, memory_id, space_id)"
        " where m.created_at is null or x.prompt_hash is null"
    )
    assert loose == 0


async def prompts(world: World, tenant: int) -> list[str]:
    """Return the prompts of the tenant's memory, by number."""
    return [row["prompt"] for row in await world.app.fetch("select * from router.recall($1)", tenant)]
