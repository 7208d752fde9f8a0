"""Quality and cost of routing on prompts that were not taught, compared with baselines that need no router.

    bench_quality.py [FILE …] [--table | --quick] [--only] [--embedder NAME …] [--json FILE]

Measured on the label sets of BENCH_DATA, else the demo's memory and generated sets (scripts/labels/files.py), and on
any FILE of their format: columns `prompt`, `task` (optional), and `q:MODEL` (0 to 1) with `c:MODEL` (USD) for 2 models
or more; empty cells are unknown; with `--only` only the FILEs are measured. Rows of the same prompt are merged. Of a
set with more than 20,000 prompts, 20,000 are drawn. Per seed a fifth of the prompts that every model answered are
questions, and the rest is taught: copied to a real Postgres and taught by router.record_staged, like an import. The
questions influence no choice: not the default (the best single model of the taught rows), not prices, not settings, not
alpha. Values are means over the 5 seeds ± their standard deviation. With --quick there are 2 seeds and fewer prompts
(10,000 of a set), Postgres is taught 600 of them, and in one seed settings and alpha are calibrated on those. Targets
are those of the full run, so a quick run may miss some. It takes 50 s on the generated sets.

With --table no Postgres is started: the twin measures the gain by number of labels and by who labels what (see below),
as mean ± standard error. These are the tables of the README; it takes some minutes.

Decisions are computed by a twin: router.fit, router.estimates and router.decide in numpy. In every run (but --table) a
sample for each rule is also fitted and decided by Postgres itself; the table has the largest difference, and 1e-6 is
allowed.

Rules: the plain mean of the k = 5 and k = 20 nearest with one list price a model (its mean cost); the earlier rule,
whose estimates use a model's own labels alone; the default settings; settings that router.calibrate finds on the memory
alone (auto-tuned); the last three with and without the task as X-Router-Task. Baselines of each: always the cheapest
model, always the default, the best single model (in hindsight), the static blend of equal cost, and the oracle, which
has every answer's score. The models of that blend are chosen in hindsight; those of the *honest static blend* by the
taught labels, as the router has to. *Memory means only* decides like a policy, but by each model's mean in the memory.

Files have the cost of a request, not its tokens. Each model gets a price per prompt token (the slope of its costs over
the lengths of the taught prompts), and each label an answer's length that accounts for the rest, so that together they
are its cost. The cost of a question is that of the file.

gain          points of quality over the static blend of equal cost, mean over the costs from the cheapest to the best
              corner of the upper hull of single models and their mixtures; alpha goes from 0 to 100
AIQ           area under the non-decreasing hull of the curve over the same costs (RouterBench, Hu et al. 2024)
APGR, CPT     share of the quality between the cheapest model and the default that is recovered, mean over the share of
              calls to the default; the least share that recovers 50% or 80% (RouteLLM, Ong et al. 2024). With more than
              two models the share is that of the extra cost of the default, as always in `APGR by cost`. The rules
              do not minimise calls: they send the long prompts to the cheap model first
quality, USD  means over the questions; of the default settings at the alpha of a new policy
reached, saved, missed by
              by settings and alpha that router.calibrate chose for 90, 95, 98 and 100% of the default's quality with
              confidence 0.9, leaving out 500 memories in turns; `missed by` below 0: the target was reached;
              `refused`: the memory does not support the target
auto-tuned less the best rule
              the best of the rules with fixed settings, chosen in hindsight; `NO`: worse beyond noise (one-sided 95% by
              Student's t over the seeds)

gain, leaning on …
              of a tenant with few labels of its own and a shared (base) memory of up to 2,000, either of the same tasks
              or of the other half of them, by base_weight; the baseline is the same tenant without it

gain by who labels what (--table)
              of 1,000 prompts: all labels; one or two random ones a prompt; 15% of them wrong; only the answer that was
              served, by the default with 10% of the requests explored, by the policy itself with 10% explored, or by
              the policy after 100 prompts with all labels; thumbs: half of the bad answers that were served are
              reported, and a tenth of the good ones. `below`: the default is worse than the means of the same labels
              beyond noise

Policies have a seed_count of 1 instead of 100, so that small memories decide, too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

# The matrices are small: more threads would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.dialects import prompt as signal
from app.errors import ConfigurationError
from app.memory import embedders as embedder
from app.memory.embedders import CachedEmbedder
from app.settings import Settings
from app.store import spaces
from app.store.database import Database
from migrations.install import width as default_width
from scripts.labels.files import label_files
from scripts.quality.cells import Cells, Plan
from scripts.quality.label_sets import COMPLETE, LabelSet, UnusableSet, load
from scripts.quality.report import Sheet, Title
from scripts.quality.run import Seed
from scripts.quality.split import Embedded, Split
from scripts.quality.sql import Postgres
from scripts.quality.table import Gains, measure
from scripts.quality.verdicts import Verdicts
from scripts.support.report import Report, options, say
from scripts.support.scratch import scratch_database

SIZES = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
QUICK = Plan(
    seeds=2, memory=600, checked=12, calibrated=1, targets=(0.95,), rows=100, seconds=3.0, prompts=20_000,
    sizes=SIZES[::2],
)  # fmt: skip
FULL = Plan(
    seeds=5, memory=None, checked=60, calibrated=5, targets=(0.9, 0.95, 0.98, 1.0), rows=500, seconds=30.0,
    prompts=None, sizes=SIZES,
)  # fmt: skip
#: Prompts of a set at most, and of all sets in a quick run by an embedder that takes 10 ms for one.
MOST, SLOW = 20_000, 600


async def embedded(labels: LabelSet, embedding: CachedEmbedder) -> Embedded:
    """Embed the prompts of a set; leave out those that the embedder cannot embed."""
    vectors = await embedding.embed_many(labels.prompts)
    kept = np.array([at for at, vector in enumerate(vectors) if vector is not None], np.int64)
    labels = labels.part(kept)
    if labels.complete.sum() < COMPLETE:
        raise UnusableSet(f"too few of its prompts have anything to embed, {COMPLETE} are needed.")
    rows = np.array([vectors[at].to_numpy() for at in kept.tolist()], np.float16)
    tokens = np.array([signal.tokens_of(prompt) for prompt in labels.prompts], np.int64)
    return Embedded.of(labels, embedding.space, rows, tokens)


async def opened(name: str, width: int) -> CachedEmbedder | None:
    """Return an embedder; None if it is not configured."""
    try:
        return embedder.create(Settings(embedder=name, embedding_deadline=60), width)
    except ConfigurationError as error:
        say(f"{name} is left out: {error}")
        return None


async def read(file: Path, limit: int, embedding: CachedEmbedder) -> Embedded | None:
    """Return a set with its embeddings; None if it cannot be measured."""
    try:
        return await embedded(load(file, limit), embedding)
    except UnusableSet as error:
        say(f"\n{file} is left out: {error}")
        return None


async def tabulated(files: list[Path], embedders: list[str], report: Report) -> bool:
    """Print the tables that need no database; return whether all sets could be measured."""
    complete = True
    for name in embedders:
        embedding = await opened(name, default_width())
        if embedding is None:
            complete = False
            continue
        gains = Gains()
        for file in files:
            data = await read(file, MOST, embedding)
            if data is None:
                complete = False
                continue
            started = time.perf_counter()
            measure(data, FULL.seeds, gains)
            _say_what(data, FULL, time.perf_counter() - started)
        if gains.values:
            Verdicts(report, gains, embedding.space).all()
        await embedding.close()
    return complete


async def measured(dsn: str, files: list[Path], embedders: list[str], plan: Plan, report: Report) -> bool:
    """Measure every set with every embedder; return whether all could be measured."""
    db = Database(dsn, size=2, role=None)
    await db.open()
    postgres = Postgres(db)
    width = await spaces.width(db)
    complete = True
    for name in embedders:
        embedding = await opened(name, width)
        if embedding is None:
            complete = False
            continue
        limit = MOST if plan.prompts is None else (plan.prompts if name == "static" else SLOW) // len(files)
        for file in files:
            started = time.perf_counter()
            data = await read(file, limit, embedding)
            if data is None:
                complete = False
                continue
            cells = Cells()
            for number in range(plan.seeds):
                await Seed(Split.of(data, number), plan, cells, postgres).measure()
            _say_what(data, plan, time.perf_counter() - started)
            Sheet(report, Title(data.labels.name, embedding.space), cells).all()
        await embedding.close()
    await db.close()
    return complete


def _say_what(data: Embedded, plan: Plan, seconds: float) -> None:
    labels = data.labels
    split = Split.of(data, 0)
    of_postgres = "" if plan.memory is None else f" ({min(plan.memory, len(split.taught)):,} of them to Postgres)"
    tasks = "no tasks" if labels.tasks is None else f"{len(set(labels.tasks) - {None})} tasks"
    say(
        f"\n== {labels.name}: {len(labels.prompts):,} prompts, {len(labels.models)} models, {tasks}; "
        f"{len(split.taught):,} taught{of_postgres}, {len(split.asked):,} questions; "
        f"{plan.seeds} seeds; default {labels.models[split.strong]}; {seconds:.0f} s"
    )
    for note in labels.notes:
        say(f"   {note}")


def chosen(arguments: argparse.Namespace) -> list[Path]:
    """Return the files to measure. Raises `SystemExit` naming those that do not exist."""
    missing = [str(file) for file in arguments.files if not file.is_file()]
    if missing:
        raise SystemExit(f"There is no file {', '.join(missing)}.")
    if arguments.only and not arguments.files:
        raise SystemExit("--only leaves nothing to measure: name a FILE.")
    return [*(() if arguments.only else label_files()), *arguments.files]


def main() -> None:
    """Run the benchmark, print the tables and write the JSON."""
    parser = options(__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="a set of labels, .csv or .csv.gz")
    parser.add_argument("--only", action="store_true", help="measure the FILEs alone")
    parser.add_argument(
        "--embedder", action="append", metavar="NAME", help="as ROUTER_EMBEDDER; may be repeated (default: static)"
    )
    parser.add_argument("--table", action="store_true", help="the tables of the README, without Postgres")
    arguments = parser.parse_args()
    files, embedders = chosen(arguments), arguments.embedder or ["static"]
    report = Report(arguments)
    if arguments.table:
        complete = asyncio.run(tabulated(files, embedders, report))
    else:
        # The data need not survive a crash, and no time is measured.
        with scratch_database(settings={"fsync": "off", "full_page_writes": "off"}) as dsn:
            plan = QUICK if arguments.quick else FULL
            complete = asyncio.run(measured(dsn, files, embedders, plan, report))
    report.write()
    if not complete:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
