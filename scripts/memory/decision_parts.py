"""The time of the parts of a decision, each called alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from itertools import cycle, islice

from pgvector import HalfVector

from scripts.memory.speed import PROMPT_TOKENS
from scripts.memory.world import K, Tenant
from scripts.support.connection import connect
from scripts.support.processes import cpu_seconds
from scripts.support.report import Baseline, Params, Report

ROUND_TRIP, NEIGHBOURS, BLIND = "round trip: select 1", "neighbours", "decide without an embedding"
WHOLE = "decide"
#: Untimed calls at the beginning.
WARM = 10
POLICY = "$1, $2, $3, $4, null, $5, $6, null, null"
#: Statements by the name of the part. `estimates` and `neighbours` require a tenant that has been entered.
PARTS = {
    ROUND_TRIP: "select 1",
    NEIGHBOURS: f"select * from router.neighbours($1, $2, $3, {K})",
    "estimates, neighbours included": f"select * from router.estimates({POLICY})",
    BLIND: f"select * from router.decide({POLICY}, null, false, 0.5)",
    WHOLE: f"select * from router.decide({POLICY}, null, false, 0.5)",
}


async def parts(report: Report, dsn: str, tenant: Tenant, embeddings: Sequence[HalfVector], others: int) -> None:
    """Add rows of each part: time at the client and processor time of the server, over one connection, in turns."""
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    used: dict[str, list[float]] = {part: [] for part in PARTS}
    connection = await connect(dsn)
    try:
        backend = await connection.fetchval("select pg_backend_pid()")
        # The tenant is entered for all parts, so that the transaction costs the same for each.
        async with connection.transaction():
            await connection.execute(f"select router_internal._enter({tenant.number})")
            for number, embedding in enumerate(islice(cycle(embeddings), WARM + len(embeddings))):
                for part, statement in PARTS.items():
                    arguments = _arguments(part, tenant, embedding)
                    before, started = cpu_seconds([backend]), time.perf_counter()
                    await connection.fetch(statement, *arguments)
                    took, after = time.perf_counter() - started, cpu_seconds([backend])
                    if number >= WARM:
                        times[part].append(took * 1000)
                        if before is not None and after is not None:
                            used[part].append((after - before) * 1000)
    finally:
        await connection.close()
    for name, taken in (("p50", times), ("server's cpu, median", used)):
        whole = statistics.median(taken[WHOLE]) if taken[WHOLE] else None
        for part in PARTS:
            value = statistics.median(taken[part]) if taken[part] else None
            params: Params = {"part": part, "memories": tenant.memories, "other tenants": others}
            baseline = Baseline(WHOLE, whole) if whole else None
            report.add(f"part of a decision, {name}", value, "ms", params=params, baseline=baseline)


def _arguments(part: str, tenant: Tenant, embedding: HalfVector) -> tuple[object, ...]:
    whole = (tenant.number, tenant.policy, tenant.space, embedding, PROMPT_TOKENS, tenant.default)
    if part == ROUND_TRIP:
        return ()
    if part == NEIGHBOURS:
        return tenant.number, tenant.space, embedding
    return (*whole[:3], None, *whole[4:]) if part == BLIND else whole
