create function router.check_schema() returns table (problem text, kind text, name text, definition text)
language sql stable
begin atomic
    with found as materialized (select f.kind, f.name, f.detail from router_internal._schema_facts(false) as f),
    owner as (
        select c.relowner::regrole::text as name
        from pg_catalog.pg_class as c
        where c.oid = to_regclass('router.tenants')
    ),
    -- What the migrations made; other objects in these schemas are their owner's affair.
    ours as (
        select case when e.kind in ('view', 'index', 'type') then 'table' else e.kind end as kind, e.name
        from router_internal.schema_facts as e
        where e.kind in ('table', 'view', 'index', 'type', 'sequence', 'function')
    ),
    objects as (
        select case when c.relkind = 'S' then 'sequence' else 'table' end as kind,
            format('%I.%I', n.nspname, c.relname) as name, c.relowner as role,
            -- The partitions that maintenance makes.
            c.relname ~ '^(decisions_[0-9]{8}|memories_large_[0-9])' as maintained
        from pg_catalog.pg_class as c
        inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where n.nspname in ('router', 'router_internal')
        union all
        select 'function', format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
            p.proowner, false
        from pg_catalog.pg_proc as p
        inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        where n.nspname in ('router', 'router_internal')
        union all
        select 'schema', n.nspname::text, n.nspowner, true
        from pg_catalog.pg_namespace as n
        where n.nspname in ('router', 'router_internal')
    ),
    owned as (
        select o.role
        from objects as o
        where o.maintained or exists (select from ours as e where e.kind = o.kind and e.name = o.name)
    )
    select
        format('%s objects belong to %s instead of %s', count(*), o.role::regrole, w.name),
        'owner', o.role::regrole::text, null::text
    from owned as o
    cross join owner as w
    where o.role::regrole::text <> w.name
    group by o.role, w.name
    union all
    (
        select
            format(
                case when f.name is null then '%1$s %2$s is missing' else '%1$s %2$s is "%4$s" instead of "%3$s"' end,
                e.kind, e.name, e.detail, f.detail
            ),
            e.kind, e.name, e.definition
        from router_internal.schema_facts as e
        left join found as f on f.kind = e.kind and f.name = e.name
        where f.name is null or f.detail <> e.detail
        order by array_position('{extension,type,table,sequence,function}'::text[], e.kind), e.kind, e.name
    )
    union all
    select format('grant %s is too much', f.name), 'excess', f.name, null
    from found as f
    where
        f.kind = 'grant' and f.name like '% to public'
        and (
            f.name like '% on schema %'
            or substring(f.name from ' on (.*) to public$') in (select e.kind || ' ' || e.name from ours as e)
        )
        and exists (select from router_internal.schema_facts)
        and not exists (select from router_internal.schema_facts as e where e.kind = 'grant' and e.name = f.name);
end;

comment on function router.check_schema is
'List how the schemas differ from what the last migration made, for example after a restore; no row if they do not.
kind: owner, excess (a grant to public), or that of _schema_facts; definition: the statement that makes a missing policy,
trigger or function, with $OWNER for the owner of the tables. `pgrouter migrate` repairs what it can. Objects that no
migration made are left out.';
