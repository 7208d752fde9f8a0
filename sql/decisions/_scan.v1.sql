create function router_internal._scan(p_tenant int, p_space smallint, p_embedding halfvec, p_k int)
returns table (
    memory_id bigint, similarity double precision, task_id smallint, quality real[], completion_tokens real[]
)
language sql stable
begin atomic
    -- Two levels; otherwise the similarity would compute the distance of every scanned row a second time.
    select n.memory_id, 1 - n.distance, n.task_id, n.quality, n.completion_tokens
    from (
        select m.memory_id, m.embedding <=> p_embedding as distance, m.task_id, m.quality, m.completion_tokens
        from router.memories_small as m
        where m.tenant_id = p_tenant and m.space_id = p_space
        order by m.embedding <=> p_embedding
        limit p_k
    ) as n
    order by n.distance;
end;

comment on function router_internal._scan is
'Return the neighbours of a tenant that has not graduated, by the exact distance of each of its memories.';
