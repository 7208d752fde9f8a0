"""`pgrouter usage`: requests, tokens and cost of tenants, beside the cost of their default models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ..accounting.usage_report import parse_dimensions, report_row, total
from ..errors import BadRequest
from ..operations.timespans import since as past_time
from ..store import keys as stored_keys
from ..store import usage as stored_usage
from ..store.database import Database
from .common import AsJson, note, show_json, tenant_of, with_database
from .report import percent, usd
from .table import aligned


def usage(
    tenant: Annotated[str | None, typer.Option(help="Tenant. Default: every tenant.")] = None,
    since: Annotated[
        str, typer.Option(metavar="7d|2026-01-31", help="Begin: hours, days or weeks ago, or a UTC date.")
    ] = "7d",
    by: Annotated[
        str, typer.Option(help=f"Dimensions of {', '.join(stored_usage.DIMENSIONS)}, separated by commas.")
    ] = "model",
    as_json: AsJson = False,
) -> None:
    """Show requests, tokens and USD in the ledger, and the cost if the policies' default models had served."""
    now = datetime.now(UTC)
    try:
        begin, wanted = past_time(since, now), parse_dimensions(by)
    except BadRequest as error:
        raise typer.BadParameter(error.message.split(": ", 1)[1], param_hint=f"--{error.param}") from None

    async def work(db: Database) -> tuple[list[Any], dict[int, str]]:
        if tenant is None:
            return list(await stored_usage.usages(db, begin, now, wanted)), {}
        tenant_id = (await tenant_of(db, tenant)).tenant_id
        rows = list(await stored_usage.usage(db, tenant_id, begin, now, wanted))
        known = await stored_keys.list_keys(db, tenant_id) if "key" in wanted else []
        return rows, {row["key_id"]: row["name"] or row["hint"] for row in known}

    rows, names = with_database(work)
    wanted = wanted if tenant is not None else ["tenant", *wanted]
    if as_json:
        show_json(
            {"since": begin, "until": now, "by": wanted, "data": [report_row(row, wanted) for row in rows],
             "total": total(rows)}
        )  # fmt: skip
    elif not rows:
        note(f"{tenant or 'All tenants together'}: no requests since {begin:%Y-%m-%d %H:%M} UTC.")
    else:
        for line in table(rows, wanted, names):
            typer.echo(line)
        if unknown := sum(row["unknown"] for row in rows):
            many = "1 request is" if unknown == 1 else f"{unknown:,} requests are"
            note(f"{many} of unknown cost: the provider reported no tokens, or the model has no price.")
        if unexplained := sum(row["unexplained"] for row in rows):
            many = "1 request" if unexplained == 1 else f"{unexplained:,} requests"
            note(f"{many} had usage that could not be explained: the counts fit no known convention, or not the total.")


def table(rows: Sequence[Mapping[str, Any]], by: Sequence[str], names: Mapping[int, str]) -> list[str]:
    """The rows as a table, with a line of totals."""
    sums = total(rows)
    lines = [*rows, {**sums, "share": 1.0}] if len(rows) > 1 else list(rows)
    columns = [[name, *(_name(row, name, names) for row in rows)] for name in by]
    if columns and len(rows) > 1:
        columns = [[*column, "total" if number == 0 else ""] for number, column in enumerate(columns)]
    for head, name in {
        "requests": "requests", "failed": "failed", "unexplained": "unexplained", "in": "prompt_tokens",
        "cached": "cached_tokens", "out": "completion_tokens", "reasoning": "reasoning_tokens",
    }.items():  # fmt: skip
        columns.append([head, *(f"{row[name]:,}" for row in lines)])
    for head, name in {"USD": "cost_usd", "baseline": "baseline_usd", "saved": "saved_usd"}.items():
        columns.append([head, *usd(row[name] for row in lines)])
    columns.append(["share", *(percent(row["share"]) for row in lines)])
    return aligned(zip(*columns, strict=True), left=range(len(by)))


def _name(row: Mapping[str, Any], by: str, names: Mapping[int, str]) -> str:
    if by == "key":
        key_id = row["key_id"]
        return "-" if key_id is None else f"{key_id} {names.get(key_id, '')}".rstrip()
    return "-" if row[by] is None else str(row[by])


def add_to(main: typer.Typer) -> None:
    """Add this command to `main`."""
    main.command("usage")(usage)
