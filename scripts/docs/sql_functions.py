"""Writes the tables of functions and views in sql/README.md from the catalogue of a migrated database.

There is a table for each folder of sql/, between `<!-- FOLDER: made by make docs -->` and `<!-- end of FOLDER -->`: the
public functions, then the helpers, each with the first sentence of its COMMENT.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from scripts.docs.tables import code, table
from scripts.support.scratch import scratch_database

ROOT = Path(__file__).parents[2]
SQL = ROOT / "sql"
README = SQL / "README.md"
#: Maximum number of columns of a result that are named; of more, the table has the first and the number of the rest.
SHOWN = 6
VOLATILITY = {b"i": "immutable", b"s": "stable", b"v": "volatile"}

FUNCTIONS = """
select p.proname as name, p.proargnames as names, p.proargmodes as modes, p.pronargs as count,
    p.pronargdefaults as defaults, pg_get_function_result(p.oid) as result, p.provolatile as volatility,
    p.prosecdef as as_owner, obj_description(p.oid, 'pg_proc') as comment,
    array(
        select replace(r.role, 'router_', '') from unnest('{router_app,router_reader}'::text[]) as r (role)
        where has_function_privilege(r.role, p.oid, 'execute')
    ) as callers
from pg_proc as p
where p.pronamespace::regnamespace::text in ('router', 'router_internal')
order by p.proname
"""
VIEWS = """
select c.relname as name, obj_description(c.oid, 'pg_class') as comment
from pg_class as c
where c.relnamespace = 'router'::regnamespace and c.relkind = 'v'
order by c.relname
"""


@dataclass(frozen=True)
class Function:
    """A row of a table of functions."""

    name: str
    #: Names without the prefix `p_`; optional ones in brackets.
    arguments: str
    returns: str
    kind: str
    comment: str

    @property
    def helper(self) -> bool:
        """Whether only other functions call it."""
        return self.name.startswith("_")


def first_sentence(comment: str) -> str:
    """Return the first line of a COMMENT, which is a sentence."""
    return comment.partition("\n")[0]


def errors_of(comment: str) -> str:
    """Return the SQLSTATEs that a COMMENT names."""
    return ", ".join(sorted(set(re.findall(r"\b(?:RT\d{3}|\d{2}[0-9A-Z]{3})\b", comment))))


def function_of(row: asyncpg.Record) -> Function:
    """Convert a row of the catalogue to a row of the table."""
    names = [name.removeprefix("p_") for name in row["names"] or ()]
    given, optional = names[: row["count"] - row["defaults"]], names[row["count"] - row["defaults"] : row["count"]]
    arguments = ", ".join([*given, *([f"[{', '.join(optional)}]"] if optional else [])])
    columns = [name for name, mode in zip(names, row["modes"] or (), strict=False) if mode == b"t"]
    kind = VOLATILITY[row["volatility"]] + (", as owner" if row["as_owner"] else "")
    return Function(row["name"], arguments, returns_of(row["result"], columns), kind, row["comment"])


def returns_of(result: str, columns: Sequence[str]) -> str:
    """Return the type of a result, or the columns of its rows."""
    if not columns:
        return result.lower().replace("router_internal.", "").replace("router.", "").replace("void", "")
    more = len(columns) - SHOWN
    return ", ".join(columns[:SHOWN]) + (f" and {more} more" if more > 0 else "")


async def catalogue(dsn: str) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
    """Return the functions and views of the database of `dsn`."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(FUNCTIONS), await connection.fetch(VIEWS)
    finally:
        await connection.close()


def section(functions: Sequence[asyncpg.Record], views: Sequence[asyncpg.Record]) -> str:
    """Return the tables of one folder."""
    made = [(function_of(row), row) for row in functions]
    parts = []
    if views:
        parts.append(
            table(("view", "what it shows"), ((f"`{v['name']}`", first_sentence(v["comment"])) for v in views))
        )
    called = [
        (
            code(f"{f.name}({f.arguments})"), first_sentence(f.comment), f.returns, f.kind,
            ", ".join(row["callers"]) or "owner", errors_of(f.comment),
        )
        for f, row in made if not f.helper
    ]  # fmt: skip
    if called:
        parts.append(table(("function", "what it does", "returns", "kind", "callers", "errors"), called))
    helpers = [(code(f.name), first_sentence(f.comment), f.kind) for f, _ in made if f.helper]
    if helpers:
        parts.append(table(("helper", "what it does", "kind"), helpers))
    return "\n\n".join(parts) + "\n"


def written(text: str, functions: Sequence[asyncpg.Record], views: Sequence[asyncpg.Record]) -> str:
    """Return the document with new tables. Raises `ValueError` if it has no place for a folder."""
    folders = {path.name.partition(".")[0]: path.parent.name for path in SQL.rglob("*.sql")}
    for folder in sorted(set(folders.values())):
        begin, end = f"<!-- {folder}: made by make docs -->\n", f"<!-- end of {folder} -->\n"
        head, found, rest = text.partition(begin)
        _, ended, tail = rest.partition(end)
        if not found or not ended:
            raise ValueError(f"sql/README.md has no {begin.strip()} with {end.strip()} behind it")
        content = section(
            [row for row in functions if folders[row["name"]] == folder],
            [row for row in views if folders[row["name"]] == folder],
        )
        text = f"{head}{begin}{content}{end}{tail}"
    return text


def main() -> None:
    """Rewrite the tables of sql/README.md."""
    with scratch_database() as dsn:
        functions, views = asyncio.run(catalogue(dsn))
    README.write_text(written(README.read_text(encoding="utf-8"), functions, views), encoding="utf-8")


if __name__ == "__main__":
    main()
