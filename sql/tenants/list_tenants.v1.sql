create function router.list_tenants(p_name text default null) returns table (
    tenant_id int,
    name text,
    memory_cap int,
    memories bigint,
    keys bigint,
    policies bigint,
    graduated boolean,
    store_prompts boolean,
    route_explicit boolean,
    shared boolean,
    base text,
    default_provider text,
    space_id smallint,
    space text,
    building text,
    created_at timestamptz
)
language plpgsql stable
as $$
declare
    v_tenant router.tenants;
begin
    -- One tenant after the other, because a role other than the owner sees the rows of one at a time.
    for v_tenant in
        select t.* from router.tenants as t where p_name is null or t.name = p_name order by t.name
    loop
        perform router_internal._enter(v_tenant.tenant_id);
        return query
        select
            v_tenant.tenant_id,
            v_tenant.name,
            v_tenant.memory_cap,
            (
                select coalesce(sum(c.memories), 0)
                from router.memory_counts as c
                where
                    c.tenant_id = v_tenant.tenant_id
                    and c.space_id is distinct from v_tenant.next_space_id
            ),
            (
                select count(*)
                from router.api_keys as k
                where k.tenant_id = v_tenant.tenant_id and k.revoked_at is null
            ),
            (select count(*) from router.policies as p where p.tenant_id = v_tenant.tenant_id),
            exists (select from router.memory_counts as c where c.tenant_id = v_tenant.tenant_id and c.tier = 1),
            v_tenant.store_prompts,
            v_tenant.route_explicit,
            v_tenant.shared,
            (select b.name from router.tenants as b where b.tenant_id = v_tenant.base_id),
            (select p.name from router.providers as p where p.provider_id = v_tenant.default_provider),
            v_tenant.space_id,
            (select s.name from router.spaces as s where s.space_id = v_tenant.space_id),
            (select s.name from router.spaces as s where s.space_id = v_tenant.next_space_id),
            v_tenant.created_at;
    end loop;
end;
$$;

comment on function router.list_tenants is
'List all tenants by name, or the one named p_name, with their settings and sizes.
memories: of all spaces, except one that is being built; keys: those not revoked.';
