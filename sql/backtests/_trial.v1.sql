create function router_internal._trial(
    p_row int,
    p_memory router.memories,
    p_gone router.memories[],
    p_hash bytea,
    p_models smallint[],
    p_ledger_tokens double precision[],
    p_k int[],
    p_tau double precision[],
    p_rule router_internal.rule,
    p_base int,
    p_base_weight double precision,
    p_seed_count int
) returns setof router_internal.trial
language sql stable
begin atomic
    with near as materialized (
        select
            n.similarity, n.task_id, n.quality, n.completion_tokens,
            row_number() over (order by n.similarity desc) as rank
        from router.neighbours(
            (p_memory).tenant_id, (p_memory).space_id, (p_memory).embedding,
            (select max(u.k) from unnest(p_k) as u (k)) + cardinality(p_gone)
        ) as n
        where n.memory_id <> all(array(select g.memory_id from unnest(p_gone) as g))
    ),
    tags as materialized (
        select u.task_id, sum(u.weight) / sum(sum(u.weight)) over () as share
        from (
            select n.task_id, exp((n.similarity - 1) / 0.05) as weight
            from near as n
            where n.rank <= 20 and n.task_id is not null
        ) as u
        group by u.task_id
    ),
    -- The sums of the memory, less those of what is held out.
    kept as materialized (
        select
            c.position, c.model_id, c.ledger_tokens,
            a.labels - g.labels as labels, a.quality_sum - g.quality_sum as quality_sum,
            a.paired - g.paired as paired, a.paired_sum - g.paired_sum as paired_sum,
            a.completions - g.completions as completions, a.completion_sum - g.completion_sum as completion_sum,
            sum((a.quality_sum - g.quality_sum) / nullif(a.labels - g.labels + (p_rule).n2, 0)) over ()
            / nullif(sum((a.labels - g.labels) / nullif(a.labels - g.labels + (p_rule).n2, 0)) over (), 0) as common,
            k.labels - g.task_labels as task_labels, k.quality_sum - g.task_quality_sum as task_quality_sum,
            k.completions - g.task_completions as task_completions,
            k.completion_sum - g.task_completion_sum as task_completion_sum,
            (n.prompt_tokens - g.prompt_tokens)::double precision
            / nullif(n.memories - cardinality(p_gone), 0) as prompt,
            p_base_weight / nullif(p_base_weight + n.memories - cardinality(p_gone), 0) as base_share
        from unnest(p_models, p_ledger_tokens) with ordinality as c (model_id, ledger_tokens, position)
        inner join router.memory_counts as n
            on n.tenant_id = (p_memory).tenant_id and n.space_id = (p_memory).space_id
        left join router.priors as a
            on a.tenant_id = n.tenant_id and a.space_id = n.space_id and a.task_id = 0 and a.model_id = c.model_id
        left join router.priors as k
            on k.tenant_id = n.tenant_id and k.space_id = n.space_id and k.task_id = (p_memory).task_id
            and k.model_id = c.model_id
        cross join lateral (
            select
                sum(u.prompt_tokens) as prompt_tokens,
                count(u.quality) as labels,
                coalesce(sum(u.quality), 0) as quality_sum,
                count(u.quality) filter (where u.paired) as paired,
                coalesce(sum(u.quality) filter (where u.paired), 0) as paired_sum,
                count(u.tokens) as completions,
                coalesce(sum(u.tokens), 0) as completion_sum,
                count(u.quality) filter (where u.same_task) as task_labels,
                coalesce(sum(u.quality) filter (where u.same_task), 0) as task_quality_sum,
                count(u.tokens) filter (where u.same_task) as task_completions,
                coalesce(sum(u.tokens) filter (where u.same_task), 0) as task_completion_sum
            from (
                select
                    g.prompt_tokens, g.quality[c.model_id]::double precision as quality,
                    g.completion_tokens[c.model_id]::double precision as tokens,
                    g.task_id = (p_memory).task_id as same_task,
                    cardinality(array_remove(g.quality, null)) > 1 as paired
                from unnest(p_gone) as g
            ) as u
        ) as g
    ),
    -- What the labels of the neighbours' tasks say of each model.
    guessed as materialized (
        select
            c.model_id, sum(t.share * k.labels / (k.labels + (p_rule).n1)) as share,
            sum(t.share * k.quality_sum / (k.labels + (p_rule).n1)) as quality
        from tags as t
        cross join unnest(p_models) as c (model_id)
        cross join lateral (
            select r.labels - g.labels as labels, r.quality_sum - g.quality_sum as quality_sum
            from router.priors as r
            cross join lateral (
                select
                    count(o.quality[c.model_id]) as labels,
                    coalesce(sum(o.quality[c.model_id]::double precision), 0) as quality_sum
                from unnest(p_gone) as o
                where o.task_id = t.task_id
            ) as g
            where
                r.tenant_id = (p_memory).tenant_id and r.space_id = (p_memory).space_id
                and r.task_id = t.task_id and r.model_id = c.model_id
        ) as k
        where k.labels > 0
        group by c.model_id
    ),
    shared as materialized (
        select
            s.*,
            case when p_base is not null then router_internal._base_sums(
                (p_memory).tenant_id, p_base, (p_memory).space_id, (p_memory).embedding, s.k, s.tau, p_seed_count,
                p_hash
            ) end as sums
        from unnest(p_k, p_tau) with ordinality as s (k, tau, setting)
    )
    select
        s.setting::int, p_row, k.position::int,
        (p_memory).quality[k.model_id]::double precision, (p_memory).completion_tokens[k.model_id]::double precision,
        v.labels::int, v.support, v.weighted, v.token_support, v.token_weighted,
        q.mean,
        case when exists (select from tags) then q.mean * (1 - coalesce(d.share, 0)) + coalesce(d.quality, 0) end,
        case when (p_memory).task_id is not null then router_internal._prior(
            k.task_quality_sum, k.task_labels, (p_rule).n1, q.mean
        ) end,
        router_internal._prior(k.task_completion_sum, k.task_completions, 5, q.mean_tokens),
        coalesce(k.task_labels > 0, false), q.mean_tokens,
        (p_memory).prompt_tokens::double precision, coalesce(k.prompt, (p_memory).prompt_tokens)
    from kept as k
    cross join shared as s
    left join lateral unnest(s.sums) as b on b.model_id = k.model_id
    left join guessed as d on d.model_id = k.model_id
    cross join lateral (
        select
            case when k.labels > 0 or b.mean_quality is not null then router_internal._mean(
                k.labels, k.quality_sum, k.paired, k.paired_sum, (p_rule).n2, coalesce(b.mean_quality, k.common)
            ) end as mean,
            router_internal._prior(
                k.completion_sum, k.completions, 5, coalesce(k.ledger_tokens, b.mean_tokens)
            ) as mean_tokens
    ) as q
    cross join lateral (
        select
            count(l.quality) + coalesce(b.labels, 0) as labels,
            router_internal._add_known(
                sum(l.weight) filter (where l.quality is not null), k.base_share * b.support
            ) as support,
            router_internal._add_known(sum(l.weight * l.quality), k.base_share * b.quality_sum) as weighted,
            router_internal._add_known(
                sum(l.weight) filter (where l.tokens is not null), k.base_share * b.token_support
            ) as token_support,
            router_internal._add_known(sum(l.weight * l.tokens), k.base_share * b.token_sum) as token_weighted
        from (
            select
                exp(greatest((n.similarity - 1) / s.tau, -300)) as weight,
                n.quality[k.model_id] as quality, n.completion_tokens[k.model_id] as tokens
            from near as n
            where n.rank <= s.k
        ) as l
    ) as v;
end;

comment on function router_internal._trial is
'Return the sums that an estimate for a memory''s prompt would start from if the memory did not hold it.
One row for each candidate and each pair of p_k and p_tau. p_gone: the memory and its copies, which are left out.
p_base: the shared memory in use; its memories with the prompt''s hash are left out as well.';
