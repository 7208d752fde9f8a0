create function router.list_readers() returns table (role text, every boolean, tenants text[], member boolean)
language sql stable
begin atomic
    select
        coalesce(r.rolname, 'dropped role ' || k.role::oid::text),
        coalesce(g.every, false),
        coalesce(g.tenants, '{}'),
        coalesce(pg_has_role(r.oid, 'router_reader', 'usage'), false)
    from (
        select a.role::oid from router.reader_grants as a
        union
        select m.member
        from pg_catalog.pg_auth_members as m
        inner join pg_catalog.pg_roles as o on o.oid = m.roleid and o.rolname = 'router_reader'
    ) as k (role)
    left join pg_catalog.pg_roles as r on r.oid = k.role
    left join lateral (
        select
            bool_or(a.tenant_id is null) as every,
            array_agg(t.name order by t.name) filter (where t.name is not null) as tenants
        from router.reader_grants as a
        left join router.tenants as t on t.tenant_id = a.tenant_id
        where a.role = k.role
    ) as g on true
    where g.every is not null or not pg_has_role(r.oid, (
        select c.relowner from pg_catalog.pg_class as c where c.oid = 'router.tenants'::regclass
    ), 'member')
    order by 1;
end;

comment on function router.list_readers is
'List the roles that were granted tenants or are members of router_reader, with the tenants granted to each itself.
Grants to groups that a role belongs to are not repeated. member false: the role is no member of router_reader, so its
grants have no effect.';
