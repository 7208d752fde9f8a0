"""A simulation: the certified share holds with its confidence, on prompts that the memory does not hold."""

from __future__ import annotations

import pytest

from tests.support.certificates import Draw
from tests.support.sql_world import World

DRAWS, MEMORIES, AT_MOST = 100, 240, 0.1
#: Two certificates of the same trials, at confidences 0.9 and 0.5.
CERTIFIED = """
    with setup as materialized (
        select router_internal._rule($1, $6, $2, $3, null) as rule
    ),
    drawn as materialized (
        select s.rule, array(
            select t
            from router_internal._trials(
                $1, $2, $3, array[null, null]::float8[], '{100}', '{0.2}', s.rule, null, 0, 1, $4, 60, 0
            ) as t
        ) as trials
        from setup as s
    ),
    fitted as materialized (
        select d.*, f.fit, router_internal._write_fit($1, $6, $2, $3, 100, 0.2, d.trials, f.fit, $4, now()) as written
        from drawn as d
        cross join lateral (
            select router_internal._fit(
                array(select t from unnest(d.trials) as t where t.row_number <= $4 / 2), d.rule, 2
            ) as fit
        ) as f
    )
    select c.certified, c.alpha, c.supported, f.written
    from fitted as f
    cross join unnest('{0.9, 0.5}'::float8[]) with ordinality as u (confidence, i)
    cross join lateral router_internal._certified_alpha(
        f.trials, '{1, 10}', '{2, 20}', '{1, 1}', f.rule, array[f.fit], 0, 2,
        array(select case when i = 0 then 0 else 0.004 * power(1.2, i - 1) end from generate_series(0, 52) as i),
        $4 / 2, $5, 0, u.confidence
    ) as c
    order by u.i
"""


@pytest.mark.slow
async def test_the_share_holds_in_nine_of_ten_memories(world: World) -> None:
    broken = {0.9: 0, 0.5: 0}
    certified = 0
    for seed in range(DRAWS):
        draw = await Draw.of(world, seed, MEMORIES)
        async with world.owner.transaction():
            await world.owner.execute(f"select router_internal._enter({draw.tenant})")
            rows = await world.owner.fetch(
                CERTIFIED, draw.tenant, world.space, [world.small, world.large], MEMORIES, AT_MOST, draw.policy
            )
        certified += rows[0]["certified"]
        for confidence, row in zip(broken, rows, strict=True):
            if row["certified"]:
                broken[confidence] += await draw.risk(world, row["alpha"]) > AT_MOST
    assert broken[0.9] <= DRAWS / 10
    assert certified >= 0.8 * DRAWS, "the certificate is not merely never given"
    assert broken[0.5] > DRAWS / 10, "a bound that is wrong in half of the memories is noticed"
