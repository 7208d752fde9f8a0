create function router_internal._memory_sample(p_tenant int, p_space smallint, p_sample int)
returns table (memory_id bigint, place bigint)
language sql stable
begin atomic
    select s.memory_id, row_number() over (order by s.hash, s.memory_id)
    from (
        select x.memory_id, hashint8extended(x.memory_id, 0) as hash
        from router.memory_texts as x
        where x.tenant_id = p_tenant and x.space_id = p_space
        order by 2, 1
        limit p_sample
    ) as s;
end;

comment on function router_internal._memory_sample is
'Return up to p_sample memories of a tenant in a space in the order of a hash of their numbers; place counts from 1.
The choice is pseudo-random and always the same; what is taught or forgotten changes it by as many memories.';
