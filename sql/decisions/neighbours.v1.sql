create function router.neighbours(p_tenant int, p_space smallint, p_embedding halfvec, p_k int)
returns table (
    memory_id bigint, similarity double precision, task_id smallint, quality real[], completion_tokens real[]
)
language sql stable
begin atomic
    -- Only one of the two branches runs. A single scan of both tiers would open every graduated tenant's partition.
    select n.*
    from router_internal._scan(p_tenant, p_space, p_embedding, p_k) as n
    where not exists (
        select from router.memory_counts as c
        where c.tenant_id = p_tenant and c.space_id = p_space and c.tier = 1
    )
    union all
    select n.*
    from router_internal._search(p_tenant, p_space, p_embedding, p_k) as n
    where exists (
        select from router.memory_counts as c
        where c.tenant_id = p_tenant and c.space_id = p_space and c.tier = 1
    );
end;

comment on function router.neighbours is
'Return the k memories of a tenant that are nearest to an embedding, nearest first.
similarity: the cosine, -1 to 1. The tenant must have been entered.';
