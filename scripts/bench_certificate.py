"""Whether a certificate (`pgrouter calibrate --at-most`) holds on prompts that were not taught.

    bench_certificate.py [FILE …] [--quick] [--only] [--draws N] [--memory N] [--json FILE]

Measured on the label sets of BENCH_DATA, else generated ones (scripts/labels/files.py), and on any FILE of their
format; with `--only` only the FILEs. In each draw a random sample of a set's prompts is taught to a real Postgres,
without tasks, and router.calibrate certifies shares of 2, 5 and 10% at confidence 0.9, with and without tuning. All
other prompts are questions: the twin of router.decide (scripts/quality/twin.py) routes them with the settings found,
and their labels show the share that was served worse than the default, the best single model of the taught prompts.
Draws overlap, because a set is finite.

broken        share of the draws whose questions were served worse more often than certified, of all draws (a
              refused one breaks no promise): at most 10%, and three standard errors more for few draws
certified     share of the draws in which the memory supported the share
measured, real  mean share of worse answers, as the certificate measured it and of the questions
cost          mean cost of the questions as a multiple of the default's
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import asyncpg
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.memory import embedders
from app.settings import Settings as ProcessSettings
from app.store import spaces
from app.store.database import Database
from scripts.bench_quality import MOST, chosen, embedded
from scripts.quality.fit import Fit
from scripts.quality.label_sets import UnusableSet, load
from scripts.quality.settings import Settings
from scripts.quality.split import Embedded, Split
from scripts.quality.sql import REFUSED, Postgres, Tenant
from scripts.quality.twin import Search
from scripts.quality.twin import chosen as served
from scripts.support.report import Report, options, say
from scripts.support.scratch import scratch_database

#: Prompts of a set in a quick run.
QUICK = 2_000
SHARES, CONFIDENCE = (0.02, 0.05, 0.1), 0.9
CERTIFY = (
    "select alpha, k, tau, n0, n0_task, worse_share from router.calibrate($1, $2, $3, null, $4, $5, 60, $6, true,"
    " p_at_most => $7)"
)


class Draw(NamedTuple):
    """A certificate, and what happened to the questions."""

    measured: float
    real: float
    cost: float


class Measurement:
    """The draws of one set."""

    def __init__(self, data: Embedded, db: Database, memory: int) -> None:
        self._data = data
        self._db = db
        self._postgres = Postgres(db)
        self._memory = memory

    async def draw(self, seed: int, *, tuned: bool) -> dict[float, Draw | None]:
        """Teach a sample; return the certificate of each share, None where it was refused."""
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(self._data.labels.complete))
        split = Split(self._data, seed, rows[: self._memory], rows[self._memory :])
        tenant = await self._postgres.taught(split, split.memory(), tagged=False)
        found: dict[float, Draw | None] = {}
        for share in SHARES:
            policy, own, _ = await self._postgres.policy(tenant)
            row = await self._certificate(tenant, policy, share, tuned=tuned)
            fit = await self._postgres.fit_of(tenant, policy)
            found[share] = None if row is None else self._asked(split, tenant, own, row, fit)
        await self._postgres.forgotten(tenant)
        return found

    async def _certificate(self, tenant: Tenant, policy: int, share: float, *, tuned: bool) -> asyncpg.Record | None:
        async with self._db.session() as connection:
            try:
                return await connection.fetchrow(
                    CERTIFY, tenant.number, policy, tenant.space, CONFIDENCE, self._memory, tuned, share
                )
            except asyncpg.PostgresError as error:
                if error.sqlstate in REFUSED:
                    return None
                raise

    def _asked(self, split: Split, tenant: Tenant, own: Settings, row: asyncpg.Record, fit: Fit | None) -> Draw:
        settings = replace(own, k=row["k"], tau=row["tau"], n0=row["n0"], n0_task=row["n0_task"])
        questions = self._data.questions.part(split.asked).untagged()
        estimates = Search(tenant.memory, questions, settings.k).estimates(settings, tagged=False, fit=fit)
        (choices,) = served(estimates, np.array([row["alpha"]]), split.strong, settings)
        quality, cost = self._data.labels.quality[split.asked], self._data.labels.cost[split.asked]
        at = np.arange(len(choices))
        worse = quality[:, split.strong] - quality[at, choices] > 1e-6
        spent = cost[at, choices].sum() / cost[:, split.strong].sum()
        return Draw(row["worse_share"], float(worse.mean()), float(spent))


async def measured(dsn: str, files: list[Path], prompts: int, draws: int, memory: int, report: Report) -> bool:
    """Measure every set; return whether all could be measured."""
    db = Database(dsn, size=2, role=None)
    await db.open()
    embedding = embedders.create(ProcessSettings(embedder="static"), await spaces.width(db))
    complete = True
    for file in files:
        try:
            data = await embedded(load(file, prompts), embedding)
        except UnusableSet as error:
            say(f"{file} is left out: {error}")
            complete = False
            continue
        rows = min(memory, int(data.labels.complete.sum()) // 2)
        say(f"{data.labels.name}: {rows} memories in each of {draws} draws")
        measurement = Measurement(data, db, rows)
        for tuned in (False, True):
            found = [await measurement.draw(seed, tuned=tuned) for seed in range(draws)]
            for share in SHARES:
                _report(report, data.labels.name, share, tuned, [each[share] for each in found])
    await embedding.close()
    await db.close()
    return complete


def _report(report: Report, name: str, share: float, tuned: bool, draws: list[Draw | None]) -> None:
    known = [draw for draw in draws if draw is not None]
    params: dict[str, str | float] = {"set": name, "at most": share, "tuned": "yes" if tuned else "no"}
    # Three standard errors above a share of 10%.
    broken = sum(draw.real > share for draw in known) / len(draws)
    most = 1 - CONFIDENCE + 3 * (0.09 / len(draws)) ** 0.5
    report.add("broken", broken, "of draws", params=params, under=most)
    report.add("certified", len(known) / len(draws), "of draws", params=params)
    for metric, values in (
        ("measured", [draw.measured for draw in known]),
        ("real", [draw.real for draw in known]),
        ("cost", [draw.cost for draw in known]),
    ):
        report.add(metric, float(np.mean(values)) if values else None, "", params=params)


def main() -> None:
    """Run the benchmark, print the table and write the JSON."""
    parser = options(__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="a set of labels, .csv or .csv.gz")
    parser.add_argument("--only", action="store_true", help="measure the FILEs alone")
    parser.add_argument("--draws", type=int, metavar="N", help="memories drawn of each set (default: 100, quick: 3)")
    parser.add_argument("--memory", type=int, metavar="N", help="prompts of a memory (default: 800, quick: 200)")
    arguments = parser.parse_args()
    files = chosen(arguments)
    report = Report(arguments)
    draws = arguments.draws or (3 if arguments.quick else 100)
    memory = arguments.memory or (200 if arguments.quick else 800)
    with scratch_database(settings={"fsync": "off", "full_page_writes": "off"}) as dsn:
        complete = asyncio.run(measured(dsn, files, QUICK if arguments.quick else MOST, draws, memory, report))
    report.finish()
    if not complete:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
