"""`pgrouter limit`: what a tenant, or one of its keys, may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, note, show, tenant_of, with_database
from app.cli.tenants import TenantArgument
from app.store import limits as money
from app.store.database import Database

limits = typer.Typer(no_args_is_help=True, help="Say what tenants and keys may use: requests, tokens, USD.")

#: Each limit by the column that has it, in words; its option is the column with dashes.
WORDS = {
    "requests_per_minute": "{:,} requests a minute",
    "tokens_per_minute": "{:,} tokens a minute",
    "day_usd": "{:g} USD a day",
    "month_usd": "{:g} USD a month",
}
_MOST = 2**31 - 1

KeyOption = Annotated[
    int | None, typer.Option("--key", min=1, max=_MOST, help="A key's number in `pgrouter key list`; else all keys.")
]
RateOption = Annotated[int | None, typer.Option(min=1, max=_MOST, help="So many may come at once, too.")]


def usd(value: float | None) -> float | None:
    """A budget from the command line; `BadParameter` for one that is no sum of money."""
    if value is not None and not 0 <= value <= 1e9:
        raise typer.BadParameter("a budget is 0 to 1,000,000,000 USD")
    return value


BudgetOption = Annotated[float | None, typer.Option(callback=usd, help="By the UTC calendar; 0: free models alone.")]


@limits.command("set")
def set_limits(
    tenant: TenantArgument,
    key: KeyOption = None,
    requests_per_minute: RateOption = None,
    tokens_per_minute: RateOption = None,
    day_usd: BudgetOption = None,
    month_usd: BudgetOption = None,
) -> None:
    """Limit a tenant, or one of its keys; limits that are not named stay as they are."""
    given = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "day_usd": day_usd,
        "month_usd": month_usd,
    }
    if all(value is None for value in given.values()):
        options = ", ".join(f"--{name.replace('_', '-')}" for name in WORDS)
        raise typer.BadParameter(f"name a limit: {options}")
    changes = {name: value for name, value in given.items() if value is not None}
    _say(tenant, key, with_database(lambda db: _change(db, tenant, key, changes)))


@limits.command("drop")
def drop_limits(
    tenant: TenantArgument,
    key: KeyOption = None,
    requests_per_minute: Annotated[bool, typer.Option("--requests-per-minute", help="This; none named: all.")] = False,
    tokens_per_minute: Annotated[bool, typer.Option("--tokens-per-minute", help="This.")] = False,
    day_usd: Annotated[bool, typer.Option("--day-usd", help="This.")] = False,
    month_usd: Annotated[bool, typer.Option("--month-usd", help="This.")] = False,
) -> None:
    """Take limits away from a tenant, or from one of its keys."""
    named = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "day_usd": day_usd,
        "month_usd": month_usd,
    }
    gone = {name: None for name, flag in named.items() if flag or not any(named.values())}
    _say(tenant, key, with_database(lambda db: _change(db, tenant, key, gone)))


@limits.command("list")
def list_limits(tenant: TenantArgument, as_json: AsJson = False) -> None:
    """The limits of a tenant and of its keys, with what is spent, reserved by requests under way, and left."""

    async def work(db: Database) -> list[Any]:
        return list(await money.limits(db, (await tenant_of(db, tenant)).tenant_id))

    show(
        [{**row, "key": row["key"] if row["key_id"] is not None else "(all)"} for row in with_database(work)],
        as_json=as_json,
        columns=(
            "key_id", "key", "requests_per_minute", "requests_left", "tokens_per_minute", "tokens_left", "day_usd",
            "day_spent_usd", "day_left_usd", "month_usd", "month_spent_usd", "month_left_usd", "reserved_usd",
        ),
        empty=f"{tenant} has no limits; `pgrouter limit set` makes some.",
    )  # fmt: skip


async def _change(db: Database, tenant: str, key: int | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    tenant_id = (await tenant_of(db, tenant)).tenant_id
    rows = {row["key_id"]: row for row in await money.limits(db, tenant_id)}
    found = {name: rows[key][name] if key in rows else None for name in WORDS} | dict(changes)
    await money.put_limits(
        db,
        tenant_id,
        key,
        requests=found["requests_per_minute"],
        tokens=found["tokens_per_minute"],
        day_usd=found["day_usd"],
        month_usd=found["month_usd"],
    )
    return found


def _say(tenant: str, key: int | None, found: Mapping[str, Any]) -> None:
    whose = tenant if key is None else f"Key {key} of {tenant}"
    words = [WORDS[name].format(value) for name, value in found.items() if value is not None]
    if words:
        typer.echo(f"{whose} may use {', '.join(words)}.")
    else:
        note(f"{whose} has no limits.")
