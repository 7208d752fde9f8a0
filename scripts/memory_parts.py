"""Where the time of a decision goes: what its parts cost when they are asked for by themselves."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from pgvector import HalfVector

from scripts.bench import Baseline, Params, Report
from scripts.memory_speed import PROMPT_TOKENS
from scripts.memory_world import K, Tenant
from scripts.processes import cpu_seconds
from tests.sql_world import connect

WHOLE = "decide"
POLICY = "$1, $2, $3, $4, null, $5, $6, null, null"
#: Statements by what they measure. `estimates` and `neighbours` expect a tenant that has been entered.
PARTS = {
    "round trip: select 1": "select 1",
    "neighbours": f"select * from router.neighbours($1, $2, $3, {K})",
    "estimates, neighbours included": f"select * from router.estimates({POLICY})",
    "decide without an embedding": f"select * from router.decide({POLICY}, null, false, 0.5)",
    WHOLE: f"select * from router.decide({POLICY}, null, false, 0.5)",
}


async def parts(report: Report, dsn: str, tenant: Tenant, embeddings: Sequence[HalfVector], others: int) -> None:
    """Rows for each part, its server's processor time and its time at the client, over one connection."""
    connection = await connect(dsn)
    taken: dict[str, tuple[float, float | None]] = {}
    try:
        backend = await connection.fetchval("select pg_backend_pid()")
        for part, statement in PARTS.items():

            async def ask(embedding: HalfVector, part: str = part, statement: str = statement) -> None:
                whole = (tenant.number, tenant.policy, tenant.space, embedding, PROMPT_TOKENS, tenant.default)
                arguments = {
                    "round trip: select 1": (),
                    "neighbours": (tenant.number, tenant.space, embedding),
                    "decide without an embedding": (*whole[:3], None, *whole[4:]),
                }.get(part, whole)
                await connection.fetch(statement, *arguments)

            # Entered for all parts: being inside a transaction costs the same for each.
            async with connection.transaction():
                await connection.execute(f"select router._enter({tenant.number})")
                for embedding in embeddings[:10]:
                    await ask(embedding)
                used, times = cpu_seconds([backend]), []
                for embedding in embeddings:
                    started = time.perf_counter()
                    await ask(embedding)
                    times.append((time.perf_counter() - started) * 1000)
                after = cpu_seconds([backend])
            cpu = None if used is None or after is None else (after - used) * 1000 / len(embeddings)
            taken[part] = statistics.median(times), cpu
    finally:
        await connection.close()
    for part, (p50, cpu) in taken.items():
        params: Params = {"part": part, "memories": tenant.memories, "other tenants": others}
        report.add("part of a decision, p50", p50, "ms", params=params, baseline=Baseline(WHOLE, taken[WHOLE][0]))
        whole = taken[WHOLE][1]
        baseline = Baseline(WHOLE, whole) if whole else None
        report.add("part of a decision, server's cpu", cpu, "ms", params=params, baseline=baseline)
