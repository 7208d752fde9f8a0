"""Cost and recall of the memory at every size: deciding, teaching, forgetting, graduating, bytes.

Every decision is a call of `router.decide` through the proxy's own pool with its role and settings (plan_cache_mode,
hnsw.ef_search and so on, from app/store/database.py), without a task or a conversation. `decide p50` and `p95` are
milliseconds at the client, over one connection; `server's cpu` is the processor time of the backend per call.

    exact           the tenant's memories are in memories_small and all of them are compared
    graduated       the same tenant after `router.graduate`: an HNSW of its own
    numpy           lower limit: exact search over the same vectors (float32) in this process, without a database
    exact scan      the same tenant before it graduated
    other tenants   number of other tenants in the database; the memories of all were inserted in random order

`recall@100` compares the similarities that `router.neighbours` returns with numpy's: a memory as near as numpy's
100th counts as found. `same model` is the share of prompts for which the graduated tenant's first model is the one
that it was before graduation, and `score lost` is the loss of the other choices by the exact scan's scores (in points
of quality; alpha is so low that no single model is chosen for most prompts, otherwise every choice would be right).

The memories are the prompts of the label sets (scripts/labels/files.py) with the labels of three models of each
(answers' lengths are estimated), embedded by the default embedder; 1,000 prompts are held out as questions. A tenant
with more memories than there are prompts also has copies with jitter (scripts/support/corpus.py describes them);
`jittered` in the params of its rows is the share of copies. Other tenants have the same prompts, a policy each, and no
texts. All memories are loaded by COPY in a random order of the tenants, then counted and vacuumed.

`part of a decision` is a function that `decide` calls, called alone in a transaction, or the round trip alone.
`hnsw.ef_search` in the params: a setting other than the product's. `longest wait` is that of one of four connections
that meanwhile, every 10 ms, read and teach the graduating tenant and another one. `neighbours found`: of 100 requested,
after a quarter of a graduated tenant's memories was forgotten. Teaching is one example a call, with durable commits.
The cost of other tenants is measured in two databases in turns of 10 decisions; the value is the median over the turns.
Decisions a second: this process is the client and shares the machine's processors with Postgres; targets are for two
cores.

Postgres is embedded, with its default settings (128 MB of shared_buffers), or the server of TEST_DATABASE_URL
or DATABASE_URL, whose login has to be a superuser; `--large` starts it with 4 GB. `--quick` has 1,000 other tenants
of 50 memories instead of 10,000 of 100, and graduates tenants of 5,000 and 1,000; the params have the numbers."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
# numpy reads this at import: one processor, as for the backend that it is compared with.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from scripts.memory import plan as memory_plan
from scripts.memory import world
from scripts.memory.decision_parts import parts
from scripts.memory.ladder import EXACT, Ladder
from scripts.memory.maintenance import Maintenance
from scripts.memory.plan import CROSSING, Plan
from scripts.memory.speed import asking, halfvectors, per_second
from scripts.memory.world import Tenant
from scripts.support import corpus
from scripts.support.report import Baseline, Params, Report, options, say
from scripts.support.scratch import scratch_database

#: The dimensions of the database's column, as migrated by default.
WIDTH = 384
APART = 1_000
CONNECTIONS = (1, 4, 8, 16)
RATE_TARGET = 2_000.0
#: Target: percent by which other tenants may slow down a small tenant's decision.
OTHERS_TARGET = 10.0
#: Decisions in a turn: few, so that other load on the machine affects both sides.
BLOCK = 10


class Bench:
    """One run: the prompts, the plan and the table."""

    def __init__(self, report: Report, plan: Plan, server: str) -> None:
        self.report = report
        self.plan = plan
        self.server = server
        say("Embedding the prompts.")
        every = corpus.load(WIDTH, plan.prompts)
        self.questions, self.stored = every.part(0, APART), every.part(APART, len(every.prompts))

    def alone(self, size: int) -> None:
        """Measure a tenant in a database with one other tenant."""
        with scratch_database({"DATABASE_URL": self.server}) as dsn:
            uvloop.run(self._ladder(dsn, (size,), others=1, each=self.plan.each))

    def among(self) -> None:
        """Measure with many other tenants, and compare a small tenant that has one other."""
        with ExitStack() as stack:
            quiet, dsn = (stack.enter_context(scratch_database({"DATABASE_URL": self.server})) for _ in range(2))
            uvloop.run(self._among(dsn, quiet))

    async def _ladder(self, dsn: str, sizes: Sequence[int], *, others: int, each: int) -> None:
        owner = await world.owner(dsn)
        try:
            say(f"Tenants of {', '.join(f'{size:,}' for size in sizes)} memories and {others:,} more.")
            tenants, _ = await world.make(owner, self.stored, sizes, others, each)
            await self._climb(Ladder(self.report, dsn, owner, others, self.stored, self.questions), tenants)
        finally:
            await owner.close()

    async def _climb(self, ladder: Ladder, tenants: Sequence[Tenant]) -> None:
        for tenant in tenants:
            size = tenant.memories
            await ladder.climb(
                tenant,
                self.plan.questions(size),
                graduates=size in self.plan.graduated,
                sweeps=size in self.plan.swept,
            )

    async def _among(self, dsn: str, quiet: str) -> None:
        plan = self.plan
        own = (*plan.among, plan.taught, plan.in_use)
        least = plan.among[0]
        owner, other_owner = await world.owner(dsn), await world.owner(quiet)
        try:
            say(f"A tenant of {least} memories and one more; {len(own)} tenants and {plan.others:,} more.")
            (small, *_), _ = await world.make(other_owner, self.stored, (least,), 1, plan.each)
            tenants, others = await world.make(owner, self.stored, own, plan.others, plan.each)
            *climbing, kept, moved = tenants
            await self._others(quiet, small, dsn, tenants[0])
            for name, measured in (
                (f"one of {least}", tenants[:1]), (f"any of the others, {plan.each} each", others),
                (f"one of {plan.taught}", [kept]),
            ):  # fmt: skip
                await self._rates(dsn, name, measured, target=measured[0] is not kept)
            for tenant in (tenants[0], kept):
                await parts(
                    self.report, dsn, tenant, halfvectors(self.questions.vectors[: plan.blocks // 2]), plan.others
                )
            maintenance = Maintenance(self.report, dsn, owner, self.questions)
            await maintenance.small(kept)
            ladder = Ladder(self.report, dsn, owner, plan.others, self.stored, self.questions)
            await self._climb(ladder, climbing)
            ladder.grown(EXACT, plan.among)
            if set(CROSSING) <= set(plan.among):
                ladder.crossing(CROSSING)
            await maintenance.graduated(moved, others[0])
        finally:
            await owner.close()
            await other_owner.close()

    async def _others(self, quiet: str, alone: Tenant, crowded: str, among: Tenant) -> None:
        """Time the same decisions in two databases, in turns."""
        say("A small tenant with one other, with many, in turns.")
        embeddings = halfvectors(self.questions.vectors[:BLOCK])
        async with asking(quiet) as here, asking(crowded) as there:
            turns = []
            pair = [(here, alone), (there, among)]
            for number in range(self.plan.blocks):
                order = (0, 1) if number % 2 else (1, 0)
                warm = 0 if number else 50
                taken = {
                    which: (await pair[which][0].decisions(pair[which][1], embeddings, warm))[0] for which in order
                }
                turns.append((taken[0], taken[1]))
        params: Params = {"memories": among.memories, "search": EXACT, "other tenants": self.plan.others}
        one, many = (statistics.median(turn[which].p50 for turn in turns) for which in (0, 1))
        self.report.add("decide p50, in turns", many, "ms", params=params, baseline=Baseline("1 other tenant", one))
        ratios = {"decide p50": [many.p50 / one.p50 for one, many in turns]}
        if all(one.server and many.server for one, many in turns):
            ratios["server's cpu"] = [(many.server or 0) / (one.server or 1) for one, many in turns]
        for name, each in ratios.items():
            value = (statistics.median(each) - 1) * 100
            under = OTHERS_TARGET if name == "decide p50" else None
            self.report.add("cost of other tenants", value, "%", params={**params, "of": name}, under=under)

    async def _rates(self, dsn: str, name: str, tenants: Sequence[Tenant], *, target: bool) -> None:
        say(f"Decisions a second: {name}.")
        embeddings = halfvectors(self.questions.vectors)
        for connections in CONNECTIONS:
            rate, client = await per_second(dsn, tenants, embeddings, connections, self.plan.seconds)
            params: Params = {"tenant": name, "connections": connections, "other tenants": self.plan.others}
            over = RATE_TARGET if target and connections > 1 else None
            self.report.add("decisions", rate, "1/s", params=params, over=over)
            self.report.add("decisions, client's cpu", client, "ms", params=params)


def main() -> None:
    """Run the command line; `--help` prints the docstring of this module."""
    parser = options(__doc__)
    parser.add_argument("--large", action="store_true", help="tenants of 100,000 and of --rows too; takes long")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="memories of the largest (1,000,000)")
    given = parser.parse_args()
    plan = memory_plan.chosen(quick=given.quick, large=given.rows if given.large else None)
    report = Report(given)
    settings = {"shared_buffers": "4GB"} if given.large else None
    with scratch_database(settings=settings) as server:
        bench = Bench(report, plan, server)
        for size in plan.alone:
            bench.alone(size)
        bench.among()
    report.finish()


if __name__ == "__main__":
    main()
