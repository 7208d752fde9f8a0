"""`pgrouter usage`: what tenants used and spent, beside what its default models would have cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from app.accounting.usage_report import parse_dimensions, report_row, total
from app.cli.common import AsJson, note, show_json, tenant_of, with_database
from app.cli.report import percent, usd
from app.cli.table import aligned
from app.errors import BadRequest
from app.operations.timespans import since as moment_since
from app.store import keys
from app.store import usage as usage_store
from app.store.database import Database


def usage(
    tenant: Annotated[str | None, typer.Option(help="Whose; else every tenant's.")] = None,
    since: Annotated[str, typer.Option(metavar="7d|2026-01-31", help="Hours, days, weeks ago; or a date, UTC.")] = "7d",
    by: Annotated[str, typer.Option(help=f"Any of {', '.join(usage_store.DIMENSIONS)}; commas between.")] = "model",
    as_json: AsJson = False,
) -> None:
    """Requests, tokens and USD as the ledger has them, and what the policies' default models would have cost."""
    now = datetime.now(UTC)
    try:
        begin, wanted = moment_since(since, now), parse_dimensions(by)
    except BadRequest as error:
        raise typer.BadParameter(error.message.split(": ", 1)[1], param_hint=f"--{error.param}") from None

    async def work(db: Database) -> tuple[list[Any], dict[int, str]]:
        if tenant is None:
            return list(await usage_store.usages(db, begin, now, wanted)), {}
        tenant_id = (await tenant_of(db, tenant)).tenant_id
        rows = list(await usage_store.usage(db, tenant_id, begin, now, wanted))
        known = await keys.credentials(db, tenant_id) if "key" in wanted else []
        return rows, {row["key_id"]: row["name"] or row["hint"] for row in known}

    rows, names = with_database(work)
    wanted = wanted if tenant is not None else ["tenant", *wanted]
    if as_json:
        show_json(
            {"since": begin, "until": now, "by": wanted, "data": [report_row(row, wanted) for row in rows],
             "total": total(rows)}
        )  # fmt: skip
    elif not rows:
        note(f"{tenant or 'Nobody'} has used {'nothing' if tenant else 'anything'} since {begin:%Y-%m-%d %H:%M} UTC.")
    else:
        for line in table(rows, wanted, names):
            typer.echo(line)
        if unknown := sum(row["unknown"] for row in rows):
            many = "1 request is" if unknown == 1 else f"{unknown:,} requests are"
            note(f"{many} of unknown cost: the provider reported no tokens, or the model has no price.")


def table(rows: Sequence[Mapping[str, Any]], by: Sequence[str], names: Mapping[int, str]) -> list[str]:
    """A line for each row, and one of their sums."""
    sums = total(rows)
    lines = [*rows, {**sums, "share": 1.0}] if len(rows) > 1 else list(rows)
    columns = [[name, *(_name(row, name, names) for row in rows)] for name in by]
    if columns and len(rows) > 1:
        columns = [[*column, "total" if number == 0 else ""] for number, column in enumerate(columns)]
    for head, name in {
        "requests": "requests", "failed": "failed", "in": "prompt_tokens", "cached": "cached_tokens",
        "out": "completion_tokens", "reasoning": "reasoning_tokens",
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
    """Give `main` this command."""
    main.command("usage")(usage)
