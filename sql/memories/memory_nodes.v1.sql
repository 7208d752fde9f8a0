create function router.memory_nodes(p_tenant int, p_space smallint, p_sample int default 2000)
returns table (
    memory_id bigint, total int, task text, source text, excerpt text, models text[], scores real[]
)
language plpgsql stable
-- A generic plan would open and lock the partition of every graduated tenant.
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tier smallint;
    v_total int;
begin
    perform router_internal._enter(p_tenant);
    select c.tier, c.memories into v_tier, v_total
    from router.memory_counts as c
    where c.tenant_id = p_tenant and c.space_id = p_space;
    return query
    with chosen as materialized (
        select s.place, m.memory_id, m.task_id, m.quality
        from router_internal._memory_sample(p_tenant, p_space, p_sample) as s
        inner join router.memories as m
            on m.memory_id = s.memory_id and m.tenant_id = p_tenant and m.tier = v_tier and m.space_id = p_space
    ),
    -- All labels at once: calling _labels for each memory takes three times as long.
    labelled as materialized (
        select
            c.place, c.memory_id, c.task_id,
            array_agg(o.name order by o.name) filter (where o.name is not null) as models,
            array_agg(u.quality order by o.name) filter (where o.name is not null) as scores
        from chosen as c
        left join lateral unnest(c.quality) with ordinality as u (quality, model_id) on u.quality is not null
        left join router.models as o on o.model_id = u.model_id
        group by c.place, c.memory_id, c.task_id
    )
    select l.memory_id, v_total, k.name, x.source, left(x.prompt, 200), l.models, l.scores
    from labelled as l
    inner join router.memory_texts as x on x.tenant_id = p_tenant and x.memory_id = l.memory_id
    left join router.tasks as k on k.tenant_id = p_tenant and k.task_id = l.task_id
    order by l.place;
end;
$$;

comment on function router.memory_nodes is
'Return memories of a tenant in a space as the nodes of a map: all, or a pseudo-random sample of p_sample.
total: how many there are. excerpt: the first 200 characters of the prompt; NULL: the tenant stores none. models,
scores: the labels by model name. The same memories are returned each time; memory_edges connects them.';
