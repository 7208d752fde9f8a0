create function router_internal._with_task_and_base(
    p_tenant int, p_space smallint, p_context router.context, p_task text, p_base router.base_sums[]
) returns router.candidate[]
language plpgsql stable
as $$
begin
    return array(
        select v::router.candidate
        from unnest(p_context.candidates) as c
        left join unnest(p_base) as b on b.model_id = c.model_id
        left join router.priors as k
            on k.tenant_id = p_tenant and k.space_id = p_space and k.model_id = c.model_id
            -- A sub-query: a join may read the priors of all of the tenant's tasks.
            and k.task_id = (select g.task_id from router.tasks as g where g.tenant_id = p_tenant and g.name = p_task)
        cross join (
            select p_context.base_weight / nullif(p_context.base_weight + p_context.memories, 0) as share
        ) as s
        cross join lateral (
            -- If few answer lengths were taught, the lengths that providers reported count for more.
            select
                router_internal._prior(
                    c.completion_sum, c.completions, 5, coalesce(c.ledger_tokens, b.mean_tokens)
                ) as tokens
        ) as t
        cross join lateral (
            -- One column for each attribute of the type, in its order; the same holds for `base_sums`.
            select
                c.model_id, c.input_price, c.cached_input_price, c.output_price, c.token_ratio, c.ledger_tokens,
                c.labels, c.quality_sum, c.paired, c.paired_sum, coalesce(k.labels, 0) as task_labels,
                k.quality_sum as task_sum, c.completions, c.completion_sum, c.able,
                t.tokens as mean_tokens,
                router_internal._prior(k.completion_sum, k.completions, 5, t.tokens) as prior_tokens,
                case when b.model_id is not null then (
                    b.model_id, b.labels, s.share * b.support, s.share * b.quality_sum, s.share * b.token_support,
                    s.share * b.token_sum, b.mean_quality, b.mean_tokens
                )::router.base_sums end as lent
        ) as v
    );
end;
$$;

comment on function router_internal._with_task_and_base is
'Return the candidates of a decision with the label sums of the request''s task and those of a shared memory.
p_base: the result of _base_sums, or NULL.';
