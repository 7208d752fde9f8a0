"""`pgrouter maintain`: what the proxy's upkeep does by itself, now and with the owner's rights."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, note, show, show_json, with_database
from app.errors import RouterError
from app.settings import Settings
from app.store import maintenance
from app.store.database import Database
from app.store.maintenance import Chore

#: Between two looks at how far a build is, seconds.
LOOK = 0.5


def maintain(
    graduate_at: Annotated[
        int | None,
        typer.Option(min=1, help="Memories at which a tenant's space graduates [ROUTER_GRADUATE_AT, 6000]."),
    ] = None,
    ledger_days: Annotated[
        int | None, typer.Option(min=1, help="Days of the ledger that are kept [ROUTER_LEDGER_DAYS, 90].")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is due, and do nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Do what is due: graduate tenants, open and drop days of the ledger, forget what has ended, re-index.

    The proxy does the same every ROUTER_MAINTAIN_SECONDS; for re-indexing it needs the owner's login.
    ROUTER_GRADUATE_AT must be the proxies': with another, one may move back what the other has moved.
    """
    # The proxy's metrics come with it.
    from app.operations.maintenance import Step, said
    from app.operations.maintenance import maintain as steps_of

    settings = Settings.from_environment()
    at, days = graduate_at or settings.graduate_at, ledger_days or settings.ledger_days

    async def look(db: Database) -> list[dict[str, Any]]:
        found = await maintenance.chores(db, graduate_at=at, ledger_days=days)
        columns = ("chore", "tenant", "space_id", "day", "amount", "churn")
        return [{name: getattr(chore, name) for name in columns} for chore in found]

    async def work(db: Database) -> list[Step]:
        steps = []
        async with _watching(db) as begins:
            async for step in steps_of(db, db, graduate_at=at, ledger_days=days, begins=begins):
                steps.append(step)
                begins(None)
                if not as_json:
                    typer.echo(said(step))
        return steps

    if dry_run:
        show(with_database(look), as_json=as_json, empty="Nothing is due.")
        return
    steps = with_database(work)
    if as_json:
        show_json([step.row() for step in steps])
    elif not steps:
        note("Nothing was due.")
    if any(step.outcome == "failed" for step in steps):
        raise typer.Exit(1)


def add_to(main: typer.Typer) -> None:
    """Give `main` this command."""
    main.command("maintain")(maintain)


class _Bar:
    """Shows on a terminal how far the chore that runs is; told None when it has ended."""

    def __init__(self) -> None:
        self.chore: Chore | None = None
        self.wide = 0

    def __call__(self, chore: Chore | None) -> None:
        self.chore = chore
        self.draw("")

    def draw(self, text: str) -> None:
        if self.wide or text:
            sys.stderr.write("\r" + text.ljust(self.wide) + ("\r" if not text else ""))
            sys.stderr.flush()
        self.wide = len(text)


@asynccontextmanager
async def _watching(db: Database) -> AsyncIterator[_Bar]:
    bar = _Bar()

    async def watch() -> None:
        while True:
            await asyncio.sleep(LOOK)
            chore = bar.chore
            if chore is None or chore.chore not in ("graduate", "shrink", "reindex"):
                continue
            with suppress(RouterError):
                done = await maintenance.built(db)
                share = f" {min(100, round(100 * done / chore.amount))}% indexed" if done and chore.amount else ""
                if bar.chore is chore:
                    bar.draw(f"{chore.chore}: tenant {chore.tenant}, {chore.amount or 0:,} memories …{share}")

    task = asyncio.create_task(watch()) if sys.stderr.isatty() else None
    try:
        yield bar
    finally:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        bar(None)
