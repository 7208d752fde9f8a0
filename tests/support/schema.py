"""A database's schema as text, and migrations of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg

from tests.support.databases import blocking

ROOT = Path(__file__).parents[2]
# One line of text for everything that a migration makes; the same lines are the same schema.
CATALOGUE = """
with relations as (
    select c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relacl, c.relpartbound
    from pg_class as c where c.relnamespace::regnamespace::text like 'router%'
)
select format('relation %s %s %s %s %s %s %s %s', relname, relkind, relrowsecurity, relforcerowsecurity, reloptions,
    pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid), obj_description(oid, 'pg_class')) as line from relations
union all
select format('view %s %s', relname, pg_get_viewdef(oid)) from relations where relkind = 'v'
union all
select format('column %s.%s %s %s %s %s %s %s %s', r.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attidentity, a.attstorage, pg_get_expr(d.adbin, d.adrelid), col_description(r.oid, a.attnum))
from relations as r
join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0
left join pg_attrdef as d on d.adrelid = r.oid and d.adnum = a.attnum
union all
select format('grant %s %s %s %s', r.relname, g.grantee::regrole, g.privilege_type, g.is_grantable)
from relations as r cross join lateral aclexplode(r.relacl) as g
union all
select format('column grant %s.%s %s %s', r.relname, a.attname, g.grantee::regrole, g.privilege_type)
from relations as r join pg_attribute as a on a.attrelid = r.oid cross join lateral aclexplode(a.attacl) as g
union all
select format('constraint %s %s %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
from pg_constraint as c where c.connamespace::regnamespace::text like 'router%'
union all
select format('index %s', pg_get_indexdef(oid)) from relations where relkind in ('i', 'I')
union all
select format('trigger %s', pg_get_triggerdef(t.oid))
from pg_trigger as t join relations as r on r.oid = t.tgrelid where not t.tgisinternal
union all
select format('policy %s', p) from pg_policies as p where p.schemaname in ('router', 'router_internal')
union all
select format('function %s %s', pg_get_functiondef(p.oid), obj_description(p.oid, 'pg_proc'))
from pg_proc as p where p.pronamespace::regnamespace::text like 'router%'
union all
select format('function grant %s %s %s %s', p.pronamespace::regnamespace, p.proname, g.grantee::regrole,
    g.privilege_type)
from pg_proc as p cross join lateral aclexplode(p.proacl) as g
where p.pronamespace::regnamespace::text like 'router%'
union all
select format('type %s %s %s', t.typname, obj_description(t.oid, 'pg_type'),
    (select string_agg(e.enumlabel, ' ' order by e.enumsortorder) from pg_enum as e where e.enumtypid = t.oid))
from pg_type as t where t.typnamespace::regnamespace::text like 'router%'
union all
select format('schema %s %s %s', n.nspname, obj_description(n.oid, 'pg_namespace'), g)
from pg_namespace as n cross join lateral aclexplode(n.nspacl) as g where n.nspname in ('router', 'router_internal')
union all
select format('extension %s', extname) from pg_extension
order by line
"""


def fetch(dsn: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
    """Return the rows of one query on a connection of its own."""

    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(dsn)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows
        finally:
            await connection.close()

    return blocking(run)


def catalog(dsn: str) -> list[str]:
    """Return the schema as lines."""
    return [row["line"] for row in fetch(dsn, CATALOGUE)]
