create function router.recall(
    p_tenant int, p_search text default null, p_after bigint default 0, p_limit int default 100,
    p_task text default null, p_source text default null, p_memories bigint[] default null
) returns table (
    memory_id bigint, space text, source text, task text, prompt text, models text[], scores real[],
    completion_tokens real[], taught_at timestamptz
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        x.memory_id, s.name, x.source, k.name, x.prompt, l.models, l.scores, l.completion_tokens, m.created_at
    from router.memory_texts as x
    inner join router.memories as m on m.memory_id = x.memory_id and m.tenant_id = p_tenant
    inner join router.spaces as s on s.space_id = x.space_id
    left join router.tasks as k on k.tenant_id = p_tenant and k.task_id = m.task_id
    cross join lateral router_internal._labels(m.quality, m.completion_tokens) as l
    where
        x.tenant_id = p_tenant
        and x.memory_id > p_after
        and (p_search is null or x.prompt ilike '%' || replace(replace(replace(
            p_search, '\', '\\'), '%', '\%'), '_', '\_') || '%')
        and (p_task is null or k.name = p_task)
        and (p_source is null or x.source = p_source)
        and (p_memories is null or x.memory_id = any(p_memories))
        and x.space_id is distinct from (select t.next_space_id from router.tenants as t where t.tenant_id = p_tenant)
        and not exists (
            select
            from router.tenants as t
            inner join router.memory_texts as y
                on y.tenant_id = p_tenant and y.space_id = t.space_id and y.prompt_hash = x.prompt_hash
                    and y.source = x.source
            where t.tenant_id = p_tenant and t.space_id <> x.space_id
        )
    order by x.memory_id
    limit p_limit;
end;
$$;

comment on function router.recall is
'Return memories of a tenant by number, with their labels by model name.
p_search: only prompts that contain this text. p_after: only numbers above this one. p_limit: how many at most. p_task,
p_source, p_memories: only memories with this task tag, from this source, with one of these numbers; NULL: all. Copies in
other spaces are not repeated.';
