create function router.memory_edges(
    p_tenant int, p_space smallint, p_k int default 6, p_sample int default 2000, p_offset int default 0,
    p_limit int default null
) returns table (memory_id bigint, neighbour_id bigint, similarity real)
language plpgsql stable
as $$
declare
    v_tier smallint;
begin
    perform router_internal._enter(p_tenant);
    select c.tier into v_tier
    from router.memory_counts as c
    where c.tenant_id = p_tenant and c.space_id = p_space;
    return query
    select e.* from router_internal._edges(p_tenant, p_space, v_tier, p_k, p_sample, p_offset, p_limit) as e;
end;
$$;

comment on function router.memory_edges is
'Return the p_k nearest of the memories that memory_nodes returns, for each of them, by exact distances.
similarity: the cosine, -1 to 1. p_offset, p_limit: a page of the memories in the order of memory_nodes, since every
memory is compared with all; NULL: all. No embedding leaves the database.';
