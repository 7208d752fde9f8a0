"""Tenants whose memories are copied into the table in random order, as if taught in turns, then counted."""

from __future__ import annotations

import io
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import asyncpg
import numpy as np

from app.policy_settings import POLICY_SETTINGS
from scripts.support.connection import connect
from scripts.support.corpus import MODELS, Corpus, Prompt, Vectors

#: USD per million tokens of prompt and answer.
PRICES = {"small": (0.6, 0.6), "medium": (1.2, 1.2), "large": (10.0, 30.0)}
DEFAULT = "large"
#: Neighbours consulted: the default of a policy.
K = 100
#: Low enough that no single model is chosen for most prompts: an inexact search matters for close choices.
ALPHA = 0.15
SPACE = "benchmark"
COLUMNS = (
    "tenant_id", "memory_id", "created_at", "tier", "space_id", "task_id", "prompt_tokens", "quality",
    "completion_tokens", "embedding",
)  # fmt: skip
#: 1 January 2026, in microseconds since the epoch of Postgres.
BEGINNING = 820_454_400_000_000
RECOUNT = """
    insert into router.memory_counts (tenant_id, space_id, memories, prompt_tokens)
    select tenant_id, space_id, count(*), sum(prompt_tokens) from router.memories group by tenant_id, space_id;
    insert into router.priors (
        tenant_id, space_id, task_id, model_id, labels, quality_sum, paired, paired_sum, completions, completion_sum
    )
    select
        m.tenant_id, m.space_id, 0, l.model_id,
        count(l.quality), sum(l.quality::float8),
        count(l.quality) filter (where p.many), coalesce(sum(l.quality::float8) filter (where p.many), 0),
        count(l.tokens), sum(l.tokens::float8)
    from router.memories as m
    cross join lateral (select cardinality(array_remove(m.quality, null)) > 1 as many) as p
    cross join unnest(m.quality, m.completion_tokens) with ordinality as l (quality, tokens, model_id)
    where l.quality is not null
    group by m.tenant_id, m.space_id, l.model_id;
    select setval('router.memory_ids', (select max(memory_id) from router.memories));
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant of the benchmark, with its numbers in the database."""

    number: int
    policy: int
    space: int
    default: int
    memories: int


async def owner(dsn: str) -> asyncpg.Connection:
    """Return a connection for filling and graduating, without a timeout."""
    return await connect(dsn, None, max_parallel_maintenance_workers="2")


async def make(
    owner: asyncpg.Connection, corpus: Corpus, sizes: Sequence[int], others: int, each: int
) -> tuple[list[Tenant], list[Tenant]]:
    """Fill an empty database: a tenant of each of these sizes, and `others` more of `each` memories; return both.

    Every tenant has the first prompts of `corpus`, in the same order, extended by `Corpus.copies` beyond their number;
    the memories of all tenants are inserted in random order. The others' memories have no row in memory_texts, which
    no decision reads. `owner` is a superuser's connection: triggers are off, and their counts are computed afterwards.
    """
    await owner.execute("select router.put_provider('benchmark', 'http://127.0.0.1:1/v1', null)")
    for name, (into, out) in PRICES.items():
        await owner.execute(
            "select router.put_model($1, 'benchmark', $1, $2, null, $3, null, null, null, null, null)", name, into, out
        )
    space: int = await owner.fetchval("select router.register_space($1, $2)", SPACE, corpus.vectors.shape[1])
    counts = [*sizes, *([each] * others)]
    settings = {"seed_count": 1, "alpha": ALPHA}
    rows = await owner.fetch(
        """
        select t.tenant, router.put_policy(t.tenant, 'auto', 'knn', $3, $4, null, $5) as policy
        from (
            select router.create_tenant(n.name, n.cap) as tenant, n.position
            from unnest($1::text[], $2::int[]) with ordinality as n (name, cap, position)
            offset 0
        ) as t
        order by t.position
        """,
        [f"tenant {number}" for number in range(len(counts))],
        [max(5_000, count) for count in counts],
        DEFAULT,
        list(MODELS),
        tuple(settings.get(setting) for setting in POLICY_SETTINGS),
    )
    default = 1 + list(MODELS).index(DEFAULT)
    tenants = [
        Tenant(row["tenant"], row["policy"], space, default, count) for row, count in zip(rows, counts, strict=True)
    ]
    own, rest = tenants[: len(sizes)], tenants[len(sizes) :]
    # The proxy's settings suit calls that read one tenant; the following statements read all.
    await owner.execute("set session_replication_role = replica; set enable_seqscan = on; set enable_bitmapscan = on")
    await owner.copy_to_table(
        "memories_small",
        schema_name="router",
        source=_stream(corpus, tenants, space),
        columns=COLUMNS,
        format="binary",
    )
    await owner.execute(RECOUNT)
    await owner.execute(
        """
        insert into router.memory_texts (tenant_id, memory_id, space_id, prompt_hash, source, first_taught_at)
        select tenant_id, memory_id, space_id, sha256(memory_id::text::bytea), 'import', created_at
        from router.memories where tenant_id = any($1)
        """,
        [tenant.number for tenant in own],
    )
    await owner.execute("reset session_replication_role; reset enable_seqscan; reset enable_bitmapscan")
    await owner.execute("vacuum (analyze)")
    return own, rest


async def _stream(corpus: Corpus, tenants: Sequence[Tenant], space: int) -> AsyncIterator[bytes]:
    """Yield all memories in Postgres's binary COPY format, in random order of the tenants."""
    counts = [tenant.memories for tenant in tenants]
    turns = np.random.default_rng(3).permutation(np.repeat(np.arange(len(tenants)), counts)).tolist()
    tails: list[bytes] = []
    for source, vectors in corpus.copies(max(counts)):
        tails += encoded([corpus.prompts[i] for i in source.tolist()], vectors, space)
    taught = [0] * len(tenants)
    buffer = io.BytesIO()
    buffer.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    head = struct.Struct(">hiiiqiq")
    for memory, turn in enumerate(turns, 1):
        buffer.write(head.pack(len(COLUMNS), 4, tenants[turn].number, 8, memory, 8, BEGINNING + memory * 1000))
        buffer.write(tails[taught[turn]])
        taught[turn] += 1
        if buffer.tell() > 1 << 20:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue() + b"\xff\xff"


def encoded(prompts: Sequence[Prompt], vectors: Vectors, space: int) -> list[bytes]:
    """Encode the columns of memories from `tier` on for COPY."""
    big = vectors.astype(">f2")
    size = 2 * big.shape[1] + 4
    embedding = struct.Struct(">iHH")
    fixed = struct.pack(">ihihi", 2, 0, 2, space, -1)
    return [
        b"".join(
            (
                fixed,
                struct.pack(">ii", 4, prompt.tokens),
                _reals(prompt.quality),
                _reals(prompt.completion_tokens),
                embedding.pack(size, big.shape[1], 0),
                row.tobytes(),
            )
        )
        for prompt, row in zip(prompts, big, strict=True)
    ]


def _reals(values: Sequence[float | None]) -> bytes:
    """Encode a real[] with its length and a lower bound of 1."""
    items = b"".join(struct.pack(">i", -1) if value is None else struct.pack(">if", 4, value) for value in values)
    # One dimension, possibly NULLs, elements of type float4 (700).
    body = struct.pack(">iiiii", 1, int(None in values), 700, len(values), 1) + items
    return struct.pack(">i", len(body)) + body
