"""`pgrouter backtest`: the quality and cost of a policy, measured on its own memory."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer

from ..entities import Tenant
from ..errors import BadRequest, ConfigurationError, NotFound
from ..memory.backtest import Backtest
from ..store import backtests as stored_backtests
from ..store import policies as stored_policies
from ..store.database import Database
from . import report
from .common import AsJson, embedder_of, note, show_json, tenant_of, with_database
from .plot import glyphs_for, plot
from .setting_options import of_the_policy, option_value, with_settings

#: Greatest width of the output, characters.
WIDEST = 100
#: Approximate number of lines in the table of the curve.
LINES = 12

PolicyOption = Annotated[str, typer.Option(metavar="NAME", help="Policy.")]
SampleOption = Annotated[int, typer.Option(min=30, max=16_000, help="Greatest number of memories decided for.")]
ConfidenceOption = Annotated[float, typer.Option(min=0.5, max=0.999, help="Confidence level of the intervals.")]
SecondsOption = Annotated[float, typer.Option(min=0.1, max=3600, help="Time limit for measuring, in seconds.")]


@with_settings(("k", "tau", "n0", "n0_task", "n1"), of_the_policy, option_value)
def backtest(
    tenant: Annotated[str, typer.Option(help="Tenant.")],
    policy: PolicyOption = "auto",
    sample: SampleOption = 500,
    alpha: Annotated[
        list[str] | None, typer.Option(metavar="NUMBER", help="Alpha to try (repeatable). Default: a grid of alphas.")
    ] = None,
    *,
    settings: Mapping[str, Any],
    confidence: ConfidenceOption = 0.9,
    seconds: SecondsOption = 10,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="File for the plot as PNG. Default: none.")] = None,
    as_json: AsJson = False,
) -> None:
    """Decide for each memory as if it were absent, at many alphas; show quality, cost and what else that cost buys.

    Changes nothing. Only memories with a label of every candidate count.
    """
    draw = None if png is None else _drawing()
    if png is not None and not png.absolute().parent.is_dir():
        # Checked before measuring, which may take a minute.
        raise BadRequest(f"--png {png}: the folder {png.absolute().parent} does not exist", param="png")
    alphas = None if not alpha else [float(option_value("alpha", text)) for text in alpha]

    async def work(db: Database) -> tuple[list[Mapping[str, Any]], str, str]:
        row = await tenant_of(db, tenant)
        space_id, space = await space_of(db, row)
        known = await policy_of(db, row, policy)
        rows = await stored_backtests.backtest(
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
        note(f"Policy {policy} has backend {backend}, which does not learn: the result is that of `--backend knn`.")
    if draw is not None and png is not None:
        draw(found, f"{tenant}, policy {policy}: {measured(found)}", png, confidence)
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
    left_out = f" {len(found.curve)} alphas were measured; --json prints all of them." if shown != found.curve else ""
    lines = [
        *wrap(f"{tenant}, policy {policy}{changed}: {measured(found)}, embedded by {space}.{left_out}", width),
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


def measured(found: Backtest) -> str:
    """The memories that the measurement used."""
    kind = "a sample of " if found.sampled else "all "
    left = f", {found.skipped} left out as they lack a label" if found.skipped else ""
    return f"{kind}{found.rows} memories, each without itself{left}"


async def space_of(db: Database, tenant: Tenant) -> tuple[int, str]:
    """The number and the name of a tenant's space."""
    if tenant.space_id is not None and tenant.space is not None:
        return tenant.space_id, tenant.space
    async with embedder_of(db) as (embedding, space_id):
        return space_id, embedding.space


async def policy_of(db: Database, tenant: Tenant, name: str) -> Mapping[str, Any]:
    """The policy of this name with its settings. Raises `NotFound`."""
    for row in await stored_policies.list_policies(db, tenant.tenant_id):
        if row["name"] == name:
            return row
    raise NotFound(f"There is no policy {name!r}; `pgrouter policy list {tenant.name!r}` lists the policies.")


def add_to(main: typer.Typer) -> None:
    """Add this command to `main`."""
    main.command("backtest")(backtest)


def _drawing() -> Any:
    # Imported before measuring, so that a missing package is reported at once.
    try:
        from . import plot_png
    except ImportError as error:
        raise ConfigurationError(
            f"--png needs matplotlib, which cannot be imported ({error}): run `pip install 'pgrouter[plot]'`."
        ) from error
    return plot_png.draw
