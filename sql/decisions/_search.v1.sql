create function router_internal._search(p_tenant int, p_space smallint, p_embedding halfvec, p_k int)
returns table (
    memory_id bigint, similarity double precision, task_id smallint, quality real[], completion_tokens real[]
)
language sql stable
-- A generic plan would open, and lock, the partition of every graduated tenant. Here planning costs less than that.
set plan_cache_mode = force_custom_plan
-- Or who has the server's settings, as in psql, would get no more neighbours than hnsw.ef_search.
set "hnsw.iterative_scan" = relaxed_order
begin atomic
    -- Two levels, or the distance would be computed a second time for the similarity of every row scanned.
    select n.memory_id, 1 - n.distance, n.task_id, n.quality, n.completion_tokens
    from (
        select m.memory_id, m.embedding <=> p_embedding as distance, m.task_id, m.quality, m.completion_tokens
        from router.memories_large as m
        where m.tenant_id = p_tenant and m.space_id = p_space
        order by m.embedding <=> p_embedding
        limit p_k
    ) as n
    -- The sum keeps the planner from taking the order for given: an iterative scan's is only almost that.
    order by n.distance + 0;
end;

comment on function router_internal._search is
'neighbours for a graduated tenant: what its HNSW finds among hnsw.ef_search candidates, or more where p_k
is more; the proxy sets 200.';
