create function router.outdated(
    p_tenant int, p_from smallint, p_to smallint, p_after bigint default 0, p_limit int default null
) returns table (memory_id bigint, stored boolean)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    -- Full joins of whole spaces are always hashed or merged. A nested loop on a table that is being filled may use the
    -- wrong index and take hours.
    with texts as materialized (
        select x.memory_id, x.space_id, x.prompt_hash, x.source, x.prompt is not null as stored
        from router.memory_texts as x
        where x.tenant_id = p_tenant and x.space_id in (p_from, p_to)
    ),
    dates as materialized (
        select m.memory_id, m.created_at
        from router.memories as m
        where m.tenant_id = p_tenant and m.space_id in (p_from, p_to)
    ),
    dated as materialized (
        select x.memory_id, x.space_id, x.prompt_hash, x.source, x.stored, d.created_at
        from texts as x
        full join dates as d on d.memory_id = x.memory_id
    )
    select o.memory_id, o.stored
    from (select * from dated where space_id = p_from) as o
    full join (select * from dated where space_id = p_to) as n on n.prompt_hash = o.prompt_hash and n.source = o.source
    where coalesce(n.created_at < o.created_at, n.created_at is null) and coalesce(o.memory_id, 0) > p_after
    order by o.memory_id
    limit p_limit;
end;
$$;

comment on function router.outdated is
'Return the memories of one space that another space lacks, or holds in a version from before they were taught again.
By number, above p_after. stored: whether the prompt is stored; without it a memory cannot be rewritten.';
