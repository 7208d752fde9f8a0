create function router_internal._estimates(
    p_tenant int, p_space smallint, p_context router.context, p_candidates router.candidate[], p_embedding halfvec,
    p_prompt_tokens int, p_alpha double precision, p_current smallint, p_cached_tokens int, p_guesses boolean
) returns router.estimate[]
language plpgsql stable
as $$
declare
    v_models smallint[];
    v_near router_internal.neighbour[];
    v_labels bigint[];
    v_support double precision[];
    v_quality double precision[];
    v_token_support double precision[];
    v_tokens double precision[];
    -- A record, because static checkers read this file without the type.
    c record;
    i int := 0;
begin
    foreach c in array coalesce(p_candidates, '{}') loop
        i := i + 1;
        v_models[i] := c.model_id;
    end loop;
    if p_guesses then
        -- Kept, because they are read twice; without a guess this would only cost time.
        v_near := array(
            select (n.similarity, n.task_id, n.quality, n.completion_tokens)::router_internal.neighbour
            from router_internal._nearest(p_tenant, p_space, p_context.tier, p_embedding, p_context.k) as n
            order by n.similarity desc
        );
    end if;
    if p_embedding is not null then
        -- Materialized; otherwise the search for neighbours would be repeated for each candidate.
        with near as materialized (
            -- Below -300 the product of two weights would be an underflow; such a weight is practically zero.
            select
                n.quality, n.completion_tokens, exp(greatest((n.similarity - 1) / p_context.tau, -300)) as weight
            from router_internal._nearest(p_tenant, p_space, p_context.tier, p_embedding, p_context.k) as n
            where not p_guesses
            union all
            select n.quality, n.completion_tokens, exp(greatest((n.similarity - 1) / p_context.tau, -300))
            from unnest(v_near) as n
        )
        select
            array_agg(v.labels), array_agg(v.support), array_agg(v.quality), array_agg(v.token_support),
            array_agg(v.tokens)
        into v_labels, v_support, v_quality, v_token_support, v_tokens
        from unnest(v_models) as m (model_id)
        cross join lateral (
            select
                count(l.quality) as labels,
                sum(l.weight) filter (where l.quality is not null) as support,
                sum(l.weight * l.quality) as quality,
                sum(l.weight) filter (where l.tokens is not null) as token_support,
                sum(l.weight * l.tokens) as tokens
            from (
                select n.weight, n.quality[m.model_id] as quality, n.completion_tokens[m.model_id] as tokens
                from near as n
                -- Without it the planner reads the arrays once for each sum.
                offset 0
            ) as l
        ) as v;
    end if;
    return router_internal._estimated(
        p_context, p_candidates, v_labels, v_support, v_quality, v_token_support, v_tokens,
        case when p_guesses then router_internal._guessed_tasks(
            p_tenant, p_space, v_models, p_context.n1, v_near[1:20]
        ) end,
        p_prompt_tokens, coalesce(p_alpha, p_context.alpha), p_current, p_cached_tokens
    );
end;
$$;

comment on function router_internal._estimates is
'Return the rows of estimates as an array, for a known context and a tenant that has been entered.
p_guesses: the request has no task, and those of its neighbours stand for it.';
