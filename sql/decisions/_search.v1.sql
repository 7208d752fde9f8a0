create function router_internal._search(p_tenant int, p_space smallint, p_embedding halfvec, p_k int)
returns table (
    memory_id bigint, similarity double precision, task_id smallint, quality real[], completion_tokens real[]
)
language sql stable
-- A generic plan would open and lock the partition of every graduated tenant. Planning each call costs less.
set plan_cache_mode = force_custom_plan
-- Without it, a session with the server's defaults (psql) gets at most hnsw.ef_search neighbours.
set "hnsw.iterative_scan" = relaxed_order
begin atomic
    -- Two levels; otherwise the similarity would compute the distance of every scanned row a second time.
    select n.memory_id, 1 - n.distance, n.task_id, n.quality, n.completion_tokens
    from (
        select m.memory_id, m.embedding <=> p_embedding as distance, m.task_id, m.quality, m.completion_tokens
        from router.memories_large as m
        where m.tenant_id = p_tenant and m.space_id = p_space
        order by m.embedding <=> p_embedding
        limit p_k
    ) as n
    -- An iterative scan is only almost in order; `+ 0` keeps the planner from skipping this sort.
    order by n.distance + 0;
end;

comment on function router_internal._search is
'Return the neighbours of a graduated tenant that its HNSW index finds.
The index compares hnsw.ef_search candidates (the proxy sets 200), and more if p_k is larger.';
