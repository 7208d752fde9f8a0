create function router_internal._estimates(
    p_tenant int, p_space smallint, p_context router.context, p_candidates router.candidate[], p_embedding halfvec,
    p_prompt_tokens int, p_alpha double precision, p_current smallint, p_cached_tokens int, p_guesses boolean
) returns router.estimate[]
language plpgsql stable
as $$
declare
    v_alpha constant double precision := coalesce(p_alpha, p_context.alpha);
    v_mean_prompt constant double precision := coalesce(p_context.mean_prompt, p_prompt_tokens);
    v_estimates router.estimate[];
    v_unit double precision;
    v_gaps boolean;
    v_support double precision[];
    v_weighted double precision[];
    v_near router_internal.neighbour[];
begin
    if p_guesses then
        -- Kept, because they are read twice; without a guess this would only cost time.
        v_near := array(
            select (n.similarity, n.task_id, n.quality, n.completion_tokens)::router_internal.neighbour
            from router_internal._nearest(p_tenant, p_space, p_context.tier, p_embedding, p_context.k) as n
            order by n.similarity desc
        );
    end if;
    -- Materialized; otherwise the search for neighbours would be repeated for each candidate.
    with near as materialized (
        -- Below -600 exp() would raise an underflow; such a weight is practically zero.
        select
            n.quality, n.completion_tokens, exp(greatest((n.similarity - 1) / p_context.tau, -600)) as weight
        from router_internal._nearest(p_tenant, p_space, p_context.tier, p_embedding, p_context.k) as n
        where p_embedding is not null and not p_guesses
        union all
        select n.quality, n.completion_tokens, exp(greatest((n.similarity - 1) / p_context.tau, -600))
        from unnest(v_near) as n
    )
    select
        array_agg(o::router.estimate) filter (where c.able),
        -- The cost of the dearest candidate for the tenant's average prompt. The maximum of each request would hide
        -- that a long prompt costs more than a short one, and so where most can be saved.
        max(
            v_mean_prompt * c.token_ratio * c.input_price + coalesce(c.mean_tokens, t.tokens) * c.output_price
        ) filter (where c.able) / 1e6,
        bool_or(t.tokens is null) filter (where c.able),
        array_agg(v.support),
        array_agg(v.quality)
    into v_estimates, v_unit, v_gaps, v_support, v_weighted
    from unnest(p_candidates) as c
    cross join lateral (
        select
            count(l.quality) + coalesce((c.lent).labels, 0) as labels,
            router_internal._add_known(sum(l.weight) filter (where l.quality is not null), (c.lent).support) as support,
            router_internal._add_known(sum(l.weight * l.quality), (c.lent).quality_sum) as quality,
            router_internal._add_known(
                sum(l.weight) filter (where l.tokens is not null), (c.lent).token_support
            ) as token_support,
            router_internal._add_known(sum(l.weight * l.tokens), (c.lent).token_sum) as tokens
        from (
            select n.weight, n.quality[c.model_id] as quality, n.completion_tokens[c.model_id] as tokens
            from near as n
            -- Without it the planner reads the arrays once for each sum.
            offset 0
        ) as l
    ) as v
    cross join lateral (
        select
            p_prompt_tokens * c.token_ratio as prompt,
            case when c.model_id = p_current
                then least(p_cached_tokens, p_prompt_tokens * c.token_ratio) else 0
            end as cached
    ) as p
    cross join lateral (
        select
            router_internal._blend(
                v.tokens, v.token_support, case when c.task_labels > 0 then p_context.n0_task else p_context.token_n0 end,
                coalesce(c.prior_tokens, c.mean_tokens)
            ) as tokens
        -- Without the limit the planner computes it wherever it is used.
        limit 1
    ) as t
    cross join lateral (
        -- One column for each attribute of the type, in its order; _with_quality sets those that are NULL.
        select
            c.model_id,
            null::double precision as quality,
            v.labels,
            null::double precision as confidence,
            t.tokens as completion_tokens,
            (
                (p.prompt - p.cached) * c.input_price + p.cached * c.cached_input_price + t.tokens * c.output_price
            ) / 1e6 as cost_usd,
            null::double precision as score,
            coalesce(v.support, 0) as support,
            null::double precision as prior,
            null::double precision as n0,
            c.labels as known,
            p.prompt as prompt_tokens,
            p.cached as cached_tokens,
            c.input_price,
            c.cached_input_price,
            c.output_price,
            null::double precision as unit_usd,
            v_alpha as alpha,
            case when c.model_id <> p_current then p_context.switch_penalty else 0 end as penalty,
            coalesce((c.lent).support, 0) as base_support,
            null::double precision as mean,
            null::double precision as ease,
            null::double precision as borrowed,
            null::double precision as share
    ) as o;
    if v_gaps then
        select f.estimates, f.unit into v_estimates, v_unit
        from router_internal._with_lengths(v_estimates, p_candidates, v_mean_prompt) as f;
    end if;
    return router_internal._with_quality(
        v_estimates, v_unit, p_context, p_candidates, v_support, v_weighted,
        case when p_guesses then router_internal._guessed_tasks(
            p_tenant, p_space, p_candidates, p_context.n1, v_near[1:20]
        ) end
    );
end;
$$;

comment on function router_internal._estimates is
'Return the rows of estimates as an array, for a known context and a tenant that has been entered.
p_guesses: the request has no task, and those of its neighbours stand for it.';
