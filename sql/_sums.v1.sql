create function router._sums(
    p_tenant int, p_space smallint, p_tier smallint, p_embedding halfvec, p_k int, p_tau double precision,
    p_models smallint[]
) returns router.base_sums[]
language plpgsql stable
as $$
declare
    v_sums router.base_sums[];
begin
    -- Materialized, or the neighbours would be looked for once for each model.
    with near as materialized (
        -- The server reports an underflow where a product would be too small; so little a weight is none.
        select n.quality, n.completion_tokens, exp(greatest((n.similarity - 1) / p_tau, -600)) as weight
        from router._nearest(p_tenant, p_space, p_tier, p_embedding, p_k) as n
    )
    select
        array_agg(
            (
                m.model_id, v.labels, v.support, v.quality_sum, v.token_support, v.token_sum, null, null
            )::router.base_sums
            order by m.position
        )
    into v_sums
    from unnest(p_models) with ordinality as m (model_id, position)
    cross join lateral (
        select
            count(l.quality) as labels,
            sum(l.weight) filter (where l.quality is not null) as support,
            sum(l.weight * l.quality) as quality_sum,
            sum(l.weight) filter (where l.tokens is not null) as token_support,
            sum(l.weight * l.tokens) as token_sum
        from (
            select n.weight, n.quality[m.model_id] as quality, n.completion_tokens[m.model_id] as tokens
            from near as n
            -- Or the arrays would be read once for each of the sums.
            offset 0
        ) as l
    ) as v;
    return v_sums;
end;
$$;

comment on function router._sums is
'What the k nearest memories of a tenant, which has been entered, say of each model: sums in the order of p_models.
p_tier as in memory_counts.';
