create function router_internal._schema_facts(p_definitions boolean)
returns table (kind text, name text, detail text, definition text)
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
    with relations as materialized (
        select c.oid, c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
            format('%I.%I', n.nspname, c.relname) as name
        from pg_catalog.pg_class as c
        inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where
            n.nspname in ('router', 'router_internal')
            -- The partitions that maintenance makes.
            and c.relname !~ '^(decisions_[0-9]{8}|memories_large_[0-9])'
    ),
    functions as materialized (
        select p.oid, p.proowner, p.proacl, p.prosecdef, p.proconfig,
            format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as name
        from pg_catalog.pg_proc as p
        inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        where n.nspname in ('router', 'router_internal')
    ),
    acls as (
        select format('schema %I', n.nspname) as name, null as columns,
            coalesce(n.nspacl, acldefault('n', n.nspowner)) as acl
        from pg_catalog.pg_namespace as n
        where n.nspname in ('router', 'router_internal')
        union all
        select format('%s %s', case r.relkind when 'S' then 'sequence' else 'table' end, r.name), null,
            coalesce(r.relacl, acldefault(case r.relkind when 'S' then 's'::"char" else 'r'::"char" end, r.relowner))
        from relations as r
        where r.relkind in ('r', 'p', 'v', 'S')
        union all
        select format('table %s', r.name), format(' (%I)', a.attname), a.attacl
        from relations as r
        inner join pg_catalog.pg_attribute as a on a.attrelid = r.oid and a.attacl is not null
        union all
        select format('function %s', f.name), null, coalesce(f.proacl, acldefault('f', f.proowner))
        from functions as f
    )
    select 'extension', e.extname::text, format('in schema %I', n.nspname), null::text
    from pg_catalog.pg_extension as e
    inner join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'vector'
    union all
    select case r.relkind when 'S' then 'sequence' when 'v' then 'view' when 'i' then 'index' when 'I' then 'index'
        when 'c' then 'type' else 'table' end, r.name, '', null
    from relations as r
    union all
    select 'type', format('%I.%I', n.nspname, t.typname), '', null
    from pg_catalog.pg_type as t
    inner join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
    where n.nspname in ('router', 'router_internal') and t.typtype = 'e'
    union all
    select 'constraint', format('%I on %s', c.conname, r.name), '', null
    from pg_catalog.pg_constraint as c
    inner join relations as r on r.oid = c.conrelid
    where c.contype in ('c', 'f', 'p', 'u')
    union all
    select 'row security', r.name,
        concat_ws(
            ' ', case when r.relrowsecurity then 'enabled' end, case when r.relforcerowsecurity then 'forced' end
        ),
        format('alter table %s enable row level security, force row level security', r.name)
    from relations as r
    where r.relrowsecurity or r.relforcerowsecurity
    union all
    select 'policy', format('%I on %s', p.polname, r.name),
        format(
            'for %s to %s', case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                when 'd' then 'delete' else 'all' end, t.roles
        ),
        case when p_definitions then format(
            'create policy %I on %s for %s to %s%s%s', p.polname, r.name,
            case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                else 'all' end,
            t.roles, ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
            ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'
        ) end
    from pg_catalog.pg_policy as p
    inner join relations as r on r.oid = p.polrelid
    cross join lateral (
        select string_agg(
            case when o.role = r.relowner then '$OWNER' when o.role = 0 then 'public'
                else o.role::regrole::text end, ', ' order by o.role = r.relowner, o.role::regrole::text
        ) as roles
        from unnest(p.polroles) as o (role)
    ) as t
    union all
    select 'trigger', format('%I on %s', g.tgname, r.name), case when g.tgenabled = 'D' then 'disabled' else '' end,
        case when p_definitions then pg_get_triggerdef(g.oid) end
    from pg_catalog.pg_trigger as g
    inner join relations as r on r.oid = g.tgrelid
    where not g.tgisinternal
    union all
    select 'function', f.name,
        concat_ws(' ', case when f.prosecdef then 'as owner' end, 'with ' || array_to_string(f.proconfig, ', ')),
        case when p_definitions then pg_get_functiondef(f.oid) end
    from functions as f
    union all
    select 'grant', format(
        '%s%s on %s to %s', lower(a.privilege_type), g.columns, g.name,
        case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
    ), '', null
    from acls as g
    cross join lateral aclexplode(g.acl) as a
    where
        a.grantee = 0
        or a.grantee in (select o.oid from pg_catalog.pg_roles as o where o.rolname in ('router_app', 'router_reader'));
end;

comment on function router_internal._schema_facts is
'List what the schemas consist of, without the partitions that maintenance makes.
Grants are those of router_app, router_reader and public. $OWNER stands for the owner of a table. p_definitions: with
the statement that makes a policy, trigger or function.';
