create function router_internal._edges(
    p_tenant int, p_space smallint, p_tier smallint, p_k int, p_sample int, p_offset int, p_limit int
) returns table (memory_id bigint, neighbour_id bigint, similarity real)
language sql stable
-- A generic plan would open and lock the partition of every graduated tenant.
set plan_cache_mode = force_custom_plan
begin atomic
    with chosen as materialized (
        select s.place, m.memory_id, m.embedding
        from router_internal._memory_sample(p_tenant, p_space, p_sample) as s
        inner join router.memories as m
            on m.memory_id = s.memory_id and m.tenant_id = p_tenant and m.tier = p_tier and m.space_id = p_space
    )
    select c.memory_id, n.memory_id, (1 - n.distance)::real
    from chosen as c
    cross join lateral (
        select o.memory_id, c.embedding <=> o.embedding as distance
        from chosen as o
        where o.memory_id <> c.memory_id
        order by 2, 1
        limit p_k
    ) as n
    where c.place > p_offset and (p_limit is null or c.place <= p_offset::bigint + p_limit)
    order by c.place, n.distance, n.memory_id;
end;

comment on function router_internal._edges is
'Return the same rows as memory_edges, if the tenant was entered and the tier of its memory is known.';
