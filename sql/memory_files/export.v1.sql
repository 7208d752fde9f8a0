create function router.export(p_tenant int) returns table (
    source text, task text, prompt text, models text[], scores real[], completion_tokens real[]
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select x.source, k.name, x.prompt, l.models, l.scores, l.completion_tokens
    from router.memories as m
    inner join router.memory_texts as x on x.tenant_id = p_tenant and x.memory_id = m.memory_id
    left join router.tasks as k on k.tenant_id = p_tenant and k.task_id = m.task_id
    cross join lateral router_internal._labels(m.quality, m.completion_tokens) as l
    where
        m.tenant_id = p_tenant
        -- Spaces that are being built, or stale, hold copies.
        and m.space_id is distinct from (select t.next_space_id from router.tenants as t where t.tenant_id = p_tenant)
        and not exists (
            select
            from router.tenants as t
            inner join router.memory_texts as y
                on y.tenant_id = p_tenant and y.space_id = t.space_id and y.prompt_hash = x.prompt_hash
                    and y.source = x.source
            where t.tenant_id = p_tenant and t.space_id <> x.space_id
        )
    order by m.created_at, m.memory_id;
end;
$$;

comment on function router.export is
'Return all memories of a tenant as of one moment, oldest first, with labels by model name.
Taught again in this order, the same memories are evicted first. The server spools the rows to disk, so that neither
side holds all of them in memory.';
