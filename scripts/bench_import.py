"""Time and memory of importing a file of examples, and of exporting one.

`pgrouter import` checks, embeds, stages and teaches a gzipped JSONL file of N and of 2N examples, all of them or none,
into a new tenant, and `pgrouter export` writes them; each run is a separate process, and its time includes the start.
The baseline `in batches` handles the same file like the HTTP interface: it embeds and records 1,000 examples a call,
one transaction per call. The prompts are those of the label sets (scripts/labels/files.py) with their labels; if more
are needed, they are repeated with a number appended, which makes them different prompts. The embedder is the default
one; Postgres runs on the same machine with durable commits (TEST_DATABASE_URL or DATABASE_URL names another server).

During an import, another writer teaches the same tenant one example every 20 ms: `wait of another writer` is the
longest of its calls. `peak memory` is that of the command's process, if the system reports it. N is 50,000, with
--quick 2,000; every number is measured, none is scaled from another.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import orjson

from app.store import providers, spaces

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.catalog import Catalog
from app.dialects.markers import markers_of
from app.memory import embedders
from app.memory.examples import ExampleIn, TextRules, examples_of
from app.operations.example_file import ExampleFile
from app.operations.import_examples import BATCH
from app.settings import Settings
from app.store import memories
from app.store import models as registry
from app.store import tenants as tenancy
from app.store.database import Database
from scripts.labels.files import label_files
from scripts.support.corpus import rows as rows_of
from scripts.support.processes import peak_mib
from scripts.support.report import Baseline, Report, options
from scripts.support.scratch import scratch_database

ROOT = Path(__file__).resolve().parent.parent
N, QUICK = 50_000, 2_000
#: Target: seconds for 50,000 examples.
SECONDS = 180.0
#: Target: factor by which twice the examples may increase peak memory.
GROWTH = 1.2
IN_BATCHES = "in batches"
BATCHES = (
    "-c",
    "import asyncio, sys; from scripts.bench_import import in_batches; asyncio.run(in_batches(*sys.argv[1:]))",
)
#: Seconds between two calls of the other writer.
PAUSE = 0.02
RULES = TextRules(markers_of(), {})


class Run(NamedTuple):
    """One process: seconds from its start to its end, its peak memory in MiB (None: unknown), and the longest call of
    the other writer in milliseconds."""

    seconds: float
    peak: float | None
    wait: float = 0.0


def corpus() -> Iterator[dict[str, object]]:
    """Yield different prompts with labels, without end."""
    rows: dict[str, dict[str, object]] = {}
    for path in label_files():
        for row in rows_of(path):
            scores = {name[2:]: float(value) for name, value in row.items() if name.startswith("q:") and value}
            rows[row["prompt"]] = {"task": row["task"], "scores": scores}
    for copy in count():
        for prompt, rest in rows.items():
            yield {"prompt": f"{prompt} ({copy})" if copy else prompt, **rest}


def write(path: Path, examples: int) -> set[str]:
    """Write the first examples of the corpus to a file; return the models that they name."""
    models: set[str] = set()
    with gzip.open(path, "wb", compresslevel=1) as file:
        for row in islice(corpus(), examples):
            models.update(row["scores"])  # type: ignore[arg-type]
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return models


async def in_batches(path: str, tenant: str) -> None:
    """Run the baseline; called in a separate process."""
    db = Database(os.environ["DATABASE_URL"], size=2, role=None)
    await db.open()
    catalog = Catalog(await registry.models(db))
    (row,) = await tenancy.list_tenants(db, tenant)
    embedding = embedders.create(Settings(), await spaces.width(db))
    space = await spaces.register_space(db, embedding.space, embedding.dimensions)
    batch: list[ExampleIn] = []
    for _, lesson in ExampleFile(Path(path), "import"):
        batch.append(lesson)
        if len(batch) == BATCH:
            await memories.record(
                db, row.tenant_id, space, None, await examples_of(batch, catalog, embedding, RULES, batch=True)
            )
            batch = []
    assert not batch, "N is a multiple of the batch"
    await embedding.close()
    await db.close()


class Bench:
    """Runs against one database, whose models are those of the files."""

    def __init__(self, dsn: str, db: Database, example: memories.Example, space: int) -> None:
        """`db` is connected to `dsn`; `example`: for the other writer."""
        self.dsn = dsn
        self.db = db
        self.example = example
        self.space = space
        self._tenants = count()

    async def teach(self, examples: int, *command: str) -> tuple[str, Run]:
        """Teach a new tenant by a command (its name is appended), while the other writer teaches it, too."""
        name = f"tenant-{next(self._tenants)}"
        tenant_id = await tenancy.create_tenant(self.db, name, memory_cap=10_000_000)
        writer = asyncio.create_task(self._write(tenant_id))
        try:
            run = await self.run(*command, name)
        finally:
            writer.cancel()
            (longest,) = await asyncio.gather(writer)
        (row,) = await tenancy.list_tenants(self.db, name)
        assert row.memories == examples + 1, (command, row.memories)
        return name, run._replace(wait=longest * 1000)

    async def run(self, *command: str) -> Run:
        """Run a command of Python in a separate process."""
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": self.dsn},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # The system's peak value of a process starts at the size of its parent, so the size is polled instead.
        peak: float | None = None
        while process.poll() is None:
            peak = peak_mib(process.pid) or peak
            await asyncio.sleep(0.01)
        assert process.returncode == 0, command
        return Run(time.perf_counter() - started, peak)

    async def _write(self, tenant_id: int) -> float:
        longest = 0.0
        try:
            while True:
                started = time.perf_counter()
                await asyncio.shield(memories.record(self.db, tenant_id, self.space, None, [self.example]))
                longest = max(longest, time.perf_counter() - started)
                await asyncio.sleep(PAUSE)
        except asyncio.CancelledError:
            return longest


async def measured(dsn: str, folder: Path, n: int, report: Report) -> None:
    """Add the rows of all runs."""
    db = Database(dsn, size=2, role=None)
    await db.open()
    files = {examples: folder / f"{examples}.jsonl.gz" for examples in (n, 2 * n)}
    await providers.put_provider(db, "nowhere", "http://127.0.0.1:1/v1", None)
    for name in sorted(set().union(*(write(path, examples) for examples, path in files.items()))):
        await registry.put_model(db, name, "nowhere")
    bench = Bench(dsn, db, *await other_example(db))
    baseline = {examples: (await bench.teach(examples, *BATCHES, str(path)))[1] for examples, path in files.items()}
    tenants: dict[int, str] = {}
    peak = None
    for examples, path in files.items():
        tenants[examples], run = await bench.teach(examples, "-m", "app", "import", str(path), "--tenant")
        compare(report, examples, run, baseline[examples], peak)
        peak = run.peak
    peak = None
    for examples, tenant in tenants.items():
        run = await bench.run("-m", "app", "export", "--output", str(folder / "out.jsonl.gz"), "--tenant", tenant)
        params = {"memories": examples}
        report.add("export", run.seconds, "s", params=params)
        report.add("export, peak memory", run.peak, "MiB", params=params, under=peak and peak * GROWTH)
        peak = run.peak
    await db.close()


def compare(report: Report, examples: int, run: Run, other: Run, half: float | None) -> None:
    """Add rows of an import and its baseline; `half`: peak memory with half the examples."""
    params = {"examples": examples}

    def add(metric: str, unit: str, value: float | None, base: float | None, **target: float | None) -> None:
        baseline = None if base is None else Baseline(IN_BATCHES, base)
        report.add(metric, value, unit, params=params, baseline=baseline, **target)

    add("import", "s", run.seconds, other.seconds, under=SECONDS if examples == N else None)
    add("import, throughput", "examples/s", examples / run.seconds, examples / other.seconds, over=N / SECONDS)
    add("import, peak memory", "MiB", run.peak, other.peak, under=half and half * GROWTH)
    add("wait of another writer", "ms", run.wait, other.wait)


async def other_example(db: Database) -> tuple[memories.Example, int]:
    """Return the example of the other writer, and its space."""
    catalog = Catalog(await registry.models(db))
    embedding = embedders.create(Settings(), await spaces.width(db))
    space = await spaces.register_space(db, embedding.space, embedding.dimensions)
    lesson = ExampleIn(prompt="Somebody else's prompt", scores={catalog.models[0].name: 1.0})
    (example,) = await examples_of([lesson], catalog, embedding, RULES, batch=False)
    await embedding.close()
    return example, space


def main() -> None:
    """Run the benchmark and print the table."""
    arguments = options(__doc__).parse_args()
    report = Report(arguments)
    with tempfile.TemporaryDirectory(prefix="pgrouter-bench-") as folder, scratch_database() as dsn:
        asyncio.run(measured(dsn, Path(folder), QUICK if arguments.quick else N, report))
    report.finish()


if __name__ == "__main__":
    main()
