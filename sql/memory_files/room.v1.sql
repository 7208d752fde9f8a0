create function router.room(p_tenant int) returns table (memories int, memory_cap int)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select coalesce(sum(c.memories), 0)::int, t.memory_cap
    from router.tenants as t
    left join router.memory_counts as c
        on c.tenant_id = p_tenant and c.space_id is distinct from t.next_space_id
    where t.tenant_id = p_tenant
    group by t.memory_cap;
end;
$$;

comment on function router.room is
'Return how many memories a tenant has, and how many it keeps: an import of more would evict its own first ones.';
