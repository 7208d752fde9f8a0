create function router.spaces_of(p_tenant int) returns table (
    space_id smallint, space text, memories int, graduated boolean, serves boolean, building boolean
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        s.space_id, s.name, coalesce(c.memories, 0), coalesce(c.tier = 1, false),
        (s.space_id = coalesce(
            t.space_id,
            (
                select f.space_id from router.memory_counts as f
                where f.tenant_id = p_tenant and f.memories > 0
                order by f.memories desc, f.space_id
                limit 1
            )
        )) is true as serves,
        (s.space_id = t.next_space_id) is true as building
    from router.tenants as t
    cross join router.spaces as s
    left join router.memory_counts as c on c.tenant_id = p_tenant and c.space_id = s.space_id
    where
        t.tenant_id = p_tenant
        and (c.memories > 0 or c.tier = 1 or s.space_id = t.space_id or s.space_id = t.next_space_id)
    order by s.space_id;
end;
$$;

comment on function router.spaces_of is
'Return the embedding spaces in which a tenant has memories, and which one serves it or is being built.
If no space was chosen yet, the fullest serves. Spaces that neither serve nor are being built are stale.';
