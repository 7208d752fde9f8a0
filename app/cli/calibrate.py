"""`pgrouter calibrate` and `pgrouter savings`: a goal for the quality kept, and the result in the ledger."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from math import floor
from typing import Annotated, Any

import typer

from ..errors import BadRequest
from ..memory.backtest import saved, shares_of
from ..memory.goal import Goal
from ..operations.timespans import since as past_time
from ..store import backtests as stored_backtests
from ..store import policies as stored_policies
from ..store.database import Database
from .backtest import PolicyOption, SampleOption, SecondsOption, policy_of, space_of
from .common import AsJson, note, options, show_json, tenant_of, with_database
from .report import percent
from .table import aligned

_SETTINGS = ("alpha", "k", "tau", "n0", "n0_task")


def _share_from(low: float, high: float) -> Callable[[str], float]:
    """Return the parser of an option: a share such as 0.05 or 5%, from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a share such as 0.05 or 5%.") from None
        if not low <= value <= high:
            raise typer.BadParameter(f"{text} is not in the range from {low:g} to {high:g}.")
        return value

    return parse


def calibrate(
    tenant: Annotated[str, typer.Option(help="Tenant.")],
    target: Annotated[
        float | None,
        typer.Option(
            parser=_share_from(0.01, 2),
            metavar="SHARE",
            help="Share of the default model's quality to keep: 0.98 or 98%.",
        ),
    ] = None,
    at_most: Annotated[
        float | None,
        typer.Option(
            parser=_share_from(0.0001, 0.99),
            metavar="SHARE",
            help="Instead of a target: certify that at most this share of requests, such as 5%, is served worse "
            "than by the default model.",
        ),
    ] = None,
    by: Annotated[
        float | None,
        typer.Option(
            min=0, max=0.99, help="With --at-most: quality by which a request must be lower to be worse. Default: 0."
        ),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(min=0.001, max=0.5, help="With --at-most: 1 - confidence. Default: 0.1.")
    ] = None,
    policy: PolicyOption = "auto",
    confidence: Annotated[
        float | None, typer.Option(min=0.5, max=0.999, help="Confidence that the goal is kept. Default: 0.9.")
    ] = None,
    sample: SampleOption = 2000,
    seconds: SecondsOption = 30,
    tune: Annotated[bool, typer.Option(help="Choice of k, tau, n0 and n0_task too, not only of alpha.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the settings without changing the policy.")] = False,
    as_json: AsJson = False,
) -> None:
    """Set a policy to keep a share of the default model's quality at the least cost, measured on its own memory.

    With --at-most it is certified on held-out memories that at most that share of requests is served worse than by the
    default model. If the memory cannot support the target or the share at that confidence, the command fails, prints
    the best reachable value and changes nothing.
    """

    with options("target", "at_most", "by", "delta"):
        goal = Goal.of(target, at_most, confidence=confidence, delta=delta, by=by)

    async def work(db: Database) -> tuple[int, Mapping[str, Any], Mapping[str, Any]]:
        row = await tenant_of(db, tenant)
        space_id, _ = await space_of(db, row)
        before = await policy_of(db, row, policy)
        if before["backend"] != "knn":
            raise BadRequest(
                f"Policy {policy} has backend {before['backend']}, which does not learn: only knn can be calibrated.",
                param="policy",
            )
        after = await stored_backtests.calibrate(
            db,
            row.tenant_id,
            before["policy_id"],
            space_id,
            **asdict(goal),
            sample=sample,
            seconds=seconds,
            tune=tune,
            write=not dry_run,
            by="cli",
        )
        return row.tenant_id, before, after

    if sys.stderr.isatty():
        note(f"Deciding for up to {sample} memories as if they were absent, for at most {seconds:g} s …")
    tenant_id, before, after = with_database(work)
    shares = shares_of(after["models"], after["shares"])
    if as_json:
        body = {
            "by" if name == "margin" else name: value
            for name, value in after.items()
            if name not in ("models", "shares")
        }
        was = {name: before[name] for name in _SETTINGS}
        show_json({"tenant": tenant, "policy": policy, **body, "shares": shares, "before": was})
        return
    typer.echo(expected(after, before["default_model"]))
    typer.echo(f"{'Would set' if dry_run else 'Set'} policy {policy}: {changes(before, after)}.")
    most = sorted(shares.items(), key=lambda pair: -pair[1])
    typer.echo(f"Served by {', '.join(f'{model} {percent(share)}' for model, share in most if share)}.")
    if dry_run:
        note("Nothing was changed. Run the command without --dry-run to set the policy.")
        return
    name = shlex.quote(tenant)
    note(
        f"See the result in a week with `pgrouter savings --tenant {name}`, "
        f"or in psql with `select * from router.savings({tenant_id})`."
    )


def savings(
    tenant: Annotated[str, typer.Option(help="Tenant.")],
    policy: Annotated[str | None, typer.Option(metavar="NAME", help="Policy. Default: every policy.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="7d|2026-01-31", help="Begin. Default: the last calibration, else 30 days ago."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the expected savings of each policy with those in the ledger."""
    start = None if since is None else past_time(since, datetime.now(UTC))

    async def work(db: Database) -> tuple[list[Mapping[str, Any]], frozenset[str]]:
        row = await tenant_of(db, tenant)
        policy_id = None if policy is None else (await policy_of(db, row, policy))["policy_id"]
        learning = frozenset(
            known["name"]
            for known in await stored_policies.list_policies(db, row.tenant_id)
            if known["backend"] == "knn"
        )
        return await stored_backtests.savings(db, row.tenant_id, policy_id, start), learning

    rows, learning = with_database(work)
    if as_json:
        show_json([saved(row) for row in rows])
        return
    if not rows:
        note(f"The tenant has no policies: add one with `pgrouter policy put {tenant!r} auto`.")
    typer.echo("\n\n".join("\n".join(compared(tenant, row, learns=row["policy"] in learning)) for row in rows))


def expected(row: Mapping[str, Any], default: str) -> str:
    """The expected result of a calibration, in a sentence."""
    if row["at_most"] is not None:
        margin = f" by more than {row['margin']:g}" if row["margin"] else ""
        return (
            f"At most {100 * row['at_most']:g}% of requests worse than {default}{margin} with "
            f"{100 * row['confidence']:g}% confidence: measured {row['worse_share']:.1%} on {row['rows']} memories "
            f"that chose no setting, at {percent(row['cost_ratio'])} of its cost."
        )
    return (
        f"{_share(row['quality_ratio'])} of {default} at {percent(row['cost_ratio'])} of its cost, expected "
        f"(at least {_share(row['quality_ratio_low'])} with {row['confidence']:.0%} confidence; "
        f"{row['rows']} of {row['memories']} memories)."
    )


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The settings that a calibration changed, before and after."""
    changed = [f"{name} {before[name]:g} -> {after[name]:g}" for name in _SETTINGS if before[name] != after[name]]
    return ", ".join(changed) or "no setting changes"


def compared(tenant: str, row: Mapping[str, Any], *, learns: bool) -> list[str]:
    """A policy's savings in words, then a table of expected and real values."""
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
            f"Never calibrated: run `pgrouter calibrate --tenant {shlex.quote(tenant)}{which} --target 0.98 --dry-run` "
            "for the expected values."
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
    """Add these commands to `main`."""
    main.command("calibrate")(calibrate)
    main.command("savings")(savings)


def _share(share: float) -> str:
    # Rounded down, so that a target that is missed by little is not shown as met.
    return f"{floor(share * 1000 + 1e-6) / 10:g}%"


def _usd(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:,.4f}" if abs(amount) < 10 else f"{amount:,.2f}"
