create function router_internal._choices(
    p_trials router_internal.trial[],
    p_input double precision[],
    p_output double precision[],
    p_ratio double precision[],
    p_rule router_internal.rule,
    p_fits router_internal.fit[],
    p_floor double precision,
    p_default int,
    p_alphas double precision[]
) returns table (
    turn int, row_number int, model int, quality double precision, cost_usd double precision, unit_usd double precision
)
language sql stable
begin atomic
    with packed as materialized (
        select
            j.row_number, max(j.unit_usd) as unit_usd,
            array_agg(j.estimate order by j.model) as estimates,
            array_agg(j.expected_usd order by j.model) as expected,
            array_agg(j.confidence >= p_floor order by j.model) as supported,
            array_agg(j.quality order by j.model) as qualities,
            array_agg(j.cost_usd order by j.model) as costs
        from router_internal._outcomes(p_trials, p_input, p_output, p_ratio, p_rule, p_fits) as j
        group by j.row_number
    )
    select a.turn::int, p.row_number, w.model, p.qualities[w.model], p.costs[w.model], p.unit_usd
    from packed as p
    cross join unnest(p_alphas) with ordinality as a (alpha, turn)
    cross join lateral (
        select e.model
        from unnest(p.estimates, p.expected) with ordinality as e (estimate, expected, model)
        order by
            e.estimate - a.alpha * coalesce(e.expected / nullif(p.unit_usd, 0), 0) desc nulls last, e.expected, e.model
        limit 1
    ) as b
    cross join lateral (
        select case when p.supported[b.model] and p.estimates[p_default] is not null then b.model else p_default end
            as model
    ) as w;
end;

comment on function router_internal._choices is
'Return which model decide would choose in each trial at each alpha, with the quality and cost (USD) that followed.
Where decide would decline for low support, the default model (p_default, by position) is chosen.';
