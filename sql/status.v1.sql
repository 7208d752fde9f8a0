create function router.status(p_tenant int, p_space smallint) returns table (
    policy text, backend router.backend, default_model text, models text[], memories int, seed_count int, needed int,
    ready boolean, task text, task_memories bigint, other_spaces int, graduated boolean, next_step text,
    space text, building text, built int
)
language plpgsql stable
as $$
declare
    v_space smallint;
    v_building smallint;
begin
    perform router._enter(p_tenant);
    select coalesce(t.space_id, p_space), t.next_space_id into v_space, v_building
    from router.tenants as t
    where t.tenant_id = p_tenant;
    return query
    select
        p.name, p.backend, d.name, c.models, n.memories, p.seed_count, s.needed,
        s.needed = 0 or p.backend <> 'knn', k.name, k.memories, n.others, n.graduated,
        case
            when p.backend <> 'knn' then format('policy %s needs no memory', p.name)
            when t.space_id is null and n.memories = 0 and n.others > 0 then format(
                '%s memories are of another embedder: run pgrouter reembed --tenant %L --to %s', n.others, t.name, e.name
            )
            when s.needed > 0 then format('teach %s more examples', s.needed)
            when u.name is not null then format('label model %s: it has no labels and is never chosen', u.name)
            else 'ready'
        end,
        e.name, b.name, n.built
    from router.tenants as t
    inner join router.policies as p on p.tenant_id = t.tenant_id
    inner join router.models as d on d.model_id = p.default_model
    left join router.spaces as e on e.space_id = v_space
    left join router.spaces as b on b.space_id = v_building
    cross join lateral (
        select
            coalesce(sum(m.memories) filter (where m.space_id = v_space), 0)::int as memories,
            coalesce(sum(m.memories) filter (where m.space_id = v_building), 0)::int as built,
            coalesce(
                sum(m.memories) filter (where m.space_id <> v_space and m.space_id is distinct from v_building), 0
            )::int as others,
            coalesce(bool_or(m.tier = 1) filter (where m.space_id = v_space), false) as graduated
        from router.memory_counts as m
        where m.tenant_id = p_tenant
    ) as n
    cross join lateral (select greatest(greatest(p.seed_count, 1) - n.memories, 0) as needed) as s
    cross join lateral (
        select coalesce(array_agg(m.name order by m.name), '{}') as models
        from router.policy_models as m0
        inner join router.models as m on m.model_id = m0.model_id and m.enabled
        where m0.tenant_id = p_tenant and m0.policy_id = p.policy_id
    ) as c
    left join lateral (
        select m.name
        from unnest(c.models || d.name) as m (name)
        inner join router.models as o on o.name = m.name
        where not exists (
            select from router.priors as r
            where r.tenant_id = p_tenant and r.space_id = v_space and r.task_id = 0 and r.model_id = o.model_id
                and r.labels > 0
        )
        order by m.name
        limit 1
    ) as u on true
    left join lateral (
        select g.name, max(r.labels)::bigint as memories
        from router.tasks as g
        inner join router.priors as r
            on r.tenant_id = p_tenant and r.space_id = v_space and r.task_id = g.task_id and r.labels > 0
        where g.tenant_id = p_tenant
        group by g.name
    ) as k on true
    where t.tenant_id = p_tenant
    order by p.name, k.name;
end;
$$;

comment on function router.status is
'How warm each policy of a tenant is in the space that serves it (p_space where it has none of its own), a row per task
tag (task NULL: none was used yet), and what to do next. task_memories counts the labels of the task''s best-labelled
model; building and built: for which other space the memory is being rewritten, and how many memories are.';
