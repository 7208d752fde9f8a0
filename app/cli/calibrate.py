"""`pgrouter calibrate` and `pgrouter savings`: a target for the quality kept, and how it turned out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from math import floor
from typing import Annotated, Any

import typer

from app.cli.backtest import ConfidenceOption, PolicyOption, SampleOption, SecondsOption, policy_of, space_of
from app.cli.common import AsJson, note, show_json, tenant_of, with_database
from app.cli.report import percent
from app.cli.table import aligned
from app.errors import BadRequest
from app.memory.backtest import saved, shares_of
from app.operations.timespans import since as past
from app.store import backtests, policies
from app.store.database import Database

_SETTINGS = ("alpha", "k", "tau", "n0", "n0_task")


def calibrate(
    tenant: Annotated[str, typer.Option(help="Whose policy.")],
    target: Annotated[
        float, typer.Option(min=0.01, max=2, help="Share of the default model's quality to keep, such as 0.98.")
    ],
    policy: PolicyOption = "auto",
    confidence: ConfidenceOption = 0.9,
    sample: SampleOption = 2000,
    seconds: SecondsOption = 30,
    tune: Annotated[bool, typer.Option(help="Choose k, tau and n0 too, not alpha alone.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be set, and set nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Set a policy so that it keeps a share of the default model's quality at the least cost, by its own memory.

    It is refused, and nothing changed, when the memory does not bear the target out at that confidence.
    """

    async def work(db: Database) -> tuple[int, Mapping[str, Any], Mapping[str, Any]]:
        row = await tenant_of(db, tenant)
        space_id, _ = await space_of(db, row)
        before = await policy_of(db, row, policy)
        if before["backend"] != "knn":
            raise BadRequest(
                f"Policy {policy} does not learn, its backend is {before['backend']}: there is nothing to calibrate.",
                param="policy",
            )
        after = await backtests.calibrate(
            db,
            row.tenant_id,
            before["policy_id"],
            space_id,
            target=target,
            confidence=confidence,
            sample=sample,
            seconds=seconds,
            tune=tune,
            write=not dry_run,
        )
        return row.tenant_id, before, after

    if sys.stderr.isatty():
        note(f"Deciding for up to {sample} memories as if they were not there, for {seconds:g} s at most …")
    tenant_id, before, after = with_database(work)
    shares = shares_of(after["models"], after["shares"])
    if as_json:
        body = {name: value for name, value in after.items() if name not in ("models", "shares")}
        was = {name: before[name] for name in _SETTINGS}
        show_json({"tenant": tenant, "policy": policy, **body, "shares": shares, "before": was})
        return
    typer.echo(expected(after, before["default_model"]))
    typer.echo(f"{'Would set' if dry_run else 'Set'} policy {policy}: {changes(before, after)}.")
    most = sorted(shares.items(), key=lambda pair: -pair[1])
    typer.echo(f"Served by {', '.join(f'{model} {percent(share)}' for model, share in most if share)}.")
    if dry_run:
        note("Nothing was changed. Without --dry-run the policy is set so.")
        return
    name = shlex.quote(tenant)
    note(
        f"Look at it in a week: `pgrouter savings --tenant {name}`, "
        f"or in psql `select * from router.savings({tenant_id})`."
    )


def savings(
    tenant: Annotated[str, typer.Option(help="Whose ledger.")],
    policy: Annotated[str | None, typer.Option(metavar="NAME", help="One policy; else each.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="7d|2026-01-31", help="From then on; else since calibrated, or for 30 days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What each policy was expected to save, beside what the ledger says it did."""
    start = None if since is None else past(since, datetime.now(UTC))

    async def work(db: Database) -> tuple[list[Mapping[str, Any]], frozenset[str]]:
        row = await tenant_of(db, tenant)
        policy_id = None if policy is None else (await policy_of(db, row, policy))["policy_id"]
        learning = frozenset(
            known["name"] for known in await policies.settings(db, row.tenant_id) if known["backend"] == "knn"
        )
        return await backtests.savings(db, row.tenant_id, policy_id, start), learning

    rows, learning = with_database(work)
    if as_json:
        show_json([saved(row) for row in rows])
        return
    if not rows:
        note(f"The tenant has no policies; `pgrouter policy put {tenant!r} auto` makes one.")
    typer.echo("\n\n".join("\n".join(compared(tenant, row, learns=row["policy"] in learning)) for row in rows))


def expected(row: Mapping[str, Any], default: str) -> str:
    """A calibration in a sentence."""
    return (
        f"{_share(row['quality_ratio'])} of {default} at {percent(row['cost_ratio'])} of its cost, expected "
        f"(at least {_share(row['quality_ratio_low'])} with {row['confidence']:.0%} confidence; "
        f"{row['rows']} of {row['memories']} memories)."
    )


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The settings that a calibration chose, and what they were."""
    changed = [f"{name} {before[name]:g} -> {after[name]:g}" for name in _SETTINGS if before[name] != after[name]]
    return ", ".join(changed) or "as it was"


def compared(tenant: str, row: Mapping[str, Any], *, learns: bool) -> list[str]:
    """A policy's savings in words, then what was expected beside what came."""
    since = f"{row['since']:%Y-%m-%d %H:%M} UTC"
    lines = [f"{tenant}, policy {row['policy']}, since {since}, {row['requests']} requests: {row['verdict']}."]
    if row["saved_usd"] is not None and row["default_usd"]:
        lines.append(
            f"Spent {_usd(row['spent_usd'])} USD where the default model alone would have cost "
            f"{_usd(row['default_usd'])}: {_usd(row['saved_usd'])} saved."
        )
    if learns and row["calibrated_at"] is None:
        which = "" if row["policy"] == "auto" else f" --policy {row['policy']}"
        lines.append(
            f"Never calibrated: `pgrouter calibrate --tenant {shlex.quote(tenant)}{which} --target 0.98 --dry-run` "
            "says what to expect."
        )
    then, now = shares_of(row["models"], row["expected_shares"]), shares_of(row["models"], row["shares"])
    quality_expected = "-"
    if row["expected_quality_ratio"] is not None:
        quality_expected = (
            f"{_share(row['expected_quality_ratio'])} (at least {_share(row['expected_quality_ratio_low'])})"
        )
    cells = [("", "expected", "ledger")]
    cells.append(("cost, of the default model's", percent(row["expected_cost_ratio"]), percent(row["cost_ratio"])))
    cells += [
        (f"served by {model}", percent(then.get(model)), percent(now.get(model))) for model in row["models"] or ()
    ]
    cells.append(("decided by memory", "-", percent(row["learned"])))
    cells.append(("quality, of the default model's", quality_expected, "unknown without labels"))
    cells.append(("memories", str(row["memories_then"] or "-"), str(row["memories_now"])))
    return [*lines, *(f"  {line}" for line in aligned(cells, left=(0,)))]


def add_to(main: typer.Typer) -> None:
    """Give `main` these commands."""
    main.command("calibrate")(calibrate)
    main.command("savings")(savings)


def _share(share: float) -> str:
    # Down, so that no target is said to be met that is missed by a hair.
    return f"{floor(share * 1000 + 1e-6) / 10:g}%"


def _usd(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:,.4f}" if abs(amount) < 10 else f"{amount:,.2f}"
