create function router_internal._count_memories() returns trigger
language plpgsql
as $$
declare
    v_sign int := tg_argv[0]::int;
begin
    if v_sign > 0 then
        insert into router.memory_counts as c (tenant_id, space_id, memories, prompt_tokens)
        select tenant_id, space_id, count(*), sum(prompt_tokens)
        from changed
        group by tenant_id, space_id
        order by tenant_id, space_id
        on conflict on constraint memory_counts_pkey do update set
            memories = c.memories + excluded.memories, prompt_tokens = c.prompt_tokens + excluded.prompt_tokens;
    else
        update router.memory_counts as c set
            memories = c.memories - d.memories, prompt_tokens = c.prompt_tokens - d.prompt_tokens,
            churn = c.churn + d.memories * c.tier
        from (
            select tenant_id, space_id, count(*) as memories, sum(prompt_tokens) as prompt_tokens
            from changed
            group by tenant_id, space_id
        ) as d
        where c.tenant_id = d.tenant_id and c.space_id = d.space_id;
    end if;
    if tg_op = 'DELETE' then
        -- If the text stayed, teaching the prompt again would update a memory that no longer exists.
        delete from router.memory_texts as x using changed as d
        where x.tenant_id = d.tenant_id and x.memory_id = d.memory_id;
    end if;
    insert into router.priors as o (
        tenant_id, space_id, task_id, model_id, labels, quality_sum, paired, paired_sum, completions, completion_sum
    )
    select
        m.tenant_id, m.space_id, t.task_id, l.model_id,
        v_sign * count(l.quality), v_sign * coalesce(sum(l.quality::double precision), 0),
        v_sign * count(l.quality) filter (where p.many),
        v_sign * coalesce(sum(l.quality::double precision) filter (where p.many), 0),
        v_sign * count(l.tokens), v_sign * coalesce(sum(l.tokens::double precision), 0)
    from changed as m
    cross join lateral (values (0::smallint), (m.task_id)) as t (task_id)
    cross join lateral (select cardinality(array_remove(m.quality, null)) > 1 as many) as p
    cross join lateral unnest(m.quality, m.completion_tokens) with ordinality as l (quality, tokens, model_id)
    where
        t.task_id is not null
        and (l.quality is not null or l.tokens is not null)
        -- If the tenant is being deleted, its sums are gone already.
        and (v_sign > 0 or exists (select from router.tenants as x where x.tenant_id = m.tenant_id))
    group by m.tenant_id, m.space_id, t.task_id, l.model_id
    order by m.tenant_id, m.space_id, t.task_id, l.model_id
    on conflict on constraint priors_pkey do update set
        labels = o.labels + excluded.labels,
        quality_sum = o.quality_sum + excluded.quality_sum,
        paired = o.paired + excluded.paired,
        paired_sum = o.paired_sum + excluded.paired_sum,
        completions = o.completions + excluded.completions,
        completion_sum = o.completion_sum + excluded.completion_sum;
    return null;
end;
$$;

comment on function router_internal._count_memories is
'Trigger: keep memory_counts and priors equal to a recount after any change of memories, and delete texts with memories.
The argument is 1 for rows that came and -1 for rows that went.';
