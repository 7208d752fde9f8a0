"""`pgrouter maintain`: runs the maintenance jobs of the proxy at once, with the owner's rights."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import typer

from ..errors import RouterError
from ..settings import Settings
from ..store import maintenance as stored_maintenance
from ..store.database import Database
from ..store.maintenance import Job
from .common import AsJson, note, show, show_json, with_database

#: Interval at which the progress of an index build is read, seconds.
POLL = 0.5


def maintain(
    graduate_at: Annotated[
        int | None,
        typer.Option(
            min=1, help="Memories at which a tenant's space graduates. Default: ROUTER_GRADUATE_AT, else 6000."
        ),
    ] = None,
    ledger_days: Annotated[
        int | None, typer.Option(min=1, help="Days for which the ledger is kept. Default: ROUTER_LEDGER_DAYS, else 90.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the jobs that are due, run none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the maintenance jobs that are due: graduate tenants, open and drop ledger days, expire rows, re-index.

    The proxy does the same every ROUTER_MAINTAIN_SECONDS; it can re-index only if its login owns the schema.
    ROUTER_GRADUATE_AT must be the same for the proxies and this command: otherwise one undoes the moves of the other.
    """
    # The import brings the proxy's metrics, which other commands need not wait for.
    from ..operations import maintenance
    from ..operations.maintenance import Step

    settings = Settings.from_environment()
    at, days = graduate_at or settings.graduate_at, ledger_days or settings.ledger_days

    async def list_due(db: Database) -> list[dict[str, Any]]:
        columns = ("tenant", "space_id", "day", "amount", "churn")
        return [
            {"chore": job.name, **{name: getattr(job, name) for name in columns}}
            for job in await stored_maintenance.jobs(db, graduate_at=at, ledger_days=days)
        ]

    async def run_due(db: Database) -> list[Step]:
        steps = []
        async with _progress(db) as begins:
            async for step in maintenance.maintain(db, db, graduate_at=at, ledger_days=days, begins=begins):
                steps.append(step)
                begins(None)
                if not as_json:
                    typer.echo(step.line())
        return steps

    if dry_run:
        show(with_database(list_due), as_json=as_json, empty="No maintenance job is due.")
        return
    steps = with_database(run_due)
    if as_json:
        show_json([step.row() for step in steps])
    elif not steps:
        note("No maintenance job was due.")
    if any(step.outcome == "failed" for step in steps):
        raise typer.Exit(1)


def add_to(main: typer.Typer) -> None:
    """Add this command to `main`."""
    main.command("maintain")(maintain)


class _Bar:
    """A line on the terminal with the progress of the job that runs; called with None when the job has ended."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.width = 0

    def __call__(self, job: Job | None) -> None:
        self.job = job
        self.draw("")

    def draw(self, text: str) -> None:
        if self.width or text:
            sys.stderr.write("\r" + text.ljust(self.width) + ("\r" if not text else ""))
            sys.stderr.flush()
        self.width = len(text)


@asynccontextmanager
async def _progress(db: Database) -> AsyncIterator[_Bar]:
    bar = _Bar()

    async def poll() -> None:
        while True:
            await asyncio.sleep(POLL)
            job = bar.job
            if job is None or job.name not in ("graduate", "shrink", "reindex"):
                continue
            with suppress(RouterError):
                done = await stored_maintenance.built(db)
                share = f" {min(100, round(100 * done / job.amount))}% indexed" if done and job.amount else ""
                if bar.job is job:
                    bar.draw(f"{job.name}: tenant {job.tenant}, {job.amount or 0:,} memories …{share}")

    task = asyncio.create_task(poll()) if sys.stderr.isatty() else None
    try:
        yield bar
    finally:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        bar(None)
