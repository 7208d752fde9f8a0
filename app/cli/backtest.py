"""`pgrouter backtest`: what a policy would have got for its money, had its own memory asked."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer

from app.cli import report
from app.cli.common import AsJson, embedder_of, note, show_json, tenant_of, with_database
from app.cli.plot import glyphs_for, plot
from app.cli.setting_options import of_the_policy, setting_option, with_settings
from app.entities import Tenant
from app.errors import BadRequest, ConfigurationError, NotFound
from app.memory.backtest import Backtest
from app.store import backtests, policies
from app.store.database import Database

WIDEST = 100
#: Of the curve's table, about.
LINES = 12

PolicyOption = Annotated[str, typer.Option(metavar="NAME", help="Which policy.")]
SampleOption = Annotated[int, typer.Option(min=30, max=16_000, help="Memories asked at most.")]
ConfidenceOption = Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")]
SecondsOption = Annotated[float, typer.Option(min=0.1, max=3600, help="Time for measuring.")]


@with_settings(("k", "tau", "n0", "n0_task", "n1"), of_the_policy)
def backtest(
    tenant: Annotated[str, typer.Option(help="Whose memory.")],
    policy: PolicyOption = "auto",
    sample: SampleOption = 500,
    alpha: Annotated[
        list[str] | None, typer.Option(metavar="NUMBER", help="Alpha to try (repeatable). Default: a grid of alphas.")
    ] = None,
    *,
    settings: Mapping[str, Any],
    confidence: ConfidenceOption = 0.9,
    seconds: SecondsOption = 10,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the plot as PNG, too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask each memory as if it were not there, at many alphas: what quality for what cost, and what else that buys.

    Changes nothing. Only memories with a label of every candidate can be asked.
    """
    draw = None if png is None else _drawing()
    if png is not None and not png.absolute().parent.is_dir():
        # Before a minute is spent on measuring.
        raise BadRequest(f"there is no folder {png.absolute().parent}", param="png")
    alphas = None if not alpha else [float(setting_option("alpha", text)) for text in alpha]

    async def work(db: Database) -> tuple[list[Mapping[str, Any]], str, str]:
        row = await tenant_of(db, tenant)
        space_id, space = await space_of(db, row)
        known = await policy_of(db, row, policy)
        rows = await backtests.backtest(
            db,
            row.tenant_id,
            known["policy_id"],
            space_id,
            sample=sample,
            alphas=alphas,
            settings=settings or None,
            confidence=confidence,
            seconds=seconds,
        )
        return rows, space, known["backend"]

    rows, space, backend = with_database(work)
    found = Backtest.of(rows)
    if backend != "knn":
        note(
            f"Policy {policy} does not learn, its backend is {backend}: this is what it would do with `--backend knn`."
        )
    if draw is not None and png is not None:
        draw(found, f"{tenant}, policy {policy}: {asked(found)}", png, confidence)
    if as_json:
        head = {
            "tenant": tenant,
            "policy": policy,
            "backend": backend,
            "embedder": space,
            "confidence": confidence,
            "settings": settings,
        }
        show_json({**head, **found.body()})
        return
    width = max(40, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))
    changed = "".join(f", {name} {value:g}" for name, value in settings.items() if not isinstance(value, str))
    shown = found.curve if alphas else report.thinned(found.curve, LINES)
    left_out = f" {len(found.curve)} alphas were measured; --json has them all." if shown != found.curve else ""
    lines = [
        *wrap(f"{tenant}, policy {policy}{changed}: {asked(found)}, embedded by {space}.{left_out}", width),
        "",
        *report.curve(found, shown, confidence, width),
        *report.legend(confidence, width),
        "",
        *report.alone(found, confidence, width),
        "",
        *plot(found, width, glyphs_for(sys.stdout.encoding)),
    ]
    typer.echo("\n".join(lines))
    if png is not None:
        note(f"Wrote {png}.")


def asked(found: Backtest) -> str:
    """What was measured: how many memories of how many."""
    kind = "a sample of " if found.sampled else "all "
    left = f", {found.skipped} left out for want of a label" if found.skipped else ""
    return f"{kind}{found.rows} memories, each without itself{left}"


async def space_of(db: Database, tenant: Tenant) -> tuple[int, str]:
    """The number and the name of the space that serves a tenant."""
    if tenant.space_id is not None and tenant.space is not None:
        return tenant.space_id, tenant.space
    async with embedder_of(db) as (embedding, space_id):
        return space_id, embedding.space


async def policy_of(db: Database, tenant: Tenant, name: str) -> Mapping[str, Any]:
    """The policy of that name with its settings. Raises `NotFound`."""
    for row in await policies.settings(db, tenant.tenant_id):
        if row["name"] == name:
            return row
    raise NotFound(f"There is no policy {name!r}; `pgrouter policy list {tenant.name!r}` shows them.")


def add_to(main: typer.Typer) -> None:
    """Give `main` this command."""
    main.command("backtest")(backtest)


def _drawing() -> Any:
    # Before anything is measured: nobody should wait for a picture that cannot be drawn.
    try:
        from app.cli import plot_png
    except ImportError as error:
        raise ConfigurationError(
            f"--png needs matplotlib, which is not there ({error}): pip install 'pgrouter[plot]'."
        ) from error
    return plot_png.draw
