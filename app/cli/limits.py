"""`pgrouter limit`: sets, drops and lists the limits of tenants and keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ..store import limits as stored_limits
from ..store.database import Database
from .common import AsJson, note, show, tenant_of, with_database
from .tenants import TenantArgument

group = typer.Typer(no_args_is_help=True, help="Limit the requests, tokens and USD of tenants and keys.")

#: Each limit in words, by its column; its option is the column with dashes.
WORDS = {
    "requests_per_minute": "{:,} requests a minute",
    "tokens_per_minute": "{:,} tokens a minute",
    "day_usd": "{:g} USD a day",
    "month_usd": "{:g} USD a month",
}
_MOST = 2**31 - 1

KeyOption = Annotated[
    int | None,
    typer.Option(
        "--key",
        min=1,
        max=_MOST,
        help="Number of the key in `pgrouter key list`. Default: the tenant, all keys together.",
    ),
]
RateOption = Annotated[
    int | None, typer.Option(min=1, max=_MOST, help="Limit a minute, which is also the burst. Default: unchanged.")
]


def usd(value: float | None) -> float | None:
    """Check a budget from the command line. Raises `BadParameter` if it is out of range."""
    if value is not None and not 0 <= value <= 1e9:
        raise typer.BadParameter(f"{value:g} is outside 0 to 1,000,000,000 USD")
    return value


BudgetOption = Annotated[
    float | None, typer.Option(callback=usd, help="Budget in USD, by the UTC calendar; 0: free models only.")
]


@group.command("set")
def set_limits(
    tenant: TenantArgument,
    key: KeyOption = None,
    requests_per_minute: RateOption = None,
    tokens_per_minute: RateOption = None,
    day_usd: BudgetOption = None,
    month_usd: BudgetOption = None,
) -> None:
    """Set limits of a tenant, or of one of its keys; limits that are not given keep their values."""
    given = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "day_usd": day_usd,
        "month_usd": month_usd,
    }
    if all(value is None for value in given.values()):
        options = ", ".join(f"--{name.replace('_', '-')}" for name in WORDS)
        raise typer.BadParameter(f"no limit is given; give one of {options}")
    changes = {name: value for name, value in given.items() if value is not None}
    _report(tenant, key, with_database(lambda db: _change(db, tenant, key, changes)))


@group.command("drop")
def drop_limits(
    tenant: TenantArgument,
    key: KeyOption = None,
    requests_per_minute: Annotated[
        bool, typer.Option("--requests-per-minute", help="This limit. Default: all limits, if none is named.")
    ] = False,
    tokens_per_minute: Annotated[bool, typer.Option("--tokens-per-minute", help="This limit.")] = False,
    day_usd: Annotated[bool, typer.Option("--day-usd", help="This limit.")] = False,
    month_usd: Annotated[bool, typer.Option("--month-usd", help="This limit.")] = False,
) -> None:
    """Remove limits of a tenant, or of one of its keys."""
    named = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "day_usd": day_usd,
        "month_usd": month_usd,
    }
    gone = {name: None for name, flag in named.items() if flag or not any(named.values())}
    _report(tenant, key, with_database(lambda db: _change(db, tenant, key, gone)))


@group.command("list")
def list_limits(tenant: TenantArgument, as_json: AsJson = False) -> None:
    """List the limits of a tenant and its keys: spent, reserved by requests under way, and left."""

    async def work(db: Database) -> list[Any]:
        return list(await stored_limits.list_limits(db, (await tenant_of(db, tenant)).tenant_id))

    show(
        [{**row, "key": row["key"] if row["key_id"] is not None else "(all)"} for row in with_database(work)],
        as_json=as_json,
        columns=(
            "key_id", "key", "requests_per_minute", "requests_left", "tokens_per_minute", "tokens_left", "day_usd",
            "day_spent_usd", "day_left_usd", "month_usd", "month_spent_usd", "month_left_usd", "reserved_usd",
        ),
        empty=f"{tenant} has no limits: set some with `pgrouter limit set`.",
    )  # fmt: skip


async def _change(db: Database, tenant: str, key: int | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    tenant_id = (await tenant_of(db, tenant)).tenant_id
    rows = {row["key_id"]: row for row in await stored_limits.list_limits(db, tenant_id)}
    found = {name: rows[key][name] if key in rows else None for name in WORDS} | dict(changes)
    await stored_limits.put_limits(
        db,
        tenant_id,
        key,
        requests=found["requests_per_minute"],
        tokens=found["tokens_per_minute"],
        day_usd=found["day_usd"],
        month_usd=found["month_usd"],
    )
    return found


def _report(tenant: str, key: int | None, found: Mapping[str, Any]) -> None:
    whose = tenant if key is None else f"Key {key} of {tenant}"
    words = [WORDS[name].format(value) for name, value in found.items() if value is not None]
    if words:
        typer.echo(f"{whose} may use {', '.join(words)}.")
    else:
        note(f"{whose} has no limits.")
