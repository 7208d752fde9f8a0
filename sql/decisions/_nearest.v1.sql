create function router_internal._nearest(p_tenant int, p_space smallint, p_tier smallint, p_embedding halfvec, p_k int)
returns table (
    memory_id bigint, similarity double precision, task_id smallint, quality real[], completion_tokens real[]
)
language sql stable
begin atomic
    -- Only one of the two branches runs. A single scan of both tiers would open every graduated tenant's partition.
    select n.*
    from router_internal._scan(p_tenant, p_space, p_embedding, p_k) as n
    where p_tier = 0
    union all
    select n.*
    from router_internal._search(p_tenant, p_space, p_embedding, p_k) as n
    where p_tier = 1;
end;

comment on function router_internal._nearest is
'Return the same rows as neighbours, if the caller knows the tier of the tenant''s memory (memory_counts.tier).';
