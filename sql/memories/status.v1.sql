create function router.status(p_tenant int, p_space smallint) returns table (
    policy text, backend router.backend, default_model text, models text[], memories int, seed_count int, needed int,
    ready boolean, task text, task_memories bigint, other_spaces int, graduated boolean, next_step text,
    space text, building text, built int, unlabelled text[], missing text[], base text
)
language plpgsql stable
as $$
declare
    v_space smallint;
    v_building smallint;
    v_base_id int;
    v_base text;
    v_base_memories int := 0;
begin
    perform router_internal._enter(p_tenant);
    select coalesce(t.space_id, p_space), t.next_space_id, t.base_id into v_space, v_building, v_base_id
    from router.tenants as t
    where t.tenant_id = p_tenant;
    if v_base_id is not null then
        perform router_internal._enter(v_base_id);
        select t.name, c.memories into v_base, v_base_memories
        from router.tenants as t
        inner join router.memory_counts as c on c.tenant_id = v_base_id and c.space_id = v_space
        where t.tenant_id = v_base_id and t.shared;
        perform router_internal._enter(p_tenant);
    end if;
    return query
    select
        p.name, p.backend, d.name, c.models, n.memories, p.seed_count, s.needed,
        s.needed = 0 or s.based or p.backend <> 'knn', k.name, k.memories, n.others, n.graduated,
        case
            when p.backend <> 'knn' then format('policy %s needs no memory', p.name)
            when t.space_id is null and n.memories = 0 and n.others > 0 then format(
                '%s memories are of another embedder: run pgrouter reembed --tenant %L --to %s', n.others, t.name, e.name
            )
            when s.based then format('routed by the shared memory of %s; teach %s more examples of its own', v_base, s.needed)
            when s.needed > 0 then format('teach %s more examples', s.needed)
            when u.models <> '{}' then format('label model %s: it has no labels and %s', u.models[1], case
                when u.models[1] = d.name then 'serves, as nothing compares with it'
                when p.explore_share > 0 then 'is chosen to explore alone'
                else 'is never chosen'
            end)
            else 'ready'
        end,
        e.name, b.name, n.built, u.models,
        case when p.backend = 'knn' then array_remove(array[
            case when s.needed > 0 then format('%s more examples', s.needed) end,
            case when k.memories = 0 then format('none yet for task %s', k.name) end,
            case when u.models <> '{}' then format('no labels of %s', array_to_string(u.models, ', ')) end
        ], null) else '{}' end,
        case when p.base_weight > 0 then v_base end
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
    cross join lateral (
        select
            greatest(greatest(p.seed_count, 1) - n.memories, 0) as needed,
            n.memories < greatest(p.seed_count, 1)
            and p.base_weight > 0
            and coalesce(v_base_memories, 0) >= greatest(p.seed_count, 1) as based
    ) as s
    cross join lateral (
        select coalesce(array_agg(m.name order by m.name), '{}') as models
        from router.policy_models as m0
        inner join router.models as m on m.model_id = m0.model_id and m.enabled
        where m0.tenant_id = p_tenant and m0.policy_id = p.policy_id
    ) as c
    cross join lateral (
        select coalesce(array_agg(m.name order by m.name), '{}') as models
        from (select distinct c0.name from unnest(c.models || d.name) as c0 (name)) as m
        inner join router.models as o on o.name = m.name
        where p.backend = 'knn' and not exists (
            select from router.priors as r
            where r.tenant_id = p_tenant and r.space_id = v_space and r.task_id = 0 and r.model_id = o.model_id
                and r.labels > 0
        )
    ) as u
    left join lateral (
        select g.name, coalesce(max(g.labels), 0)::bigint as memories
        from (
            select q.name, r.labels
            from router.tasks as q
            inner join router.priors as r
                on r.tenant_id = p_tenant and r.space_id = v_space and r.task_id = q.task_id and r.labels > 0
            where q.tenant_id = p_tenant
            union all
            select l.task, 0
            from (
                -- A busy day's ledger is too long to be read in full.
                select r.policy_id, r.task
                from router.decisions as r
                where r.tenant_id = p_tenant and r.decided_at > now() - interval '24 hours'
                order by r.decided_at desc
                limit 1000
            ) as l
            where l.policy_id = p.policy_id and l.task is not null
        ) as g (name, labels)
        group by g.name
    ) as k on true
    where t.tenant_id = p_tenant
    order by p.name, k.name;
end;
$$;

comment on function router.status is
'Return how complete the memory of each policy of a tenant is, and what to do next.
One row per policy and task tag that was taught, or requested among the last 1,000 requests of 24 hours (task NULL:
there is none), in the space that serves the tenant (p_space if it has none of its own). task_memories: labels of the
task''s best-labelled model; unlabelled: candidates without any label; missing: the same and more as text; building,
built: the space that the memory is being rewritten for, and how many memories are done; base: the shared tenant whose
memory helps.';
