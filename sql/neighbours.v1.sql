create function router.neighbours(p_tenant int, p_space smallint, p_embedding halfvec, p_k int)
returns table (
    memory_id bigint, similarity double precision, task_id smallint, quality real[], completion_tokens real[]
)
language plpgsql stable
as $$
begin
    -- A statement for each tier: one over both would open every graduated tenant's partition for every small tenant.
    if exists (
        select from router.memory_counts as c
        where c.tenant_id = p_tenant and c.space_id = p_space and c.tier = 1
    ) then
        return query select n.* from router._search(p_tenant, p_space, p_embedding, p_k) as n;
    else
        return query select n.* from router._scan(p_tenant, p_space, p_embedding, p_k) as n;
    end if;
end;
$$;

comment on function router.neighbours is
'The k memories of a tenant nearest to an embedding, nearest first; similarity is the cosine, -1 to 1.';
