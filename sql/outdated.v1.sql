create function router.outdated(
    p_tenant int, p_from smallint, p_to smallint, p_after bigint default 0, p_limit int default null
) returns table (memory_id bigint, prompt text)
language plpgsql stable
as $$
begin
    perform router._enter(p_tenant);
    return query
    select x.memory_id, x.prompt
    from router.memory_texts as x
    inner join router.memories as m
        on m.tenant_id = p_tenant and m.space_id = p_from and m.memory_id = x.memory_id
    where
        x.tenant_id = p_tenant
        and x.space_id = p_from
        and x.memory_id > p_after
        and not exists (
            select
            from router.memory_texts as y
            inner join router.memories as n
                on n.tenant_id = p_tenant and n.space_id = p_to and n.memory_id = y.memory_id
            where
                y.tenant_id = p_tenant
                and y.space_id = p_to
                and y.prompt_hash = x.prompt_hash
                and y.source = x.source
                and n.created_at >= m.created_at
        )
    order by x.memory_id
    limit p_limit;
end;
$$;

comment on function router.outdated is
'Memories of one space of a tenant that another space does not have, or has as they were before they were taught again;
in order of their number, from after p_after on. Without a prompt a memory cannot be rewritten.';
